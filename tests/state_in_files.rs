//! Keyed state that its backend leaves in files: what a store makes of them.
#![cfg(feature = "runtime")]
#![allow(clippy::disallowed_methods)]

#[path = "support/checkpoint_in_files.rs"]
mod checkpoint_in_files;
#[path = "support/failing_backend.rs"]
mod failing_backend;
#[path = "support/runs_backend.rs"]
mod runs_backend;

use checkpoint_in_files::{Checkpoint, image, in_files_of, states_in_files};
use failing_backend::{FailingStateBackendFactory, Write};
use runs_backend::RunsStateBackendFactory;
use snapline::base::Millis;
use snapline::codec::CodecError;
use snapline::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};
use snapline::state::backend::{BackendFile, FilePlace, StateBackend, state_name};
use snapline::state::serializer::{Compatibility, SerializerSnapshot, StateSerializer};
use snapline::state::*;
use snapline::ttl::StateTtlConfig;
use std::collections::BTreeMap;
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

fn in_files(store: &mut KeyedStateStore<u32>) -> Checkpoint {
    in_files_of("runs", store)
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
    assert_eq!(states_in_files(&checkpoint), ["values", "names"]);
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
        let states: Vec<_> = entries.states.keys().map(|name| state_name(name)).collect();
        assert_eq!(states, ["names", "values"]);
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
    let value = store.open(&values().with_ttl(one_minute())).expect("opens");
    let name = store.open(&names().with_ttl(one_minute())).expect("opens");
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
        let mut store = builder(range).restore_with(images, &Checkpoint::files_of(&old)).expect("fits");
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
        let files = names.iter().map(file).collect();
        let mut store = filled(max().all_groups());
        let snapshot = TaskSnapshot::new(
            Some(Box::new(store.snapshot_in_files().expect("taken"))),
            OperatorSnapshot::default(),
        );
        let mut state = Vec::new();
        snapshot.with_files("runs", files).write_to(&mut state).expect("in memory");
        let error = SnapshotImage::read_from(&state[..], None).expect_err("it is refused").to_string();
        assert!(error.contains("names of the backend's files"), "{names:?}: {error}");
    }
}

/// Numbers in `version` bytes more than eight. It takes over what version 1 wrote, and has no bytes for `refused`.
struct Padded {
    version: u32,
    refused: Option<u64>,
}

impl Padded {
    fn state(version: u32, refused: Option<u64>) -> ValueStateDescriptor<u64> {
        values().with_serializer(Padded { version, refused })
    }
}

fn read_padded(version: u32, bytes: &[u8]) -> Result<u64, String> {
    match bytes.split_last_chunk() {
        Some((padding, number)) if padding.len() == version as usize => Ok(u64::from_be_bytes(*number)),
        _ => Err(format!("{} bytes are no number of version {version}", bytes.len())),
    }
}

