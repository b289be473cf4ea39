use std::fmt;
use std::str::FromStr;

/// What keeps the jobs of one cluster apart from those of others in the same store (Flink: `high-availability.cluster-id`).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(String);

impl ClusterId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names of the directories that it is.
    #[cfg(feature = "object-store")]
    pub(in crate::store) fn parts(&self) -> impl Iterator<Item = String> {
        self.0.split('/').map(str::to_owned)
    }
}

impl Default for ClusterId {
    fn default() -> Self {
        ClusterId("default".to_owned())
    }
}

/// Flink writes a slash ahead of it.
impl FromStr for ClusterId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = text.trim().strip_prefix('/').unwrap_or(text.trim());
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let is_name = |part: &str| part.chars().all(is_allowed) && !["", ".", ".."].contains(&part);
        match id.split('/').all(is_name) {
            true => Ok(ClusterId(id.to_owned())),
            false => {
                Err("it must be names of letters, digits, `-`, `_` and `.`, with `/` between them".to_owned())
            }
        }
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
