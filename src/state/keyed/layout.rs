//! How the state of one key and namespace is kept in memory, and how it becomes entries of a snapshot.

use super::times::SharedTimes;
use super::ttl::{ExpiredButPresent, Removals, RemovedBy};
use crate::base::TimeDomain;
use crate::codec::append_record;
use crate::state::backend::{CompactionFilter, ExpiringValues};
use crate::state::serializer::{
    MAX_RECORD_BYTES, ResolvedSerializer, SerializerSnapshot, StateSerializer, serialize_within,
};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject};
use crate::ttl::{Compacted, CompactionClock, Stamped, StateTtlConfig};
use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

/// Appends a value as a record.
// As `append_record`.
#[inline(always)]
pub(super) fn append_serialized<T>(
    target: &mut Vec<u8>,
    serializer: &Arc<dyn StateSerializer<T>>,
    value: &T,
) -> Result<(), StateError> {
    append_record(target, |bytes| Ok(serialize_within(MAX_RECORD_BYTES, &**serializer, value, bytes)?))
}

/// The bytes of a value with the present serializer.
pub(super) fn migrate<'a, T>(
    serializer: &ResolvedSerializer<T>,
    bytes: &'a [u8],
) -> Result<Cow<'a, [u8]>, String> {
    if !serializer.migrates() {
        return Ok(Cow::Borrowed(bytes));
    }
    let mut migrated = Vec::new();
    let value = serializer.read_restored(bytes)?;
    serialize_within(MAX_RECORD_BYTES, &**serializer.serializer(), &value, &mut migrated)
        .map_err(|error| error.to_string())?;
    Ok(Cow::Owned(migrated))
}

/// How much of the content of a key and namespace has expired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expired {
    /// Nothing.
    Nothing {
        /// The time of its oldest update.
        oldest: i64,
    },
    /// Some elements of a list or entries of a map.
    Some,
    /// Everything.
    All,
}

/// The time to live of a state, what was removed by it, and what the snapshot that was written last has found expired.
pub struct Expiring {
    pub(super) ttl: StateTtlConfig,
    pub(super) removals: Removals,
    pub(super) found_by_snapshot: Mutex<ExpiredButPresent>,
}

/// The time to live of values that have the time of their last update.
pub struct Expiry<V> {
    pub(super) of: Arc<Expiring>,
    /// That of `of`: clean-up asks it about every value.
    ttl: StateTtlConfig,
    updated: fn(&V) -> i64,
}

impl<V> Clone for Expiry<V> {
    fn clone(&self) -> Self {
        Expiry { of: Arc::clone(&self.of), ..*self }
    }
}

impl<V> Expiry<Stamped<V>> {
    pub(super) fn new(ttl: StateTtlConfig) -> Self {
        let of =
            Arc::new(Expiring { ttl, removals: Removals::default(), found_by_snapshot: Mutex::default() });
        Expiry { of, ttl, updated: |stamped| stamped.updated }
    }
}

impl<V> Expiry<V> {
    /// The time of the oldest update among `all`.
    pub(super) fn oldest<'a>(&self, all: impl Iterator<Item = &'a V>) -> i64
    where
        V: 'a,
    {
        all.map(self.updated).min().unwrap_or(i64::MAX)
    }

    /// Whether clean-up removes a value.
    pub(super) fn has_expired(&self, value: &V, now: i64) -> bool {
        self.ttl.is_cleaned_up((self.updated)(value), now)
    }
}

/// How much of `all` has expired.
pub(super) fn expired<'a, V: 'a>(
    expiry: Option<&Expiry<V>>,
    all: impl Iterator<Item = &'a V>,
    now: i64,
) -> Expired {
    let (mut oldest, mut has_expired, mut has_live) = (i64::MAX, false, false);
    let Some(expiry) = expiry else { return Expired::Nothing { oldest } };
    for updated in all.map(expiry.updated) {
        if expiry.ttl.is_cleaned_up(updated, now) {
            has_expired = true;
        } else {
            (oldest, has_live) = (oldest.min(updated), true);
        }
        if has_expired && has_live {
            return Expired::Some;
        }
    }
    if has_expired { Expired::All } else { Expired::Nothing { oldest } }
}

