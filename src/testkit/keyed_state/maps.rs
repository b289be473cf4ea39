use super::Verdict;
use super::harness::{AtKey, file_of, restored, store, written};
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateStore, MapState, MapStateDescriptor, Namespace, StateError};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

fn ages() -> MapStateDescriptor<String, u64> {
    MapStateDescriptor::new("ages")
}

/// The map of the current key, seen in all ways.
fn map<N: Namespace>(
    ages: &MapState<String, u64, N>,
    store: &KeyedStateStore<u32>,
) -> Result<BTreeMap<String, u64>, StateError> {
    let entries: Vec<_> = ages.entries(store)?.map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    let map: BTreeMap<_, _> = entries.iter().cloned().collect();
    assert_eq!(map.len(), entries.len(), "each key of the map once");
    assert_eq!(ages.len(store)?, map.len());
    assert_eq!(ages.is_empty(store)?, map.is_empty());
    let keys: BTreeSet<_> = ages.keys(store)?.map(Cow::into_owned).collect();
    assert_eq!(keys, map.keys().cloned().collect());
    let mut values: Vec<_> = ages.values(store)?.map(Cow::into_owned).collect();
    let mut expected: Vec<_> = map.values().copied().collect();
    values.sort_unstable();
    expected.sort_unstable();
    assert_eq!(values, expected);
    for (key, value) in &map {
        assert!(ages.contains(store, key)?, "{key}");
        assert_eq!(ages.get(store, key)?.as_deref(), Some(value), "{key}");
    }
    Ok(map)
}

