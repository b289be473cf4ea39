//! Savepoints in the directory that their request names.

use super::super::control::{Answer, RequestedCheckpoint};
use super::super::error::{RequestError, TaskError};
use super::super::io::IoQueue;
use super::super::savepoint_copy::copy_as_savepoint;
use super::super::task::guarded;
use super::answers::tell;
use super::{Master, Message};
use crate::base::{Attempt, CheckpointId};
use crate::coordinator::{Input, RequestId, RequestKind};
use crate::store::{SavepointTarget, StorageError};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The directory that a request names.
pub(super) struct Target {
    directory: String,
    opened: Arc<dyn SavepointTarget>,
}

/// A request that has named a directory which nobody has looked at.
pub(super) struct Aimed {
    pub(super) request: RequestId,
    pub(super) kind: RequestKind,
    pub(super) directory: String,
}

/// What a job was stopped with, whose user wants a savepoint in a directory and is answered when it is there.
pub(super) struct CopyAsSavepoint {
    pub(super) checkpoint: RequestedCheckpoint,
    pub(super) target: Target,
    pub(super) answer: Sender<Answer>,
}

/// The copies that were made, for whoever asks for the same. Only one is made at a time.
pub(super) type Copies = Arc<Mutex<BTreeMap<(CheckpointId, String), Answer>>>;

impl Target {
    pub(super) fn place(&self, savepoint: CheckpointId, attempt: Attempt) {
        self.opened.place(savepoint, attempt);
    }
}

impl Master {
    /// Looks in the background at the directory of a request, which the coordinator is told of when a savepoint can lie there.
    /// A directory that never answers keeps others waiting that are looked at, and neither the job nor its end.
    pub(super) fn open_target(&mut self, aimed: Aimed) -> Option<Input> {
        let looker = match self.looker.take().map_or_else(|| IoQueue::detached("snapline-targets"), Ok) {
            Ok(looker) => self.looker.insert(looker),
            Err(error) => return self.target_opened(aimed, Err(TaskError::User(error.into()))),
        };
        let (storage, messages) = (Arc::clone(&self.storage), self.messages.clone());
        looker.run(move || {
            let opened = guarded(|| Ok(storage.savepoint_target(&aimed.directory)?));
            let _ = messages.send(Message::TargetOpened(aimed, opened));
        });
        None
    }

    pub(super) fn target_opened(
        &mut self,
        aimed: Aimed,
        opened: Result<Arc<dyn SavepointTarget>, TaskError>,
    ) -> Option<Input> {
        let Aimed { request, kind, directory } = aimed;
        match opened {
            Ok(opened) => {
                self.answers.aim(request, Target { directory, opened });
                Some(Input::CheckpointRequested { request, kind })
            }
            Err(error) => {
                let what = match error {
                    TaskError::Storage(StorageError::Unavailable { cause, .. }) => cause.to_string(),
                    other => other.to_string(),
                };
                tracing::warn!(request = request.0, %what, "no savepoint can lie where it is to");
                self.answers.refuse(request, RequestError::WrongTarget { directory, what });
                None
            }
        }
    }

    /// Copies what the job was stopped with, and answers then. The job may have ended before.
    pub(super) fn copy(&self, copy: CopyAsSavepoint, io: &IoQueue) {
        let (storage, copies) = (Arc::clone(&self.storage), Arc::clone(&self.copies));
        io.run(move || {
            let CopyAsSavepoint { checkpoint: RequestedCheckpoint { id, external_path }, target, answer } =
                copy;
            let mut copies = copies.lock().unwrap_or_else(PoisonError::into_inner);
            let key = (id, target.directory.clone());
            let made = copies.entry(key).or_insert_with(|| {
                let copied = guarded(|| copy_as_savepoint(&*storage, id, &*target.opened));
                let not_copied = |error: TaskError| RequestError::NotCopied {
                    checkpoint: id,
                    external_path,
                    directory: target.directory,
                    what: error.to_string(),
                };
                copied.map(|external_path| RequestedCheckpoint { id, external_path }).map_err(not_copied)
            });
            tell(&answer, made.clone());
        });
    }
}
