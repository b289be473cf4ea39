//! The clock of processing time: what timers of the user's code go by. The protocol has a clock of its own.

use crate::base::Millis;
use crossbeam_channel::{Receiver, Sender, never, unbounded};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Where a job's processing time comes from: milliseconds since the Unix epoch. The default is the system's clock.
#[derive(Clone, Default)]
pub struct ProcessingTime(Option<ManualClock>);

/// A clock that stands still until it is advanced, for tests.
#[derive(Clone, Default)]
pub struct ManualClock(Arc<Mutex<Manual>>);

#[derive(Default)]
struct Manual {
    now: Millis,
    /// Those to wake when the clock advances.
    waiting: Vec<Sender<()>>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Millis) -> Self {
        ManualClock(Arc::new(Mutex::new(Manual { now, waiting: Vec::new() })))
    }

    /// Moves the clock on to `now`, and wakes every task that waits for a timer. It never goes back.
    pub fn advance_to(&self, now: Millis) {
        let mut manual = self.lock();
        manual.now = manual.now.max(now);
        manual.waiting.retain(|waiting| waiting.send(()).is_ok());
    }

    fn lock(&self) -> MutexGuard<'_, Manual> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl From<&ManualClock> for ProcessingTime {
    fn from(clock: &ManualClock) -> Self {
        ProcessingTime(Some(clock.clone()))
    }
}

impl ProcessingTime {
    /// The time now.
    #[must_use]
    pub fn now(&self) -> Millis {
        match &self.0 {
            Some(manual) => manual.lock().now,
            None => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
            }
        }
    }

    /// Delivers a message whenever the clock was advanced by hand.
    pub(super) fn advances(&self) -> Receiver<()> {
        let Some(manual) = &self.0 else { return never() };
        let (sender, receiver) = unbounded();
        manual.lock().waiting.push(sender);
        receiver
    }

    /// When `time` will have come; `None` if that is not known, or never.
    pub(super) fn instant(&self, time: Millis) -> Option<Instant> {
        match &self.0 {
            Some(_) => None,
            None => Instant::now().checked_add(Duration::from_millis(time.since(self.now()).0)),
        }
    }
}

impl PartialEq for ProcessingTime {
    /// Whether both are the same clock.
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(&one.0, &other.0),
            _ => false,
        }
    }
}

impl Eq for ProcessingTime {}

impl fmt::Debug for ProcessingTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "manual" } else { "system" })
    }
}
