//! How the state of one key and namespace is kept in memory, and how it becomes entries of a snapshot.

use crate::codec::append_record;
use crate::state::serializer::{
    MAX_RECORD_BYTES, ResolvedSerializer, SerializerSnapshot, StateSerializer, serialize_within,
};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject};
use crate::ttl::{Stamped, StateTtlConfig, split_time};
use std::borrow::Cow;
use std::sync::Arc;

/// Appends a value as a record.
#[inline]
pub(super) fn append_serialized<T>(
    target: &mut Vec<u8>,
    serializer: &Arc<dyn StateSerializer<T>>,
    value: &T,
) -> Result<(), StateError> {
    append_record(target, |bytes| Ok(serialize_within(MAX_RECORD_BYTES, &**serializer, value, bytes)?))
}

/// The key of a map's entry, and a value.
pub type Migrated<'a> = (Option<Cow<'a, [u8]>>, Cow<'a, [u8]>);

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
    Nothing,
    /// Some elements of a list or entries of a map.
    Some,
    /// Everything.
    All,
}

/// The time to live of values that have the time of their last update.
pub struct Expiry<V> {
    pub(super) ttl: StateTtlConfig,
    updated: fn(&V) -> i64,
}

impl<V> Clone for Expiry<V> {
    fn clone(&self) -> Self {
        Expiry { ttl: self.ttl, updated: self.updated }
    }
}

impl<V> Expiry<Stamped<V>> {
    pub(super) fn new(ttl: StateTtlConfig) -> Self {
        Expiry { ttl, updated: |stamped| stamped.updated }
    }
}

impl<V> Expiry<V> {
    /// Whether clean-up removes a value.
    pub(super) fn has_expired(&self, value: &V, now: i64) -> bool {
        self.ttl.is_cleaned_up((self.updated)(value), now)
    }
}

/// How much of `all` has expired.
pub(super) fn expired<'a, V: 'a>(
    expiry: Option<&Expiry<V>>,
    mut all: impl Iterator<Item = &'a V>,
    now: i64,
) -> Expired {
    let Some(expiry) = expiry else { return Expired::Nothing };
    let Some(first) = all.next() else { return Expired::Nothing };
    let is_first_expired = expiry.has_expired(first, now);
    match all.any(|value| expiry.has_expired(value, now) != is_first_expired) {
        true => Expired::Some,
        false if is_first_expired => Expired::All,
        false => Expired::Nothing,
    }
}

/// Whether the bytes of a value that has its time in front have expired; what is no such value stays.
pub(super) fn has_bytes_expired<V>(expiry: &Expiry<V>, value: &[u8], now: i64) -> bool {
    split_time(value).is_some_and(|(updated, _)| expiry.ttl.is_cleaned_up(updated, now))
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

    /// The bytes that the present serializers have for an entry of a snapshot, the key of the map and the value, which
    /// are those that stand there unless something is migrated.
    fn migrate<'a>(&self, user_key: Option<&'a [u8]>, value: &'a [u8]) -> Result<Migrated<'a>, String>;

    /// Its time to live.
    fn ttl(&self) -> Option<&StateTtlConfig>;

    /// How much of the content has expired at `now`.
    fn expired(&self, stored: &Self::Stored, now: i64) -> Expired;

    /// Removes what has expired at `now`, of which there is some and not all.
    fn purge(&self, stored: &mut Self::Stored, now: i64);

    /// The bytes of a value, or of a list, without what has expired at `now`; nothing if that is all.
    fn purged<'a>(&self, value: &'a [u8], now: i64) -> Option<Cow<'a, [u8]>>;

    /// Writes the entries, without those that have expired if there is a time at which they are asked for; `scope` holds the records of key and namespace.
    fn write(
        &self,
        scope: &[u8],
        stored: &Self::Stored,
        now: Option<i64>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError>;
}
