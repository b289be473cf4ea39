use super::*;
use crate::base::{Millis, TimeDomain};
use crate::keygroup::{KeyGroupRange, KeyGroupRangeAssignment, MaxParallelism};
use crate::state::{
    AggregateFunction, AggregatingStateDescriptor, KeyedStateHeader, KeyedStateStore, ListStateDescriptor,
    ReducingStateDescriptor, SnapshotImage, StateError,
};
use crate::window::{Lateness, TimeWindow, Trigger, WindowAssigner};
use proptest::prelude::*;
use std::num::NonZeroU64;

type Store = KeyedStateStore<u32>;
type Elements = ListStateDescriptor<u32>;

/// Key, start and end of the window, and what it emitted.
type Emitted<R> = Vec<(u32, i64, i64, R)>;

fn max() -> MaxParallelism {
    MaxParallelism::new(16).expect("valid")
}

fn tumbling(size: u64) -> WindowAssigner {
    WindowAssigner::tumbling(Millis(size)).expect("valid")
}

fn session(gap: u64) -> WindowAssigner {
    WindowAssigner::session(Millis(gap)).expect("valid")
}

/// One subtask with windows over what `D` keeps.
struct Subtask<D: WindowContents<u32>> {
    store: Store,
    windows: WindowOperator<u32, D>,
    emitted: Emitted<D::Out>,
}

impl<D: WindowContents<u32>> Subtask<D> {
    fn new(options: WindowOptions, contents: &D) -> Self {
        let store = Store::new(max(), max().all_groups()).expect("valid");
        Self::over(store, options, contents, i64::MIN)
    }

    fn over(mut store: Store, options: WindowOptions, contents: &D, watermark: i64) -> Self {
        let windows = WindowOperator::open(&mut store, "windows", options, contents, watermark);
        let windows = windows.expect("opens");
        Subtask { store, windows, emitted: Vec::new() }
    }

    /// Adds an element; `false` if it is too late.
    fn add(&mut self, key: u32, time: i64, element: D::In) -> bool {
        self.store.set_current_key(key).expect("its own key");
        let emitted = &mut self.emitted;
        let out = |key: &u32, window: TimeWindow, content| {
            emitted.push((*key, window.start, window.end, content));
        };
        self.windows.process(&mut self.store, time, element, out).expect("its own store").is_none()
    }

    fn advance(&mut self, domain: TimeDomain, time: i64) -> Emitted<D::Out> {
        let emitted = &mut self.emitted;
        let mut out = |key: &u32, window: TimeWindow, content| {
            emitted.push((*key, window.start, window.end, content));
        };
        while self.windows.advance(&mut self.store, domain, time, &mut out).expect("its own store") {}
        std::mem::take(&mut self.emitted)
    }

    fn watermark(&mut self, watermark: i64) -> Emitted<D::Out> {
        self.advance(TimeDomain::EventTime, watermark)
    }

    fn file(&mut self) -> Vec<u8> {
        let mut file = Vec::new();
        self.store.snapshot().expect("in memory").write_to(&mut file).expect("writes");
        file
    }

    /// How much there is in all states together.
    fn entries(&mut self) -> usize {
        let file = self.file();
        let image = SnapshotImage::read_from(&file[..], None).expect("intact").keyed.expect("keyed");
        let states = image.states.values();
        states.flat_map(|s| s.groups.values().map(|group| group.iter(s.header.kind).count())).sum()
    }
}

fn restored(
    files: &[Vec<u8>],
    range: KeyGroupRange,
    options: WindowOptions,
    watermark: i64,
) -> Subtask<Elements> {
    let read = |file: &Vec<u8>| SnapshotImage::read_from(&file[..], Some(range)).expect("intact").keyed;
    let images = files.iter().filter_map(read).collect();
    let store = Store::restore(max(), range, images).expect("restores");
    Subtask::over(store, options, &elements(), watermark)
}

fn elements() -> Elements {
    ListStateDescriptor::new("elements")
}

