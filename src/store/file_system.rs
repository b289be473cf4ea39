use super::choice::local_path;
use super::disk::Disk;
#[cfg(feature = "testkit")]
use super::disk::FileFaults;
use super::documents::{metadata_at, not_encoded};
use super::files::{full_name, publish_new};
use super::high_availability::FileSystemHighAvailabilityStore;
use super::job_manager::wrong_length;
use super::names::{METADATA, POINTERS, Place, SHARED, checkpoints, shared_name, shared_object, state_name};
use super::reader::VerifyingReader;
use super::target::{SavepointTarget, Targets};
use super::temporary::{TemporaryFile, absent_is_ok};
use super::{CheckpointStorage, HighAvailabilityStore, LogId, Put, StateWriter, StorageError};
use crate::base::{Attempt, CheckpointId, JobId, SharedObject, StateFile, StateHandle};
use crate::codec::{self, CheckpointMetadata, encode_metadata};
use crate::publish::{Listing, Pointer, PointerSequence};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Keeps checkpoints in a directory (Flink: `FileSystemCheckpointStorage`), in Flink's layout.
///
/// ```text
/// <dir>/<job-id>/shared/<operator>-<subtask>-<attempt>-<upload>-<digest>-<bytes>
///               /taskowned/
///               /pointers/<sequence, 20 digits>
///               /chk-<id>/_metadata
///               /chk-<id>/<operator>-<subtask>-<attempt>.state
///               /savepoint-<id>-<attempt>/...
/// ```
///
/// Every object is written under a temporary name, synced, linked to its name, which fails when that is taken,
/// and its directory is synced. The file system must have hard links; [`open`](Self::open) tries.
#[derive(Clone, Debug)]
pub struct FileSystemCheckpointStorage {
    job: JobId,
    directory: PathBuf,
    /// Where savepoints lie, unless their request has said where.
    savepoints: PathBuf,
    targets: Targets<PathBuf>,
    disk: Disk,
}

impl FileSystemCheckpointStorage {
    /// Opens the checkpoints of `job` under `directory`, which is created if it does not exist.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the directory cannot be created or written.
    pub fn open(directory: impl AsRef<Path>, job: JobId) -> Result<Self, StorageError> {
        let storage = Self::for_reading(directory.as_ref().join(job.to_string()), job);
        for name in [SHARED, "taskowned", POINTERS] {
            let path = storage.directory.join(name);
            let created = storage.disk.create_durably(&path);
            created.map_err(|error| StorageError::unavailable(path.display(), error))?;
        }
        let probed = storage.disk.probe(&storage.directory);
        probed.map_err(|error| StorageError::unavailable(storage.directory.display(), error))?;
        Ok(storage)
    }

    /// The checkpoints and savepoints of `job` in its own directory, to look at: nothing is created or written, and nothing
    /// need be there.
    #[must_use]
    pub fn for_reading(job_directory: impl Into<PathBuf>, job: JobId) -> Self {
        let directory = job_directory.into();
        let (savepoints, targets) = (directory.clone(), Targets::default());
        FileSystemCheckpointStorage { job, savepoints, targets, directory, disk: Disk::default() }
    }

    /// The same checkpoints, with savepoints in `directory/<job-id>` instead of beside them
    /// (`execution.checkpointing.savepoint-dir`).
    #[must_use]
    pub fn with_savepoints_in(self, directory: impl AsRef<Path>) -> Self {
        let savepoints = directory.as_ref().join(self.job.to_string());
        FileSystemCheckpointStorage { savepoints, ..self }
    }

    /// The same checkpoints, with operations that fail, for tests.
    #[cfg(feature = "testkit")]
    #[must_use]
    pub fn with_faults(self, faults: Arc<dyn FileFaults>) -> Self {
        FileSystemCheckpointStorage { disk: Disk::with_faults(faults), ..self }
    }

    /// The jobs that have checkpoints under `directory`, in ascending order; none when it does not exist.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the directory cannot be read.
    pub fn jobs(directory: impl AsRef<Path>) -> Result<Vec<JobId>, StorageError> {
        let directory = directory.as_ref();
        let mut jobs: Vec<JobId> = Disk::default()
            .names_in(directory)?
            .iter()
            .filter_map(|name| name.parse().ok().filter(|job: &JobId| job.to_string() == *name))
            .collect();
        jobs.sort_unstable();
        Ok(jobs)
    }

