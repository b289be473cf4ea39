use serde::{Deserialize, Serialize};
use std::fmt;

/// The time from `start` to before `end`, in milliseconds since the epoch (Flink: `TimeWindow`). It is never empty
/// where an assigner made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimeWindow {
    /// The first instant that belongs to it.
    pub start: i64,
    /// The first instant that does not belong to it any more.
    pub end: i64,
}

impl TimeWindow {
    /// The last instant that belongs to it: once the watermark is there, the window is complete.
    #[must_use]
    pub const fn max_timestamp(self) -> i64 {
        self.end.saturating_sub(1)
    }

    /// Whether `timestamp` belongs to it.
    #[must_use]
    pub const fn contains(self, timestamp: i64) -> bool {
        self.start <= timestamp && timestamp < self.end
    }

    /// Whether there is no time between the two: they overlap, or one ends where the other starts (Flink:
    /// `intersects`).
    #[must_use]
    pub const fn touches(self, other: TimeWindow) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// The smallest window that contains both.
    #[must_use]
    pub fn cover(self, other: TimeWindow) -> TimeWindow {
        TimeWindow { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

impl fmt::Display for TimeWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {})", self.start, self.end)
    }
}
