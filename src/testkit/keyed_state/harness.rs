//! What the behaviours are shown with: stores on one backend, files of state, and operators of several subtasks.

use super::checkpoint::Checkpoint;
use super::everything::Content;
use crate::keygroup::{
    KeyGroup, KeyGroupRange, KeyGroupRangeAssignment, KeyHash, MaxParallelism, key_group_of,
};
use crate::state::backend::{FetchFile, StateBackend};
use crate::state::serializer::{SerdeSerializer, StateSerializer};
use crate::state::{
    KeyedImage, KeyedStateSnapshot, KeyedStateStore, KeyedStateStoreBuilder, OperatorSnapshot, RawKeyedState,
    SnapshotImage, StateError, StateKey, StateValue, TaskSnapshot, ValueStateDescriptor,
};
use std::thread;

/// The bytes of a state file.
pub(super) type File = Vec<u8>;

/// The maximum parallelism of all stores that are not part of an [`Operator`].
pub(super) fn max_parallelism() -> MaxParallelism {
    groups(16)
}

/// The group of a key in all of these.
pub(super) fn group_of(key: u32) -> KeyGroup {
    key_group_of(key.key_hash(), max_parallelism())
}

pub(super) fn groups(number: u16) -> MaxParallelism {
    MaxParallelism::new(number).expect("between 1 and 32768")
}

pub(super) fn counts() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("counts")
}

/// What makes a store of all key groups.
pub(super) fn builder<K: StateKey + StateValue>(backend: &StateBackend) -> KeyedStateStoreBuilder<K> {
    KeyedStateStoreBuilder::new(max_parallelism(), max_parallelism().all_groups()).with_backend(backend)
}

/// A store of all key groups without state.
pub(super) fn store<K: StateKey + StateValue>(
    backend: &StateBackend,
) -> Result<KeyedStateStore<K>, StateError> {
    builder(backend).restore(Vec::new())
}

/// A store of all key groups with the state of a file.
pub(super) fn restored<K: StateKey + StateValue>(
    backend: &StateBackend,
    file: &File,
) -> Result<KeyedStateStore<K>, StateError> {
    builder(backend).restore(images(file, None)?)
}

/// The keyed state in a file, if there is any, of the key groups to keep.
pub(super) fn images(file: &[u8], keep: Option<KeyGroupRange>) -> Result<Vec<KeyedImage>, StateError> {
    Ok(SnapshotImage::read_from(file, keep)?.keyed.into_iter().collect())
}

/// The keys of a state of an image in their order, each of which must stand in its own key group.
pub(super) fn keys_of_groups(state: &RawKeyedState) -> Vec<u32> {
    let mut keys = Vec::new();
    for (group, entries) in &state.groups {
        for entry in entries.iter(state.header.kind) {
            let key = SerdeSerializer::<u32>::new().deserialize(entry.key).expect("a number");
            assert_eq!(group_of(key), *group, "key {key}");
            keys.push(key);
        }
    }
    keys.sort_unstable();
    keys
}

/// The file of a snapshot of the store.
pub(super) fn written<K: StateKey>(store: &mut KeyedStateStore<K>) -> Result<File, StateError> {
    file_of(store.snapshot()?)
}

/// The file of a snapshot, written by another thread as an engine does.
pub(super) fn file_of(snapshot: KeyedStateSnapshot) -> Result<File, StateError> {
    file_of_task(TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default()))
}

/// The same of all that a subtask has.
pub(super) fn file_of_task(snapshot: TaskSnapshot) -> Result<File, StateError> {
    let write = || {
        let mut file = Vec::new();
        snapshot.write_to(&mut file).map(|()| file)
    };
    thread::scope(|scope| scope.spawn(write).join().expect("writing a snapshot does not panic"))
}

pub(super) trait AtKey<K> {
    /// The store with another current key.
    fn at(&mut self, key: K) -> Result<&mut Self, StateError>;
}

impl<K: StateKey> AtKey<K> for KeyedStateStore<K> {
    fn at(&mut self, key: K) -> Result<&mut Self, StateError> {
        self.set_current_key(key)?;
        Ok(self)
    }
}

/// The subtasks of one operator, each with a store of its own key groups.
pub(super) struct Operator {
    pub(super) assignment: KeyGroupRangeAssignment,
    pub(super) stores: Vec<KeyedStateStore<u32>>,
}

impl Operator {
    /// An operator with the state of the files that another one has left, whatever its parallelism was.
    pub(super) fn restored(
        backend: &StateBackend,
        max_parallelism: MaxParallelism,
        parallelism: u16,
        files: &[File],
    ) -> Result<Operator, StateError> {
        let states = files.iter().map(|file| &file[..]).collect::<Vec<_>>();
        Operator::restored_with(backend, max_parallelism, parallelism, &states, &Checkpoint::default())
    }

    /// The same, of which some may lie in files of the backend.
    pub(super) fn restored_with(
        backend: &StateBackend,
        max_parallelism: MaxParallelism,
        parallelism: u16,
        states: &[&[u8]],
        fetch: &dyn FetchFile,
    ) -> Result<Operator, StateError> {
        let assignment = KeyGroupRangeAssignment::new(max_parallelism, parallelism).expect("some subtasks");
        let restore = |subtask| {
            let range = assignment.range_of(subtask).expect("one of the subtasks");
            let images: Result<Vec<_>, _> = states.iter().map(|state| images(state, Some(range))).collect();
            let builder = KeyedStateStoreBuilder::new(max_parallelism, range).with_backend(backend);
            builder.restore_with(images?.into_iter().flatten().collect(), fetch)
        };
        let stores = (0..parallelism).map(restore).collect::<Result<_, _>>()?;
        Ok(Operator { assignment, stores })
    }

    /// The store that has a key, with it as the current one.
    pub(super) fn at(&mut self, key: u32) -> Result<&mut KeyedStateStore<u32>, StateError> {
        self.stores[usize::from(self.assignment.owner_of_key(&key))].at(key)
    }

    /// What all its subtasks hold together.
    pub(super) fn content(&mut self) -> Result<Content, StateError> {
        let mut all = Content::default();
        for store in &mut self.stores {
            all.extend(Content::of(store)?);
        }
        Ok(all)
    }

    pub(super) fn snapshot(&mut self) -> Result<Vec<KeyedStateSnapshot>, StateError> {
        self.stores.iter_mut().map(KeyedStateStore::snapshot).collect()
    }
}
