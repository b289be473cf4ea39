use super::sync::Arc;
use super::{hash_of, linear};
use hashbrown::HashTable;
use std::fmt;
use std::hash::Hash;

/// A hash map whose clones share their content in segments. The first change to a segment that is shared copies it, and
/// nothing else.
///
/// Most maps are small and have one segment only; larger ones grow by one segment at a time.
pub struct CopyOnWriteMap<K, V> {
    first: SharedSegment<K, V>,
    /// The other segments, once there is one.
    others: Option<Arc<Vec<SharedSegment<K, V>>>>,
}

type Segment<K, V> = HashTable<(K, V)>;
type SharedSegment<K, V> = Arc<Segment<K, V>>;

/// With how many entries a segment is a reason to add another one.
const MOST_ENTRIES: usize = 1_024;

impl<K, V> Default for CopyOnWriteMap<K, V> {
    fn default() -> Self {
        CopyOnWriteMap { first: Arc::new(Segment::new()), others: None }
    }
}

impl<K, V> Clone for CopyOnWriteMap<K, V> {
    fn clone(&self) -> Self {
        CopyOnWriteMap { first: Arc::clone(&self.first), others: self.others.clone() }
    }
}

impl<K, V> CopyOnWriteMap<K, V> {
    /// The number of entries; counted by segment.
    #[must_use]
    pub fn len(&self) -> usize {
        self.segments().map(|segment| segment.len()).sum()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.segments().all(|segment| segment.is_empty())
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.segments().flat_map(|segment| segment.iter()).map(|(key, value)| (key, value))
    }

    fn segments(&self) -> impl Iterator<Item = &SharedSegment<K, V>> {
        std::iter::once(&self.first).chain(self.others().iter())
    }

    fn others(&self) -> &[SharedSegment<K, V>] {
        self.others.as_ref().map_or(&[], |others| others)
    }

    /// The segment of a hash: the first, or else one of the others.
    #[inline]
    fn index_of(&self, hash: u64) -> Option<usize> {
        let segments = 1 + self.others.as_ref()?.len();
        linear::segment_of(hash, segments, linear::mask_of(segments)).checked_sub(1)
    }
}

impl<K: Hash + Eq, V> CopyOnWriteMap<K, V> {
    /// The value of `key`.
    #[inline]
    pub fn get(&self, key: &K) -> Option<&V> {
        let hash = hash_of(key);
        let segment = self.index_of(hash).map_or(&self.first, |index| &self.others()[index]);
        segment.find(hash, |(other, _)| other == key).map(|(_, value)| value)
    }

    /// Whether `key` has a value.
    #[inline]
    pub fn contains(&self, key: &K) -> bool {
        self.get(key).is_some()
    }
}

impl<K: Hash + Eq + Clone, V: Clone> CopyOnWriteMap<K, V> {
    /// Puts `value` in the place of that of `key`, which it returns.
    #[inline]
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let hash = hash_of(&key);
        match self.segment_mut(hash).find_entry(hash, |(other, _)| *other == key) {
            Ok(found) => Some(std::mem::replace(&mut found.into_mut().1, value)),
            Err(absent) => {
                let segment = absent.into_table();
                segment.insert_unique(hash, (key, value), hash_of_entry);
                if segment.len() >= MOST_ENTRIES {
                    self.add_segment();
                }
                None
            }
        }
    }

    /// Removes the entry of `key`. Nothing is copied when there is none.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        if !self.contains(key) {
            return None;
        }
        let hash = hash_of(key);
        let found = self.segment_mut(hash).find_entry(hash, |(other, _)| other == key).ok()?;
        let ((_, value), _) = found.remove();
        Some(value)
    }

    /// Removes all entries that `keep`, which may change the values, does not want. All that is shared is copied.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let others = self.others.iter_mut().flat_map(Arc::make_mut);
        for segment in std::iter::once(&mut self.first).chain(others) {
            Arc::make_mut(segment).retain(|(key, value)| keep(key, value));
        }
        if self.is_empty() {
            *self = CopyOnWriteMap::default();
        }
    }

    /// The segment of a hash, which nobody else sees.
    #[inline]
    fn segment_mut(&mut self, hash: u64) -> &mut Segment<K, V> {
        match (self.index_of(hash), &mut self.others) {
            (Some(index), Some(others)) => Arc::make_mut(&mut Arc::make_mut(others)[index]),
            _ => Arc::make_mut(&mut self.first),
        }
    }

    /// Adds a segment, for which another one is split.
    #[cold]
    #[inline(never)]
    fn add_segment(&mut self) {
        let others = Arc::make_mut(self.others.get_or_insert_default());
        let added = 1 + others.len();
        let source = match linear::source_of(added) {
            0 => &mut self.first,
            other => &mut others[other - 1],
        };
        let moved = linear::split(Arc::make_mut(source), added, hash_of_entry);
        others.push(Arc::new(moved));
    }
}

fn hash_of_entry<K: Hash, V>((key, _): &(K, V)) -> u64 {
    hash_of(key)
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for CopyOnWriteMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
