use super::*;
use crate::base::{Millis, TimeDomain};
use quickcheck::quickcheck;
use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

fn window(start: i64, end: i64) -> TimeWindow {
    TimeWindow { start, end }
}

fn assigned(assigner: WindowAssigner, timestamp: i64) -> Vec<(i64, i64)> {
    assigner.assign(timestamp).map(|window| (window.start, window.end)).collect()
}

/// The values of Flink's own tests of its assigners, and what lies before 1970.
#[test]
fn window_tumbling_windows_start_at_multiples_of_their_size() {
    let five_seconds = WindowAssigner::tumbling(Millis(5000)).expect("valid");
    for (timestamp, expected) in
        [(0, (0, 5000)), (4999, (0, 5000)), (5000, (5000, 10_000)), (-1, (-5000, 0)), (-5000, (-5000, 0))]
    {
        assert_eq!(assigned(five_seconds, timestamp), [expected], "{timestamp}");
    }
    let moved = five_seconds.with_offset(100).expect("valid");
    assert_eq!(assigned(moved, 5100), [(5100, 10_100)]);
    assert_eq!(assigned(moved, 99), [(-4900, 100)]);
    let back = five_seconds.with_offset(-100).expect("valid");
    assert_eq!(assigned(back, 0), [(-100, 4900)]);
    assert_eq!(assigned(back, 4900), [(4900, 9900)]);
}

#[test]
fn window_sliding_windows_overlap_or_leave_gaps() {
    let overlapping = WindowAssigner::sliding(Millis(5000), Millis(1000)).expect("valid");
    let latest_first = [(4000, 9000), (3000, 8000), (2000, 7000), (1000, 6000), (0, 5000)];
    assert_eq!(assigned(overlapping, 4999), latest_first);
    assert_eq!(assigned(overlapping, -1).first(), Some(&(-1000, 4000)));
    let with_gaps = WindowAssigner::sliding(Millis(2), Millis(5)).expect("valid");
    assert_eq!(assigned(with_gaps, 11), [(10, 12)]);
    assert_eq!(assigned(with_gaps, 12), []);
    assert_eq!(assigned(with_gaps, -1), []);
    assert_eq!(assigned(with_gaps, -4), [(-5, -3)]);
}

#[test]
fn window_lengths_and_offsets_that_cannot_be_are_refused() {
    let (zero, too_long) = (Millis(0), Millis(i64::MAX as u64 + 1));
    assert!(matches!(WindowAssigner::tumbling(zero), Err(WindowError::Length { what: "size", .. })));
    assert!(matches!(
        WindowAssigner::sliding(Millis(1), zero),
        Err(WindowError::Length { what: "slide", .. })
    ));
    assert!(matches!(WindowAssigner::session(too_long), Err(WindowError::Length { what: "gap", .. })));
    let sliding = WindowAssigner::sliding(Millis(5000), Millis(1000)).expect("valid");
    for offset in [1000, -1000, i64::MIN, i64::MAX] {
        assert_eq!(sliding.with_offset(offset), Err(WindowError::Offset { offset, slide: 1000 }));
    }
    assert!(sliding.with_offset(-999).is_ok());
}

#[test]
fn window_slides_that_give_an_element_too_many_windows_are_refused() {
    let day = Millis(24 * 60 * 60 * 1_000);
    let most = WindowAssigner::sliding(day, Millis(864)).expect("as many as there may be");
    assert_eq!(most.assign(day.0 as i64).count() as u64, MAX_WINDOWS_OF_ELEMENT);
    let refused = WindowAssigner::sliding(day, Millis(863)).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "windows of 86400000 ms that slide by 863 ms give each element more than 100000 windows; let them slide by 864 ms \
         or more"
    );
    // Some elements would belong to one more.
    for (size, slide) in [(day.0 + 1, 864), (i64::MAX as u64, 1)] {
        let refused = WindowAssigner::sliding(Millis(size), Millis(slide));
        assert!(matches!(refused, Err(WindowError::TooMany { .. })), "{refused:?}");
    }
}

#[test]
fn window_contains_its_start_and_not_its_end() {
    let window = window(-5, 10);
    let inside: Vec<_> = (-7..13).filter(|timestamp| window.contains(*timestamp)).collect();
    assert_eq!(inside, (-5..10).collect::<Vec<_>>());
    assert_eq!((window.max_timestamp(), window.to_string().as_str()), (9, "[-5, 10)"));
}

