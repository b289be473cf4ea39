use super::*;
use quickcheck::quickcheck;

fn max(groups: u16) -> MaxParallelism {
    MaxParallelism::new(groups).expect("a valid maximum parallelism")
}

fn range(start: u16, end: u16) -> KeyGroupRange {
    KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).expect("a valid range")
}

/// Every range follows the previous one, none is empty, all groups are covered and owner agrees with range.
fn ranges_partition(max_parallelism: MaxParallelism, parallelism: u16) {
    let assignment = KeyGroupRangeAssignment::new(max_parallelism, parallelism).expect("valid");
    let mut next = 0;
    for subtask in 0..parallelism {
        let owned = assignment.range_of(subtask).expect("exists");
        assert_eq!(owned.start(), KeyGroup(next), "{parallelism} of {max_parallelism}, subtask {subtask}");
        assert!(owned.start() <= owned.end());
        for group in owned.groups() {
            assert_eq!(assignment.owner_of(group), subtask, "group {group}");
        }
        next = owned.end().0 + 1;
    }
    assert_eq!(next, max_parallelism.get());
}

#[test]
fn keygroup_ranges_of_every_parallelism_partition_the_groups() {
    for groups in [1, 2, 3, 7, 127, 128, 129, 720] {
        for parallelism in 1..=groups {
            ranges_partition(max(groups), parallelism);
        }
    }
    for parallelism in [1, 2, 3, 127, 128, 32767, 32768] {
        ranges_partition(max(32768), parallelism);
    }
}

quickcheck! {
    fn keygroup_ranges_of_random_shapes_partition_the_groups(groups: u16, parallelism: u16) -> bool {
        let groups = groups % MaxParallelism::UPPER_BOUND + 1;
        ranges_partition(max(groups), parallelism % groups + 1);
        true
    }

    fn keygroup_of_any_hash_exists(hash: i32, groups: u16) -> bool {
        let groups = max(groups % MaxParallelism::UPPER_BOUND + 1);
        groups.all_groups().contains(key_group_of(hash, groups))
    }

    fn keygroup_intersection_contains_exactly_the_common_groups(a: (u8, u8), b: (u8, u8)) -> bool {
        let a = range(a.0.min(a.1).into(), a.0.max(a.1).into());
        let b = range(b.0.min(b.1).into(), b.0.max(b.1).into());
        let both = a.intersect(b);
        (0..=255).map(KeyGroup).all(|group| {
            both.is_some_and(|r| r.contains(group)) == (a.contains(group) && b.contains(group))
        })
    }

    fn keygroup_hash_of_a_string_agrees_with_its_utf16_units(text: String) -> bool {
        let expected = text.encode_utf16().fold(0i32, |h, u| h.wrapping_mul(31).wrapping_add(i32::from(u)));
        text.key_hash() == expected
    }
}

#[test]
fn keygroup_of_known_hashes_matches_flink() {
    // Modulo 32768 the group shows the low 15 bits of `MathUtils.murmurHash`; the values come from an
    // independent program. The one of 0 is the published MurmurHash3 of four zero bytes, 0x2362f9de.
    for (hash, murmur) in [
        (0, 593_689_054),
        (1, 68_075_478),
        (42, 1_134_849_565),
        (-1, 1_982_413_648),
        ("hello".key_hash(), 1_715_862_179),
        (i32::MIN, 1_718_298_732),
        (i32::MAX, 1_653_689_534),
    ] {
        for groups in [128, 720, 32768] {
            assert_eq!(u32::from(key_group_of(hash, max(groups)).0), murmur % u32::from(groups), "{hash}");
        }
    }
}

#[test]
fn keygroup_parallelism_out_of_bounds_is_refused() {
    assert_eq!(MaxParallelism::new(0), Err(KeyGroupError::MaxParallelism(0)));
    assert_eq!(MaxParallelism::new(32769), Err(KeyGroupError::MaxParallelism(32769)));
    assert!(KeyGroupRangeAssignment::new(max(4), 0).is_err());
    assert!(KeyGroupRangeAssignment::new(max(4), 4).is_ok());
    let refused = KeyGroupRange::range_of(max(4), 5, 0).expect_err("above the maximum");
    assert_eq!(refused.to_string(), "parallelism 5 is not between 1 and the maximum parallelism 4");
    assert!(KeyGroupRange::range_of(max(4), 2, 2).is_err());
    assert!(KeyGroupRange::new(KeyGroup(2), KeyGroup(1)).is_err());
}

#[test]
fn keygroup_default_max_parallelism_follows_flinks_bounds() {
    let default = |parallelism| MaxParallelism::default_for(parallelism).expect("valid").get();
    assert_eq!([default(1), default(85), default(86), default(128), default(171)], [128, 128, 256, 256, 256]);
    assert_eq!([default(21845), default(32768)], [32768, 32768]);
    assert!(MaxParallelism::default_for(0).is_err());
    assert!(MaxParallelism::default_for(32769).is_err());
}
