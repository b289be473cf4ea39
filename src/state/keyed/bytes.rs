//! A state whose content a backend keeps as bytes.

use super::layout::{Expiring, Layout, append_serialized};
use super::objects::{Scope, key_in_wrong_group};
use super::schema::{AnyTable, Schema, SnapshotTime, TableSnapshot};
use super::times::Times;
use super::ttl::{ExpiredButPresent, RemovedBy};
use super::{CurrentKey, Namespace, StateKey};
use crate::codec::{append_record, take_record};
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism, key_group_of};
use crate::state::backend::{BackendError, BackendSnapshot, Entry, KeyedStateBackend, StateNumber};
use crate::state::serializer::{MAX_RECORD_BYTES, StateSerializer, serialize_within};
use crate::state::{KeyedStateHeader, KeyedStateWriter, RawEntry, RawKeyedState, StateError};
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;

/// The bytes of a key group in front of a key.
const KEY_GROUP_BYTES: usize = 2;

fn key_group_bytes(group: KeyGroup) -> [u8; KEY_GROUP_BYTES] {
    group.0.to_be_bytes()
}

/// What says how a state's bytes are to be understood.
pub(super) struct BytesTable<K, N, L> {
    name: String,
    range: KeyGroupRange,
    pub(super) state: StateNumber,
    pub(super) schema: Arc<Schema<K, N, L>>,
}

impl<K: StateKey, N: Namespace, L: Layout> BytesTable<K, N, L> {
    pub(super) fn new(name: &str, range: KeyGroupRange, state: StateNumber, schema: Schema<K, N, L>) -> Self {
        BytesTable { name: name.to_owned(), range, state, schema: Arc::new(schema) }
    }

    /// The bytes of a key and a namespace, with which all keys of their entries begin.
    pub(super) fn scope(&self, current: &CurrentKey<K>, namespace: &N) -> Result<Vec<u8>, StateError> {
        let mut bytes = key_group_bytes(current.key_group).to_vec();
        append_serialized(&mut bytes, &self.schema.key, &current.key)
            .and_then(|()| append_serialized(&mut bytes, self.schema.namespace.serializer(), namespace))
            .map_err(|error| self.refused(error))?;
        Ok(bytes)
    }

    /// The bytes of a value.
    pub(super) fn bytes_of<T>(
        &self,
        serializer: &Arc<dyn StateSerializer<T>>,
        value: &T,
    ) -> Result<Vec<u8>, StateError> {
        let mut bytes = Vec::new();
        let serialized = serialize_within(MAX_RECORD_BYTES, &**serializer, value, &mut bytes);
        serialized.map_err(|error| self.refused(error.into()))?;
        Ok(bytes)
    }

    /// Puts a restored state into the backend, migrated if it must be.
    pub(super) fn fill_from(
        &self,
        raw: &RawKeyedState,
        max: MaxParallelism,
        backend: &mut dyn KeyedStateBackend,
    ) -> Result<(), StateError> {
        for_each_entry(raw, &*self.schema.key, max, |group, mut key, entry| {
            let undecodable =
                |what| StateError::Undecodable { state: self.name.clone(), key_group: Some(group), what };
            let layout = &self.schema.layout;
            let (user_key, value) = layout.migrate(entry.user_key, entry.value).map_err(undecodable)?;
            if let Some(user_key) = user_key {
                append_part(&mut key, &user_key);
                // Only keys that have changed can have become the same.
                let is_new = matches!(user_key, Cow::Owned(_));
                if is_new && backend.get(self.state, &key).map_err(|error| self.failed(error))?.is_some() {
                    return Err(undecodable(ONE_KEY_TWICE.to_owned()));
                }
            }
            backend.put(self.state, &key, &value).map_err(|error| self.failed(error))
        })
    }

    /// Whether the serializers ask for a state with which the backend was restored to be written anew.
    pub(super) fn migrates(&self) -> bool {
        self.schema.layout.migrates()
    }

    /// Reads what [`migrate`](Self::migrate) will write, so that nothing has changed if that is impossible.
    pub(super) fn check_migration(&self, backend: &dyn KeyedStateBackend) -> Result<(), StateError> {
        self.range.groups().try_for_each(|group| self.migrated(group, backend).map(drop))
    }

    /// Writes a state anew with which the backend was restored.
    pub(super) fn migrate(&self, backend: &mut dyn KeyedStateBackend) -> Result<(), StateError> {
        for group in self.range.groups() {
            let Migration { old_keys, entries } = self.migrated(group, backend)?;
            // A new key may be the old one of another entry.
            for key in &old_keys {
                backend.delete(self.state, key).map_err(|error| self.failed(error))?;
            }
            for (key, value) in &entries {
                backend.put(self.state, key, value).map_err(|error| self.failed(error))?;
            }
        }
        Ok(())
    }

