//! What is durable, and the ways in which a storage does not say so.

use serde::Serialize;
use snapline::base::{CheckpointId, CompletedCheckpoint};
use snapline::publish::{Answer, Listing, Operation, Pointer, PointerSequence};
use std::collections::{BTreeMap, BTreeSet};

/// Something that was written, and may have rotted since.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Object<T> {
    /// What was written.
    pub content: T,
    /// Whether it can still be read.
    pub damaged: bool,
}

impl<T> Object<T> {
    fn new(content: T) -> Self {
        Object { content, damaged: false }
    }
}

/// The storage of the job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Storage {
    /// The log of pointers.
    pub pointers: BTreeMap<PointerSequence, Object<Pointer>>,
    /// Metadata of checkpoints.
    pub metadata: BTreeMap<CheckpointId, Object<CompletedCheckpoint>>,
    /// Pointers that are gone and may still be shown.
    pub deleted: BTreeMap<PointerSequence, Pointer>,
    /// Puts whose sender has no answer: they arrive later, or never.
    pub late: BTreeSet<Operation>,
    /// Pointers that someone wants deleted: they go later, or never.
    pub deleting: BTreeSet<PointerSequence>,
}

/// How an operation is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum How {
    /// It is carried out, and its answer arrives.
    Truly,
    /// It fails and changes nothing.
    Refused,
    /// Nobody knows: it is carried out later, or never.
    Lost,
    /// What is there is not found.
    Absent,
    /// What was deleted is found.
    Deleted,
    /// The listing ends with this pointer, whatever follows, and shows all checkpoints or none.
    Behind(PointerSequence, bool),
}

impl Storage {
    /// Carries an operation out, or lies about it.
    pub fn answer(&mut self, operation: &Operation, how: How) -> Answer {
        match (how, operation) {
            (How::Refused, _) => Answer::Failed,
            (How::Lost, operation) => {
                self.late.insert(operation.clone());
                Answer::Unknown
            }
            (How::Absent, Operation::ReadMetadata(_)) => Answer::Metadata(None),
            (How::Absent, _) => Answer::Pointer(None),
            (How::Deleted, Operation::ReadPointer(number)) => {
                Answer::Pointer(self.deleted.get(number).cloned())
            }
            (How::Behind(highest, checkpoints), _) => {
                let Answer::Listed(mut listing) = self.list() else { unreachable!("it is a listing") };
                listing.pointers.extend(self.deleted.keys().filter(|number| **number == highest));
                listing.pointers.retain(|number| *number <= highest);
                listing.checkpoints.retain(|_| checkpoints);
                Answer::Listed(listing)
            }
            (How::Truly | How::Deleted, operation) => self.perform(operation),
        }
    }

    /// The ways to lie about an operation that differ from the truth.
    pub fn lies(&self, operation: &Operation) -> Vec<How> {
        match operation {
            Operation::ReadPointer(number) if self.pointers.contains_key(number) => vec![How::Absent],
            Operation::ReadPointer(number) if self.deleted.contains_key(number) => vec![How::Deleted],
            Operation::ReadMetadata(id) if self.metadata.contains_key(id) => vec![How::Absent],
            Operation::List => {
                let shown = self.pointers.keys().chain(self.deleted.keys()).copied();
                let highest: BTreeSet<_> = shown.chain([PointerSequence(0)]).collect();
                highest
                    .into_iter()
                    .flat_map(|highest| [How::Behind(highest, false), How::Behind(highest, true)])
                    .collect()
            }
            _ => Vec::new(),
        }
    }

    fn list(&self) -> Answer {
        Answer::Listed(Listing {
            pointers: self.pointers.keys().copied().collect(),
            checkpoints: self.metadata.keys().copied().collect(),
        })
    }

    fn perform(&mut self, operation: &Operation) -> Answer {
        match operation {
            Operation::List => self.list(),
            Operation::ReadPointer(number) => match self.pointers.get(number) {
                Some(object) if object.damaged => Answer::Corrupt,
                found => Answer::Pointer(found.map(|object| object.content.clone())),
            },
            Operation::ReadMetadata(id) => match self.metadata.get(id) {
                Some(object) if object.damaged => Answer::Corrupt,
                found => Answer::Metadata(found.map(|object| object.content.clone())),
            },
            Operation::PutMetadata(checkpoint) if self.metadata.contains_key(&checkpoint.id) => {
                Answer::Exists
            }
            Operation::PutMetadata(checkpoint) => {
                self.metadata.insert(checkpoint.id, Object::new(checkpoint.clone()));
                Answer::Stored
            }
            Operation::PutPointer(number, _) if self.pointers.contains_key(number) => Answer::Exists,
            Operation::PutPointer(number, pointer) => {
                self.pointers.insert(*number, Object::new(pointer.clone()));
                Answer::Stored
            }
        }
    }

    /// Deletes a pointer.
    pub fn delete(&mut self, number: PointerSequence) {
        if let Some(object) = self.pointers.remove(&number) {
            // What lies in a gap is not part of the log: readers that are behind see what was there before.
            self.deleted.entry(number).or_insert(object.content);
        }
    }
}
