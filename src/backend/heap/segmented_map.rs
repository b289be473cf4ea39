use super::copy_on_write::CopyOnWrite;
use super::linear;
use super::sync::Arc;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use std::fmt;

/// A hash table in segments, which snapshots share until they are written to.
///
/// The number of segments grows by linear hashing: one at a time, each taking its entries from one other, so that no
/// single insertion pays for the size of the whole map.
///
/// The caller supplies hash and equality, so that a key is looked up by its parts without being put together. `hash`
/// is always that of the key which `is` recognises, `rehash` gives the same for a key of the map, and neither panics.
/// The bits of the hash must be good from the lowest to the highest.
pub struct SegmentedMap<Q, V> {
    segments: Vec<CopyOnWrite<Segment<Q, V>>>,
    /// That of the number of segments.
    mask: usize,
    len: usize,
}

type Segment<Q, V> = HashTable<(Q, V)>;

/// What is done to a value that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// Nothing; if it is shared it stays so.
    Keep,
    /// It is changed.
    Change,
    /// It is removed.
    Remove,
}

/// A value that was looked at.
#[derive(Debug)]
pub enum Visited<'a, V> {
    /// It is as it was.
    Kept(&'a V),
    /// It may be changed.
    Changed(&'a mut V),
    /// It is not in the map any more.
    Removed(V),
}

impl<Q, V> Default for SegmentedMap<Q, V> {
    fn default() -> Self {
        SegmentedMap { segments: Vec::new(), mask: 0, len: 0 }
    }
}

impl<Q, V> SegmentedMap<Q, V> {
    /// How many entries a segment has on average. So many are copied by the first write to it after a snapshot, and
    /// so many times fewer segments are there to be shared by a snapshot: large segments make snapshots short,
    /// small ones writes.
    pub const ENTRIES_PER_SEGMENT: usize = {
        let most = 32 * 1024 / if size_of::<(Q, V)>() == 0 { 1 } else { size_of::<(Q, V)>() };
        // To copy what owns memory is to allocate.
        if most <= 512 || std::mem::needs_drop::<(Q, V)>() {
            512
        } else if most <= 2_048 {
            most
        } else {
            2_048
        }
    };

    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The number of entries in one segment; `None` if there are not so many segments.
    #[must_use]
    pub fn segment_len(&self, segment: usize) -> Option<usize> {
        self.segments.get(segment).map(|segment| segment.read().len())
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Q, &V)> {
        self.segments.iter().flat_map(|segment| segment.read()).map(|(key, value)| (key, value))
    }

    /// The value of the key.
    #[inline]
    pub fn get(&self, hash: u64, is: impl Fn(&Q) -> bool) -> Option<&V> {
        let segment = self.segments.get(self.index_of(hash))?;
        segment.read().find(hash, |(key, _)| is(key)).map(|(_, value)| value)
    }

    /// The content as it is now; the time it takes grows with the number of segments.
    #[must_use = "sharing makes the next writes copy"]
    pub fn share(&mut self) -> SharedMap<Q, V> {
        SharedMap { segments: self.segments.iter_mut().map(CopyOnWrite::share).collect(), len: self.len }
    }

    /// The segment of a hash. It exists unless there is none at all.
    #[inline]
    fn index_of(&self, hash: u64) -> usize {
        linear::segment_of(hash, self.segments.len(), self.mask)
    }
}

impl<Q: Clone, V: Clone> SegmentedMap<Q, V> {
    /// The value of the key, to be changed. Nothing is copied when there is none.
    // A call costs a fifth of the access.
    #[inline(always)]
    pub fn get_mut(&mut self, hash: u64, is: impl Fn(&Q) -> bool) -> Option<&mut V> {
        let segment = self.segment_with(hash, &is)?;
        segment.find_mut(hash, |(key, _)| is(key)).map(|(_, value)| value)
    }

    /// The value of the key, to be changed; if there is none, `make` makes the entry first.
    #[inline]
    pub fn get_or_insert_with(
        &mut self,
        hash: u64,
        is: impl Fn(&Q) -> bool,
        rehash: impl Fn(&Q) -> u64,
        make: impl FnOnce() -> (Q, V),
    ) -> &mut V {
        self.make_room(&rehash);
        let index = self.index_of(hash);
        match self.segments[index].write().find_entry(hash, |(key, _)| is(key)) {
            Ok(found) => &mut found.into_mut().1,
            Err(absent) => {
                let added = insert_into(absent.into_table(), hash, make(), rehash);
                self.len += 1;
                added
            }
        }
    }

    /// Puts `value` in the place of that of the key, which it returns; if there is none, `make_key` makes the key.
    #[inline]
    pub fn insert(
        &mut self,
        hash: u64,
        is: impl Fn(&Q) -> bool,
        rehash: impl Fn(&Q) -> u64,
        make_key: impl FnOnce() -> Q,
        value: V,
    ) -> Option<V> {
        self.make_room(&rehash);
        let index = self.index_of(hash);
        match self.segments[index].write().find_entry(hash, |(key, _)| is(key)) {
            Ok(found) => Some(std::mem::replace(&mut found.into_mut().1, value)),
            Err(absent) => {
                insert_into(absent.into_table(), hash, (make_key(), value), rehash);
                self.len += 1;
                None
            }
        }
    }

    /// Puts what `change` makes of the value of the key in its place; `None` stands for no entry. Should `change`
    /// panic, the entry is gone.
    #[inline]
    pub fn modify(
        &mut self,
        hash: u64,
        is: impl Fn(&Q) -> bool,
        rehash: impl Fn(&Q) -> u64,
        make_key: impl FnOnce() -> Q,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) {
        let index = self.index_of(hash);
        if let Some(segment) = self.segments.get_mut(index)
            && holds(segment, hash, &is)
            && let Ok(found) = segment.write().find_entry(hash, |(key, _)| is(key))
        {
            // It is not counted while it is in the hands of `change`, which may panic.
            self.len -= 1;
            match found.replace_entry_with(|(key, value)| change(Some(value)).map(|value| (key, value))) {
                Entry::Occupied(_) => self.len += 1,
                Entry::Vacant(_) => self.release_if_empty(),
            }
        } else if let Some(value) = change(None) {
            self.make_room(&rehash);
            let index = self.index_of(hash);
            insert_into(self.segments[index].write(), hash, (make_key(), value), rehash);
            self.len += 1;
        }
    }

    /// Removes the entry of the key. Nothing is copied when there is none.
    #[inline]
    pub fn remove(&mut self, hash: u64, is: impl Fn(&Q) -> bool) -> Option<V> {
        let segment = self.segment_with(hash, &is)?;
        let found = segment.find_entry(hash, |(key, _)| is(key)).ok()?;
        let ((_, value), _) = found.remove();
        self.len -= 1;
        self.release_if_empty();
        Some(value)
    }

    /// Looks at the value of the key and does to it what `decide` says.
    #[inline]
    pub fn visit(
        &mut self,
        hash: u64,
        is: impl Fn(&Q) -> bool,
        decide: impl FnOnce(&V) -> Visit,
    ) -> Option<Visited<'_, V>> {
        let index = self.index_of(hash);
        let segment = self.segments.get(index)?.read();
        let bucket = segment.find_bucket_index(hash, |(key, _)| is(key))?;
        match decide(&segment.get_bucket(bucket)?.1) {
            Visit::Keep => {
                self.segments[index].read().get_bucket(bucket).map(|(_, value)| Visited::Kept(value))
            }
            // To write may copy the segment, in which nothing need lie where it lay.
            Visit::Change => {
                let found = self.segments[index].write().find_mut(hash, |(key, _)| is(key));
                found.map(|(_, value)| Visited::Changed(value))
            }
            Visit::Remove => {
                let found = self.segments[index].write().find_entry(hash, |(key, _)| is(key));
                let ((_, value), _) = found.ok()?.remove();
                self.len -= 1;
                self.release_if_empty();
                Some(Visited::Removed(value))
            }
        }
    }

    /// Does to every entry of one segment what `decide` says; `touch` is given each value that is to be changed, to do that,
    /// and each that is removed. Who goes through all segments by
    /// their numbers, also while the map changes, has seen every entry that was there all the time: a segment that is
    /// split gives its entries to a later one. A segment that is shared is copied only if something is to be done.
    pub fn visit_segment(
        &mut self,
        segment: usize,
        decide: impl Fn(&V) -> Visit,
        mut touch: impl FnMut(&mut V, Visit),
    ) {
        let Some(segment) = self.segments.get_mut(segment) else { return };
        if segment.read().iter().all(|(_, value)| decide(value) == Visit::Keep) {
            return;
        }
        let segment = Counted::new(segment.write(), &mut self.len);
        segment.table.retain(|(_, value)| {
            let visit = decide(value);
            if visit != Visit::Keep {
                touch(value, visit);
            }
            visit != Visit::Remove
        });
        drop(segment);
        self.release_if_empty();
    }

    /// Removes all entries that `keep` does not want. This copies every segment that is shared.
    pub fn retain(&mut self, mut keep: impl FnMut(&Q, &mut V) -> bool) {
        for segment in &mut self.segments {
            let segment = Counted::new(segment.write(), &mut self.len);
            segment.table.retain(|(key, value)| keep(key, value));
        }
        self.release_if_empty();
    }

    /// Removes all entries and gives the memory back.
    pub fn clear(&mut self) {
        *self = SegmentedMap::default();
    }

    /// The segment of the key, to be changed, unless it is shared and does not hold the key.
    #[inline]
    fn segment_with(&mut self, hash: u64, is: &impl Fn(&Q) -> bool) -> Option<&mut Segment<Q, V>> {
        let index = self.index_of(hash);
        let segment = self.segments.get_mut(index)?;
        if holds(segment, hash, is) { Some(segment.write()) } else { None }
    }

    /// Adds a segment when the segments have become too full.
    #[inline]
    fn make_room(&mut self, rehash: &impl Fn(&Q) -> u64) {
        if self.len >= self.segments.len() * Self::ENTRIES_PER_SEGMENT {
            self.add_segment(rehash);
        }
    }

    /// Adds a segment, for which another one is split.
    #[cold]
    #[inline(never)]
    fn add_segment(&mut self, rehash: &impl Fn(&Q) -> u64) {
        let index = self.segments.len();
        let mut added = Segment::new();
        if index > 0 {
            let source = self.segments[linear::source_of(index)].write();
            let source = Counted::new(source, &mut self.len);
            added = linear::split(source.table, index, |(key, _)| rehash(key));
        }
        self.mask = linear::mask_of(index + 1);
        self.len += added.len();
        self.segments.push(CopyOnWrite::Owned(added));
    }

    /// Gives the memory of a map back that had grown and is empty again.
    #[inline]
    fn release_if_empty(&mut self) {
        if self.len == 0 && self.segments.len() > 1 {
            self.clear();
        }
    }
}

