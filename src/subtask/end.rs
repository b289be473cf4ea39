//! How a subtask comes to its end: the end of its data, a drain, and the checkpoint with which it finishes.

use super::{MACHINE, Output, Subtask};
use crate::base::{Attempt, Channel, CheckpointId, CheckpointOptions, Misuse, Violation};
use serde::{Deserialize, Serialize};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Life {
    Running,
    /// A terminal checkpoint has been taken: nothing is processed until it is decided.
    Holding(CheckpointId),
    /// A checkpoint is complete that covers everything: only effects under way are waited for.
    Leaving,
    Finished,
}

/// How far the data of a subtask has come to its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct End {
    /// All data was processed.
    reached: bool,
    /// All output has left, so that a snapshot has nothing of this subtask in it that would have to be sent again.
    sent: bool,
    /// The job is being stopped: its checkpoint is to include this source.
    drained: bool,
    /// Others need the items of its union list.
    has_union_list: bool,
    /// The first checkpoint whose snapshot was taken after all that.
    covered_by: Option<CheckpointId>,
}

impl Subtask {
    /// Whether a source must not emit records now, because a terminal checkpoint has been taken or it is about to finish.
    #[must_use]
    pub fn is_holding(&self) -> bool {
        self.life != Life::Running
    }

    /// Whether all data has been processed.
    #[must_use]
    pub fn has_reached_end_of_data(&self) -> bool {
        self.end.reached
    }

    /// Whether the user's code has emitted what it held at the end of its input. A snapshot must hold this.
    #[must_use]
    pub fn has_finished_input(&self) -> bool {
        self.input_finished
    }

