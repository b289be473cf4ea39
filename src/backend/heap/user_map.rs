use super::sync::Arc;
use super::{few, hash_of, linear};
use hashbrown::HashTable;
use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;

/// A hash map whose clones share their content in segments, if there is much of it. The first change to a segment that
/// is shared copies it, and nothing else.
pub struct CopyOnWriteMap<K, V>(Content<K, V>);

#[derive(Clone)]
enum Content<K, V> {
    /// So few entries that they are copied with the map: most maps are small, and to share them costs more.
    Few(Segment<K, V>),
    Many {
        first: SharedSegment<K, V>,
        /// The other segments, once there is one.
        others: Option<Arc<Vec<SharedSegment<K, V>>>>,
    },
}

type Segment<K, V> = HashTable<(K, V)>;
type SharedSegment<K, V> = Arc<Segment<K, V>>;

/// With how many entries a segment that is shared is a reason to add another one.
const MOST_ENTRIES: usize = 1_024;

impl<K, V> Default for CopyOnWriteMap<K, V> {
    fn default() -> Self {
        CopyOnWriteMap(Content::Few(Segment::new()))
    }
}

impl<K: Clone, V: Clone> Clone for CopyOnWriteMap<K, V> {
    fn clone(&self) -> Self {
        CopyOnWriteMap(self.0.clone())
    }
}

impl<K, V> CopyOnWriteMap<K, V> {
    /// How many entries are few.
    pub const FEW_ENTRIES: usize = few::<(K, V)>();

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

    fn segments(&self) -> impl Iterator<Item = &Segment<K, V>> {
        let (first, others) = match &self.0 {
            Content::Few(segment) => (segment, None),
            Content::Many { first, others } => (&**first, others.as_ref()),
        };
        std::iter::once(first)
            .chain(others.into_iter().flat_map(|others| others.iter()).map(|other| &**other))
    }
}

/// Which of so many other segments, if there are any, holds a hash that is not in the first.
#[inline]
fn other_of<T>(hash: u64, others: Option<&Arc<Vec<T>>>) -> Option<usize> {
    let segments = 1 + others?.len();
    linear::segment_of(hash, segments, linear::mask_of(segments)).checked_sub(1)
}

impl<K: Hash + Eq, V> CopyOnWriteMap<K, V> {
    /// The value of `key`.
    #[inline]
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let hash = hash_of(key);
        let segment = match &self.0 {
            Content::Few(segment) => segment,
            Content::Many { first, others } => match (other_of(hash, others.as_ref()), others) {
                (Some(index), Some(others)) => &others[index],
                _ => first,
            },
        };
        segment.find(hash, |(other, _)| other.borrow() == key).map(|(_, value)| value)
    }

    /// Whether `key` has a value.
    #[inline]
    pub fn contains<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
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
                let entries = segment.len();
                if entries >= Self::FEW_ENTRIES {
                    self.grow(entries);
                }
                None
            }
        }
    }

    /// Changes the value of `key` in its place, which is `insert()` if there was none.
    #[inline]
    pub fn with_mut<Q, R>(
        &mut self,
        key: &Q,
        insert: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> R
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = hash_of(key);
        if let Some((_, value)) = self.segment_mut(hash).find_mut(hash, |(other, _)| other.borrow() == key) {
            return change(value);
        }
        let mut value = insert();
        let result = change(&mut value);
        self.insert(key.to_owned(), value);
        result
    }

    /// Removes the entry of `key`. Nothing is copied when there is none.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        if !self.contains(key) {
            return None;
        }
        let hash = hash_of(key);
        let found = self.segment_mut(hash).find_entry(hash, |(other, _)| other.borrow() == key).ok()?;
        let ((_, value), _) = found.remove();
        Some(value)
    }

    /// Removes all entries that `keep`, which may change the values, does not want. All that is shared is copied.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        match &mut self.0 {
            Content::Few(segment) => segment.retain(|(key, value)| keep(key, value)),
            Content::Many { first, others } => {
                let others = others.iter_mut().flat_map(Arc::make_mut);
                for segment in std::iter::once(first).chain(others) {
                    Arc::make_mut(segment).retain(|(key, value)| keep(key, value));
                }
            }
        }
        if self.is_empty() {
            *self = CopyOnWriteMap::default();
        }
    }

    /// The segment of a hash, which nobody else sees.
    #[inline]
    fn segment_mut(&mut self, hash: u64) -> &mut Segment<K, V> {
        match &mut self.0 {
            Content::Few(segment) => segment,
            Content::Many { first, others } => match (other_of(hash, others.as_ref()), others) {
                (Some(index), Some(others)) => Arc::make_mut(&mut Arc::make_mut(others)[index]),
                _ => Arc::make_mut(first),
            },
        }
    }

    /// Keeps what is copied at once small, after an insertion into a segment that has so many entries now.
    #[inline(never)]
    fn grow(&mut self, entries: usize) {
        match &mut self.0 {
            Content::Few(segment) => {
                let first = Arc::new(std::mem::take(segment));
                self.0 = Content::Many { first, others: None };
            }
            Content::Many { first, others } if entries >= MOST_ENTRIES => {
                add_segment(first, Arc::make_mut(others.get_or_insert_default()));
            }
            Content::Many { .. } => {}
        }
    }
}

/// Adds a segment, for which another one is split.
fn add_segment<K, V>(first: &mut SharedSegment<K, V>, others: &mut Vec<SharedSegment<K, V>>)
where
    K: Hash + Clone,
    V: Clone,
{
    let added = 1 + others.len();
    let source = match linear::source_of(added) {
        0 => first,
        other => &mut others[other - 1],
    };
    let moved = linear::split(Arc::make_mut(source), added, hash_of_entry);
    others.push(Arc::new(moved));
}

fn hash_of_entry<K: Hash, V>((key, _): &(K, V)) -> u64 {
    hash_of(key)
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for CopyOnWriteMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
