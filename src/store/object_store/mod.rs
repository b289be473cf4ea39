//! Checkpoints in object storages: S3, Google Cloud Storage, Azure, HDFS, servers of WebDAV, or any store of the crate `object_store`.

mod clouds;
mod download;
mod factory;
mod high_availability;
mod location;
mod objects;
mod options;
mod put;
mod requests;
mod upload;
#[cfg(feature = "http")]
mod web_dav;

pub use factory::OBJECT_STORE_OPTIONS;
pub(super) use factory::ObjectStoreCheckpointStorageFactory;
pub use high_availability::ObjectStoreHighAvailabilityStore;
pub use location::ObjectStoreLocation;
pub use options::ObjectStoreOptions;

use super::documents::{metadata_at, not_encoded};
use super::job_manager::wrong_length;
use super::names::{METADATA, Place, SHARED, checkpoints, shared_name, shared_object, state_name};
use super::reader::VerifyingReader;
use super::target::{SavepointTarget, Targets};
use super::{CheckpointStorage, HighAvailabilityStore, LogId, Put, StateWriter, StorageError};
use crate::base::{Attempt, CheckpointId, JobId, SharedObject, StateFile, StateHandle};
use crate::codec::{CheckpointMetadata, encode_metadata};
use crate::publish::{Listing, Pointer, PointerSequence};
use object_store::path::Path;
use objects::Objects;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::sync::Arc;
use upload::{ObjectWriter, Written};

/// Keeps checkpoints in an object storage, under the same names as
/// [`FileSystemCheckpointStorage`](super::FileSystemCheckpointStorage).
///
/// An object becomes visible as a whole or not at all, and the store itself refuses metadata or a pointer whose name is
/// taken; a store that does not is refused when it is opened. A put whose answer is lost is repeated, and what is read back
/// tells whether it had been applied. A process that is killed may leave parts of uploads, which no listing shows: the
/// bucket should have a rule that aborts incomplete uploads. On a server of WebDAV it may leave temporary names, and each
/// file is kept in memory until it is whole.
///
/// Callers wait, and may be asynchronous; two threads carry the requests out. Clones share them.
#[derive(Clone, Debug)]
pub struct ObjectStoreCheckpointStorage {
    job: JobId,
    checkpoints: Objects,
    /// Where savepoints lie, unless their request has said where.
    savepoints: Objects,
    targets: Targets<Objects>,
}

impl ObjectStoreCheckpointStorage {
    /// Opens the checkpoints of `job` under `url`, as [`ObjectStoreLocation::open`] understands it.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the URL or the options are wrong, or the store cannot be written, or does not
    /// refuse to write what exists.
    pub fn open(url: &str, job: JobId, options: &ObjectStoreOptions) -> Result<Self, StorageError> {
        ObjectStoreCheckpointStorage::new(ObjectStoreLocation::open(url, options)?, job, options)
    }

    /// Opens the checkpoints of `job` under `location`.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the store cannot be written, or does not refuse to write what exists.
    pub fn new(
        location: ObjectStoreLocation,
        job: JobId,
        options: &ObjectStoreOptions,
    ) -> Result<Self, StorageError> {
        let checkpoints = Objects::of(location, options)?;
        let (savepoints, targets) = (checkpoints.clone(), Targets::default());
        let storage = ObjectStoreCheckpointStorage { job, checkpoints, savepoints, targets };
        storage.checkpoints.probe(&storage.directory(&storage.checkpoints, job))?;
        Ok(storage)
    }

