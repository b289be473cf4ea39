use super::{SegmentedMap, SharedMap};
use super::{StateKey, StateValue};
use crate::codec::value_from_bytes;
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism, key_group_of};
use crate::state::{KeyedStateWriter, RawGroup, RawKeyedState, StateError};
use foldhash::fast::FixedState;
use std::any::Any;
use std::hash::{BuildHasher, Hash};

/// The hash by which tables find a key. It is not the one of key groups: all keys of a group are alike there.
///
/// The seed is fixed so that equal runs do equal things; the hash never leaves the process.
pub(super) fn hash_of<K: Hash>(key: &K) -> u64 {
    const HASHER: FixedState = FixedState::with_seed(0x534e_4150_4c49_4e45);
    HASHER.hash_one(key)
}

/// One state: a map per key group of the range.
pub(super) struct Table<K, V> {
    range: KeyGroupRange,
    pub(super) groups: Vec<SegmentedMap<K, V>>,
}

impl<K: StateKey, V: StateValue> Table<K, V> {
    pub(super) fn new(range: KeyGroupRange) -> Self {
        Table { range, groups: range.groups().map(|_| SegmentedMap::default()).collect() }
    }

    /// Decodes a restored state into this empty table. All its groups lie in the range.
    pub(super) fn fill_from(
        &mut self,
        name: &str,
        raw: &RawKeyedState,
        max_parallelism: MaxParallelism,
    ) -> Result<(), StateError> {
        for (&group, entries) in &raw.groups {
            self.fill_group(group, entries, max_parallelism).map_err(|what| StateError::Undecodable {
                state: name.to_owned(),
                key_group: Some(group),
                what,
            })?;
        }
        Ok(())
    }

    fn fill_group(&mut self, group: KeyGroup, raw: &RawGroup, max: MaxParallelism) -> Result<(), String> {
        let position = self.range.position(group).ok_or("the key group belongs to another subtask")?;
        let map = &mut self.groups[position];
        for (key, value) in raw.iter() {
            let key: K = value_from_bytes(key)
                .ok_or_else(|| format!("a key is not a {}", std::any::type_name::<K>()))?;
            let value: V = value_from_bytes(value)
                .ok_or_else(|| format!("a value is not a {}", std::any::type_name::<V>()))?;
            let found = key_group_of(key.key_hash(), max);
            if found != group {
                return Err(format!("a key of group {found} stands there: has its `KeyHash` changed?"));
            }
            let hash = hash_of(&key);
            map.insert(hash, |other| *other == key, hash_of, || key.clone(), value);
        }
        match map.len() as u64 {
            entries if entries == raw.entries() => Ok(()),
            entries => Err(format!("{entries} different keys instead of {}", raw.entries())),
        }
    }
}

/// A table whose value type is not known.
pub(super) trait AnyTable<K>: Any + Send {
    /// Shares the content as it is now.
    fn share(&mut self) -> Box<dyn TableSnapshot>;
}

/// The content of a table at one moment.
pub(super) trait TableSnapshot: Send {
    fn entries(&self) -> u64;
    fn write(&self, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError>;
}

impl<K: StateKey, V: StateValue> AnyTable<K> for Table<K, V> {
    fn share(&mut self) -> Box<dyn TableSnapshot> {
        let groups = self.groups.iter_mut().map(SegmentedMap::share).collect();
        Box::new(SharedTable { range: self.range, groups })
    }
}

/// The content of a table: a map per key group of the range.
struct SharedTable<K, V> {
    range: KeyGroupRange,
    groups: Vec<SharedMap<K, V>>,
}

impl<K: StateKey, V: StateValue> TableSnapshot for SharedTable<K, V> {
    fn entries(&self) -> u64 {
        self.groups.iter().map(|group| group.len() as u64).sum()
    }

    fn write(&self, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError> {
        for (group, map) in self.range.groups().zip(&self.groups).filter(|(_, map)| map.len() > 0) {
            target.begin_group(group, map.len() as u64)?;
            map.iter().try_for_each(|(key, value)| target.entry(key, value))?;
        }
        Ok(())
    }
}
