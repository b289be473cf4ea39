//! The task side of a checkpoint: barrier, synchronous part, asynchronous part, acknowledgement.
//!
//! A [`Subtask`] owns the [`Aligner`] of its input gate and the [`OutputBarriers`] of its outputs. A source has no
//! gate: the coordinator triggers it, and so it does where all inputs have finished.
//!
//! # How to drive it
//!
//! The task keeps a queue for each input channel and one for each output channel, as [`crate::align`] describes, and
//! asks [`Subtask::is_blocked`] and [`Subtask::capturing`]. Where no barrier may ever overtake, barriers need not be
//! announced, nor reported when they are sent, and any channel that keeps its order will do for a queue. The driver
//! carries out outputs in their order, before it puts or reads anything else, and reports every effect back. When
//! [`Subtask::deadline`] has come, it reports [`Input::Tick`].
//!
//! - [`Output::TakeSnapshot`] is carried out on the spot, and its end is the very next input. What follows in the queues
//!   is not in the snapshot.
//! - [`Output::StartUpload`] goes to the background. [`Input::UploadFinished`] says that everything is durable, the
//!   transactions of a sink included: the acknowledgement leaves at once.
//! - Messages of the coordinator are handed in whenever they come, with the attempt for which they were sent.
//! - A source asks [`Subtask::is_holding`] before it emits a record, and [`Subtask::has_reached_end_of_data`]: it reports
//!   [`Input::SourceExhausted`] at its end, unless it was drained before.
//! - [`Output::Acknowledge`], [`Output::Decline`] and [`Output::ReportEndOfData`] go to the coordinator as they are.
//! - Where tasks may finish one by one, [`Input::EndOfDataSent`] is reported as soon as it is so. [`Output::Finish`] is
//!   the last output: no effect is under way then, and the coordinator is told that the task has finished.
//!
//! Specification: `spec/subtask.md`. Flink: `SubtaskCheckpointCoordinatorImpl`.

mod end;
mod message;
mod parts;

pub use message::{Durations, Input, Output};

use crate::align::outputs::{self, OutputBarriers};
use crate::align::{self, Aligner};
use crate::base::{
    Attempt, Channel, CheckpointId, CheckpointOptions, CheckpointingMode, DeclineReason, Millis, Misuse,
    SubtaskId, Violation,
};
use end::{End, Life};
use parts::Part;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const MACHINE: &str = "subtask";

/// How many aborted checkpoints are remembered while their barriers have not arrived (conformance P07).
const REMEMBERED_ABORTS: usize = 128;

/// Who a subtask is, and how many channels it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The subtask.
    pub id: SubtaskId,
    /// The attempt it belongs to. Messages of any other attempt are ignored.
    pub attempt: Attempt,
    /// What its gate promises.
    pub mode: CheckpointingMode,
    /// The number of input channels; 0 makes it a source.
    pub channels: u16,
    /// The number of output channels.
    pub outputs: u16,
    /// Whether the restored snapshot was taken after the user's code had emitted what it held at the end of
    /// its input; see [`Subtask::has_finished_input`].
    pub input_finished: bool,
}

/// The checkpointing of one subtask in one attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Subtask {
    id: SubtaskId,
    attempt: Attempt,
    gate: Aligner,
    outputs: OutputBarriers,
    /// The highest checkpoint for which a barrier or a cancellation marker was emitted.
    newest_emitted: Option<CheckpointId>,
    /// The highest checkpoint of whose completion the user's code was told.
    newest_completed: Option<CheckpointId>,
    /// Aborted before their barriers arrived.
    aborted: BTreeSet<CheckpointId>,
    parts: BTreeMap<CheckpointId, Part>,
    /// Triggered while the end of a channel was still to be read.
    triggered: BTreeMap<CheckpointId, CheckpointOptions>,
    /// Channels that have delivered all their data.
    exhausted: BTreeSet<Channel>,
    input_finished: bool,
    end: End,
    life: Life,
}

