//! Keyed state: typed, scoped to the current record's key, and the same for every backend.
//!
//! A [`KeyedStateStore`] knows the current key and holds the states that were opened with a descriptor. A state's
//! handle ([`ValueState`] and its like) is small and cheap to clone, and is given the store with each access.

mod aggregating;
mod builder;
mod bytes;
mod elements;
mod entries;
mod iterate;
mod layout;
mod list;
mod map;
mod objects;
mod open;
mod reducing;
mod schema;
mod single;
mod snapshot;
mod times;
mod ttl;
mod value;
mod view;

pub use aggregating::AggregatingState;
pub use builder::KeyedStateStoreBuilder;
pub use list::ListState;
pub use map::{MapKey, MapState};
pub use open::{Namespaced, StateDescriptor, StateHandle};
pub use reducing::ReducingState;
pub use snapshot::KeyedStateSnapshot;
pub use times::CleanUp;
pub use ttl::{
    ExpiredButPresent, TtlAggregatingState, TtlListState, TtlMapState, TtlMetrics, TtlReducingState,
    TtlValueState, WithTtl,
};
pub use value::ValueState;

use super::backend::{KeyedStateBackend, StateNumber};
use super::serializer::StateSerializer;
use super::{KeyedStateHeader, RawKeyedState, StateError, StateObject, StateValue};
use crate::backend::heap::hash_of;
use crate::keygroup::{KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, key_group_of};
use crate::ttl::OldestUpdate;
use schema::AnyTable;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use times::{SharedTimes, Times};

/// What a type needs to be a key.
pub trait StateKey: StateObject + Eq + Hash + KeyHash {}

impl<K: StateObject + Eq + Hash + KeyHash> StateKey for K {}

/// What a type needs to tell apart several states of one name and key, such as the windows a key is in.
pub trait Namespace: StateValue + Eq + Hash {}

impl<N: StateValue + Eq + Hash> Namespace for N {}

/// The keyed state of one subtask: the key groups of one range of one operator.
///
/// When a function that is given to a state panics, what the current key has there may be gone or half changed. All else
/// is as it was, and snapshots stay what they are; the attempt should fail and restore its state, as in the local runtime.
pub struct KeyedStateStore<K> {
    /// Recognises the handles of this store.
    id: u64,
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
    key_serializer: Arc<dyn StateSerializer<K>>,
    /// Keeps the states as bytes; without it they are objects.
    backend: Option<Box<dyn KeyedStateBackend>>,
    /// Whether a snapshot is complete when it has been taken.
    synchronous_snapshots: bool,
    current: Option<CurrentKey<K>>,
    states: Vec<OpenState<K>>,
    times: Times,
    /// The same for the compactions of the backend, once a state has values that expire.
    shared_times: Option<Arc<SharedTimes>>,
    /// Whether any state has a time to live.
    expires: bool,
    /// What was restored and not opened yet: the states by name, or their versions where a backend keeps them.
    unclaimed: BTreeMap<String, RawKeyedState>,
    /// Those of them that the backend was restored with, and keeps.
    in_backend: BTreeMap<String, StateNumber>,
}

/// The key of the record being processed, with all that the tables need to know of it.
struct CurrentKey<K> {
    key: K,
    hash: u64,
    key_group: KeyGroup,
    /// The place of its key group in the range.
    group: usize,
}

struct OpenState<K> {
    /// As what it was opened; a serializer may have been reconfigured since.
    requested: KeyedStateHeader,
    table: Box<dyn AnyTable<K>>,
    /// How many entries clean-up may look at for the accesses that there were.
    clean_up_credit: usize,
    oldest: OldestUpdate,
}

/// Where a store holds a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StateId {
    store: u64,
    index: usize,
}

impl<K: StateKey> KeyedStateStore<K> {
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
    #[inline]
    pub fn set_current_key(&mut self, key: K) -> Result<(), StateError> {
        let (key_group, group) = self.key_group_of(&key)?;
        let hash = hash_of(&key);
        self.current = Some(CurrentKey { key, hash, key_group, group });
        Ok(())
    }

    /// As [`set_current_key`](Self::set_current_key), for a key that the caller keeps: the memory of the previous key
    /// is used again.
    ///
    /// # Errors
    /// As [`set_current_key`](Self::set_current_key).
    #[inline]
    pub fn set_current_key_from(&mut self, key: &K) -> Result<(), StateError> {
        let (key_group, group) = self.key_group_of(key)?;
        let hash = hash_of(key);
        match &mut self.current {
            Some(current) => {
                current.key.clone_from(key);
                (current.hash, current.key_group, current.group) = (hash, key_group, group);
            }
            None => self.current = Some(CurrentKey { key: key.clone(), hash, key_group, group }),
        }
        Ok(())
    }

    /// The current key, once there is one.
    #[must_use]
    pub fn current_key(&self) -> Option<&K> {
        self.current.as_ref().map(|current| &current.key)
    }

    #[inline]
    fn key_group_of(&self, key: &K) -> Result<(KeyGroup, usize), StateError> {
        let group = key_group_of(key.key_hash(), self.max_parallelism);
        match self.range.position(group) {
            Some(position) => Ok((group, position)),
            None => Err(StateError::WrongSubtask { group, range: self.range }),
        }
    }
}

impl<K> fmt::Debug for KeyedStateStore<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.states.iter().map(|open| &open.requested.name).collect();
        f.debug_struct("KeyedStateStore")
            .field("range", &self.range)
            .field("states", &names)
            .field("unclaimed", &self.unclaimed.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
