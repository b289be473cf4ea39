//! Counting barriers without making any channel wait: at least once.

use super::{Input, MACHINE, Output};
use crate::base::{Channel, CheckpointId, CheckpointOptions, DeclineReason, Millis, Misuse, Violation};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How many checkpoints may be incomplete at once, as in Flink: when channels drift further apart than this,
/// something else is wrong.
pub(super) const TRACKED_CHECKPOINTS: usize = 50;

/// A checkpoint of which some channel has delivered the barrier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Tracked {
    options: CheckpointOptions,
    first_barrier: Millis,
    pub(super) delivered: BTreeSet<Channel>,
    /// The coordinator has aborted it; it is given up in its turn.
    pub(super) aborted: bool,
}

/// A gate at which several checkpoints may be pending.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Tracker {
    channels: u16,
    pub(super) ended: BTreeSet<Channel>,
    /// The highest checkpoint of which a barrier or cancellation marker was read.
    pub(super) newest: Option<CheckpointId>,
    pub(super) tracked: BTreeMap<CheckpointId, Tracked>,
}

impl Tracker {
    pub(super) fn new(channels: u16) -> Self {
        Tracker { channels, ended: BTreeSet::new(), newest: None, tracked: BTreeMap::new() }
    }

    pub(super) fn is_ended(&self, channel: Channel) -> bool {
        self.ended.contains(&channel)
    }

    pub(super) fn is_pending(&self, checkpoint: CheckpointId) -> bool {
        self.tracked.contains_key(&checkpoint)
    }

    pub(super) fn channels(&self) -> u16 {
        self.channels
    }

