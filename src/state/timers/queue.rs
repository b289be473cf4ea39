use foldhash::fast::FixedState;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash};

/// The timers of one time domain in the order in which they fire. Each is there at most once.
///
/// Timers of equal time are ordered by their hash, so their order depends on nothing but themselves: neither on when they
/// were registered, nor on how the queue was built after a restore.
pub(super) struct TimerQueue<K, N> {
    timers: BTreeMap<Place, (K, N)>,
}

/// The time of a timer, the hash of its key and namespace, and a number that tells apart those of equal hash.
type Place = (i64, u64, u32);

impl<K, N> Default for TimerQueue<K, N> {
    fn default() -> Self {
        TimerQueue { timers: BTreeMap::new() }
    }
}

impl<K, N> TimerQueue<K, N> {
    /// The number of timers.
    pub(super) fn len(&self) -> usize {
        self.timers.len()
    }
}

impl<K: Eq + Hash + Clone, N: Eq + Hash + Clone> TimerQueue<K, N> {
    /// Adds a timer; `false` if it was there.
    pub(super) fn insert(&mut self, time: i64, key: &K, namespace: &N) -> bool {
        if self.place_of(time, key, namespace).is_some() {
            return false;
        }
        let hash = hash_of(key, namespace);
        let last = self.timers.range(places(time, hash)).next_back();
        let number = last.map_or(0, |((_, _, number), _)| number + 1);
        self.timers.insert((time, hash, number), (key.clone(), namespace.clone()));
        true
    }

    /// Removes a timer; `false` if there was none.
    pub(super) fn remove(&mut self, time: i64, key: &K, namespace: &N) -> bool {
        let place = self.place_of(time, key, namespace);
        place.is_some_and(|place| self.timers.remove(&place).is_some())
    }

    fn place_of(&self, time: i64, key: &K, namespace: &N) -> Option<Place> {
        let mut candidates = self.timers.range(places(time, hash_of(key, namespace)));
        let found = candidates.find(|(_, timer)| timer.0 == *key && timer.1 == *namespace);
        found.map(|(place, _)| *place)
    }

    /// Removes and returns the first timer if its time is `now` or before it.
    pub(super) fn pop_due(&mut self, now: i64) -> Option<(i64, K, N)> {
        let first = self.timers.first_entry()?;
        let (time, _, _) = *first.key();
        (time <= now).then(|| {
            let (key, namespace) = first.remove();
            (time, key, namespace)
        })
    }

    /// The time of the first timer.
    pub(super) fn first_time(&self) -> Option<i64> {
        self.timers.first_key_value().map(|((time, _, _), _)| *time)
    }
}

fn places(time: i64, hash: u64) -> std::ops::RangeInclusive<Place> {
    (time, hash, 0)..=(time, hash, u32::MAX)
}

/// The same in every process of one build.
fn hash_of<K: Hash, N: Hash>(key: &K, namespace: &N) -> u64 {
    FixedState::default().hash_one((key, namespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::hash::Hasher;

    /// A key whose hash says little, so that hashes are equal where keys are not.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Colliding(u8);

    impl Hash for Colliding {
        fn hash<H: Hasher>(&self, state: &mut H) {
            (self.0 % 2).hash(state);
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(i64, u8, bool),
        Remove(i64, u8, bool),
        Pop(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let timer = || (-5..5i64, 0..6u8, any::<bool>());
        prop_oneof![
            4 => timer().prop_map(|(time, key, namespace)| Step::Insert(time, key, namespace)),
            2 => timer().prop_map(|(time, key, namespace)| Step::Remove(time, key, namespace)),
            1 => (-5..5i64).prop_map(Step::Pop),
        ]
    }

    proptest! {
        #[test]
        fn timers_queue_agrees_with_a_set_that_is_searched(
            steps in proptest::collection::vec(step(), 1..200),
        ) {
            let mut queue = TimerQueue::default();
            let mut set = BTreeSet::new();
            for step in steps {
                match step {
                    Step::Insert(time, key, namespace) => prop_assert_eq!(
                        queue.insert(time, &Colliding(key), &namespace),
                        set.insert((time, Colliding(key), namespace))
                    ),
                    Step::Remove(time, key, namespace) => prop_assert_eq!(
                        queue.remove(time, &Colliding(key), &namespace),
                        set.remove(&(time, Colliding(key), namespace))
                    ),
                    Step::Pop(now) => {
                        let earliest = set.iter().map(|(time, _, _)| *time).min();
                        prop_assert_eq!(queue.first_time(), earliest);
                        match queue.pop_due(now) {
                            None => prop_assert!(earliest.is_none_or(|earliest| earliest > now)),
                            Some((time, key, namespace)) => {
                                prop_assert_eq!(Some(time), earliest);
                                prop_assert!(time <= now && set.remove(&(time, key, namespace)));
                            }
                        }
                    }
                }
                prop_assert_eq!(queue.len(), set.len());
            }
        }
    }

    #[test]
    fn timers_of_equal_time_leave_the_queue_in_an_order_of_their_own() {
        let popped = |keys: &mut dyn Iterator<Item = u32>| {
            let mut queue = TimerQueue::default();
            keys.for_each(|key| assert!(queue.insert(7, &key, &())));
            std::iter::from_fn(|| queue.pop_due(7)).map(|(_, key, ())| key).collect::<Vec<_>>()
        };
        assert_eq!(popped(&mut (0..1000)), popped(&mut (0..1000).rev()));
    }
}
