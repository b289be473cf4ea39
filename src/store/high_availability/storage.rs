use super::HighAvailabilityStore;
use crate::base::{Attempt, CheckpointId, SharedObject, StateFile, StateHandle};
use crate::codec::CheckpointMetadata;
use crate::publish::{Listing, Pointer, PointerSequence};
use crate::store::{CheckpointStorage, Put, StateWriter, StorageError};
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
    //# Where the log of pointers lies in another store, the storage of the files MUST hold the name of that store
    //# under the first number of its own log before anything else of the job is written.
    ///
    /// # Errors
    /// [`StorageError::Elsewhere`]: the log of the job lies in another store. [`StorageError::Unavailable`] when it lies beside
    /// the files, or was lost, or something cannot be read or written.
    pub fn open(
        files: Arc<dyn CheckpointStorage>,
        pointers: Arc<dyn HighAvailabilityStore>,
    ) -> Result<Self, StorageError> {
        let (id, name) = (pointers.id()?, pointers.name());
        let storage = HighlyAvailableCheckpointStorage { files, pointers };
        if storage.files.put_redirection(id, &name)? == Put::Stored {
            return Ok(storage);
        }
        match storage.files.read_pointer(PointerSequence::FIRST) {
            Err(StorageError::Elsewhere { log, .. }) if log == id => storage.unless_log_is_lost(),
            Err(StorageError::Elsewhere { log, store, .. }) if store == name => {
                let what = format!(
                    "this is another log than that of the job, which has the id {log}: it was emptied, or something else is \
                     in its place; put it back from a copy, or start a new job from the newest checkpoint \
                     (execution.state-recovery.path)"
                );
                Err(StorageError::unavailable(name, io::Error::new(io::ErrorKind::NotFound, what)))
            }
            Err(error) => Err(error),
            Ok(_) => {
                let what = "the log of pointers of this job lies beside its checkpoints, and stays there: start a new job \
                            from the newest of them (execution.state-recovery.path) to keep the log in this store";
                Err(StorageError::unavailable(name, io::Error::new(io::ErrorKind::AlreadyExists, what)))
            }
        }
    }

    /// No checkpoint is begun before the log holds a claim, and claims stay: a log without any was lost, be it that the store
    /// was emptied or put back from a copy. To the publisher it would look like that of a new job.
    fn unless_log_is_lost(self) -> Result<Self, StorageError> {
        let Listing { pointers, checkpoints } = self.list()?;
        if checkpoints.is_empty() || !pointers.is_empty() {
            return Ok(self);
        }
        let what = "the log of pointers is empty, but there are checkpoints of the job: put the log back from a copy, or start \
                    a new job from the newest of them (execution.state-recovery.path)";
        Err(StorageError::unavailable(self.pointers.name(), io::Error::new(io::ErrorKind::NotFound, what)))
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

    fn read_state(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        self.files.read_state(handle)
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