    pub(super) fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::BarrierAnnounced { channel, .. } => self.readable(channel, "a barrier")?,
            Input::BarrierArrived { channel, checkpoint, options } => {
                self.readable(channel, "a barrier")?;
                self.barrier(now, channel, checkpoint, options, out);
            }
            Input::CancellationArrived { channel, checkpoint } => {
                self.readable(channel, "a cancellation marker")?;
                self.cancelled(checkpoint, out);
            }
            Input::ChannelEnded { channel } => {
                self.readable(channel, "its end")?;
                self.ended.insert(channel);
            }
            Input::CheckpointAborted { checkpoint } => {
                //= spec/alignment.md#align-12-an-abort-by-the-coordinator-ends-the-pending-alignment
                //# An abort by the coordinator MUST end the alignment of exactly the checkpoint that it
                //# names.
                // Nobody waits for it, so it keeps its turn: an older one may still be completed before it.
                if let Some(tracked) = self.tracked.get_mut(&checkpoint) {
                    tracked.aborted = true;
                }
            }
            Input::Tick => {}
        }
        self.finish_newest_complete(now, out);
        Ok(())
    }

    pub(super) fn check(&self) -> Result<(), Violation> {
        let mut of_unseen = self.tracked.keys().filter(|id| Some(**id) > self.newest);
        Violation::unless(of_unseen.next().is_none(), MACHINE, "ALIGN-5", || {
            format!("{:?} are tracked, but {:?} is the newest seen", self.tracked.keys(), self.newest)
        })?;
        let complete = self.tracked.iter().find(|(_, tracked)| self.is_complete(tracked));
        Violation::unless(complete.is_none(), MACHINE, "ALIGN-3", || {
            format!("every barrier of {complete:?} has arrived, but it is still tracked")
        })?;
        Violation::unless(self.tracked.len() <= TRACKED_CHECKPOINTS, MACHINE, "ALIGN-28", || {
            format!("{} checkpoints are tracked", self.tracked.len())
        })
    }

    //= spec/alignment.md#align-13-reading-from-a-closed-door-is-misuse
    //# An input from a channel that is blocked, ended or unknown MUST be refused without any change.
    fn readable(&self, channel: Channel, what: &str) -> Result<(), Misuse> {
        if channel.0 >= self.channels {
            return Err(Misuse::new(MACHINE, format!("there is no channel {channel}")));
        }
        if self.is_ended(channel) {
            return Err(Misuse::new(MACHINE, format!("{what} came from channel {channel}, which has ended")));
        }
        Ok(())
    }

    fn barrier(
        &mut self,
        now: Millis,
        channel: Channel,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        out: &mut Vec<Output>,
    ) {
        if !self.is_pending(checkpoint) {
            //= spec/alignment.md#align-6-an-old-barrier-changes-nothing
            //# A barrier that is neither of the pending checkpoint nor newer than all seen MUST change
            //# nothing.
            if self.newest.is_some_and(|newest| checkpoint <= newest) {
                return;
            }
            self.newest = Some(checkpoint);
            //= spec/alignment.md#align-28-the-number-of-tracked-checkpoints-is-bounded
            //# A gate that promises at least once MUST track at most 50 checkpoints, and give up the oldest for a
            //# newer one.
            if self.tracked.len() == TRACKED_CHECKPOINTS {
                self.give_up_oldest(out);
            }
            let (delivered, aborted) = (BTreeSet::new(), false);
            let tracked = Tracked { options, first_barrier: now, delivered, aborted };
            self.tracked.insert(checkpoint, tracked);
        }
        if let Some(tracked) = self.tracked.get_mut(&checkpoint) {
            tracked.delivered.insert(channel);
        }
    }

    //= spec/alignment.md#align-10-an-old-cancellation-marker-changes-nothing
    //# A cancellation marker neither of the pending checkpoint nor newer than all seen MUST change nothing.
    fn cancelled(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        if !self.is_pending(checkpoint) && self.newest.is_some_and(|newest| checkpoint <= newest) {
            return;
        }
        self.newest = self.newest.max(Some(checkpoint));
        self.give_up_before(checkpoint, out);
        self.tracked.remove(&checkpoint);
        //= spec/alignment.md#align-8-a-cancellation-marker-ends-the-pending-alignment
        //# A cancellation marker of the pending checkpoint MUST abort it.
        out.push(Output::Aborted { checkpoint, reason: DeclineReason::OnCancellationBarrier });
    }

    fn is_complete(&self, tracked: &Tracked) -> bool {
        //= spec/alignment.md#align-11-an-ended-channel-counts-as-delivered
        //# An ended channel MUST count as one that has delivered its barrier.
        let is_there = |channel| self.is_ended(channel) || tracked.delivered.contains(&channel);
        (0..self.channels).map(Channel).all(is_there)
    }

    //= spec/alignment.md#align-3-a-fully-arrived-checkpoint-is-not-pending
    //# A checkpoint whose barriers have arrived on all open channels MUST NOT stay pending.
    fn finish_newest_complete(&mut self, now: Millis, out: &mut Vec<Output>) {
        let newest = self.tracked.iter().rev().find(|(_, tracked)| self.is_complete(tracked));
        let Some(checkpoint) = newest.map(|(checkpoint, _)| *checkpoint) else { return };
        self.give_up_before(checkpoint, out);
        let Some(tracked) = self.tracked.remove(&checkpoint) else { return };
        let Tracked { options, first_barrier, aborted, .. } = tracked;
        let alignment = now.since(first_barrier);
        out.push(match aborted {
            true => Output::Aborted { checkpoint, reason: DeclineReason::OnCancellationBarrier },
            false => Output::Aligned { checkpoint, options, alignment },
        });
    }

    //= spec/alignment.md#align-27-a-decided-checkpoint-subsumes-the-older-ones
    //# A checkpoint that is aligned or cancelled at a gate MUST first abort every older one that is pending
    //# there.
    //= spec/alignment.md#align-25-checkpoints-are-decided-in-order
    //# A gate MUST decide checkpoints in the order of their ids, each at most once.
    fn give_up_before(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        while self.tracked.first_key_value().is_some_and(|(oldest, _)| *oldest < checkpoint) {
            self.give_up_oldest(out);
        }
    }

    fn give_up_oldest(&mut self, out: &mut Vec<Output>) {
        if let Some((checkpoint, _)) = self.tracked.pop_first() {
            out.push(Output::Aborted { checkpoint, reason: DeclineReason::Subsumed });
        }
    }
}
