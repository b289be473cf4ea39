//! What the heap does in its own way, and what becomes of damaged state files; `testkit::keyed_state` has the rest.
#![cfg(feature = "runtime")]

use snapline::codec::CodecError;
use snapline::keygroup::*;
use snapline::state::*;
use std::panic::{AssertUnwindSafe, catch_unwind};

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

/// What other backends find out when the state is read.
#[test]
fn heap_restored_state_of_a_disguised_type_is_refused_when_it_is_opened_and_kept() {
    let mut backend = restored(&written(&mut filled()));
    let lie = ValueStateDescriptor::<(u64, u64)>::new("counts").with_type_id("u64");
    let undecodable = backend.open(&lie).expect_err("one number is not two");
    let StateError::Undecodable { state, key_group: Some(_), .. } = &undecodable else {
        panic!("{undecodable}");
    };
    assert_eq!(state, "counts");
    assert_eq!(content(&mut backend).len(), 4);
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
fn state_handles_are_copied_and_shown_whatever_they_lead_to() {
    /// It can neither be copied nor shown.
    #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
    struct Opaque(String);

    fn assert_plain<H: Copy + std::fmt::Debug>(_: Option<H>) {}
    fn assert_shown<H: std::fmt::Debug>(_: Option<H>) {}

    assert_plain::<ValueState<Opaque>>(None);
    assert_plain::<ListState<Opaque, u64>>(None);
    assert_plain::<MapState<Opaque, Opaque>>(None);
    assert_plain::<OperatorListState<Opaque>>(None);
    assert_plain::<BroadcastState<Opaque, Opaque>>(None);
    assert_shown::<Namespaced<ValueStateDescriptor<Opaque>, Opaque>>(None);
}

#[test]
fn state_namespaces_with_an_id_of_their_own_are_found_after_a_renaming() {
    #[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    struct Day(u16);
    #[derive(Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
    struct Date(u16);

    let mut written_by = backend();
    written_by.set_current_key("a".to_owned()).expect("all groups");
    let days = written_by.open_namespaced_with_type_id::<Day, _>(&counts(), "day").expect("opens");
    days.of(Day(300)).update(&mut written_by, 7).expect("a key");
    let file = written(&mut written_by);

    let mut store = restored(&file);
    let unnamed = store.open_namespaced::<Date, _>(&counts()).expect_err("an id of its own");
    assert!(unnamed.to_string().contains("day was written"), "{unnamed}");
    let dates = store.open_namespaced_with_type_id::<Date, _>(&counts(), "day").expect("opens");
    store.set_current_key("a".to_owned()).expect("all groups");
    assert_eq!(dates.of(Date(300)).get(&store).expect("a key").as_deref(), Some(&7));
    assert!(store.open_namespaced_with_type_id::<Date, _>(&counts(), "date").is_err(), "another id");
}

#[test]
fn heap_functions_that_panic_harm_nothing_but_their_own_entry() {
    let reduce = |one: u64, other: u64| if other == 13 { panic!("thirteen") } else { one + other };
    let sums = ReducingStateDescriptor::new("sums", reduce);
    let maps = MapStateDescriptor::<u64, String>::new("maps");
    let fill = |store: &mut KeyedStateStore<String>| {
        let states = (store.open(&counts()).expect("opens"), store.open(&sums).expect("opens"));
        let map = store.open(&maps).expect("opens");
        for number in 0..2_000 {
            store.set_current_key(number.to_string()).expect("all groups");
            states.0.update(store, number).expect("a key");
            states.1.add(store, number * 100).expect("a key");
            map.put_all(store, (0..3).map(|key| (key, number.to_string()))).expect("a key");
        }
        (states.0, states.1, map)
    };
    let mut store = backend();
    let (count, sum, map) = fill(&mut store);
    let whole = image(&written(&mut store));
    for is_shared in [false, true] {
        let snapshot = is_shared.then(|| store.snapshot().expect("in memory"));
        store.set_current_key("7".to_owned()).expect("all groups");
        let store = &mut store;
        assert!(catch_unwind(AssertUnwindSafe(|| count.modify(store, |_| panic!("seven")))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| sum.add(store, 13))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| map.retain(store, |_, _| panic!("eight")))).is_err());
        assert_eq!((store.count(&count).expect("open"), store.count(&sum).expect("open")), (1_999, 1_999));
        if let Some(snapshot) = snapshot {
            let mut file = Vec::new();
            snapshot.write_to(&mut file).expect("memory");
            assert_eq!(image(&file).states.len(), whole.states.len());
            let mut then = restored(&file);
            let count = then.open(&counts()).expect("opens");
            assert_eq!(then.count(&count).expect("open"), 2_000);
        }
        let mut later = restored(&written(store));
        let later_count = later.open(&counts()).expect("opens");
        assert_eq!(later.count(&later_count).expect("open"), 1_999);
        fill(store);
        assert_eq!(store.count(&count).expect("open"), 2_000);
    }
}

/// A map without entries is no map.
#[test]
fn heap_function_that_panics_leaves_no_map_without_entries() {
    let mut store = backend();
    let map = store.open(&MapStateDescriptor::<u8, u64>::new("map")).expect("opens");
    store.set_current_key("7".to_owned()).expect("all groups");
    let store = &mut store;
    let panics = || map.with_mut(store, &1, || 0, |_| panic!("seven"));
    assert!(catch_unwind(AssertUnwindSafe(panics)).is_err());
    assert_eq!(store.count(&map).expect("open"), 0);
}
