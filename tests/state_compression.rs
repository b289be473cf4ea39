//! Compressed snapshots hold what uncompressed ones hold, and say themselves what they are.
#![cfg(feature = "runtime")]

use proptest::prelude::*;
use snapline::codec::{BlockReader, BlockWriter, FileKind, take_record};
use snapline::keygroup::{KeyGroup, KeyGroupRange, KeyHash, MaxParallelism, key_group_of};
use snapline::state::*;
use std::collections::BTreeMap;
use std::io::{Read, Write};

type Store = KeyedStateStore<u32>;

fn max() -> MaxParallelism {
    MaxParallelism::new(8).expect("valid")
}

fn values() -> ValueStateDescriptor<Vec<u8>> {
    ValueStateDescriptor::new("values")
}

fn maps() -> MapStateDescriptor<u16, String> {
    MapStateDescriptor::new("maps")
}

fn lists() -> ListStateDescriptor<u64> {
    ListStateDescriptor::new("lists")
}

fn empty() -> Store {
    Store::new(max(), max().all_groups()).expect("valid")
}

fn written(store: &mut Store, is_compressed: bool) -> Vec<u8> {
    let keyed = Box::new(store.snapshot().expect("in memory"));
    let snapshot = TaskSnapshot::new(Some(keyed), OperatorStateBackend::new().snapshot());
    let mut file = Vec::new();
    snapshot.with_compression(is_compressed).write_to(&mut file).expect("memory");
    file
}

fn read(file: &[u8], keep: Option<KeyGroupRange>) -> SnapshotImage {
    SnapshotImage::read_from(file, keep).expect("intact")
}

fn restored(file: &[u8]) -> Store {
    let image = read(file, None).keyed.expect("keyed state");
    Store::restore(max(), max().all_groups(), vec![image]).expect("fits")
}

/// A store with a value of these bytes for each key, and a map and a list as long.
fn filled(contents: &BTreeMap<u32, Vec<u8>>) -> Store {
    let mut store = empty();
    let value = store.open(&values()).expect("opens");
    let (map, list) = (store.open(&maps()).expect("opens"), store.open(&lists()).expect("opens"));
    for (key, content) in contents {
        store.set_current_key(*key).expect("all groups");
        value.update(&mut store, content.clone()).expect("a key");
        for (number, byte) in content.iter().enumerate() {
            map.put(&mut store, number as u16, format!("{byte}")).expect("a key");
        }
        list.add_all(&mut store, content.iter().map(|byte| u64::from(*byte))).expect("a key");
    }
    store
}

fn assert_holds(store: &mut Store, contents: &BTreeMap<u32, Vec<u8>>) {
    let value = store.open(&values()).expect("opens");
    let (map, list) = (store.open(&maps()).expect("opens"), store.open(&lists()).expect("opens"));
    assert_eq!(store.count(&value).expect("opened"), contents.len());
    for (key, content) in contents {
        store.set_current_key(*key).expect("all groups");
        assert!(value.get(store).expect("a key").as_deref() == Some(content), "the value of {key}");
        assert_eq!(map.entries(store).expect("a key").count(), content.len(), "the map of {key}");
        for (number, byte) in content.iter().enumerate() {
            let entry = map.get(store, &(number as u16)).expect("a key");
            assert_eq!(entry.as_deref(), Some(&format!("{byte}")), "the map of {key}");
        }
        let elements = list.get(store).expect("a key").map(|element| *element as u8);
        assert!(elements.eq(content.iter().copied()), "the list of {key}");
    }
}

/// What several batches, and values of several pieces, are needed for.
fn large() -> BTreeMap<u32, Vec<u8>> {
    let lengths = (0..200).chain([70_000, 0, 200_000]);
    (0..).zip(lengths.map(|length| (0..length).map(|at: u32| (at / 100) as u8).collect())).collect()
}

/// T20 and T21.
#[test]
fn compression_snapshots_round_trip_with_and_without_it() {
    let contents: BTreeMap<_, _> = large().into_iter().filter(|(_, content)| content.len() < 1000).collect();
    for is_compressed in [true, false] {
        let file = written(&mut filled(&contents), is_compressed);
        assert_holds(&mut restored(&file), &contents);
    }
}

