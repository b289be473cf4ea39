use super::*;
use crate::base::{Millis, TimeDomain};
use quickcheck::quickcheck;
use std::borrow::Cow;

fn ttl(millis: u64) -> TimeToLive {
    TimeToLive::new(Millis(millis)).unwrap()
}

fn every(millis: u64) -> Vec<StateTtlConfig> {
    let of = |update, visibility| {
        let config = StateTtlConfig::new(Millis(millis)).unwrap();
        config.with_update_type(update).with_state_visibility(visibility)
    };
    let updates = [UpdateType::OnCreateAndWrite, UpdateType::OnReadAndWrite];
    let visibilities = [StateVisibility::NeverReturnExpired, StateVisibility::ReturnExpiredIfNotCleanedUp];
    updates.iter().flat_map(|update| visibilities.map(|visibility| of(*update, visibility))).collect()
}

fn config(update: UpdateType, visibility: StateVisibility) -> StateTtlConfig {
    StateTtlConfig::new(Millis(10)).unwrap().with_update_type(update).with_state_visibility(visibility)
}

//= spec/ttl.md#ttl-1-a-time-to-live-is-positive
//= type=test
//# A time to live MUST be at least 1 and at most 2^63 - 1 milliseconds.
#[test]
fn ttl_of_nothing_and_of_more_than_all_time_is_refused() {
    let longest = i64::MAX.unsigned_abs();
    for millis in [0, longest + 1, u64::MAX] {
        let refused = StateTtlConfig::new(Millis(millis));
        assert_eq!(refused, Err(TtlError::TimeToLive(Millis(millis))));
        let told = refused.unwrap_err().to_string();
        assert!(told.contains(&format!("{millis} ms")) && told.contains("from 1 to"), "{told}");
    }
    for millis in [1, longest] {
        assert_eq!(ttl(millis).length(), Millis(millis));
    }
}

//= spec/ttl.md#ttl-2-the-time-of-expiry
//= type=test
//# The time of expiry MUST be the time of the last update plus the time to live, and the end of time if that would be later.
#[test]
fn ttl_that_goes_past_the_end_of_time_ends_there() {
    let longest = i64::MAX.unsigned_abs();
    assert_eq!(ttl(10).expiry(5), 15);
    assert_eq!(ttl(10).expiry(-20), -10);
    assert_eq!(ttl(10).expiry(i64::MAX - 10), i64::MAX);
    assert_eq!(ttl(10).expiry(i64::MAX - 9), i64::MAX);
    assert_eq!(ttl(longest).expiry(1), i64::MAX);
    assert_eq!(ttl(longest).expiry(0), i64::MAX);
    assert_eq!(ttl(longest).expiry(-1), i64::MAX - 1);
    assert_eq!(ttl(longest).expiry(i64::MIN), -1);
}

//= spec/ttl.md#ttl-3-the-instant-of-expiry
//= type=test
//# A value MUST be expired exactly when its time of expiry is not later than the present.
#[test]
fn ttl_value_is_last_seen_a_millisecond_before_its_expiry() {
    for updated in [i64::MIN, -5, 0, 5, i64::MAX - 20] {
        assert!(!ttl(10).is_expired(updated, updated + 9));
        assert!(ttl(10).is_expired(updated, updated + 10));
        assert!(ttl(10).is_expired(updated, i64::MAX));
        assert!(!ttl(10).is_expired(updated, i64::MIN), "the clock has gone back");
    }
    assert!(ttl(10).is_expired(i64::MAX, i64::MAX), "written at the end of time");
    assert!(!ttl(10).is_expired(i64::MAX, i64::MAX - 1));
}

//= spec/ttl.md#ttl-4-what-is-never-returned
//= type=test
//# Under `NeverReturnExpired` an expired value MUST NOT be visible.
//= spec/ttl.md#ttl-5-what-may-be-returned
//= type=test
//# Under `ReturnExpiredIfNotCleanedUp` an expired value that is still there MUST be visible.
#[test]
fn ttl_of_an_expired_value_that_is_visible() {
    for config in every(10) {
        let lenient = config.state_visibility() == StateVisibility::ReturnExpiredIfNotCleanedUp;
        assert!(config.is_visible(0, 9));
        assert_eq!(config.is_visible(0, 10), lenient);
    }
}

