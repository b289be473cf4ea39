use super::*;
use crate::base::TimeDomain::{self, EventTime, ProcessingTime};
use crate::keygroup::{KeyGroupRange, KeyGroupRangeAssignment, KeyHash, MaxParallelism, key_group_of};
use crate::state::backend::{SortedMapStateBackendFactory, StateBackend};
use crate::state::{
    KeyedStateStore, KeyedStateStoreBuilder, SnapshotImage, StateError, ValueStateDescriptor,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const DOMAINS: [TimeDomain; 2] = [EventTime, ProcessingTime];

type Store = KeyedStateStore<u32>;
type Service = TimerService<u32, char>;

fn max() -> MaxParallelism {
    MaxParallelism::new(16).expect("valid")
}

fn opened() -> (Store, Service) {
    let mut store = Store::new(max(), max().all_groups()).expect("valid");
    let timers = Service::open(&mut store, "test", i64::MIN).expect("opens");
    (store, timers)
}

fn on(store: &mut Store, key: u32) -> &mut Store {
    store.set_current_key(key).expect("its own key");
    store
}

/// Everything that is due, as key, namespace and time.
fn fired(timers: &mut Service, store: &mut Store, domain: TimeDomain, now: i64) -> Vec<(u32, char, i64)> {
    let mut fired = Vec::new();
    while let Some(timer) = timers.advance(store, domain, now).expect("its own store") {
        assert_eq!((store.current_key(), timer.domain), (Some(&timer.key), domain));
        fired.push((timer.key, timer.namespace, timer.time));
    }
    fired
}

fn sorted(mut timers: Vec<(u32, char, i64)>) -> Vec<(u32, char, i64)> {
    timers.sort();
    timers
}

fn file_of(store: &mut Store) -> Vec<u8> {
    let mut file = Vec::new();
    store.snapshot().expect("in memory").write_to(&mut file).expect("writes");
    file
}

fn restored(files: &[Vec<u8>], range: KeyGroupRange) -> (Store, Service) {
    let read = |file: &Vec<u8>| SnapshotImage::read_from(&file[..], Some(range)).expect("intact").keyed;
    let mut store = Store::restore(max(), range, files.iter().filter_map(read).collect()).expect("restores");
    let timers = Service::open(&mut store, "test", i64::MIN).expect("opens");
    (store, timers)
}

/// Y06 and Y07: two keys and two namespaces in both domains, none of which takes another's timers.
//= spec/timers.md#timer-5-a-timer-fires-for-its-key
//= type=test
//# A timer MUST fire with its own key as the current one and its own namespace.
#[test]
fn timers_of_keys_namespaces_and_domains_do_not_see_each_other() {
    for (domain, other) in [(EventTime, ProcessingTime), (ProcessingTime, EventTime)] {
        let (mut store, mut timers) = opened();
        for (key, namespace) in [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')] {
            assert!(timers.register(on(&mut store, key), domain, &namespace, 10).expect("a key"));
        }
        assert!(timers.register(on(&mut store, 1), domain, &'a', 11).expect("a key"));
        assert_eq!((timers.count(domain), timers.count(other)), (5, 0));
        assert_eq!(fired(&mut timers, &mut store, domain, 9), []);
        assert_eq!(fired(&mut timers, &mut store, other, i64::MAX), []);
        let due = sorted(fired(&mut timers, &mut store, domain, 10));
        assert_eq!(due, [(1, 'a', 10), (1, 'b', 10), (2, 'a', 10), (2, 'b', 10)]);
        assert_eq!(fired(&mut timers, &mut store, domain, 100), [(1, 'a', 11)]);
        assert_eq!(timers.count(domain), 0);
        assert!(!timers.delete(on(&mut store, 1), domain, &'a', 11).expect("a key"), "it has fired");
    }
}

/// Y08 and Y09.
#[test]
fn timers_that_were_deleted_do_not_fire_and_others_do() {
    for domain in [EventTime, ProcessingTime] {
        let (mut store, mut timers) = opened();
        for (key, namespace) in [(1, 'a'), (1, 'b'), (2, 'a'), (2, 'b')] {
            timers.register(on(&mut store, key), domain, &namespace, 10).expect("a key");
        }
        assert!(timers.delete(on(&mut store, 1), domain, &'a', 10).expect("a key"));
        assert!(!timers.delete(on(&mut store, 1), domain, &'a', 10).expect("a key"));
        assert!(!timers.delete(on(&mut store, 2), domain, &'a', 11).expect("a key"));
        //= spec/timers.md#timer-4-a-deleted-timer-does-not-fire
        //= type=test
        //# A timer that was deleted MUST NOT fire.
        // One of those that are due deletes another one.
        let mut last = Vec::new();
        while let Some(timer) = timers.advance(&mut store, domain, 10).expect("its own store") {
            if timer.key == 2 {
                let other = if timer.namespace == 'a' { 'b' } else { 'a' };
                timers.delete(&mut store, domain, &other, 10).expect("a key");
            }
            last.push(timer.key);
        }
        last.sort();
        assert_eq!(last, [1, 2]);
    }
}

/// Y03 to Y05: there is one deadline, that of the earliest timer, whatever happens while timers fire.
#[test]
fn timers_have_one_deadline_which_is_that_of_the_earliest() {
    let (mut store, mut timers) = opened();
    assert_eq!(timers.deadline(), None);
    for (key, time) in [(1, 30), (2, 20), (2, 40), (1, 20)] {
        timers.register(on(&mut store, key), ProcessingTime, &'a', time).expect("a key");
        timers.register(on(&mut store, key), EventTime, &'a', 1).expect("a key");
    }
    assert_eq!(timers.deadline(), Some(20));
    timers.register(on(&mut store, 3), ProcessingTime, &'a', 10).expect("a key");
    assert_eq!(timers.deadline(), Some(10));

    // What a firing registers is due now, later than the others, or between them.
    let mut order = Vec::new();
    while let Some(timer) = timers.advance(&mut store, ProcessingTime, 30).expect("its own store") {
        order.push((timer.key, timer.time));
        if timer.key == 3 && timer.time == 10 {
            for time in [5, 25, 35] {
                timers.register(&mut store, ProcessingTime, &'a', time).expect("a key");
            }
        }
    }
    let times: Vec<_> = order.iter().map(|(_, time)| *time).collect();
    assert_eq!(times, [10, 5, 20, 20, 25, 30]);
    assert_eq!(timers.deadline(), Some(35));
    timers.delete(on(&mut store, 3), ProcessingTime, &'a', 35).expect("a key");
    assert_eq!(timers.deadline(), Some(40));
}

#[test]
fn timers_registered_for_the_past_fire_with_the_next_advance() {
    let (mut store, mut timers) = opened();
    assert_eq!(fired(&mut timers, &mut store, EventTime, 100), []);
    assert_eq!(timers.current_watermark(), 100);
    timers.register(on(&mut store, 1), EventTime, &'a', 3).expect("a key");
    assert_eq!(fired(&mut timers, &mut store, EventTime, 50), [(1, 'a', 3)], "event time does not go back");
    assert_eq!(timers.current_watermark(), 100);
    timers.register(on(&mut store, 1), EventTime, &'a', i64::MAX).expect("a key");
    timers.register(on(&mut store, 1), EventTime, &'a', i64::MIN).expect("a key");
    assert_eq!(fired(&mut timers, &mut store, EventTime, 101), [(1, 'a', i64::MIN)]);
    assert_eq!(fired(&mut timers, &mut store, EventTime, i64::MAX), [(1, 'a', i64::MAX)]);
}

#[test]
fn timers_without_a_current_key_are_refused() {
    let (mut store, mut timers) = opened();
    let refused = timers.register(&mut store, EventTime, &'a', 1);
    assert!(matches!(refused, Err(StateError::NoCurrentKey)), "{refused:?}");
    let refused = timers.delete(&mut store, EventTime, &'a', 1);
    assert!(matches!(refused, Err(StateError::NoCurrentKey)), "{refused:?}");
    assert_eq!(timers.count(EventTime), 0);
}

#[test]
fn timers_given_a_store_of_others_stay_as_they_are() {
    for domain in [EventTime, ProcessingTime] {
        let (mut store, mut timers) = opened();
        let (mut other, _) = opened();
        timers.register(on(&mut store, 1), domain, &'a', 10).expect("a key");
        let advanced = timers.advance(on(&mut other, 1), domain, 20).expect_err("the store of others");
        let registered = timers.register(&mut other, domain, &'a', 11).expect_err("the store of others");
        let deleted = timers.delete(&mut other, domain, &'a', 10).expect_err("the store of others");
        for error in [advanced, registered, deleted] {
            assert!(matches!(error, StateError::ForeignHandle), "{error}");
        }
        assert_eq!(fired(&mut timers, &mut store, domain, 20), [(1, 'a', 10)]);
    }
}

#[test]
fn timers_in_debug_output_are_counted() {
    let (mut store, mut timers) = opened();
    fired(&mut timers, &mut store, EventTime, 5);
    for (domain, time) in [(EventTime, 10), (EventTime, 11), (ProcessingTime, 10)] {
        timers.register(on(&mut store, 1), domain, &'a', time).expect("a key");
    }
    assert_eq!(format!("{timers:?}"), "TimerService { watermark: 5, event_time: 2, processing_time: 1 }");
}

/// Y12: the names of the states, the types by which they are found again, and the bytes of a timer.
#[test]
fn timers_format_is_fixed() {
    let (mut store, mut timers) = opened();
    timers.register(on(&mut store, 7), EventTime, &'x', -2).expect("a key");
    timers.register(on(&mut store, 7), ProcessingTime, &'y', 300).expect("a key");
    let file = file_of(&mut store);
    let image = SnapshotImage::read_from(&file[..], None).expect("intact").keyed.expect("keyed state");
    let found: Vec<_> = image
        .states
        .iter()
        .map(|(name, state)| {
            let (_, group) = state.groups.first_key_value().expect("one timer");
            let entry = group.iter(state.header.kind).next().expect("one timer");
            let bytes = (entry.key.to_vec(), entry.namespace.to_vec(), entry.value.to_vec());
            (name.as_str(), state.header.namespace.id.as_str(), state.header.value.id.as_str(), bytes)
        })
        .collect();
    assert_eq!(
        found,
        [
            ("_timer_state/event_test", "(i64, char)", "()", (vec![7], vec![3, 1, b'x'], vec![])),
            ("_timer_state/processing_test", "(i64, char)", "()", (vec![7], vec![0xd8, 4, 1, b'y'], vec![])),
        ]
    );
}

/// Every backend that timers may be kept in.
fn backends() -> [StateBackend; 2] {
    let sorted = StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new());
    [StateBackend::default(), sorted]
}

