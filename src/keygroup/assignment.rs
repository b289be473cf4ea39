use super::{KeyHash, key_group_of};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The number of a key group, from 0 to the maximum parallelism - 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyGroup(pub u16);

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why key groups cannot be assigned as asked. The caller, or the job's configuration, must change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyGroupError {
    /// A maximum parallelism outside 1..=32768.
    #[error("maximum parallelism {0} is not between 1 and {max}", max = MaxParallelism::UPPER_BOUND)]
    MaxParallelism(u32),
    /// A parallelism of 0, or above the maximum parallelism.
    #[error("parallelism {parallelism} is not between 1 and the maximum parallelism {max_parallelism}")]
    Parallelism {
        /// The parallelism that was asked for.
        parallelism: u16,
        /// The maximum parallelism it must not exceed.
        max_parallelism: MaxParallelism,
    },
    /// A subtask number that the parallelism does not have.
    #[error("subtask {subtask} does not exist: the parallelism is {parallelism}")]
    Subtask {
        /// The subtask that was asked for.
        subtask: u16,
        /// The parallelism.
        parallelism: u16,
    },
    /// A range that ends before it starts.
    #[error("key groups {start} to {end} are not a range: a range holds at least one group")]
    EmptyRange {
        /// The first group.
        start: KeyGroup,
        /// The last group.
        end: KeyGroup,
    },
}

/// The number of key groups of an operator, 1 to 32768: an upper bound of its parallelism, fixed for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u16", into = "u16")]
pub struct MaxParallelism(u16);

impl MaxParallelism {
    /// The most key groups there can be (Flink: `UPPER_BOUND_MAX_PARALLELISM`).
    pub const UPPER_BOUND: u16 = 1 << 15;
    /// The fewest key groups that are chosen by default (Flink: `DEFAULT_LOWER_BOUND_MAX_PARALLELISM`).
    pub const DEFAULT_LOWER_BOUND: u16 = 1 << 7;

    /// A maximum parallelism of `groups`.
    ///
    /// # Errors
    /// [`KeyGroupError::MaxParallelism`] unless `groups` is between 1 and 32768.
    pub fn new(groups: u16) -> Result<Self, KeyGroupError> {
        if (1..=Self::UPPER_BOUND).contains(&groups) {
            Ok(MaxParallelism(groups))
        } else {
            Err(KeyGroupError::MaxParallelism(groups.into()))
        }
    }

    /// The maximum parallelism of an operator that sets none: one and a half times its parallelism, rounded
    /// up to a power of two, between 128 and 32768.
    ///
    /// # Errors
    /// [`KeyGroupError::MaxParallelism`] unless `parallelism` is between 1 and 32768.
    pub fn default_for(parallelism: u16) -> Result<Self, KeyGroupError> {
        MaxParallelism::new(parallelism)?;
        let wide = u32::from(parallelism);
        let groups = (wide + wide / 2).next_power_of_two();
        let clamped = groups.clamp(Self::DEFAULT_LOWER_BOUND.into(), Self::UPPER_BOUND.into());
        // The clamp keeps the value within u16.
        u16::try_from(clamped).map_or(Err(KeyGroupError::MaxParallelism(clamped)), MaxParallelism::new)
    }

    /// The number of key groups.
    #[must_use]
    pub const fn get(self) -> u16 {
        self.0
    }

    /// All key groups, as one range.
    #[must_use]
    pub const fn all_groups(self) -> KeyGroupRange {
        KeyGroupRange { start: KeyGroup(0), end: KeyGroup(self.0 - 1) }
    }
}

impl fmt::Display for MaxParallelism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl TryFrom<u16> for MaxParallelism {
    type Error = KeyGroupError;

    fn try_from(groups: u16) -> Result<Self, KeyGroupError> {
        MaxParallelism::new(groups)
    }
}

impl From<MaxParallelism> for u16 {
    fn from(max_parallelism: MaxParallelism) -> u16 {
        max_parallelism.0
    }
}

/// A contiguous, non-empty range of key groups; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "(KeyGroup, KeyGroup)", into = "(KeyGroup, KeyGroup)")]
pub struct KeyGroupRange {
    start: KeyGroup,
    end: KeyGroup,
}

impl KeyGroupRange {
    /// The groups from `start` to `end`, both included.
    ///
    /// # Errors
    /// [`KeyGroupError::EmptyRange`] when `end` lies before `start`.
    pub fn new(start: KeyGroup, end: KeyGroup) -> Result<Self, KeyGroupError> {
        if start <= end {
            Ok(KeyGroupRange { start, end })
        } else {
            Err(KeyGroupError::EmptyRange { start, end })
        }
    }

    /// The groups that `subtask` of `parallelism` owns; shorthand for a [`KeyGroupRangeAssignment`].
    ///
    /// # Errors
    /// The parallelism is 0 or above the maximum, or there is no such subtask.
    pub fn range_of(
        max_parallelism: MaxParallelism,
        parallelism: u16,
        subtask: u16,
    ) -> Result<Self, KeyGroupError> {
        KeyGroupRangeAssignment::new(max_parallelism, parallelism)?.range_of(subtask)
    }