impl StateSerializer<u64> for Padded {
    fn serialize(&self, number: &u64, target: &mut Vec<u8>) -> Result<(), CodecError> {
        if self.refused == Some(*number) {
            return Err(CodecError::Refused(format!("{number} is refused")));
        }
        target.resize(target.len() + self.version as usize, 0);
        target.extend_from_slice(&number.to_be_bytes());
        Ok(())
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u64, String> {
        read_padded(self.version, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new("padded", self.version)
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u64> {
        match written.version {
            1 if self.version != 1 => Compatibility::AfterMigration(Arc::new(|bytes| read_padded(1, bytes))),
            _ => Compatibility::if_equal(&self.snapshot(), written),
        }
    }
}

fn one_minute() -> StateTtlConfig {
    StateTtlConfig::new(Millis(60_000)).expect("positive")
}

fn padded(range: KeyGroupRange) -> KeyedStateStore<u32> {
    let mut store = builder(range).restore(Vec::new()).expect("empty");
    let value = store.open(&Padded::state(1, None)).expect("opens");
    for key in 0..KEYS {
        if store.set_current_key(key).is_ok() {
            value.update(&mut store, u64::from(key)).expect("a key");
        }
    }
    store
}

/// Checks what [`padded`] has put there.
fn assert_padded(store: &mut KeyedStateStore<u32>, version: u32) {
    let value = store.open(&Padded::state(version, None)).expect("opens");
    for key in 0..KEYS {
        if store.set_current_key(key).is_ok() {
            assert_eq!(value.get(store).expect("a key").as_deref(), Some(&u64::from(key)));
        }
    }
}

fn restored(checkpoint: &Checkpoint) -> KeyedStateStore<u32> {
    let image = image(&checkpoint.state);
    builder(image.header.range).restore_with(vec![image], checkpoint).expect("fits")
}

/// What the backend was given before it failed must not take the place of what it was not given.
#[test]
fn state_whose_opening_failed_half_way_is_whole_in_the_next_files() {
    let entries = as_entries(&mut padded(max().all_groups()));
    let mut store = builder(max().all_groups()).restore(vec![entries]).expect("fits");
    store.open(&Padded::state(2, Some(17))).map(drop).expect_err("17 is refused");
    let checkpoint = in_files(&mut store);
    assert_eq!(states_in_files(&checkpoint), [""; 0], "the state file has it");
    assert_padded(&mut restored(&checkpoint), 2);
    // What was left behind does not come back when it has its place again.
    let mut again = restored(&checkpoint);
    assert_padded(&mut again, 1);
    assert_padded(&mut restored(&in_files(&mut again)), 1);
}

#[test]
fn state_in_files_whose_migration_is_refused_stays_as_it_was() {
    let checkpoint = in_files(&mut padded(max().all_groups()));
    let mut store = restored(&checkpoint);
    // Times are put in front of all values at once.
    let state = Padded::state(2, Some(39)).with_ttl(one_minute());
    let refused = store.open(&state).map(drop).expect_err("39 is refused").to_string();
    assert!(refused.contains("39 is refused"), "{refused}");
    assert_padded(&mut restored(&in_files(&mut store)), 2);
    assert_padded(&mut store, 1);
}

/// What was written anew until then is not mixed with what is still there.
#[test]
fn state_in_files_whose_migration_fails_half_way_stays_as_it_was() {
    let checkpoint = in_files(&mut padded(max().all_groups()));
    let (inner, writes) = (RunsStateBackendFactory, Arc::default());
    let factory =
        FailingStateBackendFactory { inner, of: Write::Put, writes, failing: u64::from(KEYS) / 2..u64::MAX };
    let backend = StateBackend::Custom(Arc::new(factory), BTreeMap::new());
    let builder = builder(max().all_groups()).with_backend(&backend);
    let mut store = builder.restore_with(vec![image(&checkpoint.state)], &checkpoint).expect("fits");
    let state = Padded::state(2, None).with_ttl(one_minute());
    let full = store.open(&state).map(drop).expect_err("a write fails").to_string();
    assert_eq!(full, "the backend of state `values` failed: the disk is full");
    let entries = as_entries(&mut store);
    let mut on_heap = KeyedStateStore::restore(max(), max().all_groups(), vec![entries]).expect("fits");
    assert_padded(&mut on_heap, 2);
    assert_padded(&mut restored(&in_files(&mut store)), 2);
    assert_padded(&mut store, 1);
}

#[test]
fn state_without_entries_lies_in_files_too() {
    let mut store = builder(max().all_groups()).restore(Vec::new()).expect("empty");
    store.open(&values()).expect("opens");
    let mut store = restored(&in_files(&mut store));
    let value = store.open(&values()).expect("opens");
    assert_eq!(store.count(&value).expect("opened"), 0);
}

#[test]
fn state_that_its_files_do_not_hold_is_not_restored() {
    let checkpoint = in_files(&mut filled(max().all_groups()));
    let mut damaged = image(&checkpoint.state);
    let other = in_files(&mut padded(max().all_groups()));
    let files = image(&other.state).files.expect("it lies in files").files;
    damaged.files.as_mut().expect("it lies in files").files = files;
    let error = builder(max().all_groups()).restore_with(vec![damaged], &other).map(drop);
    let error = error.expect_err("there are no names").to_string();
    assert!(error.contains("the files that should hold state `names` do not"), "{error}");
}

/// One subtask has opened it and has it in its files, the other has not opened it since it was restored from entries.
#[test]
fn state_in_files_of_one_subtask_and_in_entries_of_another_is_whole() {
    let first = in_files(&mut padded(range(0, 3)));
    let mut second = builder(range(4, 7)).restore(vec![as_entries(&mut padded(range(4, 7)))]).expect("fits");
    let last_key = (0..KEYS).filter(|key| second.set_current_key(*key).is_ok()).last().map(u64::from);
    // This opening leaves entries behind, which are not to be mixed with those of the state file.
    second.open(&Padded::state(2, last_key)).map(drop).expect_err("its last key is refused");
    let parts = [first, in_files(&mut second)];
    for version in [1, 2] {
        let images = parts.iter().map(|part| image(&part.state)).collect();
        let mut store =
            builder(max().all_groups()).restore_with(images, &Checkpoint::files_of(&parts)).expect("fits");
        let entries = as_entries(&mut store);
        assert_padded(&mut store, version);
        assert_padded(
            &mut KeyedStateStore::restore(max(), max().all_groups(), vec![entries]).expect("fits"),
            version,
        );
    }
}

#[test]
fn state_in_files_of_subtasks_that_share_key_groups_is_refused() {
    let parts = [range(0, 4), range(4, 7)].map(|range| in_files(&mut padded(range)));
    let images = parts.iter().map(|part| image(&part.state)).collect();
    let error = builder(max().all_groups()).restore_with(images, &Checkpoint::files_of(&parts)).map(drop);
    let error = error.expect_err("both have key group 4").to_string();
    assert!(error.contains("lie in files of"), "{error}");
}

/// Nothing of them is fetched, and a state that only they have is empty here.
#[test]
fn state_in_files_of_other_key_groups_is_not_asked_for() {
    let parts = [in_files(&mut padded(range(0, 3))), in_files(&mut filled(range(4, 7)))];
    let rename = |image: KeyedImage| {
        let renamed = |name: &str| name.replace("values@", "others@");
        let mut image = image;
        image.header.states.iter_mut().for_each(|state| state.name = renamed(&state.name));
        let states = std::mem::take(&mut image.states).into_iter().map(|(name, mut raw)| {
            raw.header.name = renamed(&name);
            (renamed(&name), raw)
        });
        image.states = states.collect();
        let files = image.files.as_mut().expect("it has files");
        files.states.iter_mut().for_each(|name| *name = renamed(name));
        image
    };
    let images = vec![image(&parts[0].state), rename(image(&parts[1].state))];
    let mut store = builder(range(0, 1)).restore_with(images.clone(), &parts[0]).expect("fits");
    assert_padded(&mut store, 1);
    let names = store.open(&names()).expect("opens");
    assert_eq!(store.count(&names).expect("opened"), 0);
    let none = builder(range(0, 1)).restore_with(vec![images[1].clone()], &Checkpoint::default());
    let mut none = none.expect("nothing is fetched");
    let names = none.open(&self::names()).expect("opens");
    assert_eq!(none.count(&names).expect("opened"), 0);
}

#[test]
fn state_in_files_and_in_entries_of_the_same_key_groups_is_refused() {
    let in_files = in_files(&mut padded(range(0, 3)));
    let images = vec![image(&in_files.state), as_entries(&mut padded(range(3, 7)))];
    let error = builder(max().all_groups()).restore_with(images, &in_files).map(drop);
    let error = error.expect_err("both have key group 3").to_string();
    assert!(error.contains("`values` has a key group in files and in entries"), "{error}");
}
