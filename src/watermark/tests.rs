use super::*;
use crate::base::Millis;
use proptest::prelude::*;

const A: Channel = Channel(0);
const B: Channel = Channel(1);

//= spec/watermark.md#watermark-2-event-time-is-that-of-the-slowest-channel
//= type=test
//# The event time of a gate MUST be the lowest watermark of its channels.
#[test]
fn watermark_event_time_is_that_of_the_slowest_channel() {
    let mut gate = GateWatermarks::new(2, EventTime::MIN);
    assert_eq!(gate.arrived(A, EventTime(5)), Ok(None));
    assert_eq!(gate.arrived(B, EventTime(3)), Ok(Some(EventTime(3))));
    assert_eq!(gate.arrived(B, EventTime(9)), Ok(Some(EventTime(5))));
    assert_eq!(gate.arrived(B, EventTime(10)), Ok(None));
    assert_eq!(gate.current(), EventTime(5));
}

//= spec/watermark.md#watermark-1-the-watermark-of-a-channel-never-goes-back
//= type=test
//# A watermark that is not higher than all that its channel has delivered MUST change nothing.
#[test]
fn watermark_that_goes_back_changes_nothing() {
    let mut gate = GateWatermarks::new(1, EventTime::MIN);
    gate.arrived(A, EventTime(5)).unwrap();
    let before = gate.clone();
    for time in [5, 4, i64::MIN] {
        assert_eq!(gate.arrived(A, EventTime(time)), Ok(None));
    }
    assert_eq!(gate, before);
}

//= spec/watermark.md#watermark-3-a-channel-without-data-holds-nothing-back
//= type=test
//# The end of the data of a channel MUST count as the highest of all watermarks.
#[test]
fn watermark_channel_that_has_ended_holds_nothing_back() {
    let mut gate = GateWatermarks::new(2, EventTime::MIN);
    gate.arrived(A, EventTime(5)).unwrap();
    assert_eq!(gate.ended(B), Ok(Some(EventTime(5))));
    assert_eq!(gate.arrived(A, EventTime(7)), Ok(Some(EventTime(7))));
    assert_eq!(gate.ended(A), Ok(Some(EventTime::MAX)));
    assert_eq!(gate.ended(A), Ok(None));
}

//= spec/watermark.md#watermark-4-event-time-goes-on-where-the-snapshot-was-taken
//= type=test
//# The event time of a gate MUST begin at that of the snapshot from which its subtask was restored.
#[test]
fn watermark_below_the_restored_one_changes_nothing() {
    let mut gate = GateWatermarks::new(2, EventTime(5));
    assert_eq!(gate.current(), EventTime(5));
    assert_eq!((gate.arrived(A, EventTime(3)), gate.arrived(B, EventTime(4))), (Ok(None), Ok(None)));
    assert_eq!(
        (gate.arrived(A, EventTime(7)), gate.arrived(B, EventTime(6))),
        (Ok(None), Ok(Some(EventTime(6))))
    );
}

#[test]
fn watermark_of_an_unknown_channel_is_misuse_and_changes_nothing() {
    let mut gate = GateWatermarks::new(1, EventTime(0));
    assert!(gate.arrived(B, EventTime(3)).is_err() && gate.ended(B).is_err());
    assert_eq!(gate, GateWatermarks::new(1, EventTime(0)));
}

#[test]
fn watermark_event_time_that_is_not_the_lowest_is_a_violation() {
    for current in [EventTime(2), EventTime(4)] {
        let gate = GateWatermarks { channels: vec![EventTime(5), EventTime(3)], current };
        assert!(gate.check().is_err(), "{gate:?}");
    }
}

//= spec/watermark.md#watermark-5-no-record-within-the-bound-is-late
//= type=test
//# The watermark of a strategy of bounded out-of-orderness MUST be one millisecond and the bound before the
//# newest event time.
#[test]
fn watermark_is_generated_behind_the_newest_event_time() {
    let mut monotonous = WatermarkStrategy::for_monotonous_timestamps().generator();
    let mut bounded = WatermarkStrategy::for_bounded_out_of_orderness(Millis(10)).generator();
    assert_eq!(monotonous.watermark(), EventTime::MIN);
    for time in [100, 95, 103, 101] {
        monotonous.on_event(EventTime(time));
        bounded.on_event(EventTime(time));
    }
    assert_eq!((monotonous.watermark(), bounded.watermark()), (EventTime(102), EventTime(92)));
    bounded.on_event(EventTime(i64::MIN));
    assert_eq!(bounded.watermark(), EventTime(92));
    let mut earliest = WatermarkStrategy::for_bounded_out_of_orderness(Millis(u64::MAX)).generator();
    earliest.on_event(EventTime(-1));
    assert_eq!(earliest.watermark(), EventTime::MIN);
}

proptest! {
    #[test]
    fn watermark_random_gate_agrees_with_the_minimum_of_what_it_was_told(
        restored in -3_i64..6,
        events in prop::collection::vec((0_u16..3, prop::option::of(-5_i64..15)), 0..60),
    ) {
        let restored = EventTime(restored);
        let mut gate = GateWatermarks::new(3, restored);
        let mut told = [restored; 3];
        for (channel, watermark) in events {
            let before = gate.current();
            let advanced = match watermark {
                Some(time) => gate.arrived(Channel(channel), EventTime(time)),
                None => gate.ended(Channel(channel)),
            };
            let known = &mut told[usize::from(channel)];
            *known = (*known).max(watermark.map_or(EventTime::MAX, EventTime));
            let lowest = told.into_iter().min().unwrap();
            prop_assert_eq!(advanced, Ok((lowest > before).then_some(lowest)));
            prop_assert_eq!(gate.current(), lowest);
            prop_assert_eq!(gate.check(), Ok(()));
        }
    }
}
