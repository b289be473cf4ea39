//! What the actors send one another.

use super::node::name;
use serde::Serialize;
use snapline::base::{Attempt, CheckpointId, CheckpointKind, DeclineReason, StateFile, StateHandle};
use snapline::commit::TransactionId;
use snapline::publish::{Answer, Operation, PointerSequence, Ticket};
use stateright::actor::Id;
use std::collections::BTreeSet;
use std::fmt;

/// One output record: the key's running count. Without failures every key counts 1, 2, 3, ..
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Counted {
    /// The key; every source emits one key only.
    pub key: u8,
    /// How often the operator has seen it.
    pub count: u8,
}

/// What flows through a data channel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Element {
    /// A source's record: its key.
    Record(u8),
    /// The operator's record.
    Counted(Counted),
    /// A barrier.
    Barrier(CheckpointId, CheckpointKind),
    /// A cancellation marker.
    Cancellation(CheckpointId),
    /// No more data follows.
    EndOfData,
    /// Nothing more follows.
    ChannelEnd,
}

/// What a snapshot of a task holds.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Content {
    /// How many records a source has emitted.
    Position(u8),
    /// The operator's count of every key, and whether its input was finished.
    Counts(Vec<u8>, bool),
    /// The sink's pre-committed transactions.
    Transactions(BTreeSet<TransactionId>),
}

/// How the storage treats one request, when it misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum StoreFault {
    /// It does nothing and says so.
    Refuses,
    /// It does nothing and cannot tell.
    UncertainNotApplied,
    /// It does what was asked and cannot tell.
    UncertainApplied,
}

/// What the nodes send one another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Msg {
    /// Between tasks.
    Data(Element),
    /// Coordinator to source.
    Trigger(Attempt, CheckpointId, CheckpointKind),
    /// Coordinator to task.
    Complete(Attempt, CheckpointId),
    /// Coordinator to task.
    Abort(Attempt, CheckpointId),
    /// Task to coordinator.
    Acknowledge(Attempt, CheckpointId, StateHandle),
    /// Task to coordinator.
    Decline(Attempt, CheckpointId, DeclineReason),
    /// Source to coordinator.
    Exhausted(Attempt),
    /// Task to coordinator: it has finished.
    Finished(Attempt),
    /// Task to coordinator: it has failed.
    Failed(Attempt),
    /// Task to store.
    WriteState(StateFile, Content),
    /// Store to task: whether the state is durable.
    Written(CheckpointId, StateFile, bool),
    /// Coordinator to store.
    Perform(Ticket, Operation),
    /// Store to coordinator.
    Answered(Ticket, Answer),
    /// To the store.
    DiscardState(StateFile),
    /// Coordinator to store.
    DeleteCheckpoint(CheckpointId),
    /// Coordinator to store.
    DeletePointer(PointerSequence),
    /// To the store: treat the message badly.
    Faulty(StoreFault, Box<Msg>),
    /// A message whose sender, the actor named, is gone: it comes late, and nobody gets an answer.
    Late(Id, Box<Msg>),
    /// Coordinator to task: start, restored from a file. The system fills in the content and delivers at once.
    Deploy(Attempt, Option<StateFile>, Option<Content>),
    /// Coordinator to itself: all tasks run.
    Deployed(Attempt),
    /// Coordinator to itself: stop all tasks. The system does so at once.
    Cancel(Attempt),
    /// Coordinator to itself: all tasks have stopped.
    Stopped(Attempt),
}

impl Msg {
    /// Whether the message belongs to one attempt's data channels, which are closed with it.
    pub fn is_data(&self) -> bool {
        matches!(self, Msg::Data(_))
    }

