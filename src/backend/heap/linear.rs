//! Linear hashing: the number of segments grows by one at a time, and each new one takes its entries from one other.

use hashbrown::HashTable;

/// The bits of a hash that choose the segment. `HashTable` uses the lowest and the seven highest ones, which must stay
/// different within a segment.
const SEGMENT_BITS_SHIFT: u32 = 32;

/// What a number of segments, at least one, is masked with: the number rounded up to a power of two, less one.
#[inline]
pub(super) fn mask_of(segments: usize) -> usize {
    segments.next_power_of_two() - 1
}

/// The segment of `hash` among `segments`, whose mask is `mask`.
#[inline]
pub(super) fn segment_of(hash: u64, segments: usize, mask: usize) -> usize {
    let index = (hash >> SEGMENT_BITS_SHIFT) as usize & mask;
    // The upper half of the mask is still to be split off the lower one.
    if index < segments { index } else { index & (mask >> 1) }
}

/// The segment that is split when segment `added`, which is not the first, is added.
pub(super) fn source_of(added: usize) -> usize {
    added & (mask_of(added + 1) >> 1)
}

/// Takes what belongs to segment `added` out of its source.
pub(super) fn split<T>(source: &mut HashTable<T>, added: usize, hash: impl Fn(&T) -> u64) -> HashTable<T> {
    let mask = mask_of(added + 1);
    let mut moved = HashTable::with_capacity(source.len() / 2);
    for entry in source.extract_if(|entry| segment_of(hash(entry), added + 1, mask) == added) {
        moved.insert_unique(hash(&entry), entry, &hash);
    }
    source.shrink_to_fit(&hash);
    moved
}
