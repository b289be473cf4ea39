//! Aligned and unaligned checkpoints, and the switch from one to the other.

use super::{Input, MACHINE, Output};
use crate::base::{
    Alignment, Channel, CheckpointId, CheckpointOptions, DeclineReason, Millis, Misuse, Violation,
};
use serde::{Deserialize, Serialize};

/// What is known of a channel, with regard to the pending checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum ChannelState {
    /// No barrier yet. While the checkpoint is unaligned, what is put into the queue is captured.
    Open,
    /// The barrier of an aligned checkpoint stands in the queue.
    Announced,
    /// The barrier of an aligned checkpoint was read.
    Blocked,
    /// The barrier of an unaligned checkpoint was announced or read.
    Overtaken,
    /// Nothing more comes.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) checkpoint: CheckpointId,
    /// Those of its first barrier.
    options: CheckpointOptions,
    /// Whether a barrier has overtaken what was queued.
    pub(super) is_unaligned: bool,
    /// When the first barrier was read or overtook something.
    first_barrier: Option<Millis>,
}

/// A gate at which at most one checkpoint is pending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Gate {
    pub(super) states: Vec<ChannelState>,
    /// The highest checkpoint that was started or cancelled here. Nothing older is ever started again.
    pub(super) newest: Option<CheckpointId>,
    pub(super) pending: Option<Pending>,
}

impl Gate {
    pub(super) fn new(channels: u16) -> Self {
        Gate { states: vec![ChannelState::Open; usize::from(channels)], newest: None, pending: None }
    }

    pub(super) fn is_blocked(&self, channel: Channel) -> bool {
        self.state(channel) == Some(ChannelState::Blocked)
    }

    //= spec/alignment.md#align-18-what-arrives-is-captured-until-the-barrier
    //# A record that is put into a channel's queue MUST be captured exactly while the pending checkpoint is
    //# unaligned and its barrier has not been seen on that channel.
    pub(super) fn capturing(&self, channel: Channel) -> Option<CheckpointId> {
        let pending = self.pending.filter(|pending| pending.is_unaligned)?;
        (self.state(channel) == Some(ChannelState::Open)).then_some(pending.checkpoint)
    }

    pub(super) fn is_ended(&self, channel: Channel) -> bool {
        self.state(channel) == Some(ChannelState::Ended)
    }

    pub(super) fn is_pending(&self, checkpoint: CheckpointId) -> bool {
        self.pending.is_some_and(|pending| pending.checkpoint == checkpoint)
    }

    pub(super) fn channels(&self) -> u16 {
        self.states.len() as u16
    }

    pub(super) fn deadline(&self) -> Option<Millis> {
        let pending = self.pending.filter(|pending| !pending.is_unaligned)?;
        match pending.options.alignment() {
            Alignment::AlignedUntil(deadline) => Some(deadline),
            Alignment::Aligned | Alignment::Unaligned => None,
        }
    }

