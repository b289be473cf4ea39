//! Keyed state as typed objects in memory, with asynchronous copy-on-write snapshots (Flink:
//! `HashMapStateBackend`).
//!
//! Each state is a table with one [`SegmentedMap`] per key group. A snapshot shares the
//! *segments* of the maps, some thousand entries each, which takes nanoseconds per segment; afterwards the first write
//! to a segment copies it as long as the snapshot lives. Nothing is ever locked.

mod copy_on_write;
mod segmented_map;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod value;

/// What the sharing is made of; `tests/loom.rs` puts loom's in its place.
mod sync {
    pub(super) use std::sync::Arc;
}

pub use segmented_map::{SegmentedMap, SharedMap};
pub use snapshot::HeapSnapshot;
pub use value::ValueState;

use crate::keygroup::{KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, key_group_of};
use crate::state::{
    KeyedImage, RawKeyedState, StateError, StateKind, StateValue, ValueStateDescriptor, merge_keyed,
};
use std::any::{Any, type_name};
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use table::{AnyTable, Table};

/// What a type needs to be a key.
pub trait StateKey: StateValue + Eq + Hash + KeyHash {}

impl<K: StateValue + Eq + Hash + KeyHash> StateKey for K {}

/// The keyed state of one subtask: the key groups of one range of one operator.
pub struct HeapKeyedStateBackend<K> {
    /// Recognises the handles of this backend.
    id: u64,
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
    key_type: String,
    current: Option<CurrentKey<K>>,
    tables: Vec<OpenState<K>>,
    /// What was restored and not opened yet.
    unclaimed: BTreeMap<String, RawKeyedState>,
}

/// The key of the record being processed, with all that the tables need to know of it.
struct CurrentKey<K> {
    key: K,
    hash: u64,
    /// The place of its key group in the range.
    group: usize,
}

struct OpenState<K> {
    name: String,
    value_type: String,
    table: Box<dyn AnyTable<K>>,
}

impl<K: StateKey> HeapKeyedStateBackend<K> {
    /// A backend without any state, for the key groups of `range`.
    ///
    /// # Errors
    /// [`StateError::NoSuchRange`] when the range exceeds the maximum parallelism.
    pub fn new(max_parallelism: MaxParallelism, range: KeyGroupRange) -> Result<Self, StateError> {
        HeapKeyedStateBackend::restore(max_parallelism, range, Vec::new())
    }

    /// A backend with the state of `range` from the snapshots of one or several subtasks, which need not have
    /// had the same range.
    ///
    /// # Errors
    /// The range exceeds the maximum parallelism, or the snapshots do not fit the job or each other.
    pub fn restore(
        max_parallelism: MaxParallelism,
        range: KeyGroupRange,
        images: Vec<KeyedImage>,
    ) -> Result<Self, StateError> {
        if !max_parallelism.all_groups().contains(range.end()) {
            return Err(StateError::NoSuchRange { range, max_parallelism });
        }
        let key_type = type_name::<K>().to_owned();
        let unclaimed = merge_keyed(images, max_parallelism, range, &key_type)?;
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let (current, tables) = (None, Vec::new());
        Ok(HeapKeyedStateBackend { id, max_parallelism, range, key_type, current, tables, unclaimed })
    }

    /// The key groups of this backend.
    #[must_use]
    pub fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// The number of key groups of the operator.
    #[must_use]
    pub fn max_parallelism(&self) -> MaxParallelism {
        self.max_parallelism
    }

    /// Makes `key` the one that all state belongs to from now on.
    ///
    /// # Errors
    /// [`StateError::WrongSubtask`] when its key group is not in the range; the current key has not changed.
    pub fn set_current_key(&mut self, key: K) -> Result<(), StateError> {
        let group = self.position_of(&key)?;
        let hash = table::hash_of(&key);
        self.current = Some(CurrentKey { key, hash, group });
        Ok(())
    }

    /// As [`set_current_key`](Self::set_current_key), for a key that the caller keeps: the memory of the
    /// previous key is used again.
    ///
    /// # Errors
    /// As [`set_current_key`](Self::set_current_key).
    pub fn set_current_key_from(&mut self, key: &K) -> Result<(), StateError> {
        let group = self.position_of(key)?;
        let hash = table::hash_of(key);
        match &mut self.current {
            Some(current) => {
                current.key.clone_from(key);
                (current.hash, current.group) = (hash, group);
            }
            None => self.current = Some(CurrentKey { key: key.clone(), hash, group }),
        }
        Ok(())
    }

    /// The current key, once there is one.
    #[must_use]
    pub fn current_key(&self) -> Option<&K> {
        self.current.as_ref().map(|current| &current.key)
    }

    /// Opens a state of one value per key; the same name gives the same state. A restored state is decoded
    /// now.
    ///
    /// # Errors
    /// The name is in use, or was restored, with another type; or a restored entry cannot be decoded. The
    /// backend has not changed then.
    pub fn value_state<V: StateValue>(
        &mut self,
        descriptor: &ValueStateDescriptor<V>,
    ) -> Result<ValueState<V>, StateError> {
        let mismatch = |existing: &str| StateError::TypeMismatch {
            state: descriptor.name().to_owned(),
            existing: existing.to_owned(),
            requested: descriptor.type_id().to_owned(),
        };
        if let Some(index) = self.tables.iter().position(|open| open.name == descriptor.name()) {
            let open = &self.tables[index];
            let table: &dyn Any = &*open.table;
            return if open.value_type == descriptor.type_id() && table.is::<Table<K, V>>() {
                Ok(ValueState::new(self.id, index))
            } else {
                Err(mismatch(&open.value_type))
            };
        }
        let mut table = Table::<K, V>::new(self.range);
        match self.unclaimed.get(descriptor.name()) {
            None => {}
            Some(raw) if raw.kind != StateKind::Value || raw.value_type != descriptor.type_id() => {
                return Err(mismatch(&raw.value_type));
            }
            Some(raw) => table.fill_from(descriptor.name(), raw, self.max_parallelism)?,
        }
        self.unclaimed.remove(descriptor.name());
        let (name, value_type) = (descriptor.name().to_owned(), descriptor.type_id().to_owned());
        self.tables.push(OpenState { name, value_type, table: Box::new(table) });
        Ok(ValueState::new(self.id, self.tables.len() - 1))
    }

    /// Captures all states, opened or not, at the cost of some nanoseconds per thousand entries; the
    /// writing goes on at once, and [`HeapSnapshot::write_to`] may run on another thread.
    #[must_use]
    pub fn snapshot(&mut self) -> HeapSnapshot {
        let tables = self.tables.iter_mut();
        HeapSnapshot {
            max_parallelism: self.max_parallelism,
            range: self.range,
            key_type: self.key_type.clone(),
            tables: tables.map(|s| (s.name.clone(), s.value_type.clone(), s.table.share())).collect(),
            unclaimed: self.unclaimed.clone(),
        }
    }

    fn position_of(&self, key: &K) -> Result<usize, StateError> {
        let group: KeyGroup = key_group_of(key.key_hash(), self.max_parallelism);
        self.range.position(group).ok_or(StateError::WrongSubtask { group, range: self.range })
    }
}

impl<K> fmt::Debug for HeapKeyedStateBackend<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.tables.iter().map(|open| &open.name).collect();
        f.debug_struct("HeapKeyedStateBackend")
            .field("range", &self.range)
            .field("states", &names)
            .field("unclaimed", &self.unclaimed.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
