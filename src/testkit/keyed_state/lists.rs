use super::Verdict;
use super::harness::{AtKey, restored, store, written};
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateStore, ListState, ListStateDescriptor, Namespace, StateError, StateObject};
use std::borrow::Cow;

/// No element.
const NONE: [u64; 0] = [];

fn numbers() -> ListStateDescriptor<u64> {
    ListStateDescriptor::new("numbers")
}

/// The elements of the list of the current key.
fn elements<T: StateObject, N: Namespace>(
    list: &ListState<T, N>,
    store: &KeyedStateStore<u32>,
) -> Result<Vec<T>, StateError> {
    let elements: Vec<T> = list.get(store)?.map(Cow::into_owned).collect();
    assert_eq!(list.len(store)?, elements.len());
    assert_eq!(list.is_empty(store)?, elements.is_empty());
    Ok(elements)
}

/// Q10, Q16: elements stand in the order in which they were added, one by one or several at once.
pub fn keyed_lists_keep_the_order_of_additions(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let list = store.open(&numbers())?;
    list.add(store.at(1)?, 3)?;
    list.add(store.at(2)?, 7)?;
    list.add_all(store.at(1)?, [1, 2])?;
    list.add(store.at(1)?, 4)?;
    assert_eq!(elements(&list, store.at(1)?)?, [3, 1, 2, 4]);
    assert_eq!(elements(&list, store.at(2)?)?, [7]);
    Ok(())
}

/// Q10: lists are cleared key by key, and begin anew.
pub fn keyed_list_that_is_cleared_begins_anew(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let list = store.open(&numbers())?;
    list.add_all(store.at(1)?, [1, 2])?;
    list.add_all(store.at(2)?, [3])?;
    list.clear(store.at(1)?)?;
    assert_eq!(elements(&list, &store)?, NONE);
    list.add(&mut store, 4)?;
    assert_eq!(elements(&list, &store)?, [4]);
    assert_eq!(elements(&list, store.at(2)?)?, [3]);
    Ok(())
}

/// Q10: lists come back from a snapshot in their order and go on growing.
pub fn keyed_lists_are_restored_in_their_order(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let list = store.open(&numbers())?;
    for key in 0..20 {
        list.add_all(store.at(key)?, (0..u64::from(key)).rev())?;
    }
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let list = store.open(&numbers())?;
    for key in 0..20 {
        let expected: Vec<u64> = (0..u64::from(key)).rev().chain([100]).collect();
        list.add(store.at(key)?, 100)?;
        assert_eq!(elements(&list, &store)?, expected, "key {key}");
    }
    Ok(())
}

/// Q16: an update takes the place of all elements; one with nothing clears.
pub fn keyed_list_updated_with_nothing_is_cleared(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let list = store.open(&numbers())?;
    list.add_all(store.at(1)?, [1, 2, 3])?;
    list.update(&mut store, [5, 4])?;
    assert_eq!(elements(&list, &store)?, [5, 4]);
    list.update(&mut store, [])?;
    assert_eq!(elements(&list, &store)?, NONE);
    assert_eq!(store.count(&list)?, 0, "a list without elements is no list");
    list.update(&mut store, [6])?;
    assert_eq!(elements(&list, &store)?, [6]);
    Ok(())
}

/// Q16: adding nothing changes nothing, and makes no list.
pub fn keyed_list_to_which_nothing_is_added_stays_as_it_is(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let list = store.open(&numbers())?;
    list.add_all(store.at(1)?, [])?;
    assert_eq!(store.count(&list)?, 0);
    list.add(&mut store, 1)?;
    list.add_all(&mut store, [])?;
    assert_eq!(elements(&list, &store)?, [1]);
    Ok(())
}

/// Q18: a list of which nothing is known yields nothing.
pub fn keyed_list_that_was_never_added_to_yields_nothing(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let list = store.open(&numbers())?;
    assert_eq!(elements(&list, store.at(1)?)?, NONE);
    list.clear(&mut store)?;
    assert_eq!(store.count(&list)?, 0);
    Ok(())
}

/// Elements that are written as no bytes are elements.
pub fn keyed_list_elements_of_no_bytes_are_counted(backend: &StateBackend) -> Verdict {
    let ticks = ListStateDescriptor::<()>::new("ticks");
    let mut store = store::<u32>(backend)?;
    let list = store.open(&ticks)?;
    list.add_all(store.at(1)?, [(), ()])?;
    list.add(&mut store, ())?;
    assert_eq!(elements(&list, &store)?.len(), 3);
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let list = store.open(&ticks)?;
    assert_eq!(elements(&list, store.at(1)?)?.len(), 3);
    Ok(())
}

/// Lists that are longer than a buffer come back whole.
pub fn keyed_lists_of_many_and_long_elements_are_whole(backend: &StateBackend) -> Verdict {
    let words = ListStateDescriptor::<String>::new("words");
    let mut store = store::<u32>(backend)?;
    let list = store.open(&words)?;
    let expected: Vec<String> = (0..300).map(|length| "x".repeat(length)).collect();
    for word in &expected {
        list.add(store.at(1)?, word.clone())?;
    }
    assert_eq!(elements(&list, &store)?, expected);
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let list = store.open(&words)?;
    assert_eq!(elements(&list, store.at(1)?)?, expected);
    Ok(())
}

/// Q17: the lists of other namespaces are moved behind that of the target, in their order, and are gone; namespaces without
/// a list, the target among the sources and a source named twice change nothing.
pub fn keyed_lists_are_merged_between_namespaces(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let list = store.open_namespaced::<u8, _>(&numbers())?;
    let fill = |store: &mut KeyedStateStore<u32>, key: u32, namespace: u8, numbers: &[u64]| {
        list.of(namespace).add_all(store.at(key)?, numbers.iter().copied())
    };
    fill(&mut store, 1, 1, &[11, 12])?;
    fill(&mut store, 1, 2, &[21])?;
    fill(&mut store, 1, 3, &[31])?;
    fill(&mut store, 2, 2, &[99])?;
    list.of(1u8).merge_namespaces(store.at(1)?, [3, 9, 1, 2, 3])?;
    assert_eq!(elements(&list.of(1u8), &store)?, [11, 12, 31, 21]);
    for gone in [2u8, 3, 9] {
        assert_eq!(elements(&list.of(gone), &store)?, NONE, "namespace {gone}");
    }
    assert_eq!(elements(&list.of(2u8), store.at(2)?)?, [99], "another key was merged");
    // Into a namespace without a list, and from nothing but such.
    list.of(7u8).merge_namespaces(store.at(1)?, [1])?;
    assert_eq!(elements(&list.of(7u8), &store)?, [11, 12, 31, 21]);
    list.of(7u8).merge_namespaces(&mut store, [5, 6])?;
    list.of(8u8).merge_namespaces(&mut store, [5, 6])?;
    list.of(7u8).merge_namespaces(&mut store, [])?;
    assert_eq!(elements(&list.of(7u8), &store)?, [11, 12, 31, 21]);
    assert_eq!(store.count(&list.of(0u8))?, 2, "that of key 1 and that of key 2");
    Ok(())
}
