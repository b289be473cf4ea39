//! Starting from a checkpoint or savepoint that another job has left.

use super::{Config, Coordinator};
use crate::base::{Attempt, CheckpointKind, CompletedCheckpoint};
use crate::publish::Recovered;
use serde::{Deserialize, Serialize};

/// What a job starts from as long as it has published nothing itself (`execution.state-recovery.path`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Restore {
    /// The checkpoint or savepoint, in terms of this job's subtasks: the driver has given everyone an entry who has to
    /// start, with or without state, and knows where the files lie.
    pub checkpoint: CompletedCheckpoint,
    /// Whose it is from then on.
    pub mode: ClaimMode,
}

/// `execution.state-recovery.claim-mode`: whose the checkpoint is that a job starts from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum ClaimMode {
    /// The job's: it is retained and deleted like one that the job has taken.
    Claim,
    /// Its former owner's, who may delete it once the job has published its first own checkpoint.
    NoClaim,
}

impl Config {
    /// Whose attempts begin above the one that took the checkpoint that is given.
    pub(super) fn with_attempts_above_given(mut self) -> Self {
        if let Some(restore) = &self.restore {
            //= spec/publish.md#pub-46-names-of-another-job-are-not-used-again
            //# Every attempt of a job that is given another one's checkpoint MUST be above the attempt that took it.
            let above = Attempt(restore.checkpoint.attempt.0.saturating_add(1));
            self.publish.first_attempt = self.publish.first_attempt.max(above);
        }
        self
    }
}

impl Coordinator {
    /// Puts what the job is to start from in the place of the checkpoint that was not found.
    pub(super) fn start_from_given(&mut self, recovered: &mut Recovered) {
        let Some(restore) = &self.config.restore else { return };
        let given = restore.checkpoint.id;
        //= spec/coordinator.md#coord-49-own-checkpoints-come-before-the-given-one
        //# A job MUST start from the given checkpoint exactly when it has published none itself.
        if recovered.newest.is_none() {
            recovered.newest = Some(restore.checkpoint.clone());
            recovered.ownership = restore.mode.ownership();
            //= spec/coordinator.md#coord-50-a-claimed-checkpoint-is-retained
            //# A claimed checkpoint MUST be retained and deleted like one that the job has published.
            if restore.mode == ClaimMode::Claim {
                self.retained.push(restore.checkpoint.clone());
            }
        } else if restore.mode == ClaimMode::Claim {
            // An earlier attempt may have ended before its deletion.
            self.found.insert(given);
        }
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        recovered.next_checkpoint = recovered.next_checkpoint.max(given.next());
    }

    /// The kind of an ordinary checkpoint that is triggered now.
    pub(super) fn ordinary_kind(&self, asked_for: CheckpointKind) -> CheckpointKind {
        let restored = self.config.restore.as_ref();
        let is_unclaimed = restored.is_some_and(|restore| restore.mode == ClaimMode::NoClaim);
        //= spec/coordinator.md#coord-51-the-first-own-checkpoint-is-full
        //# Until a job that does not claim has published a checkpoint, each MUST refer to no file of an older one.
        if asked_for == CheckpointKind::Periodic && is_unclaimed && self.retained.is_empty() {
            CheckpointKind::Full
        } else {
            asked_for
        }
    }
}
