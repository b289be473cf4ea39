//! The files of incremental checkpoints: what a task uploads of a snapshot, and what it refers to instead.

#[cfg(test)]
mod tests;

use super::error::TaskError;
use super::task::guarded;
use crate::base::{CheckpointId, ContentId, Millis, SharedObject, SharedState, Sharing};
use crate::codec;
use crate::shared::incremental::{Config, IncrementalSnapshots, Input, Output, Restored};
use crate::state::backend::{BackendFile, FilePlace, LocalFile};
use crate::store::CheckpointStorage;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many files of one snapshot are read or written at a time (Flink: `checkpoint.transfer.thread.num`).
const TRANSFER_THREADS: usize = 4;

/// The incremental snapshots of one task.
pub(super) struct IncrementalUploads {
    machine: IncrementalSnapshots,
    /// The checksums of the files of snapshots so far, which later ones may refer to.
    checksums: BTreeMap<ContentId, u32>,
    /// What is to be acknowledged.
    ready: BTreeMap<CheckpointId, SharedState>,
}

/// The files of one snapshot, and which of them are to be uploaded.
pub(super) struct FilesToUpload {
    backend: String,
    files: Vec<LocalFile>,
    uploads: Vec<(SharedObject, PathBuf)>,
    checksums: BTreeMap<ContentId, u32>,
}

/// How an upload of a shared file has ended: with a checksum, or not at all.
pub(super) type EndOfUpload = (SharedObject, Option<u32>);

/// What follows for a checkpoint whose uploads have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// All that belongs to it is durable.
    Durable,
    /// Something is not.
    Failed,
}

impl IncrementalUploads {
    /// What follows the restored files, whose checksums are known.
    pub(super) fn new(config: Config, restored: Restored, checksums: BTreeMap<ContentId, u32>) -> Self {
        let machine = IncrementalSnapshots::new(config, Some(restored));
        IncrementalUploads { machine, checksums, ready: BTreeMap::new() }
    }

    /// The upload of the files of a snapshot begins.
    pub(super) fn begin(
        &mut self,
        checkpoint: CheckpointId,
        sharing: Sharing,
        backend: &str,
        files: Vec<LocalFile>,
    ) -> Result<FilesToUpload, TaskError> {
        let paths: BTreeMap<ContentId, &Path> =
            files.iter().filter_map(|file| Some((file.content?, &*file.path))).collect();
        self.checksums.retain(|content, _| paths.contains_key(content));
        let began = Input::SnapshotBegan { checkpoint, sharing, files: paths.keys().copied().collect() };
        let mut uploads = Vec::new();
        for output in self.feed(began)? {
            if let Output::Upload(object) = output {
                uploads.push((object, paths[&object.file.content].to_owned()));
            }
        }
        let checksums = self.checksums.clone();
        Ok(FilesToUpload { backend: backend.to_owned(), files, uploads, checksums })
    }

    /// The uploads of a checkpoint have ended, and whether the rest of it is durable. Says what is to be deleted.
    pub(super) fn ended(
        &mut self,
        checkpoint: CheckpointId,
        ends: Vec<EndOfUpload>,
        is_rest_durable: bool,
    ) -> Result<(Ended, Vec<SharedObject>), TaskError> {
        let mut superfluous = Vec::new();
        let mut ended = if is_rest_durable { Ended::Durable } else { Ended::Failed };
        if !is_rest_durable {
            superfluous.extend(discarded(self.feed(Input::CheckpointAborted { checkpoint })?));
        }
        for (object, checksum) in ends {
            let input = match checksum {
                Some(checksum) => {
                    self.checksums.insert(object.file.content, checksum);
                    Input::UploadFinished(object)
                }
                None => {
                    ended = Ended::Failed;
                    Input::UploadFailed(object)
                }
            };
            superfluous.extend(discarded(self.feed(input)?));
        }
        Ok((ended, superfluous))
    }

    /// The shared files to acknowledge a checkpoint with, if it has any.
    pub(super) fn acknowledged(&mut self, checkpoint: CheckpointId) -> Option<SharedState> {
        self.ready.remove(&checkpoint)
    }

    /// Passes on a notice of the coordinator, and says what is to be deleted.
    pub(super) fn completed(&mut self, checkpoint: CheckpointId) -> Result<Vec<SharedObject>, TaskError> {
        Ok(discarded(self.feed(Input::CheckpointCompleted { checkpoint })?))
    }

    /// A checkpoint was given up; says what is to be deleted.
    pub(super) fn aborted(&mut self, checkpoint: CheckpointId) -> Result<Vec<SharedObject>, TaskError> {
        self.ready.remove(&checkpoint);
        Ok(discarded(self.feed(Input::CheckpointAborted { checkpoint })?))
    }