/// The values of a state for compactions.
struct Compacting<L> {
    layout: L,
    domain: TimeDomain,
    clock: CompactionClock,
    times: Arc<SharedTimes>,
}

impl<L: Layout> ExpiringValues for Compacting<L> {
    fn clock(&self) -> CompactionClock {
        self.clock.clone()
    }

    fn now(&self) -> i64 {
        self.times.now(self.domain)
    }

    fn all_expired(&self, value: &[u8], now: i64) -> Option<usize> {
        let compacted = self.layout.compact(value, now);
        compacted.left.is_none().then_some(compacted.expired)
    }

    fn count_removed(&self, values: usize) {
        self.layout.count_removed(RemovedBy::Compaction, values);
    }
}

/// What one kind of state keeps for each key and namespace.
pub trait Layout: Clone + Send + Sync + 'static {
    /// The content, cheap to clone where it can be large.
    type Stored: StateObject;

    /// The serializers of the user's keys, for maps, and of values.
    fn serializers(&self) -> (Option<SerializerSnapshot>, SerializerSnapshot);

    /// The layout that reads what was written under `header`.
    fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError>;

    /// Adds an entry of a snapshot to what the entries before it have made.
    fn read(
        &self,
        stored: Option<&mut Self::Stored>,
        user_key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Option<Self::Stored>, String>;

    /// Whether what was restored is to be written anew.
    fn migrates(&self) -> bool;

    /// Whether that concerns the keys of maps.
    fn migrates_user_keys(&self) -> bool {
        false
    }

    /// The bytes that the present serializer has for a key of a map, which are those that stand there unless it migrates.
    fn migrate_user_key<'a>(&self, user_key: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        Ok(Cow::Borrowed(user_key))
    }

    /// As [`migrate_user_key`](Self::migrate_user_key), of a value; of all elements for a list.
    fn migrate_value<'a>(&self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, String>;

    /// Its time to live, and what was removed by it.
    fn expiring(&self) -> Option<&Expiring>;

    /// What the backend's compactions ask about its values.
    fn compaction_filter(&self, times: &Arc<SharedTimes>) -> Option<CompactionFilter> {
        let ttl = self.expiring()?.ttl;
        let clock = CompactionClock::new(&ttl)?;
        let (layout, times) = (self.clone(), Arc::clone(times));
        Some(CompactionFilter::new(Arc::new(Compacting { layout, domain: ttl.time_domain(), clock, times })))
    }

    /// Counts values that are removed because they have expired.
    fn count_removed(&self, by: RemovedBy, values: usize) {
        if let Some(expiring) = self.expiring() {
            expiring.removals.count(by, values);
        }
    }

    /// Takes note of what a snapshot has found.
    fn note_found_by_snapshot(&self, found: ExpiredButPresent) {
        if let Some(expiring) = self.expiring() {
            *expiring.found_by_snapshot.lock().unwrap_or_else(PoisonError::into_inner) = found;
        }
    }

    /// How many values the content has: those that may expire each for itself.
    fn values(&self, stored: &Self::Stored) -> usize;

    /// How much of the content has expired at `now`.
    fn expired(&self, stored: &Self::Stored, now: i64) -> Expired;

    /// Removes what has expired at `now`, of which there is some and not all, and tells the time of the oldest update of the
    /// rest.
    fn purge(&self, stored: &mut Self::Stored, now: i64) -> i64;

    /// How many values have expired at `now`, and the bytes that they would be written as.
    fn measure_expired(&self, stored: &Self::Stored, now: i64) -> Result<ExpiredButPresent, StateError>;

    /// What clean-up at `now` leaves of the bytes of a value, or of a list.
    fn compact<'a>(&self, value: &'a [u8], now: i64) -> Compacted<'a>;

    /// Writes the entries, without those that have expired if there is a time at which they are asked for; `append_scope`
    /// appends the records of key and namespace.
    fn write(
        &self,
        append_scope: impl Fn(&mut Vec<u8>) -> Result<(), StateError>,
        stored: &Self::Stored,
        now: Option<i64>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError>;
}
