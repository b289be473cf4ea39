use crate::base::{
    Attempt, CheckpointId, CheckpointOptions, CompletedCheckpoint, DeclineReason, StateFile, StateHandle,
    SubtaskId,
};
use crate::publish::{
    Answer, Operation, PointerSequence, PublicationFailure, Recovered, RecoveryFailure, Skipped, Ticket,
};
use serde::{Deserialize, Serialize};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The job is to run.
    JobStarted,
    /// A storage operation has ended.
    StorageAnswered {
        /// The ticket of the operation.
        ticket: Ticket,
        /// How it ended.
        answer: Answer,
    },
    /// Every task of the attempt runs.
    TasksRunning {
        /// The attempt.
        attempt: Attempt,
    },
    /// A task says that its state is durable.
    AcknowledgeArrived {
        /// The attempt of the task.
        attempt: Attempt,
        /// The task.
        subtask: SubtaskId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Where the state lies.
        handle: Option<StateHandle>,
    },
    /// A task says that there will be no state.
    DeclineArrived {
        /// The attempt of the task.
        attempt: Attempt,
        /// The task.
        subtask: SubtaskId,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: DeclineReason,
    },
    /// A source has no more data.
    EndOfDataReported {
        /// The attempt of the source.
        attempt: Attempt,
        /// The source.
        subtask: SubtaskId,
    },
    /// A task has ended after its terminal checkpoint.
    TaskFinished {
        /// The attempt of the task.
        attempt: Attempt,
        /// The task.
        subtask: SubtaskId,
    },
    /// A task has failed.
    TaskFailed {
        /// The attempt of the task.
        attempt: Attempt,
        /// The task.
        subtask: SubtaskId,
        /// Whether a restart would fail in the same way (Flink: `SuppressRestartsException`).
        unrecoverable: bool,
    },
    /// Every task of the attempt has ended, after [`Output::CancelTasks`].
    TasksStopped {
        /// The attempt.
        attempt: Attempt,
    },
    /// The user wants the job to stop with a checkpoint.
    StopRequested,
    /// Time has passed.
    Tick,
}

/// What must be done, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Carry out an operation on the storage and report its answer.
    Perform {
        /// Identifies the operation.
        ticket: Ticket,
        /// What to do.
        operation: Operation,
    },
    /// Tell people that something cannot be read and is left out, before anything starts without it.
    Skipping(Skipped),
    /// Start every task, restored from what was recovered, and report when they run.
    StartTasks(Recovered),
    /// Make every task of the attempt end, and report when they have.
    CancelTasks {
        /// The attempt.
        attempt: Attempt,
    },
    /// Tell a source to begin a checkpoint.
    Trigger {
        /// The source.
        subtask: SubtaskId,
        /// Its attempt.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// How it is to be taken.
        options: CheckpointOptions,
    },
    /// Tell a task that a checkpoint is complete and durable.
    NotifyComplete {
        /// The task.
        subtask: SubtaskId,
        /// Its attempt.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// Tell a task that a checkpoint was aborted.
    NotifyAborted {
        /// The task.
        subtask: SubtaskId,
        /// Its attempt.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// A checkpoint is complete and durable: for progress and metrics.
    Completed(CompletedCheckpoint),
    /// A checkpoint was aborted: for progress and metrics.
    Aborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: AbortReason,
    },
    /// Delete a file that no checkpoint refers to; failing to is harmless.
    DiscardState(StateFile),
    /// Delete everything of a checkpoint that no longer counts; failing to is harmless.
    DeleteCheckpoint(CheckpointId),
    /// Delete a pointer that nobody needs; failing to is harmless.
    DeletePointer(PointerSequence),
    /// The job has ended.
    JobEnded(Outcome),
}

/// Why a checkpoint was aborted (conformance section 4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum AbortReason {
    /// A task declined it.
    Declined(SubtaskId, DeclineReason),
    /// It took longer than the timeout (Flink: `CHECKPOINT_EXPIRED`).
    Expired,
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
    //= spec/coordinator.md#coord-9-which-failures-count
    //# A checkpoint MUST count as failed exactly when a part failed, it expired or the storage did not take it.
    pub fn counts_as_failure(self) -> bool {
        match self {
            AbortReason::Declined(_, reason) => reason.counts_as_failure(),
            AbortReason::Expired | AbortReason::PublicationFailed(PublicationFailure::StorageFailed) => true,
            AbortReason::PublicationFailed(PublicationFailure::IdTaken)
            | AbortReason::Subsumed
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
    /// Another process has taken the job over.
    Fenced,
    /// The newest checkpoint could not be found or read.
    RecoveryFailed(RecoveryFailure),
}