    /// The same checkpoints, with savepoints in `location/<job-id>` instead of beside them
    /// (`execution.checkpointing.savepoint-dir`).
    #[must_use]
    pub fn with_savepoints_in(self, location: ObjectStoreLocation) -> Self {
        let savepoints = Objects { location, ..self.checkpoints.clone() };
        ObjectStoreCheckpointStorage { savepoints, ..self }
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The directory of a job.
    fn directory(&self, objects: &Objects, job: JobId) -> Path {
        objects.location.directory.clone().join(job.to_string())
    }

    /// Deletes a checkpoint or savepoint, its metadata first.
    fn delete(&self, place: Place) -> Result<(), StorageError> {
        let (objects, directory) = self.place(place);
        objects.delete(&directory.clone().join(METADATA))?;
        objects.delete_all(&directory)
    }

    /// The directory of a checkpoint or savepoint, and the objects that it is among.
    fn place(&self, place: Place) -> (Objects, Path) {
        let objects = match place {
            Place::Checkpoint(_) => self.checkpoints.clone(),
            Place::Savepoint(..) => self.targets.of(place).unwrap_or_else(|| self.savepoints.clone()),
        };
        let directory = self.directory(&objects, self.job).join(place.to_string());
        (objects, directory)
    }

    fn state(&self, file: StateFile) -> (Objects, Path) {
        let (objects, directory) = self.place(Place::of_state(file));
        (objects, directory.join(state_name(file)))
    }

    fn metadata(&self, place: Place) -> (Objects, Path) {
        let (objects, directory) = self.place(place);
        (objects, directory.join(METADATA))
    }

    /// A shared file lies with the job that wrote it, which may be another one under the same location.
    fn shared(&self, object: &SharedObject) -> (Objects, Path) {
        let (objects, directory) = match object.savepoint {
            Some(savepoint) => self.place(Place::Savepoint(savepoint, object.file.attempt)),
            None => {
                let directory = self.directory(&self.checkpoints, object.file.job);
                (self.checkpoints.clone(), directory.join(SHARED))
            }
        };
        (objects, directory.join(shared_name(object)))
    }

    fn pointers(&self) -> ObjectStoreHighAvailabilityStore {
        let job = self.directory(&self.checkpoints, self.job);
        ObjectStoreHighAvailabilityStore::within(self.checkpoints.clone(), &job)
    }

    fn metadata_of(&self, place: Place) -> Result<Option<CheckpointMetadata>, StorageError> {
        let (objects, path) = self.metadata(place);
        let found = objects.read(&path)?;
        found.map(|bytes| metadata_at(&objects.name(&path), self.job, place, &bytes)).transpose()
    }
}

fn name((objects, path): (Objects, Path)) -> String {
    objects.name(&path)
}

impl CheckpointStorage for ObjectStoreCheckpointStorage {
    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        let (objects, path) = self.state(file);
        Ok(Box::new(StateObject { file, object: objects.create(path) }))
    }

    fn state_name(&self, file: StateFile) -> String {
        name(self.state(file))
    }

    fn read_state_file(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        let (objects, path) = self.state(handle.file);
        let content = objects.open(&path, handle.bytes)?;
        Ok(Box::new(VerifyingReader::new(content, objects.name(&path), handle.clone())))
    }

    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError> {
        let (objects, path) = self.metadata(Place::of_checkpoint(&metadata.checkpoint));
        let bytes = encode_metadata(metadata).map_err(|error| not_encoded(&objects.name(&path), error))?;
        objects.put(&path, bytes)
    }

    fn read_metadata(&self, checkpoint: CheckpointId) -> Result<Option<CheckpointMetadata>, StorageError> {
        self.metadata_of(Place::Checkpoint(checkpoint))
    }

    fn read_savepoint(
        &self,
        savepoint: CheckpointId,
        attempt: Attempt,
    ) -> Result<Option<CheckpointMetadata>, StorageError> {
        self.metadata_of(Place::Savepoint(savepoint, attempt))
    }

    fn checkpoint_name(&self, checkpoint: CheckpointId) -> String {
        name(self.place(Place::Checkpoint(checkpoint)))
    }

    fn savepoint_name(&self, savepoint: CheckpointId, attempt: Attempt) -> String {
        name(self.place(Place::Savepoint(savepoint, attempt)))
    }

