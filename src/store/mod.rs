//! Checkpoint storages: where the files of checkpoints and the log of pointers live, durably.
//!
//! A storage makes no decisions. The publish machine says in which order objects are written and how a
//! recovery reads them; [`perform`] carries its operations out. What every storage promises is the contract of
//! [`CheckpointStorage`]; what happens to an operation that fails is in [`StorageError`].

#![allow(clippy::disallowed_methods)]

mod choice;
mod disk;
mod documents;
pub(crate) mod drawn_id;
mod error;
mod file_system;
mod files;
mod found;
mod high_availability;
mod job_manager;
mod names;
#[cfg(feature = "object-store")]
mod object_store;
mod perform;
mod reader;
mod state_output;
mod target;
mod temporary;

#[cfg(feature = "object-store")]
pub use self::object_store::{
    OBJECT_STORE_OPTIONS, ObjectStoreCheckpointStorage, ObjectStoreHighAvailabilityStore,
    ObjectStoreLocation, ObjectStoreOptions,
};
pub use choice::{CheckpointStorageChoice, CheckpointStorageFactory, CheckpointStorages, WrongStorage};
pub(crate) use choice::{high_availability_in, local};
#[cfg(feature = "testkit")]
pub use disk::{FileFault, FileFaults, FileOperation};
pub use documents::{decode_pointer, encode_pointer};
pub use error::StorageError;
pub use file_system::FileSystemCheckpointStorage;
pub use found::{FoundFile, Meaning};
#[cfg(feature = "etcd")]
pub use high_availability::EtcdHighAvailabilityStore;
pub use high_availability::{
    ClusterId, EtcdCredentials, EtcdOptions, FileSystemHighAvailabilityStore, HighAvailability,
    HighAvailabilityStore, HighlyAvailableCheckpointStorage, LogId,
};
pub use job_manager::{JobManagerCheckpointStorage, JobManagerLimits};
pub use names::Place;
pub use perform::{JobDescription, perform};
pub use state_output::{OutputSizes, StateOutput};
pub use target::SavepointTarget;

use crate::base::{Attempt, CheckpointId, SharedObject, StateFile, StateHandle};
use crate::codec::CheckpointMetadata;
use crate::publish::{Listing, Pointer, PointerSequence};
use reader::read_inline;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::sync::Arc;

/// How a put-if-absent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Put {
    /// The object is durable.
    Stored,
    /// An object of that name was there already, and is durable; nothing has changed.
    Exists,
}

/// The durable home of one job's checkpoints.
///
/// Every put is atomic and exclusive, also against other processes: of any number of writers of one name exactly
/// one gets [`Put::Stored`], and no reader ever sees a part of an object. Every answer other than an error is
/// durable. Deleting what does not exist succeeds.
pub trait CheckpointStorage: Send + Sync + Debug {
    /// Starts to write a state file. It becomes visible when the writer is finished.
    ///
    /// # Errors
    /// The storage cannot be written.
    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError>;

    /// The full name of a state file, for messages.
    fn state_name(&self, file: StateFile) -> String;

    /// The largest state, in bytes, that may be [inline](StateHandle::inline) instead of in a file, whatever a job asks for.
    fn max_inline_bytes(&self) -> u64 {
        u64::MAX
    }

    /// The full name of the state of a handle, for messages.
    fn handle_name(&self, handle: &StateHandle) -> String {
        let file = self.state_name(handle.file);
        if handle.inline.is_some() { format!("{file} (inline in the metadata)") } else { file }
    }

    /// Opens the state of a handle, which may be in a file or inline. Its checksum is verified when the end
    /// is read: whoever uses the bytes must read to the end first. A read that fails gives an error that
    /// wraps a [`StorageError`].
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when the file is missing, or the state has another length than its handle says.
    fn read_state(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        match &handle.inline {
            Some(state) => Ok(Box::new(read_inline(self.handle_name(handle), handle, state)?)),
            None => self.read_state_file(handle),
        }
    }

