//! A state whose content a backend keeps as bytes.

mod access;
mod migration;
mod opening;
mod snapshot;

pub(super) use opening::{RestoredVersion, put_raw};
pub(super) use snapshot::UnopenedBytes;

use super::layout::{Expiring, Layout, append_serialized};
use super::objects::Scope;
use super::schema::{AnyTable, Schema, TableSnapshot};
use super::times::Times;
use super::{CurrentKey, Namespace, StateKey};
use crate::codec::{append_record, take_record};
use crate::keygroup::{KeyGroup, KeyGroupRange};
use crate::state::backend::{BackendError, Entry, KeyedStateBackend, StateNumber};
use crate::state::serializer::{MAX_RECORD_BYTES, StateSerializer, serialize_within};
use crate::state::{KeyedStateHeader, StateError};
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
    /// Where the backend has what the present serializers have written, and what it calls that.
    state: StateNumber,
    version: String,
    pub(super) schema: Arc<Schema<K, N, L>>,
    /// Where it has what earlier ones have written and nobody has touched since. No entry stands in two places.
    older: Vec<OlderVersion<L>>,
}

/// Entries as earlier serializers have written them.
#[derive(Clone)]
struct OlderVersion<L> {
    state: StateNumber,
    header: KeyedStateHeader,
    /// Reads them.
    layout: L,
}

impl<K, N, L: Layout> Clone for BytesTable<K, N, L> {
    fn clone(&self) -> Self {
        BytesTable {
            name: self.name.clone(),
            range: self.range,
            state: self.state,
            version: self.version.clone(),
            schema: Arc::clone(&self.schema),
            older: self.older.clone(),
        }
    }
}

impl<K: StateKey, N: Namespace, L: Layout> BytesTable<K, N, L> {
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

    /// The scope that an entry's key begins with, and the bytes behind it.
    pub(super) fn read_scope<'a>(&self, key: &'a [u8]) -> Result<(Scope<K, N>, &'a [u8]), StateError> {
        let undecodable = |what| self.undecodable_at(key, what);
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
        self.scan(backend, &[]).filter_map(move |entry| {
            let read = |(key, _): Entry| {
                let (scope, rest) = self.read_scope(&key)?;
                let bytes = &key[..key.len() - rest.len()];
                if previous == bytes {
                    return Ok(None);
                }
                previous = bytes.to_vec();
                Ok(Some(scope))
            };
            entry.and_then(read).transpose()
        })
    }

    /// The error for what is not the bytes of a value.
    pub(super) fn undecodable(&self, current: Option<&CurrentKey<K>>, what: String) -> StateError {
        let key_group = current.map(|current| current.key_group);
        StateError::Undecodable { state: self.name.clone(), key_group, what }
    }

    /// The error for what is wrong with the entry at a key.
    fn undecodable_at(&self, key: &[u8], what: String) -> StateError {
        let key_group = key.first_chunk().map(|group| KeyGroup(u16::from_be_bytes(*group)));
        StateError::Undecodable { state: self.name.clone(), key_group, what }
    }

    /// The error for what may not be written.
    pub(super) fn refused(&self, error: StateError) -> StateError {
        error.of_state(&self.name)
    }

    /// The error for what the backend could not do.
    fn failed(&self, error: BackendError) -> StateError {
        StateError::Backend { state: self.name.clone(), cause: error }
    }
}

fn append_part(target: &mut Vec<u8>, part: &[u8]) {
    let copied: Result<(), std::convert::Infallible> = append_record(target, |bytes| {
        bytes.extend_from_slice(part);
        Ok(())
    });
    let Ok(()) = copied;
}

impl<K: StateKey, N: Namespace, L: Layout> AnyTable<K> for BytesTable<K, N, L> {
    fn share(&mut self, times: &Times) -> Box<dyn TableSnapshot> {
        Box::new(snapshot::SharedBytes { time: self.schema.snapshot_time(times), table: self.clone() })
    }

    fn expiring(&self) -> Option<&Expiring> {
        self.schema.layout.expiring()
    }
}