/// Whether a segment that is shared holds the key. Of one that is not, nobody needs to know.
#[inline]
fn holds<Q, V>(segment: &CopyOnWrite<Segment<Q, V>>, hash: u64, is: &impl Fn(&Q) -> bool) -> bool {
    !segment.is_shared() || segment.read().find(hash, |(key, _)| is(key)).is_some()
}

/// Adds an entry whose key the segment does not hold.
#[inline(never)]
fn insert_into<Q, V>(
    segment: &mut Segment<Q, V>,
    hash: u64,
    entry: (Q, V),
    rehash: impl Fn(&Q) -> u64,
) -> &mut V {
    &mut segment.insert_unique(hash, entry, |(key, _)| rehash(key)).into_mut().1
}

/// A segment whose entries are counted anew when it is let go, be it by a panic.
struct Counted<'a, Q, V> {
    table: &'a mut Segment<Q, V>,
    len: &'a mut usize,
}

impl<'a, Q, V> Counted<'a, Q, V> {
    fn new(table: &'a mut Segment<Q, V>, len: &'a mut usize) -> Self {
        *len -= table.len();
        Counted { table, len }
    }
}

impl<Q, V> Drop for Counted<'_, Q, V> {
    fn drop(&mut self) {
        *self.len += self.table.len();
    }
}

impl<Q, V> fmt::Debug for SegmentedMap<Q, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SegmentedMap { segments, len, .. } = self;
        f.debug_struct("SegmentedMap").field("len", len).field("segments", &segments.len()).finish()
    }
}

/// The content of a [`SegmentedMap`] at one moment. It never changes; dropping it frees what only it held.
pub struct SharedMap<Q, V> {
    segments: Vec<Arc<Segment<Q, V>>>,
    len: usize,
}

impl<Q, V> SharedMap<Q, V> {
    /// The number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All entries, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&Q, &V)> {
        self.segments.iter().flat_map(|segment| segment.iter()).map(|(key, value)| (key, value))
    }
}

impl<Q, V> Clone for SharedMap<Q, V> {
    fn clone(&self) -> Self {
        SharedMap { segments: self.segments.clone(), len: self.len }
    }
}

impl<Q, V> fmt::Debug for SharedMap<Q, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SharedMap { segments, len } = self;
        f.debug_struct("SharedMap").field("len", len).field("segments", &segments.len()).finish()
    }
}