    /// Whether a copy of the message can still be on its way when everyone who knew of it is gone.
    ///
    /// Answers of the store are not: they come back through a call that ended with its caller. And it makes
    /// no difference whether the store is asked for something that nobody waits for.
    pub fn can_be_stale(&self) -> bool {
        !matches!(
            self,
            Msg::Data(_)
                | Msg::Perform(_, Operation::List | Operation::ReadPointer(_) | Operation::ReadMetadata(_))
                | Msg::Written(..)
                | Msg::Answered(..)
                | Msg::Faulty(..)
                | Msg::Late(..)
                | Msg::Deploy(..)
                | Msg::Deployed(_)
                | Msg::Cancel(_)
                | Msg::Stopped(_)
        )
    }
}

impl fmt::Debug for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", (b'a' + self.key) as char, self.count)
    }
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Element::Record(key) => write!(f, "record {}", (b'a' + key) as char),
            Element::Counted(counted) => write!(f, "record {counted:?}"),
            Element::Barrier(id, CheckpointKind::Periodic) => write!(f, "barrier {id}"),
            Element::Barrier(id, kind) => write!(f, "barrier {id} ({kind})"),
            Element::Cancellation(id) => write!(f, "cancellation {id}"),
            Element::EndOfData => f.write_str("end of data"),
            Element::ChannelEnd => f.write_str("end of channel"),
        }
    }
}

impl fmt::Debug for Msg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Msg::Data(element) => write!(f, "{element:?}"),
            Msg::Trigger(attempt, id, kind) => {
                write!(f, "trigger {kind} checkpoint {id} [attempt {attempt}]")
            }
            Msg::Complete(attempt, id) => write!(f, "checkpoint {id} is complete [attempt {attempt}]"),
            Msg::Abort(attempt, id) => write!(f, "checkpoint {id} is aborted [attempt {attempt}]"),
            Msg::Acknowledge(attempt, id, _) => write!(f, "acknowledge {id} [attempt {attempt}]"),
            Msg::Decline(attempt, id, reason) => write!(f, "decline {id}: {reason:?} [attempt {attempt}]"),
            Msg::Exhausted(attempt) => write!(f, "no more data [attempt {attempt}]"),
            Msg::Finished(attempt) => write!(f, "finished [attempt {attempt}]"),
            Msg::Failed(attempt) => write!(f, "failed [attempt {attempt}]"),
            Msg::WriteState(file, content) => write!(f, "write {} = {content:?}", Name(file)),
            Msg::Written(_, file, true) => write!(f, "{} is durable", Name(file)),
            Msg::Written(_, file, false) => write!(f, "{} could not be written", Name(file)),
            Msg::Perform(_, Operation::PutMetadata(checkpoint)) => {
                write!(f, "put metadata of {}", checkpoint.id)
            }
            Msg::Perform(_, Operation::PutPointer(sequence, pointer)) => write!(
                f,
                "put pointer {sequence} = {:?} by attempt {}, newest {:?}",
                pointer.kind, pointer.attempt, pointer.newest
            ),
            Msg::Perform(_, operation) => write!(f, "{operation:?}"),
            Msg::Answered(_, answer) => write!(f, "{answer:?}"),
            Msg::DiscardState(file) => write!(f, "discard {}", Name(file)),
            Msg::DeleteCheckpoint(id) => write!(f, "delete checkpoint {id}"),
            Msg::DeletePointer(sequence) => write!(f, "delete pointer {sequence}"),
            Msg::Faulty(fault, msg) => write!(f, "{msg:?}, but the store {fault:?}"),
            Msg::Late(src, msg) => write!(f, "{msg:?}, late, from {}", name(*src)),
            Msg::Deploy(attempt, ..) => write!(f, "deploy [attempt {attempt}]"),
            Msg::Deployed(attempt) => write!(f, "all tasks run [attempt {attempt}]"),
            Msg::Cancel(attempt) => write!(f, "cancel all tasks [attempt {attempt}]"),
            Msg::Stopped(attempt) => write!(f, "all tasks stopped [attempt {attempt}]"),
        }
    }
}

struct Name<'a>(&'a StateFile);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateFile { checkpoint, subtask, attempt, .. } = self.0;
        write!(f, "chk-{checkpoint}/{subtask}-{attempt}.state")
    }
}