    /// Opens a state file, whose existence and length are checked here, as [`read_state`](Self::read_state) does, which
    /// callers use.
    ///
    /// # Errors
    /// As those of [`read_state`](Self::read_state).
    fn read_state_file(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError>;

    /// Writes the metadata of a checkpoint or savepoint, unless it exists.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]: not written. [`StorageError::Uncertain`]: perhaps written.
    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError>;

    /// Reads the metadata of a checkpoint that is no savepoint; `None` when there is none.
    ///
    /// # Errors
    /// It is damaged, or the storage cannot be read.
    fn read_metadata(&self, checkpoint: CheckpointId) -> Result<Option<CheckpointMetadata>, StorageError>;

    /// Reads the metadata of the savepoint that this attempt took under this number; `None` when there is none.
    ///
    /// # Errors
    /// It is damaged, or the storage cannot be read.
    fn read_savepoint(
        &self,
        savepoint: CheckpointId,
        attempt: Attempt,
    ) -> Result<Option<CheckpointMetadata>, StorageError>;

    /// The full name of the directory of a checkpoint that is no savepoint, for people.
    fn checkpoint_name(&self, checkpoint: CheckpointId) -> String;

    /// The full name of the directory of a savepoint, for its owner.
    fn savepoint_name(&self, savepoint: CheckpointId, attempt: Attempt) -> String;

    /// The directory in which a user wants savepoints to lie, instead of where they lie otherwise. It is created if it does not
    /// exist, and something is written there, so that what is wrong with it is known before a savepoint is begun. A storage
    /// that cannot put savepoints elsewhere refuses.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when it is none of this storage, or cannot be written.
    fn savepoint_target(&self, directory: &str) -> Result<Arc<dyn SavepointTarget>, StorageError> {
        let what = "this storage cannot put a savepoint into a directory of the user's choice";
        Err(StorageError::wrong_target(directory, io::ErrorKind::Unsupported, what))
    }

    /// Writes a pointer, unless its number is taken.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]: not written. [`StorageError::Uncertain`]: perhaps written.
    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError>;

    /// Writes, in place of the first pointer, that the log of pointers is `log`, and lies in `store`, unless there is a first
    /// pointer: whoever looks for it here is told by [`StorageError::Elsewhere`]. A storage that cannot do this refuses.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]: not written. [`StorageError::Uncertain`]: perhaps written.
    fn put_redirection(&self, log: LogId, store: &str) -> Result<Put, StorageError> {
        let _ = log;
        let what = "this storage cannot say that the log of pointers lies elsewhere";
        Err(StorageError::unavailable(store, io::Error::new(io::ErrorKind::Unsupported, what)))
    }

    /// The [id](HighAvailabilityStore::id) of a log that somebody has opened where this storage has its own pointers: the two
    /// are one, and neither can say of the other where it lies.
    ///
    /// # Errors
    /// It is damaged, or the storage cannot be read.
    fn log_id(&self) -> Result<Option<LogId>, StorageError> {
        Ok(None)
    }

    /// Reads a pointer; `None` when there is none of that number.
    ///
    /// # Errors
    /// It is damaged, lies [elsewhere](StorageError::Elsewhere), or the storage cannot be read.
    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError>;

    /// Lists all pointers, and all checkpoints of which anything exists, savepoints excepted.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn list(&self) -> Result<Listing, StorageError>;

    /// Deletes a checkpoint that is no savepoint: its metadata first, so that a half-deleted checkpoint is never
    /// taken for a whole one, then its private state.
    ///
    /// # Errors
    /// Something could not be deleted; deleting again goes on where this ended.
    fn delete_checkpoint(&self, checkpoint: CheckpointId) -> Result<(), StorageError>;

    /// Deletes the savepoint that this attempt took under this number: its metadata first, so that a half-deleted savepoint is
    /// never taken for a whole one, then all its files.
    ///
    /// # Errors
    /// Something could not be deleted; deleting again goes on where this ended.
    fn delete_savepoint(&self, savepoint: CheckpointId, attempt: Attempt) -> Result<(), StorageError>;

    /// Deletes a pointer.
    ///
    /// # Errors
    /// It could not be deleted.
    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError>;

    /// Deletes a state file; the directory of a savepoint goes with its last file.
    ///
    /// # Errors
    /// It could not be deleted.
    fn delete_state(&self, file: StateFile) -> Result<(), StorageError>;

    /// Writes `content`, to its end, under the name of a shared file.
    ///
    /// # Errors
    /// Nothing is visible under that name, unless it was used before. Also when `content` fails, or has another length
    /// than the name says.
    fn put_shared(&self, object: &SharedObject, content: &mut dyn Read) -> Result<(), StorageError>;

    /// The full name of a shared file, for messages.
    fn shared_name(&self, object: &SharedObject) -> String;

    /// Opens a shared file, whose existence and length are checked here; its content is for its reader to verify.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when it is missing or has another length than its name says.
    fn read_shared(&self, object: &SharedObject) -> Result<Box<dyn Read + Send>, StorageError>;

    /// Lists all shared files that the job has written and that belong to no savepoint.
    ///
    /// # Errors
    /// The storage cannot be read.
    fn list_shared(&self) -> Result<BTreeSet<SharedObject>, StorageError>;

    /// Deletes a shared file.
    ///
    /// # Errors
    /// It may still be there.
    fn delete_shared(&self, object: &SharedObject) -> Result<(), StorageError>;
}

/// A state file being written. Write in large pieces: nothing is buffered.
///
/// Dropping the writer without finishing it removes what was written.
pub trait StateWriter: Write + Send {
    /// Makes all that was written durable and visible, and names it.
    ///
    /// # Errors
    /// The file is not visible, and what was written has been removed. Also after any failed write. Only with
    /// [`StorageError::Uncertain`] it may be there: a storage far away had no answer to that either.
    fn finish(self: Box<Self>) -> Result<StateHandle, StorageError>;
}
