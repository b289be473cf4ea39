use super::{Coordinator, Ending, Outcome, Phase};
use serde::{Deserialize, Serialize};

/// The state of a job, by Flink's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum JobStatus {
    /// Its newest checkpoint is looked for, or its first tasks are being started.
    #[default]
    Initializing,
    /// All its tasks run.
    Running,
    /// Its tasks have failed, and it starts again.
    Restarting,
    /// Its tasks are being stopped because it has failed.
    Failing,
    /// It has failed.
    Failed,
    /// Its tasks are being stopped because a user wants it.
    Cancelling,
    /// A user has cancelled it.
    Canceled,
    /// All its data was processed, or it was stopped with a savepoint.
    Finished,
    /// This process has given it up, or another one has taken it over.
    Suspended,
}

impl JobStatus {
    /// Whether the job has ended in this process.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, JobStatus::Failed | JobStatus::Canceled | JobStatus::Finished | JobStatus::Suspended)
    }
}

impl From<Outcome> for JobStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Finished | Outcome::Stopped(_) => JobStatus::Finished,
            Outcome::Cancelled => JobStatus::Canceled,
            Outcome::Suspended | Outcome::Fenced => JobStatus::Suspended,
            Outcome::RestartsExhausted
            | Outcome::Unrecoverable
            | Outcome::TooManyCheckpointFailures
            | Outcome::RecoveryFailed(_) => JobStatus::Failed,
        }
    }
}

impl Coordinator {
    /// The state of the job; `None` once it has ended, since [`Output::JobEnded`](super::Output::JobEnded) has said how.
    #[must_use]
    pub fn status(&self) -> Option<JobStatus> {
        match self.phase {
            Phase::Created | Phase::Recovering | Phase::Deploying if self.restarts == 0 => {
                Some(JobStatus::Initializing)
            }
            Phase::Created | Phase::Recovering | Phase::Deploying => Some(JobStatus::Restarting),
            Phase::Running => Some(JobStatus::Running),
            Phase::Cancelling(Ending::Restart(_)) | Phase::Restarting { .. } => Some(JobStatus::Restarting),
            Phase::Cancelling(Ending::Job(outcome)) | Phase::Retiring(outcome) => {
                Some(match JobStatus::from(outcome) {
                    JobStatus::Failed => JobStatus::Failing,
                    JobStatus::Finished => JobStatus::Running,
                    _ => JobStatus::Cancelling,
                })
            }
            Phase::Ended => None,
        }
    }
}
