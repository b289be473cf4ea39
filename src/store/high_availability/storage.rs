use super::{HighAvailabilityStore, LogId};
use crate::base::{Attempt, CheckpointId, SharedObject, StateFile, StateHandle};
use crate::codec::CheckpointMetadata;
use crate::publish::{Listing, Pointer, PointerSequence};
use crate::store::{CheckpointStorage, Put, SavepointTarget, StateWriter, StorageError};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;

/// Keeps the files of checkpoints in one storage and the log of pointers in a [`HighAvailabilityStore`].
#[derive(Clone, Debug)]
pub struct HighlyAvailableCheckpointStorage {
    files: Arc<dyn CheckpointStorage>,
    pointers: Arc<dyn HighAvailabilityStore>,
}

impl HighlyAvailableCheckpointStorage {
    /// Binds the job of `files` to the log `pointers`, for ever: in place of its first pointer `files` says where the log
    /// lies. So whoever opens the files without that log, or with another one, is refused instead of starting the job a second
    /// time beside the first.
    //= spec/publish.md#pub-47-a-job-has-one-log
    //# Where the log of pointers lies in another store, the storage of the files MUST hold the id of that log
    //# under the first number of its own log before anything else of the job is written.
    ///
    /// # Errors
    /// [`StorageError::Elsewhere`]: the log of the job lies in another store. [`StorageError::Unavailable`] when it lies beside
    /// the files, or was lost, or something cannot be read or written.
    pub fn open(
        files: Arc<dyn CheckpointStorage>,
        pointers: Arc<dyn HighAvailabilityStore>,
    ) -> Result<Self, StorageError> {
        let storage = HighlyAvailableCheckpointStorage { files, pointers };
        storage.bind()?;
        Ok(storage)
    }

    fn bind(&self) -> Result<(), StorageError> {
        let (id, name) = (self.pointers.id()?, self.pointers.name());
        if self.files.log_id()? == Some(id) {
            let what = "this is where the checkpoints of the job themselves have their log of pointers: set \
                        high-availability.storageDir to another directory, or high-availability.type to NONE";
            return Err(self.refused(io::ErrorKind::InvalidInput, what));
        }
        // Without having looked nothing is written: who is refused has changed nothing.
        let is_bound = self.is_bound_to(id)?;
        self.unless_log_is_lost()?;
        self.unless_log_is_old()?;
        if !is_bound && self.files.put_redirection(id, &name)? == Put::Exists {
            // Somebody has come between.
            self.is_bound_to(id)?;
        }
        Ok(())
    }

    /// Whether the job is bound to the log `id`; not when it has none yet.
    fn is_bound_to(&self, id: LogId) -> Result<bool, StorageError> {
        let beside = self.files.list()?.pointers;
        match self.files.read_pointer(PointerSequence::FIRST) {
            Err(StorageError::Elsewhere { log, .. }) if log == id => {}
            Err(StorageError::Elsewhere { log, store, .. }) if store == self.pointers.name() => {
                let what = format!(
                    "this is another log than that of the job, which has the id {log}: it was emptied, or something else is \
                     in its place; put it back from a copy, or start a new job from the newest checkpoint \
                     (execution.state-recovery.path)"
                );
                return Err(self.refused(io::ErrorKind::NotFound, what));
            }
            Err(error) => return Err(error),
            Ok(Some(_)) => return Err(self.lies_beside()),
            Ok(None) if beside.is_empty() => return Ok(false),
            Ok(None) => {}
        }
        match beside.iter().all(|sequence| *sequence == PointerSequence::FIRST) {
            true => Ok(true),
            false => Err(self.lies_beside()),
        }
    }

    fn lies_beside(&self) -> StorageError {
        let what = "the log of pointers of this job lies beside its checkpoints, and stays there: start a new job \
                    from the newest of them (execution.state-recovery.path) to keep the log in this store";
        self.refused(io::ErrorKind::AlreadyExists, what)
    }

