//! Snapshots of RocksDB in files: what is uploaded of them, and what other subtasks make of them.
#![cfg(all(feature = "runtime", feature = "rocksdb"))]
#![allow(clippy::disallowed_methods)]

#[path = "support/checkpoint_in_files.rs"]
mod checkpoint_in_files;

use checkpoint_in_files::{Checkpoint, image, in_files_of, states_in_files};
use proptest::prelude::*;
use snapline::backend::rocksdb::RocksDbStateBackendFactory;
use snapline::base::ContentId;
use snapline::keygroup::{
    KeyGroup, KeyGroupRange, KeyGroupRangeAssignment, KeyHash, MaxParallelism, key_group_of,
};
use snapline::state::backend::StateBackend;
use snapline::state::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::sync::Arc;

const KEYS: u32 = 200;

fn max() -> MaxParallelism {
    MaxParallelism::new(16).expect("valid")
}

fn range(start: u16, end: u16) -> KeyGroupRange {
    KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).expect("not empty")
}

fn builder(range: KeyGroupRange, options: &[(&str, &str)]) -> KeyedStateStoreBuilder<u32> {
    let option = |(key, value): &(&str, &str)| (format!("state.backend.rocksdb.{key}"), (*value).to_owned());
    let options = options.iter().map(option).collect();
    let backend = StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), options);
    KeyedStateStoreBuilder::new(max(), range).with_backend(&backend)
}

fn in_files(store: &mut KeyedStateStore<u32>) -> Checkpoint {
    in_files_of("rocksdb", store)
}

fn restored(
    range: KeyGroupRange,
    options: &[(&str, &str)],
    checkpoints: &[Checkpoint],
) -> Result<KeyedStateStore<u32>, StateError> {
    let images = checkpoints.iter().map(|checkpoint| image(&checkpoint.state)).collect();
    builder(range, options).restore_with(images, &Checkpoint::files_of(checkpoints))
}

/// What one key has in all states.
type Content = (Option<u64>, Vec<u32>, BTreeMap<String, u32>);

struct States {
    value: ValueState<u64>,
    list: ListState<u32>,
    map: MapState<String, u32>,
}

impl States {
    fn open(store: &mut KeyedStateStore<u32>) -> Self {
        States {
            value: store.open(&ValueStateDescriptor::new("value")).expect("opens"),
            list: store.open(&ListStateDescriptor::new("list")).expect("opens"),
            map: store.open(&MapStateDescriptor::new("map")).expect("opens"),
        }
    }

    /// Changes something of the current key.
    fn change(&self, store: &mut KeyedStateStore<u32>, step: u32) -> Result<(), StateError> {
        match step % 8 {
            0 | 1 => self.value.update(store, u64::from(step)),
            2 | 3 => self.list.add(store, step),
            4 | 5 => self.map.put(store, format!("entry {}", step / 8 % 4), step),
            6 if step.is_multiple_of(3) => self.list.clear(store),
            6 => self.value.clear(store),
            _ => self.map.remove(store, &format!("entry {}", step / 8 % 4)).map(drop),
        }
    }
}

fn content(store: &mut KeyedStateStore<u32>) -> BTreeMap<u32, Content> {
    let states = States::open(store);
    let mut all = BTreeMap::new();
    let mut scopes = 0;
    for key in 0..KEYS {
        if store.set_current_key(key).is_err() {
            continue;
        }
        let value = states.value.get(store).expect("a key").map(|value| *value);
        let list: Vec<u32> = states.list.get(store).expect("a key").map(|one| *one).collect();
        let map: BTreeMap<_, _> =
            states.map.entries(store).expect("a key").map(|(k, v)| (k.into_owned(), *v)).collect();
        scopes += usize::from(value.is_some()) + usize::from(!list.is_empty()) + usize::from(!map.is_empty());
        all.insert(key, (value, list, map));
    }
    let counted = store.count(&states.value).expect("opened")
        + store.count(&states.list).expect("opened")
        + store.count(&states.map).expect("opened");
    assert_eq!(counted, scopes, "there is nothing of other key groups");
    all
}

