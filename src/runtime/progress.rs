use super::history::CheckpointHistory;
use crate::base::{Attempt, CheckpointId, CheckpointKind, Millis};
use crate::codec::OperatorMetadata;
use crate::coordinator::JobStatus;
use crate::state::{ExpiredButPresent, TtlMetrics};
use crate::store::StorageError;
use crate::subtask::Durations;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, Ordering};

/// A completed checkpoint, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckpointSummary {
    /// Its number.
    pub id: CheckpointId,
    /// Why it was taken.
    pub kind: CheckpointKind,
    /// From the trigger to the moment at which it was durable and visible.
    pub duration: Millis,
    /// The longest alignment, synchronous part and asynchronous part among all subtasks, each for itself.
    pub longest: Durations,
    /// The bytes of all state files.
    pub bytes: u64,
}

/// How a job goes on, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// What state the job is in.
    pub status: JobStatus,
    /// How long after its start it has ended in this process, if it has.
    pub ended: Option<Millis>,
    /// Records emitted by sources, in all attempts.
    pub records_read: u64,
    /// Records taken by sinks, in all attempts.
    pub records_written: u64,
    /// The attempt that runs.
    pub attempt: Attempt,
    /// Checkpoints completed by this process.
    pub completed: u64,
    /// Checkpoints aborted in this process.
    pub aborted: u64,
    /// The newest one completed by this process.
    pub last: Option<CheckpointSummary>,
    /// The checkpoint from which the current attempt was restored.
    pub restored_from: Option<CheckpointId>,
    /// Restarts in this process.
    pub restarts: u32,
    /// Values that were removed because they had expired, in all attempts and subtasks, a second ago at most. What a
    /// snapshot leaves out is in the numbers when the next checkpoint is taken, or the subtask ends.
    pub ttl: TtlMetrics,
    /// Values that had expired and were still there when the newest checkpoint of each subtask was taken, reported like
    /// the numbers above. An attempt begins without them.
    pub expired_but_present: ExpiredButPresent,
}

/// How a job ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobEnd {
    /// All input was processed, all output is committed.
    Finished,
    /// The job was stopped where it was, with this checkpoint, from which it can go on. (A job that is drained
    /// finishes.)
    Stopped(CheckpointId),
    /// The job was cancelled, and keeps the checkpoints that its retention says.
    Cancelled,
    /// This process has given the job up; it can go on from its newest checkpoint.
    Suspended,
}

/// What a job did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobSummary {
    /// How it ended.
    pub end: JobEnd,
    /// Its last progress.
    pub progress: Progress,
    /// How long it ran in this process.
    pub elapsed: Millis,
}

/// What is wrong with a storage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StorageTrouble {
    /// How long after the start of the job this began.
    pub since: Millis,
    /// Its last answer, which names the file.
    pub error: String,
}

/// Where threads report what they do.
#[derive(Clone, Debug, Default)]
pub(super) struct Meters {
    pub(super) records_read: Arc<AtomicU64>,
    pub(super) records_written: Arc<AtomicU64>,
    /// Counted, but shown nowhere: what goes between operators.
    pub(super) records_between: Arc<AtomicU64>,
    checkpoints: Arc<Mutex<Progress>>,
    history: Arc<Mutex<CheckpointHistory>>,
    operators: Arc<Mutex<Vec<OperatorMetadata>>>,
    storage: Arc<Mutex<Option<StorageTrouble>>>,
}

impl Meters {
    pub(super) fn update(&self, change: impl FnOnce(&mut Progress)) {
        change(&mut self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn read(&self) -> Progress {
        let mut progress = *self.checkpoints.lock().unwrap_or_else(PoisonError::into_inner);
        progress.records_read = self.records_read.load(Ordering::Relaxed);
        progress.records_written = self.records_written.load(Ordering::Relaxed);
        progress
    }

    pub(super) fn set_operators(&self, operators: &[OperatorMetadata]) {
        *self.operators.lock().unwrap_or_else(PoisonError::into_inner) = operators.to_vec();
    }

    pub(super) fn operators(&self) -> Vec<OperatorMetadata> {
        self.operators.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the storage has answered, and when.
    pub(super) fn storage_answered(&self, now: Millis, error: Option<&StorageError>) {
        let mut storage = self.storage.lock().unwrap_or_else(PoisonError::into_inner);
        *storage = error.map(|error| StorageTrouble {
            since: storage.as_ref().map_or(now, |trouble| trouble.since),
            error: error.to_string(),
        });
    }

    pub(super) fn storage_trouble(&self) -> Option<StorageTrouble> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn update_history(&self, change: impl FnOnce(&mut CheckpointHistory)) {
        change(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn history(&self) -> CheckpointHistory {
        self.history.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