    pub(super) fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::BarrierAnnounced { channel, checkpoint, options } => {
                self.not_ended(channel, "a barrier")?;
                self.announced(now, channel, checkpoint, options, out);
            }
            Input::BarrierArrived { channel, checkpoint, options } => {
                self.readable(channel, "a barrier")?;
                self.arrived(now, channel, checkpoint, options, out);
            }
            Input::CancellationArrived { channel, checkpoint } => {
                self.readable(channel, "a cancellation marker")?;
                self.cancelled(checkpoint, out);
            }
            Input::ChannelEnded { channel } => {
                self.readable(channel, "its end")?;
                self.states[usize::from(channel.0)] = ChannelState::Ended;
            }
            Input::CheckpointAborted { checkpoint } => {
                //= spec/alignment.md#align-12-an-abort-by-the-coordinator-ends-the-pending-alignment
                //# An abort by the coordinator MUST end the alignment of exactly the checkpoint that it
                //# names.
                if self.is_pending(checkpoint) {
                    self.abort_pending(DeclineReason::OnCancellationBarrier, out);
                }
            }
            Input::Tick => {}
        }
        //= spec/alignment.md#align-22-the-fact-comes-before-its-time
        //# An input MUST be taken in before the time at which it comes can change the alignment.
        self.finish_if_complete(now, out);
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            //= spec/alignment.md#align-21-an-alignment-ends-at-its-deadline
            //# An alignment that is still pending at its deadline MUST become unaligned.
            self.overtake(now, out);
            self.finish_if_complete(now, out);
        }
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Violation> {
        let any = |wanted: ChannelState| self.states.contains(&wanted);
        let (announced, blocked) = (any(ChannelState::Announced), any(ChannelState::Blocked));
        let is_unaligned = self.pending.is_some_and(|pending| pending.is_unaligned);
        Violation::unless(!blocked || (self.pending.is_some() && !is_unaligned), MACHINE, "ALIGN-2", || {
            format!("channels {:?} are blocked while {:?} is pending", self.states, self.pending)
        })?;
        let is_open = |state: &ChannelState| matches!(state, ChannelState::Open | ChannelState::Announced);
        Violation::unless(
            self.pending.is_none() || self.states.iter().any(is_open),
            MACHINE,
            "ALIGN-3",
            || format!("every barrier of {:?} has arrived, but it is still pending", self.pending),
        )?;
        let newest = self.newest;
        Violation::unless(
            self.pending.is_none_or(|pending| Some(pending.checkpoint) == newest),
            MACHINE,
            "ALIGN-5",
            || format!("{:?} is pending although {newest:?} was seen", self.pending),
        )?;
        let is_fresh = !announced && !any(ChannelState::Overtaken);
        Violation::unless(self.pending.is_some() || is_fresh, MACHINE, "ALIGN-18", || {
            format!("channels {:?} have a barrier of no pending checkpoint", self.states)
        })?;
        Violation::unless(!is_unaligned || !announced, MACHINE, "ALIGN-19", || {
            format!("an announced barrier does not count for {:?}: {:?}", self.pending, self.states)
        })
    }

    fn state(&self, channel: Channel) -> Option<ChannelState> {
        self.states.get(usize::from(channel.0)).copied()
    }

    //= spec/alignment.md#align-13-reading-from-a-closed-door-is-misuse
    //# An input from a channel that is blocked, ended or unknown MUST be refused without any change.
    fn readable(&self, channel: Channel, what: &str) -> Result<(), Misuse> {
        if self.is_blocked(channel) {
            return Err(Misuse::new(
                MACHINE,
                format!("{what} was read from channel {channel}, which is blocked"),
            ));
        }
        self.not_ended(channel, what)
    }

    fn not_ended(&self, channel: Channel, what: &str) -> Result<(), Misuse> {
        match self.state(channel) {
            Some(ChannelState::Ended) => {
                Err(Misuse::new(MACHINE, format!("{what} came from channel {channel}, which has ended")))
            }
            Some(_) => Ok(()),
            None => Err(Misuse::new(MACHINE, format!("there is no channel {channel}"))),
        }
    }

    /// Whether a barrier belongs to the pending checkpoint, which it starts if it is the first.
    fn joins(&mut self, checkpoint: CheckpointId, options: CheckpointOptions, out: &mut Vec<Output>) -> bool {
        if self.is_pending(checkpoint) {
            return true;
        }
        //= spec/alignment.md#align-6-an-old-barrier-changes-nothing
        //# A barrier that is neither of the pending checkpoint nor newer than all seen MUST change
        //# nothing.
        if self.newest.is_some_and(|newest| checkpoint <= newest) {
            return false;
        }
        //= spec/alignment.md#align-7-a-newer-barrier-subsumes-the-pending-checkpoint
        //# Where exactly once is promised, a barrier newer than the pending checkpoint MUST abort it as
        //# subsumed and start its own alignment.
        //= spec/alignment.md#align-25-checkpoints-are-decided-in-order
        //# A gate MUST decide checkpoints in the order of their ids, each at most once.
        self.abort_pending(DeclineReason::Subsumed, out);
        //= spec/alignment.md#align-5-the-pending-checkpoint-is-the-newest-seen
        //# Where exactly once is promised, the pending checkpoint MUST be the newest that was started or
        //# cancelled at the gate.
        self.newest = Some(checkpoint);
        self.pending = Some(Pending { checkpoint, options, is_unaligned: false, first_barrier: None });
        true
    }

    fn announced(
        &mut self,
        now: Millis,
        channel: Channel,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        out: &mut Vec<Output>,
    ) {
        //= spec/alignment.md#align-24-an-announcement-of-a-barrier-that-waits-changes-nothing
        //# The announcement of a barrier that may not overtake MUST change nothing.
        if options.alignment() == Alignment::Aligned || !self.joins(checkpoint, options, out) {
            return;
        }
        let state = &mut self.states[usize::from(channel.0)];
        //= spec/alignment.md#align-23-an-announced-barrier-counts-once-it-overtakes
        //# An announced barrier MUST count as delivered exactly when its checkpoint is unaligned.
        if *state == ChannelState::Open {
            let is_unaligned = self.pending.is_some_and(|pending| pending.is_unaligned);
            *state = if is_unaligned { ChannelState::Overtaken } else { ChannelState::Announced };
        }
        if options.alignment() == Alignment::Unaligned {
            self.overtake(now, out);
        }
    }

    fn arrived(
        &mut self,
        now: Millis,
        channel: Channel,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        out: &mut Vec<Output>,
    ) {
        if !self.joins(checkpoint, options, out) {
            return;
        }
        let Some(pending) = &mut self.pending else { return };
        pending.first_barrier.get_or_insert(now);
        let is_unaligned = pending.is_unaligned || options.alignment() == Alignment::Unaligned;
        let state = &mut self.states[usize::from(channel.0)];
        if is_unaligned {
            *state = ChannelState::Overtaken;
            self.overtake(now, out);
        } else {
            //= spec/alignment.md#align-1-a-delivered-barrier-blocks-its-channel
            //# A channel that delivers the barrier of the pending checkpoint MUST be blocked while that is
            //# aligned.
            *state = ChannelState::Blocked;
            out.push(Output::BlockChannel(channel));
        }
    }

    //= spec/alignment.md#align-8-a-cancellation-marker-ends-the-pending-alignment
    //# A cancellation marker of the pending checkpoint MUST abort it.
    //= spec/alignment.md#align-10-an-old-cancellation-marker-changes-nothing
    //# A cancellation marker neither of the pending checkpoint nor newer than all seen MUST change nothing.
    fn cancelled(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        if self.is_pending(checkpoint) {
            self.abort_pending(DeclineReason::OnCancellationBarrier, out);
        } else if self.newest.is_none_or(|newest| checkpoint > newest) {
            //= spec/alignment.md#align-9-a-cancellation-marker-ahead-of-its-barriers-is-remembered
            //# A cancellation marker newer than all seen MUST abort its checkpoint before that starts here.
            self.abort_pending(DeclineReason::Subsumed, out);
            self.newest = Some(checkpoint);
            out.push(Output::Aborted { checkpoint, reason: DeclineReason::OnCancellationBarrier });
        }
    }

    /// Makes the pending checkpoint unaligned, if it is not yet.
    fn overtake(&mut self, now: Millis, out: &mut Vec<Output>) {
        let Some(pending) = self.pending.as_mut().filter(|pending| !pending.is_unaligned) else { return };
        pending.is_unaligned = true;
        pending.first_barrier.get_or_insert(now);
        let (checkpoint, options) = (pending.checkpoint, pending.options.overtaking());
        //= spec/alignment.md#align-16-the-first-barrier-that-overtakes-takes-the-snapshot
        //# An overtaking barrier of a checkpoint that is not yet unaligned MUST make it unaligned and ask for its
        //# snapshot at once.
        out.push(Output::StartUnaligned { checkpoint, options });
        for (index, state) in self.states.iter_mut().enumerate() {
            let channel = Channel(index as u16);
            match *state {
                //= spec/alignment.md#align-17-what-is-queued-ahead-of-a-barrier-is-captured
                //# When a checkpoint becomes unaligned, what is queued in each channel whose barrier was not read
                //# MUST be captured up to that barrier.
                ChannelState::Open => out.push(Output::CaptureQueued { checkpoint, channel }),
                ChannelState::Announced => {
                    *state = ChannelState::Overtaken;
                    out.push(Output::CaptureQueued { checkpoint, channel });
                }
                //= spec/alignment.md#align-20-no-channel-waits-for-an-unaligned-checkpoint
                //# A channel MUST NOT stay blocked when its checkpoint becomes unaligned.
                ChannelState::Blocked => {
                    *state = ChannelState::Overtaken;
                    out.push(Output::ResumeChannel(channel));
                }
                ChannelState::Overtaken | ChannelState::Ended => {}
            }
        }
    }

    //= spec/alignment.md#align-3-a-fully-arrived-checkpoint-is-not-pending
    //# A checkpoint whose barriers have arrived on all open channels MUST NOT stay pending.
    fn finish_if_complete(&mut self, now: Millis, out: &mut Vec<Output>) {
        //= spec/alignment.md#align-11-an-ended-channel-counts-as-delivered
        //# An ended channel MUST count as one that has delivered its barrier.
        let waits = |state: &ChannelState| matches!(state, ChannelState::Open | ChannelState::Announced);
        if self.states.iter().any(waits) {
            return;
        }
        let Some(pending) = self.pending.take() else { return };
        let Pending { checkpoint, options, is_unaligned, first_barrier } = pending;
        //= spec/alignment.md#align-14-the-alignment-is-measured
        //# A checkpoint MUST report the time from its first barrier to its last.
        let alignment = now.since(first_barrier.unwrap_or(now));
        //= spec/alignment.md#align-19-the-capture-ends-with-the-last-barrier
        //# An unaligned checkpoint MUST report the end of its capture when the barriers of all open channels have
        //# been seen.
        //= spec/alignment.md#align-4-the-snapshot-comes-before-reading-on
        //# The snapshot of an aligned checkpoint MUST be asked for before any channel is resumed.
        out.push(match is_unaligned {
            true => Output::CaptureFinished { checkpoint, alignment },
            false => Output::Aligned { checkpoint, options, alignment },
        });
        self.open_all(out);
    }

    fn abort_pending(&mut self, reason: DeclineReason, out: &mut Vec<Output>) {
        if let Some(Pending { checkpoint, .. }) = self.pending.take() {
            out.push(Output::Aborted { checkpoint, reason });
            self.open_all(out);
        }
    }

    //= spec/alignment.md#align-2-channels-are-blocked-only-while-a-checkpoint-is-pending
    //# A channel MUST be blocked only while an aligned checkpoint is pending.
    fn open_all(&mut self, out: &mut Vec<Output>) {
        for (index, state) in self.states.iter_mut().enumerate() {
            match *state {
                ChannelState::Open | ChannelState::Ended => continue,
                ChannelState::Blocked => out.push(Output::ResumeChannel(Channel(index as u16))),
                ChannelState::Announced | ChannelState::Overtaken => {}
            }
            *state = ChannelState::Open;
        }
    }
}
