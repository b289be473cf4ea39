use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The number of a checkpoint. Ids start at 1 and strictly increase over the life of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointId(pub u64);

impl CheckpointId {
    /// The first id of a job.
    pub const FIRST: CheckpointId = CheckpointId(1);

    /// The id after this one.
    #[must_use]
    pub fn next(self) -> CheckpointId {
        CheckpointId(self.0 + 1)
    }
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of one execution of a job. Every restart draws a higher one, durably, before it restores.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Attempt(pub u32);

impl Attempt {
    /// The attempt after this one.
    #[must_use]
    pub fn next(self) -> Attempt {
        Attempt(self.0 + 1)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Tells one coordinator process from every other that ever ran the same job.
///
/// Drawn by the driver (at random, or counted in a model); it makes a pointer recognisable as one's own
/// after an answer of the store was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u64);

/// One parallel instance of an operator. Operators are numbered in topological order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SubtaskId {
    /// The operator's number in the job graph.
    pub operator: u16,
    /// The instance, from 0 to the operator's parallelism - 1.
    pub index: u16,
}

impl SubtaskId {
    /// Instance `index` of operator number `operator`.
    #[must_use]
    pub const fn new(operator: u16, index: u16) -> SubtaskId {
        SubtaskId { operator, index }
    }
}

impl fmt::Display for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.operator, self.index)
    }
}

/// The number of one input channel of a subtask, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Channel(pub u16);

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The identity of a job: 128 bits, written as 32 hexadecimal digits, as Flink does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobId(pub u128);

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

/// The text is not a job id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a job id: 32 hexadecimal digits are expected")]
pub struct ParseJobIdError(String);

impl FromStr for JobId {
    type Err = ParseJobIdError;

    /// Reads 32 hexadecimal digits.
    ///
    /// # Errors
    /// The text has another length or other characters.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        match u128::from_str_radix(text, 16) {
            Ok(id) if digits => Ok(JobId(id)),
            _ => Err(ParseJobIdError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_id_text_round_trips_and_rejects_everything_else() {
        let id = JobId(0x0123_4567_89ab_cdef_0000_0000_0000_0001);
        assert_eq!(id.to_string().parse::<JobId>(), Ok(id));
        for wrong in ["", "1", "+0000000000000000000000000000001", "g0000000000000000000000000000000"] {
            assert!(wrong.parse::<JobId>().is_err(), "{wrong}");
        }
    }
}
