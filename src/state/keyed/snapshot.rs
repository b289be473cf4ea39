use super::bytes::UnopenedBytes;
use super::open::half_migrated;
use super::schema::TableSnapshot;
use super::{KeyedStateStore, StateKey};
use crate::keygroup::{KeyGroupRange, MaxParallelism};
use crate::state::backend::{BackendSnapshot, LocalFile};
use crate::state::serializer::SerializerSnapshot;
use crate::state::{
    KeyedHeader, KeyedSnapshot, KeyedStateWriter, OperatorSnapshot, RawKeyedState, SnapshotImage, StateError,
    TaskSnapshot,
};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

/// The keyed state of a subtask at one moment. It never changes; dropping it ends the copying that it causes.
pub struct KeyedStateSnapshot {
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
    key: SerializerSnapshot,
    /// The states that were open, and those that the backend keeps unopened.
    tables: Vec<Box<dyn TableSnapshot>>,
    /// Holds what they do not hold themselves.
    backend: Option<Box<dyn BackendSnapshot>>,
    /// The states that were not.
    unclaimed: BTreeMap<String, RawKeyedState>,
}

impl<K: StateKey> KeyedStateStore<K> {
    /// Captures all states, opened or not. Nothing is copied: the content is shared until it is changed, a few thousand
    /// entries at a time. [`KeyedStateSnapshot::write_to`] may run on another thread.
    ///
    /// # Errors
    /// The backend cannot capture its state. With synchronous snapshots also what `write_to` fails with.
    pub fn snapshot(&mut self) -> Result<KeyedStateSnapshot, StateError> {
        if let Some((name, _)) = self.in_backend.iter().find(|(_, state)| state.is_half_migrated) {
            return Err(half_migrated(name));
        }
        let failed = |cause| StateError::Backend { state: "all keyed state".to_owned(), cause };
        let backend = self.backend.as_mut().map(|backend| backend.snapshot()).transpose().map_err(failed)?;
        let mut tables: Vec<_> = self.states.iter_mut().map(|open| open.table.share(&self.times)).collect();
        let (in_backend, unclaimed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.unclaimed.clone().into_iter().partition(|(name, _)| self.in_backend.contains_key(name));
        for (name, RawKeyedState { header, .. }) in in_backend {
            tables.push(Box::new(UnopenedBytes {
                header,
                range: self.range,
                state: self.in_backend[&name].state,
            }));
        }
        let snapshot = KeyedStateSnapshot {
            max_parallelism: self.max_parallelism,
            range: self.range,
            key: self.key_serializer.snapshot(),
            tables,
            backend,
            unclaimed,
        };
        match self.synchronous_snapshots {
            true => snapshot.into_bytes(),
            false => Ok(snapshot),
        }
    }
}

impl KeyedStateSnapshot {
    /// The same without anything that is shared.
    fn into_bytes(self) -> Result<KeyedStateSnapshot, StateError> {
        let (max_parallelism, range, key) = (self.max_parallelism, self.range, self.key.clone());
        let mut file = Vec::new();
        self.write_to(&mut file)?;
        let keyed = SnapshotImage::read_from(&file[..], None)?.keyed;
        let unclaimed = keyed.map(|keyed| keyed.states).unwrap_or_default();
        Ok(KeyedStateSnapshot { max_parallelism, range, key, tables: Vec::new(), backend: None, unclaimed })
    }

    /// Writes the snapshot as a state file without operator state; [`TaskSnapshot`] puts both into one.
    ///
    /// # Errors
    /// A key or value refuses to be serialized, or `target` failed; what was written is useless then.
    pub fn write_to(self, target: &mut dyn Write) -> Result<(), StateError> {
        TaskSnapshot::new(Some(Box::new(self)), OperatorSnapshot::default()).write_to(target)
    }
}

impl KeyedSnapshot for KeyedStateSnapshot {
    fn header(&self) -> KeyedHeader {
        let open = self.tables.iter().map(|table| table.header());
        let unclaimed = self.unclaimed.values().map(|raw| raw.header.clone());
        KeyedHeader {
            max_parallelism: self.max_parallelism,
            range: self.range,
            key: self.key.clone(),
            states: open.chain(unclaimed).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        let no_raw = self.unclaimed.values().all(|raw| raw.groups.is_empty());
        no_raw && self.tables.iter().all(|table| table.is_empty(self.backend.as_deref()))
    }

    fn files(&self) -> Option<&[LocalFile]> {
        self.backend.as_ref()?.files()
    }

    fn is_in_files(&self, state: usize) -> bool {
        state < self.tables.len() && self.files().is_some()
    }

    fn write_state(&self, state: usize, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError> {
        if let Some(table) = self.tables.get(state) {
            let written = table.write(self.backend.as_deref(), target);
            return written.map_err(|error| error.of_state(&table.header().name));
        }
        let raw = self.unclaimed.values().nth(state - self.tables.len());
        for (&group, raw) in raw.into_iter().flat_map(|raw| &raw.groups) {
            target.raw_group(group, raw)?;
        }
        Ok(())
    }
}

impl fmt::Debug for KeyedStateSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyedStateSnapshot").field("range", &self.range).finish_non_exhaustive()
    }
}
