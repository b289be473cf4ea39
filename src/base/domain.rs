use serde::{Deserialize, Serialize};
use std::fmt;

/// What a time is measured by. The order of the variants is part of the format of timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimeDomain {
    /// When an element happened, as it says itself; the watermark says how far that has come.
    EventTime,
    /// When an element is processed, by the clock of the machine.
    ProcessingTime,
}

impl fmt::Display for TimeDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TimeDomain::EventTime => "event time",
            TimeDomain::ProcessingTime => "processing time",
        })
    }
}
