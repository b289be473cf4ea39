//! Aligned barriers at the input gate of one subtask, exactly once.
//!
//! A barrier says "everything before me belongs to this checkpoint". A subtask with several input channels
//! gets a consistent cut by not reading on from a channel whose barrier has arrived until the barriers of all
//! others are there too. The gate asks [`Aligner::is_blocked`] before it takes anything from a channel; barriers,
//! cancellation markers and ends of channels go to [`Aligner::on`].
//!
//! Specification: `spec/alignment.md`. Flink: `SingleCheckpointBarrierHandler`.

use crate::base::{Channel, CheckpointId, CheckpointKind, DeclineReason, Millis, Misuse, Violation};
use serde::{Deserialize, Serialize};

const MACHINE: &str = "align";

/// What happened at the gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A barrier was read from a channel that was not blocked.
    BarrierArrived {
        /// The channel.
        channel: Channel,
        /// The barrier's checkpoint.
        checkpoint: CheckpointId,
        /// The kind of that checkpoint.
        kind: CheckpointKind,
    },
    /// A cancellation marker was read from a channel that was not blocked.
    CancellationArrived {
        /// The channel.
        channel: Channel,
        /// The cancelled checkpoint.
        checkpoint: CheckpointId,
    },
    /// A channel will deliver nothing more.
    ChannelEnded {
        /// The channel.
        channel: Channel,
    },
    /// The coordinator has aborted a checkpoint.
    CheckpointAborted {
        /// The aborted checkpoint.
        checkpoint: CheckpointId,
    },
}

/// What the gate must do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Read nothing more from the channel.
    BlockChannel(Channel),
    /// Read from the channel again.
    ResumeChannel(Channel),
    /// All barriers are there: take the snapshot before reading anything else.
    Aligned {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Its kind.
        kind: CheckpointKind,
        /// The time from the first barrier to the last.
        alignment: Millis,
    },
    /// The checkpoint will not be taken here.
    Aborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why, in the words in which the task declines it.
        reason: DeclineReason,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum ChannelState {
    Open,
    Blocked,
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Pending {
    checkpoint: CheckpointId,
    kind: CheckpointKind,
    started: Millis,
}

/// The alignment of one input gate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Aligner {
    channels: Vec<ChannelState>,
    /// The highest checkpoint that was started or cancelled here. Nothing older is ever started again.
    newest: Option<CheckpointId>,
    pending: Option<Pending>,
}

impl Aligner {
    /// A gate with `channels` open channels, numbered from 0, that has seen no barrier.
    #[must_use]
    pub fn new(channels: u16) -> Self {
        Aligner { channels: vec![ChannelState::Open; usize::from(channels)], newest: None, pending: None }
    }

    /// Whether the gate must not read from `channel` now. Asked once per buffer, so it is cheap.
    #[must_use]
    pub fn is_blocked(&self, channel: Channel) -> bool {
        self.state(channel) == Some(ChannelState::Blocked)
    }

    /// Whether `channel` will deliver nothing more.
    #[must_use]
    pub fn is_ended(&self, channel: Channel) -> bool {
        self.state(channel) == Some(ChannelState::Ended)
    }

    /// The checkpoint that is being aligned.
    #[must_use]
    pub fn pending(&self) -> Option<CheckpointId> {
        self.pending.map(|pending| pending.checkpoint)
    }

