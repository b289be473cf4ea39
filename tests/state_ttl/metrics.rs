//! What is counted where the reference does not go: clean-up in the background, merges, snapshots that are under way.

use crate::subject::{Sum, bytes, heap, tell};
use snapline::base::{Millis, TimeDomain};
use snapline::keygroup::MaxParallelism;
use snapline::state::backend::StateBackend;
use snapline::state::*;
use snapline::ttl::{StateTtlConfig, StateVisibility};

const TTL: u64 = 10;

fn config() -> StateTtlConfig {
    StateTtlConfig::new(Millis(TTL)).unwrap()
}

fn store(backend: &StateBackend) -> KeyedStateStore<u32> {
    let max = MaxParallelism::new(4).unwrap();
    let builder = KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(backend);
    let mut store = builder.restore(Vec::new()).unwrap();
    set_time(&mut store, 0);
    store
}

fn set_time(store: &mut KeyedStateStore<u32>, now: i64) {
    tell(store, TimeDomain::ProcessingTime, now);
}

/// Puts a list of two elements that expire, and one that does not, at each of ten keys.
fn open_lists(store: &mut KeyedStateStore<u32>, name: &str, ttl: StateTtlConfig) -> TtlListState<u64> {
    let state = store.open(&ListStateDescriptor::new(name).with_ttl(ttl)).unwrap();
    for key in 0..10 {
        store.set_current_key(key).unwrap();
        set_time(store, 0);
        state.add_all(store, [1, 2]).unwrap();
        set_time(store, 5);
        state.add(store, 3).unwrap();
    }
    set_time(store, TTL as i64);
    state
}

//= spec/ttl.md#ttl-21-what-is-counted
//= type=test
//# Each value that is removed because it has expired MUST be counted once, under what removed it.
#[test]
fn ttl_metrics_tell_what_has_removed_a_value() {
    let mut store = store(&heap());
    let with_accesses = config().cleanup_incrementally(1_000, false).unwrap();
    let with_records = config().cleanup_incrementally(1_000, true).unwrap();
    let on_request = config().disable_cleanup_in_background();
    let accessed = open_lists(&mut store, "accessed", on_request);
    let requested = open_lists(&mut store, "requested", on_request);
    let with_record = open_lists(&mut store, "with records", with_records);
    let while_idle = open_lists(&mut store, "while idle", config());
    let with_access = open_lists(&mut store, "with accesses", with_accesses);
    let removed = |store: &KeyedStateStore<u32>, state: &TtlListState<u64>| store.ttl_metrics(state).unwrap();
    for state in [&accessed, &requested, &with_record, &while_idle, &with_access] {
        assert_eq!(removed(&store, state), TtlMetrics::default(), "nothing had expired");
        assert_eq!(store.expired_but_present(state).unwrap().values, 20);
    }

    store.clean_up_for_record();
    let expected = TtlMetrics { by_cleanup_with_records: 20, ..TtlMetrics::default() };
    assert_eq!(removed(&store, &with_record), expected);
    assert_eq!(store.ttl_metrics_of_all(), expected, "no other state is cleaned up with records");

    store.set_current_key(3).unwrap();
    assert_eq!(with_access.get(&mut store).unwrap().count(), 1);
    let expected = TtlMetrics { by_cleanup_with_accesses: 20, ..TtlMetrics::default() };
    assert_eq!(removed(&store, &with_access), expected, "clean-up came before the read");

    assert!(store.clean_up(&requested, 1_000).unwrap().is_pass_over);
    let expected = TtlMetrics { by_cleanup_on_request: 20, ..TtlMetrics::default() };
    assert_eq!(removed(&store, &requested), expected);

    store.clean_up_while_idle(1_000);
    let expected = TtlMetrics { by_cleanup_while_idle: 20, ..TtlMetrics::default() };
    assert_eq!(removed(&store, &while_idle), expected);

    // Under `OnCreateAndWrite` a read leaves a list that lives in part as it is.
    assert_eq!(accessed.get(&mut store).unwrap().count(), 1);
    assert_eq!(removed(&store, &accessed), TtlMetrics::default());
    set_time(&mut store, 15);
    assert_eq!(accessed.get(&mut store).unwrap().count(), 0);
    assert_eq!(removed(&store, &accessed), TtlMetrics { by_accesses: 3, ..TtlMetrics::default() });

    let all = TtlMetrics {
        by_accesses: 3,
        by_cleanup_with_accesses: 20,
        by_cleanup_with_records: 20,
        by_cleanup_while_idle: 20,
        by_cleanup_on_request: 20,
        by_compactions: 0,
        left_out_of_snapshots: 0,
    };
    assert_eq!(store.ttl_metrics_of_all(), all);
    assert_eq!(
        all - TtlMetrics { by_cleanup_while_idle: 5, ..all },
        TtlMetrics { by_cleanup_while_idle: 15, ..TtlMetrics::default() }
    );
}

/// Each snapshot counts when it is written, and the state keeps what it leaves out.
#[test]
fn ttl_metrics_of_snapshots_count_what_each_leaves_out() {
    for backend in [heap(), bytes()] {
        let mut store = store(&backend);
        let ttl = config().disable_cleanup_in_background();
        let state = open_lists(&mut store, "cleaned", ttl.cleanup_full_snapshot());
        let whole = open_lists(&mut store, "whole", ttl);
        let (first, second) = (store.snapshot().unwrap(), store.snapshot().unwrap());
        assert_eq!(store.ttl_metrics(&state).unwrap(), TtlMetrics::default());
        for (snapshot, left_out_of_snapshots) in [(first, 20), (second, 40)] {
            snapshot.write_to(&mut Vec::new()).unwrap();
            let expected = TtlMetrics { left_out_of_snapshots, ..TtlMetrics::default() };
            assert_eq!(store.ttl_metrics(&state).unwrap(), expected, "{backend:?}");
            assert_eq!(store.ttl_metrics(&whole).unwrap(), TtlMetrics::default(), "{backend:?}");
        }
        assert_eq!(store.expired_but_present(&state).unwrap().values, 20, "{backend:?}");
    }
}