/// Ranges of the key groups that begin at these.
fn ranges(cuts: &BTreeSet<u16>) -> Vec<KeyGroupRange> {
    let starts: Vec<u16> = std::iter::once(0).chain(cuts.iter().copied()).collect();
    let ends = starts.iter().skip(1).map(|start| start - 1).chain([max().get() - 1]);
    starts.iter().zip(ends).map(|(start, end)| range(*start, end)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// C7, S1: whatever the subtasks were and are, and whichever files are begun with.
    #[test]
    fn rocksdb_files_are_restored_by_any_subtasks(
        generations in proptest::collection::vec(
            (proptest::collection::btree_set(1..16u16, 0..4), proptest::collection::vec((0..KEYS, any::<u32>()), 0..300)),
            1..4,
        ),
        threshold in prop_oneof![Just("0.0"), Just("0.6"), Just("1.0")],
    ) {
        let options = [("restore-overlap-fraction-threshold", threshold), ("compaction.level.target-file-size-base", "1kb")];
        let (mut checkpoints, mut expected) = (Vec::new(), BTreeMap::new());
        for (cuts, steps) in generations {
            let mut stores: Vec<_> = ranges(&cuts)
                .into_iter()
                .map(|range| restored(range, &options, &checkpoints).expect("fits"))
                .collect();
            let found: BTreeMap<u32, Content> = stores.iter_mut().flat_map(content).collect();
            if checkpoints.is_empty() {
                prop_assert!(found.values().all(|one| *one == Content::default()));
            } else {
                prop_assert_eq!(&found, &expected);
            }
            for store in &mut stores {
                let states = States::open(store);
                for (key, step) in &steps {
                    if store.set_current_key(*key).is_ok() {
                        states.change(store, *step).expect("a key");
                    }
                }
            }
            checkpoints = stores.iter_mut().map(in_files).collect();
            // What comes behind a snapshot is not in it.
            expected = stores.iter_mut().flat_map(content).collect();
            for store in &mut stores {
                let states = States::open(store);
                for (key, step) in steps.iter().take(20) {
                    if store.set_current_key(*key).is_ok() {
                        states.change(store, step / 2).expect("a key");
                    }
                }
            }
        }
    }
}

/// U15 to U24
#[test]
fn rocksdb_files_are_restored_when_the_parallelism_changes() {
    let expected = content(&mut filled(max().all_groups()));
    let subtasks = |parallelism: u16| {
        let assignment = KeyGroupRangeAssignment::new(max(), parallelism).expect("some subtasks");
        (0..parallelism).map(move |subtask| assignment.range_of(subtask).expect("one of them"))
    };
    for (old, new) in [(1, 2), (2, 8), (2, 7), (2, 1), (8, 2), (7, 2), (2, 3), (3, 2)] {
        let checkpoints: Vec<_> = subtasks(old).map(|range| in_files(&mut filled(range))).collect();
        let stores = subtasks(new).map(|range| restored(range, &[], &checkpoints).expect("fits"));
        let found: BTreeMap<u32, Content> = stores.flat_map(|mut store| content(&mut store)).collect();
        assert_eq!(found, expected, "{old} to {new}");
    }
}

fn filled(range: KeyGroupRange) -> KeyedStateStore<u32> {
    let mut store = builder(range, &[]).restore(Vec::new()).expect("empty");
    let states = States::open(&mut store);
    for key in 0..KEYS {
        if store.set_current_key(key).is_ok() {
            (0..6).for_each(|step| states.change(&mut store, step + 8 * key).expect("a key"));
        }
    }
    store
}

/// C7: what is there already is not uploaded again, also after a restore, and what is new has another name.
#[test]
fn rocksdb_files_stay_the_same_from_snapshot_to_snapshot() {
    let mut store = filled(max().all_groups());
    let first = in_files(&mut store);
    assert!(!first.shared.is_empty());
    assert_eq!(in_files(&mut store).shared, first.shared, "nothing has changed");
    let states = States::open(&mut store);
    store.set_current_key(1).expect("all groups");
    states.value.update(&mut store, 1).expect("a key");
    let second = in_files(&mut store);
    assert!(first.shared.keys().all(|content| second.shared.contains_key(content)));
    assert_eq!(second.shared.len(), first.shared.len() + 1);
    let restore = || restored(max().all_groups(), &[], std::slice::from_ref(&second)).expect("fits");
    let mut twice = [restore(), restore()];
    let third = twice.each_mut().map(|store| {
        assert_eq!(in_files(store).shared, second.shared, "what was restored is referred to");
        let states = States::open(store);
        store.set_current_key(2).expect("all groups");
        states.value.update(store, 2).expect("a key");
        in_files(store)
    });
    let new = |third: &Checkpoint| -> BTreeSet<ContentId> {
        third.shared.keys().filter(|content| !second.shared.contains_key(content)).copied().collect()
    };
    let [one, other] = third.each_ref().map(new);
    assert_eq!((one.len(), other.len()), (1, 1));
    assert!(one.is_disjoint(&other), "two attempts have written files of the same number");
}

/// S3: a full snapshot is entries, whatever the backend keeps, and goes from one backend to the other.
#[test]
fn rocksdb_state_goes_to_the_heap_and_back() {
    let mut store = filled(max().all_groups());
    let expected = content(&mut store);
    let full = |store: &mut KeyedStateStore<u32>| {
        let mut file = Vec::new();
        let snapshot = store.snapshot().expect("taken");
        assert!(snapshot.files().is_none(), "it makes no links");
        snapshot.write_to(&mut file).expect("in memory");
        image(&file)
    };
    let from_files = in_files(&mut store);
    let mut store = restored(max().all_groups(), &[], &[from_files]).expect("fits");
    let mut on_heap =
        KeyedStateStore::restore(max(), max().all_groups(), vec![full(&mut store)]).expect("fits");
    assert_eq!(content(&mut on_heap), expected);
    let mut back = builder(max().all_groups(), &[]).restore(vec![full(&mut on_heap)]).expect("fits");
    assert_eq!(content(&mut back), expected);
}

#[test]
fn rocksdb_files_of_overlapping_key_groups_are_refused() {
    let old = [range(0, 8), range(8, 15)].map(|range| in_files(&mut filled(range)));
    let told = restored(max().all_groups(), &[], &old).map(drop).expect_err("one has two states").to_string();
    assert!(told.contains("lie in files of"), "{told}");
}

/// Whether its files are opened or copied, what is not among the states that lie there is not restored.
#[test]
fn rocksdb_leftovers_of_an_opening_that_failed_are_not_restored() {
    let checkpoints = [range(0, 4), range(5, 15)].map(|range| in_files(&mut filled(range)));
    for leftover_in in [0, 1] {
        let mut images: Vec<_> = checkpoints.iter().map(|checkpoint| image(&checkpoint.state)).collect();
        let files = images[leftover_in].files.as_mut().expect("it has files");
        files.states.retain(|state| !state.starts_with("value@"));
        let mut store = builder(max().all_groups(), &[])
            .restore_with(images, &Checkpoint::files_of(&checkpoints))
            .expect("fits");
        let states = States::open(&mut store);
        let mut found = [0, 0];
        for key in 0..KEYS {
            store.set_current_key(key).expect("all groups");
            let part = usize::from(key_group_of(key.key_hash(), max()).0 > 4);
            found[part] += usize::from(states.value.get(&store).expect("a key").is_some());
        }
        assert_eq!(found[leftover_in], 0, "{found:?}");
        assert!(found[1 - leftover_in] > 0, "{found:?}");
        assert_eq!(states_in_files(&in_files(&mut store)), ["value", "list", "map"]);
    }
}

#[test]
fn rocksdb_files_that_are_missing_or_damaged_are_told_and_nothing_is_left() {
    let whole = in_files(&mut filled(max().all_groups()));
    let parent = tempfile::tempdir().expect("a directory");
    let place = parent.path().to_str().expect("text").to_owned();
    let options = [("localdir", &*place)];
    let mut missing = whole.clone();
    missing.shared.clear();
    let told =
        restored(max().all_groups(), &options, &[missing]).map(drop).expect_err("no files").to_string();
    assert!(told.contains("no such file"), "{told}");
    let mut damaged = whole;
    damaged.shared.values_mut().for_each(|bytes| bytes.truncate(bytes.len() / 2));
    let told =
        restored(max().all_groups(), &options, &[damaged]).map(drop).expect_err("half a file").to_string();
    assert!(told.contains("RocksDB in ") && told.contains("open its files"), "{told}");
    assert_eq!(fs::read_dir(parent.path()).expect("it is there").count(), 0);
}
