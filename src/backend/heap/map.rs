use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::sync::Arc;

/// How many entries a segment has on average: so many are copied by the first write to it under a snapshot.
const ENTRIES_PER_SEGMENT: usize = 256;

/// The bits of a hash that choose the segment. `HashTable` uses the lowest and the seven highest ones, which
/// must stay different within a segment.
const SEGMENT_BITS_SHIFT: u32 = 32;

/// One entry.
#[derive(Clone, Debug)]
pub(super) struct Pair<K, V> {
    pub(super) key: K,
    pub(super) value: V,
}

type Segment<K, V> = HashTable<Pair<K, V>>;

/// A hash table in segments that clones share until one of them writes.
///
/// The number of segments grows by linear hashing: one at a time, each split moving the entries of one segment,
/// so that no single insertion pays for the size of the whole map. The caller supplies the hashes.
pub(super) struct GroupMap<K, V> {
    segments: Arc<Vec<Arc<Segment<K, V>>>>,
    len: usize,
}

impl<K, V> Default for GroupMap<K, V> {
    fn default() -> Self {
        GroupMap { segments: Arc::default(), len: 0 }
    }
}

impl<K, V> Clone for GroupMap<K, V> {
    /// Shares all segments; the cost does not depend on their number.
    fn clone(&self) -> Self {
        GroupMap { segments: Arc::clone(&self.segments), len: self.len }
    }
}

/// The segment of `hash` among `segments`, which are at least one.
fn segment_of(hash: u64, segments: usize) -> usize {
    let bits = (hash >> SEGMENT_BITS_SHIFT) as usize;
    let rounded = segments.next_power_of_two();
    let index = bits & (rounded - 1);
    // The upper part of the round is still to be split off the lower one.
    if index < segments { index } else { index - rounded / 2 }
}

impl<K, V> GroupMap<K, V> {
    /// The exact number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.segments.iter().flat_map(|segment| segment.iter()).map(|pair| (&pair.key, &pair.value))
    }
}

impl<K: Eq, V> GroupMap<K, V> {
    pub(super) fn get(&self, hash: u64, key: &K) -> Option<&V> {
        if self.segments.is_empty() {
            return None;
        }
        let segment = &self.segments[segment_of(hash, self.segments.len())];
        segment.find(hash, |pair| pair.key == *key).map(|pair| &pair.value)
    }
}

impl<K: Eq + Clone, V: Clone> GroupMap<K, V> {
    /// The value of `key`, which is `insert()` if there was none; `rehash` must hash as `hash` was made.
    pub(super) fn get_or_insert_with(
        &mut self,
        hash: u64,
        key: &K,
        rehash: impl Fn(&K) -> u64,
        insert: impl FnOnce() -> V,
    ) -> &mut V {
        self.grow(&rehash);
        let GroupMap { segments, len } = self;
        match entry(segments, hash, key, rehash) {
            Entry::Occupied(occupied) => &mut occupied.into_mut().value,
            Entry::Vacant(vacant) => {
                *len += 1;
                &mut vacant.insert(Pair { key: key.clone(), value: insert() }).into_mut().value
            }
        }
    }

    /// Puts what `change` makes of the value of `key` in its place.
    pub(super) fn modify(
        &mut self,
        hash: u64,
        key: &K,
        rehash: impl Fn(&K) -> u64,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) {
        self.grow(&rehash);
        let GroupMap { segments, len } = self;
        match entry(segments, hash, key, rehash) {
            Entry::Occupied(occupied) => {
                let (Pair { key, value }, vacant) = occupied.remove();
                // Should `change` panic, the entry is gone, and the length says so.
                *len -= 1;
                if let Some(value) = change(Some(value)) {
                    vacant.insert(Pair { key, value });
                    *len += 1;
                }
            }
            Entry::Vacant(vacant) => {
                if let Some(value) = change(None) {
                    vacant.insert(Pair { key: key.clone(), value });
                    *len += 1;
                }
            }
        }
        self.release_if_empty();
    }

    /// Removes the entry of `key`; nothing is copied when there is none.
    pub(super) fn remove(&mut self, hash: u64, key: &K) {
        if self.get(hash, key).is_none() {
            return;
        }
        let segments = Arc::make_mut(&mut self.segments);
        let index = segment_of(hash, segments.len());
        if let Ok(found) = Arc::make_mut(&mut segments[index]).find_entry(hash, |pair| pair.key == *key) {
            found.remove();
            self.len -= 1;
        }
        self.release_if_empty();
    }