    fn migrated(&self, group: KeyGroup, backend: &dyn KeyedStateBackend) -> Result<Migration, StateError> {
        let undecodable =
            |what| StateError::Undecodable { state: self.name.clone(), key_group: Some(group), what };
        let mut migration = Migration { old_keys: Vec::new(), entries: Vec::new() };
        for entry in backend.scan(self.state, &key_group_bytes(group)) {
            let (key, value) = entry.map_err(|error| self.failed(error))?;
            let (_, user_key) = self.read_scope(&key)?;
            let (mut new_key, mut rest) = (key[..key.len() - user_key.len()].to_vec(), user_key);
            let (user_key, value) =
                self.schema.layout.migrate(take_record(&mut rest), &value).map_err(undecodable)?;
            if let Some(user_key) = user_key {
                append_part(&mut new_key, &user_key);
            }
            migration.entries.push((new_key, value.into_owned()));
            migration.old_keys.push(key);
        }
        let keys: BTreeSet<&[u8]> = migration.entries.iter().map(|(key, _)| &key[..]).collect();
        match keys.len() == migration.entries.len() {
            true => Ok(migration),
            false => Err(undecodable(ONE_KEY_TWICE.to_owned())),
        }
    }

    /// The scope that an entry's key begins with, and the bytes behind it.
    pub(super) fn read_scope<'a>(&self, key: &'a [u8]) -> Result<(Scope<K, N>, &'a [u8]), StateError> {
        let group = key.first_chunk().map(|group| KeyGroup(u16::from_be_bytes(*group)));
        let undecodable = |what| StateError::Undecodable { state: self.name.clone(), key_group: group, what };
        let mut rest = key.get(KEY_GROUP_BYTES..).unwrap_or_default();
        let mut record = || take_record(&mut rest).ok_or_else(|| undecodable("a key ends early".to_owned()));
        let (key, namespace) = (record()?, record()?);
        let scope = Scope {
            key: self.schema.key.deserialize(key).map_err(undecodable)?,
            namespace: self.schema.namespace.serializer().deserialize(namespace).map_err(undecodable)?,
        };
        Ok((scope, rest))
    }

    /// Every key and namespace that has something, in the order of their bytes.
    pub(super) fn scopes<'a>(
        &'a self,
        backend: &'a dyn KeyedStateBackend,
    ) -> impl Iterator<Item = Result<Scope<K, N>, StateError>> + 'a {
        let mut previous = Vec::new();
        backend.scan(self.state, &[]).filter_map(move |entry| {
            let read = |(key, _): Entry| {
                let (scope, rest) = self.read_scope(&key)?;
                let bytes = &key[..key.len() - rest.len()];
                if previous == bytes {
                    return Ok(None);
                }
                previous = bytes.to_vec();
                Ok(Some(scope))
            };
            entry.map_err(|error| self.failed(error)).and_then(read).transpose()
        })
    }

    /// The error for what is not the bytes of a value.
    pub(super) fn undecodable(&self, current: Option<&CurrentKey<K>>, what: String) -> StateError {
        let key_group = current.map(|current| current.key_group);
        StateError::Undecodable { state: self.name.clone(), key_group, what }
    }

    /// The error for what may not be written.
    pub(super) fn refused(&self, error: StateError) -> StateError {
        error.of_state(&self.name)
    }

    /// The error for what the backend could not do.
    pub(super) fn failed(&self, error: BackendError) -> StateError {
        StateError::Backend { state: self.name.clone(), cause: error }
    }
}

/// What becomes of the entries of a key group.
struct Migration {
    old_keys: Vec<Vec<u8>>,
    entries: Vec<Entry>,
}

/// Why a state of maps cannot be migrated.
const ONE_KEY_TWICE: &str = "a map has one key twice";

/// Puts the entries of a state that other subtasks have left in files beside it into the backend, as they are.
pub(super) fn put_raw<K: StateKey>(
    raw: &RawKeyedState,
    keys: &dyn StateSerializer<K>,
    max: MaxParallelism,
    state: StateNumber,
    backend: &mut dyn KeyedStateBackend,
) -> Result<(), StateError> {
    for_each_entry(raw, keys, max, |_, mut key, entry| {
        if let Some(user_key) = entry.user_key {
            append_part(&mut key, user_key);
        }
        let failed = |cause| StateError::Backend { state: raw.header.name.clone(), cause };
        backend.put(state, &key, entry.value).map_err(failed)
    })
}

