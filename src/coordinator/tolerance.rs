//! How many checkpoints have failed in a row.

use super::{AbortReason, Coordinator, pending::Pending};
use crate::base::CheckpointId;
use serde::Serialize;

/// The failures in a row of one attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Failures {
    consecutive: u32,
    /// The highest checkpoint that completed.
    newest_success: Option<CheckpointId>,
}

impl Failures {
    pub(super) fn forget(&mut self) {
        *self = Failures::default();
    }

    pub(super) fn succeeded(&mut self, checkpoint: CheckpointId) {
        //= spec/coordinator.md#coord-11-a-success-resets-the-count
        //# A completed checkpoint that is newer than every other MUST reset the count of consecutive failures.
        if self.newest_success < Some(checkpoint) {
            *self = Failures { consecutive: 0, newest_success: Some(checkpoint) };
        }
    }
}

impl Coordinator {
    /// Counts an aborted checkpoint if it counts, and says whether that was one too many.
    pub(super) fn failed_too_often(
        &mut self,
        checkpoint: CheckpointId,
        aborted: &Pending,
        reason: AbortReason,
    ) -> bool {
        //= spec/coordinator.md#coord-9-which-failures-count
        //# A checkpoint MUST count as failed exactly when a part failed, it expired or the storage did not take it.
        let is_late = Some(checkpoint) < self.failures.newest_success;
        //= spec/coordinator.md#coord-40-failed-savepoints-do-not-count
        //# A failed savepoint MUST NOT count towards the tolerable failures.
        if !reason.counts_as_failure() || aborted.kind.is_savepoint() || is_late {
            return false;
        }
        self.failures.consecutive += 1;
        //= spec/coordinator.md#coord-10-too-many-failures-in-a-row-stop-the-tasks
        //# More consecutive failures than tolerated MUST stop all tasks.
        self.failures.consecutive > self.config.tolerable_failures
    }
}
