use crate::base::Millis;
use std::time::{Duration, Instant};

/// The time since the job was started, as machines see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    start: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Clock { start: Instant::now() }
    }

    pub(super) fn now(self) -> Millis {
        Millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn instant(self, time: Millis) -> Option<Instant> {
        self.start.checked_add(Duration::from_millis(time.0))
    }
}
