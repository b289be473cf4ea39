use serde::{Deserialize, Serialize};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::str::FromStr;

/// What no other log of pointers has, wherever it lies and whatever way leads to it: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct LogId(u128);

impl LogId {
    /// One that nobody has drawn.
    #[must_use]
    pub fn draw() -> Self {
        let half = || u128::from(RandomState::new().hash_one(std::process::id()));
        LogId((half() << 64) | half())
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
        let is_id = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(id) if is_id => Ok(LogId(id)),
            _ => Err("this is not the id of a log: 32 hexadecimal digits are expected".to_owned()),
        }
    }
}
