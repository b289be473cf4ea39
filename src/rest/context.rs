use super::operations::Operations;
use crate::runtime::{JobControl, JobWatch};
use crossbeam_channel::Sender;
use std::time::{SystemTime, UNIX_EPOCH};

/// What all requests are about: one job, and what was triggered of it.
pub(super) struct Context {
    pub(super) control: JobControl,
    pub(super) watch: JobWatch,
    pub(super) job_name: String,
    pub(super) savepoints: Operations,
    pub(super) checkpoints: Operations,
    pub(super) disposals: Operations,
}

impl Context {
    /// A job of which nothing was triggered. Whenever a client has seen a result, `seen` is told.
    pub(super) fn new(control: JobControl, watch: JobWatch, job_name: String, seen: &Sender<()>) -> Self {
        let operations = || Operations::new(seen.clone());
        let (savepoints, checkpoints, disposals) = (operations(), operations(), operations());
        Context { control, watch, job_name, savepoints, checkpoints, disposals }
    }

    /// Whether somebody may still come for a result.
    pub(super) fn has_unseen_results(&self) -> bool {
        [&self.savepoints, &self.checkpoints, &self.disposals].into_iter().any(Operations::has_unseen)
    }
}

/// Milliseconds since 1970, as in all of Flink's JSON.
pub(super) fn timestamp(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
