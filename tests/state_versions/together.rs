//! Subtasks whose states have different versions are put together.

use super::*;

/// One had no state and began with the new serializers, the other has old bytes.
#[test]
fn versions_of_subtasks_that_began_differently_are_put_together() {
    for backend in backends() {
        let (checkpoint, content) = of_version_1(&backend);
        let ranges = [(0, 3), (4, 7)]
            .map(|(start, end)| KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).expect("not empty"));
        let old = restored(&backend, ranges[0], &[checkpoint]);
        let fresh = restored(&backend, ranges[1], &[]);
        let mut parts = Vec::new();
        for mut store in [old, fresh] {
            let states = States::open(&mut store, 2);
            for key in 0..KEYS {
                if store.set_current_key(key).is_ok() {
                    states.map.put(&mut store, 1, 100 + key).expect("a key");
                }
            }
            parts.push(in_files_of(backend.name(), &mut store));
        }
        let mut store = whole(&backend, &parts);
        let states = States::open(&mut store, 3);
        let mut found = [0, 0];
        for (key, content_of_key) in all_of(&mut store, &states) {
            assert_eq!(content_of_key.map[&1], 100 + key);
            match content_of_key.value {
                Some(7) => assert_eq!(content_of_key.list, content.list),
                other => assert_eq!((other, content_of_key.map.len()), (None, 1)),
            }
            found[usize::from(content_of_key.value.is_some())] += 1;
        }
        assert!(found[0] > 0 && found[1] > 0, "{found:?}");
    }
}

/// Takes what was written as it is, and calls itself otherwise.
#[derive(Clone)]
struct Renamed(u8);

impl StateSerializer<u32> for Renamed {
    fn serialize(&self, number: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        Numbered::new(1).serialize(number, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u32, String> {
        read(1, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new("renamed", self.0.into())
    }

    fn compatibility(&self, _: &SerializerSnapshot) -> Compatibility<u32> {
        Compatibility::AsIs
    }
}

/// Whoever has opened it calls what it writes by its own name, although the bytes are the same.
#[test]
fn versions_with_the_same_bytes_are_put_together_whoever_has_opened_them() {
    for backend in backends() {
        let (checkpoint, _) = of_version_1(&backend);
        let state = |name| ValueStateDescriptor::new("value").with_serializer(Renamed(name));
        let parts = halves().map(|range| {
            let mut store = restored(&backend, range, std::slice::from_ref(&checkpoint));
            if range.start() == KeyGroup(0) {
                store.open(&state(2)).expect("as it is");
            }
            in_files_of(backend.name(), &mut store)
        });
        // Also back to the name that there was, and to a new one.
        for name in [2, 1, 3] {
            let mut store = whole(&backend, &parts);
            let value = store.open(&state(name)).expect("as it is");
            assert_eq!(store.count(&value).expect("opened"), KEYS as usize);
        }
    }
}

/// Each keeps what it calls its version, in files and in entries.
#[test]
fn versions_of_subtasks_that_have_opened_nothing_are_put_together_from_full_snapshots() {
    for backend in backends() {
        let (checkpoint, content) = of_version_1(&backend);
        let [first, second] = halves();
        let mut old = restored(&backend, first, &[checkpoint]);
        let mut fresh = restored(&backend, second, &[]);
        let states = States::open(&mut fresh, 2);
        let key = (0..KEYS).find(|key| fresh.set_current_key(*key).is_ok()).expect("one of them");
        states.value.update(&mut fresh, 8).expect("a key");
        let mut fresh = restored(&backend, second, &[in_files_of(backend.name(), &mut fresh)]);
        let files = [&mut old, &mut fresh].map(|store| {
            let mut file = Vec::new();
            store.snapshot().expect("taken").write_to(&mut file).expect("memory");
            image(&file)
        });
        for backend in [&StateBackend::default(), &backend] {
            let mut store = builder(backend, max().all_groups()).restore(files.to_vec()).expect("fits");
            let states = States::open(&mut store, 2);
            for (other, found) in all_of(&mut store, &states) {
                match (other == key, first.contains(key_group_of(other.key_hash(), max()))) {
                    (true, _) => assert_eq!(found.value, Some(8)),
                    (false, true) => assert_eq!(found, content),
                    (false, false) => assert_eq!(found, Content::default()),
                }
            }
        }
    }
}
