//! Where the heap backend keeps its objects (Flink: `HashMapStateBackend`).
//!
//! Each state has one [`SegmentedMap`] per key group. A snapshot shares the *segments* of the maps, some thousand entries
//! each, which takes nanoseconds per segment; afterwards the first write to a segment copies it as long as the snapshot
//! lives. What can be large by itself, the list or the map of one key, is shared and copied in parts, too. Nothing is
//! ever locked. The typed state on top is [`state`](crate::state).

mod copy_on_write;
mod linear;
mod list;
mod segmented_map;
#[cfg(test)]
mod tests;
mod user_map;

/// What the sharing is made of; `tests/loom.rs` puts loom's in its place.
mod sync {
    pub(super) use std::sync::Arc;
}

pub use list::CopyOnWriteList;
pub use segmented_map::{SegmentedMap, SharedMap, Visit, Visited};
pub use user_map::CopyOnWriteMap;

use foldhash::fast::FixedState;
use std::hash::{BuildHasher, Hash};

/// The hash by which tables find a key. It is not the one of key groups: all keys of a group are alike there.
///
/// The seed is fixed so that equal runs do equal things; the hash never leaves the process.
#[inline]
pub fn hash_of<K: Hash + ?Sized>(key: &K) -> u64 {
    const HASHER: FixedState = FixedState::with_seed(0x534e_4150_4c49_4e45);
    HASHER.hash_one(key)
}

/// How many elements of a list or a map are so few that they are copied at once: some 2 KiB, fewer if to copy them is to
/// allocate. A segment of a table holds hundreds of lists and maps.
const fn few<T>() -> usize {
    match 2_048 / if size_of::<T>() == 0 { 1 } else { size_of::<T>() } {
        0..=16 => 16,
        _ if std::mem::needs_drop::<T>() => 16,
        most @ 17..=128 => most,
        _ => 128,
    }
}
