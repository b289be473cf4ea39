//! What a backend is told about a state.

use crate::state::StateKind;
use crate::ttl::CompactionClock;
use std::fmt;
use std::sync::Arc;

/// A state that is opened.
#[derive(Clone, Debug)]
pub struct StateDescription {
    /// What the backend calls it: its name and a mark of its serializers. When they change, what the new ones write goes into
    /// another state of the backend.
    pub name: String,
    /// What it holds for each key.
    pub kind: StateKind,
    /// Finds what has expired, if its values do and compactions are to remove them.
    pub expiry: Option<CompactionFilter>,
}

/// What a compaction asks about the values of one state: a backend that rewrites its entries anyway leaves out those that
/// have expired (Flink: `FlinkCompactionFilter`). Whether they have, only [`StateTtlConfig`](crate::ttl::StateTtlConfig)
/// decides.
#[derive(Clone)]
pub struct CompactionFilter(Arc<dyn ExpiringValues>);

/// The values of a state that expire, as their bytes and the time of the store know it.
pub(in crate::state) trait ExpiringValues: Send + Sync {
    /// The clock of one compaction.
    fn clock(&self) -> CompactionClock;

    /// The present.
    fn now(&self) -> i64;

    /// How many values the bytes of an entry hold, if all of them have expired.
    fn all_expired(&self, value: &[u8], now: i64) -> Option<usize>;

    /// Counts values that a compaction has removed.
    fn count_removed(&self, values: usize);
}

impl CompactionFilter {
    pub(in crate::state) fn new(values: Arc<dyn ExpiringValues>) -> Self {
        CompactionFilter(values)
    }

    /// One compaction begins.
    #[must_use]
    pub fn begin(&self) -> Compaction {
        Compaction { values: Arc::clone(&self.0), clock: self.0.clock() }
    }
}

impl fmt::Debug for CompactionFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CompactionFilter")
    }
}

/// One compaction of a state. It asks what time it is now and then.
pub struct Compaction {
    values: Arc<dyn ExpiringValues>,
    clock: CompactionClock,
}

impl Compaction {
    /// Whether the entry with this value is to be removed, since all that it holds has expired; it counts as removed then. The
    /// elements of a list expire each for itself, and their list is removed with the last of them.
    pub fn removes(&mut self, value: &[u8]) -> bool {
        let now = self.clock.now(|| self.values.now());
        let Some(values) = self.values.all_expired(value, now) else { return false };
        self.values.count_removed(values);
        true
    }
}

impl fmt::Debug for Compaction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compaction").field("clock", &self.clock).finish_non_exhaustive()
    }
}
