//! Keyed state: typed, scoped to the current record's key, and the same for every backend.
//!
//! A [`KeyedStateStore`] knows the current key and holds the states that were opened with a descriptor. A state's
//! handle ([`ValueState`] and its like) is small and cheap to clone, and is given the store with each access.

mod aggregating;
mod iterate;
mod layout;
mod list;
mod map;
mod open;
mod reducing;
mod snapshot;
mod table;
mod value;

pub use aggregating::AggregatingState;
pub use list::ListState;
pub use map::{MapKey, MapState};
pub use open::{Namespaced, StateDescriptor, StateHandle};
pub use reducing::ReducingState;
pub use snapshot::KeyedStateSnapshot;
pub use value::ValueState;

use super::serializer::{SerdeSerializer, StateSerializer, resolve};
use super::{KeyedImage, RawKeyedState, StateError, StateObject, StatePart, StateValue, merge_keyed};
use crate::backend::heap::hash_of;
use crate::keygroup::{KeyGroupRange, KeyHash, MaxParallelism, key_group_of};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use table::AnyTable;

/// What a type needs to be a key.
pub trait StateKey: StateObject + Eq + Hash + KeyHash {}

impl<K: StateObject + Eq + Hash + KeyHash> StateKey for K {}

/// What a type needs to tell apart several states of one name and key, such as the windows a key is in.
pub trait Namespace: StateValue + Eq + Hash {}

impl<N: StateValue + Eq + Hash> Namespace for N {}

/// The keyed state of one subtask: the key groups of one range of one operator.
pub struct KeyedStateStore<K> {
    /// Recognises the handles of this store.
    id: u64,
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
    key_serializer: Arc<dyn StateSerializer<K>>,
    current: Option<CurrentKey<K>>,
    states: Vec<OpenState<K>>,
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
    table: Box<dyn AnyTable<K>>,
}

/// Where a store holds a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateId {
    store: u64,
    index: usize,
}

impl<K: StateKey> KeyedStateStore<K> {
    /// A store without any state, for the key groups of `range`.
    ///
    /// # Errors
    /// [`StateError::NoSuchRange`] when the range exceeds the maximum parallelism.
    pub fn new(max_parallelism: MaxParallelism, range: KeyGroupRange) -> Result<Self, StateError>
    where
        K: StateValue,
    {
        KeyedStateStore::restore(max_parallelism, range, Vec::new())
    }

    /// A store with the state of `range` from the snapshots of one or several subtasks, which need not have had the
    /// same range.
    ///
    /// # Errors
    /// The range exceeds the maximum parallelism, or the snapshots do not fit the job or each other.
    pub fn restore(
        max_parallelism: MaxParallelism,
        range: KeyGroupRange,
        images: Vec<KeyedImage>,
    ) -> Result<Self, StateError>
    where
        K: StateValue,
    {
        KeyedStateStore::restore_with(Arc::new(SerdeSerializer::new()), max_parallelism, range, images)
    }

    /// As [`restore`](Self::restore), with a serializer of the keys' own.
    ///
    /// # Errors
    /// As [`restore`](Self::restore). A key serializer that would have to migrate keys is refused: their key groups
    /// could change.
    pub fn restore_with(
        key_serializer: Arc<dyn StateSerializer<K>>,
        max_parallelism: MaxParallelism,
        range: KeyGroupRange,
        images: Vec<KeyedImage>,
    ) -> Result<Self, StateError> {
        if !max_parallelism.all_groups().contains(range.end()) {
            return Err(StateError::NoSuchRange { range, max_parallelism });
        }
        let key_serializer = accept_keys(key_serializer, &images)?;
        let unclaimed = merge_keyed(images, max_parallelism, range)?;
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let (current, states) = (None, Vec::new());
        Ok(KeyedStateStore { id, max_parallelism, range, key_serializer, current, states, unclaimed })
    }

    /// The key groups of this store.
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
        let hash = hash_of(&key);
        self.current = Some(CurrentKey { key, hash, group });
        Ok(())
    }

    /// As [`set_current_key`](Self::set_current_key), for a key that the caller keeps: the memory of the previous key
    /// is used again.
    ///
    /// # Errors
    /// As [`set_current_key`](Self::set_current_key).
    pub fn set_current_key_from(&mut self, key: &K) -> Result<(), StateError> {
        let group = self.position_of(key)?;
        let hash = hash_of(key);
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

    fn position_of(&self, key: &K) -> Result<usize, StateError> {
        let group = key_group_of(key.key_hash(), self.max_parallelism);
        self.range.position(group).ok_or(StateError::WrongSubtask { group, range: self.range })
    }
}

impl<K: 'static> KeyedStateStore<K> {
    /// The table of a state, of the type that its handle knows.
    fn table<T: Any>(&self, id: StateId) -> Result<&T, StateError> {
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        let table: &dyn Any = &*self.states[id.index].table;
        table.downcast_ref().ok_or(StateError::ForeignHandle)
    }

    /// The current key, and the table of a state to be changed.
    fn current_and_table<T: Any>(&mut self, id: StateId) -> Result<(&CurrentKey<K>, &mut T), StateError> {
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        let table: &mut dyn Any = &mut *self.states[id.index].table;
        let table = table.downcast_mut().ok_or(StateError::ForeignHandle)?;
        Ok((self.current.as_ref().ok_or(StateError::NoCurrentKey)?, table))
    }

    fn current(&self) -> Result<&CurrentKey<K>, StateError> {
        self.current.as_ref().ok_or(StateError::NoCurrentKey)
    }
}

/// The serializer of keys that goes on from the one with which the snapshots were written.
fn accept_keys<K>(
    serializer: Arc<dyn StateSerializer<K>>,
    images: &[KeyedImage],
) -> Result<Arc<dyn StateSerializer<K>>, StateError> {
    images.iter().try_fold(serializer, |serializer, image| {
        let resolved = resolve("all keyed state", StatePart::Keys, &serializer, &image.header.key)?;
        Ok(Arc::clone(resolved.serializer()))
    })
}

impl<K> fmt::Debug for KeyedStateStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.states.iter().map(|open| &open.name).collect();
        f.debug_struct("KeyedStateStore")
            .field("range", &self.range)
            .field("states", &names)
            .field("unclaimed", &self.unclaimed.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
