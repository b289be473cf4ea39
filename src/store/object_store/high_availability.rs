use super::objects::Objects;
use super::{ObjectStoreLocation, ObjectStoreOptions};
use crate::base::JobId;
use crate::publish::{Pointer, PointerSequence};
use crate::store::documents::{encode_redirection, log_id_at, log_id_is_gone, not_encoded, pointer_at};
use crate::store::names::{LOG_ID, POINTERS, pointer_name, pointers};
use crate::store::{ClusterId, HighAvailabilityStore, LogId, Put, StorageError, encode_pointer};
use object_store::path::Path;
use std::collections::BTreeSet;

/// Keeps the log of pointers in an object storage: `<location>/<cluster-id>/<job-id>/pointers/<sequence, 20 digits>`.
///
/// What is said of conditional puts at [`ObjectStoreCheckpointStorage`](super::ObjectStoreCheckpointStorage) holds here.
#[derive(Clone, Debug)]
pub struct ObjectStoreHighAvailabilityStore {
    objects: Objects,
    directory: Path,
}

impl ObjectStoreHighAvailabilityStore {
    /// Opens the log of `job` under `url`, as [`ObjectStoreLocation::open`] understands it.
    ///
    /// # Errors
    /// As [`new`](Self::new), or the URL is wrong.
    pub fn open(
        url: &str,
        cluster: &ClusterId,
        job: JobId,
        options: &ObjectStoreOptions,
    ) -> Result<Self, StorageError> {
        let location = ObjectStoreLocation::open(url, options)?;
        ObjectStoreHighAvailabilityStore::new(location, cluster, job, options)
    }

    /// Opens the log of `job` under `location`.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the options are wrong, or the store cannot be written, or does not refuse to write
    /// what exists.
    pub fn new(
        location: ObjectStoreLocation,
        cluster: &ClusterId,
        job: JobId,
        options: &ObjectStoreOptions,
    ) -> Result<Self, StorageError> {
        let objects = Objects::of(location, options)?;
        let mut directory = objects.location.directory.clone();
        directory.extend(cluster.parts());
        let directory = directory.join(job.to_string());
        objects.probe(&directory)?;
        Ok(ObjectStoreHighAvailabilityStore::within(objects, &directory))
    }

    /// The log in the directory of a job.
    pub(super) fn within(objects: Objects, job_directory: &Path) -> Self {
        ObjectStoreHighAvailabilityStore { objects, directory: job_directory.clone().join(POINTERS) }
    }

    fn path(&self, sequence: PointerSequence) -> Path {
        self.directory.clone().join(pointer_name(sequence))
    }

    /// As [`CheckpointStorage::put_redirection`](crate::store::CheckpointStorage::put_redirection).
    pub(super) fn put_redirection(&self, log: LogId, store: &str) -> Result<Put, StorageError> {
        let path = self.path(PointerSequence::FIRST);
        let bytes =
            encode_redirection(log, store).map_err(|error| not_encoded(&self.objects.name(&path), error))?;
        self.objects.put(&path, bytes)
    }

    /// The id of the log, if it has been opened.
    pub(super) fn found_id(&self) -> Result<Option<LogId>, StorageError> {
        let path = self.directory.clone().join(LOG_ID);
        let found = self.objects.read(&path)?;
        found.map(|bytes| log_id_at(&self.objects.name(&path), &bytes)).transpose()
    }
}

impl HighAvailabilityStore for ObjectStoreHighAvailabilityStore {
    fn name(&self) -> String {
        self.objects.name(&self.directory)
    }

    fn id(&self) -> Result<LogId, StorageError> {
        let (path, drawn) = (self.directory.clone().join(LOG_ID), LogId::draw());
        if self.objects.put(&path, drawn.to_string().into_bytes())? == Put::Stored {
            return Ok(drawn);
        }
        self.found_id()?.ok_or_else(|| log_id_is_gone(&self.objects.name(&path)))
    }

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        let path = self.path(sequence);
        let bytes = encode_pointer(sequence, pointer)
            .map_err(|error| not_encoded(&self.objects.name(&path), error))?;
        self.objects.put(&path, bytes)
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        let path = self.path(sequence);
        let found = self.objects.read(&path)?;
        found.map(|bytes| pointer_at(&self.objects.name(&path), sequence, &bytes)).transpose()
    }

    fn list_pointers(&self) -> Result<BTreeSet<PointerSequence>, StorageError> {
        let (names, _) = self.objects.list(&self.directory)?;
        Ok(pointers(&names))
    }

    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        self.objects.delete(&self.path(sequence))
    }
}