/// Timers of both domains of which many have the same time, in a file of their own for each half of the key groups, and
/// the order in which those of each half fire.
type Half = (KeyGroupRange, Vec<u8>, Vec<Vec<(u32, char, i64)>>);

fn halves(backend: &StateBackend) -> Vec<Half> {
    let assignment = KeyGroupRangeAssignment::new(max(), 2).expect("valid");
    let half = |subtask| {
        let range = assignment.range_of(subtask).expect("exists");
        let builder = KeyedStateStoreBuilder::new(max(), range).with_backend(backend);
        let mut store: Store = builder.restore(Vec::new()).expect("nothing");
        let mut timers = Service::open(&mut store, "test", i64::MIN).expect("opens");
        // Neither keys nor times come in their order.
        for number in (0..3_000).map(|number| number * 7_919 % 3_000) {
            let (key, time) = (number % 50, i64::from(number * 31 % 37) - 20);
            if assignment.owner_of_key(&key) == subtask {
                let namespace = if number % 3 == 0 { 'a' } else { 'b' };
                let domain = domain(number % 7 < 4);
                timers.register(on(&mut store, key), domain, &namespace, time).expect("a key");
            }
        }
        let file = file_of(&mut store);
        let order = DOMAINS.map(|domain| fired(&mut timers, &mut store, domain, i64::MAX));
        assert!(order.iter().all(|order| order.len() > 100 && order.is_sorted_by_key(|timer| timer.2)));
        (range, file, order.to_vec())
    };
    vec![half(0), half(1)]
}

