//! The files that checkpoints share: the registry is told of everything, and what it orders is passed on.

use super::{AbortReason, ClaimMode, Coordinator, MACHINE, Output, Phase};
use crate::base::{
    CheckpointId, CompletedCheckpoint, Millis, Ownership, RestoredFiles, SharedState, SubtaskId, Violation,
};
use crate::publish::Recovered;
use crate::shared::registry;

impl Coordinator {
    /// Drives the registry, until the job has ended. The one misuse that can happen is an attempt that comes twice,
    /// when a storage has lost a claim; then everything stays registered as it was.
    pub(super) fn tell_registry(&mut self, now: Millis, input: registry::Input, out: &mut Vec<Output>) {
        if self.phase == Phase::Ended {
            return;
        }
        let mut decisions = Vec::new();
        let _ = self.registry.on(now, input, &mut decisions);
        for decision in decisions {
            match decision {
                //= spec/coordinator.md#coord-60-a-checkpoint-records-its-shared-files
                //# A completed checkpoint MUST record every shared file that its acknowledgements refer to.
                registry::Output::Registered { checkpoint, subtask, objects } => {
                    if let Some(pending) = self.pending.get_mut(&checkpoint) {
                        pending.shared.insert(subtask, objects);
                    }
                }
                //= spec/coordinator.md#coord-61-missing-shared-files-abort-the-checkpoint
                //# A checkpoint MUST be aborted when an acknowledgement refers to a shared file that is missing.
                registry::Output::Refused { checkpoint, subtask, .. } => {
                    self.abort(now, checkpoint, AbortReason::SharedFilesMissing(subtask), out);
                }
                registry::Output::Delete(object) => out.push(Output::DeleteShared(object)),
            }
        }
    }

    /// Registers the shared files of an acknowledgement that a pending checkpoint takes in.
    pub(super) fn register_shared(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        state: SharedState,
        out: &mut Vec<Output>,
    ) {
        let Some(pending) = self.pending.get(&checkpoint) else { return };
        //= spec/coordinator.md#coord-62-the-kind-decides-what-is-shared
        //# What the files of a checkpoint may have in common with others MUST follow from its kind alone.
        let state = SharedState { sharing: pending.kind.sharing(), ..state };
        self.tell_registry(now, registry::Input::Acknowledged { checkpoint, subtask, state }, out);
    }

    /// Tells of the checkpoints that a recovery has found, and, once, of the one that the job was given: later on its
    /// files may be gone.
    pub(super) fn restore_shared(&mut self, now: Millis, recovered: &Recovered, out: &mut Vec<Output>) {
        let files = |checkpoint: &CompletedCheckpoint, ownership| RestoredFiles {
            checkpoint: checkpoint.id,
            ownership,
            objects: checkpoint.shared.values().flatten().copied().collect(),
        };
        let published = recovered.older.iter().chain(&recovered.newest);
        let own = published.map(|checkpoint| files(checkpoint, Ownership::Owned));
        let is_first = self.attempt == self.first_attempt;
        let given = self.config.restore.iter().filter(|_| is_first);
        let given = given.map(|restore| files(&restore.checkpoint, restore.mode.ownership()));
        let checkpoints = own.chain(given).filter(|restored| !restored.objects.is_empty()).collect();
        self.tell_registry(now, registry::Input::Restored { attempt: recovered.attempt, checkpoints }, out);
    }

    /// A savepoint belongs to its owner now, or may.
    pub(super) fn savepoint_completed(
        &mut self,
        now: Millis,
        savepoint: CheckpointId,
        out: &mut Vec<Output>,
    ) {
        self.savepoints.insert(savepoint);
        self.tell_registry(now, registry::Input::SavepointCompleted { savepoint }, out);
    }

    /// Whether everything is registered that a checkpoint refers to which counts, or still may.
    pub(super) fn check_shared(&self) -> Result<(), Violation> {
        let under_way = self.pending.iter().chain(&self.publishing);
        let under_way = under_way.map(|(id, pending)| (*id, &pending.shared));
        let retained = self.retained.iter().map(|checkpoint| (checkpoint.id, &checkpoint.shared));
        for (id, shared) in under_way.chain(retained) {
            let registered = self.registry.objects_of(id);
            let is_registered = |object| registered.is_some_and(|objects| objects.contains(object));
            let all = shared.values().flatten().all(is_registered);
            Violation::unless(all, MACHINE, "SHARED-10", || {
                format!("a shared file of {id} is not registered")
            })?;
        }
        Ok(())
    }
}

impl ClaimMode {
    /// Whose the files of a checkpoint are that was given in this mode.
    #[must_use]
    pub fn ownership(self) -> Ownership {
        match self {
            ClaimMode::Claim => Ownership::Owned,
            ClaimMode::NoClaim => Ownership::NotOwned,
        }
    }
}