//= spec/ttl.md#ttl-22-what-has-expired-and-is-still-there
//= type=test
//# A look at what has expired and is still there MUST count what clean-up would remove now, and change nothing.
/// Whether or not the snapshot leaves it out, it was there when that was taken.
#[test]
fn ttl_snapshot_that_is_written_finds_what_had_expired_and_was_there() {
    for backend in [heap(), bytes()] {
        let mut store = store(&backend);
        let ttl = config().disable_cleanup_in_background();
        let cleaned = open_lists(&mut store, "cleaned", ttl.cleanup_full_snapshot());
        let whole = open_lists(&mut store, "whole", ttl);
        let present = store.expired_but_present(&whole).unwrap();
        assert_eq!(store.expired_but_present(&cleaned).unwrap(), present);
        let both = ExpiredButPresent { values: 2 * present.values, bytes: 2 * present.bytes };
        let snapshot = store.snapshot().unwrap();
        set_time(&mut store, 100);
        assert_eq!(store.expired_but_present_in_snapshot(), ExpiredButPresent::default(), "{backend:?}");
        snapshot.write_to(&mut Vec::new()).unwrap();
        assert_eq!(store.expired_but_present_in_snapshot(), both, "{backend:?}");
        // A snapshot of nothing is asked whether there is anything, and not written.
        for key in 0..10 {
            store.set_current_key(key).unwrap();
            cleaned.clear(&mut store).unwrap();
            whole.clear(&mut store).unwrap();
        }
        assert_eq!(store.expired_but_present_in_snapshot(), both, "{backend:?}");
        let snapshot = store.snapshot().unwrap();
        assert!(TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default()).is_empty());
        assert_eq!(store.expired_but_present_in_snapshot(), ExpiredButPresent::default(), "{backend:?}");
    }
}

#[test]
fn ttl_metrics_of_merges_count_what_has_expired() {
    for backend in [heap(), bytes()] {
        for (lenient, by_accesses) in [(false, 3), (true, 0)] {
            let visibility = match lenient {
                true => StateVisibility::ReturnExpiredIfNotCleanedUp,
                false => StateVisibility::NeverReturnExpired,
            };
            let ttl = config().disable_cleanup_in_background().with_state_visibility(visibility);
            let mut store = store(&backend);
            let sums = AggregatingStateDescriptor::new("sums", Sum).with_ttl(ttl);
            let sums = store.open_namespaced::<u8, _>(&sums).unwrap();
            store.set_current_key(1).unwrap();
            for (now, namespace) in [(0, 1), (0, 2), (0, 3), (5, 4), (6, 5)] {
                set_time(&mut store, now);
                sums.of(namespace).add(&mut store, 1 << namespace).unwrap();
            }
            set_time(&mut store, 12);
            sums.of(1).merge_namespaces(&mut store, [4, 2, 5, 3]).unwrap();
            let expected = TtlMetrics { by_accesses, ..TtlMetrics::default() };
            assert_eq!(store.ttl_metrics(&sums.of(1)).unwrap(), expected, "{backend:?}");
            let sum = if lenient { 0b11_1110 } else { 0b11_0000 };
            assert_eq!(sums.of(1).get(&mut store).unwrap(), Some(sum), "{backend:?}");
            assert_eq!(store.count(&sums.of(1)).unwrap(), 1, "{backend:?}");
        }
    }
}

//= spec/ttl.md#ttl-22-what-has-expired-and-is-still-there
//= type=test
//# A look at what has expired and is still there MUST count what clean-up would remove now, and change nothing.
#[test]
fn ttl_look_at_what_has_expired_is_the_same_on_every_backend() {
    for backend in [heap(), bytes()] {
        let mut store = store(&backend);
        let lists = open_lists(&mut store, "lists", config().disable_cleanup_in_background());
        set_time(&mut store, 9);
        for (now, values) in [(9, 0), (10, 20), (14, 20), (15, 30), (9, 0), (10, 20)] {
            set_time(&mut store, now);
            // A length, a time, and a small number.
            let expected = ExpiredButPresent { values, bytes: values * (1 + 8 + 1) };
            assert_eq!(store.expired_but_present(&lists).unwrap(), expected, "{backend:?} at {now}");
        }
        assert_eq!(store.count(&lists).unwrap(), 10);
        assert_eq!(store.ttl_metrics_of_all(), TtlMetrics::default());
    }
}

#[test]
fn ttl_metrics_of_a_state_without_a_time_to_live_are_nothing() {
    for backend in [heap(), bytes()] {
        let (mut store, other) = (store(&backend), store(&backend));
        store.set_current_key(1).unwrap();
        let state = store.open(&ValueStateDescriptor::<u64>::new("value")).unwrap();
        state.update(&mut store, 5).unwrap();
        set_time(&mut store, i64::MAX);
        assert_eq!(store.ttl_metrics(&state).unwrap(), TtlMetrics::default());
        assert_eq!(store.expired_but_present(&state).unwrap(), ExpiredButPresent::default());
        assert!(matches!(other.ttl_metrics(&state), Err(StateError::ForeignHandle)));
        assert!(matches!(other.expired_but_present(&state), Err(StateError::ForeignHandle)));
    }
}
