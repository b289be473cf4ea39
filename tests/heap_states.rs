//! Opening, restoring and refusing state: what a user of the heap and operator backends sees.
#![cfg(feature = "runtime")]

use snapline::codec::CodecError;
use snapline::keygroup::*;
use snapline::state::*;

fn max() -> MaxParallelism {
    MaxParallelism::new(8).expect("valid")
}

fn backend() -> KeyedStateStore<String> {
    KeyedStateStore::new(max(), max().all_groups()).expect("valid")
}

fn counts() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("counts")
}

/// A backend that holds "a" to "d", each with its length.
fn filled() -> KeyedStateStore<String> {
    let mut backend = backend();
    let state = backend.open(&counts()).expect("opens");
    for key in ["a", "bb", "ccc", "dddd"] {
        backend.set_current_key(key.to_owned()).expect("all groups");
        state.update(&mut backend, key.len() as u64).expect("a key");
    }
    backend
}

fn written(backend: &mut KeyedStateStore<String>) -> Vec<u8> {
    let mut file = Vec::new();
    backend.snapshot().expect("in memory").write_to(&mut file).expect("writes");
    file
}

fn image(file: &[u8]) -> KeyedImage {
    SnapshotImage::read_from(file, None).expect("intact").keyed.expect("keyed state")
}

fn restored(file: &[u8]) -> KeyedStateStore<String> {
    KeyedStateStore::restore(max(), max().all_groups(), vec![image(file)]).expect("restores")
}

fn content(backend: &mut KeyedStateStore<String>) -> Vec<(String, u64)> {
    let state = backend.open(&counts()).expect("opens");
    let mut content: Vec<_> =
        state.entries(backend).expect("opened").map(|(key, value)| (key.into_owned(), *value)).collect();
    content.sort();
    content
}

#[test]
fn heap_key_of_another_subtask_is_refused_and_changes_nothing() {
    let one = KeyGroupRange::range_of(max(), 8, 0).expect("valid");
    let mut backend = KeyedStateStore::<u32>::new(max(), one).expect("valid");
    let (mut own, mut foreign) = (None, None);
    for key in 0..100u32 {
        let slot = if one.contains(key_group_of(key.key_hash(), max())) { &mut own } else { &mut foreign };
        *slot = Some(key);
    }
    let (own, foreign) = (own.expect("some key"), foreign.expect("some key"));
    backend.set_current_key(own).expect("its own key");
    let refused = backend.set_current_key(foreign).expect_err("not its own");
    assert!(matches!(refused, StateError::WrongSubtask { .. }), "{refused}");
    assert!(backend.set_current_key_from(&foreign).is_err());
    assert_eq!(backend.current_key(), Some(&own));
}

#[test]
fn heap_range_beyond_the_key_groups_is_refused() {
    let range = KeyGroupRange::new(KeyGroup(4), KeyGroup(8)).expect("a range");
    let refused = KeyedStateStore::<u32>::new(max(), range).expect_err("8 groups");
    assert!(matches!(refused, StateError::NoSuchRange { .. }), "{refused}");
}

#[test]
fn heap_state_opened_twice_is_one_state_unless_its_type_differs() {
    let mut backend = filled();
    let again = backend.open(&counts()).expect("the same");
    assert_eq!(backend.count(&again).expect("opened"), 4);
    let other = backend.open(&ValueStateDescriptor::<String>::new("counts"));
    let message = other.expect_err("another type").to_string();
    assert_eq!(
        message,
        "state `counts` holds a value of u64, it cannot be opened as a value of alloc::string::String"
    );
    // The same id does not make two types one.
    let disguised = ValueStateDescriptor::<i64>::new("counts").with_type_id("u64");
    assert!(matches!(backend.open(&disguised), Err(StateError::TypeMismatch { .. })));
}

#[test]
fn heap_two_states_of_one_key_do_not_interfere() {
    let mut backend = filled();
    let names = backend.open(&ValueStateDescriptor::<String>::new("names")).expect("opens");
    let counts = backend.open(&counts()).expect("opens");
    backend.set_current_key("a".to_owned()).expect("all groups");
    assert_eq!(names.get(&backend).expect("a key"), None);
    names.update(&mut backend, "x".to_owned()).expect("a key");
    counts.clear(&mut backend).expect("a key");
    assert_eq!(names.get(&backend).expect("a key").as_deref(), Some(&"x".to_owned()));
    assert_eq!(counts.get(&backend).expect("a key"), None);
    backend.set_current_key("bb".to_owned()).expect("all groups");
    assert_eq!(names.get(&backend).expect("a key"), None);
    assert_eq!(counts.get(&backend).expect("a key").as_deref(), Some(&2));
}

#[test]
fn heap_state_never_opened_survives_the_next_snapshot() {
    let file = written(&mut filled());
    let mut untouched = restored(&file);
    let mut again = restored(&written(&mut untouched));
    let expected = [("a", 1), ("bb", 2), ("ccc", 3), ("dddd", 4)].map(|(key, n)| (key.to_owned(), n));
    assert_eq!(content(&mut again), expected);
}

#[test]
fn heap_restored_state_of_another_type_is_refused_and_kept() {
    let mut backend = restored(&written(&mut filled()));
    let wrong = backend.open(&ValueStateDescriptor::<String>::new("counts"));
    assert!(matches!(wrong, Err(StateError::IncompatibleSerializer { part: StatePart::Values, .. })));
    // An id that claims to be the right one: the bytes do not decode, in a named state and group.
    let lie = ValueStateDescriptor::<(u64, u64)>::new("counts").with_type_id("u64");
    let undecodable = backend.open(&lie).expect_err("one number is not two");
    let StateError::Undecodable { state, key_group: Some(_), .. } = &undecodable else {
        panic!("{undecodable}");
    };
    assert_eq!(state, "counts");
    assert_eq!(content(&mut backend).len(), 4);
}

