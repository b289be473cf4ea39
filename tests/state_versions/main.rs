//! State in files of a backend whose serializers change: what nobody touches keeps the bytes it has.
#![cfg(feature = "testkit")]
#![allow(clippy::disallowed_methods)]

#[path = "../support/checkpoint_in_files.rs"]
mod checkpoint_in_files;
#[path = "../support/failing_backend.rs"]
mod failing_backend;
mod failures;
mod heap;
mod openings;
mod reference;
#[path = "../support/runs_backend.rs"]
mod runs_backend;
mod together;

use checkpoint_in_files::{Checkpoint, image, in_files_of, states_in_files};
use proptest::prelude::*;
use runs_backend::RunsStateBackendFactory;
use snapline::base::Millis;
use snapline::codec::CodecError;
use snapline::keygroup::{KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, key_group_of};
use snapline::state::backend::{StateBackend, StateBackendFactory};
use snapline::state::serializer::{Compatibility, SerializerSnapshot, StateSerializer};
use snapline::state::*;
use snapline::ttl::StateTtlConfig;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const KEYS: u32 = 12;

/// Writes numbers behind its version, and reads what earlier ones have written.
#[derive(Clone)]
struct Numbered {
    version: u8,
    /// How often it has read something older.
    migrated: Arc<AtomicU64>,
}

impl Numbered {
    fn new(version: u8) -> Self {
        Numbered { version, migrated: Arc::default() }
    }

    fn migrated(&self) -> u64 {
        self.migrated.swap(0, Ordering::Relaxed)
    }
}

fn read(version: u8, bytes: &[u8]) -> Result<u32, String> {
    match bytes.split_first() {
        // A longer one than those before it.
        Some((found, rest)) if *found == version && rest.len() == 4 + usize::from(version) => {
            Ok(u32::from_be_bytes(*rest.first_chunk().expect("four bytes")))
        }
        _ => Err(format!("{bytes:?} is no number of version {version}")),
    }
}

