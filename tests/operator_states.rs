//! Operator state as its users see it: lists, union lists and broadcast state, over snapshots and rescales.
#![cfg(feature = "runtime")]

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use snapline::state::serializer::{FirstVersion, SerdeSerializer, VersionedSerializer, VersionedState};
use snapline::state::*;
use std::collections::BTreeMap;
use std::sync::Arc;

fn numbers() -> ListStateDescriptor<u64> {
    ListStateDescriptor::new("numbers")
}

fn known() -> ListStateDescriptor<String> {
    ListStateDescriptor::new("known")
}

fn rules() -> MapStateDescriptor<String, u32> {
    MapStateDescriptor::new("rules")
}

struct Opened {
    numbers: OperatorListState<u64>,
    known: OperatorListState<String>,
    rules: BroadcastState<String, u32>,
}

/// Opens one state of each kind.
fn opened(backend: &mut OperatorStateBackend) -> Opened {
    Opened {
        numbers: backend.list_state(&numbers()).expect("a list"),
        known: backend.union_list_state(&known()).expect("a union list"),
        rules: backend.broadcast_state(&rules()).expect("broadcast state"),
    }
}

/// A backend with the numbers from `first` to `last`, one word and two rules.
fn filled(first: u64, last: u64) -> OperatorStateBackend {
    let mut backend = OperatorStateBackend::new();
    let Opened { numbers, known, rules } = opened(&mut backend);
    numbers.add_all(&mut backend, first..=last).expect("opened");
    known.add(&mut backend, format!("from {first}")).expect("opened");
    rules.put_all(&mut backend, [("b".to_owned(), 2), ("a".to_owned(), 1)]).expect("opened");
    backend
}

fn file(snapshot: OperatorSnapshot) -> Vec<u8> {
    let mut file = Vec::new();
    TaskSnapshot::new(None, snapshot).write_to(&mut file).expect("memory");
    file
}

fn image(file: &[u8]) -> OperatorImage {
    SnapshotImage::read_from(file, None).expect("intact").operator
}

fn restored(file: &[u8]) -> OperatorStateBackend {
    OperatorStateBackend::restore(image(file))
}

type Content = (Vec<u64>, Vec<String>, Vec<(String, u32)>);

fn content(backend: &mut OperatorStateBackend) -> Content {
    let Opened { numbers, known, rules } = opened(backend);
    let entries = rules.entries(backend).expect("opened").map(|(key, value)| (key.clone(), *value)).collect();
    let numbers = numbers.get(backend).expect("opened").to_vec();
    (numbers, known.get(backend).expect("opened").to_vec(), entries)
}

fn two_rules() -> Vec<(String, u32)> {
    vec![("a".to_owned(), 1), ("b".to_owned(), 2)]
}

#[test]
fn operator_backend_that_is_new_has_no_states() {
    let backend = OperatorStateBackend::new();
    assert_eq!(backend.names().count(), 0);
    assert!(backend.snapshot().is_empty());
}

#[test]
fn operator_state_opened_twice_is_one_state() {
    let mut backend = filled(1, 3);
    let again = opened(&mut backend);
    again.numbers.add(&mut backend, 4).expect("opened");
    assert_eq!(content(&mut backend), (vec![1, 2, 3, 4], vec!["from 1".to_owned()], two_rules()));
    assert_eq!(backend.names().collect::<Vec<_>>(), ["numbers", "known", "rules"]);
}

#[test]
fn operator_state_opened_as_another_kind_or_type_is_refused_when_it_is_opened() {
    let unopened = restored(&file(filled(1, 1).snapshot()));
    for (mut backend, when) in [(filled(1, 1), "open"), (unopened, "restored")] {
        let list = backend.list_state(&ListStateDescriptor::<String>::new("known"));
        let message = list.expect_err("a union list").to_string();
        let expected = "state `known` holds a union list of alloc::string::String, \
                        it cannot be opened as a list of alloc::string::String";
        assert_eq!(message, expected, "{when}");
        let union = backend.union_list_state(&numbers()).expect_err("a list").to_string();
        assert!(union.ends_with("cannot be opened as a union list of u64"), "{when}: {union}");
        let list =
            backend.list_state(&ListStateDescriptor::<u32>::new("rules")).expect_err("a map").to_string();
        let expected = "state `rules` holds a broadcast map from alloc::string::String to u32, \
                        it cannot be opened as a list of u32";
        assert_eq!(list, expected, "{when}");
        let map = MapStateDescriptor::<String, u64>::new("numbers");
        assert!(matches!(backend.broadcast_state(&map), Err(StateError::TypeMismatch { .. })), "{when}");

        let types =
            backend.list_state(&ListStateDescriptor::<i64>::new("numbers")).expect_err("u64").to_string();
        assert!(
            types.contains("numbers") && types.contains("u64") && types.contains("i64"),
            "{when}: {types}"
        );
        let keys = backend.broadcast_state(&MapStateDescriptor::<char, u32>::new("rules"));
        assert!(keys.expect_err("strings").to_string().contains("char"), "{when}");
        let values = backend.broadcast_state(&MapStateDescriptor::<String, u8>::new("rules"));
        assert!(values.expect_err("u32").to_string().contains("u8"), "{when}");
        // Nothing has changed.
        assert_eq!(content(&mut backend), (vec![1], vec!["from 1".to_owned()], two_rules()), "{when}");
    }
}

