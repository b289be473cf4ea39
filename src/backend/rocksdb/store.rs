//! The backend: what a store of keyed state asks of RocksDB.

use super::database::{Database, Scan, StateFamilies, range_of, visit};
use super::error::RocksDbError;
use super::expiry::Expiry;
use super::family::family_of;
use super::files::Contents;
use super::instances::Instance;
use super::lengths::ListLengths;
use super::snapshot::RocksDbSnapshot;
use crate::state::StateKind;
use crate::state::backend::{
    BackendError, BackendSnapshot, EachEntry, Entries, KeyedStateBackend, SnapshotInFiles, StateDescription,
    StateNumber,
};
use rocksdb::{BoundColumnFamily, ReadOptions, WriteOptions};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

/// Keyed state in RocksDB (Flink: `RocksDBKeyedStateBackend`).
pub(super) struct RocksDbStateBackend {
    _instance: Instance,
    families: StateFamilies,
    /// Their names, by the numbers of their states.
    names: Vec<String>,
    /// The lengths of lists, for states that are such.
    lengths: Vec<Option<ListLengths>>,
    /// What says how the values of families expire with which the instance was restored.
    restored: BTreeMap<String, Expiry>,
    contents: Contents,
    read: ReadOptions,
    write: WriteOptions,
}

impl RocksDbStateBackend {
    /// The backend of an instance, with the families it was restored with.
    pub(super) fn new(
        instance: Instance,
        restored: BTreeMap<String, Expiry>,
        contents: Contents,
    ) -> Result<Self, RocksDbError> {
        let families = StateFamilies::of(&instance, &[])?;
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        let (names, lengths, read) = (Vec::new(), Vec::new(), ReadOptions::default());
        Ok(RocksDbStateBackend {
            _instance: instance,
            families,
            names,
            lengths,
            restored,
            contents,
            read,
            write,
        })
    }

    pub(super) fn database(&self) -> &Arc<Database> {
        self.families.borrow_owner()
    }

    #[inline]
    fn family(&self, state: StateNumber) -> &Arc<BoundColumnFamily<'_>> {
        &self.families.borrow_dependent()[state.0]
    }

    fn add(&mut self, family: String, lengths: Option<ListLengths>) -> Result<StateNumber, RocksDbError> {
        self.names.push(family);
        match StateFamilies::of(self.families.borrow_owner(), &self.names) {
            Ok(families) => self.families = families,
            Err(error) => {
                self.names.pop();
                return Err(error);
            }
        }
        self.lengths.push(lengths);
        Ok(StateNumber(self.names.len() - 1))
    }
}

fn is_list(kind: StateKind) -> bool {
    matches!(kind, StateKind::List)
}

impl KeyedStateBackend for RocksDbStateBackend {
    fn create_state(&mut self, description: &StateDescription) -> Result<StateNumber, BackendError> {
        let name = family_of(&description.name);
        let expiry = Expiry::new(description.expiry.clone().map(OnceLock::from).unwrap_or_default());
        let database = self.database();
        if database.db.cf_handle(&name).is_some() {
            // It was created for a state that could not be opened.
            database.drop_family(&name)?;
        }
        database.create_family(&name, &expiry)?;
        self.restored.remove(&name);
        Ok(self.add(name, is_list(description.kind).then(|| ListLengths::new(0)))?)
    }

    fn restored_state(&mut self, name: &str) -> Result<Option<StateNumber>, BackendError> {
        let name = family_of(name);
        if !self.restored.contains_key(&name) {
            return Ok(None);
        }
        if let Some(known) = self.names.iter().position(|known| *known == name) {
            return Ok(Some(StateNumber(known)));
        }
        // Nobody has said yet whether it holds lists.
        let lengths = ListLengths::new(self.database().bytes_of_values(&name)?);
        Ok(Some(self.add(name, Some(lengths))?))
    }