//= spec/ttl.md#ttl-6-a-read-removes-what-has-expired
//= type=test
//# A read of a cell that has expired MUST remove it.
//= spec/ttl.md#ttl-7-a-read-that-refreshes
//= type=test
//# Under `OnReadAndWrite` a read of a cell that has not expired MUST make the present its time, even if the clock has gone back.
#[test]
fn ttl_of_a_cell_that_is_read_in_every_situation() {
    use CellRead::{Keep, LastTime, Refresh, Remove};
    use StateVisibility::{NeverReturnExpired, ReturnExpiredIfNotCleanedUp};
    use UpdateType::{OnCreateAndWrite, OnReadAndWrite};
    for (update, visibility, alive, expired) in [
        (OnCreateAndWrite, NeverReturnExpired, Keep, Remove),
        (OnCreateAndWrite, ReturnExpiredIfNotCleanedUp, Keep, LastTime),
        (OnReadAndWrite, NeverReturnExpired, Refresh, Remove),
        (OnReadAndWrite, ReturnExpiredIfNotCleanedUp, Refresh, LastTime),
    ] {
        let config = config(update, visibility);
        for now in [i64::MIN, -1, 0, 9] {
            assert_eq!(config.read_cell(0, now), alive, "{config:?} at {now}");
        }
        for now in [10, 11, i64::MAX] {
            assert_eq!(config.read_cell(0, now), expired, "{config:?} at {now}");
        }
    }
}

//= spec/ttl.md#ttl-8-a-list-without-a-live-element
//= type=test
//# A read of a list of which every element has expired MUST remove it.
//= spec/ttl.md#ttl-9-a-list-that-is-refreshed
//= type=test
//# Under `OnReadAndWrite` a read of a list with a live element MUST keep its live elements alone and make the present their time.
#[test]
fn ttl_of_a_list_that_is_read_in_every_situation() {
    for config in every(10) {
        let with_a_live_one = match config.update_type() {
            UpdateType::OnCreateAndWrite => ListRead::Keep,
            UpdateType::OnReadAndWrite => ListRead::Refresh,
        };
        for (updated, expected) in [
            (&[0][..], ListRead::Remove),
            (&[0, -7, 1], ListRead::Remove),
            (&[2], with_a_live_one),
            (&[0, 2], with_a_live_one),
            (&[2, 0], with_a_live_one),
        ] {
            assert_eq!(config.read_list(updated.iter().copied(), 11), expected, "{config:?} {updated:?}");
        }
    }
}

//= spec/ttl.md#ttl-10-an-addition-builds-on-what-is-visible
//= type=test
//# An addition MUST build on the value that is there exactly if that is visible.
#[test]
fn ttl_of_a_value_that_is_added_to() {
    for config in every(10) {
        for now in [0, 9, 10, 11] {
            assert_eq!(config.builds_on(0, now), config.is_visible(0, now));
        }
    }
}

//= spec/ttl.md#ttl-15-merging
//= type=test
//# A merge MUST combine the values that are visible, and make the present the time of what several became.
#[test]
fn ttl_of_a_value_that_is_merged_in_every_situation() {
    use CellMerge::{Combine, Drop, Move};
    for config in every(10) {
        let lenient = config.state_visibility() == StateVisibility::ReturnExpiredIfNotCleanedUp;
        for (there, moved, strict, all) in [
            (None, 2, Move, Move),
            (None, 1, Drop, Move),
            (Some(2), 2, Combine, Combine),
            (Some(1), 2, Move, Combine),
            (Some(2), 1, Drop, Combine),
            (Some(1), 1, Drop, Combine),
        ] {
            let expected = if lenient { all } else { strict };
            assert_eq!(config.merge_cell(there, moved, 11), expected, "{config:?} {there:?} {moved}");
        }
    }
}