#[test]
fn operator_state_with_the_id_of_another_type_is_refused() {
    let lie = ListStateDescriptor::<String>::new("numbers").with_type_id("u64");
    let message = filled(1, 1).list_state(&lie).expect_err("another type").to_string();
    assert!(message.ends_with("as a list of u64 in another type or configuration"), "{message}");
    let undecodable = restored(&file(filled(1, 1).snapshot())).list_state(&lie).expect_err("no string");
    assert_eq!(undecodable.to_string(), "state `numbers` cannot be restored: item 0: 1 bytes are not a u64");
}

#[test]
fn operator_handle_of_another_backend_is_refused() {
    let Opened { numbers, rules, .. } = opened(&mut OperatorStateBackend::new());
    let mut other = filled(1, 1);
    assert!(matches!(numbers.get(&other), Err(StateError::ForeignHandle)));
    assert!(matches!(numbers.add(&mut other, 1), Err(StateError::ForeignHandle)));
    assert!(matches!(rules.put(&mut other, String::new(), 1), Err(StateError::ForeignHandle)));
    assert!(matches!(rules.read(&other), Err(StateError::ForeignHandle)));
}

#[test]
fn operator_list_is_added_to_updated_and_cleared() {
    let mut backend = filled(1, 2);
    let list = opened(&mut backend).numbers;
    list.add_all(&mut backend, [8, 9]).expect("opened");
    assert_eq!(list.get(&backend).expect("opened"), [1, 2, 8, 9]);
    list.update(&mut backend, vec![5]).expect("opened");
    assert_eq!(list.get(&backend).expect("opened"), [5]);
    list.clear(&mut backend).expect("opened");
    assert!(list.get(&backend).expect("opened").is_empty());
}

#[test]
fn operator_broadcast_state_is_a_map_in_the_order_of_its_keys() {
    let mut backend = filled(1, 1);
    let rules = opened(&mut backend).rules;
    assert_eq!(rules.put(&mut backend, "c".to_owned(), 3).expect("opened"), None);
    assert_eq!(rules.put(&mut backend, "b".to_owned(), 20).expect("opened"), Some(2));
    assert_eq!(rules.remove(&mut backend, "a").expect("opened"), Some(1));
    assert_eq!(rules.remove(&mut backend, "a").expect("opened"), None);
    assert_eq!(rules.get(&backend, "b").expect("opened"), Some(&20));
    assert!(rules.contains(&backend, "c").expect("opened"));
    let read = rules.read(&backend).expect("opened");
    assert_eq!(
        read.entries().map(|(key, value)| (key.as_str(), *value)).collect::<Vec<_>>(),
        [("b", 20), ("c", 3)]
    );
    assert_eq!((read.len(), read.get("c"), read.contains("a"), read.is_empty()), (2, Some(&3), false, false));
    rules.clear(&mut backend).expect("opened");
    assert!(rules.is_empty(&backend).expect("opened"));
    assert_eq!(rules.len(&backend).expect("opened"), 0);
}

#[test]
fn operator_snapshot_of_nothing_is_empty() {
    let mut backend = OperatorStateBackend::new();
    let Opened { rules, .. } = opened(&mut backend);
    assert!(TaskSnapshot::new(None, backend.snapshot()).is_empty());
    rules.put(&mut backend, String::new(), 0).expect("opened");
    assert!(!TaskSnapshot::new(None, backend.snapshot()).is_empty());
}

#[test]
fn operator_broadcast_state_alone_is_snapshotted_and_restored() {
    let mut backend = OperatorStateBackend::new();
    let state = backend.broadcast_state(&rules()).expect("opens");
    state.put_all(&mut backend, two_rules()).expect("opened");
    let mut restored = restored(&file(backend.snapshot()));
    assert_eq!(content(&mut restored), (vec![], vec![], two_rules()));
}

