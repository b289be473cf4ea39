//! The key groups of an operator, whose number a checkpoint may decide.

use crate::keygroup::{KeyGroupError, KeyGroupRangeAssignment, MaxParallelism};
use std::sync::{Arc, Mutex, PoisonError};

/// The key groups of an operator with keyed state. If the program does not say how many there are, it is what the checkpoint says from
/// which the job starts (Flink: `VertexParallelismInformation`).
#[derive(Clone)]
pub(super) struct OperatorKeyGroups {
    assignment: Arc<Mutex<KeyGroupRangeAssignment>>,
    /// Whether the program says it.
    pub(super) is_explicit: bool,
}

impl OperatorKeyGroups {
    /// # Errors
    /// There are fewer key groups than subtasks.
    pub(super) fn new(max: Option<MaxParallelism>, parallelism: u16) -> Result<Self, KeyGroupError> {
        let is_explicit = max.is_some();
        let max = max.map_or_else(|| MaxParallelism::default_for(parallelism), Ok)?;
        let assignment = Arc::new(Mutex::new(KeyGroupRangeAssignment::new(max, parallelism)?));
        Ok(OperatorKeyGroups { assignment, is_explicit })
    }

    /// Those of each subtask. It changes only between attempts.
    pub(super) fn assignment(&self) -> KeyGroupRangeAssignment {
        *self.assignment.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the number that the checkpoint says.
    pub(super) fn adopt(&self, max_parallelism: u16) -> Result<(), KeyGroupError> {
        let mut assignment = self.assignment.lock().unwrap_or_else(PoisonError::into_inner);
        let max = MaxParallelism::new(max_parallelism)?;
        *assignment = KeyGroupRangeAssignment::new(max, assignment.parallelism())?;
        Ok(())
    }
}