    /// The job.
    #[must_use]
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The savepoints of which anything exists, in the order of their numbers.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`] when the directory cannot be read.
    pub fn savepoints(&self) -> Result<Vec<Place>, StorageError> {
        let names = self.disk.names_in(&self.savepoints)?;
        let places = names.iter().filter_map(|name| Place::from_name(name));
        let mut savepoints: Vec<Place> =
            places.filter(|place| matches!(place, Place::Savepoint(..))).collect();
        savepoints.sort_unstable();
        Ok(savepoints)
    }

    /// The job's directory, `<dir>/<job-id>`.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a state file lies.
    #[must_use]
    pub fn state_path(&self, file: StateFile) -> PathBuf {
        self.path_of(Place::of_state(file)).join(state_name(file))
    }

    /// Where a shared file lies: with the job that wrote it, which may be another one under the same directory.
    #[must_use]
    pub fn shared_path(&self, object: &SharedObject) -> PathBuf {
        let directory = match object.savepoint {
            Some(savepoint) => self.path_of(Place::Savepoint(savepoint, object.file.attempt)),
            None => self.directory.with_file_name(object.file.job.to_string()).join(SHARED),
        };
        directory.join(shared_name(object))
    }

    /// Where the metadata of a checkpoint lies that is no savepoint.
    #[must_use]
    pub fn metadata_path(&self, checkpoint: CheckpointId) -> PathBuf {
        self.path_of(Place::Checkpoint(checkpoint)).join(METADATA)
    }

    /// Where a pointer lies.
    #[must_use]
    pub fn pointer_path(&self, sequence: PointerSequence) -> PathBuf {
        self.pointers().path(sequence)
    }

    pub(super) fn names_in(&self, directory: &Path) -> Result<Vec<String>, StorageError> {
        self.disk.names_in(directory)
    }

    fn pointers(&self) -> FileSystemHighAvailabilityStore {
        FileSystemHighAvailabilityStore::within(&self.directory, &self.disk)
    }

    /// Where the directory of a checkpoint or savepoint lies.
    #[must_use]
    pub fn path_of(&self, place: Place) -> PathBuf {
        let chosen = self.targets.of(place);
        let directory = match place {
            Place::Checkpoint(_) => &self.directory,
            Place::Savepoint(..) => chosen.as_ref().unwrap_or(&self.savepoints),
        };
        directory.join(place.to_string())
    }

    /// Reads the metadata of a checkpoint or savepoint; `None` when there is none.
    ///
    /// # Errors
    /// It is damaged, or the storage cannot be read.
    pub fn metadata_of(&self, place: Place) -> Result<Option<CheckpointMetadata>, StorageError> {
        let path = self.path_of(place).join(METADATA);
        let found = self.disk.read_if_present(&path)?;
        found.map(|bytes| metadata_at(&path.display(), self.job, place, &bytes)).transpose()
    }

    /// Removes a checkpoint or savepoint, its metadata first.
    fn delete(&self, place: Place) -> Result<(), StorageError> {
        let path = self.path_of(place);
        self.disk
            .remove_durably(&path.join(METADATA))
            .and_then(|()| absent_is_ok(self.disk.remove_directory(&path)))
            .and_then(|()| {
                path.parent().map_or(Ok(()), |parent| absent_is_ok(self.disk.sync_directory(parent)))
            })
            .map_err(|error| StorageError::unavailable(path.display(), error))
    }

    /// Removes the directory of a savepoint if nothing is left in it.
    fn remove_if_empty(&self, place: Place) {
        if let Place::Savepoint(..) = place {
            // What is not empty stays, and an empty directory does no harm.
            let _ = self.disk.remove_empty_directory(&self.path_of(place));
        }
    }
}

impl CheckpointStorage for FileSystemCheckpointStorage {
    fn state_name(&self, file: StateFile) -> String {
        self.state_path(file).display().to_string()
    }

    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        let path = self.state_path(file);
        let created = self
            .disk
            .create_durably(&self.path_of(Place::of_state(file)))
            .and_then(|()| TemporaryFile::beside(&path, &self.disk))
            .map_err(|error| StorageError::unavailable(path.display(), error))?;
        Ok(Box::new(FileWriter { temporary: created, path, file, bytes: 0, checksum: 0, failed: false }))
    }

    fn read_state_file(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        let path = self.state_path(handle.file);
        let object = path.display().to_string();
        let file = self.disk.open_referred(&path, handle.bytes)?;
        Ok(Box::new(VerifyingReader::new(file, object, handle.clone())))
    }

    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError> {
        let place = Place::of_checkpoint(&metadata.checkpoint);
        let directory = self.path_of(place);
        let path = directory.join(METADATA);
        let bytes = encode_metadata(metadata).map_err(|error| not_encoded(&path.display(), error))?;
        self.disk
            .create_durably(&directory)
            .map_err(|error| StorageError::unavailable(path.display(), error))?;
        let put = self.disk.put(&path, &bytes);
        if put.is_err() {
            self.remove_if_empty(place);
        }
        put
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
        full_name(self.path_of(Place::Checkpoint(checkpoint)))
    }

    fn savepoint_name(&self, savepoint: CheckpointId, attempt: Attempt) -> String {
        full_name(self.path_of(Place::Savepoint(savepoint, attempt)))
    }

    fn savepoint_target(&self, directory: &str) -> Result<Arc<dyn SavepointTarget>, StorageError> {
        let wrong = |kind, what: String| StorageError::wrong_target(directory, kind, what);
        let path = local_path(directory).map_err(|what| wrong(io::ErrorKind::InvalidInput, what))?;
        // Who asks may be another process, which does not know where this one happens to run.
        if !path.is_absolute() {
            let what = "an absolute path of the file system is expected".to_owned();
            return Err(wrong(io::ErrorKind::InvalidInput, what));
        }
        if directory.len() > MAX_TARGET_BYTES {
            let what = format!("a path of {MAX_TARGET_BYTES} bytes at most is expected");
            return Err(wrong(io::ErrorKind::InvalidInput, what));
        }
        // Where it leads cannot be told before the directories are there.
        if path.components().any(|component| component == Component::ParentDir) && !path.is_dir() {
            let what = "a path without `..` is expected, or one that is there".to_owned();
            return Err(wrong(io::ErrorKind::InvalidInput, what));
        }
        //= spec/publish.md#pub-42-a-savepoint-lies-by-itself
        //# Everything of a savepoint MUST lie where no listing shows it and no deletion of a checkpoint reaches it.
        if is_below(&path, &self.directory) {
            let what = "it lies among the checkpoints of the job, which are deleted with all that is in them"
                .to_owned();
            return Err(wrong(io::ErrorKind::InvalidInput, what));
        }
        let of_job = path.join(self.job.to_string());
        let writable = self.disk.create_durably(&of_job).and_then(|()| self.disk.probe(&of_job));
        writable.map_err(|error| wrong(error.kind(), format!("it cannot be written: {error}")))?;
        Ok(self.targets.target(of_job))
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
        let checkpoints = checkpoints(&self.disk.names_in(&self.directory)?);
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
        let path = self.state_path(file);
        self.disk.remove_durably(&path).map_err(|error| StorageError::unavailable(path.display(), error))?;
        self.remove_if_empty(Place::of_state(file));
        Ok(())
    }

    fn put_shared(&self, object: &SharedObject, content: &mut dyn Read) -> Result<(), StorageError> {
        let path = self.shared_path(object);
        let unavailable = |error| StorageError::unavailable(path.display(), error);
        let directory = path.parent();
        directory.map_or(Ok(()), |directory| self.disk.create_durably(directory)).map_err(unavailable)?;
        let mut file = TemporaryFile::beside(&path, &self.disk).map_err(unavailable)?;
        let expected = object.file.content.bytes;
        let copied = io::copy(&mut content.take(expected + 1), &mut file).map_err(unavailable)?;
        if copied != expected {
            return Err(unavailable(wrong_length()));
        }
        file.sync().map_err(unavailable)?;
        publish_new(&file, &path)
    }

    fn shared_name(&self, object: &SharedObject) -> String {
        self.shared_path(object).display().to_string()
    }

    fn read_shared(&self, object: &SharedObject) -> Result<Box<dyn Read + Send>, StorageError> {
        Ok(Box::new(self.disk.open_referred(&self.shared_path(object), object.file.content.bytes)?))
    }

    fn list_shared(&self) -> Result<BTreeSet<SharedObject>, StorageError> {
        let names = self.disk.names_in(&self.directory.join(SHARED))?;
        Ok(names.iter().filter_map(|name| shared_object(self.job, name)).collect())
    }

    fn delete_shared(&self, object: &SharedObject) -> Result<(), StorageError> {
        let path = self.shared_path(object);
        self.disk.remove_durably(&path).map_err(|error| StorageError::unavailable(path.display(), error))?;
        if let Some(savepoint) = object.savepoint {
            self.remove_if_empty(Place::Savepoint(savepoint, object.file.attempt));
        }
        Ok(())
    }
}

/// No system has longer paths.
const MAX_TARGET_BYTES: usize = 4096;

/// Whether a path is `directory` or leads below it, as far as it exists.
fn is_below(path: &Path, directory: &Path) -> bool {
    let real = |path: &Path| {
        let existing = path.ancestors().find_map(|ancestor| Some((ancestor, ancestor.canonicalize().ok()?)));
        existing.and_then(|(ancestor, real)| Some(real.join(path.strip_prefix(ancestor).ok()?)))
    };
    let is_below = || Some(real(path)?.starts_with(real(directory)?));
    is_below().unwrap_or(true)
}

#[derive(Debug)]
struct FileWriter {
    temporary: TemporaryFile,
    path: PathBuf,
    file: StateFile,
    bytes: u64,
    checksum: u32,
    /// A write has failed, so the content has a hole.
    failed: bool,
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.temporary.write(bytes) {
            Ok(written) => {
                self.bytes += written as u64;
                self.checksum = codec::checksum(self.checksum, &bytes[..written]);
                Ok(written)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                self.failed = true;
                Err(StorageError::unavailable(self.path.display(), error).into_io())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

impl StateWriter for FileWriter {
    fn finish(self: Box<Self>) -> Result<StateHandle, StorageError> {
        let unavailable = |error| StorageError::unavailable(self.path.display(), error);
        if self.failed {
            return Err(unavailable(io::Error::other("an earlier write of this file has failed")));
        }
        self.temporary.sync().map_err(unavailable)?;
        publish_new(&self.temporary, &self.path)?;
        Ok(StateHandle { file: self.file, bytes: self.bytes, checksum: self.checksum, inline: None })
    }
}