/// TTL-13: what was written with its time keeps it.
#[test]
fn ttl_of_a_value_that_is_restored_without_its_time_begins_then() {
    assert_eq!(Stamped::restored(None, 'v', 5), Stamped { updated: 5, value: 'v' });
    assert_eq!(Stamped::restored(Some(3), 'v', 5), Stamped { updated: 3, value: 'v' });
}

//= spec/ttl.md#ttl-11-clean-up-removes-what-has-expired
//= type=test
//# Clean-up MUST remove a value that it looks at exactly if that has expired.
#[test]
fn ttl_clean_up_looks_at_expiry_alone() {
    for config in every(10) {
        assert!(!config.is_cleaned_up(0, 9));
        assert!(config.is_cleaned_up(0, 10));
    }
}

#[test]
fn ttl_configuration_by_default_is_that_of_flink() {
    let config = StateTtlConfig::new(Millis(1)).unwrap();
    assert_eq!(config.update_type(), UpdateType::OnCreateAndWrite);
    assert_eq!(config.state_visibility(), StateVisibility::NeverReturnExpired);
    assert_eq!(config.time_domain(), TimeDomain::ProcessingTime);
    // V21: background clean-up has defaults for each kind of backend, and snapshots are whole.
    assert!(!config.cleanup().in_full_snapshots);
    let incremental = config.cleanup().incremental.unwrap();
    assert_eq!((incremental.entries_per_access.get(), incremental.for_every_record), (5, false));
    assert_eq!(config.cleanup().compaction_query_after_entries.unwrap().get(), 1_000);
}

#[test]
fn ttl_configuration_without_clean_up_in_the_background_has_none() {
    let config = StateTtlConfig::new(Millis(1)).unwrap().cleanup_full_snapshot();
    let config = config.cleanup_incrementally(7, true).unwrap().cleanup_in_compaction(9).unwrap();
    assert_eq!(config.cleanup().incremental.unwrap().entries_per_access.get(), 7);
    assert!(config.cleanup().incremental.unwrap().for_every_record);
    assert_eq!(config.cleanup().compaction_query_after_entries.unwrap().get(), 9);
    let foreground = config.disable_cleanup_in_background();
    let expected = CleanupStrategies { in_full_snapshots: true, ..CleanupStrategies::NONE };
    assert_eq!(*foreground.cleanup(), expected);
}

#[test]
fn ttl_configuration_of_a_clean_up_of_nothing_is_refused() {
    let config = StateTtlConfig::new(Millis(1)).unwrap();
    assert_eq!(config.cleanup_incrementally(0, false), Err(TtlError::CleanupSize));
    assert_eq!(config.cleanup_in_compaction(0), Err(TtlError::CleanupSize));
}

/// The bytes are part of the format of state files.
#[test]
fn ttl_time_stands_in_front_of_the_value() {
    for (updated, bytes) in
        [(0x0102_0304_0506_0708, [1, 2, 3, 4, 5, 6, 7, 8]), (-2, [255, 255, 255, 255, 255, 255, 255, 254])]
    {
        assert_eq!(Stamped::<u8>::time_bytes(updated), bytes);
        let stamped = [&bytes[..], &[7, 9]].concat();
        assert_eq!(split_time(&stamped), Some((updated, &[7, 9][..])));
        assert_eq!(split_time(&bytes), Some((updated, &[][..])));
        assert_eq!(split_time(&bytes[1..]), None);
    }
}

#[test]
fn ttl_configuration_goes_by_the_clock_that_it_is_given() {
    let config = StateTtlConfig::new(Millis(1)).unwrap();
    for domain in [TimeDomain::EventTime, TimeDomain::ProcessingTime] {
        assert_eq!(config.with_time_domain(domain).time_domain(), domain);
    }
}

/// A value that was updated at `updated`, as it is written.
fn written(updated: i64, value: &[u8]) -> Vec<u8> {
    [&Stamped::<u8>::time_bytes(updated), value].concat()
}

/// Elements with a byte in front that says how long they are.
fn list_of(updated: &[i64]) -> Vec<u8> {
    let element = |updated: &i64| {
        let element = written(*updated, &vec![7; updated.unsigned_abs() as usize % 3]);
        [&[element.len() as u8], &element[..]].concat()
    };
    updated.iter().flat_map(element).collect()
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (length, rest) = bytes.split_first()?;
    let (element, rest) = rest.split_at_checked(usize::from(*length))?;
    *bytes = rest;
    Some(element)
}

