//! The channels between subtasks.

use super::error::TaskError;
use super::function::Record;
use super::key_groups::OperatorKeyGroups;
use crate::base::{CheckpointId, CheckpointOptions, EventTime};
use crate::keygroup::{KeyGroupRangeAssignment, key_group_of};
use crate::state::{CapturedRecords, StateError};
use crossbeam_channel::{Receiver, Select, Sender, TryRecvError, bounded, unbounded};
use std::any::type_name;
use std::sync::{Arc, Mutex, PoisonError};

/// What flows through a channel, in order.
#[derive(Debug)]
pub(super) enum Element<T> {
    Records(Vec<T>),
    Watermark(EventTime),
    Barrier(CheckpointId, CheckpointOptions),
    Cancellation(CheckpointId),
    EndOfData,
    /// Nothing follows. A channel that closes without it belongs to a task that failed.
    ChannelEnd,
}

impl<T> Element<T> {
    fn map<U>(self, convert: fn(T) -> U) -> Element<U> {
        match self {
            Element::Records(records) => Element::Records(records.into_iter().map(convert).collect()),
            Element::Watermark(watermark) => Element::Watermark(watermark),
            Element::Barrier(checkpoint, options) => Element::Barrier(checkpoint, options),
            Element::Cancellation(checkpoint) => Element::Cancellation(checkpoint),
            Element::EndOfData => Element::EndOfData,
            Element::ChannelEnd => Element::ChannelEnd,
        }
    }
}

/// The end of a channel at which elements are sent. Each batch of records needs room at the other end; everything
/// else is sent at once, so that no barrier waits in a channel.
pub(super) struct ChannelSender<T> {
    pub(super) elements: Sender<Element<T>>,
    /// Delivers one message for each batch that the receiver has room for (Flink: credits).
    pub(super) room: Receiver<()>,
}

/// The end of a channel at which elements arrive.
pub(super) struct ChannelReceiver<T> {
    pub(super) elements: Receiver<Element<T>>,
    /// By what name the type of the records is known, if it has one of its own.
    record_type: Option<Arc<str>>,
    /// Takes one message for each batch that the receiver has done with.
    pub(super) room: Sender<()>,
}

/// A channel as its gate sees it.
pub(super) trait Input<T>: Send {
    /// The next element, if one has arrived.
    fn try_receive(&self) -> Result<Option<Element<T>>, TaskError>;

    /// Gives the sender room for one more batch.
    fn give_room(&self);

    /// Makes a wait end when something arrives.
    fn register<'a>(&'a self, select: &mut Select<'a>);

    /// Records that the sender of a channel like this one had not sent yet.
    fn decode(&self, records: &CapturedRecords) -> Result<Vec<T>, StateError>;
}

impl<T: Record> Input<T> for ChannelReceiver<T> {
    fn try_receive(&self) -> Result<Option<Element<T>>, TaskError> {
        try_receive(&self.elements)
    }

    fn give_room(&self) {
        // A sender that is gone needs no room.
        let _ = self.room.try_send(());
    }

    fn register<'a>(&'a self, select: &mut Select<'a>) {
        select.recv(&self.elements);
    }

    fn decode(&self, records: &CapturedRecords) -> Result<Vec<T>, StateError> {
        records.decode_as(self.record_type.as_deref().unwrap_or(type_name::<T>()))
    }
}

/// A channel whose records become another type at the gate.
pub(super) struct Converted<A, T> {
    pub(super) receiver: ChannelReceiver<A>,
    pub(super) convert: fn(A) -> T,
}

impl<A: Record, T> Input<T> for Converted<A, T> {
    fn try_receive(&self) -> Result<Option<Element<T>>, TaskError> {
        Ok(self.receiver.try_receive()?.map(|element| element.map(self.convert)))
    }

    fn give_room(&self) {
        self.receiver.give_room();
    }

    fn register<'a>(&'a self, select: &mut Select<'a>) {
        self.receiver.register(select);
    }

    fn decode(&self, records: &CapturedRecords) -> Result<Vec<T>, StateError> {
        Ok(self.receiver.decode(records)?.into_iter().map(self.convert).collect())
    }
}

/// A channel that has closed belongs to someone who is gone: so is this attempt.
pub(super) fn try_receive<M>(receiver: &Receiver<M>) -> Result<Option<M>, TaskError> {
    match receiver.try_recv() {
        Ok(message) => Ok(Some(message)),
        Err(TryRecvError::Empty) => Ok(None),
        Err(TryRecvError::Disconnected) => Err(TaskError::Cancelled),
    }
}

/// A channel whose receiver has room for `batches` batches, and for one at least.
pub(super) fn channel<T>(batches: usize) -> (ChannelSender<T>, ChannelReceiver<T>) {
    let batches = batches.max(1);
    let (sender, receiver) = unbounded();
    let (giver, room) = bounded(batches);
    // There is room for all of them.
    for _ in 0..batches {
        let _ = giver.try_send(());
    }
    (
        ChannelSender { elements: sender, room },
        ChannelReceiver { elements: receiver, record_type: None, room: giver },
    )
}

