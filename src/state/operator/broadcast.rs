use super::held::{Held, Openable, write_record};
use super::{OperatorStateBackend, OperatorStateType, RawOperatorState, StateId};
use crate::codec::{BlockWriter, CodecError};
use crate::state::serializer::{ResolvedSerializer, StateSerializer, resolve};
use crate::state::{StateError, StateObject, StatePart};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a type needs to be a key of a [`BroadcastState`]: an order, in which every subtask has its entries.
pub trait BroadcastKey: StateObject + Ord {}

impl<UK: StateObject + Ord> BroadcastKey for UK {}

/// An opened map of operator state that is to be the same in every subtask (Flink: `BroadcastState`). Small and copied
/// freely; it belongs to the backend that opened it.
///
/// Only what every subtask receives may change it, in the way that depends on nothing else. The side of the operator that
/// receives other records is given no more than [`ReadOnlyBroadcastState`].
///
/// # Errors
/// Of all methods: [`StateError::ForeignHandle`], the map was opened by another backend.
pub struct BroadcastState<UK, UV> {
    id: StateId,
    marker: PhantomData<fn() -> (UK, UV)>,
}

impl<UK, UV> Clone for BroadcastState<UK, UV> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<UK, UV> Copy for BroadcastState<UK, UV> {}

impl<UK, UV> fmt::Debug for BroadcastState<UK, UV> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BroadcastState").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<UK: BroadcastKey, UV: StateObject> BroadcastState<UK, UV> {
    pub(super) fn new(id: StateId) -> Self {
        BroadcastState { id, marker: PhantomData }
    }

    /// The map as it is now, for those who may not change it.
    pub fn read<'a>(
        &self,
        backend: &'a OperatorStateBackend,
    ) -> Result<ReadOnlyBroadcastState<'a, UK, UV>, StateError> {
        Ok(ReadOnlyBroadcastState { entries: &backend.held::<Entries<UK, UV>>(self.id)?.entries })
    }

    /// The value at `key`, if there is one.
    pub fn get<'a, Q: Ord + ?Sized>(
        &self,
        backend: &'a OperatorStateBackend,
        key: &Q,
    ) -> Result<Option<&'a UV>, StateError>
    where
        UK: Borrow<Q>,
    {
        Ok(self.read(backend)?.get(key))
    }

    /// Whether there is an entry at `key`.
    pub fn contains<Q: Ord + ?Sized>(
        &self,
        backend: &OperatorStateBackend,
        key: &Q,
    ) -> Result<bool, StateError>
    where
        UK: Borrow<Q>,
    {
        Ok(self.read(backend)?.contains(key))
    }

    /// All entries in the order of their keys.
    pub fn entries<'a>(
        &self,
        backend: &'a OperatorStateBackend,
    ) -> Result<impl Iterator<Item = (&'a UK, &'a UV)> + use<'a, UK, UV>, StateError> {
        Ok(self.read(backend)?.entries())
    }

    /// The number of entries.
    pub fn len(&self, backend: &OperatorStateBackend) -> Result<usize, StateError> {
        Ok(self.read(backend)?.len())
    }

    /// Whether there is no entry.
    pub fn is_empty(&self, backend: &OperatorStateBackend) -> Result<bool, StateError> {
        Ok(self.read(backend)?.is_empty())
    }

    /// Puts `value` at `key` and gives what was there.
    pub fn put(
        &self,
        backend: &mut OperatorStateBackend,
        key: UK,
        value: UV,
    ) -> Result<Option<UV>, StateError> {
        Ok(self.entries_mut(backend)?.insert(key, value))
    }

    /// Puts all of `entries` into the map.
    pub fn put_all(
        &self,
        backend: &mut OperatorStateBackend,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        self.entries_mut(backend)?.extend(entries);
        Ok(())
    }

    /// Removes the entry at `key` and gives its value.
    pub fn remove<Q: Ord + ?Sized>(
        &self,
        backend: &mut OperatorStateBackend,
        key: &Q,
    ) -> Result<Option<UV>, StateError>
    where
        UK: Borrow<Q>,
    {
        // A map that stays as it is need not be copied for a snapshot.
        match self.contains(backend, key)? {
            true => Ok(self.entries_mut(backend)?.remove(key)),
            false => Ok(None),
        }
    }

    /// Removes all entries.
    pub fn clear(&self, backend: &mut OperatorStateBackend) -> Result<(), StateError> {
        backend.held_mut::<Entries<UK, UV>>(self.id)?.entries = Arc::default();
        Ok(())
    }

    fn entries_mut<'a>(
        &self,
        backend: &'a mut OperatorStateBackend,
    ) -> Result<&'a mut BTreeMap<UK, UV>, StateError> {
        Ok(Arc::make_mut(&mut backend.held_mut::<Entries<UK, UV>>(self.id)?.entries))
    }
}

