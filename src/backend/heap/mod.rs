mod list;
mod map;
mod user_map;
use foldhash::fast::FixedState;
pub use list::CopyOnWriteList;
pub use map::{SegmentedMap, SharedMap};
use std::hash::{BuildHasher, Hash};
pub use user_map::CopyOnWriteMap;
/// The hash by which tables find a key.
pub fn hash_of<K: Hash>(key: &K) -> u64 {
    const HASHER: FixedState = FixedState::with_seed(0x534e_4150_4c49_4e45);
    HASHER.hash_one(key)
}