#[test]
fn operator_snapshot_is_isolated_from_what_comes_after() {
    let mut backend = filled(1, 3);
    let snapshot = backend.snapshot();
    let Opened { numbers, known, rules } = opened(&mut backend);
    numbers.add(&mut backend, 4).expect("opened");
    known.clear(&mut backend).expect("opened");
    rules.remove(&mut backend, "a").expect("opened");
    rules.put(&mut backend, "b".to_owned(), 7).expect("opened");
    let changed = content(&mut backend);
    // The backend may be gone when the snapshot is written, on another thread.
    let later = file(backend.snapshot());
    drop(backend);
    let before = std::thread::scope(|scope| scope.spawn(|| file(snapshot)).join().expect("writes"));
    assert_eq!(content(&mut restored(&before)), (vec![1, 2, 3], vec!["from 1".to_owned()], two_rules()));
    assert_eq!(content(&mut restored(&later)), changed);
}

#[test]
fn operator_snapshot_copies_nothing_until_something_changes() {
    #[derive(Clone, Serialize, Deserialize)]
    struct Counted {
        #[serde(skip)]
        _counter: Arc<()>,
    }
    let counted = |counter: &Arc<()>| Counted { _counter: Arc::clone(counter) };
    let counter = Arc::new(());
    let mut backend = OperatorStateBackend::new();
    let list = backend.list_state(&ListStateDescriptor::<Counted>::new("list")).expect("opens");
    let map = backend.broadcast_state(&MapStateDescriptor::<u8, Counted>::new("map")).expect("opens");
    list.add(&mut backend, counted(&counter)).expect("opened");
    map.put(&mut backend, 1, counted(&counter)).expect("opened");
    let held = Arc::strong_count(&counter);
    let (first, second) = (backend.snapshot(), backend.snapshot());
    map.remove(&mut backend, &9).expect("opened");
    assert_eq!(Arc::strong_count(&counter), held);
    list.add(&mut backend, counted(&Arc::default())).expect("opened");
    map.clear(&mut backend).expect("opened");
    assert_eq!(Arc::strong_count(&counter), held + 1);
    // A snapshot that is cancelled frees what only it holds, when none shares it any more.
    drop(first);
    assert_eq!(Arc::strong_count(&counter), held + 1);
    drop(second);
    assert_eq!(Arc::strong_count(&counter), held - 1);
}

#[test]
fn operator_state_never_opened_goes_into_the_next_snapshot_as_it_came() {
    let before = file(filled(1, 3).snapshot());
    let unopened = restored(&before);
    assert_eq!(unopened.names().collect::<Vec<_>>(), ["known", "numbers", "rules"]);
    assert_eq!(file(unopened.snapshot()), before);
    // The same bytes are written by whoever has opened it.
    let mut backend = restored(&before);
    opened(&mut backend);
    assert_eq!(file(backend.snapshot()), before);
}

/// The state of each of `parallelism` subtasks after `old` ones, over their files.
fn rescaled(old: &[OperatorStateBackend], parallelism: u16) -> Vec<Content> {
    let images: Vec<_> = old.iter().map(|backend| image(&file(backend.snapshot()))).collect();
    let new = |subtask| OperatorImage::redistributed(&images, parallelism, subtask).expect("fits");
    (0..parallelism).map(|subtask| content(&mut OperatorStateBackend::restore(new(subtask)))).collect()
}

#[test]
fn operator_state_of_all_kinds_is_redistributed_together() {
    let old = [filled(1, 4), filled(5, 5), filled(6, 8)];
    let known = ["from 1", "from 5", "from 6"].map(str::to_owned).to_vec();
    for (parallelism, split) in [
        (1, vec![vec![1, 2, 3, 4, 5, 6, 7, 8]]),
        (2, vec![vec![1, 2, 3, 4], vec![5, 6, 7, 8]]),
        (3, vec![vec![1, 2, 3, 4], vec![5], vec![6, 7, 8]]),
        (5, vec![vec![1, 2], vec![3, 4], vec![5, 6], vec![7], vec![8]]),
    ] {
        let new = rescaled(&old, parallelism);
        let expected = split.into_iter().map(|numbers| (numbers, known.clone(), two_rules()));
        assert_eq!(new, expected.collect::<Vec<_>>(), "{parallelism}");
    }
}

