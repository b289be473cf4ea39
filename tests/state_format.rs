//! The state file: what earlier versions wrote is read, what is written now stays readable, and no content panics.
#![cfg(feature = "runtime")]

use proptest::prelude::*;
use snapline::base::Channel;
use snapline::codec::{BlockReader, BlockWriter, FileKind, append_value};
use snapline::keygroup::MaxParallelism;
use snapline::state::serializer::SerializerSnapshot;
use snapline::state::*;
use std::io::{Read, Write};

fn from_hex(hex: &str) -> Vec<u8> {
    let hex = hex.trim();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

fn version_1() -> Vec<u8> {
    from_hex(include_str!("fixtures/state_v1.hex"))
}

fn version_2() -> Vec<u8> {
    from_hex(include_str!("fixtures/state_v2.hex"))
}

fn max() -> MaxParallelism {
    MaxParallelism::new(8).expect("valid")
}

fn counts() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("counts")
}

fn store(image: KeyedImage) -> Result<KeyedStateStore<String>, StateError> {
    KeyedStateStore::restore(max(), max().all_groups(), vec![image])
}

fn channels() -> ChannelState {
    let mut channels = ChannelState::default();
    channels.append(ChannelSide::Input, Channel(1), &["on its way".to_owned()]).expect("strings");
    channels
}

/// Opens what the fixtures of versions 1 and 2 hold and compares it.
fn assert_holds_the_first_states(image: SnapshotImage) {
    let mut store = store(image.keyed.expect("keyed state")).expect("fits");
    let counts = store.open(&counts()).expect("opens");
    assert_eq!(store.count(&counts).expect("opened"), 4);
    for key in ["a", "bb", "ccc", "dddd"] {
        store.set_current_key(key.to_owned()).expect("all groups");
        assert_eq!(counts.get(&store).expect("a key").as_deref(), Some(&(key.len() as u64)));
    }
    let mut operator = OperatorStateBackend::restore(image.operator);
    let offsets = operator.list_state(&ListStateDescriptor::<(u32, u64)>::new("offsets")).expect("opens");
    assert_eq!(offsets.get(&operator).expect("opened"), [(0, 10), (1, 2000)]);
    let names = operator.list_state(&ListStateDescriptor::<String>::new("names")).expect("opens");
    assert_eq!(names.get(&operator).expect("opened"), ["x"]);
}

#[test]
fn state_file_of_version_1_is_read_as_serde_values_and_split_lists_without_channels() {
    let image = SnapshotImage::read_from(version_1().as_slice(), None).expect("intact");
    assert!(image.channels.is_empty());
    assert_holds_the_first_states(image);
}

#[test]
fn state_file_of_version_2_is_read_with_its_channels() {
    let image = SnapshotImage::read_from(version_2().as_slice(), None).expect("intact");
    assert_eq!(image.channels, channels());
    assert_holds_the_first_states(image);
}

#[test]
fn state_file_of_an_earlier_version_that_was_not_opened_is_written_in_the_present_one() {
    let image = SnapshotImage::read_from(version_2().as_slice(), None).expect("intact");
    let mut store = store(image.keyed.expect("keyed state")).expect("fits");
    let operator = OperatorStateBackend::restore(image.operator);
    let mut file = Vec::new();
    let keyed = Box::new(store.snapshot().expect("in memory"));
    TaskSnapshot::new(Some(keyed), operator.snapshot()).write_to(&mut file).expect("memory");
    assert_eq!(file[8..10], FileKind::State.version().to_le_bytes());
    assert_holds_the_first_states(SnapshotImage::read_from(file.as_slice(), None).expect("intact"));
}

#[test]
fn state_format_kinds_have_a_fixed_order() {
    let bytes = |value: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = Vec::new();
        value(&mut bytes);
        bytes
    };
    let kinds =
        [StateKind::Value, StateKind::List, StateKind::Map, StateKind::Reducing, StateKind::Aggregating];
    for (number, kind) in (0..).zip(kinds) {
        assert_eq!(bytes(&|target| append_value(target, &kind).expect("encodes")), [number]);
    }
    let serializer = |id: &str| SerializerSnapshot::new(id, 7);
    let types = [
        (OperatorStateType::SplitList(serializer("a")), vec![0, 1, b'a', 7, 0]),
        (OperatorStateType::UnionList(serializer("a")), vec![1, 1, b'a', 7, 0]),
        (
            OperatorStateType::Broadcast { key: serializer("k"), value: serializer("v") },
            vec![2, 1, b'k', 7, 0, 1, b'v', 7, 0],
        ),
    ];
    for (state_type, expected) in types {
        assert_eq!(bytes(&|target| append_value(target, &state_type).expect("encodes")), expected);
    }
}

fn payload(file: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    BlockReader::new(file, FileKind::State).expect("a state file").read_to_end(&mut payload).expect("intact");
    payload
}

/// Reads `payload` as the content of an intact file and opens whatever can be opened.
fn read_and_open(payload: &[u8]) {
    let mut writer = BlockWriter::new(Vec::new(), FileKind::State).expect("memory");
    writer.write_all(payload).expect("memory");
    let file = writer.finish().expect("memory");
    let Ok(image) = SnapshotImage::read_from(file.as_slice(), None) else { return };
    if let Some(Ok(mut store)) = image.keyed.map(store) {
        let _ = store.open(&counts());
    }
    let _ = OperatorImage::redistributed(&[image.operator.clone(), image.operator.clone()], 3, 1);
    let mut operator = OperatorStateBackend::restore(image.operator);
    let _ = operator.list_state(&ListStateDescriptor::<(u32, u64)>::new("offsets"));
    let _ = operator.union_list_state(&ListStateDescriptor::<String>::new("names"));
    let _ = operator.broadcast_state(&MapStateDescriptor::<String, Vec<u8>>::new("rules"));
}

/// The payload of a file of the present version with operator state of every kind and keyed state.
fn present() -> Vec<u8> {
    let image = SnapshotImage::read_from(version_2().as_slice(), None).expect("intact");
    let mut store = store(image.keyed.expect("keyed state")).expect("fits");
    let mut operator = OperatorStateBackend::new();
    let offsets = operator.list_state(&ListStateDescriptor::<(u32, u64)>::new("offsets")).expect("opens");
    offsets.add(&mut operator, (7, 700)).expect("opened");
    let names = operator.union_list_state(&ListStateDescriptor::<String>::new("names")).expect("opens");
    names.add_all(&mut operator, ["x".to_owned(), "y".to_owned()]).expect("opened");
    let rules =
        operator.broadcast_state(&MapStateDescriptor::<String, Vec<u8>>::new("rules")).expect("opens");
    rules.put(&mut operator, "r".to_owned(), vec![1, 2, 3]).expect("opened");
    let mut file = Vec::new();
    let snapshot =
        TaskSnapshot::new(Some(Box::new(store.snapshot().expect("in memory"))), operator.snapshot());
    snapshot.with_channels(channels()).write_to(&mut file).expect("memory");
    payload(&file)
}

#[test]
fn state_content_with_any_changed_byte_never_panics() {
    let present = present();
    for at in 0..present.len() {
        for change in [1, 0x80, 0xff] {
            let mut changed = present.clone();
            changed[at] ^= change;
            read_and_open(&changed);
        }
        read_and_open(&present[..at]);
    }
}

proptest! {
    #[test]
    fn state_content_that_is_garbage_never_panics(garbage in proptest::collection::vec(any::<u8>(), 0..300)) {
        read_and_open(&garbage);
        read_and_open(&[present(), garbage].concat());
    }
}
