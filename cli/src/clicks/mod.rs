//! Clicks of users: what the jobs over event time read, from log files or from a generator.

mod chance;
mod generator;
mod line;
mod source;

pub use generator::ClickGenerator;
pub use source::GeneratedClicks;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use snapline::keygroup::KeyHash;
use std::fmt;

/// The name of a user: the key of clicks.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct User(pub CompactString);

impl KeyHash for User {
    fn key_hash(&self) -> i32 {
        self.0.as_str().key_hash()
    }
}

/// A user did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// When, in milliseconds since the epoch.
    pub timestamp: i64,
    /// Who.
    pub user: User,
    /// What.
    pub action: CompactString,
}

impl fmt::Display for Click {
    /// As a line of a log file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}", self.timestamp, self.user.0, self.action)
    }
}
