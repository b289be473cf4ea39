use crate::store::drawn_id;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What no other log of pointers has, wherever it lies and whatever way leads to it: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId(u128);

impl LogId {
    /// One that nobody has drawn.
    #[must_use]
    pub fn draw() -> Self {
        LogId(drawn_id::draw())
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl FromStr for LogId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let what = "this is not the id of a log: 32 hexadecimal digits are expected";
        drawn_id::parse(text).map(LogId).ok_or_else(|| what.to_owned())
    }
}
