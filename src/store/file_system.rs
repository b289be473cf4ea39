#[cfg(feature = "testkit")]
use super::disk::FileFaults;
use super::disk::{Disk, OpenFile};
use super::documents::{metadata_at, not_encoded, pointer_at};
use super::job_manager::{already_written, wrong_length};
use super::names::{
    METADATA, POINTERS, Place, SHARED, listing, pointer_name, pointer_sequence, shared_name, shared_object,
    state_name,
};
use super::reader::{VerifyingReader, check_length, missing};
use super::temporary::{PREFIX, TemporaryFile, absent_is_ok};
use super::{CheckpointStorage, Put, StateWriter, StorageError, encode_pointer};
use crate::base::{Attempt, CheckpointId, JobId, SharedObject, StateFile, StateHandle};
use crate::codec::{CheckpointMetadata, encode_metadata};
use crate::publish::{Listing, Pointer, PointerSequence};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
#[cfg(feature = "testkit")]
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
    /// Where savepoints lie.
    savepoints: PathBuf,
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
            let created = create_durably(&path, &storage.disk);
            created.map_err(|error| StorageError::unavailable(path.display(), error))?;
        }
        let probed = storage.probe();
        probed.map_err(|error| StorageError::unavailable(storage.directory.display(), error))?;
        Ok(storage)
    }

    /// The checkpoints and savepoints of `job` in its own directory, to look at: nothing is created or written, and nothing
    /// need be there.
    #[must_use]
    pub fn for_reading(job_directory: impl Into<PathBuf>, job: JobId) -> Self {
        let directory = job_directory.into();
        FileSystemCheckpointStorage { job, savepoints: directory.clone(), directory, disk: Disk::default() }
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
        let mut jobs: Vec<JobId> = names_in(directory, &Disk::default())?
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
        let names = self.names_in(&self.savepoints)?;
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
        self.directory.join(POINTERS).join(pointer_name(sequence))
    }

    /// Where the directory of a checkpoint or savepoint lies.
    #[must_use]
    pub fn path_of(&self, place: Place) -> PathBuf {
        let directory = match place {
            Place::Checkpoint(_) => &self.directory,
            Place::Savepoint(..) => &self.savepoints,
        };
        directory.join(place.to_string())
    }

    /// Reads the metadata of a checkpoint or savepoint; `None` when there is none.
    ///
    /// # Errors
    /// It is damaged, or the storage cannot be read.
    pub fn metadata_of(&self, place: Place) -> Result<Option<CheckpointMetadata>, StorageError> {
        let path = self.path_of(place).join(METADATA);
        let found = self.read_if_present(&path)?;
        found.map(|bytes| metadata_at(&path.display(), self.job, place, &bytes)).transpose()
    }

    /// Removes a checkpoint or savepoint, its metadata first.
    fn delete(&self, place: Place) -> Result<(), StorageError> {
        let path = self.path_of(place);
        self.remove_durably(&path.join(METADATA))
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

    /// Does once what every put needs: create, link and remove.
    fn probe(&self) -> io::Result<()> {
        let file = TemporaryFile::beside(&self.directory.join("probe"), &self.disk)?;
        let link = self.directory.join(format!("{PREFIX}probe-link-{}", std::process::id()));
        absent_is_ok(self.disk.remove_file(&link))?;
        match file.link_to(&link) {
            // Another thread or process of the same number is probing: links work.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.and_then(|()| absent_is_ok(self.disk.remove_file(&link))),
        }
    }

    /// Writes a small object under `path`, unless that exists.
    fn put(&self, path: &Path, bytes: &[u8]) -> Result<Put, StorageError> {
        let unavailable = |error| StorageError::unavailable(path.display(), error);
        let mut file = TemporaryFile::beside(path, &self.disk).map_err(unavailable)?;
        file.write_all(bytes).and_then(|()| file.sync()).map_err(unavailable)?;
        publish(&file, path)
    }
}

