//! Clicks of users, from log files or from a generator.

mod generator;
mod line;

pub use generator::ClickGenerator;

use crate::input::{Event, Name};
use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use snapline::base::EventTime;
use std::fmt;

/// A user did something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Click {
    /// When, in milliseconds since the epoch.
    pub timestamp: i64,
    /// Who.
    pub user: Name,
    /// What.
    pub action: CompactString,
}

impl Event for Click {
    fn event_time(&self) -> EventTime {
        EventTime(self.timestamp)
    }
}

impl fmt::Display for Click {
    /// As a line of a log file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}", self.timestamp, self.user, self.action)
    }
}
