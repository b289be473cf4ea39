use serde::Deserialize;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// What an operation is asked for under: 32 hexadecimal digits (Flink: `TriggerId`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct TriggerId(u128);

impl TriggerId {
    /// One that nobody has used.
    pub(super) fn draw() -> Self {
        let half = || u128::from(RandomState::new().hash_one(std::process::id()));
        TriggerId((half() << 64) | half())
    }
}

impl fmt::Display for TriggerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for TriggerId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(id) if is_id => Ok(TriggerId(id)),
            _ => Err(format!("`{text}` is not a trigger id: 32 hexadecimal digits are expected")),
        }
    }
}

impl TryFrom<String> for TriggerId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
