use super::history::CheckpointHistory;
use super::progress::{Meters, Progress, StorageTrouble};
use crate::base::{JobId, Millis};
use crate::codec::OperatorMetadata;
use crossbeam_channel::Receiver;
use std::time::{Duration, SystemTime};

/// What a job is watched through. It goes on telling when the job has ended.
#[derive(Clone)]
pub struct JobWatch {
    pub(super) job: JobId,
    pub(super) started: SystemTime,
    pub(super) meters: Meters,
    /// Closes when the coordinator's thread ends.
    pub(super) ended: Receiver<()>,
}

impl JobWatch {
    /// The job.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.job
    }

    /// Its operators, from the sources to the sinks. Once its tasks have started, a maximum parallelism that the program does not
    /// set is that of the checkpoint.
    #[must_use]
    pub fn operators(&self) -> Vec<OperatorMetadata> {
        self.meters.operators()
    }

    /// How it goes on.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.meters.read()
    }

    /// What became of its newest checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> CheckpointHistory {
        self.meters.history()
    }

    /// What was wrong with the storage when the coordinator asked it last, if anything. While a storage cannot tell whether a
    /// checkpoint is visible, the job waits and asks again (`spec/publish.md`, PUB-7); the coordinator can be told to suspend it.
    #[must_use]
    pub fn storage_trouble(&self) -> Option<StorageTrouble> {
        self.meters.storage_trouble()
    }

    /// When it was started in this process, by the clock of the system.
    #[must_use]
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// The moment that was so long after the start of the job.
    #[must_use]
    pub fn at(&self, since_start: Millis) -> SystemTime {
        self.started + Duration::from_millis(since_start.0)
    }

    pub(crate) fn ended(&self) -> &Receiver<()> {
        &self.ended
    }
}