/// Links a synced file to `path` and makes the name durable. On `Exists` the name of the other is durable too.
fn publish(file: &TemporaryFile, path: &Path) -> Result<Put, StorageError> {
    let put = match file.link_to(path) {
        Ok(()) => Put::Stored,
        Err(error) => match error.kind() {
            io::ErrorKind::AlreadyExists => Put::Exists,
            // The system has looked and has refused; anything else may have happened on the way back.
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::Unsupported => return Err(StorageError::unavailable(path.display(), error)),
            _ => return Err(StorageError::uncertain(path.display(), error)),
        },
    };
    match (sync_parents(path, &file.disk), put) {
        (Ok(()), put) => Ok(put),
        (Err(error), Put::Stored) => Err(StorageError::uncertain(path.display(), error)),
        (Err(error), Put::Exists) => Err(StorageError::unavailable(path.display(), error)),
    }
}

/// Links a synced file to a name that was never used.
fn publish_new(file: &TemporaryFile, path: &Path) -> Result<(), StorageError> {
    let unavailable = |error| StorageError::unavailable(path.display(), error);
    match publish(file, path) {
        Ok(Put::Stored) => Ok(()),
        Ok(Put::Exists) => Err(unavailable(already_written())),
        // Nobody knows the file yet: without it the caller may simply write it again.
        Err(StorageError::Uncertain { cause, .. }) => {
            let _ = file.disk.remove_file(path);
            Err(unavailable(cause))
        }
        Err(error) => Err(error),
    }
}

/// Makes the name of a file durable, and that of the directory it is in.
fn sync_parents(path: &Path, disk: &Disk) -> io::Result<()> {
    path.ancestors().skip(1).take(2).try_for_each(|directory| disk.sync_directory(directory))
}

/// Creates a directory and whatever is missing above it, and makes all the new names durable.
fn create_durably(path: &Path, disk: &Disk) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    create_durably(parent, disk)?;
    match disk.create_directory(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        // Something else than a directory is in the way.
        Err(error) if !path.is_dir() => return Err(error),
        _ => {}
    }
    disk.sync_directory(parent)
}

/// The name of a directory for somebody who may be in another one.
fn full_name(path: PathBuf) -> String {
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}

/// The names in a directory that are text; none when it does not exist.
fn names_in(directory: &Path, disk: &Disk) -> Result<Vec<String>, StorageError> {
    match disk.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        names => names.map_err(|error| StorageError::unavailable(directory.display(), error)),
    }
}

impl FileSystemCheckpointStorage {
    pub(super) fn names_in(&self, directory: &Path) -> Result<Vec<String>, StorageError> {
        names_in(directory, &self.disk)
    }

    fn read_if_present(&self, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
        match self.disk.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::unavailable(path.display(), error)),
        }
    }

    /// Opens a file that somebody refers to, which must have this length.
    fn open_referred(&self, path: &Path, bytes: u64) -> Result<OpenFile, StorageError> {
        let object = path.display().to_string();
        let (file, found) = self.disk.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(&object),
            _ => StorageError::unavailable(&object, error),
        })?;
        check_length(&object, found, bytes)?;
        Ok(file)
    }

    /// Removes a file and makes that durable; a file or directory that is absent is fine.
    fn remove_durably(&self, path: &Path) -> io::Result<()> {
        absent_is_ok(self.disk.remove_file(path))?;
        path.parent().map_or(Ok(()), |parent| absent_is_ok(self.disk.sync_directory(parent)))
    }
}

