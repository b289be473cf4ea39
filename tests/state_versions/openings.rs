//! Openings that reconfigure a serializer, or that fail.

use super::*;

/// Has a registry, which what was written before goes in front of; reads also what version 1 has written.
#[derive(Clone)]
struct Registered(Vec<u8>);

impl StateSerializer<u32> for Registered {
    fn serialize(&self, number: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        Numbered::new(2).serialize(number, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u32, String> {
        read(2, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot { configuration: self.0.clone(), ..SerializerSnapshot::new("registered", 2) }
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u32> {
        if written.id != "registered" {
            return Compatibility::AfterMigration(Arc::new(|bytes| read(1, bytes)));
        }
        let new = self.0.iter().filter(|entry| !written.configuration.contains(entry));
        let all: Vec<u8> = written.configuration.iter().chain(new).copied().collect();
        match all == self.0 {
            true => Compatibility::AsIs,
            false => Compatibility::AfterReconfiguration(Arc::new(Registered(all))),
        }
    }
}

/// What one version asks for goes for all.
#[test]
fn versions_beside_one_that_reconfigures_the_serializer_are_read_by_the_same() {
    for backend in backends() {
        let state = |registry: &[u8]| {
            ValueStateDescriptor::new("value").with_serializer(Registered(registry.to_vec()))
        };
        let (mut checkpoint, _) = of_version_1(&backend);
        for (changed, registry) in [(1, &[1u8, 2][..]), (2, &[2, 3]), (3, &[9])] {
            let mut store = whole(&backend, &[checkpoint]);
            let value = store.open(&state(registry)).expect("compatible");
            store.set_current_key(changed).expect("all groups");
            value.update(&mut store, 100 + changed).expect("a key");
            for key in 0..KEYS {
                store.set_current_key(key).expect("all groups");
                let found = value.get(&store).expect("a key").map(|value| *value);
                let written = (1..=changed).contains(&key);
                assert_eq!(found, Some(if written { 100 + key } else { 7 }));
            }
            checkpoint = in_files_of(backend.name(), &mut store);
        }
        let mut store = whole(&backend, &[checkpoint]);
        let value = store.open(&state(&[1, 2, 3, 9])).expect("compatible");
        let expected = (0..KEYS).map(|key| (key, if (1..=3).contains(&key) { 100 + key } else { 7 }));
        let found: BTreeMap<u32, u32> =
            value.entries(&store).expect("opened").map(|(key, value)| (*key, *value)).collect();
        assert_eq!(found, expected.collect());
    }
}

/// One subtask has the present version in files, the other has entries of an old one, of which the second cannot be read.
#[test]
fn versions_of_an_opening_that_failed_are_as_they_were() {
    for backend in backends() {
        let (checkpoint, content) = of_version_1(&backend);
        let [first, second] = halves();
        let mut one = restored(&backend, first, std::slice::from_ref(&checkpoint));
        let states = States::open(&mut one, 2);
        for key in 0..KEYS {
            if one.set_current_key(key).is_ok() {
                states.value.update(&mut one, 8).expect("a key");
            }
        }
        let mut other = restored(&backend, second, &[checkpoint]);
        let mut file = Vec::new();
        other.snapshot().expect("taken").write_to(&mut file).expect("memory");
        // Nothing is left of the old version, so that the entries cannot go there.
        let mut one = restored(&backend, first, &[in_files_of(backend.name(), &mut one)]);
        States::open(&mut one, 2);
        let one = in_files_of(backend.name(), &mut one);
        let images = vec![image(&one.state), image(&file)];
        let mut store = builder(&backend, max().all_groups()).restore_with(images, &one).expect("fits");
        let state = ValueStateDescriptor::new("value")
            .with_serializer(FailsAtSecond(Numbered::new(2), Arc::default()));
        let refused = store.open(&state).map(drop).expect_err("one cannot be read").to_string();
        assert!(refused.contains("the second cannot be read"), "{refused}");
        let mut file = Vec::new();
        store.snapshot().expect("taken").write_to(&mut file).expect("memory");
        let mut on_heap = Store::restore(max(), max().all_groups(), vec![image(&file)]).expect("fits");
        let states = States::open(&mut on_heap, 2);
        for (key, found) in all_of(&mut on_heap, &states) {
            let value = Some(if first.contains(key_group_of(key.key_hash(), max())) { 8 } else { 7 });
            assert_eq!(found, Content { value, ..content.clone() });
        }
    }
}

/// As another one, but cannot read the second value that it migrates.
#[derive(Clone)]
struct FailsAtSecond(Numbered, Arc<AtomicU64>);

impl StateSerializer<u32> for FailsAtSecond {
    fn serialize(&self, number: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        self.0.serialize(number, target)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<u32, String> {
        self.0.deserialize(bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        self.0.snapshot()
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u32> {
        match self.0.compatibility(written) {
            Compatibility::AfterMigration(read) => {
                let reads = Arc::clone(&self.1);
                Compatibility::AfterMigration(Arc::new(move |bytes| {
                    match reads.fetch_add(1, Ordering::Relaxed) {
                        1 => Err("the second cannot be read".to_owned()),
                        _ => read(bytes),
                    }
                }))
            }
            other => other,
        }
    }
}
