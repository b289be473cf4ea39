use super::{COPIES, Counted, DROPS};
use crate::backend::heap::{SegmentedMap, hash_of};
use std::panic::{AssertUnwindSafe, catch_unwind};

const PER_SEGMENT: usize = SegmentedMap::<u64, u64>::ENTRIES_PER_SEGMENT;

fn put<V: Clone>(map: &mut SegmentedMap<u64, V>, key: u64, value: V) -> Option<V> {
    map.insert(hash_of(&key), |other| *other == key, hash_of, || key, value)
}

fn get<V>(map: &SegmentedMap<u64, V>, key: u64) -> Option<&V> {
    map.get(hash_of(&key), |other| *other == key)
}

fn remove<V: Clone>(map: &mut SegmentedMap<u64, V>, key: u64) -> Option<V> {
    map.remove(hash_of(&key), |other| *other == key)
}

fn modify<V: Clone>(map: &mut SegmentedMap<u64, V>, key: u64, change: impl FnOnce(Option<V>) -> Option<V>) {
    map.modify(hash_of(&key), |other| *other == key, hash_of, || key, change);
}

fn filled(keys: u64) -> SegmentedMap<u64, Counted> {
    let mut map = SegmentedMap::default();
    (0..keys).for_each(|key| assert_eq!(put(&mut map, key, Counted(key)), None));
    map
}

/// T01.
#[test]
fn heap_map_operations_do_what_they_say() {
    let mut map = SegmentedMap::default();
    assert_eq!((map.len(), map.is_empty(), get(&map, 1)), (0, true, None::<&u64>));
    assert_eq!((remove(&mut map, 1), map.get_mut(hash_of(&1u64), |key| *key == 1)), (None, None));
    assert_eq!((put(&mut map, 1, 10), put(&mut map, 1, 11), get(&map, 1)), (None, Some(10), Some(&11)));
    *map.get_mut(hash_of(&1u64), |key| *key == 1).expect("it is there") += 1;
    let mut insert = |key: u64| {
        let value = map.get_or_insert_with(hash_of(&key), |other| *other == key, hash_of, || (key, 50));
        *value += 1;
        *value
    };
    assert_eq!([insert(1), insert(2), insert(2)], [13, 51, 52]);
    modify(&mut map, 2, |value| value.map(|value| value * 2));
    modify(&mut map, 3, |value| Some(value.unwrap_or(7)));
    modify(&mut map, 1, |_| None);
    modify(&mut map, 4, |none| none);
    let mut entries: Vec<_> = map.iter().map(|(key, value)| (*key, *value)).collect();
    entries.sort_unstable();
    assert_eq!((entries, map.len()), (vec![(2, 104), (3, 7)], 2));
    map.retain(|key, value| {
        *value += 1;
        *key == 3
    });
    assert_eq!((get(&map, 2), get(&map, 3), map.len()), (None, Some(&8), 1));
    assert_eq!((remove(&mut map, 3), map.is_empty()), (Some(8), true));
}

/// T02: every split keeps every entry where it is looked for.
#[test]
fn heap_map_growing_by_single_segments_loses_nothing() {
    let mut map = SegmentedMap::default();
    let keys = 20 * PER_SEGMENT as u64;
    for key in 0..keys {
        assert_eq!(put(&mut map, key, key), None);
        if key % 1_999 == 0 {
            assert!((0..=key).all(|key| get(&map, key) == Some(&key)));
            assert_eq!((map.iter().count() as u64, map.len() as u64), (key + 1, key + 1));
        }
    }
    let removed: Option<u64> = (0..keys).map(|key| remove(&mut map, key)).sum();
    assert_eq!(removed, Some(keys * (keys - 1) / 2));
    assert!(map.is_empty());
}

