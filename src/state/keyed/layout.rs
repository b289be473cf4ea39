//! How the state of one key and namespace is kept in memory, and how it becomes entries of a snapshot.

use crate::codec::append_record;
use crate::state::serializer::{
    MAX_RECORD_BYTES, ResolvedSerializer, SerializerSnapshot, StateSerializer, serialize_within,
};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject};
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

    /// Writes the entries; `scope` holds the records of key and namespace.
    fn write(
        &self,
        scope: &[u8],
        stored: &Self::Stored,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError>;
}
