//! Keys to key groups to subtasks, bit for bit as Flink assigns them.
//!
//! Keyed state moves between subtasks in *key groups*. A key's group depends only on the key and on the
//! operator's maximum parallelism, so it never changes over the life of a job; which subtask owns a group
//! depends on the parallelism as well. Every subtask owns one contiguous, non-empty range of groups.

mod assignment;
mod hash;
#[cfg(test)]
mod tests;

pub use assignment::{KeyGroup, KeyGroupError, KeyGroupRange, KeyGroupRangeAssignment, MaxParallelism};
pub use hash::{KeyHash, key_group_of};