/// T04: nothing is copied without a snapshot, and with one no more than the segments written to, once.
#[test]
fn heap_map_copies_segments_only_while_a_snapshot_lives() {
    let mut map = filled(20_000);
    modify(&mut map, 5, |value| value);
    assert_eq!(COPIES.take(), 0);

    let snapshot = map.share();
    put(&mut map, 1, Counted(0));
    let copies = COPIES.take();
    assert!((1..=3 * PER_SEGMENT).contains(&copies), "{copies}");
    put(&mut map, 1, Counted(0));
    assert_eq!(COPIES.take(), 0, "a segment is copied once");

    let (hash, is) = (hash_of(&77_777u64), |key: &u64| *key == 77_777);
    assert_eq!((remove(&mut map, 77_777), map.get_mut(hash, is)), (None, None));
    modify(&mut map, 77_777, |none| none);
    assert_eq!(COPIES.take(), 0, "nothing is copied for what is not there");

    drop(snapshot);
    (0..20_000).for_each(|key| drop(remove(&mut map, key)));
    assert_eq!((map.len(), COPIES.take()), (0, 0), "what a snapshot has let go is taken back");
}

/// T05, T06: a snapshot goes on to show its own version, from which one may choose and make something else.
#[test]
fn heap_map_snapshot_iterates_its_own_version() {
    let mut map = SegmentedMap::default();
    let mut snapshots = Vec::new();
    for version in 0..5u64 {
        (version * 1_000..10_000).for_each(|key| _ = put(&mut map, key, version));
        (0..version * 500).for_each(|key| _ = remove(&mut map, key));
        snapshots.push((version, map.share()));
    }
    map.clear();
    for (version, snapshot) in snapshots {
        assert_eq!(
            (snapshot.len(), snapshot.iter().count()),
            (10_000 - version as usize * 500, snapshot.len())
        );
        assert_eq!(
            snapshot.iter().map(|(_, value)| value).max(),
            Some(&version),
            "nothing of a later version"
        );
        let newest = snapshot.iter().filter(|(_, value)| **value == version).map(|(key, _)| key * 10);
        assert_eq!(newest.min(), Some(version * 10_000));
    }
}

/// T07, T10, T11: what only a snapshot holds is freed with its last clone, once, and nothing else is.
#[test]
fn heap_map_snapshot_that_is_dropped_frees_what_only_it_held() {
    let mut map = filled(100);
    let (first, second) = (map.share(), map.share());
    let clone = first.clone();
    (0..100).for_each(|key| drop(put(&mut map, key, Counted(0))));
    assert_eq!((COPIES.take(), DROPS.take()), (100, 100), "a copy of each was replaced");
    drop((first, second));
    assert_eq!(DROPS.take(), 0);
    drop(clone);
    assert_eq!(DROPS.take(), 100);
    drop(map);
    assert_eq!(DROPS.take(), 100);
}

/// Whatever panics, the map holds what it says.
#[test]
fn heap_map_survives_panics_of_its_callers() {
    let mut map = filled(10);
    let panics = |map: &mut _, act: fn(&mut SegmentedMap<u64, Counted>)| {
        assert!(catch_unwind(AssertUnwindSafe(|| act(map))).is_err());
    };
    panics(&mut map, |map| modify(map, 1, |_| panic!("on purpose")));
    assert_eq!((map.len(), map.iter().count(), get(&map, 1)), (9, 9, None));
    panics(&mut map, |map| modify(map, 1, |_| panic!("on purpose")));
    panics(&mut map, |map| {
        map.get_or_insert_with(hash_of(&1u64), |key| *key == 1, hash_of, || panic!("on purpose"));
    });
    assert_eq!((map.len(), map.iter().count()), (9, 9));
    panics(&mut map, |map| {
        let mut left = 3;
        map.retain(|_, _| {
            left -= 1;
            assert!(left > 0, "on purpose");
            false
        });
    });
    assert_eq!((map.len(), map.iter().count()), (7, 7));
    assert_eq!(put(&mut map, 77, Counted(0)), None);
    map.retain(|_, _| false);
    assert_eq!((map.len(), map.iter().count()), (0, 0));
}

/// A copy that panics leaves the map and the snapshot as they are.
#[test]
fn heap_map_survives_a_panic_of_a_copy() {
    struct Fragile;
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            panic!("on purpose")
        }
    }
    let mut map = SegmentedMap::default();
    put(&mut map, 1, Fragile);
    let snapshot = map.share();
    assert!(catch_unwind(AssertUnwindSafe(|| put(&mut map, 1, Fragile).is_some())).is_err());
    assert!(get(&map, 1).is_some() && map.len() == 1);
    drop(snapshot);
    assert!(remove(&mut map, 1).is_some());
}
