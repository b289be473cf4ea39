//! Keyed state that its backend leaves in files: what a store makes of them.
#![cfg(feature = "runtime")]
#![allow(clippy::disallowed_methods)]

#[path = "support/runs_backend.rs"]
mod runs_backend;

use runs_backend::RunsStateBackendFactory;
use snapline::base::{ContentId, Millis};
use snapline::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};
use snapline::state::backend::{BackendError, BackendFile, BackendFiles, FetchFile, FilePlace, StateBackend};
use snapline::state::*;
use snapline::ttl::StateTtlConfig;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

const KEYS: u32 = 40;

fn max() -> MaxParallelism {
    MaxParallelism::new(8).expect("valid")
}

fn range(start: u16, end: u16) -> KeyGroupRange {
    KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).expect("not empty")
}

fn builder(range: KeyGroupRange) -> KeyedStateStoreBuilder<u32> {
    let backend = StateBackend::Custom(Arc::new(RunsStateBackendFactory), BTreeMap::new());
    KeyedStateStoreBuilder::new(max(), range).with_backend(&backend)
}

fn values() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("values")
}

fn names() -> MapStateDescriptor<String, u32> {
    MapStateDescriptor::new("names")
}

/// A checkpoint of one subtask: its state file, and the shared files beside it.
#[derive(Default)]
struct Checkpoint {
    state: Vec<u8>,
    shared: BTreeMap<ContentId, Vec<u8>>,
}

impl FetchFile for Checkpoint {
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError> {
        let bytes = match &file.place {
            FilePlace::Private(bytes) => bytes,
            FilePlace::Shared { content, .. } => self.shared.get(content).ok_or("no such file")?,
        };
        Ok(fs::write(target, bytes)?)
    }
}

/// All that is to be known of several checkpoints.
fn merged(checkpoints: &[Checkpoint]) -> Checkpoint {
    let shared = checkpoints.iter().flat_map(|one| one.shared.clone()).collect();
    Checkpoint { state: Vec::new(), shared }
}

fn image(state: &[u8]) -> KeyedImage {
    SnapshotImage::read_from(state, None).expect("intact").keyed.expect("keyed state")
}

/// A snapshot that consists of files.
fn in_files(store: &mut KeyedStateStore<u32>) -> Checkpoint {
    let snapshot = TaskSnapshot::new(
        Some(Box::new(store.snapshot_in_files().expect("taken"))),
        OperatorSnapshot::default(),
    );
    let mut checkpoint = Checkpoint::default();
    let mut files = Vec::new();
    for file in snapshot.files().expect("the backend has files") {
        let bytes = fs::read(&file.path).expect("it lies there");
        let place = match file.content {
            Some(content) => {
                checkpoint.shared.insert(content, bytes);
                FilePlace::Shared { content, checksum: 0 }
            }
            None => FilePlace::Private(bytes),
        };
        files.push(BackendFile { name: file.name.clone(), place });
    }
    let snapshot = snapshot.with_files(BackendFiles { backend: "runs".to_owned(), files });
    snapshot.write_to(&mut checkpoint.state).expect("in memory");
    checkpoint
}

/// The same state as entries.
fn as_entries(store: &mut KeyedStateStore<u32>) -> KeyedImage {
    let mut file = Vec::new();
    store.snapshot().expect("taken").write_to(&mut file).expect("in memory");
    image(&file)
}

fn filled(range: KeyGroupRange) -> KeyedStateStore<u32> {
    let mut store = builder(range).restore(Vec::new()).expect("empty");
    let (value, name) = (store.open(&values()).expect("opens"), store.open(&names()).expect("opens"));
    for key in 0..KEYS {
        if store.set_current_key(key).is_ok() {
            value.update(&mut store, u64::from(key)).expect("a key");
            name.put(&mut store, format!("name {key}"), key).expect("a key");
        }
    }
    store
}

/// Checks the keys of the range, and says how many there are.
fn assert_filled(store: &mut KeyedStateStore<u32>) -> u32 {
    let (value, name) = (store.open(&values()).expect("opens"), store.open(&names()).expect("opens"));
    let mut keys = 0;
    for key in 0..KEYS {
        if store.set_current_key(key).is_ok() {
            keys += 1;
            assert_eq!(value.get(store).expect("a key").as_deref(), Some(&u64::from(key)));
            assert_eq!(name.get(store, &format!("name {key}")).expect("a key").as_deref(), Some(&key));
        }
    }
    assert_eq!(store.count(&value).expect("opened"), keys as usize, "there is nothing of other ranges");
    keys
}

