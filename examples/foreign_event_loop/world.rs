//! What an engine has without Snapline: messages, channels between tasks, a storage, and output that somebody sees.

use snapline::base::{Attempt, CheckpointId, CompletedCheckpoint, StateFile, StateHandle, SubtaskId};
use snapline::commit::TransactionId;
use snapline::publish::{Answer, Listing, Operation, Pointer, PointerSequence, Recovered};
use snapline::{coordinator, subtask};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

/// What has happened, and to whom. What concerns a task names the attempt that it is meant for.
pub enum Event {
    Coordinator(coordinator::Input),
    Task(Attempt, SubtaskId, subtask::Input),
    NumberDue(Attempt, SubtaskId),
}

/// Messages and effects take their time, and arrive as events.
#[derive(Clone)]
pub struct Mail(pub UnboundedSender<Event>);

impl Mail {
    pub fn later(&self, milliseconds: u64, event: Event) {
        let events = self.0.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(milliseconds)).await;
            // Nobody listens once the job has ended.
            let _ = events.send(event);
        });
    }

    pub fn report(&self, input: coordinator::Input) {
        self.later(1, Event::Coordinator(input));
    }
}

/// What a channel transports. A marker is the input that it becomes when it is read.
pub enum Element {
    Number(u64),
    Marker(subtask::Input),
}

/// The numbers that a source has sent, or those read from each channel; and the transactions of a snapshot.
#[derive(Clone, Default)]
pub struct State {
    pub numbers: [u64; 2],
    pub transactions: BTreeSet<TransactionId>,
}

/// Everything but the queues outlives an attempt. To outlive the process it would have to be files.
#[derive(Default)]
pub struct World {
    pub queues: [VecDeque<Element>; 2],
    pub states: BTreeMap<StateFile, State>,
    pub metadata: BTreeMap<CheckpointId, CompletedCheckpoint>,
    pub pointers: BTreeMap<PointerSequence, Pointer>,
    /// What nobody sees yet.
    pub unfinished: BTreeMap<TransactionId, Vec<u64>>,
    /// What everybody sees.
    pub output: Vec<u64>,
}

impl World {
    /// Carries out one operation of the publisher.
    pub fn perform(&mut self, operation: Operation) -> Answer {
        match operation {
            Operation::List => {
                let of_states = self.states.keys().map(|file| file.checkpoint);
                let checkpoints = self.metadata.keys().copied().chain(of_states).collect();
                Answer::Listed(Listing { pointers: self.pointers.keys().copied().collect(), checkpoints })
            }
            Operation::ReadPointer(sequence) => Answer::Pointer(self.pointers.get(&sequence).cloned()),
            Operation::ReadMetadata(id) => Answer::Metadata(self.metadata.get(&id).cloned()),
            Operation::PutMetadata(checkpoint) => put(self.metadata.entry(checkpoint.id), checkpoint),
            Operation::PutPointer(sequence, pointer) => put(self.pointers.entry(sequence), pointer),
        }
    }

    /// Writes a state file. Memory keeps what it is given, so nobody asks for its length and checksum here.
    pub fn write(&mut self, file: StateFile, state: State) -> StateHandle {
        self.states.insert(file, state);
        StateHandle { file, bytes: 0, checksum: 0 }
    }

    /// What a task starts from.
    pub fn restore(&self, recovered: &Recovered, subtask: SubtaskId) -> State {
        let handle = recovered.newest.as_ref().and_then(|newest| newest.states[&subtask]);
        handle.map_or_else(State::default, |handle| self.states[&handle.file].clone())
    }

    /// Deletes the metadata first: a checkpoint without states must not look like a whole one.
    pub fn delete_checkpoint(&mut self, checkpoint: CheckpointId) {
        self.metadata.remove(&checkpoint);
        self.states.retain(|file, _| file.checkpoint != checkpoint);
    }

    /// Makes a transaction visible; a second time changes nothing.
    pub fn commit(&mut self, transaction: TransactionId) {
        self.output.extend(self.unfinished.remove(&transaction).unwrap_or_default());
    }
}

/// A put never replaces anything: that is what fences an older attempt.
fn put<K: Ord, V>(entry: Entry<'_, K, V>, value: V) -> Answer {
    match entry {
        Entry::Occupied(_) => Answer::Exists,
        Entry::Vacant(vacant) => {
            vacant.insert(value);
            Answer::Stored
        }
    }
}
