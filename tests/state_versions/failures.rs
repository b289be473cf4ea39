//! Versions of a state whose backend fails, or whose serializers contradict themselves.

use super::*;
use crate::failing_backend::{FailingStateBackendFactory, Write};

/// The backend of runs, of which one write fails.
fn failing(of: Write, failing: u64) -> StateBackend {
    let (inner, writes) = (RunsStateBackendFactory, Arc::default());
    let factory = FailingStateBackendFactory { inner, of, writes, failing: failing..failing + 1 };
    StateBackend::Custom(Arc::new(factory), BTreeMap::new())
}

fn value_of(version: u8) -> ValueStateDescriptor<u32> {
    ValueStateDescriptor::new("value").with_serializer(Numbered::new(version))
}

/// The new entry is there, and the old one could not be removed.
#[test]
fn versions_with_an_entry_twice_have_the_newest() {
    let backend = failing(Write::Delete, 0);
    let (checkpoint, _) = of_version_1(&backend);
    let mut store = whole(&backend, &[checkpoint]);
    let value = store.open(&value_of(2)).expect("compatible");
    store.set_current_key(3).expect("all groups");
    let error = value.update(&mut store, 8).expect_err("nothing can be deleted").to_string();
    assert_eq!(error, "the backend of state `value` failed: the disk is full");
    let expected: BTreeMap<u32, u32> = (0..KEYS).map(|key| (key, if key == 3 { 8 } else { 7 })).collect();
    let entries: Vec<(u32, u32)> =
        value.entries(&store).expect("opened").map(|(key, value)| (*key, *value)).collect();
    assert_eq!(entries.len(), expected.len(), "each once");
    assert_eq!(BTreeMap::from_iter(entries), expected);
    assert_eq!(store.count(&value).expect("opened"), expected.len());
    let mut file = Vec::new();
    store.snapshot().expect("taken").write_to(&mut file).expect("memory");
    for backend in [StateBackend::default(), backend] {
        let builder = builder(&backend, max().all_groups());
        let mut store = builder.restore(vec![image(&file)]).expect("fits");
        let value = store.open(&value_of(2)).expect("compatible");
        store.set_current_key(3).expect("all groups");
        assert_eq!(value.get(&store).expect("a key").map(|value| *value), Some(8));
    }
}

/// A state that was migrated as a whole is there once, also when its old entries could not be removed.
#[test]
fn versions_that_were_migrated_count_no_more_whether_they_could_be_removed_or_not() {
    for failing_clear in 0..3 {
        let backend = failing(Write::Clear, failing_clear);
        let (mut checkpoint, content) = of_version_1(&backend);
        let state =
            |keys| MapStateDescriptor::<u32, u32>::new("numbers").with_key_serializer(Numbered::new(keys));
        let mut store = whole(&backend, &[checkpoint]);
        let numbers = store.open(&state(1)).expect("opens");
        for key in 0..KEYS {
            store.set_current_key(key).expect("all groups");
            content.map.values().for_each(|one| numbers.put(&mut store, *one, key).expect("a key"));
        }
        checkpoint = in_files_of(backend.name(), &mut store);
        for keys in 2..5 {
            let mut store = whole(&backend, &[checkpoint]);
            let numbers = store.open(&state(keys)).expect("compatible");
            for key in 0..KEYS {
                store.set_current_key(key).expect("all groups");
                let found: Vec<(u32, u32)> =
                    numbers.entries(&store).expect("a key").map(|(one, value)| (*one, *value)).collect();
                assert_eq!(found, content.map.values().map(|one| (*one, key)).collect::<Vec<_>>());
            }
            checkpoint = in_files_of(backend.name(), &mut store);
        }
    }
}

/// Wants to read anew even what it has written itself.
#[derive(Clone)]
struct Restless;

impl StateSerializer<u32> for Restless {
    fn serialize(&self, number: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        Numbered::new(1).serialize(number, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u32, String> {
        read(1, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        Numbered::new(1).snapshot()
    }

    fn compatibility(&self, _: &SerializerSnapshot) -> Compatibility<u32> {
        Compatibility::AfterMigration(Arc::new(|bytes| read(1, bytes)))
    }
}

#[test]
fn versions_are_not_migrated_to_themselves() {
    for backend in backends() {
        let (checkpoint, _) = of_version_1(&backend);
        let mut store = whole(&backend, &[checkpoint]);
        let refused = store.open(&ValueStateDescriptor::new("value").with_serializer(Restless)).map(drop);
        let refused = refused.expect_err("it would have to stand beside itself").to_string();
        let what = "state `value` would have to be migrated to the serializers that have written it";
        assert!(refused.contains(what), "{refused}");
        let value = store.open(&value_of(1)).expect("nothing has changed");
        assert_eq!(store.count(&value).expect("opened"), KEYS as usize);
    }
}

/// Becomes another one for each version that it finds.
#[derive(Clone)]
struct Fickle(u32);

impl StateSerializer<u32> for Fickle {
    fn serialize(&self, number: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        Numbered::new(1).serialize(number, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u32, String> {
        read(1, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new("fickle", self.0)
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u32> {
        match written.version {
            version if version == self.0 => Compatibility::AsIs,
            version => Compatibility::AfterReconfiguration(Arc::new(Fickle(version))),
        }
    }
}

#[test]
fn versions_that_ask_for_different_serializers_are_refused() {
    for backend in backends() {
        let (checkpoint, _) = of_version_1(&backend);
        let mut store = whole(&backend, &[checkpoint]);
        let value = store.open(&value_of(2)).expect("compatible");
        store.set_current_key(3).expect("all groups");
        value.update(&mut store, 8).expect("a key");
        let mut store = whole(&backend, &[in_files_of(backend.name(), &mut store)]);
        let refused = store.open(&ValueStateDescriptor::new("value").with_serializer(Fickle(3))).map(drop);
        let refused = refused.expect_err("one and two").to_string();
        assert!(refused.contains("state `value` asks for different serializers"), "{refused}");
        let value = store.open(&value_of(3)).expect("nothing has changed");
        assert_eq!(store.count(&value).expect("opened"), KEYS as usize);
    }
}
