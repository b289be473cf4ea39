//! How the heap cleans up state with a time to live; `testkit::keyed_state` has what every backend does with it.
#![cfg(feature = "runtime")]

use snapline::base::Millis;
use snapline::keygroup::MaxParallelism;
use snapline::state::*;
use snapline::ttl::StateTtlConfig;

fn ttl(millis: u64) -> StateTtlConfig {
    StateTtlConfig::new(Millis(millis)).unwrap().disable_cleanup_in_background()
}

/// A store whose clock shows 0, with a current key.
fn store_at_0(images: Vec<KeyedImage>) -> KeyedStateStore<u32> {
    let max = MaxParallelism::new(4).unwrap();
    let mut store = KeyedStateStore::restore(max, max.all_groups(), images).unwrap();
    store.set_processing_time(Millis(0));
    store.set_current_key(1).unwrap();
    store
}

fn value() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("value")
}

//= spec/ttl.md#ttl-12-clean-up-looks-at-everything
//= type=test
//# A pass of incremental clean-up MUST look at every value that is there from its beginning to its end.
/// V15, V16: beside an open snapshot, while the state grows and shrinks.
#[test]
fn ttl_clean_up_visits_the_whole_state_while_it_changes() {
    const KEYS: u32 = 20_000;
    let mut store = store_at_0(Vec::new());
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
    let mut before = store_at_0(keyed);
    let state = before.open(&value().with_ttl(ttl(10))).unwrap();
    assert_eq!(before.count(&state).unwrap(), KEYS as usize, "the snapshot holds what there was");
}

/// In the background each access looks at some entries, so what nobody reads goes, too.
#[test]
fn ttl_clean_up_goes_with_every_access() {
    let mut store = store_at_0(Vec::new());
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
    let mut store = store_at_0(Vec::new());
    let cleaned = store.open(&value().with_ttl(StateTtlConfig::new(Millis(10)).unwrap())).unwrap();
    let kept = store.open(&ListStateDescriptor::<u64>::new("list").with_ttl(ttl(10))).unwrap();
    assert!(store.expires());
    cleaned.update(&mut store, 1).unwrap();
    kept.add(&mut store, 1).unwrap();
    store.set_processing_time(Millis(10));
    store.clean_up_for_record();
    store.clean_up_while_idle(1_000);
    assert_eq!((store.count(&cleaned).unwrap(), store.count(&kept).unwrap()), (0, 1));
}

//= spec/ttl.md#ttl-23-clean-up-that-is-left-out
//= type=test
//# A pass of incremental clean-up MUST begin when it is due, unless no value can have expired.
#[test]
fn ttl_clean_up_is_left_out_until_a_value_can_have_expired() {
    const KEYS: u32 = 100;
    let mut store = store_at_0(Vec::new());
    let state = store.open(&value().with_ttl(ttl(10))).unwrap();
    for key in 0..KEYS {
        store.set_processing_time(Millis(u64::from(3 + key / 50)));
        store.set_current_key(key).unwrap();
        state.update(&mut store, 1).unwrap();
    }
    let passes = |store: &mut KeyedStateStore<u32>, now| {
        store.set_processing_time(Millis(now));
        let first = store.clean_up(&state, 1).unwrap();
        let rest = store.clean_up(&state, 1_000).unwrap();
        (first.is_pass_over, first.removed + rest.removed)
    };
    assert_eq!(passes(&mut store, 12), (true, 0), "there is nothing to look for");
    assert_eq!(passes(&mut store, 13), (false, 50));
    assert_eq!(passes(&mut store, 13), (true, 0), "what the pass has left lives longer");
    // An update when the clock has gone back.
    store.set_processing_time(Millis(0));
    store.set_current_key(KEYS).unwrap();
    state.update(&mut store, 1).unwrap();
    assert_eq!(passes(&mut store, 9), (true, 0));
    assert_eq!(passes(&mut store, 10), (false, 1));
    assert_eq!(passes(&mut store, 14), (false, 50));
}

/// Nothing is known of what was restored: the first pass looks at all of it.
#[test]
fn ttl_clean_up_looks_at_what_was_restored() {
    let mut store = store_at_0(Vec::new());
    let state = store.open(&value().with_ttl(ttl(10))).unwrap();
    state.update(&mut store, 1).unwrap();
    let mut file = Vec::new();
    store.snapshot().unwrap().write_to(&mut file).unwrap();
    let keyed = SnapshotImage::read_from(&file[..], None).unwrap().keyed.into_iter().collect();
    let mut restored = store_at_0(keyed);
    let state = restored.open(&value().with_ttl(ttl(10))).unwrap();
    restored.set_processing_time(Millis(10));
    assert_eq!(restored.clean_up(&state, 1_000).unwrap().removed, 1);
}