impl Subtask {
    /// A running subtask that has seen nothing of its attempt yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Subtask {
            id: config.id,
            attempt: config.attempt,
            gate: Aligner::new(config.channels, config.mode),
            outputs: OutputBarriers::new(config.outputs),
            newest_emitted: None,
            newest_completed: None,
            aborted: BTreeSet::new(),
            parts: BTreeMap::new(),
            triggered: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            input_finished: config.input_finished,
            end: End::default(),
            life: Life::Running,
        }
    }

    /// Who this is.
    #[must_use]
    pub fn id(&self) -> SubtaskId {
        self.id
    }

    /// The attempt it belongs to.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// The newest checkpoint of whose completion it was told.
    #[must_use]
    pub fn newest_completed(&self) -> Option<CheckpointId> {
        self.newest_completed
    }

    /// Whether nothing may be read from `channel` now.
    #[must_use]
    pub fn is_blocked(&self, channel: Channel) -> bool {
        self.gate.is_blocked(channel)
    }

    /// The checkpoint into which a record must be copied that is put into the queue of `channel` now.
    #[must_use]
    pub fn capturing(&self, channel: Channel) -> Option<CheckpointId> {
        self.gate.capturing(channel).filter(|checkpoint| self.parts.contains_key(checkpoint))
    }

    /// The gate, for those who want to look at it.
    #[must_use]
    pub fn gate(&self) -> &Aligner {
        &self.gate
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when the driver read from a blocked channel, drained a subtask that has a gate, named a channel
    /// that there is not, or reported an effect that was never asked for; nothing has changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        self.take_in(now, input, out)?;
        self.finish_if_done(out);
        Ok(())
    }

    fn take_in(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::TriggerArrived { attempt, checkpoint, options } => {
                self.trigger(now, attempt, checkpoint, options, out)
            }
            Input::BarrierAnnounced { channel, checkpoint, options } => {
                self.at_gate(now, align::Input::BarrierAnnounced { channel, checkpoint, options }, out)
            }
            Input::BarrierArrived { channel, checkpoint, options } => {
                self.at_gate(now, align::Input::BarrierArrived { channel, checkpoint, options }, out)
            }
            Input::BarrierSent { channel, checkpoint } => {
                self.at_outputs(now, outputs::Input::BarrierSent { channel, checkpoint }, out)
            }
            Input::CancellationArrived { channel, checkpoint } => {
                self.at_gate(now, align::Input::CancellationArrived { channel, checkpoint }, out)
            }
            Input::ChannelEnded { channel } => {
                self.at_gate(now, align::Input::ChannelEnded { channel }, out)?;
                self.begin_triggered(now, out)
            }
            Input::EndOfDataArrived { channel } => self.channel_exhausted(channel, out),
            Input::SourceExhausted => self.source_exhausted(out),
            Input::DrainArrived { attempt } => self.drain(attempt, out),
            Input::EndOfDataSent { has_union_list } => self.end_of_data_sent(has_union_list),
            Input::SnapshotTaken { checkpoint } => self.snapshot_taken(now, checkpoint, out),
            Input::SnapshotFailed { checkpoint } => self.snapshot_failed(now, checkpoint, out),
            Input::UploadFinished { checkpoint, handle } => {
                self.upload_finished(now, checkpoint, handle, out)
            }
            Input::UploadFailed { checkpoint } => self.upload_failed(checkpoint, out),
            Input::CompletionArrived { attempt, checkpoint } => {
                if attempt == self.attempt {
                    self.completed(checkpoint, out);
                }
                Ok(())
            }
            Input::AbortArrived { attempt, checkpoint, newest_completed } => {
                if attempt != self.attempt {
                    return Ok(());
                }
                //= spec/subtask.md#subtask-23-an-abort-makes-up-for-a-lost-completion
                //# The notice of an abort MUST count as that of the completion of the checkpoint that it names as
                //# the newest complete one, too.
                if let Some(newest) = newest_completed {
                    self.completed(newest, out);
                }
                self.aborted(now, checkpoint, out)
            }
            Input::Tick => {
                self.at_gate(now, align::Input::Tick, out)?;
                self.at_outputs(now, outputs::Input::Tick, out)
            }
        }
    }

    /// When a tick can change something: when a barrier begins to overtake, at the gate or at the outputs.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.gate.deadline().into_iter().chain(self.outputs.deadline()).min()
    }

    /// Its invariants, those of its gate and of its outputs included.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        self.gate.check()?;
        self.outputs.check()?;
        let newest = self.newest_emitted;
        Violation::unless(
            self.parts.keys().all(|id| newest.is_some_and(|newest| *id <= newest)),
            MACHINE,
            "SUBTASK-1",
            || format!("{:?} are being taken, but the newest barrier emitted is {newest:?}", self.parts),
        )?;
        Violation::unless(
            self.aborted.iter().all(|id| newest.is_none_or(|newest| *id > newest)),
            MACHINE,
            "SUBTASK-6",
            || format!("aborts {:?} are remembered at or below the newest barrier {newest:?}", self.aborted),
        )?;
        self.check_end()
    }

    fn trigger(
        &mut self,
        now: Millis,
        attempt: Attempt,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        //= spec/subtask.md#subtask-3-a-source-takes-each-checkpoint-once
        //# A source MUST ignore a trigger that is not newer than all it has emitted a barrier or marker
        //# for.
        let is_old = self.newest_emitted.is_some_and(|newest| checkpoint <= newest);
        //= spec/subtask.md#subtask-2-messages-of-other-attempts-are-ignored
        //# A message of the coordinator to another attempt MUST change nothing.
        if attempt != self.attempt || is_old || self.life == Life::Finished {
            return Ok(());
        }
        //= spec/subtask.md#subtask-22-a-subtask-without-open-inputs-is-triggered-like-a-source
        //# A triggered checkpoint MUST begin as soon as no input channel is open.
        if self.has_open_input() {
            self.triggered.insert(checkpoint, options);
            return Ok(());
        }
        self.begin(now, checkpoint, options, Some(Millis(0)), out)
    }

    /// Whether records or barriers may still come in.
    fn has_open_input(&self) -> bool {
        (0..self.gate.channels()).any(|channel| !self.gate.is_ended(Channel(channel)))
    }

    /// Begins what was triggered before the end of the last channel was read, if this was it.
    fn begin_triggered(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Misuse> {
        for (checkpoint, options) in std::mem::take(&mut self.triggered) {
            self.trigger(now, self.attempt, checkpoint, options, out)?;
        }
        Ok(())
    }

    fn at_gate(&mut self, now: Millis, input: align::Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        let mut decisions = Vec::new();
        self.gate.on(now, input, &mut decisions)?;
        for decision in decisions {
            match decision {
                align::Output::BlockChannel(channel) => out.push(Output::BlockChannel(channel)),
                align::Output::ResumeChannel(channel) => out.push(Output::ResumeChannel(channel)),
                align::Output::Aligned { checkpoint, options, alignment } => {
                    self.begin(now, checkpoint, options, Some(alignment), out)?;
                }
                align::Output::StartUnaligned { checkpoint, options } => {
                    self.begin(now, checkpoint, options, None, out)?;
                }
                align::Output::CaptureQueued { checkpoint, channel } => {
                    if self.parts.contains_key(&checkpoint) {
                        out.push(Output::CaptureQueued { checkpoint, channel });
                    }
                }
                align::Output::CaptureFinished { checkpoint, alignment } => {
                    self.collect(now, checkpoint, out, |collected| collected.alignment = Some(alignment));
                }
                align::Output::Aborted { checkpoint, reason } => {
                    self.abandon(now, checkpoint, out)?;
                    self.decline(checkpoint, reason, out);
                }
            }
        }
        Ok(())
    }

    fn at_outputs(
        &mut self,
        now: Millis,
        input: outputs::Input,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        let mut decisions = Vec::new();
        self.outputs.on(now, input, &mut decisions)?;
        for decision in decisions {
            match decision {
                outputs::Output::Overtake { checkpoint, channel, options } => {
                    out.push(Output::OvertakeOutput { checkpoint, channel, options });
                }
                outputs::Output::OutputsComplete { checkpoint } => {
                    self.collect(now, checkpoint, out, |collected| collected.outputs = true);
                }
                outputs::Output::Aborted { checkpoint, reason } => {
                    self.abandon(now, checkpoint, out)?;
                    self.decline(checkpoint, reason, out);
                }
            }
        }
        Ok(())
    }

    /// The barrier goes out before the snapshot and no record between them, so that the cut is the same on
    /// both sides of every channel. Without an alignment the gate still captures records for it.
    fn begin(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        alignment: Option<Millis>,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        //= spec/subtask.md#subtask-7-an-aborted-checkpoint-is-not-started
        //# A checkpoint whose abort arrived before its barriers MUST NOT be snapshotted.
        if self.aborted.contains(&checkpoint) {
            self.give_up(checkpoint, out);
            // The gate may have begun to capture.
            return self.at_gate_aborted(now, checkpoint, out);
        }
        self.emitted(checkpoint);
        //= spec/subtask.md#subtask-1-the-barrier-goes-out-before-the-snapshot
        //# A subtask MUST emit the barrier of a checkpoint before it takes its snapshot.
        //= spec/output.md#cut-1-a-published-checkpoint-is-a-consistent-cut
        //# A published checkpoint MUST hold exactly the effects of the records before its barriers.
        out.push(Output::EmitBarrier { checkpoint, options });
        self.parts.insert(checkpoint, Part::begun(now, alignment));
        self.at_outputs(now, outputs::Input::BarrierQueued { checkpoint, options }, out)?;
        self.note_begin(checkpoint, options);
        out.push(Output::TakeSnapshot { checkpoint, options });
        Ok(())
    }

    /// Gives up a checkpoint that the gate or the outputs have lost, or that was aborted while they had it.
    fn abandon(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        self.at_outputs(now, outputs::Input::CheckpointAborted { checkpoint }, out)?;
        if self.newest_emitted.is_none_or(|newest| checkpoint > newest) {
            self.give_up(checkpoint, out);
        } else {
            self.drop_part(checkpoint, out);
        }
        Ok(())
    }

    //= spec/subtask.md#subtask-17-a-checkpoint-lost-at-the-gate-is-declined
    //# A checkpoint that the gate gives up by itself MUST be declined with the reason of the gate.
    fn decline(&self, checkpoint: CheckpointId, reason: DeclineReason, out: &mut Vec<Output>) {
        out.push(Output::Decline { checkpoint, attempt: self.attempt, reason });
    }

    /// Tells everyone downstream not to wait for this checkpoint.
    fn give_up(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        self.emitted(checkpoint);
        //= spec/subtask.md#subtask-8-a-missing-barrier-is-replaced-by-a-cancellation-marker
        //# A subtask that gives a checkpoint up before its barrier MUST emit a cancellation marker instead.
        out.push(Output::EmitCancellation { checkpoint });
    }

    fn emitted(&mut self, checkpoint: CheckpointId) {
        self.newest_emitted = Some(checkpoint);
        //= spec/subtask.md#subtask-6-aborts-are-remembered-only-ahead-of-barriers
        //# An abort MUST be remembered only while the checkpoint is newer than all that were emitted.
        self.aborted = self.aborted.split_off(&checkpoint.next());
    }

    fn completed(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        //= spec/subtask.md#subtask-12-completions-are-notified-in-order
        //# The user's code MUST be notified of completed checkpoints in increasing order, each at most
        //# once.
        let is_new = self.newest_completed.is_none_or(|newest| checkpoint > newest);
        if !is_new || self.life == Life::Finished {
            return;
        }
        self.newest_completed = Some(checkpoint);
        out.push(Output::NotifyComplete { checkpoint });
        self.note_completion(checkpoint);
    }

    fn aborted(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        if self.life == Life::Finished {
            return Ok(());
        }
        if self.triggered.remove(&checkpoint).is_some() {
            // No barrier of it will come, and everyone else is told as well.
        } else if self.gate.is_pending(checkpoint) {
            self.at_gate_aborted(now, checkpoint, out)?;
        } else if self.newest_emitted.is_none_or(|newest| checkpoint > newest) {
            self.aborted.insert(checkpoint);
            //= spec/subtask.md#subtask-9-the-memory-of-aborts-is-bounded
            //# A subtask MUST remember at most the 128 newest aborted checkpoints.
            if self.aborted.len() > REMEMBERED_ABORTS {
                self.aborted.pop_first();
            }
        } else {
            self.abandon(now, checkpoint, out)?;
        }
        if self.life == Life::Holding(checkpoint) {
            //= spec/subtask.md#subtask-15-an-aborted-terminal-checkpoint-lets-the-subtask-go-on
            //# The abort of the terminal checkpoint that a subtask holds for MUST let it run again.
            self.life = Life::Running;
        }
        out.push(Output::NotifyAborted { checkpoint });
        Ok(())
    }

    /// Releases the channels of a checkpoint that the coordinator gave up, without declining it once more.
    fn at_gate_aborted(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        let mut decisions = Vec::new();
        self.gate.on(now, align::Input::CheckpointAborted { checkpoint }, &mut decisions)?;
        for decision in decisions {
            match decision {
                align::Output::ResumeChannel(channel) => out.push(Output::ResumeChannel(channel)),
                align::Output::Aborted { checkpoint, .. } => self.abandon(now, checkpoint, out)?,
                align::Output::BlockChannel(_)
                | align::Output::Aligned { .. }
                | align::Output::StartUnaligned { .. }
                | align::Output::CaptureQueued { .. }
                | align::Output::CaptureFinished { .. } => {
                    return Err(Misuse::new(MACHINE, "an abort cannot start an alignment"));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