#[test]
fn state_in_files_is_restored_and_written_as_entries() {
    let mut first = filled(max().all_groups());
    let checkpoint = in_files(&mut first);
    let raw = image(&checkpoint.state);
    assert!(raw.states.values().all(|state| state.groups.is_empty()), "all of it lies in the files");
    let mut store = builder(max().all_groups()).restore_with(vec![raw], &checkpoint).expect("fits");
    assert_eq!(assert_filled(&mut store), KEYS);
    let mut on_heap =
        KeyedStateStore::restore(max(), max().all_groups(), vec![as_entries(&mut store)]).expect("fits");
    assert_eq!(assert_filled(&mut on_heap), KEYS);
}

/// What nobody opens goes from snapshot to snapshot, in files and as entries.
#[test]
fn state_in_files_that_is_not_opened_is_in_every_snapshot() {
    let mut checkpoint = in_files(&mut filled(max().all_groups()));
    for _ in 0..3 {
        let restored = builder(max().all_groups()).restore_with(vec![image(&checkpoint.state)], &checkpoint);
        let mut store = restored.expect("fits");
        let value = store.open(&values()).expect("opens");
        store.set_current_key(1).expect("all groups");
        value.update(&mut store, 1).expect("a key");
        let entries = as_entries(&mut store);
        let mut on_heap = KeyedStateStore::restore(max(), max().all_groups(), vec![entries]).expect("fits");
        assert_eq!(assert_filled(&mut on_heap), KEYS);
        checkpoint = in_files(&mut store);
    }
    let restored = builder(max().all_groups()).restore_with(vec![image(&checkpoint.state)], &checkpoint);
    assert_eq!(assert_filled(&mut restored.expect("fits")), KEYS);
}

/// A time to live puts a time in front of each value.
#[test]
fn state_in_files_is_migrated_where_it_lies() {
    let checkpoint = in_files(&mut filled(max().all_groups()));
    let restored = builder(max().all_groups()).restore_with(vec![image(&checkpoint.state)], &checkpoint);
    let mut store = restored.expect("fits");
    let ttl = StateTtlConfig::new(Millis(60_000)).expect("positive");
    let value = store.open(&values().with_ttl(ttl)).expect("opens");
    let name = store.open(&names().with_ttl(ttl)).expect("opens");
    for key in 0..KEYS {
        store.set_current_key(key).expect("all groups");
        assert_eq!(value.get(&mut store).expect("a key").as_deref(), Some(&u64::from(key)));
        assert_eq!(name.get(&mut store, &format!("name {key}")).expect("a key").as_deref(), Some(&key));
    }
}

#[test]
fn state_in_files_of_several_subtasks_is_distributed_anew() {
    let old = [range(0, 4), range(5, 7)].map(|range| in_files(&mut filled(range)));
    let mut keys = 0;
    for range in [range(0, 2), range(3, 5), range(6, 7)] {
        let images = old.iter().map(|checkpoint| image(&checkpoint.state)).collect();
        let mut store = builder(range).restore_with(images, &merged(&old)).expect("fits");
        keys += assert_filled(&mut store);
        let again = in_files(&mut store);
        let mut store = builder(range).restore_with(vec![image(&again.state)], &again).expect("fits");
        assert_filled(&mut store);
    }
    assert_eq!(keys, KEYS);
}

#[test]
fn state_in_files_that_are_missing_is_not_restored_and_says_which() {
    let checkpoint = in_files(&mut filled(max().all_groups()));
    let image = || vec![image(&checkpoint.state)];
    let nowhere = builder(max().all_groups()).restore(image()).map(drop).expect_err("no files").to_string();
    assert!(nowhere.contains("cannot be fetched: nobody has said from where"), "{nowhere}");
    let empty = Checkpoint::default();
    let missing = builder(max().all_groups()).restore_with(image(), &empty).map(drop);
    let missing = missing.expect_err("no files").to_string();
    assert_eq!(missing, "the backend of state `runs` failed: no such file");
}

/// Their names become names of local files.
#[test]
fn state_in_files_with_names_that_lead_elsewhere_is_damaged() {
    for names in
        [vec!["../elsewhere"], vec!["a/b"], vec![""], vec![".."], vec!["."], vec!["a\\b"], vec!["a", "a"]]
    {
        let place = FilePlace::Private(Vec::new());
        let file = |name: &&str| BackendFile { name: (*name).to_owned(), place: place.clone() };
        let files = BackendFiles { backend: "runs".to_owned(), files: names.iter().map(file).collect() };
        let mut store = filled(max().all_groups());
        let snapshot = TaskSnapshot::new(
            Some(Box::new(store.snapshot_in_files().expect("taken"))),
            OperatorSnapshot::default(),
        );
        let mut state = Vec::new();
        snapshot.with_files(files).write_to(&mut state).expect("in memory");
        let error = SnapshotImage::read_from(&state[..], None).expect_err("it is refused").to_string();
        assert!(error.contains("names of the backend's files"), "{names:?}: {error}");
    }
}
