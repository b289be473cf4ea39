//! The parts of a checkpoint in one subtask: what is collected, and what becomes of it.

use super::{Durations, MACHINE, Output, Subtask};
use crate::align::outputs;
use crate::base::{CheckpointId, DeclineReason, Millis, Misuse, StateHandle};
use serde::{Deserialize, Serialize};

/// How far a checkpoint has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Part {
    Collecting(Collected),
    Uploading {
        began: Millis,
        alignment: Millis,
        sync: Millis,
    },
    /// Given up during an effect whose end is still to be reported.
    Cancelled,
}

/// What an upload needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Collected {
    began: Millis,
    /// How long the synchronous part took, once the snapshot is taken.
    sync: Option<Millis>,
    /// From the first barrier to the last, once nothing more is captured at the gate.
    pub(super) alignment: Option<Millis>,
    /// Whether nothing more is captured at the outputs.
    pub(super) outputs: bool,
}

impl Part {
    pub(super) fn begun(now: Millis, alignment: Option<Millis>) -> Self {
        Part::Collecting(Collected { began: now, sync: None, alignment, outputs: false })
    }
}

impl Subtask {
    /// Takes note of something that belongs to the checkpoint, and uploads when that was the last.
    pub(super) fn collect(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        out: &mut Vec<Output>,
        change: impl FnOnce(&mut Collected),
    ) {
        let Some(Part::Collecting(collected)) = self.parts.get_mut(&checkpoint) else { return };
        change(collected);
        //= spec/subtask.md#subtask-20-the-upload-waits-for-all-that-belongs-to-it
        //# The upload of a checkpoint MUST begin only when its snapshot is taken and nothing more is captured for it.
        if let Collected { sync: Some(sync), alignment: Some(alignment), outputs: true, .. } = *collected {
            self.parts.insert(checkpoint, Part::Uploading { began: now, alignment, sync });
            out.push(Output::StartUpload { checkpoint });
        }
    }

    pub(super) fn snapshot_taken(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        match self.parts.get(&checkpoint) {
            Some(Part::Collecting(Collected { began, sync: None, .. })) => {
                let sync = now.since(*began);
                self.collect(now, checkpoint, out, |collected| collected.sync = Some(sync));
            }
            Some(Part::Cancelled) => {
                self.parts.remove(&checkpoint);
                out.push(Output::DropSnapshot { checkpoint });
            }
            _ => return Err(self.unasked("a snapshot", checkpoint)),
        }
        Ok(())
    }

    pub(super) fn snapshot_failed(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        match self.parts.get(&checkpoint) {
            Some(Part::Collecting(Collected { sync: None, .. })) => {
                //= spec/subtask.md#subtask-5-a-failed-part-is-declined
                //# A subtask whose snapshot or upload fails MUST decline the checkpoint.
                let reason = DeclineReason::SyncPartFailed;
                out.push(Output::DropSnapshot { checkpoint });
                out.push(Output::Decline { checkpoint, attempt: self.attempt, reason });
                self.at_outputs(now, outputs::Input::CheckpointAborted { checkpoint }, out)?;
            }
            Some(Part::Cancelled) => out.push(Output::DropSnapshot { checkpoint }),
            _ => return Err(self.unasked("a failed snapshot", checkpoint)),
        }
        self.parts.remove(&checkpoint);
        Ok(())
    }

    pub(super) fn upload_finished(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        handle: Option<StateHandle>,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        match self.parts.get(&checkpoint).copied() {
            Some(Part::Uploading { began, alignment, sync }) => {
                //= spec/subtask.md#subtask-4-acknowledged-means-durable
                //# A subtask MUST acknowledge a checkpoint only after the upload of its state has finished.
                let durations = Durations { alignment, sync, asynchronous: now.since(began) };
                out.push(Output::Acknowledge { checkpoint, attempt: self.attempt, handle, durations });
            }
            //= spec/subtask.md#subtask-11-a-cancelled-upload-leaves-nothing
            //# The state of a cancelled upload that finishes all the same MUST be discarded and not
            //# acknowledged.
            Some(Part::Cancelled) => {
                out.extend(handle.as_ref().and_then(StateHandle::stored_file).map(Output::DiscardState));
            }
            Some(Part::Collecting(_)) | None => return Err(self.unasked("an upload", checkpoint)),
        }
        self.parts.remove(&checkpoint);
        Ok(())
    }

    pub(super) fn upload_failed(
        &mut self,
        checkpoint: CheckpointId,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        match self.parts.get(&checkpoint) {
            Some(Part::Uploading { .. }) => {
                //= spec/subtask.md#subtask-5-a-failed-part-is-declined
                //# A subtask whose snapshot or upload fails MUST decline the checkpoint.
                let reason = DeclineReason::AsyncPartFailed;
                out.push(Output::Decline { checkpoint, attempt: self.attempt, reason });
            }
            Some(Part::Cancelled) => {}
            Some(Part::Collecting(_)) | None => return Err(self.unasked("a failed upload", checkpoint)),
        }
        self.parts.remove(&checkpoint);
        Ok(())
    }

    /// Lets go of a checkpoint whose barrier is out.
    pub(super) fn drop_part(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        match self.parts.get(&checkpoint) {
            Some(Part::Collecting(Collected { sync: None, .. })) => {
                self.parts.insert(checkpoint, Part::Cancelled);
            }
            //= spec/subtask.md#subtask-21-what-was-collected-in-vain-is-dropped
            //# A snapshot whose checkpoint is given up before its upload MUST be dropped with all that was captured for it.
            Some(Part::Collecting(_)) => {
                self.parts.remove(&checkpoint);
                out.push(Output::DropSnapshot { checkpoint });
            }
            Some(Part::Uploading { .. }) => {
                self.parts.insert(checkpoint, Part::Cancelled);
                //= spec/subtask.md#subtask-10-an-abort-stops-the-upload
                //# The abort of a checkpoint in its asynchronous part MUST cancel the upload.
                out.push(Output::CancelUpload { checkpoint });
            }
            Some(Part::Cancelled) | None => {}
        }
    }

    fn unasked(&self, what: &str, checkpoint: CheckpointId) -> Misuse {
        Misuse::new(
            MACHINE,
            format!("{what} of checkpoint {checkpoint} was reported to {}, which asked for none", self.id),
        )
    }
}