#[test]
fn window_operator_emits_the_elements_of_each_key_at_the_end_of_their_window() {
    let mut subtask = Subtask::new(WindowOptions::new(tumbling(10)), &elements());
    for (key, time, element) in [(1, 0, 10), (1, 9, 11), (1, 10, 12), (2, 5, 20), (1, -1, 13)] {
        assert!(subtask.add(key, time, element));
    }
    assert_eq!(subtask.watermark(-1), [(1, -10, 0, vec![13])]);
    assert_eq!(subtask.watermark(8), []);
    let mut emitted = subtask.watermark(9);
    emitted.sort();
    assert_eq!(emitted, [(1, 0, 10, vec![10, 11]), (2, 0, 10, vec![20])]);
    assert_eq!(subtask.watermark(i64::MAX), [(1, 10, 20, vec![12])]);
    assert_eq!(subtask.entries(), 0);
}

/// The mean of what was added.
struct Mean;

impl AggregateFunction for Mean {
    type In = u32;
    type Accumulator = (u64, u64);
    type Out = u64;

    fn create_accumulator(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, value: u32, (sum, count): &mut (u64, u64)) {
        *sum += u64::from(value);
        *count += 1;
    }

    fn result(&self, (sum, count): &(u64, u64)) -> u64 {
        sum / count
    }

    fn merge(&self, (sum, count): &mut (u64, u64), other: (u64, u64)) {
        *sum += other.0;
        *count += other.1;
    }
}

#[test]
fn window_operator_reduces_and_aggregates_as_elements_come() {
    let sliding = WindowAssigner::sliding(Millis(10), Millis(5)).expect("valid");
    let mut sums =
        Subtask::new(WindowOptions::new(sliding), &ReducingStateDescriptor::new("sum", |a: u32, b| a + b));
    let mut means =
        Subtask::new(WindowOptions::new(session(5)), &AggregatingStateDescriptor::new("mean", Mean));
    for (time, element) in [(0, 2), (4, 4), (9, 12), (20, 7)] {
        assert!(sums.add(1, time, element) && means.add(1, time, element));
    }
    assert_eq!(
        sums.watermark(i64::MAX),
        [(1, -5, 5, 6), (1, 0, 10, 18), (1, 5, 15, 12), (1, 15, 25, 7), (1, 20, 30, 7)]
    );
    assert_eq!(means.watermark(i64::MAX), [(1, 0, 14, 6), (1, 20, 25, 7)]);
    assert_eq!((sums.entries(), means.entries()), (0, 0));
}

#[test]
fn window_operator_merges_sessions_that_a_late_element_connects() {
    let options = WindowOptions::new(session(5)).with_allowed_lateness(Millis(10));
    let mut subtask = Subtask::new(options, &elements());
    for (time, element) in [(0, 1), (8, 2), (20, 3)] {
        assert!(subtask.add(7, time, element));
    }
    assert_eq!(subtask.watermark(12), [(7, 0, 5, vec![1]), (7, 8, 13, vec![2])]);
    assert!(subtask.add(7, 4, 4), "the session that it connects has not gone");
    assert_eq!(subtask.emitted, [(7, 0, 13, vec![1, 2, 4])]);
    subtask.emitted.clear();
    // The session goes at 22, not at 14, when the earlier ones would have gone.
    assert_eq!(subtask.watermark(21), []);
    assert!(subtask.add(7, 12, 5));
    assert_eq!(subtask.emitted, [(7, 0, 17, vec![1, 2, 4, 5])]);
    assert_eq!(subtask.watermark(i64::MAX).pop(), Some((7, 20, 25, vec![3])));
    assert_eq!(subtask.entries(), 0);
}