    /// Adds a segment when the segments have become too full, for which one of them is split.
    fn grow(&mut self, rehash: &impl Fn(&K) -> u64) {
        if self.len < self.segments.len() * ENTRIES_PER_SEGMENT {
            return;
        }
        let segments = Arc::make_mut(&mut self.segments);
        let count = segments.len() + 1;
        let mut added = Segment::new();
        if count > 1 {
            let split = count - 1 - count.next_power_of_two() / 2;
            let source = Arc::make_mut(&mut segments[split]);
            added.reserve(source.len() / 2, |pair: &Pair<K, V>| rehash(&pair.key));
            for pair in source.extract_if(|pair| segment_of(rehash(&pair.key), count) != split) {
                let hash = rehash(&pair.key);
                added.insert_unique(hash, pair, |pair| rehash(&pair.key));
            }
        }
        segments.push(Arc::new(added));
    }

    /// Gives the memory of a map back that had grown and is empty again.
    fn release_if_empty(&mut self) {
        if self.len == 0 && self.segments.len() > 1 {
            self.segments = Arc::default();
        }
    }
}

/// The place of `key` in its segment, which is copied if a snapshot shares it. There is at least one segment.
fn entry<'a, K: Eq + Clone, V: Clone>(
    segments: &'a mut Arc<Vec<Arc<Segment<K, V>>>>,
    hash: u64,
    key: &K,
    rehash: impl Fn(&K) -> u64,
) -> Entry<'a, Pair<K, V>> {
    let segments = Arc::make_mut(segments);
    let index = segment_of(hash, segments.len());
    Arc::make_mut(&mut segments[index]).entry(hash, |pair| pair.key == *key, |pair| rehash(&pair.key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn hash(key: &u64) -> u64 {
        super::super::table::hash_of(key)
    }

    static COPIES: AtomicUsize = AtomicUsize::new(0);

    /// A value that counts how often it is copied.
    struct Counted;

    impl Clone for Counted {
        fn clone(&self) -> Self {
            COPIES.fetch_add(1, Ordering::Relaxed);
            Counted
        }
    }

    /// T04: nothing is copied without a snapshot, and with one no more than the segments written to.
    #[test]
    fn heap_map_copies_segments_only_while_a_snapshot_lives() {
        let mut map = GroupMap::default();
        for key in 0..20_000u64 {
            map.get_or_insert_with(hash(&key), &key, hash, || Counted);
        }
        assert_eq!((map.len(), COPIES.swap(0, Ordering::Relaxed)), (20_000, 0));
        let largest = map.segments.iter().map(|segment| segment.len()).max();
        assert!(largest.is_some_and(|largest| largest <= 3 * ENTRIES_PER_SEGMENT), "{largest:?}");

        let snapshot = map.clone();
        map.get_or_insert_with(hash(&1), &1, hash, || Counted);
        let copies = COPIES.swap(0, Ordering::Relaxed);
        assert!((1..=3 * ENTRIES_PER_SEGMENT).contains(&copies), "{copies}");
        map.get_or_insert_with(hash(&1), &1, hash, || Counted);
        map.remove(hash(&77_777), &77_777);
        assert_eq!(
            COPIES.load(Ordering::Relaxed),
            0,
            "a segment is copied once, and not by a removal of nothing"
        );

        drop(snapshot);
        (0..20_000).for_each(|key| map.remove(hash(&key), &key));
        assert_eq!((map.len(), COPIES.load(Ordering::Relaxed)), (0, 0));
        assert!(map.segments.is_empty());
    }

    /// T02: every split keeps every entry where it is looked for.
    #[test]
    fn heap_map_growing_by_single_segments_loses_nothing() {
        let mut map = GroupMap::default();
        for key in 0..5_000u64 {
            map.modify(hash(&key), &key, hash, |none| none.or(Some(key)));
            if key % 251 == 0 {
                assert!((0..=key).all(|key| map.get(hash(&key), &key) == Some(&key)));
                assert_eq!(map.iter().count() as u64, key + 1);
            }
        }
        assert!(map.segments.len() > 15);
    }
}