    fn savepoint_target(&self, directory: &str) -> Result<Arc<dyn SavepointTarget>, StorageError> {
        let located = self.savepoints.location.elsewhere(directory);
        let location =
            located.or_else(|error| self.checkpoints.location.elsewhere(directory).map_err(|_| error))?;
        if location.directory.prefix_matches(&self.directory(&self.checkpoints, self.job)) {
            let what = "it lies among the checkpoints of the job, which are deleted with all that is in them"
                .to_owned();
            return Err(StorageError::wrong_target(directory, io::ErrorKind::InvalidInput, what));
        }
        let objects = Objects { location, ..self.checkpoints.clone() };
        objects.probe(&self.directory(&objects, self.job))?;
        Ok(self.targets.target(objects))
    }

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        self.pointers().put_pointer(sequence, pointer)
    }

    fn put_redirection(&self, log: LogId, store: &str) -> Result<Put, StorageError> {
        self.pointers().put_redirection(log, store)
    }

    fn log_id(&self) -> Result<Option<LogId>, StorageError> {
        self.pointers().found_id()
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        self.pointers().read_pointer(sequence)
    }

    fn list(&self) -> Result<Listing, StorageError> {
        let (_, directories) = self.checkpoints.list(&self.directory(&self.checkpoints, self.job))?;
        let checkpoints = checkpoints(&directories);
        Ok(Listing { checkpoints, pointers: self.pointers().list_pointers()? })
    }

    fn delete_checkpoint(&self, checkpoint: CheckpointId) -> Result<(), StorageError> {
        self.delete(Place::Checkpoint(checkpoint))
    }

    fn delete_savepoint(&self, savepoint: CheckpointId, attempt: Attempt) -> Result<(), StorageError> {
        self.delete(Place::Savepoint(savepoint, attempt))
    }

    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        self.pointers().delete_pointer(sequence)
    }

    fn delete_state(&self, file: StateFile) -> Result<(), StorageError> {
        let (objects, path) = self.state(file);
        objects.delete(&path)
    }

    fn put_shared(&self, object: &SharedObject, content: &mut dyn Read) -> Result<(), StorageError> {
        let (objects, path) = self.shared(object);
        let unavailable = |error| StorageError::from_io(objects.name(&path), error);
        let expected = object.file.content.bytes;
        let mut writer = objects.create(path.clone());
        let copied = io::copy(&mut content.take(expected + 1), &mut writer).map_err(unavailable)?;
        if copied != expected {
            return Err(unavailable(wrong_length()));
        }
        writer.finish().map(drop)
    }

    fn shared_name(&self, object: &SharedObject) -> String {
        name(self.shared(object))
    }

    fn read_shared(&self, object: &SharedObject) -> Result<Box<dyn Read + Send>, StorageError> {
        let (objects, path) = self.shared(object);
        Ok(Box::new(objects.open(&path, object.file.content.bytes)?))
    }

    fn list_shared(&self) -> Result<BTreeSet<SharedObject>, StorageError> {
        let directory = self.directory(&self.checkpoints, self.job).join(SHARED);
        let (names, _) = self.checkpoints.list(&directory)?;
        Ok(names.iter().filter_map(|name| shared_object(self.job, name)).collect())
    }

    fn delete_shared(&self, object: &SharedObject) -> Result<(), StorageError> {
        let (objects, path) = self.shared(object);
        objects.delete(&path)
    }
}

/// A state file on its way into the store.
#[derive(Debug)]
struct StateObject {
    file: StateFile,
    object: ObjectWriter,
}

impl Write for StateObject {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.object.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.object.flush()
    }
}

impl StateWriter for StateObject {
    fn finish(self: Box<Self>) -> Result<StateHandle, StorageError> {
        let Written { bytes, checksum } = self.object.finish()?;
        Ok(StateHandle { file: self.file, bytes, checksum, inline: None })
    }
}
