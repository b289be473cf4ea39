//! Values that expire go when their files are rewritten.

#![allow(clippy::disallowed_methods)]

use super::{Narrow, Observed, Wide, in_files, narrow, restored, store, wide};
use crate::base::{EventTime, Millis, TimeDomain};
use crate::state::*;
use crate::ttl::StateTtlConfig;
use std::fs;

const KEYS: u32 = 50;

fn ttl() -> StateTtlConfig {
    StateTtlConfig::new(Millis(10)).unwrap()
}

#[test]
fn compaction_removes_values_and_entries_of_maps_that_have_expired_and_no_others() {
    let observed = Observed::default();
    let mut store = store(&observed, &[]);
    let value = store.open(&ValueStateDescriptor::<u32>::new("value").with_ttl(ttl())).unwrap();
    let map = store.open(&MapStateDescriptor::<u8, u32>::new("map").with_ttl(ttl())).unwrap();
    let plain = store.open(&ValueStateDescriptor::<u32>::new("plain")).unwrap();
    // Even keys at 0, odd ones at 5; of every map one entry at each.
    for (now, parity) in [(0, 0), (5, 1)] {
        store.set_processing_time(Millis(now));
        for key in 0..KEYS {
            store.set_current_key(key).unwrap();
            if key % 2 == parity {
                value.update(&mut store, key).unwrap();
                plain.update(&mut store, key).unwrap();
            }
            map.put(&mut store, parity as u8, key).unwrap();
        }
    }
    let compact = || {
        ["value", "map", "plain"].map(|state| {
            observed.compact(state);
            observed.entries(state)
        })
    };
    let all = [KEYS as usize, 2 * KEYS as usize, KEYS as usize];
    store.set_processing_time(Millis(9));
    assert_eq!(compact(), all);
    assert_eq!(store.ttl_metrics_of_all().by_compactions, 0);
    store.set_processing_time(Millis(10));
    assert_eq!(compact(), [KEYS as usize / 2, KEYS as usize, KEYS as usize]);
    assert_eq!(store.ttl_metrics(&value).unwrap().by_compactions, u64::from(KEYS) / 2);
    assert_eq!(store.ttl_metrics(&map).unwrap().by_compactions, u64::from(KEYS));
    for key in 0..KEYS {
        store.set_current_key(key).unwrap();
        let expected = (key % 2 == 1).then_some(key);
        assert_eq!(value.get(&mut store).unwrap().as_deref().copied(), expected);
    }
    store.set_processing_time(Millis(15));
    assert_eq!(compact(), [0, 0, KEYS as usize]);
    assert_eq!(store.ttl_metrics_of_all().removed(), u64::from(3 * KEYS));
}

/// The elements of a list expire each for itself; what was appended becomes one value in the first compaction, and is looked
/// at in the next one.
#[test]
fn compaction_removes_a_list_with_its_last_element() {
    let observed = Observed::default();
    let mut store = store(&observed, &[]);
    let list = store.open(&ListStateDescriptor::<u32>::new("list").with_ttl(ttl())).unwrap();
    for now in [0, 5] {
        store.set_processing_time(Millis(now));
        for key in 0..KEYS {
            store.set_current_key(key).unwrap();
            list.add(&mut store, now as u32).unwrap();
        }
    }
    store.set_processing_time(Millis(14));
    for _ in 0..2 {
        observed.compact("list");
        assert_eq!(observed.entries("list"), KEYS as usize);
    }
    store.set_current_key(7).unwrap();
    assert_eq!(list.get(&mut store).unwrap().map(|one| *one).collect::<Vec<_>>(), [5]);
    store.set_processing_time(Millis(15));
    observed.compact("list");
    assert_eq!(observed.entries("list"), 0);
    assert_eq!(store.ttl_metrics(&list).unwrap().by_compactions, u64::from(2 * KEYS));
}

#[test]
fn compaction_removes_nothing_of_a_state_whose_clean_up_in_the_background_is_disabled() {
    let observed = Observed::default();
    let mut store = store(&observed, &[]);
    let ttl = ttl().disable_cleanup_in_background();
    let value = store.open(&ValueStateDescriptor::<u32>::new("value").with_ttl(ttl)).unwrap();
    store.set_current_key(1).unwrap();
    value.update(&mut store, 1).unwrap();
    store.set_processing_time(Millis(1_000));
    observed.compact("value");
    assert_eq!(observed.entries("value"), 1);
}

/// Before the state is opened its values have no times: what stands in front of them is not one.
#[test]
fn compaction_of_restored_values_begins_when_they_have_their_times() {
    let (first, second) = (Observed::default(), Observed::default());
    let mut old = store(&first, &[]);
    let value = old.open(&ValueStateDescriptor::<[u8; 9]>::new("value")).unwrap();
    for key in 0..KEYS {
        old.set_current_key(key).unwrap();
        value.update(&mut old, [0; 9]).unwrap();
    }
    let (image, files) = in_files(&mut old);
    let mut new = restored(&second, &[], vec![image], Some(&files));
    new.set_processing_time(Millis(1_000));
    second.compact("value");
    assert_eq!(second.entries("value"), KEYS as usize);
    let value = new.open(&ValueStateDescriptor::<[u8; 9]>::new("value").with_ttl(ttl())).unwrap();
    second.compact("value");
    assert_eq!(second.entries("value"), KEYS as usize, "they count as updated at the restore");
    new.set_processing_time(Millis(1_010));
    second.compact("value");
    assert_eq!(second.entries("value"), 0);
    assert_eq!(new.ttl_metrics(&value).unwrap().by_compactions, u64::from(KEYS));
}

