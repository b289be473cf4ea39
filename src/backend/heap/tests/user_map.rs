use super::{COPIES, Counted, DROPS};
use crate::backend::heap::CopyOnWriteMap;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn filled(keys: u64) -> CopyOnWriteMap<u64, Counted> {
    let mut map = CopyOnWriteMap::default();
    (0..keys).for_each(|key| assert_eq!(map.insert(key, Counted(key)), None));
    map
}

/// T02, T04 for maps: growing loses nothing, and the first write beside a clone copies one segment, once.
#[test]
fn heap_user_map_copies_a_segment_only_while_a_clone_lives() {
    let mut map = filled(20_000);
    assert!((0..20_000).all(|key| map.get(&key) == Some(&Counted(key))));
    assert_eq!(COPIES.take(), 0);
    let clone = map.clone();
    assert_eq!(map.remove(&20_000), None);
    assert_eq!(COPIES.take(), 0, "nothing is copied for what is not there");
    map.insert(1, Counted(0));
    let copies = COPIES.take();
    assert!((1..=1_024).contains(&copies), "{copies}");
    map.insert(1, Counted(0));
    assert_eq!(COPIES.take(), 0, "a segment is copied once");
    assert_eq!((clone.len(), clone.get(&1).map(|value| value.0)), (20_000, Some(1)));
    DROPS.take();
    drop(clone);
    assert_eq!(DROPS.take(), copies, "the clone had kept the old segment");
    map.retain(|key, value| {
        value.0 += 1;
        *key < 10
    });
    assert_eq!((map.len(), map.get(&2), map.contains(&10), COPIES.take()), (10, Some(&Counted(3)), false, 0));
    map.retain(|_, _| false);
    assert!(map.is_empty() && map.iter().next().is_none());
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u16, u8),
    InsertMany(u16),
    Add(u16, u8),
    Remove(u16),
    Retain(u16),
    Clone,
    Drop,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => any::<(u16, u8)>().prop_map(|(key, value)| Step::Insert(key % 5_000, value)),
        2 => (0..5_000u16).prop_map(Step::InsertMany),
        4 => any::<(u16, u8)>().prop_map(|(key, value)| Step::Add(key % 5_000, value)),
        4 => (0..5_000u16).prop_map(Step::Remove),
        1 => (1..10u16).prop_map(Step::Retain),
        2 => Just(Step::Clone),
        1 => Just(Step::Drop),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    #[test]
    fn heap_user_map_agrees_with_a_map_whatever_is_cloned(
        steps in proptest::collection::vec(step(), 1..40),
    ) {
        let (mut map, mut model) = (CopyOnWriteMap::default(), BTreeMap::new());
        let mut clones = Vec::new();
        for step in steps {
            match step {
                Step::Insert(key, value) => prop_assert_eq!(map.insert(key, value), model.insert(key, value)),
                Step::InsertMany(from) => for key in from..from + 700 {
                    prop_assert_eq!(map.insert(key, 0), model.insert(key, 0));
                },
                Step::Add(key, value) => {
                    let sum = map.with_mut(&key, || 1_u8, |sum| {
                        *sum = sum.wrapping_add(value);
                        *sum
                    });
                    let expected = model.entry(key).or_insert(1);
                    *expected = expected.wrapping_add(value);
                    prop_assert_eq!(sum, *expected);
                }
                Step::Remove(key) => prop_assert_eq!(map.remove(&key), model.remove(&key)),
                Step::Retain(divisor) => {
                    map.retain(|key, _| key % divisor != 0);
                    model.retain(|key, _| key % divisor != 0);
                }
                Step::Clone => clones.push((map.clone(), model.clone())),
                Step::Drop => _ = clones.pop(),
            }
            prop_assert_eq!((map.len(), map.is_empty()), (model.len(), model.is_empty()));
        }
        clones.push((map, model));
        for (map, model) in clones {
            prop_assert!(model.iter().all(|(key, value)| map.get(key) == Some(value)));
            prop_assert_eq!(map.iter().collect::<BTreeMap<_, _>>(), model.iter().collect::<BTreeMap<_, _>>());
        }
    }
}
