//! How long lists may be at most.
//!
//! To know how long a list is, all of it must be read, since what was appended lies in different places. But to append, it
//! is enough to know that the limit is far: all lists whose keys fall into one of a few places have at most the bytes that
//! were written to them together. Only where that is too much is a list read, and then its length is remembered.

use hashbrown::HashMap;
use std::hash::{BuildHasher, Hasher};

/// In how many places the keys of a state fall. A power of 2.
const PLACES: usize = 1 << 12;

/// How many lengths of lists that were read are remembered. For one more, any other is forgotten.
const MAX_READ: usize = 1 << 12;

/// Upper bounds of the lengths of the lists of one state.
pub(super) struct ListLengths {
    bounds: Box<[u64]>,
    /// The lengths of lists that were read, as they are now, or more.
    read: HashMap<Vec<u8>, u64, foldhash::fast::FixedState>,
}

fn place_of(key: &[u8]) -> usize {
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    hasher.write(key);
    hasher.finish() as usize & (PLACES - 1)
}

impl ListLengths {
    /// For lists of which none is longer than `longest`.
    pub(super) fn new(longest: u64) -> Self {
        ListLengths { bounds: vec![longest; PLACES].into(), read: HashMap::default() }
    }

    /// At most so long is the list at `key`.
    pub(super) fn bound(&self, key: &[u8]) -> u64 {
        let read = if self.read.is_empty() { None } else { self.read.get(key) };
        read.copied().unwrap_or(self.bounds[place_of(key)])
    }

    /// The list was read.
    pub(super) fn was_read(&mut self, key: &[u8], bytes: u64) {
        if self.read.len() >= MAX_READ
            && !self.read.contains_key(key)
            && let Some(other) = self.read.keys().next().cloned()
        {
            self.read.remove(&other);
        }
        self.read.insert(key.to_vec(), bytes);
    }

    pub(super) fn appended(&mut self, key: &[u8], bytes: u64) {
        let bound = &mut self.bounds[place_of(key)];
        *bound = bound.saturating_add(bytes);
        if !self.read.is_empty()
            && let Some(read) = self.read.get_mut(key)
        {
            *read = read.saturating_add(bytes);
        }
    }

    /// The list was written anew.
    pub(super) fn replaced(&mut self, key: &[u8], bytes: u64) {
        let bound = &mut self.bounds[place_of(key)];
        *bound = (*bound).max(bytes);
        if !self.read.is_empty() {
            self.read.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quickcheck::quickcheck;
    use std::collections::BTreeMap;

    quickcheck! {
        fn list_lengths_are_never_less_than_they_are(steps: Vec<(u8, u16, u8)>) -> bool {
            let (mut lengths, mut real) = (ListLengths::new(0), BTreeMap::<[u8; 2], u64>::new());
            steps.into_iter().all(|(step, key, bytes)| {
                // More keys than places would need many steps; few keys are told apart.
                let (key, bytes) = ((key % 64).to_be_bytes(), u64::from(bytes));
                let length = real.entry(key).or_default();
                match step % 4 {
                    0 => {
                        lengths.replaced(&key, bytes);
                        *length = bytes;
                    }
                    1 => lengths.was_read(&key, *length),
                    _ => {
                        lengths.appended(&key, bytes);
                        *length += bytes;
                    }
                }
                real.iter().all(|(key, length)| lengths.bound(key) >= *length)
            })
        }
    }

    #[test]
    fn list_lengths_go_down_when_the_list_was_read() {
        let mut lengths = ListLengths::new(1_000);
        lengths.appended(b"a", 10);
        assert_eq!(lengths.bound(b"a"), 1_010);
        lengths.was_read(b"a", 10);
        assert_eq!(lengths.bound(b"a"), 10);
        lengths.appended(b"a", 5);
        assert_eq!(lengths.bound(b"a"), 15);
        assert!(lengths.bound(b"b") >= 1_000);
    }

    #[test]
    fn list_lengths_of_any_number_of_lists_are_bounded() {
        let mut lengths = ListLengths::new(u64::MAX);
        for key in 0..3 * MAX_READ {
            lengths.was_read(&key.to_be_bytes(), 1);
            lengths.appended(&key.to_be_bytes(), u64::MAX);
        }
        assert!(lengths.read.len() <= MAX_READ);
        assert_eq!(lengths.bound(b"another"), u64::MAX);
    }
}