    /// The number of channels, ended ones included.
    #[must_use]
    pub fn channels(&self) -> u16 {
        self.channels.len() as u16
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when the gate read from a blocked or ended channel, or named a channel that it does not
    /// have; the aligner has not changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::BarrierArrived { channel, checkpoint, kind } => {
                self.readable(channel, "a barrier")?;
                self.barrier(now, channel, checkpoint, kind, out);
            }
            Input::CancellationArrived { channel, checkpoint } => {
                self.readable(channel, "a cancellation marker")?;
                self.cancellation(checkpoint, out);
            }
            Input::ChannelEnded { channel } => {
                self.readable(channel, "its end")?;
                self.channels[usize::from(channel.0)] = ChannelState::Ended;
                self.complete_if_aligned(now, out);
            }
            Input::CheckpointAborted { checkpoint } => {
                //= spec/alignment.md#align-12-an-abort-by-the-coordinator-ends-the-pending-alignment
                //# An abort by the coordinator MUST end the alignment of exactly the checkpoint that it
                //# names.
                if self.pending() == Some(checkpoint) {
                    self.abort_pending(DeclineReason::OnCancellationBarrier, out);
                }
            }
        }
        Ok(())
    }

    /// When time alone can change something: never, in aligned mode.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        None
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let blocked = self.channels.iter().filter(|state| **state == ChannelState::Blocked).count();
        Violation::unless(self.pending.is_some() == (blocked > 0), MACHINE, "ALIGN-2", || {
            format!("{blocked} channels are blocked while the pending checkpoint is {:?}", self.pending)
        })?;
        Violation::unless(self.pending.is_none() || !self.is_aligned(), MACHINE, "ALIGN-3", || {
            format!("every barrier of {:?} has arrived, but it is still pending", self.pending)
        })?;
        Violation::unless(self.pending.is_none() || self.pending() == self.newest, MACHINE, "ALIGN-5", || {
            format!("{:?} is pending although {:?} was seen", self.pending, self.newest)
        })
    }

    fn state(&self, channel: Channel) -> Option<ChannelState> {
        self.channels.get(usize::from(channel.0)).copied()
    }

    //= spec/alignment.md#align-13-reading-from-a-closed-door-is-misuse
    //# An input from a channel that is blocked, ended or unknown MUST be refused without any change.
    fn readable(&self, channel: Channel, what: &str) -> Result<(), Misuse> {
        match self.state(channel) {
            Some(ChannelState::Open) => Ok(()),
            Some(state) => Err(Misuse::new(
                MACHINE,
                format!("{what} was read from channel {channel}, which is {state:?}"),
            )),
            None => Err(Misuse::new(MACHINE, format!("there is no channel {channel}"))),
        }
    }

    fn barrier(
        &mut self,
        now: Millis,
        channel: Channel,
        checkpoint: CheckpointId,
        kind: CheckpointKind,
        out: &mut Vec<Output>,
    ) {
        if self.pending() != Some(checkpoint) {
            //= spec/alignment.md#align-6-an-old-barrier-changes-nothing
            //# A barrier that is neither of the pending checkpoint nor newer than all seen MUST change
            //# nothing.
            if self.newest.is_some_and(|newest| checkpoint <= newest) {
                return;
            }
            //= spec/alignment.md#align-7-a-newer-barrier-subsumes-the-pending-checkpoint
            //# A barrier newer than the pending checkpoint MUST abort it as subsumed and start its own
            //# alignment.
            self.abort_pending(DeclineReason::Subsumed, out);
            self.newest = Some(checkpoint);
            //= spec/alignment.md#align-5-the-pending-checkpoint-is-the-newest-seen
            //# The pending checkpoint MUST be the newest that was started or cancelled at the gate.
            self.pending = Some(Pending { checkpoint, kind, started: now });
        }
        //= spec/alignment.md#align-1-a-delivered-barrier-blocks-its-channel
        //# A channel that delivers the barrier of the pending checkpoint MUST be blocked.
        self.channels[usize::from(channel.0)] = ChannelState::Blocked;
        out.push(Output::BlockChannel(channel));
        self.complete_if_aligned(now, out);
    }

    //= spec/alignment.md#align-8-a-cancellation-marker-ends-the-pending-alignment
    //# A cancellation marker of the pending checkpoint MUST abort it.
    //= spec/alignment.md#align-10-an-old-cancellation-marker-changes-nothing
    //# A cancellation marker neither of the pending checkpoint nor newer than all seen MUST change nothing.
    fn cancellation(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        if self.pending() == Some(checkpoint) {
            self.abort_pending(DeclineReason::OnCancellationBarrier, out);
        } else if self.newest.is_none_or(|newest| checkpoint > newest) {
            //= spec/alignment.md#align-9-a-cancellation-marker-ahead-of-its-barriers-is-remembered
            //# A cancellation marker newer than all seen MUST abort its checkpoint before that starts here.
            self.abort_pending(DeclineReason::Subsumed, out);
            self.newest = Some(checkpoint);
            out.push(Output::Aborted { checkpoint, reason: DeclineReason::OnCancellationBarrier });
        }
    }

    fn is_aligned(&self) -> bool {
        //= spec/alignment.md#align-11-an-ended-channel-counts-as-delivered
        //# An ended channel MUST count as one that has delivered its barrier.
        !self.channels.contains(&ChannelState::Open)
    }

    //= spec/alignment.md#align-3-a-fully-arrived-checkpoint-is-not-pending
    //# A checkpoint whose barriers have arrived on all open channels MUST NOT stay pending.
    fn complete_if_aligned(&mut self, now: Millis, out: &mut Vec<Output>) {
        if !self.is_aligned() {
            return;
        }
        if let Some(Pending { checkpoint, kind, started }) = self.pending.take() {
            //= spec/alignment.md#align-4-the-snapshot-comes-before-reading-on
            //# The snapshot of an aligned checkpoint MUST be asked for before any channel is resumed.
            //= spec/alignment.md#align-14-the-alignment-is-measured
            //# An aligned checkpoint MUST report the time from its first barrier to its last.
            out.push(Output::Aligned { checkpoint, kind, alignment: now.since(started) });
            self.resume_all(out);
        }
    }

    fn abort_pending(&mut self, reason: DeclineReason, out: &mut Vec<Output>) {
        if let Some(Pending { checkpoint, .. }) = self.pending.take() {
            out.push(Output::Aborted { checkpoint, reason });
            self.resume_all(out);
        }
    }

    //= spec/alignment.md#align-2-channels-are-blocked-exactly-while-a-checkpoint-is-pending
    //# Channels MUST be blocked exactly while a checkpoint is pending.
    fn resume_all(&mut self, out: &mut Vec<Output>) {
        for (index, state) in self.channels.iter_mut().enumerate() {
            if *state == ChannelState::Blocked {
                *state = ChannelState::Open;
                out.push(Output::ResumeChannel(Channel(index as u16)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