//= spec/window.md#window-7-what-is-too-late-is-given-back
//= type=test
//# An element MUST be added to all of its windows that have not gone, and given back if all of them have gone.
//= spec/window.md#window-8-what-has-gone-leaves-nothing
//= type=test
//# A window that has gone MUST leave neither state nor timers.
#[test]
fn window_operator_gives_back_what_is_too_late_and_keeps_nothing_of_it() {
    let options = WindowOptions::new(tumbling(10)).with_allowed_lateness(Millis(5));
    let mut subtask = Subtask::new(options, &elements());
    assert!(subtask.add(1, 3, 30));
    assert_eq!(subtask.watermark(13), [(1, 0, 10, vec![30])]);
    assert!(subtask.add(1, 4, 40), "its window waits until 14");
    assert_eq!(std::mem::take(&mut subtask.emitted), [(1, 0, 10, vec![30, 40])]);
    assert_eq!(subtask.watermark(14), []);
    assert_eq!(subtask.entries(), 0);
    assert!(!subtask.add(1, 5, 50));
    assert_eq!((subtask.windows.late_elements(), subtask.entries()), (1, 0));

    let sliding = WindowAssigner::sliding(Millis(10), Millis(5)).expect("valid");
    let mut subtask = Subtask::new(WindowOptions::new(sliding), &elements());
    subtask.watermark(9);
    assert!(subtask.add(1, 7, 1), "one of its two windows has not gone");
    assert_eq!(subtask.watermark(20), [(1, 5, 15, vec![1])]);
    let mut sessions = Subtask::new(WindowOptions::new(session(5)), &elements());
    sessions.watermark(9);
    assert!(!sessions.add(1, 5, 1) && sessions.add(1, 6, 2));
    assert_eq!(sessions.windows.late_elements(), 1);
}

#[test]
fn window_operator_gives_back_the_last_instant_with_the_one_before() {
    for time in [i64::MAX - 1, i64::MAX] {
        for assigner in [tumbling(10), session(10)] {
            let mut subtask = Subtask::new(WindowOptions::new(assigner), &elements());
            subtask.watermark(i64::MAX - 1);
            assert!(!subtask.add(1, time, 1), "{time}");
            assert_eq!((subtask.windows.late_elements(), subtask.entries()), (1, 0), "{time}");
        }
    }
}

#[test]
fn window_operator_takes_an_element_between_its_windows_for_nothing() {
    let gaps = WindowAssigner::sliding(Millis(2), Millis(5)).expect("valid");
    let mut subtask = Subtask::new(WindowOptions::new(gaps), &elements());
    assert!(subtask.add(1, 3, 1));
    assert_eq!((subtask.entries(), subtask.windows.late_elements()), (0, 0));
}

#[test]
fn window_operator_fires_by_count_and_forgets_what_it_has_fired() {
    let trigger = Trigger::count(NonZeroU64::new(2).expect("not zero")).purging();
    let options = WindowOptions::new(session(5)).with_trigger(trigger);
    let mut subtask = Subtask::new(options, &elements());
    for (time, element) in [(0, 1), (10, 2), (5, 3)] {
        assert!(subtask.add(1, time, element));
    }
    assert_eq!(std::mem::take(&mut subtask.emitted), [(1, 0, 15, vec![1, 2, 3])], "counts are merged");
    // What is left is the session with its state window and its clean-up timer: neither content nor a count of none.
    assert_eq!(subtask.entries(), 2);
    assert!(subtask.add(1, 6, 4));
    assert_eq!(subtask.watermark(i64::MAX), [], "it does not fire at the end");
    assert_eq!(subtask.entries(), 0);
}

#[test]
fn window_operator_in_processing_time_fires_by_the_clock() {
    let options = WindowOptions::new(tumbling(10).in_processing_time());
    let mut subtask = Subtask::new(options, &elements());
    subtask.watermark(i64::MAX);
    assert!(subtask.add(1, 3, 1) && subtask.add(1, 12, 2));
    assert_eq!(subtask.windows.deadline(), Some(9));
    assert_eq!(subtask.advance(TimeDomain::ProcessingTime, 9), [(1, 0, 10, vec![1])]);
    assert_eq!(subtask.windows.deadline(), Some(19));
    assert_eq!(subtask.advance(TimeDomain::ProcessingTime, 30), [(1, 10, 20, vec![2])]);
    assert_eq!((subtask.windows.deadline(), subtask.entries()), (None, 0));
}

#[test]
fn window_operator_that_waits_until_the_end_of_time_has_no_timer_to_clean_up() {
    let options = WindowOptions::new(tumbling(10)).with_allowed_lateness(Millis(u64::MAX));
    let mut subtask = Subtask::new(options, &elements());
    assert!(subtask.add(1, 5, 1));
    assert_eq!(subtask.entries(), 2, "the element, and the timer at the end of its window");
    assert_eq!(subtask.watermark(i64::MAX - 1), [(1, 0, 10, vec![1])]);
    assert!(subtask.add(1, 5, 2));
    assert_eq!(subtask.emitted, [(1, 0, 10, vec![1, 2])]);
}