#[test]
fn operator_broadcast_state_survives_subtasks_that_have_none() {
    let nothing = OperatorStateBackend::new;
    for old in [vec![nothing(), filled(1, 1)], vec![filled(1, 1), nothing()]] {
        for parallelism in [1, 2, 3] {
            for (_, known, rules) in rescaled(&old, parallelism) {
                assert_eq!((known, rules), (vec!["from 1".to_owned()], two_rules()), "{parallelism}");
            }
        }
    }
    assert_eq!(rescaled(&[nothing(), nothing()], 1), [(vec![], vec![], vec![])]);
    assert_eq!(rescaled(&[], 1), [(vec![], vec![], vec![])]);
}

#[test]
fn operator_state_that_differs_between_subtasks_is_refused() {
    let mut other = OperatorStateBackend::new();
    other.list_state(&ListStateDescriptor::<i64>::new("numbers")).expect("opens");
    let images = [filled(1, 1), other].map(|backend| image(&file(backend.snapshot())));
    let message = OperatorImage::redistributed(&images, 2, 0).expect_err("two types").to_string();
    let expected = "the snapshot does not fit the job: \
                    operator state `numbers` is a list of u64 in one part and a list of i64 in another";
    assert_eq!(message, expected);
    let message = OperatorImage::redistributed(&images[..1], 2, 2).expect_err("0 and 1").to_string();
    assert!(message.ends_with("subtask 2 does not exist: the parallelism is 2"), "{message}");
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct NameV1(String);

impl VersionedState for NameV1 {
    const VERSION: u32 = 1;
    type Previous = FirstVersion;

    fn upgrade(previous: FirstVersion) -> Self {
        match previous {}
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Name {
    first: String,
    last: Option<String>,
}

impl VersionedState for Name {
    const VERSION: u32 = 2;
    type Previous = NameV1;

    fn upgrade(NameV1(name): NameV1) -> Self {
        match name.split_once(' ') {
            Some((first, last)) => Name { first: first.to_owned(), last: Some(last.to_owned()) },
            None => Name { first: name, last: None },
        }
    }
}

fn names<T: VersionedState + Clone + Send + Sync + 'static>() -> ListStateDescriptor<T> {
    ListStateDescriptor::new("names").with_serializer(VersionedSerializer::with_id("name"))
}

fn by_name<T: VersionedState + Ord + Clone + Send + Sync + 'static>() -> MapStateDescriptor<T, T> {
    MapStateDescriptor::new("by name")
        .with_key_serializer(VersionedSerializer::with_id("name"))
        .with_value_serializer(VersionedSerializer::with_id("name"))
}

/// A file with a list, a union list or broadcast state of old names.
fn old_names(open: impl FnOnce(&mut OperatorStateBackend, Vec<NameV1>)) -> Vec<u8> {
    let mut backend = OperatorStateBackend::new();
    open(&mut backend, ["Ada Lovelace", "Plato"].map(|name| NameV1(name.to_owned())).to_vec());
    file(backend.snapshot())
}

fn new_names() -> Vec<Name> {
    let last = Some("Lovelace".to_owned());
    vec![Name { first: "Ada".to_owned(), last }, Name { first: "Plato".to_owned(), last: None }]
}

#[test]
fn operator_lists_migrate_when_they_are_opened() {
    let split = old_names(|backend, names| {
        let list = backend.list_state(&self::names::<NameV1>()).expect("opens");
        list.update(backend, names).expect("opened");
    });
    let mut backend = restored(&split);
    let list = backend.list_state(&names::<Name>()).expect("migrates");
    assert_eq!(list.get(&backend).expect("opened"), new_names());
    // The next snapshot is in the new version: the old job cannot read it, the new one can.
    let anew = file(backend.snapshot());
    let message = restored(&anew).list_state(&names::<NameV1>()).expect_err("newer").to_string();
    assert!(message.contains("written by a newer job"), "{message}");
    let mut backend = restored(&anew);
    let list = backend.list_state(&names::<Name>()).expect("as it is");
    assert_eq!(list.get(&backend).expect("opened"), new_names());

    let union = old_names(|backend, names| {
        let list = backend.union_list_state(&self::names::<NameV1>()).expect("opens");
        list.update(backend, names).expect("opened");
    });
    let mut backend = restored(&union);
    let list = backend.union_list_state(&names::<Name>()).expect("migrates");
    assert_eq!(list.get(&backend).expect("opened"), new_names());
}

#[test]
fn operator_broadcast_keys_and_values_migrate_when_they_are_opened() {
    let written = old_names(|backend, names| {
        let map = backend.broadcast_state(&by_name::<NameV1>()).expect("opens");
        map.put_all(backend, names.iter().cloned().zip(names.iter().cloned())).expect("opened");
    });
    let mut backend = restored(&written);
    let map = backend.broadcast_state(&by_name::<Name>()).expect("migrates");
    let entries: Vec<_> =
        map.entries(&backend).expect("opened").map(|(key, value)| (key.clone(), value.clone())).collect();
    assert_eq!(entries, new_names().into_iter().zip(new_names()).collect::<Vec<_>>());
}

#[test]
fn operator_broadcast_keys_that_become_equal_are_not_lost_silently() {
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
    struct Initial(Option<char>);
    impl VersionedState for Initial {
        const VERSION: u32 = 2;
        type Previous = NameV1;
        fn upgrade(NameV1(name): NameV1) -> Self {
            Initial(name.chars().next())
        }
    }
    let mut backend = OperatorStateBackend::new();
    let map = backend.broadcast_state(&by_name::<NameV1>()).expect("opens");
    let name = |name: &str| NameV1(name.to_owned());
    map.put_all(&mut backend, [(name("Ada"), name("1")), (name("Al"), name("2"))]).expect("opened");
    let refused =
        restored(&file(backend.snapshot())).broadcast_state(&by_name::<Initial>()).expect_err("A, A");
    let expected = "state `by name` cannot be restored: two entries have the same key";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn operator_state_with_an_incompatible_serializer_is_refused_when_it_is_opened() {
    let written = file(filled(1, 1).snapshot());
    let incompatible = |result: Result<(), StateError>, part| {
        let refused = result.expect_err("incompatible");
        assert!(
            matches!(&refused, StateError::IncompatibleSerializer { part: found, .. } if *found == part),
            "{refused}"
        );
    };
    let mut backend = restored(&written);
    let list = numbers().with_serializer(SerdeSerializer::with_id("other"));
    incompatible(backend.list_state(&list).map(drop), StatePart::Values);
    let list = known().with_serializer(SerdeSerializer::with_id("other"));
    incompatible(backend.union_list_state(&list).map(drop), StatePart::Values);
    let map = rules().with_key_serializer(SerdeSerializer::with_id("other"));
    incompatible(backend.broadcast_state(&map).map(drop), StatePart::UserKeys);
    let map = rules().with_value_serializer(SerdeSerializer::with_id("other"));
    incompatible(backend.broadcast_state(&map).map(drop), StatePart::Values);
    assert_eq!(file(backend.snapshot()), written);
}

proptest! {
    /// Over files and rescales, one after the other: no number is lost or repeated or changes its place, everybody knows
    /// all words, each as often as there were subtasks that knew it, and the same rules.
    #[test]
    fn operator_state_agrees_with_plain_lists_over_rescales(
        lists in vec(vec(any::<u64>(), 0..6), 1..5),
        words in vec("[a-c]{0,3}", 0..3),
        map in btree_map("[a-c]{0,2}", any::<u32>(), 0..4),
        parallelisms in vec(1_u16..6, 1..4),
    ) {
        let rules: Vec<(String, u32)> = BTreeMap::clone(&map).into_iter().collect();
        let mut contents: Vec<Content> =
            lists.iter().map(|list| (list.clone(), words.clone(), rules.clone())).collect();
        let numbers = lists.concat();
        let mut known = words.len();
        for parallelism in parallelisms {
            let old: Vec<_> = contents.iter().map(|(list, words, rules)| {
                let mut backend = OperatorStateBackend::new();
                let opened = opened(&mut backend);
                opened.numbers.update(&mut backend, list.clone()).expect("opened");
                opened.known.update(&mut backend, words.clone()).expect("opened");
                opened.rules.put_all(&mut backend, rules.iter().cloned()).expect("opened");
                backend
            }).collect();
            known *= old.len();
            let before: Vec<_> = contents.iter().map(|(list, _, _)| list.len()).collect();
            contents = rescaled(&old, parallelism);
            prop_assert_eq!(contents.len(), usize::from(parallelism));
            let lists: Vec<_> = contents.iter().map(|(list, _, _)| list.clone()).collect();
            prop_assert_eq!(&lists.concat(), &numbers);
            let lengths: Vec<_> = lists.iter().map(Vec::len).collect();
            if before.len() == lengths.len() {
                prop_assert_eq!(lengths, before);
            } else {
                prop_assert!(lengths.iter().max().unwrap() - lengths.iter().min().unwrap() <= 1);
            }
            for (_, words, found) in &contents {
                prop_assert_eq!(words.len(), known);
                prop_assert_eq!(found, &rules);
            }
        }
    }
}
