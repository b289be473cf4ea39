//! The storage's actor: what is durable, and how it answers.

use super::faults::Fault;
use super::message::{Content, Msg, StoreFault};
use super::node::{Node, Sends};
use serde::Serialize;
use snapline::base::{CheckpointId, CompletedCheckpoint, StateFile, SubtaskId};
use snapline::publish::{Answer, Listing, Operation, Pointer, PointerKind, PointerSequence};
use stateright::actor::Id;
use std::collections::BTreeMap;

/// The durable storage: what exists, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Durable {
    /// State files.
    pub states: BTreeMap<StateFile, Content>,
    /// Metadata of checkpoints.
    pub metadata: BTreeMap<CheckpointId, CompletedCheckpoint>,
    /// The log of pointers.
    pub pointers: BTreeMap<PointerSequence, Pointer>,
}

impl Durable {
    /// The newest published checkpoint, as a recovery would see it.
    pub fn newest(&self) -> Option<CheckpointId> {
        self.pointers.last_key_value().and_then(|(_, pointer)| pointer.newest)
    }

    /// What the newest published checkpoint holds for a subtask.
    pub fn newest_content(&self, subtask: SubtaskId) -> Option<&Content> {
        let handle = self.metadata.get(&self.newest()?)?.states.get(&subtask)?.as_ref()?;
        self.states.get(&handle.file)
    }
}

impl Node {
    pub(super) fn store_message(&self, durable: &mut Durable, src: Id, msg: Msg, o: &mut Sends) {
        match msg {
            Msg::WriteState(file, content) => {
                durable.states.insert(file, content);
                o.send(src, Msg::Written(file.checkpoint, file, true));
            }
            Msg::Perform(ticket, operation) => {
                let answer = self.perform(durable, operation);
                o.send(src, Msg::Answered(ticket, answer));
            }
            Msg::DiscardState(file) => {
                durable.states.remove(&file);
            }
            Msg::DeleteCheckpoint(id) => {
                durable.metadata.remove(&id);
                durable.states.retain(|file, _| file.checkpoint != id);
            }
            Msg::DeletePointer(sequence) => {
                durable.pointers.remove(&sequence);
            }
            Msg::Faulty(fault, msg) => self.fail(durable, src, fault, *msg, o),
            other => unreachable!("the store never gets {other:?}"),
        }
    }

    fn fail(&self, durable: &mut Durable, src: Id, fault: StoreFault, msg: Msg, o: &mut Sends) {
        match msg {
            Msg::WriteState(file, _) => o.send(src, Msg::Written(file.checkpoint, file, false)),
            Msg::Perform(ticket, operation) => {
                if fault == StoreFault::UncertainApplied {
                    self.perform(durable, operation);
                }
                let uncertain = fault != StoreFault::Refuses;
                o.send(src, Msg::Answered(ticket, if uncertain { Answer::Unknown } else { Answer::Failed }));
            }
            other => unreachable!("the store never fails at {other:?}"),
        }
    }

    fn perform(&self, durable: &mut Durable, operation: Operation) -> Answer {
        match operation {
            Operation::List => {
                let of_states = durable.states.keys().map(|file| file.checkpoint);
                Answer::Listed(Listing {
                    pointers: durable.pointers.keys().copied().collect(),
                    checkpoints: of_states.chain(durable.metadata.keys().copied()).collect(),
                })
            }
            Operation::ReadPointer(sequence) => Answer::Pointer(durable.pointers.get(&sequence).cloned()),
            Operation::ReadMetadata(id) => Answer::Metadata(durable.metadata.get(&id).cloned()),
            Operation::PutMetadata(checkpoint) => {
                if durable.metadata.contains_key(&checkpoint.id) {
                    return Answer::Exists;
                }
                durable.metadata.insert(checkpoint.id, checkpoint);
                Answer::Stored
            }
            Operation::PutPointer(sequence, pointer) => {
                if self.plants(Fault::ClaimNotWritten) && pointer.kind == PointerKind::Claim {
                    return Answer::Stored;
                }
                if durable.pointers.contains_key(&sequence) && !self.plants(Fault::PointerOverwritten) {
                    return Answer::Exists;
                }
                durable.pointers.insert(sequence, pointer);
                Answer::Stored
            }
        }
    }
}
