//! Which completed checkpoints are kept, and what is deleted when.

use super::{Coordinator, Outcome, Output, Phase};
use crate::base::{Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, Millis, Misuse};
use crate::publish;
use crate::shared::registry;
use serde::{Deserialize, Serialize};

/// `execution.checkpointing.externalized-checkpoint-retention`: which ends of a job delete its checkpoints.
///
/// A suspended job keeps them always, a stopped one the one that it was stopped with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Retention {
    /// Whether they are deleted when all data was processed.
    pub delete_when_finished: bool,
    /// Whether they are deleted when the user cancels the job.
    pub delete_when_cancelled: bool,
    /// Whether they are deleted when the job fails for good.
    pub delete_when_failed: bool,
}

impl Retention {
    /// Every checkpoint that is retained while the job runs stays afterwards.
    pub const RETAIN_ALWAYS: Retention =
        Retention { delete_when_finished: false, delete_when_cancelled: false, delete_when_failed: false };
    /// `RETAIN_ON_CANCELLATION`.
    pub const RETAIN_ON_CANCELLATION: Retention =
        Retention { delete_when_finished: true, ..Retention::RETAIN_ALWAYS };
    /// `DELETE_ON_CANCELLATION`: they stay only when the job fails.
    pub const DELETE_ON_CANCELLATION: Retention =
        Retention { delete_when_cancelled: true, ..Retention::RETAIN_ON_CANCELLATION };
    /// `NO_EXTERNALIZED_CHECKPOINTS`: they go with the job.
    pub const NO_EXTERNALIZED_CHECKPOINTS: Retention =
        Retention { delete_when_failed: true, ..Retention::DELETE_ON_CANCELLATION };

    /// Whether a job that ends in this way deletes its checkpoints.
    #[must_use]
    pub fn deletes_after(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Finished | Outcome::Stopped(_) => self.delete_when_finished,
            Outcome::Cancelled => self.delete_when_cancelled,
            Outcome::RestartsExhausted | Outcome::Unrecoverable | Outcome::TooManyCheckpointFailures => {
                self.delete_when_failed
            }
            // They are needed again, belong to somebody else, or nobody knows which there are.
            Outcome::Suspended | Outcome::Fenced | Outcome::RecoveryFailed(_) => false,
        }
    }
}

impl Coordinator {
    pub(super) fn restore_retained(&mut self, recovered: &publish::Recovered) {
        //= spec/publish.md#pub-21-a-recovery-brings-back-what-is-retained
        //# A recovery MUST report every retained checkpoint that can be read.
        let published = recovered.older.iter().chain(&recovered.newest);
        let surplus = published.clone().count().saturating_sub(self.config.retained);
        self.found = recovered.found.iter().copied().chain(published.clone().map(|known| known.id)).collect();
        self.retained = published.skip(surplus).cloned().collect();
    }

    /// Keeps the newest checkpoints and deletes everything older, leftovers of earlier attempts included.
    pub(super) fn retain(&mut self, now: Millis, complete: CompletedCheckpoint, out: &mut Vec<Output>) {
        let replaces_another = self.retained.last().is_none_or(|newest| newest.attempt != self.attempt);
        self.retained.push(complete);
        //= spec/coordinator.md#coord-12-only-the-newest-are-retained
        //# The coordinator MUST retain only the configured number of newest published checkpoints.
        while self.retained.len() > self.config.retained {
            self.found.insert(self.retained.remove(0).id);
        }
        let Some(lowest) = self.retained.first().map(|checkpoint| checkpoint.id) else { return };
        //= spec/coordinator.md#coord-13-deletion-starts-below-the-retained
        //# A checkpoint MUST be deleted only when every retained checkpoint is newer.
        let kept = self.found.split_off(&lowest);
        for checkpoint in std::mem::replace(&mut self.found, kept) {
            self.delete(checkpoint, out);
        }
        //= spec/coordinator.md#coord-63-shared-files-go-with-their-last-checkpoint
        //# The end of a checkpoint MUST delete the shared files that no other checkpoint refers to.
        self.tell_registry(now, registry::Input::Subsumed { lowest_retained: lowest }, out);
        //= spec/coordinator.md#coord-64-leftovers-are-looked-for
        //# The first publication of an attempt that is not the first one MUST be followed by a listing of the shared
        //# files.
        if replaces_another && self.attempt > Attempt(1) {
            out.push(Output::ListShared);
        }
    }

    fn delete(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        self.cleaning.insert(checkpoint);
        out.push(Output::DeleteCheckpoint(checkpoint));
    }

    /// Ends a job whose tasks are gone, after its checkpoints if they are to go with it.
    pub(super) fn conclude(&mut self, outcome: Outcome, out: &mut Vec<Output>) {
        match self.config.retention.deletes_after(outcome) {
            true => self.phase = Phase::Retiring(outcome),
            false => self.end(outcome, out),
        }
    }

    /// Once no publication can make another checkpoint visible, claims the right to delete all of them, or deletes all but the
    /// one that a user has stopped the job with.
    pub(super) fn retire(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Misuse> {
        let Phase::Retiring(outcome) = self.phase else { return Ok(()) };
        if self.publisher().is_busy() {
            return Ok(());
        }
        // It may be the one that the job would have taken anyway.
        let is_of_stop = |newest: &mut CompletedCheckpoint| {
            newest.kind == CheckpointKind::Stop || self.stop.as_ref().is_some_and(|stop| stop.is_fulfilled)
        };
        let Some(stop) = self.retained.pop_if(is_of_stop) else {
            let highest = CheckpointId(self.next_checkpoint.0.saturating_sub(1));
            return self.publish(now, publish::Input::RetirementRequested { highest }, out);
        };
        self.delete_all_below(now, stop.id, out);
        self.retained.push(stop);
        self.end(outcome, out);
        Ok(())
    }

    pub(super) fn retired(&mut self, now: Millis, is_ours: bool, out: &mut Vec<Output>) {
        let Phase::Retiring(outcome) = self.phase else { return };
        //= spec/coordinator.md#coord-43-checkpoints-go-after-the-job-has-retired
        //# The newest checkpoint MUST be deleted only after the job has retired.
        if is_ours {
            self.delete_all_below(now, CheckpointId(u64::MAX), out);
        }
        self.end(outcome, out);
    }

    /// Deletes the newest last: whoever starts the job again meanwhile still sees the highest id.
    fn delete_all_below(&mut self, now: Millis, end: CheckpointId, out: &mut Vec<Output>) {
        self.found.extend(self.retained.drain(..).map(|checkpoint| checkpoint.id));
        let newer = self.found.split_off(&end);
        //= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
        //# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
        //# except the newest if a stop has asked for it.
        for checkpoint in std::mem::replace(&mut self.found, newer) {
            self.delete(checkpoint, out);
        }
        //= spec/coordinator.md#coord-63-shared-files-go-with-their-last-checkpoint
        //# The end of a checkpoint MUST delete the shared files that no other checkpoint refers to.
        self.tell_registry(now, registry::Input::Subsumed { lowest_retained: end }, out);
    }
}