/// Of a list of which some elements are left, the oldest counts.
#[test]
fn ttl_clean_up_of_a_list_goes_on_when_its_next_element_expires() {
    let mut store = store_at_0(Vec::new());
    let list = store.open(&ListStateDescriptor::<u64>::new("list").with_ttl(ttl(10))).unwrap();
    for updated in [1, 5, 9] {
        store.set_processing_time(Millis(updated));
        list.add(&mut store, updated).unwrap();
    }
    for (now, left) in [(11, 2), (14, 2), (15, 1), (19, 0)] {
        store.set_processing_time(Millis(now));
        store.clean_up(&list, 1_000).unwrap();
        assert_eq!(store.expired_but_present(&list).unwrap().values, 0, "at {now}");
        store.set_processing_time(Millis(10));
        assert_eq!(list.get(&mut store).unwrap().count(), left, "at {now}");
    }
}

/// A merge takes a value with its time from where a pass will come to where it has been. `add` adds to the state in
/// namespace 1, `merge` merges that into namespace 2.
#[track_caller]
fn assert_moved_values_are_cleaned_up<S: StateHandle>(
    open: impl Fn(&mut KeyedStateStore<u32>) -> S,
    add: impl Fn(&S, &mut KeyedStateStore<u32>),
    merge: impl Fn(&mut KeyedStateStore<u32>),
) {
    const FILLED: u32 = 3_000;
    let max = MaxParallelism::new(1).unwrap();
    for key in 0..40 {
        let mut store = KeyedStateStore::<u32>::restore(max, max.all_groups(), Vec::new()).unwrap();
        let state = open(&mut store);
        let put = |store: &mut KeyedStateStore<u32>, key, now| {
            store.set_processing_time(Millis(now));
            store.set_current_key(key).unwrap();
            add(&state, store);
        };
        put(&mut store, FILLED, 0);
        put(&mut store, key, 50);
        (40..FILLED).for_each(|key| put(&mut store, key, 100));
        // One has expired, so a pass begins.
        store.set_processing_time(Millis(1_000));
        assert!(!store.clean_up(&state, FILLED as usize / 2).unwrap().is_pass_over);
        store.set_current_key(key).unwrap();
        merge(&mut store);
        assert!(store.clean_up(&state, FILLED as usize).unwrap().is_pass_over);
        store.set_processing_time(Millis(1_050));
        store.clean_up(&state, 2 * FILLED as usize).unwrap();
        assert_eq!(store.expired_but_present(&state).unwrap().values, 0, "of key {key}");
    }
}

#[test]
fn ttl_clean_up_does_not_miss_a_value_that_was_moved_while_it_passed() {
    let lists = ListStateDescriptor::<u64>::new("lists").with_ttl(ttl(1_000));
    assert_moved_values_are_cleaned_up(
        |store| store.open_namespaced::<u8, _>(&lists).unwrap().of(1),
        |list, store| list.add(store, 1).unwrap(),
        |store| {
            let list = store.open_namespaced::<u8, _>(&lists).unwrap().of(2);
            list.merge_namespaces(store, [1]).unwrap();
        },
    );
    let sums = || ReducingStateDescriptor::<u64>::new("sums", |old, more| old + more).with_ttl(ttl(1_000));
    assert_moved_values_are_cleaned_up(
        |store| store.open_namespaced::<u8, _>(&sums()).unwrap().of(1),
        |sum, store| sum.add(store, 1).unwrap(),
        |store| {
            let sum = store.open_namespaced::<u8, _>(&sums()).unwrap().of(2);
            sum.merge_namespaces(store, [1]).unwrap();
        },
    );
    let counts = || AggregatingStateDescriptor::new("counts", Count).with_ttl(ttl(1_000));
    assert_moved_values_are_cleaned_up(
        |store| store.open_namespaced::<u8, _>(&counts()).unwrap().of(1),
        |count, store| count.add(store, 1).unwrap(),
        |store| {
            let count = store.open_namespaced::<u8, _>(&counts()).unwrap().of(2);
            count.merge_namespaces(store, [1]).unwrap();
        },
    );
}

struct Count;

impl AggregateFunction for Count {
    type In = u64;
    type Accumulator = u64;
    type Out = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, _: u64, accumulator: &mut u64) {
        *accumulator += 1;
    }

    fn merge(&self, accumulator: &mut u64, other: u64) {
        *accumulator += other;
    }

    fn result(&self, accumulator: &u64) -> u64 {
        *accumulator
    }
}