fn expected<const N: usize>(entries: [(&str, u64); N]) -> BTreeMap<String, u64> {
    entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Q27: entries are put one by one or several at once, read, replaced and removed; each key has a map of its own.
pub fn keyed_maps_hold_what_was_put(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let ages = store.open(&ages())?;
    ages.put(store.at(1)?, "ann".to_owned(), 30)?;
    ages.put(store.at(2)?, "ann".to_owned(), 40)?;
    ages.put_all(store.at(1)?, expected([("bob", 31), ("eve", 32)]))?;
    ages.put(&mut store, "bob".to_owned(), 33)?;
    assert_eq!(map(&ages, &store)?, expected([("ann", 30), ("bob", 33), ("eve", 32)]));
    assert_eq!(ages.get(&store, &"dan".to_owned())?, None);
    assert!(!ages.contains(&store, &"dan".to_owned())?);
    assert_eq!(ages.remove(&mut store, &"ann".to_owned())?, Some(30));
    assert_eq!(ages.remove(&mut store, &"ann".to_owned())?, None, "it is removed once");
    assert_eq!(map(&ages, &store)?, expected([("bob", 33), ("eve", 32)]));
    assert_eq!(map(&ages, store.at(2)?)?, expected([("ann", 40)]));
    Ok(())
}

/// Entries are found, and removed, by what a key of the map is borrowed as, and are the same that the key has.
pub fn keyed_map_entries_are_found_by_borrowed_keys(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    state.put_all(store.at(1)?, expected([("ann", 30), ("bob", 31)]))?;
    assert_eq!(state.get(&store, "ann")?.as_deref(), Some(&30));
    assert_eq!((state.contains(&store, "bob")?, state.contains(&store, "")?), (true, false));
    assert_eq!(state.remove(&mut store, "eve")?, None);
    assert_eq!(state.remove(&mut store, "ann")?, Some(30));
    assert_eq!(state.with_mut(&mut store, "bob", || 0, |age| std::mem::replace(age, 41))?, 31);
    assert_eq!(map(&state, &store)?, expected([("bob", 41)]));
    Ok(())
}

/// A value is changed in its place, or inserted first, and a snapshot that was taken before shows nothing of it.
pub fn keyed_map_values_are_changed_in_their_place(backend: &StateBackend) -> Verdict {
    const ENTRIES: u64 = 3_000;
    let name = |number: u64| format!("n{number}");
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    store.at(1)?;
    for number in 0..ENTRIES {
        let inserted = state.with_mut(
            &mut store,
            &name(number),
            || number,
            |age| {
                *age += 1;
                *age
            },
        )?;
        assert_eq!(inserted, number + 1);
    }
    let snapshot = store.snapshot()?;
    for number in 0..ENTRIES {
        state.with_mut(&mut store, &name(number), || unreachable!("it is there"), |age| *age += 1)?;
    }
    let all = |added| -> BTreeMap<_, _> { (0..ENTRIES).map(|n| (name(n), n + added)).collect() };
    assert_eq!(map(&state, &store)?, all(2));
    state.with_mut(store.at(2)?, "ann", || 7, |_| ())?;
    assert_eq!(map(&state, &store)?, expected([("ann", 7)]));
    let mut restored = restored::<u32>(backend, &file_of(snapshot)?)?;
    let state = restored.open(&ages())?;
    assert_eq!(map(&state, restored.at(1)?)?, all(1));
    assert!(state.is_empty(restored.at(2)?)?);
    Ok(())
}

/// Q27: a map that is cleared begins anew; the maps of other keys stay.
pub fn keyed_map_that_is_cleared_begins_anew(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let ages = store.open(&ages())?;
    ages.put_all(store.at(1)?, expected([("ann", 30), ("bob", 31)]))?;
    ages.put(store.at(2)?, "ann".to_owned(), 40)?;
    ages.clear(store.at(1)?)?;
    assert_eq!(map(&ages, &store)?, expected([]));
    ages.put(&mut store, "eve".to_owned(), 32)?;
    assert_eq!(map(&ages, &store)?, expected([("eve", 32)]));
    assert_eq!(map(&ages, store.at(2)?)?, expected([("ann", 40)]));
    Ok(())
}

/// Q27: maps come back from a snapshot, and go on changing.
pub fn keyed_maps_are_restored(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    for key in 0..20 {
        state.put_all(store.at(key)?, (0..u64::from(key)).map(|age| (format!("n{age}"), age)))?;
    }
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let state = store.open(&ages())?;
    for key in 0..20 {
        let mut expected: BTreeMap<_, _> = (0..u64::from(key)).map(|age| (format!("n{age}"), age)).collect();
        assert_eq!(map(&state, store.at(key)?)?, expected, "key {key}");
        assert_eq!(state.remove(&mut store, &"n3".to_owned())?, expected.remove("n3"));
        state.put(&mut store, "new".to_owned(), 7)?;
        expected.insert("new".to_owned(), 7);
        assert_eq!(map(&state, &store)?, expected, "key {key}");
    }
    Ok(())
}

/// Q28: a map is empty exactly when all that was put has been removed, and then it is no map.
pub fn keyed_map_is_empty_exactly_without_entries(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    assert!(state.is_empty(store.at(1)?)?);
    for name in ["ann", "bob"] {
        state.put(&mut store, name.to_owned(), 1)?;
        assert!(!state.is_empty(&store)?);
    }
    state.remove(&mut store, &"ann".to_owned())?;
    assert!(!state.is_empty(&store)?);
    state.remove(&mut store, &"eve".to_owned())?;
    assert!(!state.is_empty(&store)?);
    state.remove(&mut store, &"bob".to_owned())?;
    assert!(state.is_empty(&store)?);
    assert_eq!(store.count(&state)?, 0, "a map without entries is no map");
    state.put_all(&mut store, expected([]))?;
    assert!(state.is_empty(&store)?);
    Ok(())
}

/// Q29: entries are removed, and changed, while all are gone through.
pub fn keyed_map_retains_and_changes_entries_in_one_pass(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    state.put_all(store.at(1)?, (0..10).map(|age| (format!("n{age}"), age)))?;
    let mut seen = BTreeSet::new();
    state.retain(&mut store, |key, age| {
        assert!(seen.insert(key.clone()), "{key} twice");
        let is_even = *age % 2 == 0;
        *age += 100;
        is_even
    })?;
    assert_eq!(seen.len(), 10);
    let all_even = [("n0", 100), ("n2", 102), ("n4", 104), ("n6", 106), ("n8", 108)];
    assert_eq!(map(&state, &store)?, expected(all_even));
    state.retain(&mut store, |_, _| false)?;
    assert!(state.is_empty(&store)?);
    assert_eq!(store.count(&state)?, 0);
    state.retain(store.at(2)?, |key, _| panic!("{key} is in no map"))?;
    Ok(())
}

/// Q30: an entry is the same as another if its key and its value are, wherever they come from.
pub fn keyed_map_entries_compare_by_content(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    for key in [1, 2] {
        state.put(store.at(key)?, "ann".to_owned(), 30)?;
    }
    let one: Vec<_> = state.entries(store.at(1)?)?.map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
    let two: Vec<_> = state.entries(store.at(2)?)?.collect();
    assert_eq!(two, [(Cow::Borrowed(&one[0].0), Cow::Borrowed(&one[0].1))]);
    Ok(())
}

/// Q31: a map of which nothing is known yields nothing.
pub fn keyed_map_that_was_never_put_to_yields_nothing(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    assert_eq!(map(&state, store.at(1)?)?, expected([]));
    assert_eq!(state.remove(&mut store, &"ann".to_owned())?, None);
    state.clear(&mut store)?;
    assert_eq!(store.count(&state)?, 0);
    Ok(())
}

/// Keys of a map of which one begins with the other, and such of no bytes, are keys of their own; so are values.
pub fn keyed_map_keys_with_a_common_beginning_are_kept_apart(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open(&ages())?;
    let nothing = store.open(&MapStateDescriptor::<(), ()>::new("nothing"))?;
    let entries = expected([("", 1), ("a", 2), ("aa", 3), ("\0", 4), ("b", 5)]);
    state.put_all(store.at(1)?, entries.clone())?;
    nothing.put(&mut store, (), ())?;
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let state = store.open(&ages())?;
    let nothing = store.open(&MapStateDescriptor::<(), ()>::new("nothing"))?;
    assert_eq!(map(&state, store.at(1)?)?, entries);
    assert_eq!(state.remove(&mut store, &"a".to_owned())?, Some(2));
    assert_eq!(map(&state, &store)?, expected([("", 1), ("aa", 3), ("\0", 4), ("b", 5)]));
    assert_eq!(nothing.get(&store, &())?.as_deref(), Some(&()));
    assert_eq!(nothing.remove(&mut store, &())?, Some(()));
    assert!(nothing.is_empty(&store)?);
    Ok(())
}

/// Q34, Q35: a key is listed once however many entries its map has, by namespace and with it.
pub fn keyed_maps_are_listed_once_for_each_key_and_namespace(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let state = store.open_namespaced::<u8, _>(&ages())?;
    for key in 0..20u32 {
        for namespace in 0..2u8 {
            let names = (0..3).map(|age| (format!("n{age}"), age));
            state.of(namespace).put_all(store.at(key)?, names)?;
        }
    }
    state.of(1u8).clear(store.at(7)?)?;
    let mut again = restored::<u32>(backend, &written(&mut store)?)?;
    let state_again = again.open_namespaced::<u8, _>(&ages())?;
    for (store, state) in [(&store, &state), (&again, &state_again)] {
        let keys: Vec<u32> = store.keys(&state.of(1u8))?.map(Cow::into_owned).collect();
        assert_eq!(keys.len(), 19);
        assert_eq!(keys.into_iter().collect::<BTreeSet<_>>(), (0..20).filter(|key| *key != 7).collect());
        let scopes: Vec<(u32, u8)> = store.keys_and_namespaces(state)?.map(|(k, n)| (*k, *n)).collect();
        assert_eq!(scopes.len(), 39);
        assert_eq!(scopes.into_iter().collect::<BTreeSet<_>>().len(), 39);
        assert_eq!(store.count(&state.of(0u8))?, 39, "maps, not their entries");
    }
    Ok(())
}
