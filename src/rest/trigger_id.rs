use crate::store::drawn_id;
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// What an operation is asked for under: 32 hexadecimal digits (Flink: `TriggerId`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct TriggerId(u128);

impl TriggerId {
    /// One that nobody has used.
    pub(super) fn draw() -> Self {
        TriggerId(drawn_id::draw())
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
        let what = || format!("`{text}` is not a trigger id: 32 hexadecimal digits are expected");
        drawn_id::parse(text).map(TriggerId).ok_or_else(what)
    }
}

impl TryFrom<String> for TriggerId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
