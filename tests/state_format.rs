//! The state file: what earlier versions wrote is read, what is written now stays readable, and no content panics.
#![cfg(feature = "runtime")]

use proptest::prelude::*;
use snapline::base::{Channel, ContentId};
use snapline::codec::{BlockReader, BlockWriter, FileKind, append_value};
use snapline::keygroup::{KeyGroup, MaxParallelism};
use snapline::state::backend::{BackendFile, BackendFiles, FilePlace};
use snapline::state::serializer::{SerdeSerializer, SerializerSnapshot};
use snapline::state::*;
use std::io::{Read, Write};

#[path = "../examples/versioned_state.rs"]
mod versioned_state;

#[test]
fn state_of_an_earlier_release_is_migrated_in_the_example() {
    versioned_state::main().expect("runs");
}

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

fn version_3() -> Vec<u8> {
    from_hex(include_str!("fixtures/state_v3.hex"))
}

fn version_4() -> Vec<u8> {
    from_hex(include_str!("fixtures/state_v4.hex"))
}

fn version_5() -> Vec<u8> {
    from_hex(include_str!("fixtures/state_v5.hex"))
}

/// The same as version 5, with files of a backend.
fn version_5_with_files() -> Vec<u8> {
    from_hex(include_str!("fixtures/state_v5_files.hex"))
}

/// The same as version 4, compressed.
fn version_4_compressed() -> Vec<u8> {
    from_hex(include_str!("fixtures/state_v4_compressed.hex"))
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

/// The length of all texts together.
struct TotalLength;

impl AggregateFunction for TotalLength {
    type In = String;
    type Accumulator = u64;
    type Out = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, text: String, length: &mut u64) {
        *length += text.len() as u64;
    }

    fn result(&self, length: &u64) -> u64 {
        *length
    }

    fn merge(&self, length: &mut u64, other: u64) {
        *length += other;
    }
}

/// The states of every kind that the fixtures of versions 3 to 5 have, opened.
struct EveryState {
    value: Namespaced<ValueStateDescriptor<u64>, u16>,
    list: ListState<(u8, String)>,
    map: MapState<String, i32>,
    reducing: ReducingState<u64>,
    aggregating: AggregatingState<TotalLength>,
    split: OperatorListState<(u32, u64)>,
    union: OperatorListState<String>,
    broadcast: BroadcastState<String, Vec<u8>>,
}

fn every_state(
    store: &mut KeyedStateStore<String>,
    operator: &mut OperatorStateBackend,
) -> Result<EveryState, StateError> {
    let map = MapStateDescriptor::new("map").with_key_serializer(SerdeSerializer::with_id("text"));
    let rules = MapStateDescriptor::new("rules").with_value_serializer(SerdeSerializer::with_id("bytes"));
    Ok(EveryState {
        value: store.open_namespaced::<u16, _>(&ValueStateDescriptor::new("value"))?,
        list: store.open(&ListStateDescriptor::new("list"))?,
        map: store.open(&map)?,
        reducing: store.open(&ReducingStateDescriptor::new("reducing", |one, other| one + other))?,
        aggregating: store.open(&AggregatingStateDescriptor::new("aggregating", TotalLength))?,
        split: operator.list_state(&ListStateDescriptor::new("offsets"))?,
        union: operator.union_list_state(&ListStateDescriptor::new("names"))?,
        broadcast: operator.broadcast_state(&rules)?,
    })
}