#[test]
fn window_operator_in_debug_output_shows_what_came_too_late() {
    let mut subtask = Subtask::new(WindowOptions::new(tumbling(10)), &elements());
    subtask.watermark(9);
    assert!(!subtask.add(1, 5, 1));
    let shown = format!("{:?}", subtask.windows);
    assert!(shown.starts_with("WindowOperator { options: ") && shown.contains("late: 1"), "{shown}");
}

#[test]
fn window_operator_is_opened_again_only_with_what_it_had() {
    let mut store = Store::new(max(), max().all_groups()).expect("valid");
    let options = WindowOptions::new(tumbling(10));
    WindowOperator::open(&mut store, "windows", options, &elements(), 0).expect("opens");
    let sums = ReducingStateDescriptor::new("elements", |a: u32, b| a + b);
    let refused = WindowOperator::open(&mut store, "windows", options, &sums, 0).expect_err("a list");
    assert!(matches!(refused, StateError::TypeMismatch { .. }), "{refused}");
}

/// Types in snapshots go by names that stay when a module is renamed or a compiler names types differently.
#[test]
fn window_operator_states_do_not_depend_on_where_their_types_are_defined() {
    let counting = Trigger::count(NonZeroU64::new(9).expect("positive"));
    let options = WindowOptions::new(session(5)).with_trigger(counting).with_allowed_lateness(Millis(3));
    let mut subtask = Subtask::new(options, &elements());
    assert!(subtask.add(1, 3, 30));
    let file = subtask.file();
    let image = SnapshotImage::read_from(&file[..], None).expect("intact").keyed.expect("keyed");
    let ids = |header: &KeyedStateHeader| {
        let user_key = header.user_key.as_ref().map(|key| key.id.clone());
        (header.name.clone(), header.namespace.id.clone(), user_key, header.value.id.clone())
    };
    let found: Vec<_> = image.states.values().map(|state| ids(&state.header)).collect();
    let expected = |name: &str, namespace: &str, user_key: Option<&str>, value: &str| {
        (name.to_owned(), namespace.to_owned(), user_key.map(str::to_owned), value.to_owned())
    };
    assert_eq!(
        found,
        [
            expected("_timer_state/event_windows", "(i64, TimeWindow)", None, "()"),
            expected("_timer_state/processing_windows", "(i64, TimeWindow)", None, "()"),
            expected("elements", "TimeWindow", None, "u32"),
            expected("windows/counts", "TimeWindow", None, "u64"),
            expected("windows/sessions", "()", Some("TimeWindow"), "TimeWindow"),
        ]
    );
}

/// The rules said once more, without timers or state.
struct Reference {
    assigner: WindowAssigner,
    lateness: Lateness,
    watermark: i64,
    /// Key, window and elements, of windows that have not gone.
    windows: Vec<(u32, TimeWindow, Vec<u32>)>,
}

impl Reference {
    fn add(&mut self, key: u32, time: i64, element: u32, emitted: &mut Emitted<Vec<u32>>) -> bool {
        let mut was_added = false;
        for mut window in self.assigner.assign(time) {
            let mut content = vec![element];
            if self.assigner.is_merging() {
                let touching =
                    |entry: &(u32, TimeWindow, Vec<u32>)| entry.0 == key && entry.1.touches(window);
                let (merged, kept) = self.windows.drain(..).partition::<Vec<_>, _>(touching);
                self.windows = kept;
                for (_, other, elements) in merged {
                    window = window.cover(other);
                    content.extend(elements);
                }
            }
            if self.lateness.is_window_late(window, self.watermark) {
                continue;
            }
            was_added = true;
            match self.windows.iter_mut().find(|entry| (entry.0, entry.1) == (key, window)) {
                Some((_, _, elements)) => elements.push(element),
                None => self.windows.push((key, window, content)),
            }
            if window.max_timestamp() <= self.watermark {
                self.emit(|entry| (entry.0, entry.1) == (key, window), emitted);
            }
        }
        was_added || !self.lateness.is_element_late(time, self.watermark)
    }