/// Broadcast state on the side that may not change it (Flink: `ReadOnlyBroadcastState`).
#[derive(Debug)]
pub struct ReadOnlyBroadcastState<'a, UK, UV> {
    entries: &'a BTreeMap<UK, UV>,
}

impl<UK, UV> Clone for ReadOnlyBroadcastState<'_, UK, UV> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<UK, UV> Copy for ReadOnlyBroadcastState<'_, UK, UV> {}

impl<'a, UK: Ord, UV> ReadOnlyBroadcastState<'a, UK, UV> {
    /// The value at `key`, if there is one.
    #[must_use]
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&'a UV>
    where
        UK: Borrow<Q>,
    {
        self.entries.get(key)
    }

    /// Whether there is an entry at `key`.
    #[must_use]
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        UK: Borrow<Q>,
    {
        self.entries.contains_key(key)
    }

    /// All entries in the order of their keys.
    pub fn entries(&self) -> impl Iterator<Item = (&'a UK, &'a UV)> + use<'a, UK, UV> {
        self.entries.iter()
    }

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The content of a map.
#[derive(Clone)]
pub(super) struct Entries<UK, UV> {
    key: ResolvedSerializer<UK>,
    value: ResolvedSerializer<UV>,
    entries: Arc<BTreeMap<UK, UV>>,
}

impl<UK, UV> Entries<UK, UV> {
    pub(super) fn new(key: Arc<dyn StateSerializer<UK>>, value: Arc<dyn StateSerializer<UV>>) -> Self {
        let (key, value) = (ResolvedSerializer::new(key), ResolvedSerializer::new(value));
        Entries { key, value, entries: Arc::default() }
    }
}

impl<UK: BroadcastKey, UV: StateObject> Held for Entries<UK, UV> {
    fn state_type(&self) -> OperatorStateType {
        let (key, value) = (self.key.serializer().snapshot(), self.value.serializer().snapshot());
        OperatorStateType::Broadcast { key, value }
    }

    fn items(&self) -> u64 {
        self.entries.len() as u64
    }

    fn write(&self, target: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError> {
        let mut scratch = Vec::new();
        self.entries.iter().try_for_each(|(key, value)| {
            write_record(&**self.key.serializer(), key, &mut scratch, target)?;
            write_record(&**self.value.serializer(), value, &mut scratch, target)
        })
    }

    fn share(&self) -> Box<dyn Held> {
        Box::new(self.clone())
    }
}

impl<UK: BroadcastKey, UV: StateObject> Openable for Entries<UK, UV> {
    fn restored(self, name: &str, raw: &RawOperatorState) -> Result<Self, StateError> {
        let OperatorStateType::Broadcast { key, value } = &raw.state_type else {
            return Err(StateError::mismatch(name, &raw.state_type, &self.state_type()));
        };
        let key = resolve(name, StatePart::UserKeys, self.key.serializer(), key)?;
        let value = resolve(name, StatePart::Values, self.value.serializer(), value)?;
        let read = |[key_bytes, value_bytes]: [&[u8]; 2]| {
            Ok((key.read_restored(key_bytes)?, value.read_restored(value_bytes)?))
        };
        let decoded = raw.decode(name, read)?;
        let count = decoded.len();
        let entries: BTreeMap<UK, UV> = decoded.into_iter().collect();
        if entries.len() < count {
            let what = "two entries have the same key".to_owned();
            return Err(StateError::Undecodable { state: name.to_owned(), key_group: None, what });
        }
        Ok(Entries { key, value, entries: Arc::new(entries) })
    }
}
