use super::TimeWindow;
use crate::base::{Millis, TimeDomain};

/// How long windows wait for late elements (Flink: `allowedLateness`). In processing time nothing is late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lateness {
    domain: TimeDomain,
    allowed: Millis,
}

impl Lateness {
    /// Windows of `domain` that wait for `allowed` after their end.
    #[must_use]
    pub const fn new(domain: TimeDomain, allowed: Millis) -> Self {
        Lateness { domain, allowed }
    }

    /// When everything that is kept for `window` goes; the end of time when that is never.
    #[must_use]
    pub fn cleanup_time(self, window: TimeWindow) -> i64 {
        match self.domain {
            TimeDomain::EventTime => window.max_timestamp().saturating_add_unsigned(self.allowed.0),
            TimeDomain::ProcessingTime => window.max_timestamp(),
        }
    }

    /// Whether `window` has gone at this watermark, and is not opened again.
    #[must_use]
    pub fn is_window_late(self, window: TimeWindow, watermark: i64) -> bool {
        //= spec/window.md#window-6-a-window-has-gone-at-its-clean-up-time
        //# A window MUST be late from the moment at which the watermark reaches its last timestamp plus the allowed lateness.
        self.domain == TimeDomain::EventTime && self.cleanup_time(window) <= watermark
    }

    /// Whether an element is so late that a window which ended with it has gone at this watermark.
    #[must_use]
    pub fn is_element_late(self, timestamp: i64, watermark: i64) -> bool {
        // The last instant of all counts to the windows of the one before.
        let timestamp = timestamp.min(i64::MAX - 1);
        self.domain == TimeDomain::EventTime && timestamp.saturating_add_unsigned(self.allowed.0) <= watermark
    }
}