impl CheckpointStorage for FileSystemCheckpointStorage {
    fn state_name(&self, file: StateFile) -> String {
        self.state_path(file).display().to_string()
    }

    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        let path = self.state_path(file);
        let created = create_durably(&self.path_of(Place::of_state(file)), &self.disk)
            .and_then(|()| TemporaryFile::beside(&path, &self.disk))
            .map_err(|error| StorageError::unavailable(path.display(), error))?;
        Ok(Box::new(FileWriter { temporary: created, path, file, bytes: 0, checksum: 0, failed: false }))
    }

    fn read_state(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        let path = self.state_path(handle.file);
        let object = path.display().to_string();
        let file = self.open_referred(&path, handle.bytes)?;
        Ok(Box::new(VerifyingReader::new(file, object, *handle)))
    }

    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError> {
        let directory = self.path_of(Place::of_checkpoint(&metadata.checkpoint));
        let path = directory.join(METADATA);
        let bytes = encode_metadata(metadata).map_err(|error| not_encoded(&path.display(), error))?;
        create_durably(&directory, &self.disk)
            .map_err(|error| StorageError::unavailable(path.display(), error))?;
        self.put(&path, &bytes)
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

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        let path = self.pointer_path(sequence);
        let bytes = encode_pointer(sequence, pointer).map_err(|e| not_encoded(&path.display(), e))?;
        self.put(&path, &bytes)
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        let path = self.pointer_path(sequence);
        let found = self.read_if_present(&path)?;
        found.map(|bytes| pointer_at(&path.display(), sequence, &bytes)).transpose()
    }

    fn list(&self) -> Result<Listing, StorageError> {
        let checkpoints = self.names_in(&self.directory)?;
        let pointers = self.names_in(&self.directory.join(POINTERS))?;
        Ok(listing(&checkpoints, &pointers))
    }

    fn delete_checkpoint(&self, checkpoint: CheckpointId) -> Result<(), StorageError> {
        self.delete(Place::Checkpoint(checkpoint))
    }

    fn delete_savepoint(&self, savepoint: CheckpointId, attempt: Attempt) -> Result<(), StorageError> {
        self.delete(Place::Savepoint(savepoint, attempt))
    }

    /// Also removes what killed writers of this or an older number have left behind. A writer that is still
    /// alive then cannot link its file any more, which it reports as not written.
    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        let path = self.pointer_path(sequence);
        let directory = self.directory.join(POINTERS);
        for name in self.names_in(&directory)? {
            let digits = name.strip_prefix(PREFIX).and_then(|rest| rest.get(..20));
            if digits.and_then(pointer_sequence).is_some_and(|left| left <= sequence) {
                let left_over = directory.join(name);
                absent_is_ok(self.disk.remove_file(&left_over))
                    .map_err(|error| StorageError::unavailable(left_over.display(), error))?;
            }
        }
        self.remove_durably(&path).map_err(|error| StorageError::unavailable(path.display(), error))
    }

    fn delete_state(&self, file: StateFile) -> Result<(), StorageError> {
        let path = self.state_path(file);
        self.remove_durably(&path).map_err(|error| StorageError::unavailable(path.display(), error))?;
        self.remove_if_empty(Place::of_state(file));
        Ok(())
    }

    fn put_shared(&self, object: &SharedObject, content: &mut dyn Read) -> Result<(), StorageError> {
        let path = self.shared_path(object);
        let unavailable = |error| StorageError::unavailable(path.display(), error);
        let directory = path.parent();
        directory.map_or(Ok(()), |directory| create_durably(directory, &self.disk)).map_err(unavailable)?;
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
        Ok(Box::new(self.open_referred(&self.shared_path(object), object.file.content.bytes)?))
    }

    fn list_shared(&self) -> Result<BTreeSet<SharedObject>, StorageError> {
        let names = self.names_in(&self.directory.join(SHARED))?;
        Ok(names.iter().filter_map(|name| shared_object(self.job, name)).collect())
    }

    fn delete_shared(&self, object: &SharedObject) -> Result<(), StorageError> {
        let path = self.shared_path(object);
        self.remove_durably(&path).map_err(|error| StorageError::unavailable(path.display(), error))?;
        if let Some(savepoint) = object.savepoint {
            self.remove_if_empty(Place::Savepoint(savepoint, object.file.attempt));
        }
        Ok(())
    }
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
                self.checksum = crc32c::crc32c_append(self.checksum, &bytes[..written]);
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
        Ok(StateHandle { file: self.file, bytes: self.bytes, checksum: self.checksum })
    }
}
