use super::Verdict;
use super::harness::{AtKey, counts, restored, store, written};
use crate::state::ValueStateDescriptor;
use crate::state::backend::StateBackend;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Q01: each key has a value of its own, which is updated, read and cleared.
pub fn keyed_values_are_isolated_by_key(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    count.update(store.at(1)?, 10)?;
    count.update(store.at(2)?, 20)?;
    assert_eq!(count.get(store.at(1)?)?.as_deref(), Some(&10));
    assert_eq!(count.get(store.at(2)?)?.as_deref(), Some(&20));
    assert_eq!(count.get(store.at(3)?)?, None);
    count.update(store.at(2)?, 21)?;
    count.clear(store.at(1)?)?;
    assert_eq!(count.get(store.at(1)?)?, None, "it was cleared");
    assert_eq!(count.get(store.at(2)?)?.as_deref(), Some(&21), "another key was cleared");
    Ok(())
}

/// Q01: each of two snapshots restores the values of its own moment.
pub fn keyed_values_of_each_snapshot_are_restored(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    count.update(store.at(1)?, 10)?;
    count.update(store.at(2)?, 20)?;
    let first = written(&mut store)?;
    count.update(store.at(1)?, 11)?;
    count.clear(store.at(2)?)?;
    count.update(store.at(3)?, 33)?;
    let second = written(&mut store)?;
    for (file, expected) in [(first, [Some(10), Some(20), None]), (second, [Some(11), None, Some(33)])] {
        let mut store = restored::<u32>(backend, &file)?;
        let count = store.open(&counts())?;
        for (key, expected) in (1..).zip(expected) {
            assert_eq!(count.get(store.at(key)?)?.as_deref(), expected.as_ref(), "key {key}");
        }
        count.update(store.at(1)?, 12)?;
        assert_eq!(count.get(&store)?.as_deref(), Some(&12), "restored values can be changed");
    }
    Ok(())
}

/// Q02: two states of one key do not interfere.
pub fn keyed_values_of_two_states_do_not_interfere(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    let name = store.open(&ValueStateDescriptor::<String>::new("names"))?;
    count.update(store.at(1)?, 10)?;
    assert_eq!(name.get(&store)?, None);
    name.update(&mut store, "one".to_owned())?;
    count.clear(&mut store)?;
    assert_eq!(name.get(&store)?.as_deref(), Some(&"one".to_owned()));
    assert_eq!(count.get(&store)?, None);
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let (name, count) = (store.open(&ValueStateDescriptor::<String>::new("names"))?, store.open(&counts())?);
    assert_eq!(name.get(store.at(1)?)?.as_deref(), Some(&"one".to_owned()));
    assert_eq!(count.get(&store)?, None);
    Ok(())
}

/// Q05: what was never set is nothing, which the caller replaces by its default; it does not appear by being read.
pub fn keyed_value_that_was_never_set_is_none(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    assert_eq!(count.get(store.at(1)?)?.map_or(7, Cow::into_owned), 7);
    count.clear(&mut store)?;
    assert_eq!(store.count(&count)?, 0);
    Ok(())
}

/// What `modify` is given is what is there, and what it gives takes its place: a value, or nothing.
pub fn keyed_value_is_modified_made_and_removed(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    count.modify(store.at(1)?, |old| {
        assert_eq!(old, None);
        None
    })?;
    assert_eq!(count.get(&store)?, None, "nothing was made of nothing");
    count.modify(&mut store, |_| Some(1))?;
    count.modify(&mut store, |old| old.map(|old| old + 1))?;
    assert_eq!(count.get(&store)?.as_deref(), Some(&2));
    count.modify(&mut store, |old| {
        assert_eq!(old, Some(2));
        None
    })?;
    assert_eq!(count.get(&store)?, None, "it was removed");
    assert_eq!(store.count(&count)?, 0);
    Ok(())
}

/// `with_mut` makes a value once and then changes what is there.
pub fn keyed_value_is_changed_in_its_place(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    let mut made = 0;
    for expected in 8..11 {
        let make = || {
            made += 1;
            7
        };
        let seen = count.with_mut(store.at(1)?, make, |count| {
            *count += 1;
            *count
        })?;
        assert_eq!(seen, expected);
    }
    assert_eq!(made, 1);
    assert_eq!(count.get(&store)?.as_deref(), Some(&10));
    Ok(())
}

/// A value that is written as no bytes at all is a value.
pub fn keyed_value_of_no_bytes_is_a_value(backend: &StateBackend) -> Verdict {
    let flags = ValueStateDescriptor::<()>::new("flags");
    let mut store = store::<u32>(backend)?;
    let flag = store.open(&flags)?;
    flag.update(store.at(1)?, ())?;
    assert_eq!(flag.get(&store)?.as_deref(), Some(&()));
    assert_eq!(flag.get(store.at(2)?)?, None);
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let flag = store.open(&flags)?;
    assert_eq!(flag.get(store.at(1)?)?.as_deref(), Some(&()));
    flag.clear(&mut store)?;
    assert_eq!(flag.get(&store)?, None);
    Ok(())
}

/// The entries of a state are the keys that have a value, each once, with it; they need no current key.
pub fn keyed_values_are_listed_with_their_keys(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    for key in 0..40 {
        count.update(store.at(key)?, u64::from(key) * 10)?;
    }
    for key in 30..50 {
        count.clear(store.at(key)?)?;
    }
    let expected: BTreeMap<u32, u64> = (0..30).map(|key| (key, u64::from(key) * 10)).collect();
    let mut restored = restored::<u32>(backend, &written(&mut store)?)?;
    let restored_count = restored.open(&counts())?;
    for entries in [
        count.entries(&store)?.map(|(key, value)| (*key, *value)).collect::<Vec<_>>(),
        restored_count.entries(&restored)?.map(|(key, value)| (*key, *value)).collect(),
    ] {
        assert_eq!(entries.len(), expected.len(), "each key once");
        assert_eq!(entries.into_iter().collect::<BTreeMap<_, _>>(), expected);
    }
    Ok(())
}

/// Keys of which one begins with the other have values of their own.
pub fn keyed_values_of_keys_with_a_common_beginning_are_isolated(backend: &StateBackend) -> Verdict {
    let mut store = store::<String>(backend)?;
    let count = store.open(&counts())?;
    let long = "a".repeat(300);
    let keys = ["", "a", "aa", "aab", "ab", "\0", "\0\0", "ä", &long];
    for (number, key) in (0..).zip(keys) {
        count.update(store.at(key.to_owned())?, number)?;
    }
    count.clear(store.at("aa".to_owned())?)?;
    let mut store = restored::<String>(backend, &written(&mut store)?)?;
    let count = store.open(&counts())?;
    for (number, key) in (0..).zip(keys) {
        let expected = Some(number).filter(|_| key != "aa");
        assert_eq!(count.get(store.at(key.to_owned())?)?.as_deref(), expected.as_ref(), "key {key:?}");
    }
    Ok(())
}