/// Q40, Q41, T14: timers that come back all at once fire in the order of those that were registered one by one, also those
/// of one time, and also when the timers of others come back with them.
#[test]
fn timers_restored_all_at_once_fire_in_the_order_of_those_registered_one_by_one() {
    for backend in backends() {
        let halves = halves(&backend);
        let restored = |range, timers: &[&Half]| {
            let read = |file: &[u8]| SnapshotImage::read_from(file, Some(range)).expect("intact").keyed;
            let images = timers.iter().filter_map(|(_, file, _)| read(file)).collect();
            let builder = KeyedStateStoreBuilder::new(max(), range).with_backend(&backend);
            let mut store: Store = builder.restore(images).expect("restores");
            let mut timers = Service::open(&mut store, "test", i64::MIN).expect("opens");
            DOMAINS.map(|domain| fired(&mut timers, &mut store, domain, i64::MAX)).to_vec()
        };
        for half in &halves {
            assert_eq!(restored(half.0, &[half]), half.2, "{backend:?}");
        }
        let [first, second] = &halves[..] else { panic!("two") };
        let together = restored(max().all_groups(), &[first, second]);
        assert_eq!(together, restored(max().all_groups(), &[second, first]), "{backend:?}");
        for (half, timers) in [first, second].map(|half| (half.0, &half.2)) {
            let of_half =
                |(key, _, _): &&(u32, char, i64)| half.contains(key_group_of(key.key_hash(), max()));
            let own: Vec<Vec<_>> =
                together.iter().map(|all| all.iter().filter(of_half).copied().collect()).collect();
            assert_eq!(own, *timers, "{backend:?}");
        }
    }
}

