#[cfg(test)]
mod tests;

use super::function::UserError;
use crate::base::{CheckpointId, Misuse, SubtaskId, WithCauses};
use crate::codec::CodecError;
use crate::coordinator::{AbortReason, Refusal};
use crate::publish::RecoveryFailure;
use crate::state::StateError;
use crate::store::StorageError;
use std::io;

/// An error of the user's code that a restart would meet again: the job ends at once.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unrecoverable(pub String);

/// Why a subtask ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// The attempt is being cancelled: the failure, if any, is another task's.
    #[error("cancelled")]
    Cancelled,
    /// The user's code returned an error.
    #[error("{}", WithCauses(&**.0))]
    User(UserError),
    /// The user's code panicked.
    #[error("panicked: {0}")]
    Panicked(String),
    /// Transactions could not be closed or made durable, so their records would be lost.
    #[error("the transactions of checkpoint {checkpoint} could not be made durable: {cause}")]
    Transactions {
        /// The checkpoint whose snapshot holds them.
        checkpoint: CheckpointId,
        /// What happened.
        cause: Box<TaskError>,
    },
    /// State could not be opened, restored or written.
    #[error(transparent)]
    State(#[from] StateError),
    /// The state file could not be read.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The runtime broke a machine's protocol: a bug in Snapline.
    #[error(transparent)]
    Misuse(#[from] Misuse),
    /// A restored state file is damaged or does not fit the job.
    #[error("{object}: {cause}")]
    Restore {
        /// The full name of the state file.
        object: String,
        /// What is wrong with it.
        cause: StateError,
    },
}

impl TaskError {
    /// Whether a restart would fail in the same way.
    #[must_use]
    pub fn is_unrecoverable(&self) -> bool {
        match self {
            TaskError::Storage(error) => matches!(error, StorageError::Corrupt { .. }),
            TaskError::Restore { cause, .. } => !is_transient(cause),
            TaskError::Misuse(_) => true,
            TaskError::State(error) => {
                use StateError::{Backend, Codec, Refused};
                !matches!(error, Codec(_) | Refused { .. } | Backend { .. })
            }
            TaskError::User(error) => error.is::<Unrecoverable>(),
            TaskError::Transactions { cause, .. } => cause.is_unrecoverable(),
            TaskError::Cancelled | TaskError::Panicked(_) => false,
        }
    }
}

/// Whether the state may be readable another time.
fn is_transient(error: &StateError) -> bool {
    match error {
        StateError::Codec(CodecError::Io(error)) => !error.get_ref().is_some_and(is_corrupt),
        StateError::Backend { cause, .. } => !is_corrupt(&**cause),
        _ => false,
    }
}

/// Whether the storage says that something is not what was written, maybe to whom it was read through.
fn is_corrupt(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    match (error.downcast_ref::<StorageError>(), error.downcast_ref::<io::Error>()) {
        (Some(error), _) => matches!(error, StorageError::Corrupt { .. }),
        (None, Some(error)) => error.get_ref().is_some_and(is_corrupt),
        (None, None) => false,
    }
}

/// Why a job ended without finishing.
#[derive(Debug, thiserror::Error)]
pub enum JobError {
    /// The settings make no sense.
    #[error("the job cannot run: {0}")]
    Invalid(String),
    /// A subtask failed, and no restart is left or none would help.
    #[error("{operator}, subtask {}: {cause}", subtask.index)]
    TaskFailed {
        /// The subtask.
        subtask: SubtaskId,
        /// The name of its operator.
        operator: String,
        /// What happened.
        cause: String,
    },
    /// Too many checkpoints failed in a row, and no restart is left.
    #[error("too many checkpoints failed in a row; the last one because: {cause}")]
    CheckpointsFailed {
        /// What happened to the last one.
        cause: String,
    },
    /// Another process runs the same job. This one has stopped and has left everything to it.
    #[error("another process has taken over this job; this one has stopped and has changed nothing since")]
    Fenced,
    /// The newest checkpoint could not be found or read; nothing was started.
    #[error("the job cannot start from its newest checkpoint: {}", describe(.failure, .cause))]
    Recovery {
        /// What could not be read.
        failure: RecoveryFailure,
        /// What the storage said.
        cause: Option<StorageError>,
    },
    /// The checkpoint is of a job with other operators.
    #[error("checkpoint {checkpoint} does not fit the job: {what}")]
    Incompatible {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What differs.
        what: String,
    },
    /// The thread that runs the coordinator is gone: a bug in Snapline.
    #[error("the coordinator's thread panicked")]
    CoordinatorPanicked,
}

/// Why it cannot be told what a job would start from.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The checkpoint does not fit the job. The job, or the choice of the checkpoint, must change.
    #[error(transparent)]
    Misfit(JobError),
    /// A state file cannot be read. The caller must put it back from a copy, or choose another checkpoint.
    #[error(transparent)]
    Storage(StorageError),
    /// A state file is damaged. The caller must put it back from a copy, or choose another checkpoint.
    #[error("{object}: {cause}")]
    Unreadable {
        /// The file.
        object: String,
        /// What is wrong with it.
        cause: StateError,
    },
}

/// Why a request has led to no checkpoint that is known to be complete.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// No checkpoint was triggered.
    #[error("refused: {}", because(.0))]
    Refused(Refusal),
    /// No savepoint can lie in the directory that was chosen for it, so none was triggered. The caller must choose another one.
    #[error("no savepoint can lie in `{directory}`: {what}")]
    WrongTarget {
        /// The directory.
        directory: String,
        /// What is wrong with it.
        what: String,
    },
    /// The job has stopped with a checkpoint from which it can go on, but there is no savepoint in the directory that was chosen.
    #[error("the job was stopped with {external_path}, of which there is no copy in `{directory}`: {what}")]
    NotCopied {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The full name of its directory.
        external_path: String,
        /// The directory for the savepoint.
        directory: String,
        /// Why it has none.
        what: String,
    },
    /// The checkpoint was triggered and then aborted.
    #[error("checkpoint {checkpoint} was aborted: {reason:?}")]
    Aborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: AbortReason,
    },
    /// The job has ended before it was known whether the checkpoint is durable.
    #[error("the job has ended before it was known whether checkpoint {0} is durable")]
    Unknown(CheckpointId),
    /// The job has ended without an answer.
    #[error("the job has ended without an answer")]
    Unanswered,
}

fn because(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::TooManyRequests => "too many other requests wait",
        Refusal::TasksNotRunning => "not all tasks run",
        Refusal::JobEnding => "the job is stopping or has ended",
    }
}

fn describe(failure: &RecoveryFailure, cause: &Option<StorageError>) -> String {
    if let Some(cause) = cause {
        return cause.to_string();
    }
    match failure {
        RecoveryFailure::StorageUnavailable => "the storage failed too often".into(),
        RecoveryFailure::PointerUnreadable(sequence) => format!("pointer {sequence} cannot be read"),
        RecoveryFailure::MetadataUnreadable(checkpoint) => {
            format!("the metadata of checkpoint {checkpoint} is missing or another checkpoint's")
        }
    }
}