//= spec/ttl.md#ttl-18-compaction-of-a-value
//= type=test
//# A compaction MUST remove a value exactly if clean-up would.
#[test]
fn ttl_compaction_removes_a_value_that_has_expired() {
    for config in every(10) {
        for value in [&[][..], &[1, 2]] {
            let bytes = written(5, value);
            for now in [i64::MIN, 5, 14] {
                assert_eq!(config.compact_value(&bytes, now), Compacted::kept(&bytes), "at {now}");
            }
            for now in [15, i64::MAX] {
                assert_eq!(
                    config.compact_value(&bytes, now),
                    Compacted { expired: 1, left: None },
                    "at {now}"
                );
            }
        }
        let damaged = &written(5, &[])[..7];
        assert_eq!(config.compact_value(damaged, 100), Compacted::kept(damaged), "what is no value stays");
    }
}

//= spec/ttl.md#ttl-19-compaction-of-a-list
//= type=test
//# A compaction MUST leave those elements of a list, in their order, that clean-up would not remove.
#[test]
fn ttl_compaction_leaves_the_elements_that_live() {
    for config in every(10) {
        for (updated, left, copied) in [
            (&[][..], &[][..], false),
            (&[5, 7, 6], &[5, 7, 6], false),
            // What was added first expires first, so this is what mostly happens: the rest stands in one piece.
            (&[0, 1, 5, 6], &[5, 6], false),
            (&[5, 6, 0], &[5, 6], false),
            (&[0, 5, 6, 1, 2], &[5, 6], false),
            (&[5, 0, 6], &[5, 6], true),
            (&[0, 5, 1, 6, 2, 7], &[5, 6, 7], true),
        ] {
            let (list, expected) = (list_of(updated), list_of(left));
            let compacted = config.compact_list(&list, 12, take);
            assert_eq!(compacted.expired, updated.len() - left.len(), "{updated:?}");
            assert_eq!(compacted.left.as_deref(), Some(&expected[..]), "{updated:?}");
            assert_eq!(matches!(compacted.left, Some(Cow::Owned(_))), copied, "{updated:?}");
        }
        let list = list_of(&[0, 2, 1]);
        assert_eq!(config.compact_list(&list, 12, take), Compacted { expired: 3, left: None });
        let damaged = &list[..list.len() - 1];
        assert_eq!(config.compact_list(damaged, 12, take), Compacted::kept(damaged), "what is no list stays");
    }
}

//= spec/ttl.md#ttl-20-the-present-of-a-compaction
//= type=test
//# A compaction MUST ask for the present before its first entry, and again after as many as its state says.
#[test]
fn ttl_compaction_asks_for_the_time_as_often_as_it_is_told() {
    let config = StateTtlConfig::new(Millis(1)).unwrap();
    assert!(CompactionClock::new(&config.disable_cleanup_in_background()).is_none());
    for (entries, expected) in [(1, [100, 101, 102, 103, 104, 105]), (3, [100, 100, 100, 103, 103, 103])] {
        let mut clock = CompactionClock::new(&config.cleanup_in_compaction(entries).unwrap()).unwrap();
        let seen: Vec<_> = (100..106).map(|now| clock.now(|| now)).collect();
        assert_eq!(seen, expected, "every {entries}");
    }
}

