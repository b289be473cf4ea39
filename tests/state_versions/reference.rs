//! Serializers change from restore to restore, and the states are those of a reference.

use super::*;

/// What happens between two changes of the serializers, and among which subtasks the state is distributed then.
type Generation = (Vec<(u32, u8, u32)>, BTreeSet<u16>, bool);

fn generation() -> impl Strategy<Value = Generation> {
    let step = (0..KEYS, any::<u8>(), any::<u32>());
    (proptest::collection::vec(step, 0..40), proptest::collection::btree_set(1..8u16, 0..3), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Serializers change with or without the subtasks; in some generations nothing is opened.
    #[test]
    fn versions_agree_with_a_reference(generations in proptest::collection::vec(generation(), 1..6)) {
        for backend in backends() {
            let (mut checkpoints, mut version) = (Vec::new(), 0);
            let mut expected: BTreeMap<u32, Content> = (0..KEYS).map(|key| (key, Content::default())).collect();
            for (steps, cuts, is_opened) in &generations {
                version += 1;
                let mut next = Vec::new();
                for range in ranges(cuts) {
                    let mut store = restored(&backend, range, &checkpoints);
                    if *is_opened {
                        let states = States::open(&mut store, version);
                        for (key, what, number) in steps {
                            if store.set_current_key(*key).is_ok() {
                                states.change(&mut store, *what, *number).expect("a key");
                                expected.get_mut(key).expect("known").change(*what, *number);
                            }
                        }
                        for (key, content) in all_of(&mut store, &states) {
                            prop_assert_eq!(&content, &expected[&key]);
                        }
                    }
                    next.push(in_files_of(backend.name(), &mut store));
                }
                checkpoints = next;
            }
            let mut store = whole(&backend, &checkpoints);
            let states = States::open(&mut store, version + 1);
            prop_assert_eq!(all_of(&mut store, &states), expected);
        }
    }
}