    /// The first group.
    #[must_use]
    pub const fn start(self) -> KeyGroup {
        self.start
    }

    /// The last group, which belongs to the range.
    #[must_use]
    pub const fn end(self) -> KeyGroup {
        self.end
    }

    /// The number of groups, at least one.
    #[must_use]
    pub const fn count(self) -> usize {
        (self.end.0 - self.start.0) as usize + 1
    }

    /// Whether `group` belongs to the range.
    #[must_use]
    pub const fn contains(self, group: KeyGroup) -> bool {
        self.start.0 <= group.0 && group.0 <= self.end.0
    }

    /// Whether a group belongs to both.
    #[must_use]
    pub const fn overlaps(self, other: KeyGroupRange) -> bool {
        self.start.0 <= other.end.0 && other.start.0 <= self.end.0
    }

    /// The groups that belong to both ranges; `None` when there are none.
    #[must_use]
    pub fn intersect(self, other: KeyGroupRange) -> Option<KeyGroupRange> {
        KeyGroupRange::new(self.start.max(other.start), self.end.min(other.end)).ok()
    }

    /// The groups in ascending order.
    pub fn groups(self) -> impl DoubleEndedIterator<Item = KeyGroup> {
        (self.start.0..=self.end.0).map(KeyGroup)
    }

    /// The place of `group` in the range, from 0; `None` when it does not belong to it.
    #[must_use]
    pub const fn position(self, group: KeyGroup) -> Option<usize> {
        if self.contains(group) { Some((group.0 - self.start.0) as usize) } else { None }
    }
}

impl fmt::Display for KeyGroupRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}, {}]", self.start, self.end)
    }
}

impl TryFrom<(KeyGroup, KeyGroup)> for KeyGroupRange {
    type Error = KeyGroupError;

    fn try_from((start, end): (KeyGroup, KeyGroup)) -> Result<Self, KeyGroupError> {
        KeyGroupRange::new(start, end)
    }
}

impl From<KeyGroupRange> for (KeyGroup, KeyGroup) {
    fn from(range: KeyGroupRange) -> (KeyGroup, KeyGroup) {
        (range.start, range.end)
    }
}

/// Which subtask of an operator owns which key groups (Flink: `KeyGroupRangeAssignment`).
///
/// The parallelism is checked once, here, so that the questions per record cannot fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyGroupRangeAssignment {
    max_parallelism: MaxParallelism,
    parallelism: u16,
}

impl KeyGroupRangeAssignment {
    /// The assignment of `max_parallelism` groups to `parallelism` subtasks.
    ///
    /// # Errors
    /// [`KeyGroupError::Parallelism`] when `parallelism` is 0 or above the maximum parallelism: some subtask
    /// would own no group.
    pub fn new(max_parallelism: MaxParallelism, parallelism: u16) -> Result<Self, KeyGroupError> {
        if (1..=max_parallelism.get()).contains(&parallelism) {
            Ok(KeyGroupRangeAssignment { max_parallelism, parallelism })
        } else {
            Err(KeyGroupError::Parallelism { parallelism, max_parallelism })
        }
    }

    /// The number of key groups.
    #[must_use]
    pub const fn max_parallelism(self) -> MaxParallelism {
        self.max_parallelism
    }

    /// The number of subtasks.
    #[must_use]
    pub const fn parallelism(self) -> u16 {
        self.parallelism
    }

    /// The groups that `subtask` owns.
    ///
    /// # Errors
    /// [`KeyGroupError::Subtask`] when there is no such subtask.
    pub fn range_of(self, subtask: u16) -> Result<KeyGroupRange, KeyGroupError> {
        if subtask >= self.parallelism {
            return Err(KeyGroupError::Subtask { subtask, parallelism: self.parallelism });
        }
        let (groups, subtasks) = (u32::from(self.max_parallelism.get()), u32::from(self.parallelism));
        let index = u32::from(subtask);
        // Both are below the maximum parallelism, hence below 32768.
        let start = (index * groups).div_ceil(subtasks) as u16;
        let end = (((index + 1) * groups - 1) / subtasks) as u16;
        Ok(KeyGroupRange { start: KeyGroup(start), end: KeyGroup(end) })
    }

    /// The subtask that owns `group`. A group that does not exist is counted to the last subtask.
    #[must_use]
    pub fn owner_of(self, group: KeyGroup) -> u16 {
        let group = group.0.min(self.max_parallelism.get() - 1);
        let owner = u32::from(group) * u32::from(self.parallelism) / u32::from(self.max_parallelism.get());
        owner as u16
    }

    /// The subtask that owns `key`: where a keyed exchange sends a record.
    #[must_use]
    pub fn owner_of_key<K: KeyHash + ?Sized>(self, key: &K) -> u16 {
        self.owner_of(key_group_of(key.key_hash(), self.max_parallelism))
    }
}
