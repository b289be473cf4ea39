use super::{KeyedStateStore, StateKey};
use crate::base::{EventTime, Millis, TimeDomain};

/// The present, by both clocks, as far as the store was told.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    processing: i64,
    event: i64,
}

impl Default for Times {
    fn default() -> Self {
        Times { processing: 0, event: i64::MIN }
    }
}

impl Times {
    #[inline]
    pub(super) fn now(&self, domain: TimeDomain) -> i64 {
        match domain {
            TimeDomain::ProcessingTime => self.processing,
            TimeDomain::EventTime => self.event,
        }
    }
}

/// What a clean-up has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CleanUp {
    /// How many keys, with their namespaces, have nothing left in the state and are gone.
    pub removed: usize,
    /// Whether it has come to the end of a pass, so that the next clean-up begins anew.
    pub is_pass_over: bool,
}

impl<K: StateKey> KeyedStateStore<K> {
    /// Says what time it is by the clock: the present of state whose time to live is in processing time. 0 until it is
    /// said. It may go back.
    #[inline]
    pub fn set_processing_time(&mut self, now: Millis) {
        self.times.processing = i64::try_from(now.0).unwrap_or(i64::MAX);
    }

    /// Says that event time has come to `time` at least: while timers fire one after the other, it is that of each.
    #[inline]
    pub fn advance_event_time(&mut self, time: EventTime) {
        self.times.event = self.times.event.max(time.0);
    }

    /// Says how far event time has come: the present of state whose time to live is in event time. The beginning of
    /// time until it is said.
    #[inline]
    pub fn set_event_time(&mut self, watermark: EventTime) {
        self.times.event = watermark.0;
    }
}
