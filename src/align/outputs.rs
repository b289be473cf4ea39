//! The barrier at the outputs of one subtask: the other side of an unaligned checkpoint.
//!
//! A barrier that overtakes goes ahead of everything that is queued at the outputs, and the records that it passes
//! become part of the checkpoint of this subtask. A barrier that waits until a deadline may still stand in an output
//! queue when that comes; then it overtakes there, and the gate behind it goes along (ALIGN-16).
//!
//! # How to drive it
//!
//! The subtask keeps one queue for each output channel. It puts a barrier at the end of each, and reports
//! [`Input::BarrierQueued`]; when one is sent from its queue, it reports [`Input::BarrierSent`]. It does what the
//! outputs say before it puts or sends anything else. The checkpoint must not be acknowledged before
//! [`Output::OutputsComplete`].
//!
//! Specification: `spec/alignment.md`. Flink: `SubtaskCheckpointCoordinatorImpl`, `PipelinedSubpartition`.

use crate::base::{
    Alignment, Channel, CheckpointId, CheckpointOptions, DeclineReason, Millis, Misuse, Violation,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

const MACHINE: &str = "align outputs";

/// What happened at the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// A barrier was put at the end of every output queue.
    BarrierQueued {
        /// The barrier's checkpoint.
        checkpoint: CheckpointId,
        /// The options that the barrier carries.
        options: CheckpointOptions,
    },
    /// A barrier was sent from one of the queues.
    BarrierSent {
        /// The output channel.
        channel: Channel,
        /// The barrier's checkpoint.
        checkpoint: CheckpointId,
    },
    /// The checkpoint was given up here or by the coordinator.
    CheckpointAborted {
        /// The aborted checkpoint.
        checkpoint: CheckpointId,
    },
    /// Time has passed, perhaps to the deadline.
    Tick,
}

/// What must be done at the outputs, in this order, before anything else is put or sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Move the barrier to the head of the queue, with these options, and copy the records that it passes into the
    /// checkpoint, in order. They stay in the queue and will be sent.
    Overtake {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// The output channel.
        channel: Channel,
        /// The options that the barrier carries from now on.
        options: CheckpointOptions,
    },
    /// Nothing more at the outputs belongs to the checkpoint.
    OutputsComplete {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The checkpoint cannot be completed any more.
    Aborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why, in the words in which the task declines it.
        reason: DeclineReason,
    },
}

/// A barrier that stands in some queues and may overtake later.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Waiting {
    checkpoint: CheckpointId,
    options: CheckpointOptions,
    deadline: Millis,
    channels: BTreeSet<Channel>,
}

/// The barriers at the outputs of one subtask.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OutputBarriers {
    channels: u16,
    newest: Option<CheckpointId>,
    waiting: Option<Waiting>,
}

impl OutputBarriers {
    /// Outputs to `channels` channels, numbered from 0, with no barrier in any queue.
    #[must_use]
    pub fn new(channels: u16) -> Self {
        OutputBarriers { channels, newest: None, waiting: None }
    }

    /// The checkpoint whose barrier stands in a queue and may overtake later.
    #[must_use]
    pub fn waiting(&self) -> Option<CheckpointId> {
        self.waiting.as_ref().map(|waiting| waiting.checkpoint)
    }

