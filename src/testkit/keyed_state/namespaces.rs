use super::Verdict;
use super::everything::{Content, States, fill};
use super::harness::{AtKey, counts, restored, store, written};
use crate::state::ValueStateDescriptor;
use crate::state::backend::StateBackend;
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Each namespace of a key has a state of its own; clearing one leaves the others.
pub fn keyed_states_are_isolated_by_namespace(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open_namespaced::<u8, _>(&counts())?;
    for namespace in 0..3u8 {
        count.of(namespace).update(store.at(1)?, u64::from(namespace))?;
    }
    count.of(1u8).clear(&mut store)?;
    assert_eq!(count.of(0u8).get(&store)?.as_deref(), Some(&0));
    assert_eq!(count.of(1u8).get(&store)?, None);
    assert_eq!(count.of(2u8).get(&store)?.as_deref(), Some(&2));
    assert_eq!(count.of(0u8).get(store.at(2)?)?, None);
    Ok(())
}

/// A key and a namespace that run together to the same bytes as others do are kept apart.
pub fn keyed_states_of_keys_and_namespaces_that_look_alike_are_kept_apart(backend: &StateBackend) -> Verdict {
    let mut store = store::<String>(backend)?;
    let count = store.open_namespaced::<String, _>(&counts())?;
    let scopes = [("ab", "c"), ("a", "bc"), ("abc", ""), ("", "abc"), ("a", "b"), ("a", "")];
    for (number, (key, namespace)) in (0..).zip(scopes) {
        count.of(namespace.to_owned()).update(store.at(key.to_owned())?, number)?;
    }
    count.of("b".to_owned()).clear(store.at("a".to_owned())?)?;
    let mut store = restored::<String>(backend, &written(&mut store)?)?;
    let count = store.open_namespaced::<String, _>(&counts())?;
    for (number, (key, namespace)) in (0..).zip(scopes) {
        let expected = Some(number).filter(|_| (key, namespace) != ("a", "b"));
        let found = count.of(namespace.to_owned()).get(store.at(key.to_owned())?)?;
        assert_eq!(found.as_deref(), expected.as_ref(), "{key:?} in {namespace:?}");
    }
    Ok(())
}

/// Namespaces of all kinds of states come back from a snapshot.
pub fn keyed_states_of_all_kinds_are_restored_with_their_namespaces(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let expected = fill(&mut store, 0..40)?;
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    assert_eq!(Content::of(&mut store)?, expected);
    Ok(())
}

/// Q32: the keys of a state are listed by namespace, each once; those that were cleared are not.
pub fn keyed_keys_are_listed_by_namespace(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open_namespaced::<u8, _>(&counts())?;
    let other = store.open(&ValueStateDescriptor::<u64>::new("other"))?;
    for key in 0..40 {
        count.of((key % 2) as u8).update(store.at(key)?, 1)?;
        other.update(&mut store, 1)?;
    }
    count.of(0u8).clear(store.at(4)?)?;
    count.of(0u8).update(store.at(6)?, 2)?;
    let keys: Vec<u32> = store.keys(&count.of(0u8))?.map(Cow::into_owned).collect();
    assert_eq!(keys.len(), 19, "each once");
    let even: BTreeSet<u32> = (0..40).filter(|key| key % 2 == 0 && *key != 4).collect();
    assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), even);
    assert_eq!(store.keys(&count.of(5u8))?.count(), 0);
    assert_eq!(store.keys(&other)?.count(), 40);
    Ok(())
}

/// Keys are listed by their key groups.
pub fn keyed_keys_are_listed_by_key_group(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let states = States::open(&mut store)?;
    fill(&mut store, 0..100)?;
    let group = |key: &u32| super::harness::group_of(*key);
    let of_values: Vec<_> = store.keys(&states.value.of(0u8))?.map(|key| group(&key)).collect();
    let of_maps: Vec<_> = store.keys(&states.map.of(0u8))?.map(|key| group(&key)).collect();
    let entries: Vec<_> = states.value.of(0u8).entries(&store)?.map(|(key, _)| group(&key)).collect();
    for groups in [of_values, of_maps, entries] {
        assert!(groups.len() > 10 && groups.is_sorted(), "{groups:?}");
    }
    Ok(())
}

/// Q33: keys are listed with their namespaces, each pair once, also after a restore.
pub fn keyed_keys_and_namespaces_are_listed_once(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open_namespaced::<u8, _>(&counts())?;
    for key in 0..30 {
        for namespace in 0..3u8 {
            count.of(namespace).update(store.at(key)?, 1)?;
            count.of(namespace).update(&mut store, 2)?;
        }
    }
    let mut again = restored::<u32>(backend, &written(&mut store)?)?;
    let count_again = again.open_namespaced::<u8, _>(&counts())?;
    count_again.of(1u8).update(again.at(3)?, 4)?;
    for (store, count) in [(&store, &count), (&again, &count_again)] {
        let scopes: Vec<(u32, u8)> = store.keys_and_namespaces(count)?.map(|(k, n)| (*k, *n)).collect();
        assert_eq!(scopes.len(), 90);
        let expected = (0..30).flat_map(|key| (0..3).map(move |namespace| (key, namespace))).collect();
        assert_eq!(scopes.into_iter().collect::<BTreeSet<_>>(), expected);
    }
    Ok(())
}

/// Q39: the number of entries is exact, through inserts, replacements, removals and restores.
pub fn keyed_entries_are_counted_exactly(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open_namespaced::<u8, _>(&counts())?;
    let any = count.of(0u8);
    assert_eq!(store.count(&any)?, 0);
    for (entries, key) in (1..).zip(0..30) {
        count.of(1u8).update(store.at(key)?, 1)?;
        count.of(1u8).update(&mut store, 2)?;
        assert_eq!(store.count(&any)?, entries);
    }
    count.of(2u8).update(store.at(0)?, 1)?;
    assert_eq!(store.count(&any)?, 31, "in all namespaces");
    for (cleared, key) in (1..).zip(0..10) {
        count.of(1u8).clear(store.at(key)?)?;
        count.of(1u8).clear(&mut store)?;
        assert_eq!(store.count(&any)?, 31 - cleared);
    }
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let count = store.open_namespaced::<u8, _>(&counts())?;
    assert_eq!(store.count(&count.of(0u8))?, 21);
    Ok(())
}
