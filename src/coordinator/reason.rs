use crate::base::{CheckpointId, DeclineReason, SubtaskId};
use crate::publish::{PublicationFailure, RecoveryFailure};
use serde::{Deserialize, Serialize};

/// Why a checkpoint was aborted (conformance section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AbortReason {
    /// A task declined it.
    Declined(SubtaskId, DeclineReason),
    /// It took longer than the timeout (Flink: `CHECKPOINT_EXPIRED`).
    Expired,
    /// A task that was still to acknowledge it has finished.
    TaskFinished(SubtaskId),
    /// An acknowledgement of this task refers to shared files that are not there.
    SharedFilesMissing(SubtaskId),
    /// A later checkpoint completed first (Flink: `CHECKPOINT_SUBSUMED`).
    Subsumed,
    /// It could not be made visible (Flink: `FINALIZE_CHECKPOINT_FAILURE`).
    PublicationFailed(PublicationFailure),
    /// The tasks failed or were stopped (Flink: `CHECKPOINT_COORDINATOR_SUSPEND`).
    Suspended,
}

impl AbortReason {
    /// Whether it counts towards the tolerable failures (COORD-9).
    #[must_use]
    pub fn counts_as_failure(self) -> bool {
        match self {
            AbortReason::Declined(_, reason) => reason.counts_as_failure(),
            AbortReason::Expired
            | AbortReason::SharedFilesMissing(_)
            | AbortReason::PublicationFailed(PublicationFailure::StorageFailed) => true,
            AbortReason::PublicationFailed(PublicationFailure::IdTaken)
            | AbortReason::Subsumed
            | AbortReason::TaskFinished(_)
            | AbortReason::Suspended => false,
        }
    }
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Outcome {
    /// All data was processed and its output committed.
    Finished,
    /// The job was stopped with this checkpoint.
    Stopped(CheckpointId),
    /// Tasks failed more often than the restart strategy allows.
    RestartsExhausted,
    /// A task failed in a way that no restart can mend.
    Unrecoverable,
    /// More checkpoints failed in a row than tolerated, and no restart is left.
    TooManyCheckpointFailures,
    /// The user has cancelled the job.
    Cancelled,
    /// The process has given the job up; another one can go on with it.
    Suspended,
    /// Another process has taken the job over.
    Fenced,
    /// The newest checkpoint could not be found or read.
    RecoveryFailed(RecoveryFailure),
}
