use super::Verdict;
use super::harness::{AtKey, counts, groups, max_parallelism, store};
use crate::keygroup::{KeyGroup, KeyGroupRange, KeyHash, key_group_of};
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateStore, KeyedStateStoreBuilder, StateError};
use std::collections::BTreeSet;

/// Q36: all keys of a state are gone through once, and states may be changed and cleared meanwhile; afterwards the current
/// key is what it was.
pub fn keyed_states_may_change_while_all_keys_are_gone_through(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    for key in 0..40 {
        count.update(store.at(key)?, u64::from(key))?;
    }
    store.set_current_key(7)?;
    let mut seen = BTreeSet::new();
    store.for_each_key(&count, |store| {
        let key = *store.current_key().expect("one of them");
        assert!(seen.insert(key), "{key} twice");
        match key % 3 {
            0 => count.clear(store),
            1 => count.modify(store, |old| old.map(|old| old + 100)),
            // A key that is not gone through, as there was nothing when it began.
            _ => count.update(store.at(key + 1000)?, 1),
        }
    })?;
    assert_eq!(seen, (0..40).collect());
    assert_eq!(store.current_key(), Some(&7));
    for key in 0..40 {
        let value = u64::from(key);
        let expected = [None, Some(value + 100), Some(value)][key as usize % 3];
        assert_eq!(count.get(store.at(key)?)?.as_deref(), expected.as_ref(), "key {key}");
        assert_eq!(count.get(store.at(key + 1000)?)?.is_some(), key % 3 == 2);
    }
    Ok(())
}

/// Q36: an error ends the pass, and the current key is what it was.
pub fn keyed_pass_over_all_keys_ends_with_an_error(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    for key in 0..10 {
        count.update(store.at(key)?, 1)?;
    }
    store.set_current_key(70)?;
    let mut seen = 0;
    let failed = store.for_each_key(&count, |_| {
        seen += 1;
        if seen == 3 { Err(StateError::NoCurrentKey) } else { Ok(()) }
    });
    assert!(failed.is_err());
    assert_eq!(seen, 3);
    assert_eq!(store.current_key(), Some(&70));
    Ok(())
}

/// T15: a key whose group belongs to another subtask is refused, and the current key stays.
pub fn keyed_key_of_another_subtask_is_refused_and_changes_nothing(backend: &StateBackend) -> Verdict {
    let range = KeyGroupRange::range_of(max_parallelism(), 16, 3).expect("one group of 16");
    let builder = KeyedStateStoreBuilder::new(max_parallelism(), range).with_backend(backend);
    let mut store: KeyedStateStore<u32> = builder.restore(Vec::new())?;
    let is_own = |key: &u32| range.contains(key_group_of(key.key_hash(), max_parallelism()));
    let own = (0..1000).find(is_own).expect("some key of the group");
    let foreign = (0..1000).find(|key| !is_own(key)).expect("some key of another group");
    store.set_current_key(own)?;
    let refused = store.set_current_key(foreign).expect_err("another subtask's");
    assert!(matches!(refused, StateError::WrongSubtask { .. }), "{refused}");
    assert!(store.set_current_key_from(&foreign).is_err());
    assert_eq!(store.current_key(), Some(&own));
    Ok(())
}

/// T15: there is no store of key groups that do not exist.
pub fn keyed_range_beyond_the_key_groups_is_refused(backend: &StateBackend) -> Verdict {
    let range = KeyGroupRange::new(KeyGroup(4), KeyGroup(8)).expect("a range");
    let builder = KeyedStateStoreBuilder::<u32>::new(groups(8), range).with_backend(backend);
    let refused = builder.restore(Vec::new()).expect_err("groups 0 to 7 are all there are");
    assert!(matches!(refused, StateError::NoSuchRange { .. }), "{refused}");
    Ok(())
}

/// Keyed state without a current key is an error; what concerns all keys needs none.
pub fn keyed_access_without_a_current_key_is_an_error(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    assert_eq!(store.current_key(), None);
    assert!(matches!(count.get(&store), Err(StateError::NoCurrentKey)));
    assert!(matches!(count.update(&mut store, 1), Err(StateError::NoCurrentKey)));
    assert!(matches!(count.clear(&mut store), Err(StateError::NoCurrentKey)));
    assert_eq!(store.count(&count)?, 0);
    assert_eq!(store.keys(&count)?.count(), 0);
    assert_eq!(count.entries(&store)?.count(), 0);
    Ok(())
}
