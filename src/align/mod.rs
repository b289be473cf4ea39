//! Barriers at the input gate of one subtask.
//!
//! A barrier says "everything before me belongs to this checkpoint". A subtask with several input channels gets
//! a consistent cut in one of three ways, which the gate's [`CheckpointingMode`] and the barrier's
//! [`CheckpointOptions`](crate::base::CheckpointOptions) choose:
//!
//! - *aligned*: no channel is read on behind its barrier until the barriers of all others are there too;
//! - *unaligned*: the first barrier overtakes what is queued everywhere, and that becomes part of the checkpoint;
//! - *at least once*: nothing waits and nothing is captured; some records are in the checkpoint and come again.
//!
//! An alignment that takes too long may turn into an unaligned checkpoint.
//!
//! # How to drive it
//!
//! The gate keeps one queue for each channel; the machine never sees a record.
//!
//! 1. Put what comes from upstream at the end of its channel's queue. Report a barrier at once, as
//!    [`Input::BarrierAnnounced`], when it stands in the queue. A record belongs also to the checkpoint that
//!    [`Aligner::capturing`] names, if it names one.
//! 2. Read the heads of queues of channels that are not [blocked](Aligner::is_blocked). Report barriers, markers
//!    and ends, each where it stands in line, also a barrier that was announced.
//! 3. When [`Aligner::deadline`] has come, report [`Input::Tick`].
//! 4. Carry out the outputs of each input in their order before anything else is put or read.
//!
//! [`Output::Aligned`] and [`Output::StartUnaligned`] ask for the barrier to be sent on, and then for the snapshot, before
//! anything else. The checkpoint may be acknowledged when that is durable; after [`Output::StartUnaligned`] it must
//! also hold all that was captured until [`Output::CaptureFinished`]. [`Output::Aborted`] asks for the checkpoint to be
//! declined and, if its barrier was not sent, for a cancellation marker in its place. A
//! [`Subtask`](crate::subtask::Subtask) does all of this.
//!
//! What a barrier does at the outputs of the subtask is the business of [`outputs`].
//!
//! One thread does all of this: with a second one that puts, what is captured would be out of order.
//!
//! Specification: `spec/alignment.md`. Flink: `SingleCheckpointBarrierHandler`, `CheckpointBarrierTracker`.

mod at_least_once;
mod exactly_once;
mod message;
pub mod outputs;

pub use message::{Input, Output};

use crate::base::{Channel, CheckpointId, CheckpointingMode, Millis, Misuse, Violation};
use at_least_once::Tracker;
use exactly_once::Gate;
use serde::{Deserialize, Serialize};

const MACHINE: &str = "align";

/// The barriers of one input gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Aligner(Mode);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Mode {
    ExactlyOnce(Gate),
    AtLeastOnce(Tracker),
}

impl Aligner {
    /// A gate with `channels` open channels, numbered from 0, that has seen no barrier.
    #[must_use]
    pub fn new(channels: u16, mode: CheckpointingMode) -> Self {
        Aligner(match mode {
            CheckpointingMode::ExactlyOnce => Mode::ExactlyOnce(Gate::new(channels)),
            CheckpointingMode::AtLeastOnce => Mode::AtLeastOnce(Tracker::new(channels)),
        })
    }

    /// Whether the gate must not read from `channel` now. Asked once per buffer, so it is cheap.
    #[must_use]
    pub fn is_blocked(&self, channel: Channel) -> bool {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.is_blocked(channel),
            //= spec/alignment.md#align-26-at-least-once-no-channel-waits
            //# A gate that promises at least once MUST NOT block a channel.
            Mode::AtLeastOnce(_) => false,
        }
    }

    /// The checkpoint into which a record must be copied that is put into the queue of `channel` now. Asked once
    /// per buffer, so it is cheap.
    #[must_use]
    pub fn capturing(&self, channel: Channel) -> Option<CheckpointId> {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.capturing(channel),
            Mode::AtLeastOnce(_) => None,
        }
    }

    /// Whether `channel` will deliver nothing more.
    #[must_use]
    pub fn is_ended(&self, channel: Channel) -> bool {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.is_ended(channel),
            Mode::AtLeastOnce(tracker) => tracker.is_ended(channel),
        }
    }

    /// Whether a barrier of `checkpoint` has been seen and others are still to come.
    #[must_use]
    pub fn is_pending(&self, checkpoint: CheckpointId) -> bool {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.is_pending(checkpoint),
            Mode::AtLeastOnce(tracker) => tracker.is_pending(checkpoint),
        }
    }

    /// The newest pending checkpoint. With exactly once there is no other.
    #[must_use]
    pub fn pending(&self) -> Option<CheckpointId> {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.pending.map(|pending| pending.checkpoint),
            Mode::AtLeastOnce(tracker) => tracker.tracked.last_key_value().map(|(checkpoint, _)| *checkpoint),
        }
    }

    /// The number of channels, ended ones included.
    #[must_use]
    pub fn channels(&self) -> u16 {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.channels(),
            Mode::AtLeastOnce(tracker) => tracker.channels(),
        }
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when the gate read from a blocked or ended channel, put something into the queue of an ended
    /// one, or named a channel that it does not have; the aligner has not changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match &mut self.0 {
            Mode::ExactlyOnce(gate) => gate.on(now, input, out),
            Mode::AtLeastOnce(tracker) => tracker.on(now, input, out),
        }
    }

    /// When a tick can change something: at the time until which the pending checkpoint is aligned.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.deadline(),
            Mode::AtLeastOnce(_) => None,
        }
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        match &self.0 {
            Mode::ExactlyOnce(gate) => gate.check(),
            Mode::AtLeastOnce(tracker) => tracker.check(),
        }
    }
}

#[cfg(test)]
mod tests;