/// What is migrated at once is removed where it was, but not from a snapshot that has it.
#[test]
fn snapshot_that_was_taken_before_a_migration_has_what_was_there() {
    let (first, second) = (Observed::default(), Observed::default());
    let mut old = store(&first, &[]);
    let value = old.open(&ValueStateDescriptor::<u32>::new("value")).unwrap();
    for key in 0..KEYS {
        old.set_current_key(key).unwrap();
        value.update(&mut old, key).unwrap();
    }
    let (image, files) = in_files(&mut old);
    let mut new = restored(&second, &[], vec![image], Some(&files));
    let snapshot = new.snapshot().unwrap();
    new.open(&ValueStateDescriptor::<u32>::new("value").with_ttl(ttl())).unwrap();
    let mut file = Vec::new();
    snapshot.write_to(&mut file).unwrap();
    let written = SnapshotImage::read_from(&file[..], None).unwrap().keyed.unwrap();
    let [state] = &written.states.values().collect::<Vec<_>>()[..] else { panic!("one state") };
    let entries: u64 = state.groups.values().map(RawGroup::entries).sum();
    assert_eq!(entries, u64::from(KEYS));
}

/// A value that nobody has touched since its serializer changed has its time where all have it.
#[test]
fn compaction_removes_expired_values_that_an_earlier_serializer_has_written() {
    let (first, second) = (Observed::default(), Observed::default());
    let mut old = store(&first, &[]);
    let value =
        old.open(&ValueStateDescriptor::new("value").with_serializer(narrow()).with_ttl(ttl())).unwrap();
    let list = old.open(&ListStateDescriptor::new("list").with_serializer(narrow()).with_ttl(ttl())).unwrap();
    for key in 0..KEYS {
        old.set_processing_time(Millis(u64::from(key % 2)));
        old.set_current_key(key).unwrap();
        value.update(&mut old, Narrow(1)).unwrap();
        list.add(&mut old, Narrow(1)).unwrap();
    }
    let (image, files) = in_files(&mut old);
    let mut new = restored(&second, &[], vec![image], Some(&files));
    new.set_processing_time(Millis(10));
    let value =
        new.open(&ValueStateDescriptor::new("value").with_serializer(wide()).with_ttl(ttl())).unwrap();
    let list = new.open(&ListStateDescriptor::new("list").with_serializer(wide()).with_ttl(ttl())).unwrap();
    for state in ["value", "list"] {
        assert_eq!(second.families(state).len(), 2);
        second.compact(state);
        assert_eq!(second.entries(state), KEYS as usize / 2, "{state}");
    }
    assert_eq!(new.ttl_metrics_of_all().by_compactions, u64::from(KEYS));
    new.set_current_key(1).unwrap();
    assert_eq!(value.get(&mut new).unwrap().as_deref(), Some(&Wide(1, true)));
    assert_eq!(list.get(&mut new).unwrap().count(), 1);
    new.set_processing_time(Millis(11));
    for state in ["value", "list"] {
        second.compact(state);
        assert_eq!(second.entries(state), 0, "{state}");
    }
}

/// Files are rewritten by their age only where something in them may have expired, also in restored states.
#[test]
fn compaction_by_age_is_for_states_that_expire() {
    let (first, second) = (Observed::default(), Observed::default());
    let options = [("compaction.filter.periodic-compaction-time", "7 d")];
    let mut old = store(&first, &options);
    let expiring = ValueStateDescriptor::<u32>::new("expiring").with_ttl(ttl());
    let plain = ValueStateDescriptor::<u32>::new("plain");
    old.open(&expiring).unwrap();
    old.open(&plain).unwrap();
    let (image, files) = in_files(&mut old);
    let mut new = restored(&second, &options, vec![image], Some(&files));
    new.open(&expiring).unwrap();
    new.open(&plain).unwrap();
    for observed in [first, second] {
        let directory = observed.database().directory.database();
        let newest = fs::read_dir(&directory).unwrap().flatten().map(|entry| entry.path()).filter(|path| {
            path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("OPTIONS-"))
        });
        let written = fs::read_to_string(newest.max().unwrap()).unwrap();
        let of = |family: &str| {
            let section =
                written.split("[CFOptions ").find(|section| section.starts_with(&format!("\"{family}@")));
            let line =
                section.unwrap().lines().find(|line| line.trim().starts_with("periodic_compaction_seconds"));
            line.unwrap().split('=').next_back().unwrap().trim().to_owned()
        };
        assert_eq!((&*of("state expiring"), &*of("state plain")), ("604800", "0"));
    }
}

/// Compactions do not know what snapshots see. Event time may go on by hours while one is written.
#[test]
fn compaction_leaves_what_a_snapshot_has_taken_until_that_is_written() {
    let observed = Observed::default();
    let mut store = store(&observed, &[]);
    let ttl = ttl().with_time_domain(TimeDomain::EventTime);
    let value = store.open(&ValueStateDescriptor::<u32>::new("value").with_ttl(ttl)).unwrap();
    store.set_event_time(EventTime(0));
    for key in 0..KEYS {
        store.set_current_key(key).unwrap();
        value.update(&mut store, key).unwrap();
    }
    let snapshot = store.snapshot().unwrap();
    store.set_event_time(EventTime(10));
    observed.compact("value");
    let mut file = Vec::new();
    snapshot.write_to(&mut file).unwrap();
    let written = SnapshotImage::read_from(&file[..], None).unwrap().keyed.unwrap();
    let entries: u64 = written.states["value"].groups.values().map(RawGroup::entries).sum();
    assert_eq!(entries, u64::from(KEYS));
    assert_eq!(store.ttl_metrics_of_all().by_compactions, 0);
    observed.compact("value");
    assert_eq!(observed.entries("value"), 0, "nothing holds it any more");
}
