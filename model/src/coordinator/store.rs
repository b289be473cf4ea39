//! What is durable.

use serde::Serialize;
use snapline::base::{Attempt, CheckpointId, CompletedCheckpoint, StateFile};
use snapline::publish::{Answer, Listing, Operation, Pointer, PointerKind, PointerSequence};
use std::collections::{BTreeMap, BTreeSet};

/// How an operation is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It is carried out, and its answer arrives.
    Truly,
    /// It fails and changes nothing.
    Refused,
    /// Nobody knows: it is carried out later, or never.
    Lost,
}

/// The storage of the job, and the places where savepoints lie.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Store {
    /// The log of pointers.
    pub pointers: BTreeMap<PointerSequence, Pointer>,
    /// Metadata of checkpoints.
    pub metadata: BTreeMap<CheckpointId, CompletedCheckpoint>,
    /// State files of checkpoints.
    pub files: BTreeSet<StateFile>,
    /// Metadata of savepoints, each in a directory that no other has.
    pub savepoints: BTreeSet<CompletedCheckpoint>,
    /// State files of savepoints.
    pub savepoint_files: BTreeSet<StateFile>,
    /// What another job has left, while it exists.
    pub given: Option<CheckpointId>,
    /// Puts whose sender has no answer: they arrive later, or never.
    pub late: BTreeSet<Operation>,
    /// Everything that was ever published, and by which attempt.
    pub published: BTreeMap<CheckpointId, Attempt>,
    /// Whether a checkpoint was published whose id is not above those before it.
    pub id_repeated: bool,
}

impl Store {
    /// Carries an operation out, or fails to.
    pub(super) fn answer(&mut self, operation: &Operation, how: How) -> Answer {
        match how {
            How::Truly => self.perform(operation),
            How::Refused => Answer::Failed,
            How::Lost => {
                self.late.insert(operation.clone());
                Answer::Unknown
            }
        }
    }

    pub(super) fn perform(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::List => {
                let of_files = self.files.iter().map(|file| file.checkpoint);
                Answer::Listed(Listing {
                    pointers: self.pointers.keys().copied().collect(),
                    checkpoints: of_files.chain(self.metadata.keys().copied()).collect(),
                })
            }
            Operation::ReadPointer(number) => Answer::Pointer(self.pointers.get(number).cloned()),
            Operation::ReadMetadata(id) => Answer::Metadata(self.metadata.get(id).cloned()),
            Operation::PutMetadata(savepoint) if savepoint.kind.is_savepoint() => {
                self.savepoints.insert(savepoint.clone());
                Answer::Stored
            }
            Operation::PutMetadata(checkpoint) if self.metadata.contains_key(&checkpoint.id) => {
                Answer::Exists
            }
            Operation::PutMetadata(checkpoint) => {
                self.metadata.insert(checkpoint.id, checkpoint.clone());
                Answer::Stored
            }
            Operation::PutPointer(number, _) if self.pointers.contains_key(number) => Answer::Exists,
            Operation::PutPointer(number, pointer) => {
                self.written(pointer);
                self.pointers.insert(*number, pointer.clone());
                Answer::Stored
            }
        }
    }

    fn written(&mut self, pointer: &Pointer) {
        if let (PointerKind::Publication, Some(id)) = (pointer.kind, pointer.newest) {
            self.id_repeated |= self.published.last_key_value().is_some_and(|(last, _)| *last >= id);
            self.published.insert(id, pointer.attempt);
        }
    }

    /// Deletes the directory of a checkpoint.
    pub(super) fn delete(&mut self, id: CheckpointId) {
        self.given = self.given.filter(|given| *given != id);
        self.metadata.remove(&id);
        self.files.retain(|file| file.checkpoint != id);
    }

    /// Deletes a state file, and says whether it was there.
    pub(super) fn discard(&mut self, file: StateFile) -> bool {
        self.files.remove(&file) || self.savepoint_files.remove(&file)
    }

    /// The entry of the log that counts.
    pub(super) fn newest_pointer(&self) -> Option<&Pointer> {
        self.pointers.values().next_back()
    }

    /// The newest published checkpoint, as a recovery would see it.
    pub(super) fn newest(&self) -> Option<CheckpointId> {
        self.newest_pointer().and_then(|pointer| pointer.newest)
    }

    /// Whether everything of a checkpoint is there.
    pub(super) fn is_whole(&self, id: CheckpointId) -> bool {
        let holds = |checkpoint: &CompletedCheckpoint| {
            checkpoint.states.values().flatten().all(|handle| self.files.contains(&handle.file))
        };
        self.metadata.get(&id).is_some_and(holds)
    }

    /// Whether everything of every savepoint is there.
    pub(super) fn savepoints_are_whole(&self) -> bool {
        let mut handles = self.savepoints.iter().flat_map(|savepoint| savepoint.states.values().flatten());
        handles.all(|handle| self.savepoint_files.contains(&handle.file))
    }

    /// Whether a checkpoint that a recovery would restore or keep refers to a file.
    pub(super) fn is_visible(&self, file: StateFile) -> bool {
        let named = |pointer: &Pointer| {
            pointer.newest == Some(file.checkpoint) || pointer.older.contains(&file.checkpoint)
        };
        let of =
            |checkpoint: &CompletedCheckpoint| checkpoint.states.values().flatten().any(|h| h.file == file);
        self.newest_pointer().is_some_and(named) && self.metadata.get(&file.checkpoint).is_some_and(of)
    }
}