quickcheck! {
    /// What is left of a list is what is left of each of its elements.
    fn ttl_compaction_of_a_list_is_that_of_its_elements(updated: Vec<i8>, now: i8) -> bool {
        let (updated, now) = (updated.into_iter().map(i64::from).collect::<Vec<_>>(), i64::from(now));
        let config = StateTtlConfig::new(Millis(10)).unwrap();
        let live: Vec<_> = updated.iter().copied().filter(|updated| !config.is_cleaned_up(*updated, now)).collect();
        let list = list_of(&updated);
        let compacted = config.compact_list(&list, now, take);
        let left = compacted.left.map(Cow::into_owned);
        compacted.expired == updated.len() - live.len()
            && left == (!live.is_empty() || updated.is_empty()).then(|| list_of(&live))
    }

    /// Clean-up is left out only when nothing has expired, whatever was written and however far passes have come; after a
    /// pass beside which nothing was written, exactly then.
    fn ttl_clean_up_is_left_out_only_when_nothing_has_expired(script: Vec<(u8, u8, i8)>) -> bool {
        let config = StateTtlConfig::new(Millis(10)).unwrap();
        let (mut oldest, mut values, mut next) = (OldestUpdate::of_nothing(), Vec::new(), 0);
        let (mut is_under_way, mut quiet) = (false, true);
        script.into_iter().all(|(operation, place, now)| {
            let now = i64::from(now);
            match operation % 5 {
                0 => {
                    oldest.accessed(now);
                    values.push(now);
                    quiet = false;
                }
                1 if !values.is_empty() => {
                    oldest.accessed(now);
                    let place = usize::from(place) % values.len();
                    values[place] = now;
                    quiet = false;
                }
                2 if next < values.len() => {
                    // It moves to where the pass has been.
                    oldest.moved();
                    let moved = values.remove(next + usize::from(place) % (values.len() - next));
                    values.insert(0, moved);
                    next += usize::from(next > 0);
                    quiet = false;
                }
                _ => {
                    if !oldest.goes_on(&config, now) {
                        let has_expired = values.iter().any(|updated| config.is_cleaned_up(*updated, now));
                        return !is_under_way && !has_expired;
                    }
                    quiet |= !std::mem::replace(&mut is_under_way, true);
                    if let Some(&updated) = values.get(next) {
                        if config.is_cleaned_up(updated, now) {
                            // What comes after it takes its place.
                            values.remove(next);
                        } else {
                            oldest.left(updated);
                            next += 1;
                        }
                    }
                    if next >= values.len() {
                        oldest.passed();
                        (next, is_under_way) = (0, false);
                        let has_expired = values.iter().any(|updated| config.is_cleaned_up(*updated, now));
                        if quiet && oldest.may_have_expired(&config, now) != has_expired {
                            return false;
                        }
                    }
                }
            }
            values.iter().all(|updated| !config.is_cleaned_up(*updated, now))
                || oldest.may_have_expired(&config, now)
        })
    }

    /// The law of expiry in numbers that cannot overflow.
    fn ttl_expiry_agrees_with_wide_numbers(length: u64, updated: i64, now: i64) -> bool {
        let Ok(ttl) = TimeToLive::new(Millis(length)) else { return length == 0 || length > i64::MAX.unsigned_abs() };
        let expiry = (i128::from(updated) + i128::from(length)).min(i128::from(i64::MAX));
        i128::from(ttl.expiry(updated)) == expiry && ttl.is_expired(updated, now) == (expiry <= i128::from(now))
    }

    /// What has expired stays so while time goes on; what was updated later, or lives longer, expires no earlier.
    fn ttl_expiry_is_monotone(length: u32, longer: u32, updated: i64, later: u32, now: i64, passed: u32) -> bool {
        let (short, long) = (ttl(u64::from(length) + 1), ttl(u64::from(length) + 1 + u64::from(longer)));
        let (then, at) = (now.saturating_add(i64::from(passed)), updated.saturating_add(i64::from(later)));
        (!short.is_expired(updated, now) || short.is_expired(updated, then))
            && (!short.is_expired(at, now) || short.is_expired(updated, now))
            && (!long.is_expired(updated, now) || short.is_expired(updated, now))
    }

    /// A list of one element is removed when a cell would be, and refreshed when that would be.
    fn ttl_list_of_one_element_is_a_cell(update: bool, visible: bool, updated: i64, now: i64) -> bool {
        let config = every(1_000)[usize::from(update) * 2 + usize::from(visible)];
        matches!(
            (config.read_cell(updated, now), config.read_list([updated], now)),
            (CellRead::Keep, ListRead::Keep)
                | (CellRead::Refresh, ListRead::Refresh)
                | (CellRead::Remove | CellRead::LastTime, ListRead::Remove)
        )
    }
}