    fn advance(&mut self, watermark: i64, emitted: &mut Emitted<Vec<u32>>) {
        let before = std::mem::replace(&mut self.watermark, watermark);
        self.emit(|entry| before < entry.1.max_timestamp() && entry.1.max_timestamp() <= watermark, emitted);
        let lateness = self.lateness;
        self.windows.retain(|entry| !lateness.is_window_late(entry.1, watermark));
    }

    fn emit(&self, fires: impl Fn(&(u32, TimeWindow, Vec<u32>)) -> bool, emitted: &mut Emitted<Vec<u32>>) {
        let firing = self.windows.iter().filter(|entry| fires(entry));
        emitted
            .extend(firing.map(|(key, window, content)| (*key, window.start, window.end, content.clone())));
    }
}

/// In an order that does not depend on that of equal times, or of the elements.
fn ordered(mut emitted: Emitted<Vec<u32>>) -> Emitted<Vec<u32>> {
    emitted.iter_mut().for_each(|(_, _, _, content)| content.sort());
    emitted.sort();
    emitted
}

#[derive(Clone, Debug)]
enum Step {
    /// Key, and time relative to the watermark.
    Add(u32, i64),
    /// By how much.
    Advance(i64),
    Restore(u16),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        10 => (0..12u32, -40..60i64).prop_map(|(key, time)| Step::Add(key, time)),
        3 => (0..30i64).prop_map(Step::Advance),
        1 => (1..=3u16).prop_map(Step::Restore),
    ]
}

fn assigner() -> impl Strategy<Value = WindowAssigner> {
    prop_oneof![
        (1..20u64, 0..20i64).prop_map(|(size, offset)| {
            tumbling(size).with_offset(offset % size as i64).expect("shorter than the size")
        }),
        (1..20u64, 1..20u64)
            .prop_map(|(size, slide)| WindowAssigner::sliding(Millis(size), Millis(slide)).expect("valid")),
        (1..20u64).prop_map(session),
    ]
}

proptest! {
    /// Z23 to Z28: every kind of window, over restores and rescaling, emits what it should and leaves nothing.
    #[test]
    fn window_operator_agrees_with_a_reference_over_restores_and_rescaling(
        assigner in assigner(),
        allowed in prop_oneof![Just(0u64), 1..30u64],
        steps in proptest::collection::vec(step(), 1..120),
    ) {
        let options = WindowOptions::new(assigner).with_allowed_lateness(Millis(allowed));
        let lateness = Lateness::new(TimeDomain::EventTime, Millis(allowed));
        let mut reference = Reference { assigner, lateness, watermark: -50, windows: Vec::new() };
        let mut subtasks = vec![Subtask::new(options, &elements())];
        subtasks[0].watermark(-50);
        for (number, step) in steps.into_iter().chain([Step::Advance(1_000_000)]).enumerate() {
            let (mut expected, mut found) = (Vec::new(), Vec::new());
            let assignment = KeyGroupRangeAssignment::new(max(), subtasks.len() as u16).expect("valid");
            match step {
                Step::Add(key, time) => {
                    let (time, element) = (reference.watermark + time, number as u32);
                    let subtask = &mut subtasks[usize::from(assignment.owner_of_key(&key))];
                    let was_added = subtask.add(key, time, element);
                    prop_assert_eq!(was_added, reference.add(key, time, element, &mut expected));
                    found.append(&mut subtask.emitted);
                }
                Step::Advance(by) => {
                    reference.advance(reference.watermark + by, &mut expected);
                    subtasks.iter_mut().for_each(|s| found.append(&mut s.watermark(reference.watermark)));
                }
                Step::Restore(parallelism) => {
                    let files: Vec<_> = subtasks.iter_mut().map(Subtask::file).collect();
                    let new = KeyGroupRangeAssignment::new(max(), parallelism).expect("valid");
                    let range = |subtask| new.range_of(subtask).expect("exists");
                    let restore = |n| restored(&files, range(n), options, reference.watermark);
                    subtasks = (0..parallelism).map(restore).collect();
                }
            }
            prop_assert_eq!(ordered(found), ordered(expected));
        }
        prop_assert_eq!(subtasks.iter_mut().map(Subtask::entries).sum::<usize>(), 0);
    }
}