/// Passes on each entry of a restored state with its key group and the bytes of its scope.
fn for_each_entry<K: StateKey>(
    raw: &RawKeyedState,
    keys: &dyn StateSerializer<K>,
    max: MaxParallelism,
    mut entry_of_scope: impl FnMut(KeyGroup, Vec<u8>, RawEntry<'_>) -> Result<(), StateError>,
) -> Result<(), StateError> {
    for (&group, entries) in &raw.groups {
        let undecodable =
            |what| StateError::Undecodable { state: raw.header.name.clone(), key_group: Some(group), what };
        for entry in entries.iter(raw.header.kind) {
            let key = keys.deserialize(entry.key).map_err(undecodable)?;
            let found = key_group_of(key.key_hash(), max);
            if found != group {
                return Err(undecodable(key_in_wrong_group(found)));
            }
            let mut scope = key_group_bytes(group).to_vec();
            append_part(&mut scope, entry.key);
            append_part(&mut scope, entry.namespace);
            entry_of_scope(group, scope, entry)?;
        }
    }
    Ok(())
}

pub(super) fn append_part(target: &mut Vec<u8>, part: &[u8]) {
    let copied: Result<(), std::convert::Infallible> = append_record(target, |bytes| {
        bytes.extend_from_slice(part);
        Ok(())
    });
    let Ok(()) = copied;
}

impl<K: StateKey, N: Namespace, L: Layout> AnyTable<K> for BytesTable<K, N, L> {
    fn share(&mut self, times: &Times) -> Box<dyn TableSnapshot> {
        let (name, range, state) = (self.name.clone(), self.range, self.state);
        let table = BytesTable { name, range, state, schema: Arc::clone(&self.schema) };
        Box::new(SharedBytes { time: self.schema.snapshot_time(times), table })
    }

    fn expiring(&self) -> Option<&Expiring> {
        self.schema.layout.expiring()
    }
}

/// A table at one moment, in the snapshot of its backend.
struct SharedBytes<K, N, L> {
    table: BytesTable<K, N, L>,
    time: Option<SnapshotTime>,
}

impl<K: StateKey, N: Namespace, L: Layout> TableSnapshot for SharedBytes<K, N, L> {
    fn header(&self) -> KeyedStateHeader {
        self.table.schema.header(&self.table.name)
    }

    fn is_empty(&self, backend: Option<&dyn BackendSnapshot>) -> bool {
        let is_empty = backend.is_none_or(|backend| has_no_entry(backend, self.table.state));
        if is_empty {
            // Then it is not written.
            self.table.schema.layout.note_found_by_snapshot(ExpiredButPresent::default());
        }
        is_empty
    }

    fn write(
        &self,
        backend: Option<&dyn BackendSnapshot>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        let Some(backend) = backend else { return Ok(()) };
        let SharedBytes { table, time } = self;
        let layout = &table.schema.layout;
        let mut found = ExpiredButPresent::default();
        let live = |value: &[u8], write: &mut dyn FnMut(&[u8]) -> Result<(), StateError>| {
            let Some(SnapshotTime { now, leaves_out }) = *time else { return write(value) };
            let compacted = layout.compact(value, now);
            found += ExpiredButPresent::without(value, &compacted);
            if !leaves_out || compacted.expired == 0 {
                return write(value);
            }
            layout.count_removed(RemovedBy::Snapshot, compacted.expired);
            compacted.left.map_or(Ok(()), |left| write(&left))
        };
        write_groups(&table.name, table.state, table.range, backend, live, target)?;
        layout.note_found_by_snapshot(found);
        Ok(())
    }
}

/// A restored state that has not been opened, in a backend that was restored with it.
pub(super) struct UnopenedBytes {
    pub(super) header: KeyedStateHeader,
    pub(super) range: KeyGroupRange,
    pub(super) state: StateNumber,
}

impl TableSnapshot for UnopenedBytes {
    fn header(&self) -> KeyedStateHeader {
        self.header.clone()
    }

    fn is_empty(&self, backend: Option<&dyn BackendSnapshot>) -> bool {
        backend.is_none_or(|backend| has_no_entry(backend, self.state))
    }

    fn write(
        &self,
        backend: Option<&dyn BackendSnapshot>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        let Some(backend) = backend else { return Ok(()) };
        write_groups(&self.header.name, self.state, self.range, backend, |value, write| write(value), target)
    }
}

/// Whether there is nothing, as far as it can be read: what cannot be is told when it is written.
fn has_no_entry(backend: &dyn BackendSnapshot, state: StateNumber) -> bool {
    let mut has_none = true;
    let visited = backend.visit(state, &[], &mut |_, _| {
        has_none = false;
        ControlFlow::Break(())
    });
    has_none && visited.is_ok()
}

/// Writes all entries of a state, with what `live` writes of their values.
fn write_groups(
    name: &str,
    state: StateNumber,
    range: KeyGroupRange,
    backend: &dyn BackendSnapshot,
    mut live: impl FnMut(&[u8], &mut dyn FnMut(&[u8]) -> Result<(), StateError>) -> Result<(), StateError>,
    target: &mut KeyedStateWriter<'_>,
) -> Result<(), StateError> {
    for group in range.groups() {
        let (mut has_begun, mut written) = (false, Ok(()));
        let mut write = |key: &[u8], value: &[u8]| {
            if !std::mem::replace(&mut has_begun, true) {
                target.begin_group(group)?;
            }
            live(value, &mut |value| {
                target.entry(|bytes| {
                    bytes.extend_from_slice(&key[KEY_GROUP_BYTES..]);
                    append_part(bytes, value);
                    Ok(())
                })
            })
        };
        let visited = backend.visit(state, &key_group_bytes(group), &mut |key, value| {
            written = write(key, value);
            if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        visited.map_err(|cause| StateError::Backend { state: name.to_owned(), cause })?;
        written?;
        if has_begun {
            target.end_group()?;
        }
    }
    Ok(())
}