/// R11: timers whose namespaces or keys were written by another serializer are refused when they are restored, and are
/// still there for the right one.
#[test]
fn timers_restored_with_an_incompatible_serializer_are_refused_and_kept() {
    for backend in backends() {
        let [(range, file, order), _] = &halves(&backend)[..] else { panic!("two") };
        let image = || SnapshotImage::read_from(&file[..], Some(*range)).expect("intact").keyed;
        let images = || image().into_iter().collect::<Vec<_>>();
        let builder = KeyedStateStoreBuilder::new(max(), *range).with_backend(&backend);
        let mut store: Store = builder.restore(images()).expect("restores");
        let refused = TimerService::<u32, u64>::open(&mut store, "test", i64::MIN).expect_err("chars");
        assert_eq!(
            refused.to_string(),
            "state `_timer_state/event_test` cannot be opened with this serializer of its namespaces: \
             (i64, char) was written, the job has (i64, u64)"
        );
        let mut timers = Service::open(&mut store, "test", i64::MIN).expect("opens");
        let kept = DOMAINS.map(|domain| fired(&mut timers, &mut store, domain, i64::MAX));
        assert_eq!(kept[..], order[..], "{backend:?}");

        let refused =
            KeyedStateStoreBuilder::<u64>::new(max(), *range).with_backend(&backend).restore(images());
        assert_eq!(
            refused.expect_err("keys of u32").to_string(),
            "state `all keyed state` cannot be opened with this serializer of its keys: \
             u32 was written, the job has u64"
        );
    }
}

#[test]
fn timers_of_other_namespaces_under_one_name_are_refused() {
    let (mut store, _) = opened();
    let refused = TimerService::<u32, u64>::open(&mut store, "test", i64::MIN).expect_err("chars");
    assert!(matches!(refused, StateError::TypeMismatch { .. }), "{refused}");
    store.open(&ValueStateDescriptor::<u64>::new("test")).expect("states of users have names of their own");
}

#[derive(Clone, Debug)]
enum Step {
    Register(u32, bool, bool, i64),
    Delete(u32, bool, bool, i64),
    Advance(bool, i64),
    Restore(u16),
}