    /// When a tick can change something: at the deadline of the barrier that waits.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.waiting.as_ref().map(|waiting| waiting.deadline)
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when barriers are queued out of order, or a channel is named that there is not; nothing has changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::BarrierQueued { checkpoint, options } => {
                if self.newest >= Some(checkpoint) {
                    let newest = self.newest;
                    return Err(Misuse::new(
                        MACHINE,
                        format!("barrier {checkpoint} was queued after {newest:?}"),
                    ));
                }
                self.newest = Some(checkpoint);
                self.queued(checkpoint, options, out);
            }
            Input::BarrierSent { channel, checkpoint } => {
                if channel.0 >= self.channels {
                    return Err(Misuse::new(MACHINE, format!("there is no output channel {channel}")));
                }
                if let Some(waiting) =
                    self.waiting.as_mut().filter(|waiting| waiting.checkpoint == checkpoint)
                {
                    waiting.channels.remove(&channel);
                }
            }
            //= spec/alignment.md#align-32-an-aborted-barrier-stays-in-line
            //# The barrier of an aborted checkpoint MUST NOT overtake at the outputs.
            Input::CheckpointAborted { checkpoint } => {
                self.waiting.take_if(|waiting| waiting.checkpoint == checkpoint);
            }
            Input::Tick => {}
        }
        //= spec/alignment.md#align-22-the-fact-comes-before-its-time
        //# An input MUST be taken in before the time at which it comes can change the alignment.
        //= spec/alignment.md#align-30-a-barrier-at-an-output-overtakes-at-its-deadline
        //# A barrier that still stands in an output queue at its deadline MUST overtake there.
        if self.deadline().is_some_and(|deadline| now >= deadline) {
            self.overtake(out);
        }
        self.finish_if_complete(out);
        Ok(())
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let is_empty = self.waiting.as_ref().is_some_and(|waiting| waiting.channels.is_empty());
        Violation::unless(!is_empty, MACHINE, "ALIGN-31", || {
            format!("{:?} waits in no queue", self.waiting)
        })?;
        Violation::unless(self.waiting() <= self.newest, MACHINE, "ALIGN-25", || {
            format!("{:?} waits, but {:?} is the newest queued", self.waiting, self.newest)
        })
    }

    fn queued(&mut self, checkpoint: CheckpointId, options: CheckpointOptions, out: &mut Vec<Output>) {
        let deadline = match options.alignment() {
            Alignment::Aligned => {
                out.push(Output::OutputsComplete { checkpoint });
                return;
            }
            Alignment::AlignedUntil(deadline) => deadline,
            Alignment::Unaligned => Millis(0),
        };
        //= spec/alignment.md#align-33-a-newer-overtaking-barrier-subsumes-at-the-outputs
        //# A queued barrier that may overtake MUST abort an older checkpoint whose barrier still waits at the outputs.
        if let Some(Waiting { checkpoint, .. }) = self.waiting.take() {
            out.push(Output::Aborted { checkpoint, reason: DeclineReason::Subsumed });
        }
        let channels = (0..self.channels).map(Channel).collect();
        self.waiting = Some(Waiting { checkpoint, options, deadline, channels });
    }

    fn overtake(&mut self, out: &mut Vec<Output>) {
        let Some(Waiting { checkpoint, options, channels, .. }) = &mut self.waiting else { return };
        let (checkpoint, options) = (*checkpoint, options.overtaking());
        //= spec/alignment.md#align-29-an-overtaking-barrier-captures-the-outputs
        //# When a barrier overtakes at the outputs, the records before it MUST be captured in each queue in which it
        //# still stands.
        let orders = std::mem::take(channels).into_iter();
        out.extend(orders.map(|channel| Output::Overtake { checkpoint, channel, options }));
    }

    //= spec/alignment.md#align-31-the-outputs-are-complete-once
    //# The part of the outputs MUST be reported as complete once, when the barrier has overtaken or left every
    //# output queue.
    fn finish_if_complete(&mut self, out: &mut Vec<Output>) {
        if let Some(waiting) = self.waiting.take_if(|waiting| waiting.channels.is_empty()) {
            out.push(Output::OutputsComplete { checkpoint: waiting.checkpoint });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::CheckpointKind;

    const ALIGNED: Alignment = Alignment::Aligned;
    const UNTIL_10: Alignment = Alignment::AlignedUntil(Millis(10));
    const UNALIGNED: Alignment = Alignment::Unaligned;

    fn queue(id: u64, alignment: Alignment) -> Input {
        let options = CheckpointOptions::new(CheckpointKind::Periodic, alignment);
        Input::BarrierQueued { checkpoint: CheckpointId(id), options }
    }

    fn sent(channel: u16, id: u64) -> Input {
        Input::BarrierSent { channel: Channel(channel), checkpoint: CheckpointId(id) }
    }

    fn abort(id: u64) -> Input {
        Input::CheckpointAborted { checkpoint: CheckpointId(id) }
    }

    /// Plays inputs at new outputs and compares what each one did.
    fn play(channels: u16, script: &[(u64, Input, &str)]) -> OutputBarriers {
        let mut outputs = OutputBarriers::new(channels);
        for (now, input, expected) in script {
            let (before, mut out) = (outputs.clone(), Vec::new());
            let done = match outputs.on(Millis(*now), *input, &mut out) {
                Ok(()) => out.iter().map(text).collect::<Vec<_>>().join(", "),
                Err(_) => {
                    assert_eq!((&before, out.len()), (&outputs, 0));
                    "misuse".to_owned()
                }
            };
            assert_eq!(done, *expected, "{input:?}");
            outputs.check().unwrap();
        }
        outputs
    }

    fn text(output: &Output) -> String {
        match output {
            Output::Overtake { checkpoint, channel, options } => {
                assert_eq!(options.alignment(), UNALIGNED);
                format!("overtake {checkpoint}@{channel}")
            }
            Output::OutputsComplete { checkpoint } => format!("complete {checkpoint}"),
            Output::Aborted { checkpoint, reason } => format!("give up {checkpoint} {reason:?}"),
        }
    }

    //= spec/alignment.md#align-29-an-overtaking-barrier-captures-the-outputs
    //= type=test
    //# When a barrier overtakes at the outputs, the records before it MUST be captured in each queue in which it
    //# still stands.
    #[test]
    fn align_outputs_overtaking_barrier_passes_every_queue_at_once() {
        play(2, &[(0, queue(1, UNALIGNED), "overtake 1@0, overtake 1@1, complete 1"), (0, sent(0, 1), "")]);
        play(0, &[(0, queue(1, UNALIGNED), "complete 1")]);
    }

    #[test]
    fn align_outputs_aligned_barrier_stays_in_line() {
        let outputs =
            play(2, &[(0, queue(1, ALIGNED), "complete 1"), (0, sent(0, 1), ""), (9, Input::Tick, "")]);
        assert_eq!(outputs.deadline(), None);
    }

    //= spec/alignment.md#align-30-a-barrier-at-an-output-overtakes-at-its-deadline
    //= type=test
    //# A barrier that still stands in an output queue at its deadline MUST overtake there.
    #[test]
    fn align_outputs_barrier_overtakes_at_its_deadline_where_it_still_stands() {
        let waiting = play(3, &[(0, queue(1, UNTIL_10), ""), (3, sent(1, 1), ""), (9, Input::Tick, "")]);
        assert_eq!((waiting.deadline(), waiting.waiting()), (Some(Millis(10)), Some(CheckpointId(1))));
        play(
            3,
            &[
                (0, queue(1, UNTIL_10), ""),
                (3, sent(1, 1), ""),
                (10, Input::Tick, "overtake 1@0, overtake 1@2, complete 1"),
                (10, Input::Tick, ""),
            ],
        );
        play(1, &[(10, queue(1, UNTIL_10), "overtake 1@0, complete 1")]);
    }

    //= spec/alignment.md#align-31-the-outputs-are-complete-once
    //= type=test
    //# The part of the outputs MUST be reported as complete once, when the barrier has overtaken or left every
    //# output queue.
    #[test]
    fn align_outputs_are_complete_when_the_barrier_has_left_every_queue() {
        play(
            2,
            &[
                (0, queue(1, UNTIL_10), ""),
                (1, sent(1, 1), ""),
                (1, sent(1, 1), ""),
                (15, sent(0, 1), "complete 1"),
                (15, Input::Tick, ""),
            ],
        );
    }

    //= spec/alignment.md#align-32-an-aborted-barrier-stays-in-line
    //= type=test
    //# The barrier of an aborted checkpoint MUST NOT overtake at the outputs.
    #[test]
    fn align_outputs_aborted_barrier_stays_in_line() {
        play(1, &[(0, queue(1, UNTIL_10), ""), (2, abort(1), ""), (10, Input::Tick, "")]);
        let another =
            [(0, queue(1, UNTIL_10), ""), (2, abort(2), ""), (10, Input::Tick, "overtake 1@0, complete 1")];
        play(1, &another);
    }

    //= spec/alignment.md#align-33-a-newer-overtaking-barrier-subsumes-at-the-outputs
    //= type=test
    //# A queued barrier that may overtake MUST abort an older checkpoint whose barrier still waits at the outputs.
    #[test]
    fn align_outputs_newer_barrier_subsumes_one_that_waits() {
        let newer = "give up 1 Subsumed, overtake 2@0, complete 2";
        play(1, &[(0, queue(1, UNTIL_10), ""), (1, queue(2, UNALIGNED), newer), (1, sent(0, 1), "")]);
        // One that never overtakes stands behind it and does not hurt it.
        play(
            1,
            &[
                (0, queue(1, UNTIL_10), ""),
                (1, queue(2, ALIGNED), "complete 2"),
                (10, Input::Tick, "overtake 1@0, complete 1"),
            ],
        );
    }

    #[test]
    fn align_outputs_unknown_channels_and_barriers_out_of_order_are_misuse() {
        play(
            1,
            &[
                (0, queue(2, UNTIL_10), ""),
                (0, queue(1, ALIGNED), "misuse"),
                (0, queue(2, UNALIGNED), "misuse"),
                (0, sent(1, 2), "misuse"),
            ],
        );
    }

    #[test]
    fn outputs_check_finds_a_barrier_that_waits_in_no_queue_or_was_never_queued() {
        let broken = |outputs: &OutputBarriers| outputs.check().unwrap_err().requirement;
        let outputs = play(1, &[(0, queue(1, UNTIL_10), "")]);
        let mut nowhere = outputs.clone();
        nowhere.waiting.as_mut().unwrap().channels.clear();
        assert_eq!(broken(&nowhere), "ALIGN-31");
        let mut unheard_of = outputs;
        unheard_of.newest = None;
        assert_eq!(broken(&unheard_of), "ALIGN-25");
    }
}