/// No window could end behind it, so it would be alone in a window that holds nothing.
#[test]
fn window_last_instant_counts_to_the_windows_of_the_one_before() {
    let assigners = [
        WindowAssigner::tumbling(Millis(1)),
        WindowAssigner::sliding(Millis(10), Millis(1)),
        WindowAssigner::session(Millis(5)),
    ];
    for assigner in assigners.map(|assigner| assigner.expect("valid")) {
        assert_eq!(assigned(assigner, i64::MAX), assigned(assigner, i64::MAX - 1));
        assert_eq!(assigned(assigner, i64::MAX).first(), Some(&(i64::MAX - 1, i64::MAX)));
    }
}

#[test]
fn window_assigners_know_their_time_and_whether_they_merge() {
    let session = WindowAssigner::session(Millis(10)).expect("valid");
    assert_eq!(assigned(session.with_offset(5).expect("it means nothing here"), 7), [(7, 17)]);
    assert!(session.is_merging() && !WindowAssigner::tumbling(Millis(10)).expect("valid").is_merging());
    assert_eq!(session.domain(), TimeDomain::EventTime);
    assert_eq!(session.in_processing_time().domain(), TimeDomain::ProcessingTime);
}

/// Flink's rule, in numbers that cannot overflow: the starts of the windows that contain the timestamp.
fn starts(size: i64, slide: i64, offset: i64, timestamp: i64) -> Vec<i128> {
    let (size, slide, timestamp) = (i128::from(size), i128::from(slide), i128::from(timestamp));
    let last = timestamp - (timestamp - i128::from(offset)).rem_euclid(slide);
    successors_down(last, slide).take_while(|start| timestamp < start + size).collect()
}

fn successors_down(last: i128, slide: i128) -> impl Iterator<Item = i128> {
    std::iter::successors(Some(last), move |start| Some(start - slide))
}

fn cut(time: i128) -> i64 {
    time.clamp(i64::MIN.into(), i64::MAX.into()) as i64
}

quickcheck! {
    //= spec/window.md#window-1-windows-lie-on-a-grid
    //= type=test
    //# The starts of tumbling and sliding windows MUST differ from the offset by multiples of the slide, also before 1970.
    //= spec/window.md#window-2-an-element-belongs-to-the-windows-that-contain-it
    //= type=test
    //# An element MUST be assigned to exactly those windows of the grid that contain its timestamp.
    fn window_assigned_windows_are_those_of_the_grid_that_contain_the_element(
        timestamp: i64, size: u32, slide: u32, offset: i64
    ) -> bool {
        let slide = i64::from(slide) + 1;
        let size = i64::from(size) % (slide.saturating_mul(50)) + 1;
        let offset = offset % slide;
        let assigner = WindowAssigner::sliding(Millis(size as u64), Millis(slide as u64))
            .and_then(|assigner| assigner.with_offset(offset)).expect("valid");
        [timestamp.min(i64::MAX - 1), timestamp % 100_000, i64::MIN, i64::MAX - 1].into_iter().all(|timestamp| {
            let expected = starts(size, slide, offset, timestamp).into_iter()
                .map(|start| window(cut(start), cut(start + i128::from(size))));
            assigner.assign(timestamp).eq(expected)
                && assigner.assign(timestamp).all(|window| window.contains(timestamp))
        })
    }

    fn window_of_the_largest_size_contains_every_element(timestamp: i64, offset: i64) -> bool {
        let (size, timestamp) = (Millis(i64::MAX as u64), timestamp.min(i64::MAX - 1));
        let offset = offset % i64::MAX;
        let assigners = [
            WindowAssigner::tumbling(size).and_then(|assigner| assigner.with_offset(offset)).expect("valid"),
            WindowAssigner::session(size).expect("valid"),
        ];
        assigners.into_iter().all(|assigner| {
            let windows: Vec<_> = assigner.assign(timestamp).collect();
            windows.len() == 1 && windows[0].contains(timestamp)
        })
    }

    fn window_cover_is_the_smallest_that_contains_both(a: (i64, i64), b: (i64, i64)) -> bool {
        let window = |(one, other): (i64, i64)| window(one.min(other), one.max(other));
        let (a, b) = (window(a), window(b));
        let cover = a.cover(b);
        cover == b.cover(a) && cover.start == a.start.min(b.start) && cover.end == a.end.max(b.end)
            && a.touches(b) == b.touches(a) && a.touches(cover) && b.touches(cover)
    }

    fn window_cleanup_never_comes_before_the_end_of_its_window(end: i64, allowed: u64, watermark: i64) -> bool {
        [TimeDomain::EventTime, TimeDomain::ProcessingTime].into_iter().all(|domain| {
            let lateness = Lateness::new(domain, Millis(allowed));
            let window = window(end.saturating_sub(10), end);
            let expected = i128::from(window.max_timestamp()) + i128::from(allowed);
            let late = lateness.is_window_late(window, watermark);
            match domain {
                TimeDomain::EventTime => lateness.cleanup_time(window) == cut(expected)
                    && late == (cut(expected) <= watermark)
                    && late == lateness.is_element_late(window.max_timestamp(), watermark),
                TimeDomain::ProcessingTime => lateness.cleanup_time(window) == window.max_timestamp() && !late,
            }
        })
    }

    //= spec/window.md#window-3-sessions-that-touch-are-one
    //= type=test
    //# Session windows of one key that overlap or touch MUST be merged into the window that covers them.
    //= spec/window.md#window-4-the-state-of-a-session-stays-where-it-was-first-written
    //= type=test
    //# A session that grows MUST keep the state window of the earliest session that it is made of.
    fn window_sessions_are_the_connected_stretches_whatever_the_order(elements: Vec<(i8, u8)>) -> bool {
        let windows: Vec<_> = elements.iter()
            .map(|(start, gap)| window(i64::from(*start), i64::from(*start) + i64::from(*gap % 16) + 1)).collect();
        let mut set = MergingWindowSet::default();
        let mut content: BTreeMap<TimeWindow, Vec<TimeWindow>> = BTreeMap::new();
        for window in &windows {
            add(&mut set, &mut content, *window);
        }
        let sessions: Vec<_> = set.iter().map(|(session, _)| session).collect();
        let kept = set.iter().all(|(session, state)| {
            let mut expected: Vec<_> =
                windows.iter().copied().filter(|window| window.touches(session)).collect();
            expected.sort();
            let mut found = content.remove(&state).unwrap_or_default();
            found.sort();
            found == expected && state.start >= session.start && state.end <= session.end
        });
        sessions == stretches(&windows) && kept && content.is_empty()
            && set.iter().collect::<MergingWindowSet>() == set
    }
}

