//! How a running job is watched and told what to do.

use super::error::{JobError, RequestError};
use super::progress::{JobSummary, Progress};
use super::watch::JobWatch;
use crate::base::{CheckpointId, SavepointFormat};
use crate::coordinator::{Refusal, RequestKind, StopMode};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// What a user wants of a job.
pub(super) enum Wish {
    /// To be answered through the channel, once.
    Request {
        kind: RequestKind,
        target: Option<String>,
        answer: Sender<Answer>,
    },
    SwitchPeriodicCheckpoints(bool),
    Cancel,
    Suspend,
}

pub(super) type Answer = Result<RequestedCheckpoint, RequestError>;

/// A checkpoint that a user has asked for and that is complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestedCheckpoint {
    /// Its number.
    pub id: CheckpointId,
    /// The full name of its directory, as its storage says it.
    pub external_path: String,
}

/// What a checkpoint that a user asks for may refer to (Flink: `CheckpointType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CheckpointType {
    /// The same as the periodic checkpoints of the job.
    #[default]
    Configured,
    /// Nothing of older checkpoints.
    Full,
    /// Files of older checkpoints, where the state backend can do that.
    Incremental,
}

/// A job that runs, or has run. The job goes on when this is dropped.
pub struct JobHandle {
    pub(super) control: JobControl,
    pub(super) watch: JobWatch,
    pub(super) thread: JoinHandle<Result<JobSummary, JobError>>,
}

impl JobHandle {
    /// How the job goes on.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.watch.progress()
    }

    /// What the job is watched through, from any thread.
    #[must_use]
    pub fn watch(&self) -> JobWatch {
        self.watch.clone()
    }

    /// What the job is told through, from any thread.
    #[must_use]
    pub fn control(&self) -> JobControl {
        self.control.clone()
    }

    /// Waits for the end of the job, but not longer than `timeout`, and says whether it has ended.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.watch.ended().recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits for the end of the job.
    ///
    /// # Errors
    /// Whatever kept the job from finishing.
    pub fn wait(self) -> Result<JobSummary, JobError> {
        self.thread.join().unwrap_or(Err(JobError::CoordinatorPanicked))
    }
}

/// Tells a job what to do, from anywhere. Nothing here waits: how a request ends is in its [`RequestHandle`], and how the
/// job ends is what [`JobHandle::wait`] says.
#[derive(Clone)]
pub struct JobControl {
    /// Says whether the job is still there to listen.
    pub(super) send: Arc<dyn Fn(Wish) -> bool + Send + Sync>,
    /// Where savepoints are to lie.
    pub(super) target: Option<String>,
}

impl JobControl {
    /// The same job, with the savepoints that are asked for through this in `directory/<job-id>`, wherever others lie (Flink:
    /// `target-directory`). The directory is named as the storage of the job names its own: an absolute path, or a URL of the
    /// store in which the checkpoints are. One in which nothing can lie is refused before anything is triggered; while
    /// that is found out, other requests may overtake.
    ///
    /// What a job is stopped with lies where its checkpoints are, because it goes on from there; in `directory` is a copy, which is a
    /// savepoint like all others. The stop is answered when the copy is complete.
    #[must_use]
    pub fn with_savepoints_in(&self, directory: impl Into<String>) -> JobControl {
        JobControl { target: Some(directory.into()), ..self.clone() }
    }

    /// Asks for a checkpoint, which counts as one that the clock has taken.
    pub fn trigger_checkpoint(&self, checkpoint_type: CheckpointType) -> RequestHandle {
        self.request(RequestKind::Checkpoint { full: checkpoint_type == CheckpointType::Full })
    }

    /// Asks for a savepoint: it belongs to the user, and the job goes on without regard to it. In the
    /// native format a backend that keeps its state in files copies these, which only that backend reads again.
    pub fn trigger_savepoint(&self, format: SavepointFormat) -> RequestHandle {
        self.request(RequestKind::Savepoint(format))
    }

    /// Asks the job to end with a savepoint, from which it can go on: where it is, or after its sources have ended
    /// their data. It keeps trying until it succeeds or the job ends in another way.
    pub fn stop_with_savepoint(&self, mode: StopMode, format: SavepointFormat) -> RequestHandle {
        self.request(RequestKind::Stop(mode, format))
    }

    /// Ends the job without another checkpoint. What becomes of its checkpoints is a matter of
    /// [`JobOptions::externalized_checkpoint_retention`](super::JobOptions::externalized_checkpoint_retention).
    pub fn cancel(&self) {
        // Nobody listens once the job has ended.
        let _ = (self.send)(Wish::Cancel);
    }

    /// Asks for a savepoint, and ends the job as [`cancel`](Self::cancel) does once it is complete: no other
    /// checkpoint begins meanwhile, so that nothing is committed that the savepoint does not hold. Without a savepoint the job goes on.
    pub fn cancel_with_savepoint(&self, format: SavepointFormat) -> RequestHandle {
        self.request(RequestKind::CancelWithSavepoint(format))
    }

    /// Ends the job in this process without another checkpoint; all that it has stay for whoever goes on with it.
    pub fn suspend(&self) {
        let _ = (self.send)(Wish::Suspend);
    }

    /// Switches periodic checkpoints off or on again; requests and the end of the job do not need them.
    pub fn switch_periodic_checkpoints(&self, on: bool) {
        let _ = (self.send)(Wish::SwitchPeriodicCheckpoints(on));
    }

    fn request(&self, kind: RequestKind) -> RequestHandle {
        let (sender, answer) = bounded(1);
        let target = self.target.clone().filter(|_| !matches!(kind, RequestKind::Checkpoint { .. }));
        if !(self.send)(Wish::Request { kind, target, answer: sender.clone() }) {
            // There is room for one answer.
            let _ = sender.try_send(Err(RequestError::Refused(Refusal::JobEnding)));
        }
        RequestHandle { answer }
    }
}

/// The answer to a request. It comes once the checkpoint is complete and durable or will never be, at the end of the job
/// at the latest. The request stands when this is dropped.
#[derive(Debug)]
pub struct RequestHandle {
    answer: Receiver<Answer>,
}

impl RequestHandle {
    /// Waits for the answer: the checkpoint that is complete.
    ///
    /// # Errors
    /// Why there is none.
    pub fn wait(self) -> Result<CheckpointId, RequestError> {
        self.wait_for_checkpoint().map(|checkpoint| checkpoint.id)
    }

    /// Waits for the answer: the checkpoint that is complete, and where it lies.
    ///
    /// # Errors
    /// Why there is none.
    pub fn wait_for_checkpoint(self) -> Result<RequestedCheckpoint, RequestError> {
        self.answer.recv().unwrap_or(Err(RequestError::Unanswered))
    }

    /// Waits for the answer, but not longer than `timeout`: `None` if there is none by then. It is given once.
    ///
    /// # Errors
    /// Why there is no complete checkpoint.
    pub fn wait_timeout(&self, timeout: Duration) -> Option<Result<CheckpointId, RequestError>> {
        self.poll(timeout).map(|answer| answer.map(|checkpoint| checkpoint.id))
    }

    /// The same, with where the checkpoint lies.
    pub(crate) fn poll(&self, timeout: Duration) -> Option<Result<RequestedCheckpoint, RequestError>> {
        match self.answer.recv_timeout(timeout) {
            Ok(answer) => Some(answer),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(RequestError::Unanswered)),
        }
    }
}