    fn feed(&mut self, input: Input) -> Result<Vec<Output>, TaskError> {
        let mut outputs = Vec::new();
        // Time changes nothing for this machine.
        self.machine.on(Millis(0), input, &mut outputs)?;
        debug_assert_eq!(self.machine.check(), Ok(()));
        for output in &outputs {
            if let Output::Ready { checkpoint, state } = output {
                self.ready.insert(*checkpoint, state.clone());
            }
        }
        Ok(outputs)
    }
}

fn discarded(outputs: Vec<Output>) -> Vec<SharedObject> {
    let discarded = outputs.into_iter().filter_map(|output| match output {
        Output::Discard(object) => Some(object),
        // Uploads are cancelled with their checkpoint, and fail with it.
        Output::Upload(_) | Output::CancelUpload(_) | Output::Ready { .. } | Output::Failed { .. } => None,
    });
    discarded.collect()
}

impl FilesToUpload {
    /// Uploads what is new, several files at a time, until one fails or nobody wants them any more. Each that was begun has
    /// an end.
    pub(super) fn upload(
        &self,
        storage: &dyn CheckpointStorage,
        is_cancelled: &(dyn Fn() -> bool + Sync),
    ) -> (Vec<EndOfUpload>, Result<(), TaskError>) {
        let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
        let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
        let work = || {
            let mut ends = Vec::new();
            while let Some((object, path)) = self.uploads.get(next.fetch_add(1, Ordering::Relaxed)) {
                let is_wanted = !is_cancelled() && failed().is_none();
                let end = match is_wanted {
                    true => guarded(|| upload(storage, object, path, is_cancelled)),
                    false => Err(TaskError::Cancelled),
                };
                ends.push((*object, end.as_ref().ok().copied()));
                if let Err(error) = end {
                    failed().get_or_insert(error);
                }
            }
            ends
        };
        let threads = TRANSFER_THREADS.min(self.uploads.len());
        let ends = std::thread::scope(|scope| {
            // With fewer threads than wanted it takes longer.
            let others: Vec<_> = (1..threads)
                .filter_map(|_| std::thread::Builder::new().spawn_scoped(scope, work).ok())
                .collect();
            let mut ends = work();
            // What is called is guarded, so that no thread panics.
            ends.extend(others.into_iter().filter_map(|other| other.join().ok()).flatten());
            ends
        });
        let failure = failed().take();
        (ends, failure.map_or(Ok(()), Err))
    }

    /// The backend, and what the checkpoint says about its files, of which those that were new have been uploaded.
    pub(super) fn described(self, ends: &[EndOfUpload]) -> io::Result<(String, Vec<BackendFile>)> {
        let mut checksums = self.checksums;
        checksums
            .extend(ends.iter().filter_map(|(object, checksum)| Some((object.file.content, (*checksum)?))));
        let describe = |file: LocalFile| {
            let place = match file.content {
                None => FilePlace::Private(fs::read(&file.path)?),
                Some(content) => {
                    let missing = || io::Error::other(format!("`{}` was never uploaded", file.name));
                    FilePlace::Shared { content, checksum: *checksums.get(&content).ok_or_else(missing)? }
                }
            };
            Ok(BackendFile { name: file.name, place })
        };
        let files = self.files.into_iter().map(describe).collect::<io::Result<_>>()?;
        Ok((self.backend, files))
    }
}

fn upload(
    storage: &dyn CheckpointStorage,
    object: &SharedObject,
    path: &Path,
    is_cancelled: &dyn Fn() -> bool,
) -> Result<u32, TaskError> {
    let unreadable = |error| TaskError::User(format!("{} cannot be read: {error}", path.display()).into());
    let file = File::open(path).map_err(unreadable)?;
    let mut content = Checksummed { inner: file, checksum: 0, is_cancelled };
    match storage.put_shared(object, &mut content) {
        Ok(()) => Ok(content.checksum),
        Err(_) if is_cancelled() => Err(TaskError::Cancelled),
        Err(error) => Err(error.into()),
    }
}

/// Computes the checksum of what is read, until nobody wants it any more.
struct Checksummed<'a, R> {
    inner: R,
    checksum: u32,
    is_cancelled: &'a dyn Fn() -> bool,
}

impl<R: Read> Read for Checksummed<'_, R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if (self.is_cancelled)() {
            return Err(io::Error::other("the upload was cancelled"));
        }
        let read = self.inner.read(target)?;
        self.checksum = codec::checksum(self.checksum, &target[..read]);
        Ok(read)
    }
}
