use super::{KeyedStateStore, StateKey};
use crate::base::{EventTime, Millis, TimeDomain};
use std::sync::atomic::{AtomicI64, Ordering};

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

/// The present for those who compact state in other threads.
#[derive(Debug)]
pub struct SharedTimes {
    processing: AtomicI64,
    event: AtomicI64,
}

impl SharedTimes {
    pub(super) fn new(times: &Times) -> Self {
        SharedTimes { processing: AtomicI64::new(times.processing), event: AtomicI64::new(times.event) }
    }

    pub(super) fn now(&self, domain: TimeDomain) -> i64 {
        match domain {
            TimeDomain::ProcessingTime => self.processing.load(Ordering::Relaxed),
            TimeDomain::EventTime => self.event.load(Ordering::Relaxed),
        }
    }

    fn tell(&self, times: &Times) {
        self.processing.store(times.processing, Ordering::Relaxed);
        self.event.store(times.event, Ordering::Relaxed);
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
        self.tell_compactions();
    }

    /// Says that event time has come to `time` at least: while timers fire one after the other, it is that of each.
    #[inline]
    pub fn advance_event_time(&mut self, time: EventTime) {
        self.times.event = self.times.event.max(time.0);
        self.tell_compactions();
    }

    /// Says how far event time has come: the present of state whose time to live is in event time. The beginning of
    /// time until it is said.
    #[inline]
    pub fn set_event_time(&mut self, watermark: EventTime) {
        self.times.event = watermark.0;
        self.tell_compactions();
    }

    #[inline]
    fn tell_compactions(&self) {
        if let Some(shared) = &self.shared_times {
            shared.tell(&self.times);
        }
    }
}
