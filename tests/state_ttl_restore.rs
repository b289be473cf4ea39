//! State with a time to live over restores, merges and clean-up.
#![cfg(feature = "runtime")]

use snapline::base::{EventTime, Millis, TimeDomain};
use snapline::keygroup::MaxParallelism;
use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend};
use snapline::state::*;
use snapline::ttl::{StateTtlConfig, StateVisibility, UpdateType};
use std::collections::BTreeMap;
use std::sync::Arc;

fn backends() -> [StateBackend; 2] {
    [StateBackend::default(), StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new())]
}

fn ttl(millis: u64) -> StateTtlConfig {
    StateTtlConfig::new(Millis(millis)).unwrap().disable_cleanup_in_background()
}

fn store_at(now: u64, backend: &StateBackend, images: Vec<KeyedImage>) -> KeyedStateStore<u32> {
    let max = MaxParallelism::new(4).unwrap();
    let builder = KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(backend);
    let mut store = builder.restore(images).unwrap();
    store.set_processing_time(Millis(now));
    store.set_current_key(1).unwrap();
    store
}

fn restored(store: &mut KeyedStateStore<u32>, now: u64, backend: &StateBackend) -> KeyedStateStore<u32> {
    let mut file = Vec::new();
    store.snapshot().unwrap().write_to(&mut file).unwrap();
    store_at(now, backend, SnapshotImage::read_from(&file[..], None).unwrap().keyed.into_iter().collect())
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

//= spec/ttl.md#ttl-13-time-to-live-that-is-switched-on
//= type=test
//# Values that were restored without times MUST count as updated at the time of the restore.
/// R27, on every backend.
#[test]
fn ttl_switched_on_counts_from_the_restore() {
    for backend in backends() {
        let mut old = store_at(0, &backend, Vec::new());
        old.open(&value()).unwrap().update(&mut old, 5).unwrap();
        old.open(&list()).unwrap().add_all(&mut old, [1, 2]).unwrap();
        old.open(&map()).unwrap().put(&mut old, 7, 8).unwrap();
        let mut store = restored(&mut old, 1_000, &backend);
        let single = store.open(&value().with_ttl(ttl(10))).unwrap();
        let elements = store.open(&list().with_ttl(ttl(10))).unwrap();
        let entries = store.open(&map().with_ttl(ttl(10))).unwrap();
        for (now, is_there) in [(1_000, true), (1_009, true), (1_010, false)] {
            store.set_processing_time(Millis(now));
            assert_eq!(single.get(&mut store).unwrap().is_some(), is_there, "at {now}");
            assert_eq!(elements.get(&mut store).unwrap().count(), 2 * usize::from(is_there), "at {now}");
            assert_eq!(entries.entries(&mut store).unwrap().count(), usize::from(is_there), "at {now}");
        }
    }
}

//= spec/ttl.md#ttl-14-time-to-live-that-is-switched-off
//= type=test
//# Values that were restored with times by a state without a time to live MUST stay, expired or not.
/// R26, V14 (which Flink's heap refuses), on every backend.
#[test]
fn ttl_switched_off_keeps_what_has_expired() {
    for backend in backends() {
        let mut old = store_at(0, &backend, Vec::new());
        old.open(&value().with_ttl(ttl(10))).unwrap().update(&mut old, 5).unwrap();
        old.open(&list().with_ttl(ttl(10))).unwrap().add_all(&mut old, [1, 2]).unwrap();
        old.open(&map().with_ttl(ttl(10))).unwrap().put(&mut old, 7, 8).unwrap();
        let mut store = restored(&mut old, 1_000, &backend);
        let (single, elements) = (store.open(&value()).unwrap(), store.open(&list()).unwrap());
        let entries = store.open(&map()).unwrap();
        assert_eq!(single.get(&store).unwrap().as_deref(), Some(&5));
        assert_eq!(elements.get(&store).unwrap().map(|one| *one).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(entries.get(&store, &7).unwrap().as_deref(), Some(&8));
        // Another snapshot is one of plain values.
        let mut store = restored(&mut store, 1_000, &backend);
        let single = store.open(&value()).unwrap();
        assert_eq!(single.get(&store).unwrap().as_deref(), Some(&5));
    }
}

/// R25, V13: the stored times count, and need no migration.
#[test]
fn ttl_of_another_length_counts_from_the_stored_times() {
    for backend in backends() {
        let mut old = store_at(100, &backend, Vec::new());
        let state = old.open(&value().with_ttl(ttl(10))).unwrap();
        state.update(&mut old, 5).unwrap();
        let mut longer = restored(&mut old, 149, &backend);
        state.update(&mut old, 6).unwrap();
        let state = longer.open(&value().with_ttl(ttl(50))).unwrap();
        assert_eq!(
            state.get(&mut longer).unwrap().as_deref(),
            Some(&5),
            "the update after the snapshot is not in it"
        );
        let mut shorter = restored(&mut longer, 105, &backend);
        let state = shorter.open(&value().with_ttl(ttl(5))).unwrap();
        assert_eq!(state.get(&mut shorter).unwrap(), None);
    }
}

#[test]
fn ttl_switched_on_by_event_time_counts_from_the_event_time_of_the_restore() {
    for backend in backends() {
        let mut old = store_at(0, &backend, Vec::new());
        old.open(&value()).unwrap().update(&mut old, 5).unwrap();
        // The clock is far ahead of event time.
        let mut store = restored(&mut old, 1_000_000, &backend);
        store.set_event_time(EventTime(1_000));
        let by_event_time = ttl(10).with_time_domain(TimeDomain::EventTime);
        let state = store.open(&value().with_ttl(by_event_time)).unwrap();
        for (now, is_there) in [(1_009, true), (1_010, false)] {
            store.set_event_time(EventTime(now));
            assert_eq!(state.get(&mut store).unwrap().is_some(), is_there, "at {now}");
        }
    }
}

#[test]
fn ttl_of_a_state_that_is_opened_with_another_one_is_refused() {
    let mut store = store_at(0, &StateBackend::default(), Vec::new());
    store.open(&value().with_ttl(ttl(10))).unwrap();
    store.open(&value().with_ttl(ttl(10))).unwrap();
    for refused in [store.open(&value().with_ttl(ttl(11))).err(), store.open(&value()).err()] {
        assert!(matches!(refused, Some(StateError::TypeMismatch { .. })), "{refused:?}");
    }
}

//= spec/ttl.md#ttl-15-merging
//= type=test
//# A merge MUST combine the values that are visible, and make the present the time of what several became.
/// V08, V11.
#[test]
fn ttl_of_merged_namespaces_is_that_of_what_is_left() {
    for backend in backends() {
        for lenient in [false, true] {
            let visibility = match lenient {
                true => StateVisibility::ReturnExpiredIfNotCleanedUp,
                false => StateVisibility::NeverReturnExpired,
            };
            let ttl = ttl(10).with_state_visibility(visibility);
            let mut store = store_at(0, &backend, Vec::new());
            let sums = ReducingStateDescriptor::new("sums", |a: u64, b: u64| a + b).with_ttl(ttl);
            let sums = store.open_namespaced::<u8, _>(&sums).unwrap();
            let lists = store.open_namespaced::<u8, _>(&list().with_ttl(ttl)).unwrap();
            for (now, namespace) in [(0, 1), (5, 2), (6, 3)] {
                store.set_processing_time(Millis(now));
                sums.of(namespace).add(&mut store, 1 << namespace).unwrap();
                lists.of(namespace).add(&mut store, u64::from(namespace)).unwrap();
            }
            store.set_processing_time(Millis(12));
            sums.of(1).merge_namespaces(&mut store, [2, 3]).unwrap();
            lists.of(1).merge_namespaces(&mut store, [2, 3]).unwrap();
            let (sum, elements) = if lenient { (14, &[1, 2, 3][..]) } else { (12, &[2, 3][..]) };
            assert_eq!(lists.of(1).get(&mut store).unwrap().map(|one| *one).collect::<Vec<_>>(), elements);
            // Two were combined, so the sum lives from now on.
            store.set_processing_time(Millis(21));
            assert_eq!(sums.of(1).get(&mut store).unwrap().as_deref(), Some(&sum));
            assert_eq!(sums.of(2).get(&mut store).unwrap(), None);
            store.set_processing_time(Millis(22));
            assert_eq!(sums.of(1).get(&mut store).unwrap().is_some(), lenient);
        }
    }
}

#[test]
fn ttl_of_a_single_value_that_is_merged_stays_as_it_was() {
    for backend in backends() {
        let mut store = store_at(0, &backend, Vec::new());
        let sums = ReducingStateDescriptor::new("sums", |a: u64, b: u64| a + b).with_ttl(ttl(10));
        let sums = store.open_namespaced::<u8, _>(&sums).unwrap();
        sums.of(2).add(&mut store, 7).unwrap();
        store.set_processing_time(Millis(5));
        sums.of(1).merge_namespaces(&mut store, [2]).unwrap();
        store.set_processing_time(Millis(9));
        assert_eq!(sums.of(1).get(&mut store).unwrap().as_deref(), Some(&7));
        store.set_processing_time(Millis(10));
        assert_eq!(sums.of(1).get(&mut store).unwrap(), None);
    }
}

//= spec/ttl.md#ttl-12-clean-up-looks-at-everything
//= type=test
//# A pass of incremental clean-up MUST look at every value that is there from its beginning to its end.
/// V15, V16: beside an open snapshot, while the state grows and shrinks.
#[test]
fn ttl_clean_up_visits_the_whole_state_while_it_changes() {
    const KEYS: u32 = 20_000;
    let mut store = store_at(0, &StateBackend::default(), Vec::new());
    let state = store.open(&value().with_ttl(ttl(10))).unwrap();
    for key in 0..KEYS {
        store.set_processing_time(Millis(u64::from(key % 2 * 5)));
        store.set_current_key(key).unwrap();
        state.update(&mut store, u64::from(key)).unwrap();
    }
    // The even ones have expired.
    store.set_processing_time(Millis(10));
    let snapshot = store.snapshot().unwrap();
    let (mut next, mut removed) = (KEYS, 0);
    loop {
        let done = store.clean_up(&state, 7).unwrap();
        removed += done.removed;
        if done.is_pass_over {
            break;
        }
        // New keys split segments; some of the old ones go.
        store.set_current_key(next).unwrap();
        state.update(&mut store, 0).unwrap();
        store.set_current_key((next - KEYS) * 2 + 1).unwrap();
        state.clear(&mut store).unwrap();
        next += 1;
    }
    assert_eq!(removed, KEYS as usize / 2);
    // As many were cleared as have come.
    assert_eq!(store.count(&state).unwrap(), KEYS as usize / 2);
    let mut file = Vec::new();
    snapshot.write_to(&mut file).unwrap();
    let keyed = SnapshotImage::read_from(&file[..], None).unwrap().keyed.into_iter().collect();
    let mut before = store_at(0, &StateBackend::default(), keyed);
    let state = before.open(&value().with_ttl(ttl(10))).unwrap();
    assert_eq!(before.count(&state).unwrap(), KEYS as usize, "the snapshot holds what there was");
}

/// In the background each access looks at some entries, so what nobody reads goes, too.
#[test]
fn ttl_clean_up_goes_with_every_access() {
    let mut store = store_at(0, &StateBackend::default(), Vec::new());
    let config = StateTtlConfig::new(Millis(10)).unwrap();
    let state = store.open(&value().with_ttl(config)).unwrap();
    for key in 0..1_000 {
        store.set_current_key(key).unwrap();
        state.update(&mut store, 1).unwrap();
    }
    store.set_processing_time(Millis(10));
    store.set_current_key(5_000).unwrap();
    let mut reads = 0;
    while store.count(&state).unwrap() > 0 {
        assert_eq!(state.get(&mut store).unwrap(), None);
        reads += 1;
        assert!(reads <= 2 * 1_000 / 5, "five entries with each access");
    }
}

#[test]
fn ttl_clean_up_while_idle_is_that_of_states_with_clean_up_in_the_background() {
    let mut store = store_at(0, &StateBackend::default(), Vec::new());
    let cleaned = store.open(&value().with_ttl(StateTtlConfig::new(Millis(10)).unwrap())).unwrap();
    let kept = store.open(&list().with_ttl(ttl(10))).unwrap();
    assert!(store.expires());
    cleaned.update(&mut store, 1).unwrap();
    kept.add(&mut store, 1).unwrap();
    store.set_processing_time(Millis(10));
    store.clean_up_for_record();
    store.clean_up_while_idle(1_000);
    assert_eq!((store.count(&cleaned).unwrap(), store.count(&kept).unwrap()), (0, 1));
}

/// V09–V12: each key and namespace for itself, in the state and in snapshots.
#[test]
fn ttl_of_keys_and_namespaces_expires_independently() {
    for backend in backends() {
        let mut store = store_at(0, &backend, Vec::new());
        let ttl = ttl(10).cleanup_full_snapshot();
        let states = store.open_namespaced::<u8, _>(&value().with_ttl(ttl)).unwrap();
        for (now, key, namespace) in [(0, 1, 1), (5, 1, 2), (5, 2, 1), (0, 2, 2)] {
            store.set_processing_time(Millis(now));
            store.set_current_key(key).unwrap();
            states.of(namespace).update(&mut store, 7).unwrap();
        }
        store.set_processing_time(Millis(12));
        let mut store = restored(&mut store, 12, &backend);
        let states = store.open_namespaced::<u8, _>(&value().with_ttl(ttl)).unwrap();
        let scopes = store.keys_and_namespaces(&states).unwrap();
        let mut scopes: Vec<_> = scopes.map(|(key, namespace)| (*key, *namespace)).collect();
        scopes.sort_unstable();
        assert_eq!(scopes, [(1, 2), (2, 1)]);
        for (key, namespace, expected) in [(1, 1, None), (1, 2, Some(7)), (2, 1, Some(7)), (2, 2, None)] {
            store.set_current_key(key).unwrap();
            let found = states.of(namespace).get(&mut store).unwrap().map(|value| *value);
            assert_eq!(found, expected, "key {key}, namespace {namespace}");
        }
    }
}

//= spec/ttl.md#ttl-17-a-look-at-whether-a-map-is-empty
//= type=test
//# A look at whether a map is empty MUST count what is visible, and neither remove nor refresh anything.
#[test]
fn ttl_of_a_map_that_is_looked_at_is_not_refreshed() {
    for backend in backends() {
        let mut store = store_at(0, &backend, Vec::new());
        let config = ttl(10).with_update_type(UpdateType::OnReadAndWrite);
        let state = store.open(&map().with_ttl(config)).unwrap();
        assert!(state.is_empty(&store).unwrap());
        state.put(&mut store, 7, 8).unwrap();
        store.set_processing_time(Millis(9));
        assert!(!state.is_empty(&store).unwrap());
        store.set_processing_time(Millis(10));
        assert!(state.is_empty(&store).unwrap());
        assert_eq!(store.count(&state).unwrap(), 1, "it is still there");
    }
}

/// What stays in a map keeps its time; what may not be seen does not stay.
#[test]
fn ttl_of_a_map_of_which_some_is_retained() {
    for backend in backends() {
        let mut store = store_at(0, &backend, Vec::new());
        let state = store.open(&map().with_ttl(ttl(10))).unwrap();
        for (now, key) in [(0, 1), (5, 2), (5, 3)] {
            store.set_processing_time(Millis(now));
            state.put(&mut store, key, u64::from(key)).unwrap();
        }
        store.set_processing_time(Millis(12));
        let keep = |key: &u8, value: &mut u64| {
            *value += 10;
            *key != 3
        };
        state.retain(&mut store, keep).unwrap();
        assert_eq!(state.entries(&mut store).unwrap().collect::<Vec<_>>(), [(2, 12)]);
        store.set_processing_time(Millis(15));
        assert_eq!(state.remove(&mut store, &2).unwrap(), None);
    }
}
