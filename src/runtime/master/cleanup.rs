//! Deletions, for which nobody waits.

use super::super::given::GivenCheckpoint;
use super::super::io::IoQueue;
use super::super::task::{guarded, report_leftover};
use super::{Master, Message};
use crate::base::{CheckpointId, SharedObject};
use crate::coordinator::Input;
use crate::store::CheckpointStorage;
use std::sync::Arc;

impl Master {
    /// Does something in the background.
    pub(super) fn clean(&self, io: &IoQueue, work: impl FnOnce(&dyn CheckpointStorage) + Send + 'static) {
        let storage = Arc::clone(&self.storage);
        io.run(move || work(&*storage));
    }

    pub(super) fn delete(&self, checkpoint: CheckpointId, io: &IoQueue) {
        let messages = self.messages.clone();
        let is_given = |given: &&GivenCheckpoint| given.is_claimed(checkpoint);
        let given = self.options.restore.as_ref().filter(is_given).cloned();
        self.clean(io, move |storage| {
            let deleted = guarded(|| {
                // A job that had checkpoints before it was given one may have one of the same number.
                report_leftover(storage.delete_checkpoint(checkpoint));
                if let Some(given) = &given {
                    report_leftover(given.delete());
                }
                Ok(())
            });
            if let Err(panic) = deleted {
                tracing::warn!(%panic, %checkpoint, "a deletion failed");
            }
            let _ = messages.send(Message::Cleaned(Input::CleanupEnded { checkpoint }));
        });
    }

    pub(super) fn delete_shared(&self, object: SharedObject, io: &IoQueue) {
        let messages = self.messages.clone();
        self.clean(io, move |storage| {
            let deleted = guarded(|| Ok(storage.delete_shared(&object)?));
            if let Err(error) = &deleted {
                tracing::warn!(%error, "a shared file could not be deleted");
            }
            let is_deleted = deleted.is_ok();
            let _ = messages.send(Message::Cleaned(Input::SharedDeletionEnded { object, is_deleted }));
        });
    }

    pub(super) fn list_shared(&self, io: &IoQueue) {
        let messages = self.messages.clone();
        self.clean(io, move |storage| match guarded(|| Ok(storage.list_shared()?)) {
            Ok(objects) => {
                let _ = messages.send(Message::Cleaned(Input::SharedListed { objects }));
            }
            Err(error) => tracing::warn!(%error, "the shared files cannot be listed"),
        });
    }
}
