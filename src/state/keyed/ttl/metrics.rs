//! How many values have expired, in numbers for people.

use crate::state::StateError;
use crate::state::keyed::layout::Layout;
use crate::state::keyed::view::View;
use crate::state::keyed::{KeyedStateStore, StateHandle, StateKey};
use crate::state::serializer::{MAX_RECORD_BYTES, StateSerializer, serialize_within};
use crate::ttl::Compacted;
use std::ops::{AddAssign, Sub, SubAssign};
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many values were removed because they had expired, by what removed them: single values, elements of lists, entries
/// of maps.
///
/// What was written over or cleared without a look at its time is not counted. The numbers begin at 0 with each store and
/// are no part of its snapshots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TtlMetrics {
    /// Reads that found them, merges, and writes that would have built on them.
    pub by_accesses: u64,
    /// Incremental clean-up that goes with accesses.
    pub by_cleanup_with_accesses: u64,
    /// Incremental clean-up that goes with records.
    pub by_cleanup_with_records: u64,
    /// Clean-up by the clock, whether or not there are accesses.
    pub by_cleanup_while_idle: u64,
    /// Clean-up that the user has asked for, with [`KeyedStateStore::clean_up`].
    pub by_cleanup_on_request: u64,
    /// Compactions of the backend. They also come by what was written over or removed, and is there for nobody any more: of
    /// one entry they may find several versions.
    pub by_compactions: u64,
    /// Values that were left out of full snapshots that have been written, in each of them again: the state itself keeps
    /// them.
    pub left_out_of_snapshots: u64,
}

impl TtlMetrics {
    /// How many values are gone from the state, whatever removed them; with compactions, which count versions, it may be more.
    #[must_use]
    pub fn removed(&self) -> u64 {
        self.by_accesses
            + self.by_cleanup_with_accesses
            + self.by_cleanup_with_records
            + self.by_cleanup_while_idle
            + self.by_cleanup_on_request
            + self.by_compactions
    }

    fn each(&mut self, other: TtlMetrics, change: impl Fn(&mut u64, u64)) {
        let TtlMetrics {
            by_accesses,
            by_cleanup_with_accesses,
            by_cleanup_with_records,
            by_cleanup_while_idle,
            by_cleanup_on_request,
            by_compactions,
            left_out_of_snapshots,
        } = other;
        change(&mut self.by_accesses, by_accesses);
        change(&mut self.by_cleanup_with_accesses, by_cleanup_with_accesses);
        change(&mut self.by_cleanup_with_records, by_cleanup_with_records);
        change(&mut self.by_cleanup_while_idle, by_cleanup_while_idle);
        change(&mut self.by_cleanup_on_request, by_cleanup_on_request);
        change(&mut self.by_compactions, by_compactions);
        change(&mut self.left_out_of_snapshots, left_out_of_snapshots);
    }
}

impl AddAssign for TtlMetrics {
    fn add_assign(&mut self, other: TtlMetrics) {
        self.each(other, |mine, others| *mine += others);
    }
}

impl Sub for TtlMetrics {
    type Output = TtlMetrics;

    fn sub(mut self, earlier: TtlMetrics) -> TtlMetrics {
        self.each(earlier, |mine, earlier| *mine -= earlier);
        self
    }
}

/// What has expired and is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpiredButPresent {
    /// How many values: single ones, elements of lists, entries of maps.
    pub values: u64,
    /// Their bytes with their times, as a backend of bytes has them, also where they are objects: for an element of a list
    /// with its length, for an entry of a map without its key.
    pub bytes: u64,
}

impl ExpiredButPresent {
    /// Of values that would be written so.
    pub(in crate::state::keyed) fn of<'a, V: 'a>(
        serializer: &dyn StateSerializer<V>,
        values: impl Iterator<Item = &'a V>,
    ) -> Result<Self, StateError> {
        let mut found = ExpiredButPresent::default();
        for value in values {
            let mut bytes = Vec::new();
            serialize_within(MAX_RECORD_BYTES, serializer, value, &mut bytes)?;
            found += ExpiredButPresent { values: 1, bytes: bytes.len() as u64 };
        }
        Ok(found)
    }

    /// What a compaction would remove of `value`.
    pub(in crate::state::keyed) fn without(value: &[u8], compacted: &Compacted<'_>) -> Self {
        let left = compacted.left.as_ref().map_or(0, |left| left.len());
        ExpiredButPresent { values: compacted.expired as u64, bytes: (value.len() - left) as u64 }
    }
}

impl AddAssign for ExpiredButPresent {
    fn add_assign(&mut self, other: ExpiredButPresent) {
        self.values += other.values;
        self.bytes += other.bytes;
    }
}