    /// No checkpoint is begun before the log holds a claim as its first pointer, which stays: a log without it has lost its
    /// beginning, be it that the store was emptied or put back from a copy. To the publisher it would look like that of a new job.
    fn unless_log_is_lost(&self) -> Result<(), StorageError> {
        // In this order: another process may be beginning the job.
        let Listing { pointers, checkpoints } = self.list()?;
        if checkpoints.is_empty() && pointers.is_empty() {
            return Ok(());
        }
        match self.pointers.read_pointer(PointerSequence::FIRST) {
            Ok(None) => {
                let what = "the log of pointers has lost its beginning, but there are checkpoints of the job, or later \
                            pointers: put the log back from a copy, or start a new job from the newest checkpoint \
                            (execution.state-recovery.path)";
                Err(self.refused(io::ErrorKind::NotFound, what))
            }
            // Of damage a recovery tells, and may be told to go on.
            Ok(Some(_)) | Err(StorageError::Corrupt { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// An attempt takes checkpoints only after its claim is in the log: a log that ends with an older attempt was put back from
    /// a copy. Of publications that are missing nothing tells, if the claim before them is there.
    fn unless_log_is_old(&self) -> Result<(), StorageError> {
        // In this order: another process may be taking over.
        let mut newest: Option<(Attempt, CheckpointId)> = None;
        for checkpoint in self.files.list()?.checkpoints {
            match self.files.read_metadata(checkpoint) {
                Ok(Some(metadata)) => newest = newest.max(Some((metadata.checkpoint.attempt, checkpoint))),
                // It is not complete, or was deleted meanwhile, or nobody can say whose it is.
                Ok(None) | Err(StorageError::Corrupt { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let (Some((attempt, checkpoint)), Some(last)) = (newest, self.pointers.list_pointers()?.pop_last())
        else {
            return Ok(());
        };
        match self.pointers.read_pointer(last) {
            Ok(Some(pointer)) if pointer.attempt < attempt => {
                let what = format!(
                    "the log of pointers ends with attempt {}, but {} is of attempt {attempt}: the log was put back from an \
                     old copy; put a newer one back, or start a new job from the newest checkpoint \
                     (execution.state-recovery.path)",
                    pointer.attempt,
                    self.files.checkpoint_name(checkpoint)
                );
                Err(self.refused(io::ErrorKind::InvalidData, what))
            }
            // Gone means that somebody has written newer ones, and of damage a recovery tells.
            Ok(_) | Err(StorageError::Corrupt { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn refused(&self, kind: io::ErrorKind, what: impl Into<String>) -> StorageError {
        StorageError::unavailable(self.pointers.name(), io::Error::new(kind, what.into()))
    }
}

impl CheckpointStorage for HighlyAvailableCheckpointStorage {
    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        self.pointers.put_pointer(sequence, pointer)
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        self.pointers.read_pointer(sequence)
    }

    fn list(&self) -> Result<Listing, StorageError> {
        let Listing { checkpoints, .. } = self.files.list()?;
        Ok(Listing { checkpoints, pointers: self.pointers.list_pointers()? })
    }

    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        self.pointers.delete_pointer(sequence)
    }

    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        self.files.create_state(file)
    }

    fn state_name(&self, file: StateFile) -> String {
        self.files.state_name(file)
    }

    fn max_inline_bytes(&self) -> u64 {
        self.files.max_inline_bytes()
    }

    fn read_state_file(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        self.files.read_state_file(handle)
    }

    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError> {
        self.files.put_metadata(metadata)
    }

    fn read_metadata(&self, checkpoint: CheckpointId) -> Result<Option<CheckpointMetadata>, StorageError> {
        self.files.read_metadata(checkpoint)
    }

    fn read_savepoint(
        &self,
        savepoint: CheckpointId,
        attempt: Attempt,
    ) -> Result<Option<CheckpointMetadata>, StorageError> {
        self.files.read_savepoint(savepoint, attempt)
    }

    fn checkpoint_name(&self, checkpoint: CheckpointId) -> String {
        self.files.checkpoint_name(checkpoint)
    }

    fn savepoint_name(&self, savepoint: CheckpointId, attempt: Attempt) -> String {
        self.files.savepoint_name(savepoint, attempt)
    }

    fn delete_checkpoint(&self, checkpoint: CheckpointId) -> Result<(), StorageError> {
        self.files.delete_checkpoint(checkpoint)
    }

    fn savepoint_target(&self, directory: &str) -> Result<Arc<dyn SavepointTarget>, StorageError> {
        self.files.savepoint_target(directory)
    }

    fn delete_savepoint(&self, savepoint: CheckpointId, attempt: Attempt) -> Result<(), StorageError> {
        self.files.delete_savepoint(savepoint, attempt)
    }

    fn delete_state(&self, file: StateFile) -> Result<(), StorageError> {
        self.files.delete_state(file)
    }

    fn put_shared(&self, object: &SharedObject, content: &mut dyn Read) -> Result<(), StorageError> {
        self.files.put_shared(object, content)
    }

    fn shared_name(&self, object: &SharedObject) -> String {
        self.files.shared_name(object)
    }

    fn read_shared(&self, object: &SharedObject) -> Result<Box<dyn Read + Send>, StorageError> {
        self.files.read_shared(object)
    }

    fn list_shared(&self) -> Result<BTreeSet<SharedObject>, StorageError> {
        self.files.list_shared()
    }

    fn delete_shared(&self, object: &SharedObject) -> Result<(), StorageError> {
        self.files.delete_shared(object)
    }
}
