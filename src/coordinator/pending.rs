use super::RequestId;
use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, Millis, SharedObject, SharedState, StateFile,
    StateHandle, SubtaskId,
};
use serde::{Deserialize, Serialize};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

/// The state of a task, as its acknowledgement names it.
pub(super) struct Acknowledged {
    pub(super) handle: Option<StateHandle>,
    pub(super) shared: Option<SharedState>,
}

/// A checkpoint that was triggered and is not complete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) kind: CheckpointKind,
    /// Who asked for it, if not the clock.
    pub(super) request: Option<RequestId>,
    /// Whether the job is cancelled once it is complete.
    pub(super) cancels: bool,
    pub(super) expires: Millis,
    /// Who had finished when it was triggered, and so does not take part.
    finished: BTreeSet<SubtaskId>,
    pub(super) acknowledged: BTreeMap<SubtaskId, Option<StateHandle>>,
    /// What the acknowledgements refer to, as it is registered.
    pub(super) shared: BTreeMap<SubtaskId, BTreeSet<SharedObject>>,
}

impl Pending {
    pub(super) fn new(
        kind: CheckpointKind,
        request: Option<RequestId>,
        expires: Millis,
        finished: BTreeSet<SubtaskId>,
    ) -> Self {
        let (acknowledged, shared) = (BTreeMap::new(), BTreeMap::new());
        Pending { kind, request, cancels: false, expires, finished, acknowledged, shared }
    }

    /// Whether a task of the job takes part and has not acknowledged yet.
    pub(super) fn waits_for(&self, subtask: SubtaskId) -> bool {
        !self.finished.contains(&subtask) && !self.acknowledged.contains_key(&subtask)
    }

    /// Takes in the state of a task of the job, if it takes part and has not acknowledged yet, at the cost of one look-up.
    pub(super) fn take_in(&mut self, subtask: SubtaskId, handle: &mut Option<StateHandle>) -> bool {
        match self.acknowledged.entry(subtask) {
            Entry::Vacant(entry) if !self.finished.contains(&subtask) => {
                entry.insert(handle.take());
                true
            }
            Entry::Vacant(_) | Entry::Occupied(_) => false,
        }
    }

    /// Whether everyone who takes part has acknowledged, in a job of so many subtasks.
    pub(super) fn is_complete(&self, subtasks: usize) -> bool {
        self.acknowledged.len() + self.finished.len() == subtasks
    }

    /// The files that only this checkpoint refers to.
    //= spec/coordinator.md#coord-71-inline-state-has-no-file
    //# The coordinator MUST NOT discard a file for state that is inline.
    pub(super) fn files(&self) -> impl Iterator<Item = StateFile> + '_ {
        self.acknowledged.values().flatten().filter_map(StateHandle::stored_file)
    }

    pub(super) fn complete(self, id: CheckpointId, attempt: Attempt) -> CompletedCheckpoint {
        CompletedCheckpoint { id, attempt, kind: self.kind, states: self.acknowledged, shared: self.shared }
    }
}

/// Whether the states of a checkpoint include this file, at the cost of one look-up.
pub(super) fn holds(states: &BTreeMap<SubtaskId, Option<StateHandle>>, file: StateFile) -> bool {
    matches!(states.get(&file.subtask), Some(Some(held)) if held.file == file)
}