/// State that is never opened is neither lost nor left as it was.
#[test]
fn compression_changes_from_one_snapshot_to_the_next() {
    let contents: BTreeMap<_, _> = (0..50).map(|key| (key, vec![7; key as usize])).collect();
    let (plain, compressed) = (written(&mut filled(&contents), false), written(&mut filled(&contents), true));
    for file in [&plain, &compressed] {
        assert_eq!(written(&mut restored(file), false).len(), plain.len());
        assert!(written(&mut restored(file), true).len() < plain.len() / 2);
        let again = written(&mut restored(&written(&mut restored(file), true)), false);
        assert_holds(&mut restored(&again), &contents);
    }
}

#[test]
fn compression_of_large_state_makes_it_smaller_and_keeps_it_whole() {
    let mut store = empty();
    let value = store.open(&values()).expect("opens");
    for (key, content) in large() {
        store.set_current_key(key).expect("all groups");
        value.update(&mut store, content).expect("a key");
    }
    let (plain, compressed) = (written(&mut store, false), written(&mut store, true));
    assert!(compressed.len() < plain.len() / 10, "{} of {} bytes", compressed.len(), plain.len());
    assert_eq!(read(&compressed, None), read(&plain, None));
}

fn payload(file: &[u8]) -> Vec<u8> {
    let mut payload = Vec::new();
    BlockReader::new(file, FileKind::State).expect("a state file").read_to_end(&mut payload).expect("intact");
    payload
}

/// The bytes of a key group are the same whatever stands beside it, and what is not asked for is not read.
#[test]
fn compression_of_a_key_group_needs_no_other() {
    let of_group = |wanted: u16| {
        let is_wanted = move |key: &u32| key_group_of(key.key_hash(), max()) == KeyGroup(wanted);
        (0..1000).filter(is_wanted).map(|key| (key, vec![key as u8; 90])).collect::<BTreeMap<_, _>>()
    };
    let all: BTreeMap<_, _> = (0..8).flat_map(of_group).collect();
    let value_of = |contents: &BTreeMap<u32, Vec<u8>>| {
        let mut store = empty();
        let value = store.open(&values()).expect("opens");
        for (key, content) in contents {
            store.set_current_key(*key).expect("all groups");
            value.update(&mut store, content.clone()).expect("a key");
        }
        written(&mut store, true)
    };
    let together = value_of(&all);
    for group in 0..8 {
        let alone = payload(&value_of(&of_group(group)));
        let mut body = &alone[..];
        take_record(&mut body).expect("a header");
        // Behind it stand the end of the groups and that of the records on their way, of which there are none.
        let body = body.strip_suffix(&[0, 0, 0]).expect("the end");
        assert!(payload(&together).windows(body.len()).any(|window| window == body), "group {group}");
        let range = KeyGroupRange::new(KeyGroup(group), KeyGroup(group)).expect("one group");
        let kept =
            read(&together, Some(range)).keyed.expect("keyed state").states.remove("values").expect("there");
        assert!(kept.groups.keys().eq([&KeyGroup(group)]));
        assert_eq!(kept.groups[&KeyGroup(group)].entries(), of_group(group).len() as u64);
    }
}

/// Damage behind right checksums.
#[test]
fn compression_batch_with_another_number_of_entries_is_corrupt() {
    let of_three = BTreeMap::from([(1, vec![1]), (2, vec![2]), (3, vec![3])]);
    let payload = payload(&written(&mut filled(&of_three), true));
    let mut body = &payload[..];
    take_record(&mut body).expect("a header");
    // The number of the first group stands before that of its entries.
    let entries = payload.len() - body.len() + 1;
    for number in [0, 1, 2, 3, 4, 127] {
        let mut changed = payload.clone();
        changed[entries] = number;
        let mut writer = BlockWriter::new(Vec::new(), FileKind::State).expect("memory");
        writer.write_all(&changed).expect("memory");
        let file = writer.finish().expect("memory");
        let read = SnapshotImage::read_from(file.as_slice(), None).map_err(|error| error.to_string());
        match number {
            _ if number == payload[entries] => assert!(read.is_ok(), "{read:?}"),
            0 => assert!(read.is_err()),
            _ => assert_eq!(
                read.unwrap_err(),
                "corrupt at byte 10: compressed state has another number of entries than it says"
            ),
        }
    }
}

proptest! {
    #[test]
    fn compression_leaves_no_trace_in_what_is_read(
        contents in proptest::collection::btree_map(
            any::<u32>(),
            proptest::collection::vec(any::<u8>(), 0..200),
            0..60,
        ),
    ) {
        let mut store = filled(&contents);
        let (plain, compressed) = (written(&mut store, false), written(&mut store, true));
        let (plain, compressed) = (read(&plain, None), read(&compressed, None));
        prop_assert!(plain == compressed);
    }
}