/// Which downstream subtask gets a record.
pub(super) enum Partitioner<T> {
    /// The one of the same index.
    Forward,
    /// The owner of the record's key group.
    KeyGroups { key_hash: Arc<dyn Fn(&T) -> i32 + Send + Sync>, assignment: KeyGroupRangeAssignment },
    /// All of them, each with a copy.
    Broadcast { copy: fn(&T) -> T },
}

/// Where a record goes.
pub(super) enum Target<T> {
    /// Into the sender's channel at this place.
    One(usize),
    /// Into all channels of the sender, as copies.
    All(fn(&T) -> T),
}

impl<T> Clone for Partitioner<T> {
    fn clone(&self) -> Self {
        match self {
            Partitioner::Forward => Partitioner::Forward,
            Partitioner::KeyGroups { key_hash, assignment } => {
                Partitioner::KeyGroups { key_hash: Arc::clone(key_hash), assignment: *assignment }
            }
            Partitioner::Broadcast { copy } => Partitioner::Broadcast { copy: *copy },
        }
    }
}

impl<T> Partitioner<T> {
    pub(super) fn select(&self, record: &T) -> Target<T> {
        match self {
            Partitioner::Forward => Target::One(0),
            Partitioner::KeyGroups { key_hash, assignment } => {
                let group = key_group_of(key_hash(record), assignment.max_parallelism());
                Target::One(usize::from(assignment.owner_of(group)))
            }
            Partitioner::Broadcast { copy } => Target::All(*copy),
        }
    }

    fn connects(&self, from: usize, to: usize) -> bool {
        match self {
            Partitioner::Forward => from == to,
            Partitioner::KeyGroups { .. } | Partitioner::Broadcast { .. } => true,
        }
    }
}

/// The connection of two operators. Every attempt gets new channels.
pub(super) struct Edge<T> {
    upstream: usize,
    downstream: usize,
    partitioner: Partitioner<T>,
    /// Where the partitioner's assignment is decided, if it has one.
    key_groups: Option<OperatorKeyGroups>,
    /// By what name the type of the records is known, if it has one of its own.
    record_type: Option<Arc<str>>,
    ends: Mutex<Ends<T>>,
}

struct Ends<T> {
    senders: Vec<Vec<ChannelSender<T>>>,
    receivers: Vec<Vec<ChannelReceiver<T>>>,
}

impl<T> Edge<T> {
    pub(super) fn new(
        upstream: u16,
        downstream: u16,
        partitioner: Partitioner<T>,
        record_type: Option<Arc<str>>,
    ) -> Self {
        let ends = Mutex::new(Ends { senders: Vec::new(), receivers: Vec::new() });
        let (upstream, downstream) = (upstream.into(), downstream.into());
        Edge { upstream, downstream, partitioner, key_groups: None, record_type, ends }
    }

    /// The same for a connection whose receivers have these key groups.
    pub(super) fn with_key_groups(self, key_groups: OperatorKeyGroups) -> Self {
        Edge { key_groups: Some(key_groups), ..self }
    }

    pub(super) fn record_type(&self) -> Option<Arc<str>> {
        self.record_type.clone()
    }

    /// What says where records go in an attempt.
    pub(super) fn partitioner(&self) -> Partitioner<T> {
        let mut partitioner = self.partitioner.clone();
        if let (Partitioner::KeyGroups { assignment, .. }, Some(key_groups)) =
            (&mut partitioner, &self.key_groups)
        {
            *assignment = key_groups.assignment();
        }
        partitioner
    }

    /// Opens the channels of a new attempt; what is left of the old one is dropped. The channels from those upstream
    /// that had `finished` are at their end.
    pub(super) fn open(&self, capacity: usize, finished: &dyn Fn(u16) -> bool) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.senders = (0..self.upstream).map(|_| Vec::new()).collect();
        ends.receivers = (0..self.downstream).map(|_| Vec::new()).collect();
        for from in 0..self.upstream {
            for to in (0..self.downstream).filter(|to| self.partitioner.connects(from, *to)) {
                let (sender, receiver) = channel(capacity);
                if finished(from as u16) {
                    for end in [Element::EndOfData, Element::ChannelEnd] {
                        // The receiver is right here.
                        let _ = sender.elements.send(end);
                    }
                }
                ends.senders[from].push(sender);
                let record_type = self.record_type.clone();
                ends.receivers[to].push(ChannelReceiver { record_type, ..receiver });
            }
        }
    }

    /// The channels into downstream subtask `index`; they are handed out once per attempt.
    pub(super) fn receivers(&self, index: u16) -> Vec<ChannelReceiver<T>> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.receivers.get_mut(usize::from(index)).map(std::mem::take).unwrap_or_default()
    }

    /// The channels out of upstream subtask `index`; they are handed out once per attempt.
    pub(super) fn senders(&self, index: u16) -> Vec<ChannelSender<T>> {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        ends.senders.get_mut(usize::from(index)).map(std::mem::take).unwrap_or_default()
    }
}
