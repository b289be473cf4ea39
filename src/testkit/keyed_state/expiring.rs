use super::Verdict;
use super::harness::{AtKey, builder, images, store, written};
use super::migration::{Name, NameV1, names, new, old};
use crate::base::{EventTime, Millis, TimeDomain};
use crate::state::backend::StateBackend;
use crate::state::{
    KeyedSnapshot, KeyedStateStore, ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor,
    StateError, ValueStateDescriptor,
};
use crate::ttl::{StateTtlConfig, StateVisibility, UpdateType};
use std::borrow::Cow;

fn ttl(millis: u64) -> StateTtlConfig {
    StateTtlConfig::new(Millis(millis)).expect("in bounds").disable_cleanup_in_background()
}

/// A store whose clock shows `now`, with a current key.
fn store_at(now: u64, backend: &StateBackend) -> Result<KeyedStateStore<u32>, StateError> {
    let mut store = store::<u32>(backend)?;
    store.set_processing_time(Millis(now));
    store.at(1)?;
    Ok(store)
}

/// The same with what `old` holds.
fn restored_at(
    now: u64,
    backend: &StateBackend,
    old: &mut KeyedStateStore<u32>,
) -> Result<KeyedStateStore<u32>, StateError> {
    let mut store = builder::<u32>(backend).restore(images(&written(old)?, None)?)?;
    store.set_processing_time(Millis(now));
    store.at(1)?;
    Ok(store)
}

fn value() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("value")
}

fn list() -> ListStateDescriptor<u64> {
    ListStateDescriptor::new("list")
}

fn map() -> MapStateDescriptor<u8, u64> {
    MapStateDescriptor::new("map")
}

/// Q07: a value with a time to live is there until it expires, which an update puts off and a restore does not.
pub fn ttl_value_is_there_until_it_expires(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    let state = store.open(&value().with_ttl(ttl(10)))?;
    assert_eq!(state.get(&mut store)?, None);
    state.update(&mut store, 1)?;
    store.set_processing_time(Millis(5));
    state.update(&mut store, 2)?;
    let mut restored = restored_at(5, backend, &mut store)?;
    let in_restored = restored.open(&value().with_ttl(ttl(10)))?;
    for (mut store, state) in [(store, state), (restored, in_restored)] {
        for (now, expected) in [(14, Some(2)), (15, None), (16, None)] {
            store.set_processing_time(Millis(now));
            assert_eq!(state.get(&mut store)?.map(|value| *value), expected, "at {now}");
        }
        assert!(store.snapshot()?.is_empty(), "what has expired was removed when it was read");
        state.update(&mut store, 3)?;
        assert_eq!(state.get(&mut store)?.as_deref(), Some(&3));
        state.clear(&mut store)?;
        assert_eq!(state.get(&mut store)?, None);
    }
    Ok(())
}

/// R27: a time to live that is switched on over a restore counts from there.
//= spec/ttl.md#ttl-13-time-to-live-that-is-switched-on
//= type=test
//# Values that were restored without times MUST count as updated at the time of the restore.
pub fn ttl_switched_on_counts_from_the_restore(backend: &StateBackend) -> Verdict {
    let mut old = store_at(0, backend)?;
    old.open(&value())?.update(&mut old, 5)?;
    old.open(&list())?.add_all(&mut old, [1, 2])?;
    old.open(&map())?.put(&mut old, 7, 8)?;
    let mut store = restored_at(1_000, backend, &mut old)?;
    let single = store.open(&value().with_ttl(ttl(10)))?;
    let elements = store.open(&list().with_ttl(ttl(10)))?;
    let entries = store.open(&map().with_ttl(ttl(10)))?;
    for (now, is_there) in [(1_000, true), (1_009, true), (1_010, false)] {
        store.set_processing_time(Millis(now));
        assert_eq!(single.get(&mut store)?.is_some(), is_there, "at {now}");
        assert_eq!(elements.get(&mut store)?.count(), 2 * usize::from(is_there), "at {now}");
        assert_eq!(entries.entries(&mut store)?.count(), usize::from(is_there), "at {now}");
    }
    Ok(())
}

