use super::bytes::UnopenedBytes;
use super::schema::TableSnapshot;
use super::{KeyedStateStore, StateKey};
use crate::keygroup::{KeyGroupRange, MaxParallelism};
use crate::state::backend::{BackendError, BackendSnapshot, LocalFile, SnapshotInFiles};
use crate::state::serializer::SerializerSnapshot;
use crate::state::{
    KeyedHeader, KeyedSnapshot, KeyedStateHeader, KeyedStateWriter, OperatorSnapshot, RawKeyedState,
    SnapshotImage, StateError, TaskSnapshot,
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
    /// Hold it instead.
    files: Option<SnapshotInFiles>,
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
        let backend = self.backend.as_mut().map(|backend| backend.snapshot()).transpose();
        let snapshot = self.snapshot_of(backend.map_err(of_all)?, None);
        match self.synchronous_snapshots {
            true => snapshot.into_bytes(),
            false => Ok(snapshot),
        }
    }

    /// As [`snapshot`](Self::snapshot), in [files](KeyedSnapshot::files) if the backend keeps its state in such: an incremental
    /// checkpoint consists of them.
    ///
    /// # Errors
    /// As `snapshot`.
    pub fn snapshot_in_files(&mut self) -> Result<KeyedStateSnapshot, StateError> {
        let files = self.backend.as_mut().map(|backend| backend.snapshot_in_files()).transpose();
        match files.map_err(of_all)?.flatten() {
            Some(files) => Ok(self.snapshot_of(None, Some(files))),
            None => self.snapshot(),
        }
    }

    fn snapshot_of(
        &mut self,
        backend: Option<Box<dyn BackendSnapshot>>,
        files: Option<SnapshotInFiles>,
    ) -> KeyedStateSnapshot {
        let mut tables: Vec<_> = self.states.iter_mut().map(|open| open.table.share(&self.times)).collect();
        let (in_backend, unclaimed): (BTreeMap<_, _>, BTreeMap<_, _>) =
            self.unclaimed.clone().into_iter().partition(|(name, _)| self.in_backend.contains_key(name));
        for (name, RawKeyedState { header, .. }) in in_backend {
            let state = self.in_backend[&name];
            // It keeps the name of its version: other subtasks may have other ones.
            tables.push(Box::new(UnopenedBytes { header, range: self.range, state }));
        }
        KeyedStateSnapshot {
            max_parallelism: self.max_parallelism,
            range: self.range,
            key: self.key_serializer.snapshot(),
            tables,
            backend,
            files,
            unclaimed,
        }
    }
}

fn of_all(cause: BackendError) -> StateError {
    StateError::Backend { state: "all keyed state".to_owned(), cause }
}

impl KeyedStateSnapshot {
    /// What it says about the states that were open, and those that the backend keeps unopened.
    fn headers_of_tables(&self) -> Vec<KeyedStateHeader> {
        match self.files {
            Some(_) => self.tables.iter().flat_map(|table| table.headers_in_files()).collect(),
            None => self.tables.iter().map(|table| table.header()).collect(),
        }
    }

    /// The same without anything that is shared.
    fn into_bytes(self) -> Result<KeyedStateSnapshot, StateError> {
        let (max_parallelism, range, key) = (self.max_parallelism, self.range, self.key.clone());
        let mut file = Vec::new();
        self.write_to(&mut file)?;
        let keyed = SnapshotImage::read_from(&file[..], None)?.keyed;
        let unclaimed = keyed.map(|keyed| keyed.states).unwrap_or_default();
        let (tables, backend, files) = (Vec::new(), None, None);
        Ok(KeyedStateSnapshot { max_parallelism, range, key, tables, backend, files, unclaimed })
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
        let unclaimed = self.unclaimed.values().map(|raw| raw.header.clone());
        KeyedHeader {
            max_parallelism: self.max_parallelism,
            range: self.range,
            key: self.key.clone(),
            states: self.headers_of_tables().into_iter().chain(unclaimed).collect(),
        }
    }

    fn is_empty(&self) -> bool {
        if self.files.is_some() {
            // What they hold is not looked at.
            return false;
        }
        let no_raw = self.unclaimed.values().all(|raw| raw.groups.is_empty());
        no_raw && self.tables.iter().all(|table| table.is_empty(self.backend.as_deref()))
    }

    fn files(&self) -> Option<&[LocalFile]> {
        Some(&self.files.as_ref()?.files)
    }

    fn is_in_files(&self, state: usize) -> bool {
        self.files.is_some() && state < self.headers_of_tables().len()
    }

    fn write_state(&self, state: usize, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError> {
        if self.is_in_files(state) {
            return Ok(());
        }
        let raw = match self.tables.get(state).filter(|_| self.files.is_none()) {
            Some(table) => {
                let written = table.write(self.backend.as_deref(), target);
                return written.map_err(|error| error.of_state(&table.header().name));
            }
            None => self.unclaimed.values().nth(state - self.headers_of_tables().len()),
        };
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