#[test]
fn heap_restore_that_does_not_fit_the_job_is_refused() {
    let file = written(&mut filled());
    let all = max().all_groups();
    let keys = KeyedStateStore::<u64>::restore(max(), all, vec![image(&file)]);
    let message = keys.expect_err("keys of another type").to_string();
    assert!(message.contains("its keys: alloc::string::String was written, the job has u64"), "{message}");

    let wider = MaxParallelism::new(16).expect("valid");
    let groups = KeyedStateStore::<String>::restore(wider, all, vec![image(&file)]);
    let message = groups.expect_err("I04").to_string();
    assert!(message.contains("its maximum parallelism is 8, the job's is 16"), "{message}");

    let twice = KeyedStateStore::<String>::restore(max(), all, vec![image(&file), image(&file)]);
    let message = twice.expect_err("every group twice").to_string();
    assert!(message.contains("in two parts"), "{message}");
}

#[test]
fn heap_restore_of_a_key_in_a_wrong_group_is_refused() {
    let mut image = image(&written(&mut filled()));
    let state = image.states.get_mut("counts").expect("restored");
    let (group, entries) = state.groups.pop_first().expect("a group");
    let free = (0..8).map(KeyGroup).find(|g| *g != group && !state.groups.contains_key(g)).expect("a group");
    state.groups.insert(free, entries);
    let mut backend =
        KeyedStateStore::<String>::restore(max(), max().all_groups(), vec![image]).expect("restores");
    let message = backend.open(&counts()).expect_err("a wrong group").to_string();
    assert!(message.contains(&format!("key group {free}: a key of group {group} stands there")), "{message}");
}

#[test]
fn heap_state_file_with_any_flipped_bit_or_truncated_is_corrupt() {
    let file = written(&mut filled());
    let read = |bytes: &[u8]| SnapshotImage::read_from(bytes, None);
    for bit in 0..file.len() * 8 {
        let mut damaged = file.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(read(&damaged), Err(StateError::Codec(CodecError::Corrupt(_)))), "bit {bit}");
    }
    for length in 0..file.len() {
        assert!(matches!(read(&file[..length]), Err(StateError::Codec(CodecError::Corrupt(_)))), "{length}");
    }
}

#[test]
fn heap_snapshot_of_nothing_is_empty() {
    let mut backend = backend();
    let operator = OperatorStateBackend::new();
    backend.open(&counts()).expect("opens");
    let snapshot =
        TaskSnapshot::new(Some(Box::new(backend.snapshot().expect("in memory"))), operator.snapshot());
    assert!(snapshot.is_empty(), "Q42");
    let snapshot =
        TaskSnapshot::new(Some(Box::new(filled().snapshot().expect("in memory"))), operator.snapshot());
    assert!(!snapshot.is_empty());
}

#[test]
fn heap_snapshot_whose_target_fails_reports_it() {
    struct Full;
    impl std::io::Write for Full {
        fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
            Err(std::io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let failed = filled().snapshot().expect("in memory").write_to(&mut Full);
    assert!(matches!(failed, Err(StateError::Codec(CodecError::Io(_)))));
}

#[test]
fn heap_operator_state_round_trips_beside_keyed_state() {
    let mut operator = OperatorStateBackend::new();
    let offsets = operator.list_state(&ListStateDescriptor::<(u32, u64)>::new("offsets")).expect("opens");
    let names = operator.list_state(&ListStateDescriptor::<String>::new("names")).expect("opens");
    offsets.update(&mut operator, vec![(0, 10), (1, 20)]).expect("opened");
    names.add(&mut operator, "x".to_owned()).expect("opened");
    let snapshot =
        TaskSnapshot::new(Some(Box::new(filled().snapshot().expect("in memory"))), operator.snapshot());
    // S08: isolated from what comes after.
    offsets.add(&mut operator, (2, 30)).expect("opened");
    names.clear(&mut operator).expect("opened");
    let mut file = Vec::new();
    snapshot.write_to(&mut file).expect("writes");
    assert_eq!(offsets.get(&operator).expect("opened").len(), 3);

    let image = SnapshotImage::read_from(&file[..], None).expect("intact");
    let keyed = vec![image.keyed.expect("keyed state")];
    let mut backend = KeyedStateStore::restore(max(), max().all_groups(), keyed).expect("restores");
    assert_eq!(content(&mut backend).len(), 4);
    let mut operator = OperatorStateBackend::restore(image.operator);
    // `names` is not opened, and must go on.
    let offsets = operator.list_state(&ListStateDescriptor::<(u32, u64)>::new("offsets")).expect("opens");
    assert_eq!(offsets.get(&operator).expect("opened"), [(0, 10), (1, 20)]);
    let mut file = Vec::new();
    TaskSnapshot::new(None, operator.snapshot()).write_to(&mut file).expect("writes");
    let image = SnapshotImage::read_from(&file[..], None).expect("intact");
    assert_eq!(image.keyed, None);
    let mut operator = OperatorStateBackend::restore(image.operator);
    let wrong = operator.list_state(&ListStateDescriptor::<u8>::new("names"));
    assert!(matches!(wrong, Err(StateError::IncompatibleSerializer { .. })));
    let lie = ListStateDescriptor::<u64>::new("names").with_type_id("alloc::string::String");
    assert!(matches!(operator.list_state(&lie), Err(StateError::Undecodable { .. })));
    let names = operator.list_state(&ListStateDescriptor::<String>::new("names")).expect("opens");
    assert_eq!(names.get(&operator).expect("opened"), ["x"]);
    assert!(operator.list_state(&ListStateDescriptor::<u8>::new("names")).is_err());
}
