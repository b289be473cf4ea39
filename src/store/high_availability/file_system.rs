use super::{ClusterId, HighAvailabilityStore, LogId};
use crate::base::JobId;
use crate::publish::{Pointer, PointerSequence};
use crate::store::disk::Disk;
use crate::store::documents::{encode_redirection, log_id_at, log_id_is_gone, not_encoded, pointer_at};
use crate::store::files::full_name;
use crate::store::names::{LOG_ID, POINTERS, pointer_name, pointer_sequence, pointers};
use crate::store::temporary::{PREFIX, absent_is_ok};
use crate::store::{Put, StorageError, encode_pointer};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Keeps the log of pointers in a directory: `<dir>/<cluster-id>/<job-id>/pointers/<sequence, 20 digits>`.
///
/// The file system must have hard links; [`open`](Self::open) tries.
#[derive(Clone, Debug)]
pub struct FileSystemHighAvailabilityStore {
    directory: PathBuf,
    disk: Disk,
}

impl FileSystemHighAvailabilityStore {
    /// Opens the log of `job` under `directory`, which is created if it does not exist.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the directory cannot be created or written.
    pub fn open(directory: impl AsRef<Path>, cluster: &ClusterId, job: JobId) -> Result<Self, StorageError> {
        let job = directory.as_ref().join(cluster.as_str()).join(job.to_string());
        let store = FileSystemHighAvailabilityStore::within(&job, &Disk::default());
        let opened = store.disk.create_durably(&store.directory).and_then(|()| store.disk.probe(&job));
        opened.map_err(|error| StorageError::unavailable(store.directory.display(), error))?;
        Ok(store)
    }

    /// The log in the directory of a job, which its opener creates.
    pub(in crate::store) fn within(job_directory: &Path, disk: &Disk) -> Self {
        FileSystemHighAvailabilityStore { directory: job_directory.join(POINTERS), disk: disk.clone() }
    }

    /// Where a pointer lies.
    pub(in crate::store) fn path(&self, sequence: PointerSequence) -> PathBuf {
        self.directory.join(pointer_name(sequence))
    }

    /// As [`CheckpointStorage::put_redirection`](crate::store::CheckpointStorage::put_redirection).
    pub(in crate::store) fn put_redirection(&self, log: LogId, store: &str) -> Result<Put, StorageError> {
        let path = self.path(PointerSequence::FIRST);
        let bytes = encode_redirection(log, store).map_err(|error| not_encoded(&path.display(), error))?;
        self.disk.put(&path, &bytes)
    }

    /// The id of the log, if it has been opened.
    pub(in crate::store) fn found_id(&self) -> Result<Option<LogId>, StorageError> {
        let path = self.directory.join(LOG_ID);
        self.disk.read_if_present(&path)?.map(|bytes| log_id_at(&path.display(), &bytes)).transpose()
    }
}

impl HighAvailabilityStore for FileSystemHighAvailabilityStore {
    fn name(&self) -> String {
        full_name(self.directory.clone())
    }

    fn id(&self) -> Result<LogId, StorageError> {
        let (path, drawn) = (self.directory.join(LOG_ID), LogId::draw());
        // Also what another process has put is durable then.
        if self.disk.put(&path, drawn.to_string().as_bytes())? == Put::Stored {
            return Ok(drawn);
        }
        self.found_id()?.ok_or_else(|| log_id_is_gone(&path.display()))
    }

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        let path = self.path(sequence);
        let bytes = encode_pointer(sequence, pointer).map_err(|error| not_encoded(&path.display(), error))?;
        self.disk.put(&path, &bytes)
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        let path = self.path(sequence);
        let found = self.disk.read_if_present(&path)?;
        found.map(|bytes| pointer_at(&path.display(), sequence, &bytes)).transpose()
    }

    fn list_pointers(&self) -> Result<BTreeSet<PointerSequence>, StorageError> {
        Ok(pointers(&self.disk.names_in(&self.directory)?))
    }

    /// Also removes what killed writers of this or an older number have left behind. A writer that is still
    /// alive then cannot link its file any more, which it reports as not written.
    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        let path = self.path(sequence);
        for name in self.disk.names_in(&self.directory)? {
            let digits = name.strip_prefix(PREFIX).and_then(|rest| rest.get(..20));
            if digits.and_then(pointer_sequence).is_some_and(|left| left <= sequence) {
                let left_over = self.directory.join(name);
                absent_is_ok(self.disk.remove_file(&left_over))
                    .map_err(|error| StorageError::unavailable(left_over.display(), error))?;
            }
        }
        self.disk.remove_durably(&path).map_err(|error| StorageError::unavailable(path.display(), error))
    }
}