/// R27: by event time it counts from the event time of the restore, however far ahead the clock is.
pub fn ttl_switched_on_by_event_time_counts_from_the_event_time_of_the_restore(
    backend: &StateBackend,
) -> Verdict {
    let mut old = store_at(0, backend)?;
    old.open(&value())?.update(&mut old, 5)?;
    let mut store = restored_at(1_000_000, backend, &mut old)?;
    store.set_event_time(EventTime(1_000));
    let state = store.open(&value().with_ttl(ttl(10).with_time_domain(TimeDomain::EventTime)))?;
    for (now, is_there) in [(1_009, true), (1_010, false)] {
        store.set_event_time(EventTime(now));
        assert_eq!(state.get(&mut store)?.is_some(), is_there, "at {now}");
    }
    Ok(())
}

/// R26, V14: a time to live may be switched off over a restore, which Flink's heap refuses.
//= spec/ttl.md#ttl-14-time-to-live-that-is-switched-off
//= type=test
//# Values that were restored with times by a state without a time to live MUST stay, expired or not.
pub fn ttl_switched_off_keeps_what_has_expired(backend: &StateBackend) -> Verdict {
    let mut old = store_at(0, backend)?;
    old.open(&value().with_ttl(ttl(10)))?.update(&mut old, 5)?;
    old.open(&list().with_ttl(ttl(10)))?.add_all(&mut old, [1, 2])?;
    old.open(&map().with_ttl(ttl(10)))?.put(&mut old, 7, 8)?;
    let mut store = restored_at(1_000, backend, &mut old)?;
    let (single, elements, entries) = (store.open(&value())?, store.open(&list())?, store.open(&map())?);
    assert_eq!(single.get(&store)?.as_deref(), Some(&5));
    assert_eq!(elements.get(&store)?.map(|one| *one).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(entries.get(&store, &7)?.as_deref(), Some(&8));
    // Another snapshot is one of plain values.
    let mut store = restored_at(1_000, backend, &mut store)?;
    let single = store.open(&value())?;
    assert_eq!(single.get(&store)?.as_deref(), Some(&5));
    Ok(())
}

/// R26, R27: it may be switched on or off, or stay, while the values migrate to a new version.
pub fn ttl_is_switched_on_and_off_while_values_migrate(backend: &StateBackend) -> Verdict {
    let before = || ListStateDescriptor::<NameV1>::new("names").with_serializer(names());
    let after = || ListStateDescriptor::<Name>::new("names").with_serializer(names());
    let migrated = [new("ada", "lovelace"), new("alan", "turing")];
    for had_ttl in [false, true] {
        let mut written = store_at(0, backend)?;
        let persons = ["ada lovelace", "alan turing"].map(old);
        match had_ttl {
            true => written.open(&before().with_ttl(ttl(10)))?.add_all(&mut written, persons)?,
            false => written.open(&before())?.add_all(&mut written, persons)?,
        }
        let mut without = restored_at(9, backend, &mut written)?;
        let list = without.open(&after())?;
        assert_eq!(list.get(&without)?.map(Cow::into_owned).collect::<Vec<_>>(), migrated);
        let mut with = restored_at(9, backend, &mut written)?;
        let list = with.open(&after().with_ttl(ttl(10)))?;
        assert_eq!(list.get(&mut with)?.map(Cow::into_owned).collect::<Vec<_>>(), migrated);
        // Their times are the old ones, or that of the restore.
        with.set_processing_time(Millis(10));
        assert_eq!(list.get(&mut with)?.next().is_none(), had_ttl);
    }
    Ok(())
}

/// R25, V13: the stored times count, and need no migration.
pub fn ttl_of_another_length_counts_from_the_stored_times(backend: &StateBackend) -> Verdict {
    let mut old = store_at(100, backend)?;
    let state = old.open(&value().with_ttl(ttl(10)))?;
    state.update(&mut old, 5)?;
    let mut longer = restored_at(149, backend, &mut old)?;
    state.update(&mut old, 6)?;
    let state = longer.open(&value().with_ttl(ttl(50)))?;
    let found = state.get(&mut longer)?;
    assert_eq!(found.as_deref(), Some(&5), "the update after the snapshot is not in it");
    let mut shorter = restored_at(105, backend, &mut longer)?;
    let state = shorter.open(&value().with_ttl(ttl(5)))?;
    assert_eq!(state.get(&mut shorter)?, None);
    Ok(())
}

/// A state that is open has one time to live, or none.
pub fn ttl_of_a_state_that_is_opened_with_another_one_is_refused(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    store.open(&value().with_ttl(ttl(10)))?;
    store.open(&value().with_ttl(ttl(10)))?;
    for refused in [store.open(&value().with_ttl(ttl(11))).err(), store.open(&value()).err()] {
        assert!(matches!(refused, Some(StateError::TypeMismatch { .. })), "{refused:?}");
    }
    Ok(())
}

/// V08, V11: what several became lives from the merge on, and lists keep the times of their elements.
//= spec/ttl.md#ttl-15-merging
//= type=test
//# A merge MUST combine the values that are visible, and make the present the time of what several became.
pub fn ttl_of_merged_namespaces_is_that_of_what_is_left(backend: &StateBackend) -> Verdict {
    for lenient in [false, true] {
        let visibility = match lenient {
            true => StateVisibility::ReturnExpiredIfNotCleanedUp,
            false => StateVisibility::NeverReturnExpired,
        };
        let ttl = ttl(10).with_state_visibility(visibility);
        let mut store = store_at(0, backend)?;
        let sums = ReducingStateDescriptor::new("sums", |a: u64, b: u64| a + b).with_ttl(ttl);
        let sums = store.open_namespaced::<u8, _>(&sums)?;
        let lists = store.open_namespaced::<u8, _>(&list().with_ttl(ttl))?;
        for (now, namespace) in [(0, 1), (5, 2), (6, 3)] {
            store.set_processing_time(Millis(now));
            sums.of(namespace).add(&mut store, 1 << namespace)?;
            lists.of(namespace).add(&mut store, u64::from(namespace))?;
        }
        store.set_processing_time(Millis(12));
        sums.of(1).merge_namespaces(&mut store, [2, 3])?;
        lists.of(1).merge_namespaces(&mut store, [2, 3])?;
        let (sum, elements) = if lenient { (14, &[1, 2, 3][..]) } else { (12, &[2, 3][..]) };
        assert_eq!(lists.of(1).get(&mut store)?.map(|one| *one).collect::<Vec<_>>(), elements);
        // Two were combined, so the sum lives from now on.
        store.set_processing_time(Millis(21));
        assert_eq!(sums.of(1).get(&mut store)?.as_deref(), Some(&sum));
        assert_eq!(sums.of(2).get(&mut store)?, None);
        store.set_processing_time(Millis(22));
        assert_eq!(sums.of(1).get(&mut store)?.is_some(), lenient);
    }
    Ok(())
}

/// A single value that is merged has changed its place only.
pub fn ttl_of_a_single_value_that_is_merged_stays_as_it_was(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    let sums = ReducingStateDescriptor::new("sums", |a: u64, b: u64| a + b).with_ttl(ttl(10));
    let sums = store.open_namespaced::<u8, _>(&sums)?;
    sums.of(2).add(&mut store, 7)?;
    store.set_processing_time(Millis(5));
    sums.of(1).merge_namespaces(&mut store, [2])?;
    assert_eq!(sums.of(2).get(&mut store)?, None);
    store.set_processing_time(Millis(9));
    assert_eq!(sums.of(1).get(&mut store)?.as_deref(), Some(&7));
    store.set_processing_time(Millis(10));
    assert_eq!(sums.of(1).get(&mut store)?, None);
    Ok(())
}

/// V09–V12: each key and namespace for itself, in the state and in snapshots.
pub fn ttl_of_keys_and_namespaces_expires_independently(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    let ttl = ttl(10).cleanup_full_snapshot();
    let states = store.open_namespaced::<u8, _>(&value().with_ttl(ttl))?;
    for (now, key, namespace) in [(0, 1, 1), (5, 1, 2), (5, 2, 1), (0, 2, 2)] {
        store.set_processing_time(Millis(now));
        store.at(key)?;
        states.of(namespace).update(&mut store, 7)?;
    }
    store.set_processing_time(Millis(12));
    let mut store = restored_at(12, backend, &mut store)?;
    let states = store.open_namespaced::<u8, _>(&value().with_ttl(ttl))?;
    let scopes = store.keys_and_namespaces(&states)?;
    let mut scopes: Vec<_> = scopes.map(|(key, namespace)| (*key, *namespace)).collect();
    scopes.sort_unstable();
    assert_eq!(scopes, [(1, 2), (2, 1)]);
    for (key, namespace, expected) in [(1, 1, None), (1, 2, Some(7)), (2, 1, Some(7)), (2, 2, None)] {
        store.at(key)?;
        let found = states.of(namespace).get(&mut store)?.map(|value| *value);
        assert_eq!(found, expected, "key {key}, namespace {namespace}");
    }
    Ok(())
}

/// Whether a map is empty can be asked without keeping it alive.
//= spec/ttl.md#ttl-17-a-look-at-whether-a-map-is-empty
//= type=test
//# A look at whether a map is empty MUST count what is visible, and neither remove nor refresh anything.
pub fn ttl_of_a_map_that_is_looked_at_is_not_refreshed(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    let config = ttl(10).with_update_type(UpdateType::OnReadAndWrite);
    let state = store.open(&map().with_ttl(config))?;
    assert!(state.is_empty(&store)?);
    state.put(&mut store, 7, 8)?;
    store.set_processing_time(Millis(9));
    assert!(!state.is_empty(&store)?);
    store.set_processing_time(Millis(10));
    assert!(state.is_empty(&store)?);
    assert_eq!(store.count(&state)?, 1, "it is still there");
    Ok(())
}

/// A change of an entry builds on it while it lives, and begins anew when it has expired; both are updates.
pub fn ttl_of_a_map_entry_that_is_changed_in_its_place(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    let state = store.open(&MapStateDescriptor::<String, u64>::new("map").with_ttl(ttl(10)))?;
    for (now, expected) in [(0, 1), (9, 2), (18, 3), (28, 1), (37, 2)] {
        store.set_processing_time(Millis(now));
        let count = |value: &mut u64| {
            *value += 1;
            *value
        };
        assert_eq!(state.with_mut(&mut store, "ann", || 0, count)?, expected, "at {now}");
    }
    assert_eq!(store.ttl_metrics(&state)?.by_accesses, 1);
    assert!(state.contains(&mut store, "ann")? && !state.contains(&mut store, "bob")?);
    assert_eq!(state.get(&mut store, "ann")?.as_deref(), Some(&2));
    store.set_processing_time(Millis(46));
    assert_eq!(state.remove(&mut store, "ann")?, Some(2));
    assert_eq!(state.remove(&mut store, "ann")?, None);
    Ok(())
}

/// What stays in a map keeps its time; what may not be seen does not stay.
pub fn ttl_of_a_map_of_which_some_is_retained(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    let state = store.open(&map().with_ttl(ttl(10)))?;
    for (now, key) in [(0, 1), (5, 2), (5, 3)] {
        store.set_processing_time(Millis(now));
        state.put(&mut store, key, u64::from(key))?;
    }
    store.set_processing_time(Millis(12));
    let keep = |key: &u8, value: &mut u64| {
        *value += 10;
        *key != 3
    };
    state.retain(&mut store, keep)?;
    assert_eq!(state.entries(&mut store)?.collect::<Vec<_>>(), [(2, 12)]);
    store.set_processing_time(Millis(15));
    assert_eq!(state.remove(&mut store, &2)?, None);
    Ok(())
}