fn step() -> impl Strategy<Value = Step> {
    let timer = || (0..30u32, any::<bool>(), any::<bool>(), 0..100i64);
    prop_oneof![
        8 => timer().prop_map(|(key, second, event, time)| Step::Register(key, second, event, time)),
        3 => timer().prop_map(|(key, second, event, time)| Step::Delete(key, second, event, time)),
        2 => (any::<bool>(), 0..100i64).prop_map(|(event, now)| Step::Advance(event, now)),
        1 => (1..=5u16).prop_map(Step::Restore),
    ]
}

fn domain(event: bool) -> TimeDomain {
    if event { EventTime } else { ProcessingTime }
}

fn namespace(second: bool) -> char {
    if second { 'b' } else { 'a' }
}

proptest! {
    /// Y01, Y02, Y10, Y11, Y13: an operator of changing parallelism against a set of all timers.
    //= spec/timers.md#timer-1-a-timer-is-there-once
    //= type=test
    //# A timer that is registered again before it has fired MUST fire once.
    //= spec/timers.md#timer-2-timers-fire-in-the-order-of-time
    //= type=test
    //# Of the timers that are due the one with the earliest time MUST fire first.
    //= spec/timers.md#timer-3-no-timer-fires-early
    //= type=test
    //# A timer MUST NOT fire before the watermark, or the clock, has come to its time.
    //= spec/timers.md#timer-6-timers-are-state
    //= type=test
    //# A restored subtask MUST have exactly the timers that the snapshots hold for its keys.
    #[test]
    fn timers_agree_with_a_set_over_restores_and_rescaling(steps in proptest::collection::vec(step(), 1..120)) {
        let mut subtasks = vec![opened()];
        let mut model: BTreeSet<(TimeDomain, i64, u32, char)> = BTreeSet::new();
        let mut event_time = i64::MIN;
        for step in steps {
            let parallelism = subtasks.len() as u16;
            let assignment = KeyGroupRangeAssignment::new(max(), parallelism).expect("valid");
            match step {
                Step::Register(key, second, event, time) => {
                    let (store, timers) = &mut subtasks[usize::from(assignment.owner_of_key(&key))];
                    let is_new = timers.register(on(store, key), domain(event), &namespace(second), time);
                    let expected = model.insert((domain(event), time, key, namespace(second)));
                    prop_assert_eq!(is_new.expect("a key"), expected);
                }
                Step::Delete(key, second, event, time) => {
                    let (store, timers) = &mut subtasks[usize::from(assignment.owner_of_key(&key))];
                    let deleted = timers.delete(on(store, key), domain(event), &namespace(second), time);
                    let expected = model.remove(&(domain(event), time, key, namespace(second)));
                    prop_assert_eq!(deleted.expect("a key"), expected);
                }
                Step::Advance(event, now) => {
                    let now = if event { event_time = event_time.max(now); event_time } else { now };
                    let mut all = Vec::new();
                    for (store, timers) in &mut subtasks {
                        let fired = fired(timers, store, domain(event), now);
                        prop_assert!(fired.is_sorted_by_key(|(_, _, time)| *time));
                        prop_assert!(timers.deadline().is_none_or(|deadline| event || deadline > now));
                        all.extend(fired);
                    }
                    let due = |timer: &(TimeDomain, i64, u32, char)| timer.0 == domain(event) && timer.1 <= now;
                    let expected: Vec<_> =
                        model.iter().filter(|timer| due(timer)).map(|(_, time, key, n)| (*key, *n, *time)).collect();
                    model.retain(|timer| !due(timer));
                    prop_assert_eq!(sorted(all), sorted(expected));
                }
                Step::Restore(parallelism) => {
                    let files: Vec<_> = subtasks.iter_mut().map(|(store, _)| file_of(store)).collect();
                    let new = KeyGroupRangeAssignment::new(max(), parallelism).expect("valid");
                    subtasks = (0..parallelism)
                        .map(|subtask| restored(&files, new.range_of(subtask).expect("exists")))
                        .collect();
                }
            }
            let count: usize = subtasks
                .iter()
                .map(|(_, timers)| timers.count(EventTime) + timers.count(ProcessingTime))
                .sum();
            prop_assert_eq!(count, model.len());
        }
    }
}
