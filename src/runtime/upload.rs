//! The asynchronous part of a checkpoint: another thread makes the snapshot durable while the task goes on.

#[cfg(test)]
mod tests;

use super::error::TaskError;
use super::function::Durability;
use super::incremental::{EndOfUpload, FilesToUpload};
use super::task::{Control, Report, TaskReport, discard, guarded, report_leftover};
use crate::base::{CheckpointId, StateFile, StateHandle};
use crate::codec::CodecError;
use crate::state::{ChannelState, StateError, TaskSnapshot};
use crate::store::{CheckpointStorage, OutputSizes, StateOutput};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The uploads of a task that are under way. They are cancelled when their task ends.
#[derive(Default)]
pub(super) struct Uploads {
    under_way: BTreeMap<CheckpointId, Cancellation>,
}

/// Tells an upload that nobody wants what it writes.
#[derive(Clone, Default)]
pub(super) struct Cancellation(Arc<AtomicBool>);

impl Uploads {
    pub(super) fn begin(&mut self, checkpoint: CheckpointId) -> Cancellation {
        self.under_way.entry(checkpoint).or_default().clone()
    }

    pub(super) fn cancel(&mut self, checkpoint: CheckpointId) {
        if let Some(cancellation) = self.under_way.remove(&checkpoint) {
            cancellation.request();
        }
    }

    pub(super) fn ended(&mut self, checkpoint: CheckpointId) {
        self.under_way.remove(&checkpoint);
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.under_way.values().for_each(Cancellation::request);
    }
}

impl Cancellation {
    fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What an upload has written. If it is dropped before the task has taken it in, that is deleted: nobody will ever refer to it.
pub(super) struct Written {
    handle: Option<StateHandle>,
    ends: Vec<EndOfUpload>,
    storage: Arc<dyn CheckpointStorage>,
}

impl Written {
    /// The state file, if there is one, and how the uploads of shared files have ended.
    pub(super) fn take(mut self) -> (Option<StateHandle>, Vec<EndOfUpload>) {
        (self.handle.take(), std::mem::take(&mut self.ends))
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        if let Some(file) = self.handle.as_ref().and_then(StateHandle::stored_file) {
            discard(&*self.storage, file);
        }
        self.ends.iter().for_each(|(object, _)| report_leftover(self.storage.delete_shared(object)));
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Written { handle, ends, .. } = self;
        f.debug_struct("Written").field("handle", handle).field("ends", ends).finish_non_exhaustive()
    }
}

/// What is to be made durable, and who is told of it.
pub(super) struct Upload {
    pub(super) file: StateFile,
    pub(super) snapshot: TaskSnapshot,
    pub(super) captured: Result<ChannelState, StateError>,
    /// Those in which the keyed state lies, for an incremental checkpoint.
    pub(super) files: Option<FilesToUpload>,
    pub(super) durability: Option<Durability>,
    pub(super) cancellation: Cancellation,
    pub(super) storage: Arc<dyn CheckpointStorage>,
    pub(super) output_sizes: OutputSizes,
    pub(super) control: Sender<Control>,
    pub(super) reports: Sender<TaskReport>,
}

impl Upload {
    pub(super) fn run(self) {
        let Upload { file, snapshot, captured, files, durability, cancellation, storage, .. } = self;
        let Upload { output_sizes, control, reports, .. } = self;
        let StateFile { checkpoint, subtask, attempt, .. } = file;
        let report = |report| {
            let _ = reports.send(TaskReport { attempt, subtask, report });
        };
        if let Some(make_durable) = durability {
            let end = guarded(|| make_durable().map_err(TaskError::User));
            let failed = end.is_err();
            // The task that is gone needs no answer.
            let _ = control.send(Control::MadeDurable(checkpoint, end));
            if failed {
                return;
            }
        }
        tracing::debug!(%checkpoint, %subtask, "an upload begins");
        let (ends, shared) = match &files {
            Some(files) => files.upload(&*storage, &|| cancellation.is_requested()),
            None => (Vec::new(), Ok(())),
        };
        let written = shared.and_then(|()| {
            let snapshot = match files {
                Some(files) => {
                    let described = files.described(&ends);
                    let (backend, files) =
                        described.map_err(|error| StateError::from(CodecError::Io(error)))?;
                    snapshot.with_files(backend, files)
                }
                None => snapshot,
            };
            let output = StateOutput::new(&*storage, file, output_sizes);
            guarded(|| write(output, snapshot, captured, &cancellation))
        });
        tracing::debug!(%checkpoint, %subtask, is_complete = written.is_ok(), "an upload has ended");
        let message = match written {
            Ok(handle) => Control::Uploaded(checkpoint, Written { handle, ends, storage }),
            Err(error) => {
                if !matches!(error, TaskError::Cancelled) {
                    report(Report::Trouble(checkpoint, error.to_string()));
                }
                Control::UploadFailed(checkpoint, Written { handle: None, ends, storage })
            }
        };
        // If the task is gone, so is what was written.
        let _ = control.send(message);
    }
}

/// Writes the state, unless there is nothing to write. When it is over, what only the snapshot held is free.
fn write(
    mut output: StateOutput<'_>,
    snapshot: TaskSnapshot,
    captured: Result<ChannelState, StateError>,
    cancellation: &Cancellation,
) -> Result<Option<StateHandle>, TaskError> {
    if cancellation.is_requested() {
        return Err(TaskError::Cancelled);
    }
    let snapshot = snapshot.with_channels(captured?);
    if snapshot.is_empty() {
        return Ok(None);
    }
    match snapshot.write_to(&mut WhileWanted { target: &mut output, cancellation }) {
        Ok(()) => Ok(output.finish()?),
        // The output removes what it has written.
        Err(_) if cancellation.is_requested() => Err(TaskError::Cancelled),
        Err(error) => Err(error.into()),
    }
}

/// Passes on what is written until the upload is cancelled.
struct WhileWanted<'a> {
    target: &'a mut dyn Write,
    cancellation: &'a Cancellation,
}

impl Write for WhileWanted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.cancellation.is_requested() {
            true => Err(io::Error::other("the upload was cancelled")),
            false => self.target.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.target.flush()
    }
}
