use super::{AbortReason, Outcome, RequestId, RequestKind, RequestOutcome};
use crate::base::{
    Attempt, CheckpointId, CheckpointOptions, CompletedCheckpoint, DeclineReason, SharedObject, SharedState,
    StateFile, StateHandle, SubtaskId,
};
use crate::publish::{Answer, Operation, PointerSequence, Recovered, Skipped, Ticket};
use crate::subtask;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// Every task of the attempt runs or has finished.
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
        /// Where the state lies that only this checkpoint has.
        handle: Option<StateHandle>,
        /// The state that it may have in common with other checkpoints.
        shared: Option<SharedState>,
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
    /// A task has ended: after its terminal checkpoint, or before because nothing is left for it to do. It writes no
    /// more state, and its outputs are closed.
    TaskFinished {
        /// The attempt of the task.
        attempt: Attempt,
        /// The task.
        subtask: SubtaskId,
    },
    /// A source says whether it has fallen behind so far that fewer checkpoints serve it better.
    BacklogReported {
        /// The attempt of the source.
        attempt: Attempt,
        /// The source.
        subtask: SubtaskId,
        /// Whether it processes a backlog.
        has_backlog: bool,
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
    /// A user asks for a checkpoint, and is answered exactly once.
    CheckpointRequested {
        /// Identifies the request; the driver never uses one twice.
        request: RequestId,
        /// What is asked for.
        kind: RequestKind,
    },
    /// A user switches periodic checkpoints off or on; they are on at first.
    PeriodicCheckpointsSwitched {
        /// Whether they are taken from now on.
        on: bool,
    },
    /// [`Output::DeleteCheckpoint`] has ended, well or not.
    CleanupEnded {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// [`Output::DeleteShared`] has ended.
    SharedDeletionEnded {
        /// The object.
        object: SharedObject,
        /// Whether it certainly does not exist any more.
        is_deleted: bool,
    },
    /// [`Output::ListShared`] has ended well.
    SharedListed {
        /// Every shared object that was found.
        objects: BTreeSet<SharedObject>,
    },
    /// A user wants the job to end without a checkpoint.
    CancelRequested,
    /// The process is to give the job up, so that another one can go on with it.
    SuspendRequested,
    /// Time has passed.
    Tick,
}

impl Input {
    /// What the coordinator is to be told when the machine of `subtask` has said `output`, if anything. A driver whose
    /// tasks share files puts them into the acknowledgement.
    #[must_use]
    pub fn reported_by(subtask: SubtaskId, output: &subtask::Output) -> Option<Input> {
        match *output {
            subtask::Output::Acknowledge { checkpoint, attempt, ref handle, .. } => {
                let handle = handle.clone();
                Some(Input::AcknowledgeArrived { attempt, subtask, checkpoint, handle, shared: None })
            }
            subtask::Output::Decline { checkpoint, attempt, reason } => {
                Some(Input::DeclineArrived { attempt, subtask, checkpoint, reason })
            }
            subtask::Output::ReportEndOfData { attempt } => {
                Some(Input::EndOfDataReported { attempt, subtask })
            }
            _ => None,
        }
    }
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
    /// Start every task that had not finished, restored from what was recovered, and report when they run. The inputs
    /// from those that had finished are closed.
    StartTasks(Recovered),
    /// Make every task of the attempt end, and report when they have.
    CancelTasks {
        /// The attempt.
        attempt: Attempt,
    },
    /// Have everything of a savepoint written where its request wants it, from now on: the triggers of it follow.
    PlaceSavepoint {
        /// The savepoint.
        savepoint: CheckpointId,
        /// The attempt that takes it.
        attempt: Attempt,
        /// Who has asked for it.
        request: RequestId,
    },
    /// Tell a source, or a task whose inputs have all finished, to begin a checkpoint.
    Trigger {
        /// The task.
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
        /// The newest published checkpoint, should the notice of its completion be lost.
        newest_completed: Option<CheckpointId>,
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
    /// Delete everything of a checkpoint that no longer counts, and report the end; failing to is harmless.
    DeleteCheckpoint(CheckpointId),
    /// Delete a shared file that no checkpoint refers to, and report how that ended.
    DeleteShared(SharedObject),
    /// List the shared files of the job, and report them; failing to is harmless.
    ListShared,
    /// Delete a pointer that nobody needs; failing to is harmless.
    DeletePointer(PointerSequence),
    /// Let a source end its data here, as if there were no more, and report that.
    DrainSource {
        /// The source.
        subtask: SubtaskId,
        /// Its attempt.
        attempt: Attempt,
    },
    /// Tell a user what became of a request.
    RequestAnswered {
        /// The request.
        request: RequestId,
        /// What became of it.
        outcome: RequestOutcome,
    },
    /// The job has ended.
    JobEnded(Outcome),
}

impl Output {
    /// Which task of which attempt is to be told what, if this is a message.
    #[must_use]
    pub fn message(&self) -> Option<(Attempt, SubtaskId, subtask::Input)> {
        match *self {
            Output::Trigger { subtask, attempt, checkpoint, options } => {
                Some((attempt, subtask, subtask::Input::TriggerArrived { attempt, checkpoint, options }))
            }
            Output::NotifyComplete { subtask, attempt, checkpoint } => {
                Some((attempt, subtask, subtask::Input::CompletionArrived { attempt, checkpoint }))
            }
            Output::NotifyAborted { subtask, attempt, checkpoint, newest_completed } => {
                let aborted = subtask::Input::AbortArrived { attempt, checkpoint, newest_completed };
                Some((attempt, subtask, aborted))
            }
            _ => None,
        }
    }
}