/// Writes what the fixtures of versions 3 to 5 hold.
fn write_every_state(finish: impl FnOnce(TaskSnapshot) -> TaskSnapshot) -> Result<Vec<u8>, StateError> {
    let mut store = KeyedStateStore::new(max(), max().all_groups())?;
    let mut operator = OperatorStateBackend::new();
    let states = every_state(&mut store, &mut operator)?;
    store.set_current_key("key".to_owned())?;
    states.value.of(300_u16).update(&mut store, 7)?;
    states.list.add_all(&mut store, [(1, "one".to_owned()), (2, String::new())])?;
    states.map.put(&mut store, "entry".to_owned(), -5)?;
    states.reducing.add(&mut store, 40)?;
    states.reducing.add(&mut store, 2)?;
    states.aggregating.add(&mut store, "four".to_owned())?;
    states.split.add_all(&mut operator, [(0, 10), (1, 2000)])?;
    states.union.add(&mut operator, "x".to_owned())?;
    states.broadcast.put_all(&mut operator, [("b".to_owned(), vec![]), ("a".to_owned(), vec![1, 2, 3])])?;
    let mut file = Vec::new();
    let snapshot = TaskSnapshot::new(Some(Box::new(store.snapshot()?)), operator.snapshot());
    finish(snapshot.with_channels(channels())).write_to(&mut file)?;
    Ok(file)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn state_file_of_version_5_has_these_bytes_and_is_read() {
    let written = write_every_state(|snapshot| snapshot).expect("in memory");
    assert_eq!(hex(&written), include_str!("fixtures/state_v5.hex").trim());
    assert_holds_every_state(&version_5());
}

fn files() -> BackendFiles {
    let content = ContentId { digest: 0x1234_5678_9abc_def0_0fed_cba9_8765_4321, bytes: 300 };
    let shared = FilePlace::Shared { content, checksum: 0xdead_beef };
    let files = vec![
        BackendFile { name: "000012.sst".to_owned(), place: shared },
        BackendFile { name: "CURRENT".to_owned(), place: FilePlace::Private(b"MANIFEST-000005".to_vec()) },
    ];
    BackendFiles { backend: "rocksdb".to_owned(), states: Vec::new(), files }
}

/// What a backend keeps stands beside what it does not.
#[test]
fn state_file_of_version_5_with_files_has_these_bytes_and_is_read() {
    let written =
        write_every_state(|snapshot| snapshot.with_files("rocksdb", files().files)).expect("in memory");
    assert_eq!(hex(&written), include_str!("fixtures/state_v5_files.hex").trim());
    let image = SnapshotImage::read_from(version_5_with_files().as_slice(), None).expect("intact");
    let keyed = image.keyed.expect("keyed state");
    assert_eq!(keyed.files, Some(files()));
    let other = store(keyed).map(drop).expect_err("it is not the backend that wrote them").to_string();
    let expected = "its state lies in files of the backend `rocksdb`, and the job's is `hashmap`";
    assert!(other.contains(expected), "{other}");
}

#[test]
fn state_file_whose_files_hold_a_state_that_it_does_not_know_is_damaged() {
    let files = BackendFiles { states: vec!["other".to_owned()], ..files() };
    let header = KeyedHeader {
        max_parallelism: max(),
        range: max().all_groups(),
        key: SerializerSnapshot::new("alloc::string::String", 0),
        states: Vec::new(),
    };
    // Without operator state and compression.
    let header = (Some(header), Vec::<u8>::new(), 0_u8, Some(files));
    let mut writer = BlockWriter::new(Vec::new(), FileKind::State).expect("memory");
    writer.write_value(&header).expect("memory");
    let file = writer.finish().expect("memory");
    let error = SnapshotImage::read_from(file.as_slice(), None).expect_err("damaged").to_string();
    assert!(error.contains("the state `other` of the backend's files is not known"), "{error}");
}

#[test]
fn state_file_of_version_4_is_read_as_without_files() {
    assert_holds_every_state(&version_4());
}

#[test]
fn state_file_of_version_3_is_read_as_uncompressed() {
    assert_holds_every_state(&version_3());
}

/// How well it is compressed is no part of the format, so that only what is read is compared.
#[test]
fn state_file_of_version_4_that_is_compressed_is_read() {
    assert_holds_every_state(&version_4_compressed());
    let present = write_every_state(|snapshot| snapshot.with_compression(true)).expect("in memory");
    assert_holds_every_state(&present);
}

/// Opens what the fixtures of versions 3 to 5 hold and compares it.
fn assert_holds_every_state(file: &[u8]) {
    let image = SnapshotImage::read_from(file, None).expect("intact");
    assert_eq!(image.channels, channels());
    let mut store = store(image.keyed.expect("keyed state")).expect("fits");
    let mut operator = OperatorStateBackend::restore(image.operator);
    let states = every_state(&mut store, &mut operator).expect("opens");
    store.set_current_key("key".to_owned()).expect("all groups");
    assert_eq!(states.value.of(300_u16).get(&store).expect("a key").as_deref(), Some(&7));
    let list = states.list.get(&store).expect("a key").map(|element| element.into_owned());
    assert_eq!(list.collect::<Vec<_>>(), [(1, "one".to_owned()), (2, String::new())]);
    let entry = "entry".to_owned();
    assert_eq!(states.map.get(&store, &entry).expect("a key").as_deref(), Some(&-5));
    assert_eq!(states.reducing.get(&store).expect("a key").as_deref(), Some(&42));
    assert_eq!(states.aggregating.get(&store).expect("a key"), Some(4));
    assert_eq!(states.split.get(&operator).expect("opened"), [(0, 10), (1, 2000)]);
    assert_eq!(states.union.get(&operator).expect("opened"), ["x"]);
    let rules = states.broadcast.entries(&operator).expect("opened");
    assert!(rules.eq([(&"a".to_owned(), &vec![1, 2, 3]), (&"b".to_owned(), &vec![])]));
}

#[test]
fn state_format_document_names_the_magic_numbers_and_versions_that_are_written() {
    let document = include_str!("../docs/FORMAT.md");
    for (name, kind) in
        [("state", FileKind::State), ("metadata", FileKind::Metadata), ("pointer", FileKind::Pointer)]
    {
        let magic: Vec<_> = kind.magic().iter().map(|byte| format!("{byte:02X}")).collect();
        let row = format!("| {name} | `{}` | {} |", magic.join(" "), kind.version());
        assert!(document.lines().any(|line| line == row), "{row}");
    }
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

/// One state with nothing in its only group.
struct EmptyGroup;

impl KeyedSnapshot for EmptyGroup {
    fn header(&self) -> KeyedHeader {
        let value = SerializerSnapshot::new("u64", 0);
        let (namespace, key) =
            (SerializerSnapshot::new("()", 0), SerializerSnapshot::new("alloc::string::String", 0));
        let state = KeyedStateHeader {
            name: "counts".to_owned(),
            kind: StateKind::Value,
            namespace,
            user_key: None,
            value,
        };
        KeyedHeader { max_parallelism: max(), range: max().all_groups(), key, states: vec![state] }
    }

    fn is_empty(&self) -> bool {
        true
    }

    fn write_state(&self, _: usize, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError> {
        target.begin_group(KeyGroup(3))?;
        Ok(target.end_group()?)
    }
}

#[test]
fn state_group_without_entries_is_read_and_written_again() {
    let mut file = Vec::new();
    TaskSnapshot::new(Some(Box::new(EmptyGroup)), OperatorSnapshot::default())
        .write_to(&mut file)
        .expect("memory");
    for opened in [false, true] {
        let image = SnapshotImage::read_from(file.as_slice(), None).expect("intact");
        let mut store = store(image.keyed.expect("keyed state")).expect("fits");
        if opened {
            let counts = store.open(&counts()).expect("opens");
            assert_eq!(store.count(&counts).expect("opened"), 0);
        }
        let mut anew = Vec::new();
        store.snapshot().expect("in memory").write_to(&mut anew).expect("memory");
        let image = SnapshotImage::read_from(anew.as_slice(), None).expect("intact");
        assert!(image.keyed.expect("keyed state").states["counts"].groups.is_empty(), "opened: {opened}");
    }
}

/// What is read of a file, if it is intact. Whoever only measures it comes to the same.
fn read_and_measured(file: &[u8]) -> Option<SnapshotImage> {
    let (image, measured) = (SnapshotImage::read_from(file, None), StateFileSummary::read_to_end(file));
    let Ok(image) = image else {
        assert!(shown(file).is_err());
        // What is compressed is not looked into.
        assert!(measured.is_err() || measured.is_ok_and(|(summary, _)| summary.is_compressed));
        return None;
    };
    let (summary, sizes) = measured.expect("it was read");
    assert_eq!(summary, StateFileSummary::read_from(file).expect("it was read"));
    assert_eq!(summary.keyed, image.keyed.as_ref().map(|keyed| keyed.header.clone()));
    let keyed = image.keyed.iter().flat_map(|keyed| &keyed.header.states);
    let groups: Vec<_> =
        keyed.map(|state| &image.keyed.as_ref().expect("is there").states[&state.name].groups).collect();
    let entries = groups.iter().map(|groups| groups.values().map(RawGroup::entries).sum::<u64>());
    assert!(sizes.keyed.iter().map(|size| size.entries).eq(entries));
    for (side, sizes) in [(ChannelSide::Input, &sizes.inputs), (ChannelSide::Output, &sizes.outputs)] {
        let records =
            image.channels.channels(side).iter().map(|(channel, records)| (*channel, records.count()));
        assert!(sizes.iter().map(|(channel, size)| (*channel, size.records)).eq(records));
    }
    assert_eq!(shown(file).expect("it was read"), entries_of(&image));
    Some(image)
}

/// The state, the key group and the records of an entry.
type Shown = (String, u16, Vec<Vec<u8>>);

/// The entries of keyed states, one after the other.
fn shown(file: &[u8]) -> Result<Vec<Shown>, StateError> {
    let mut entries = Vec::new();
    StateFileSummary::read_records(file, &|_| true, &mut |record| {
        if let StateRecord::Keyed { state, key_group, entry, .. } = record {
            entries.push((state.name.clone(), key_group.0, records(entry)));
        }
        Ok(())
    })?;
    Ok(entries)
}

fn records(entry: RawEntry<'_>) -> Vec<Vec<u8>> {
    let RawEntry { key, namespace, user_key, value } = entry;
    [Some(key), Some(namespace), user_key, Some(value)].into_iter().flatten().map(<[u8]>::to_vec).collect()
}

/// The same of what was read as a whole.
fn entries_of(image: &SnapshotImage) -> Vec<Shown> {
    let keyed = image.keyed.iter();
    let states = keyed.flat_map(|keyed| keyed.header.states.iter().map(|state| &keyed.states[&state.name]));
    let groups = states.flat_map(|state| state.groups.iter().map(move |(group, raw)| (state, group, raw)));
    let entries = groups.flat_map(|(RawKeyedState { header, .. }, group, raw)| {
        raw.iter(header.kind).map(|entry| (header.name.clone(), group.0, records(entry)))
    });
    entries.collect()
}

#[test]
fn state_file_of_any_version_is_measured_as_it_is_read() {
    let versions = [version_1(), version_2(), version_3(), version_4(), version_4_compressed(), version_5()];
    for (number, file) in versions.iter().enumerate() {
        assert!(read_and_measured(file).is_some(), "{number}");
        let (_, sizes) = StateFileSummary::read_to_end(file.as_slice()).expect("intact");
        assert!(sizes.keyed.iter().any(|size| size.entries > 0 && size.bytes > 0), "{number}: {sizes:?}");
        assert!(sizes.operator_bytes.iter().any(|bytes| *bytes > 0), "{number}: {sizes:?}");
        assert_eq!(sizes.inputs.is_empty(), number == 0, "{number}: {sizes:?}");
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
    let Some(image) = read_and_measured(&file) else { return };
    let _ = OperatorImage::redistributed(&[image.operator.clone(), image.operator.clone()], 3, 1);
    let mut operator = OperatorStateBackend::restore(image.operator);
    if let Some(Ok(mut store)) = image.keyed.map(store) {
        let _ = every_state(&mut store, &mut operator);
    }
    let _ = every_state(&mut KeyedStateStore::new(max(), max().all_groups()).expect("valid"), &mut operator);
}

#[test]
fn state_content_with_any_changed_byte_never_panics() {
    for file in every_present_form() {
        changed_bytes_never_panic(&file);
    }
}

fn every_present_form() -> [Vec<u8>; 3] {
    let compressed = write_every_state(|snapshot| snapshot.with_compression(true)).expect("in memory");
    [version_5(), compressed, version_5_with_files()]
}

fn changed_bytes_never_panic(file: &[u8]) {
    let present = payload(file);
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
        for file in every_present_form() {
            read_and_open(&[payload(&file), garbage.clone()].concat());
        }
    }
}