/// What an operator does with the answer of the set; the content of a state window are the windows added to it.
fn add(
    set: &mut MergingWindowSet,
    content: &mut BTreeMap<TimeWindow, Vec<TimeWindow>>,
    window: TimeWindow,
) -> Added {
    let before: BTreeMap<_, _> = set.iter().collect();
    let added = set.add(window);
    let earliest = before.iter().find(|(session, _)| session.touches(window)).map(|(_, state)| *state);
    assert_eq!(added.state_window, earliest.unwrap_or(window));
    assert_eq!(added.is_new, !before.contains_key(&added.session));
    let mut merged: Vec<_> = added.merged.iter().flat_map(|state| content.remove(state).unwrap()).collect();
    let target = content.entry(added.state_window).or_default();
    target.append(&mut merged);
    target.push(window);
    assert!(added.replaced.iter().all(|replaced| set.state_window(*replaced).is_none()));
    assert_eq!(set.state_window(added.session), Some(added.state_window));
    added
}

/// The stretches of time that the windows cover without a gap, found by sorting.
fn stretches(windows: &[TimeWindow]) -> Vec<TimeWindow> {
    let mut found: Vec<TimeWindow> = Vec::new();
    for window in windows.iter().collect::<BTreeSet<_>>() {
        match found.last_mut() {
            Some(last) if last.end >= window.start => last.end = last.end.max(window.end),
            _ => found.push(*window),
        }
    }
    found
}

#[test]
fn window_added_to_sessions_says_what_is_merged_into_what() {
    let mut set = MergingWindowSet::default();
    let nothing = Vec::new();
    let alone = |session, is_new| Added {
        session,
        state_window: session,
        is_new,
        replaced: nothing.clone(),
        merged: nothing.clone(),
    };
    assert_eq!(set.add(window(0, 3)), alone(window(0, 3), true));
    assert_eq!(set.add(window(5, 8)), alone(window(5, 8), true));
    assert_eq!(set.add(window(20, 23)), alone(window(20, 23), true));
    assert_eq!(
        set.add(window(1, 2)),
        alone(window(0, 3), false),
        "what lies within a session does not change the session"
    );
    let connecting = Added {
        session: window(0, 8),
        state_window: window(0, 3),
        is_new: true,
        replaced: vec![window(0, 3), window(5, 8)],
        merged: vec![window(5, 8)],
    };
    assert_eq!(set.add(window(3, 5)), connecting, "windows that only touch are one session");
    let earlier = Added {
        session: window(-2, 8),
        state_window: window(0, 3),
        is_new: true,
        replaced: vec![window(0, 8)],
        merged: nothing,
    };
    assert_eq!(set.add(window(-2, 1)), earlier);
    assert_eq!(set.retire(window(-2, 8)), Some(window(0, 3)));
    assert_eq!((set.retire(window(-2, 8)), set.iter().count()), (None, 1));
}