    fn state_opened(&mut self, state: StateNumber, description: &StateDescription) {
        if !is_list(description.kind) {
            self.lengths[state.0] = None;
        }
        let expiry = self.restored.get(&self.names[state.0]);
        if let (Some(expiry), Some(filter)) = (expiry, &description.expiry)
            && expiry.set(filter.clone()).is_ok()
        {
            let database = self.database();
            let seconds = database.families.periodic_compaction_seconds().to_string();
            let set =
                database.db.set_options_cf(self.family(state), &[("periodic_compaction_seconds", &seconds)]);
            if let Err(error) = set {
                tracing::warn!(state = description.name, %error, "old files of the state are not compacted by their age");
            }
        }
    }

    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        let value = self.database().db.get_pinned_cf_opt(self.family(state), key, &self.read);
        Ok(value.map_err(self.database().failed("read"))?.map(|value| value.to_vec()))
    }

    fn read(
        &self,
        state: StateNumber,
        key: &[u8],
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, BackendError> {
        let value = self.database().db.get_pinned_cf_opt(self.family(state), key, &self.read);
        let value = value.map_err(self.database().failed("read"))?;
        value.as_deref().map(read);
        Ok(value.is_some())
    }

    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.database().wait_for_room();
        let put = self.database().db.put_cf_opt(self.family(state), key, value, &self.write);
        put.map_err(self.database().failed("write"))?;
        if let Some(lengths) = &mut self.lengths[state.0] {
            lengths.replaced(key, value.len() as u64);
        }
        Ok(())
    }

    fn value_bytes(&mut self, state: StateNumber, key: &[u8], enough: usize) -> Result<usize, BackendError> {
        if let Some(lengths) = &self.lengths[state.0]
            && let Ok(bound) = usize::try_from(lengths.bound(key))
            && bound <= enough
        {
            return Ok(bound);
        }
        let mut bytes = 0;
        self.read(state, key, &mut |value| bytes = value.len())?;
        if let Some(lengths) = &mut self.lengths[state.0] {
            lengths.was_read(key, bytes as u64);
        }
        Ok(bytes)
    }

    fn append(&mut self, state: StateNumber, key: &[u8], bytes: &[u8]) -> Result<(), BackendError> {
        self.database().wait_for_room();
        let appended = self.database().db.merge_cf_opt(self.family(state), key, bytes, &self.write);
        appended.map_err(self.database().failed("append"))?;
        if let Some(lengths) = &mut self.lengths[state.0] {
            lengths.appended(key, bytes.len() as u64);
        }
        Ok(())
    }

    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError> {
        self.database().wait_for_room();
        let deleted = self.database().db.delete_cf_opt(self.family(state), key, &self.write);
        deleted.map_err(self.database().failed("delete"))?;
        if let Some(lengths) = &mut self.lengths[state.0] {
            lengths.replaced(key, 0);
        }
        Ok(())
    }

    fn clear_state(&mut self, state: StateNumber) -> Result<(), BackendError> {
        let (first, behind_all) = ([0; 2], [u8::MAX; 2]);
        Ok(self.database().delete_range(self.family(state), first, behind_all)?)
    }

    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        let iterator = self.database().db.raw_iterator_cf_opt(self.family(state), range_of(prefix));
        Box::new(Scan::new(iterator, self.database()))
    }

    fn visit(&self, state: StateNumber, prefix: &[u8], each: &mut EachEntry<'_>) -> Result<(), BackendError> {
        let iterator = self.database().db.raw_iterator_cf_opt(self.family(state), range_of(prefix));
        Ok(visit(iterator, each).map_err(self.database().failed("scan"))?)
    }

    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError> {
        Ok(Box::new(RocksDbSnapshot::take(self.families.borrow_owner(), &self.names)?))
    }

    fn snapshot_in_files(&mut self) -> Result<Option<SnapshotInFiles>, BackendError> {
        Ok(Some(self.contents.snapshot(self.families.borrow_owner())?))
    }
}