impl SubAssign for ExpiredButPresent {
    fn sub_assign(&mut self, other: ExpiredButPresent) {
        self.values -= other.values;
        self.bytes -= other.bytes;
    }
}

/// What removes expired values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemovedBy {
    Access,
    CleanUpWithAccess,
    CleanUpWithRecord,
    CleanUpWhileIdle,
    CleanUpOnRequest,
    Compaction,
    Snapshot,
}

/// How many values of one state were removed, by what. Its snapshots, which other threads write, count here too.
#[derive(Debug, Default)]
pub(in crate::state::keyed) struct Removals([AtomicU64; 7]);

impl Removals {
    #[cold]
    pub(in crate::state::keyed) fn count(&self, by: RemovedBy, values: usize) {
        //= spec/ttl.md#ttl-21-what-is-counted
        //# Each value that is removed because it has expired MUST be counted once, under what removed it.
        self.0[by as usize].fetch_add(values as u64, Ordering::Relaxed);
    }

    fn read(&self) -> TtlMetrics {
        let by = |by: RemovedBy| self.0[by as usize].load(Ordering::Relaxed);
        TtlMetrics {
            by_accesses: by(RemovedBy::Access),
            by_cleanup_with_accesses: by(RemovedBy::CleanUpWithAccess),
            by_cleanup_with_records: by(RemovedBy::CleanUpWithRecord),
            by_cleanup_while_idle: by(RemovedBy::CleanUpWhileIdle),
            by_cleanup_on_request: by(RemovedBy::CleanUpOnRequest),
            by_compactions: by(RemovedBy::Compaction),
            left_out_of_snapshots: by(RemovedBy::Snapshot),
        }
    }
}

impl<K: StateKey> KeyedStateStore<K> {
    /// What was removed of a state because it had expired, since it was opened; nothing if it has no time to live.
    ///
    /// # Errors
    /// The state was opened by another store.
    pub fn ttl_metrics<S: StateHandle>(&self, state: &S) -> Result<TtlMetrics, StateError> {
        let id = state.id().0;
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        let expiring = self.states[id.index].table.expiring();
        Ok(expiring.map(|expiring| expiring.removals.read()).unwrap_or_default())
    }

    /// What was removed of all states.
    #[must_use]
    pub fn ttl_metrics_of_all(&self) -> TtlMetrics {
        let mut all = TtlMetrics::default();
        let expiring = self.states.iter().filter_map(|open| open.table.expiring());
        expiring.for_each(|expiring| all += expiring.removals.read());
        all
    }

    /// How much of all states had expired and was still there when the snapshot was taken that was written last: to
    /// write a snapshot comes by everything anyway, so this costs those who access the state nothing. Nothing before the
    /// first one, and nothing new of snapshots that consist of files of a backend.
    #[must_use]
    pub fn expired_but_present_in_snapshot(&self) -> ExpiredButPresent {
        let mut all = ExpiredButPresent::default();
        for expiring in self.states.iter().filter_map(|open| open.table.expiring()) {
            all += *expiring.found_by_snapshot.lock().unwrap_or_else(PoisonError::into_inner);
        }
        all
    }

    /// How much of a state has expired at this moment and is still there, for all keys; nothing if it has no time to live.
    /// It is exact, since it looks at everything, and removes nothing. Needs no current key.
    ///
    /// # Errors
    /// The state was opened by another store or cannot be read, or a value refuses to be serialized.
    pub fn expired_but_present<S: StateHandle>(&self, state: &S) -> Result<ExpiredButPresent, StateError> {
        let id = state.id().0;
        let view = self.view::<S::Namespace, S::Layout>(id)?;
        let layout = view.layout();
        let Some(expiring) = layout.expiring() else { return Ok(ExpiredButPresent::default()) };
        let now = self.now(&expiring.ttl);
        //= spec/ttl.md#ttl-22-what-has-expired-and-is-still-there
        //# A look at what has expired and is still there MUST count what clean-up would remove now, and change nothing.
        let mut found = ExpiredButPresent::default();
        match view {
            View::Objects(table) => table.iter().try_for_each(|(_, stored)| {
                let measured = layout.measure_expired(stored, now);
                found += measured.map_err(|error| error.of_state(&self.states[id.index].requested.name))?;
                Ok::<_, StateError>(())
            })?,
            View::Bytes(table, backend) => table.scan(backend, &[]).try_for_each(|entry| {
                let (_, value) = entry?;
                found += ExpiredButPresent::without(&value, &layout.compact(&value, now));
                Ok::<_, StateError>(())
            })?,
        }
        Ok(found)
    }
}
