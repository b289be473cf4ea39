//! What went wrong last, for the error message: machines need no text.

use super::super::builder::Job;
use super::super::error::{JobError, TaskError};
use super::super::progress::JobEnd;
use crate::base::{Attempt, CheckpointId, Millis, SubtaskId};
use crate::coordinator::{AbortReason, Outcome};
use crate::store::StorageError;

#[derive(Default)]
pub(super) struct Trouble {
    /// The first failure of an attempt: others may follow from it.
    task: Option<(Attempt, SubtaskId, String)>,
    /// The failure of a part of a checkpoint, or of its publication.
    pub(super) part: Option<(CheckpointId, String)>,
    /// Why the last checkpoint that was aborted was aborted.
    checkpoint: Option<String>,
    /// What was wrong with the last answer of the storage, if anything.
    pub(super) storage: Option<StorageError>,
    pub(super) incompatible: Option<JobError>,
}

impl Trouble {
    pub(super) fn task_failed(&mut self, attempt: Attempt, subtask: SubtaskId, cause: String) {
        if self.task.as_ref().is_none_or(|(known, ..)| *known != attempt) {
            self.task = Some((attempt, subtask, cause));
        }
    }

    pub(super) fn part_failed(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        cause: &str,
        job: &Job,
    ) {
        let (operator, index) = (operator_of(subtask, job), subtask.index);
        self.part = Some((checkpoint, format!("{operator}, subtask {index}: {cause}")));
    }

    pub(super) fn aborted(&mut self, checkpoint: CheckpointId, reason: AbortReason, timeout: Millis) {
        if !reason.counts_as_failure() {
            return;
        }
        let cause = match self.part.take_if(|(id, _)| *id == checkpoint) {
            Some((_, cause)) if reason != AbortReason::Expired => cause,
            _ if reason == AbortReason::Expired => format!("it was not complete after {timeout}"),
            _ => format!("{reason:?}"),
        };
        self.checkpoint = Some(format!("checkpoint {checkpoint}: {cause}"));
    }

    /// How the job ended, in the words of its user.
    pub(super) fn end(self, outcome: Option<Outcome>, job: &Job) -> Result<JobEnd, JobError> {
        if let Some(incompatible) = self.incompatible {
            return Err(incompatible);
        }
        match outcome {
            Some(Outcome::Finished) => Ok(JobEnd::Finished),
            Some(Outcome::Stopped(checkpoint)) => Ok(JobEnd::Stopped(checkpoint)),
            Some(Outcome::Cancelled) => Ok(JobEnd::Cancelled),
            Some(Outcome::Suspended) => Ok(JobEnd::Suspended),
            Some(Outcome::Fenced) => Err(JobError::Fenced),
            Some(Outcome::RecoveryFailed(failure)) => {
                Err(JobError::Recovery { failure, cause: self.storage })
            }
            Some(Outcome::TooManyCheckpointFailures) => {
                Err(JobError::CheckpointsFailed { cause: self.checkpoint.unwrap_or_default() })
            }
            Some(Outcome::RestartsExhausted | Outcome::Unrecoverable) | None => Err(self.task_error(job)),
        }
    }

    fn task_error(self, job: &Job) -> JobError {
        let (_, subtask, cause) = self.task.unwrap_or((Attempt(0), SubtaskId::new(0, 0), String::new()));
        JobError::TaskFailed { subtask, operator: operator_of(subtask, job), cause }
    }
}

fn operator_of(subtask: SubtaskId, job: &Job) -> String {
    let operator = job.operators.get(usize::from(subtask.operator));
    operator.map_or_else(String::new, |spec| spec.metadata.uid.clone())
}

/// What is known of an operation during which the storage panicked.
pub(super) fn uncertain(panic: &TaskError) -> StorageError {
    let cause = std::io::Error::other(panic.to_string());
    StorageError::Uncertain { object: "an object".into(), cause }
}