    /// Whether the subtask is done.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.life == Life::Finished
    }

    pub(super) fn channel_exhausted(
        &mut self,
        channel: Channel,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        if channel.0 >= self.gate.channels() || !self.exhausted.insert(channel) {
            return Err(Misuse::new(
                MACHINE,
                format!("channel {channel} cannot deliver its end of data now"),
            ));
        }
        //= spec/subtask.md#subtask-16-the-end-of-data-is-passed-on-once
        //# A subtask MUST pass the end of data on once, when all of its channels have delivered it.
        if self.exhausted.len() == usize::from(self.gate.channels()) {
            self.end.reached = true;
            //= spec/subtask.md#subtask-19-input-is-finished-once
            //# A subtask restored from a snapshot that was taken after its input was finished MUST NOT finish it
            //# again.
            if !std::mem::replace(&mut self.input_finished, true) {
                out.push(Output::FinishInput);
            }
            out.push(Output::EmitEndOfData);
        }
        Ok(())
    }

    pub(super) fn source_exhausted(&mut self, out: &mut Vec<Output>) -> Result<(), Misuse> {
        if self.gate.channels() > 0 || self.end.reached {
            return Err(Misuse::new(MACHINE, format!("{} cannot reach the end of a source now", self.id)));
        }
        self.end.reached = true;
        out.push(Output::EmitEndOfData);
        //= spec/subtask.md#subtask-18-a-source-reports-the-end-of-its-data
        //# A source that reaches the end of its data MUST report it to the coordinator.
        out.push(Output::ReportEndOfData { attempt: self.attempt });
        Ok(())
    }

    pub(super) fn drain(&mut self, attempt: Attempt, out: &mut Vec<Output>) -> Result<(), Misuse> {
        if self.gate.channels() > 0 {
            return Err(Misuse::new(MACHINE, format!("{} is no source, but was drained", self.id)));
        }
        if attempt != self.attempt {
            return Ok(());
        }
        //= spec/subtask.md#subtask-26-a-drained-source-ends-its-data-and-waits-for-the-stop
        //# A source that is drained MUST end its data at once and finish only with a terminal checkpoint.
        (self.end.drained, self.end.covered_by) = (true, None);
        if self.end.reached { Ok(()) } else { self.source_exhausted(out) }
    }

    pub(super) fn end_of_data_sent(&mut self, has_union_list: bool) -> Result<(), Misuse> {
        if !self.end.reached {
            return Err(Misuse::new(MACHINE, format!("the data of {} has not ended", self.id)));
        }
        if !std::mem::replace(&mut self.end.sent, true) {
            self.end.has_union_list = has_union_list;
        }
        Ok(())
    }

    /// Takes note of a checkpoint that begins here, should it be the last one.
    pub(super) fn note_begin(&mut self, checkpoint: CheckpointId, options: CheckpointOptions) {
        //= spec/subtask.md#subtask-27-a-subtask-with-a-union-list-stays-until-the-job-ends
        //# A subtask that has a union list when the end of the data was sent MUST finish only with a terminal
        //# checkpoint.
        let may_finish = self.end.sent && !self.end.drained && !self.end.has_union_list;
        // Its senders have finished, so no checkpoint to come has them in it without their receiver.
        if may_finish && !self.has_open_input() {
            self.end.covered_by.get_or_insert(checkpoint);
        }
        if options.kind().is_terminal() && matches!(self.life, Life::Running | Life::Holding(_)) {
            //= spec/subtask.md#subtask-13-a-terminal-checkpoint-holds-the-subtask
            //# A subtask that takes a terminal checkpoint MUST hold until that is decided.
            self.life = Life::Holding(checkpoint);
        }
    }

    /// Takes note of a completed checkpoint, should it cover everything.
    pub(super) fn note_completion(&mut self, checkpoint: CheckpointId) {
        let covers_everything = match self.life {
            //= spec/subtask.md#subtask-24-a-subtask-without-more-data-finishes-with-the-next-checkpoint
            //# A subtask that does not hold MUST finish exactly when a checkpoint is complete that it began after all
            //# its inputs had closed and all its output, with the end of the data, was sent.
            Life::Running => self.end.covered_by.is_some_and(|first| checkpoint >= first),
            //= spec/subtask.md#subtask-14-a-subtask-finishes-with-its-terminal-checkpoint
            //# A subtask that holds MUST finish only when the terminal checkpoint that it holds for is complete.
            Life::Holding(terminal) => checkpoint == terminal,
            Life::Leaving | Life::Finished => false,
        };
        if covers_everything {
            self.life = Life::Leaving;
        }
    }

    pub(super) fn finish_if_done(&mut self, out: &mut Vec<Output>) {
        //= spec/subtask.md#subtask-25-a-subtask-leaves-nothing-unfinished
        //# A subtask MUST NOT finish while a snapshot or an upload of it is under way.
        if self.life == Life::Leaving && self.parts.is_empty() {
            self.life = Life::Finished;
            out.push(Output::Finish);
        }
    }

    pub(super) fn check_end(&self) -> Result<(), Violation> {
        let End { reached, sent, drained, has_union_list, covered_by } = self.end;
        Violation::unless(reached || !sent, MACHINE, "SUBTASK-24", || {
            "an end of data was sent that was never reached".into()
        })?;
        Violation::unless(covered_by.is_none() || (sent && !drained), MACHINE, "SUBTASK-24", || {
            format!("{covered_by:?} does not cover all data: {:?}", self.end)
        })?;
        Violation::unless(covered_by.is_none() || !self.has_open_input(), MACHINE, "SUBTASK-24", || {
            format!("{covered_by:?} does not cover what still comes in")
        })?;
        Violation::unless(covered_by.is_none() || !has_union_list, MACHINE, "SUBTASK-27", || {
            format!("{covered_by:?} is not the end of the job: {:?}", self.end)
        })?;
        Violation::unless(self.life != Life::Leaving || !self.parts.is_empty(), MACHINE, "SUBTASK-25", || {
            "nothing is under way, but the subtask has not finished".into()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Attempt, CheckpointingMode, SubtaskId};
    use crate::subtask::Config;

    fn source() -> Subtask {
        subtask(0)
    }

    fn subtask(channels: u16) -> Subtask {
        Subtask::new(Config {
            id: SubtaskId::new(0, 0),
            attempt: Attempt(1),
            mode: CheckpointingMode::ExactlyOnce,
            channels,
            outputs: 1,
            input_finished: false,
        })
    }

    fn broken(change: impl FnOnce(&mut Subtask)) -> Option<&'static str> {
        let mut subtask = source();
        change(&mut subtask);
        subtask.check_end().err().map(|violation| violation.requirement)
    }

    #[test]
    fn subtask_check_finds_an_end_that_was_sent_too_soon_or_never_left() {
        let covered = Some(CheckpointId(1));
        let end = |reached, sent, drained, covered_by| End {
            reached,
            sent,
            drained,
            has_union_list: false,
            covered_by,
        };
        assert_eq!(broken(|_| {}), None);
        assert_eq!(broken(|subtask| subtask.end = end(true, true, false, covered)), None);
        assert_eq!(broken(|subtask| subtask.end = end(false, true, false, None)), Some("SUBTASK-24"));
        assert_eq!(broken(|subtask| subtask.end = end(true, false, false, covered)), Some("SUBTASK-24"));
        assert_eq!(broken(|subtask| subtask.end = end(true, true, true, covered)), Some("SUBTASK-24"));
        let mut with_open_input = subtask(1);
        with_open_input.end = end(true, true, false, covered);
        assert_eq!(
            with_open_input.check_end().err().map(|violation| violation.requirement),
            Some("SUBTASK-24")
        );
        let united = End { has_union_list: true, ..end(true, true, false, covered) };
        assert_eq!(broken(|subtask| subtask.end = united), Some("SUBTASK-27"));
        assert_eq!(broken(|subtask| subtask.life = Life::Leaving), Some("SUBTASK-25"));
    }
}