#[test]
fn window_trigger_at_the_end_waits_for_its_time_and_fires_late_elements_at_once() {
    let (window, mut count) = (window(0, 10), 0);
    let trigger = Trigger::event_time();
    let timer = Some((TimeDomain::EventTime, 9));
    let waits = OnElement { result: TriggerResult::Continue, timer };
    assert_eq!(trigger.on_element(window, 8, &mut count), waits);
    assert_eq!(trigger.timer(window), timer);
    assert_eq!(trigger.on_timer(window, TimeDomain::EventTime, 9), TriggerResult::Fire);
    assert_eq!(trigger.on_timer(window, TimeDomain::EventTime, 19), TriggerResult::Continue);
    assert_eq!(trigger.on_timer(window, TimeDomain::ProcessingTime, 9), TriggerResult::Continue);
    //= spec/window.md#window-5-a-late-element-fires-its-window-again
    //= type=test
    //# An element for a window whose end the watermark has passed MUST fire that window at once unless it has gone.
    let late = trigger.on_element(window, 9, &mut count);
    assert_eq!(late, OnElement { result: TriggerResult::Fire, timer: None });
    assert_eq!(count, 0);

    let session = WindowAssigner::session(Millis(10)).expect("valid").in_processing_time();
    let trigger = Trigger::default_for(session);
    assert_eq!(trigger, Trigger::processing_time());
    let waits = trigger.on_element(window, i64::MAX, &mut count);
    assert_eq!(waits.timer, Some((TimeDomain::ProcessingTime, 9)));
    assert!(trigger.on_timer(window, TimeDomain::ProcessingTime, 9).is_fire());
}

#[test]
fn window_trigger_by_count_fires_after_so_many_elements_and_starts_again() {
    let (window, mut count) = (window(0, 10), 0);
    let trigger = Trigger::count(NonZeroU64::new(3).expect("not zero")).purging();
    let results: Vec<_> =
        (0..7).map(|_| trigger.on_element(window, i64::MAX, &mut count).result.is_purge()).collect();
    assert_eq!(results, [false, false, true, false, false, true, false]);
    assert_eq!((count, trigger.is_counting(), trigger.timer(window)), (1, true, None));
    // Merged windows may have more than enough together; the next element fires them.
    count = 5;
    assert_eq!(trigger.on_element(window, i64::MIN, &mut count).result, TriggerResult::FireAndPurge);
    assert_eq!(count, 0);
    assert_eq!(trigger.on_timer(window, TimeDomain::EventTime, 9), TriggerResult::Continue);
}

#[test]
fn window_trigger_counts_only_where_it_fires_by_count() {
    let count = Trigger::count(NonZeroU64::MIN);
    let counting = [Trigger::event_time(), Trigger::processing_time(), count].map(Trigger::is_counting);
    assert_eq!(counting, [false, false, true]);
}

#[test]
fn window_trigger_results_say_what_happens_to_the_content() {
    let results = [TriggerResult::Continue, TriggerResult::Fire, TriggerResult::FireAndPurge];
    let said = results.map(|result| (result.is_fire(), result.is_purge()));
    assert_eq!(said, [(false, false), (true, false), (true, true)]);
}

//= spec/window.md#window-6-a-window-has-gone-at-its-clean-up-time
//= type=test
//# A window MUST be late from the moment at which the watermark reaches its last timestamp plus the allowed lateness.
#[test]
fn window_is_late_from_its_cleanup_time_on() {
    let lateness = Lateness::new(TimeDomain::EventTime, Millis(5));
    assert_eq!(lateness.cleanup_time(window(0, 10)), 14);
    assert!(!lateness.is_window_late(window(0, 10), 13));
    assert!(lateness.is_window_late(window(0, 10), 14));
    assert_eq!(Lateness::new(TimeDomain::EventTime, Millis(u64::MAX)).cleanup_time(window(0, 10)), i64::MAX);
}