impl StateSerializer<u32> for Numbered {
    fn serialize(&self, number: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        target.push(self.version);
        target.extend_from_slice(&number.to_be_bytes());
        target.resize(target.len() + usize::from(self.version), 0xEE);
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u32, String> {
        read(self.version, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new("numbered", self.version.into())
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u32> {
        let older = u8::try_from(written.version).ok().filter(|older| *older < self.version);
        match older {
            Some(older) if written.id == "numbered" => {
                let migrated = Arc::clone(&self.migrated);
                Compatibility::AfterMigration(Arc::new(move |bytes| {
                    migrated.fetch_add(1, Ordering::Relaxed);
                    read(older, bytes)
                }))
            }
            _ => Compatibility::if_equal(&self.snapshot(), written),
        }
    }
}

type Store = KeyedStateStore<u32>;

struct States {
    value: ValueState<u32>,
    list: ListState<u32>,
    map: MapState<u8, u32>,
    serializer: Numbered,
}

impl States {
    fn open(store: &mut Store, version: u8) -> Self {
        let serializer = Numbered::new(version);
        let value = ValueStateDescriptor::new("value").with_serializer(serializer.clone());
        let list = ListStateDescriptor::new("list").with_serializer(serializer.clone());
        let map = MapStateDescriptor::new("map").with_value_serializer(serializer.clone());
        States {
            value: store.open(&value).expect("compatible"),
            list: store.open(&list).expect("compatible"),
            map: store.open(&map).expect("compatible"),
            serializer,
        }
    }

    fn change(&self, store: &mut Store, what: u8, number: u32) -> Result<(), StateError> {
        let entry = (number % 5) as u8;
        match what % 8 {
            0 => self.value.update(store, number),
            1 => self.value.modify(store, |value| value.map(|value| value ^ number)),
            2 | 3 => self.list.add(store, number),
            4 => self.list.update(store, vec![number, number]),
            5 => self.map.put(store, entry, number),
            6 => self.map.remove(store, &entry).map(drop),
            _ => match number % 3 {
                0 => self.value.clear(store),
                1 => self.list.clear(store),
                _ => self.map.clear(store),
            },
        }
    }
}

/// The same without anything of Snapline's.
#[derive(Clone, Debug, Default, PartialEq)]
struct Content {
    value: Option<u32>,
    list: Vec<u32>,
    map: BTreeMap<u8, u32>,
}

impl Content {
    fn change(&mut self, what: u8, number: u32) {
        let entry = (number % 5) as u8;
        match what % 8 {
            0 => self.value = Some(number),
            1 => self.value = self.value.map(|value| value ^ number),
            2 | 3 => self.list.push(number),
            4 => self.list = vec![number, number],
            5 => _ = self.map.insert(entry, number),
            6 => _ = self.map.remove(&entry),
            _ => match number % 3 {
                0 => self.value = None,
                1 => self.list.clear(),
                _ => self.map.clear(),
            },
        }
    }
}

fn max() -> MaxParallelism {
    MaxParallelism::new(8).expect("valid")
}

/// The backends that keep state in files.
fn backends() -> Vec<StateBackend> {
    let factories: [Arc<dyn StateBackendFactory>; _] = [
        Arc::new(RunsStateBackendFactory),
        #[cfg(feature = "rocksdb")]
        Arc::new(snapline::backend::rocksdb::RocksDbStateBackendFactory),
    ];
    factories.into_iter().map(|factory| StateBackend::Custom(factory, BTreeMap::new())).collect()
}

fn builder(backend: &StateBackend, range: KeyGroupRange) -> KeyedStateStoreBuilder<u32> {
    KeyedStateStoreBuilder::new(max(), range).with_backend(backend)
}

fn restored(backend: &StateBackend, range: KeyGroupRange, from: &[Checkpoint]) -> Store {
    let images = from.iter().map(|one| image(&one.state)).collect();
    builder(backend, range).restore_with(images, &Checkpoint::files_of(from)).expect("fits")
}

fn whole(backend: &StateBackend, from: &[Checkpoint]) -> Store {
    restored(backend, max().all_groups(), from)
}

fn all_of(store: &mut Store, states: &States) -> BTreeMap<u32, Content> {
    let mut all = BTreeMap::new();
    for key in 0..KEYS {
        if store.set_current_key(key).is_err() {
            continue;
        }
        let content = Content {
            value: states.value.get(store).expect("a key").map(|value| *value),
            list: states.list.get(store).expect("a key").map(|one| *one).collect(),
            map: states.map.entries(store).expect("a key").map(|(key, value)| (*key, *value)).collect(),
        };
        for entry in 0..5 {
            let found = states.map.get(store, &entry).expect("a key").map(|value| *value);
            assert_eq!(found, content.map.get(&entry).copied());
        }
        all.insert(key, content);
    }
    let values: BTreeMap<u32, u32> =
        states.value.entries(store).expect("opened").map(|(key, value)| (*key, *value)).collect();
    let with_value = all.iter().filter_map(|(key, content)| Some((*key, content.value?)));
    assert_eq!(values, with_value.collect());
    let count = |is: fn(&Content) -> bool| all.values().filter(|content| is(content)).count();
    assert_eq!(store.count(&states.list).expect("opened"), count(|content| !content.list.is_empty()));
    assert_eq!(store.count(&states.map).expect("opened"), count(|content| !content.map.is_empty()));
    all
}

/// A checkpoint by serializers of version 1 in which every key has the same.
fn of_version_1(backend: &StateBackend) -> (Checkpoint, Content) {
    let mut store = whole(backend, &[]);
    let states = States::open(&mut store, 1);
    let content = Content { value: Some(7), list: vec![1, 2], map: BTreeMap::from([(1, 10), (3, 30)]) };
    for key in 0..KEYS {
        store.set_current_key(key).expect("all groups");
        states.value.update(&mut store, 7).expect("a key");
        states.list.update(&mut store, vec![1, 2]).expect("a key");
        content.map.iter().for_each(|(key, value)| states.map.put(&mut store, *key, *value).expect("a key"));
    }
    (in_files_of(backend.name(), &mut store), content)
}

/// The versions of the serializers that have written what a checkpoint has of a state.
fn versions(checkpoint: &Checkpoint, state: &str) -> BTreeSet<u32> {
    let headers = image(&checkpoint.state).header.states;
    let versions = headers.iter().filter(|header| header.name.starts_with(&format!("{state}@")));
    versions.map(|header| header.value.version).collect()
}

/// How many keys have a value in a checkpoint that was written by version 1.
fn values_of_version_1(backend: &StateBackend, checkpoint: &Checkpoint) -> usize {
    let mut image = image(&checkpoint.state);
    let is_old = |name: &str| !name.starts_with("value@") || image.states[name].header.value.version == 1;
    let (kept, others): (Vec<String>, Vec<String>) =
        image.states.keys().cloned().partition(|name| is_old(name));
    others.iter().for_each(|name| _ = image.states.remove(name));
    image.header.states.retain(|header| kept.contains(&header.name));
    image.files.as_mut().expect("it has files").states.retain(|name| kept.contains(name));
    let mut store = builder(backend, max().all_groups()).restore_with(vec![image], checkpoint).expect("fits");
    let old = ValueStateDescriptor::new("value").with_serializer(Numbered::new(1));
    let value = store.open(&old).expect("compatible");
    store.count(&value).expect("opened")
}

fn halves() -> [KeyGroupRange; 2] {
    [(0, 3), (4, 7)]
        .map(|(start, end)| KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).expect("not empty"))
}

fn ranges(cuts: &BTreeSet<u16>) -> Vec<KeyGroupRange> {
    let starts: Vec<u16> = std::iter::once(0).chain(cuts.iter().copied()).collect();
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([max().get() - 1]);
    let range = |(start, end)| KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).expect("not empty");
    starts.iter().copied().zip(ends).map(range).collect()
}

/// S5: over several checkpoints, whatever happens to others.
#[test]
fn versions_of_what_nobody_touches_stay() {
    for backend in backends() {
        let (mut checkpoint, content) = of_version_1(&backend);
        for touched in 0..3u32 {
            let mut store = whole(&backend, &[checkpoint]);
            let states = States::open(&mut store, 2);
            assert_eq!(states.serializer.migrated(), 0, "nothing was read");
            store.set_current_key(touched).expect("all groups");
            states.value.update(&mut store, touched).expect("a key");
            checkpoint = in_files_of(backend.name(), &mut store);
            assert_eq!(versions(&checkpoint, "value"), BTreeSet::from([1, 2]));
            assert_eq!(values_of_version_1(&backend, &checkpoint), (KEYS - touched - 1) as usize);
            assert_eq!(states.serializer.migrated(), 0);
            // To read is not to write.
            let all = all_of(&mut store, &states);
            assert!(states.serializer.migrated() > 0);
            for (key, found) in all {
                let value = if key <= touched { key } else { 7 };
                assert_eq!(found, Content { value: Some(value), ..content.clone() });
            }
            assert_eq!(versions(&in_files_of(backend.name(), &mut store), "map"), BTreeSet::from([1, 2]));
        }
    }
}

/// When the last is gone, nothing is left of the old version from the next opening on.
#[test]
fn versions_that_hold_nothing_any_more_are_forgotten() {
    for backend in backends() {
        let (checkpoint, content) = of_version_1(&backend);
        let mut store = whole(&backend, &[checkpoint]);
        let states = States::open(&mut store, 2);
        for key in 0..KEYS {
            store.set_current_key(key).expect("all groups");
            match key % 2 {
                0 => states.value.modify(&mut store, |value| value).expect("a key"),
                _ => states.value.clear(&mut store).expect("a key"),
            }
        }
        let checkpoint = in_files_of(backend.name(), &mut store);
        assert_eq!(values_of_version_1(&backend, &checkpoint), 0);
        let mut store = whole(&backend, &[checkpoint]);
        let states = States::open(&mut store, 2);
        let checkpoint = in_files_of(backend.name(), &mut store);
        assert_eq!(versions(&checkpoint, "value"), BTreeSet::from([2]));
        assert_eq!(states_in_files(&checkpoint), ["value", "list", "list", "map", "map"]);
        for (key, found) in all_of(&mut store, &states) {
            let value = (key % 2 == 0).then_some(7);
            assert_eq!(found, Content { value, ..content.clone() });
        }
    }
}

/// A list is one thing: its elements become new together.
#[test]
fn versions_of_a_list_that_grows_keep_its_order() {
    for backend in backends() {
        let (checkpoint, _) = of_version_1(&backend);
        let mut store = whole(&backend, &[checkpoint]);
        let states = States::open(&mut store, 2);
        store.set_current_key(0).expect("all groups");
        for added in [3, 4] {
            states.list.add(&mut store, added).expect("a key");
        }
        assert_eq!(states.serializer.migrated(), 2, "both elements, once");
        let found: Vec<u32> = states.list.get(&store).expect("a key").map(|one| *one).collect();
        assert_eq!(found, [1, 2, 3, 4]);
    }
}

/// A store with states of version 1, opened with version 2, of which the value of key 0 was updated to 8.
fn with_one_touched(backend: &StateBackend) -> (Content, Store, States) {
    let (checkpoint, content) = of_version_1(backend);
    let mut store = whole(backend, &[checkpoint]);
    let states = States::open(&mut store, 2);
    store.set_current_key(0).expect("all groups");
    states.value.update(&mut store, 8).expect("a key");
    (content, store, states)
}

/// A full snapshot is read by any backend with the present serializers alone.
#[test]
fn versions_become_one_in_a_full_snapshot() {
    for backend in backends() {
        let (content, mut store, _) = with_one_touched(&backend);
        let mut file = Vec::new();
        store.snapshot().expect("taken").write_to(&mut file).expect("memory");
        let names: Vec<_> = image(&file).states.into_keys().collect();
        assert_eq!(names, ["list", "map", "value"]);
        let mut on_heap = Store::restore(max(), max().all_groups(), vec![image(&file)]).expect("fits");
        let states = States::open(&mut on_heap, 2);
        for (key, found) in all_of(&mut on_heap, &states) {
            let value = Some(if key == 0 { 8 } else { 7 });
            assert_eq!(found, Content { value, ..content.clone() });
        }
        assert_eq!(states.serializer.migrated(), 0, "it was when the snapshot was written");
    }
}

/// Nobody has opened it, so nobody knows which version is the present one.
#[test]
fn versions_of_a_state_that_is_not_opened_go_into_a_full_snapshot_side_by_side() {
    for backend in backends() {
        let (content, mut store, _) = with_one_touched(&backend);
        let mut unopened = whole(&backend, &[in_files_of(backend.name(), &mut store)]);
        let mut file = Vec::new();
        unopened.snapshot().expect("taken").write_to(&mut file).expect("memory");
        for backend in [&StateBackend::default(), &backend] {
            let mut store = builder(backend, max().all_groups()).restore(vec![image(&file)]).expect("fits");
            let states = States::open(&mut store, 3);
            for (key, found) in all_of(&mut store, &states) {
                let value = Some(if key == 0 { 8 } else { 7 });
                assert_eq!(found, Content { value, ..content.clone() });
            }
        }
    }
}

/// Old bytes have the times they were written with.
#[test]
fn versions_of_values_with_times_expire_when_they_would_have() {
    for backend in backends() {
        let ttl = StateTtlConfig::new(Millis(100)).expect("positive");
        let state = |version| {
            ValueStateDescriptor::new("value").with_serializer(Numbered::new(version)).with_ttl(ttl)
        };
        let mut store = whole(&backend, &[]);
        let value = store.open(&state(1)).expect("opens");
        for key in 0..KEYS {
            store.set_processing_time(Millis(key.into()));
            store.set_current_key(key).expect("all groups");
            value.update(&mut store, key).expect("a key");
        }
        let mut store = whole(&backend, &[in_files_of(backend.name(), &mut store)]);
        store.set_processing_time(Millis(103));
        let value = store.open(&state(2)).expect("compatible");
        assert_eq!(store.expired_but_present(&value).expect("opened").values, 4);
        let mut live = Vec::new();
        for key in 0..KEYS {
            store.set_current_key(key).expect("all groups");
            live.extend(value.get(&mut store).expect("a key").map(|value| *value));
        }
        assert_eq!(live, (4..KEYS).collect::<Vec<_>>());
        let checkpoint = in_files_of(backend.name(), &mut store);
        let headers = image(&checkpoint.state).header.states;
        assert_eq!(headers.len(), 2, "those that live have their old bytes: {headers:?}");
    }
}

#[test]
fn versions_cannot_be_mistaken_for_states() {
    let mut store = Store::new(max(), max().all_groups()).expect("fits");
    let reserved = store.open(&ValueStateDescriptor::<u32>::new("value@0123abcd")).map(drop);
    let reserved = reserved.expect_err("so ends a version").to_string();
    assert!(reserved.contains("no state can be called `value@0123abcd`"), "{reserved}");
    store.open(&ValueStateDescriptor::<u32>::new("value@0123")).expect("this is none");
}
