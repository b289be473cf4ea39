use super::documents::{encode_redirection, metadata_at, not_encoded, pointer_at};
use super::names::{METADATA, POINTERS, Place, SHARED, pointer_name, shared_name, state_name};
use super::reader::{VerifyingReader, check_length, missing};
use super::{CheckpointStorage, LogId, Put, StateWriter, StorageError, encode_pointer};
use crate::base::{Attempt, CheckpointId, JobId, SharedObject, StateFile, StateHandle};
use crate::codec::{self, CheckpointMetadata, encode_metadata};
use crate::publish::{Listing, Pointer, PointerSequence};
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps checkpoints in the memory of the coordinator's process (Flink: `JobManagerCheckpointStorage`).
///
/// They survive a restart of the job, not of the process: for tests, and for jobs with little state. Clones
/// share the content. It holds the same bytes as files would.
#[derive(Clone, Debug)]
pub struct JobManagerCheckpointStorage {
    job: JobId,
    limits: JobManagerLimits,
    objects: Arc<Mutex<Objects>>,
}

/// How much is kept in the memory of the coordinator's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobManagerLimits {
    /// The most bytes that one state file or shared file may have. A subtask has one state file, which holds all of its state, so
    /// this is what it may send with an acknowledgement, too.
    pub max_state_bytes: u64,
    /// The most bytes of all metadata, state files and shared files together.
    pub max_total_bytes: u64,
}

impl Default for JobManagerLimits {
    /// Flink's: 5 MiB for a state (`DEFAULT_MAX_STATE_SIZE`), and as much as there is of memory.
    fn default() -> Self {
        JobManagerLimits { max_state_bytes: 5 * 1024 * 1024, max_total_bytes: u64::MAX }
    }
}

#[derive(Debug, Default)]
struct Objects {
    pointers: BTreeMap<PointerSequence, Arc<[u8]>>,
    metadata: BTreeMap<Place, Arc<[u8]>>,
    states: BTreeMap<StateFile, Arc<[u8]>>,
    shared: BTreeMap<SharedObject, Arc<[u8]>>,
}

impl Objects {
    /// The bytes of all but the pointers, which are few and small.
    fn bytes(&self) -> u64 {
        let objects = self.metadata.values().chain(self.states.values()).chain(self.shared.values());
        objects.map(|object| object.len() as u64).sum()
    }
}

impl JobManagerCheckpointStorage {
    /// An empty storage for `job` with the default limits.
    #[must_use]
    pub fn new(job: JobId) -> Self {
        JobManagerCheckpointStorage::with_limits(job, JobManagerLimits::default())
    }

    /// An empty storage for `job` that refuses what is above these limits.
    #[must_use]
    pub fn with_limits(job: JobId, limits: JobManagerLimits) -> Self {
        JobManagerCheckpointStorage { job, limits, objects: Arc::default() }
    }

    /// A panic elsewhere cannot leave the maps half changed: each operation changes them by one call.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metadata_name(&self, place: Place) -> String {
        format!("memory:/{}/{place}/{METADATA}", self.job)
    }

    fn metadata_of(&self, place: Place) -> Result<Option<CheckpointMetadata>, StorageError> {
        let found = self.objects().metadata.get(&place).cloned();
        found.map(|bytes| metadata_at(&self.metadata_name(place), self.job, place, &bytes)).transpose()
    }

    /// Removes a checkpoint or savepoint; shared files that belong to a savepoint go with it.
    fn delete(&self, place: Place) {
        let mut objects = self.objects();
        objects.metadata.remove(&place);
        objects.states.retain(|file, _| Place::of_state(*file) != place);
        let is_in = |object: &SharedObject| {
            let savepoint = object.savepoint.map(|id| Place::Savepoint(id, object.file.attempt));
            savepoint == Some(place)
        };
        objects.shared.retain(|object, _| !is_in(object));
    }

    /// Whether there is room for so many more bytes.
    fn check_room(
        &self,
        objects: &Objects,
        object: impl FnOnce() -> String,
        bytes: u64,
    ) -> Result<(), StorageError> {
        let (taken, limit) = (objects.bytes(), self.limits.max_total_bytes);
        match taken.saturating_add(bytes) > limit {
            true => Err(StorageError::Full { object: object(), bytes, taken, limit }),
            false => Ok(()),
        }
    }

    fn too_large(&self, object: String, bytes: u64) -> StorageError {
        StorageError::TooLarge { object, bytes, limit: self.limits.max_state_bytes }
    }

    fn pointer_name(&self, sequence: PointerSequence) -> String {
        format!("memory:/{}/{POINTERS}/{}", self.job, pointer_name(sequence))
    }
}

impl CheckpointStorage for JobManagerCheckpointStorage {
    fn state_name(&self, file: StateFile) -> String {
        format!("memory:/{}/{}/{}", self.job, Place::of_state(file), state_name(file))
    }

    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        Ok(Box::new(MemoryWriter { storage: self.clone(), file, written: Vec::new(), refused: None }))
    }

    /// All state is in memory, and its limits are [asked](Self::with_limits) when it is written.
    fn max_inline_bytes(&self) -> u64 {
        0
    }

    fn read_state_file(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        let object = self.state_name(handle.file);
        let bytes = self.objects().states.get(&handle.file).cloned().ok_or_else(|| missing(&object))?;
        check_length(&object, bytes.len() as u64, handle.bytes)?;
        Ok(Box::new(VerifyingReader::new(Cursor::new(bytes), object, handle.clone())))
    }

    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError> {
        let place = Place::of_checkpoint(&metadata.checkpoint);
        let bytes = encode_metadata(metadata).map_err(|e| not_encoded(&self.metadata_name(place), e))?;
        let mut objects = self.objects();
        self.check_room(&objects, || self.metadata_name(place), bytes.len() as u64)?;
        Ok(put_if_absent(objects.metadata.entry(place), bytes))
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
        format!("memory:/{}/{}", self.job, Place::Checkpoint(checkpoint))
    }

    fn savepoint_name(&self, savepoint: CheckpointId, attempt: Attempt) -> String {
        format!("memory:/{}/{}", self.job, Place::Savepoint(savepoint, attempt))
    }

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        let bytes =
            encode_pointer(sequence, pointer).map_err(|e| not_encoded(&self.pointer_name(sequence), e))?;
        Ok(put_if_absent(self.objects().pointers.entry(sequence), bytes))
    }

    fn put_redirection(&self, log: LogId, store: &str) -> Result<Put, StorageError> {
        let first = PointerSequence::FIRST;
        let bytes = encode_redirection(log, store).map_err(|e| not_encoded(&self.pointer_name(first), e))?;
        Ok(put_if_absent(self.objects().pointers.entry(first), bytes))
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        let found = self.objects().pointers.get(&sequence).cloned();
        found.map(|bytes| pointer_at(&self.pointer_name(sequence), sequence, &bytes)).transpose()
    }

    fn list(&self) -> Result<Listing, StorageError> {
        let objects = self.objects();
        let of_states = objects.states.keys().map(|file| Place::of_state(*file));
        let places = objects.metadata.keys().copied().chain(of_states);
        Ok(Listing {
            pointers: objects.pointers.keys().copied().collect(),
            checkpoints: places
                .filter(|place| matches!(place, Place::Checkpoint(_)))
                .map(Place::id)
                .collect(),
        })
    }

    fn delete_checkpoint(&self, checkpoint: CheckpointId) -> Result<(), StorageError> {
        self.delete(Place::Checkpoint(checkpoint));
        Ok(())
    }

    fn delete_savepoint(&self, savepoint: CheckpointId, attempt: Attempt) -> Result<(), StorageError> {
        self.delete(Place::Savepoint(savepoint, attempt));
        Ok(())
    }

    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        self.objects().pointers.remove(&sequence);
        Ok(())
    }

    fn delete_state(&self, file: StateFile) -> Result<(), StorageError> {
        self.objects().states.remove(&file);
        Ok(())
    }

    fn put_shared(&self, object: &SharedObject, content: &mut dyn Read) -> Result<(), StorageError> {
        let (name, expected) = (self.shared_name(object), object.file.content.bytes);
        if expected > self.limits.max_state_bytes {
            return Err(self.too_large(name, expected));
        }
        let mut bytes = Vec::new();
        let read = content.take(expected + 1).read_to_end(&mut bytes);
        read.map_err(|error| StorageError::unavailable(&name, error))?;
        if bytes.len() as u64 != expected {
            return Err(StorageError::unavailable(name, wrong_length()));
        }
        let mut objects = self.objects();
        self.check_room(&objects, || name.clone(), expected)?;
        match put_if_absent(objects.shared.entry(*object), bytes) {
            Put::Stored => Ok(()),
            Put::Exists => Err(StorageError::unavailable(name, already_written())),
        }
    }

    fn shared_name(&self, object: &SharedObject) -> String {
        let name = shared_name(object);
        match object.savepoint {
            Some(savepoint) => format!("{}/{name}", self.savepoint_name(savepoint, object.file.attempt)),
            None => format!("memory:/{}/{SHARED}/{name}", object.file.job),
        }
    }

    fn read_shared(&self, object: &SharedObject) -> Result<Box<dyn Read + Send>, StorageError> {
        let name = self.shared_name(object);
        let found = self.objects().shared.get(object).cloned();
        Ok(Box::new(Cursor::new(found.ok_or_else(|| missing(&name))?)))
    }

    fn list_shared(&self) -> Result<BTreeSet<SharedObject>, StorageError> {
        let is_listed = |object: &&SharedObject| object.file.job == self.job && object.savepoint.is_none();
        Ok(self.objects().shared.keys().filter(is_listed).copied().collect())
    }

    fn delete_shared(&self, object: &SharedObject) -> Result<(), StorageError> {
        self.objects().shared.remove(object);
        Ok(())
    }
}

fn put_if_absent<K: Ord>(entry: Entry<'_, K, Arc<[u8]>>, bytes: Vec<u8>) -> Put {
    match entry {
        Entry::Occupied(_) => Put::Exists,
        Entry::Vacant(vacant) => {
            vacant.insert(bytes.into());
            Put::Stored
        }
    }
}

#[derive(Debug)]
struct MemoryWriter {
    storage: JobManagerCheckpointStorage,
    file: StateFile,
    written: Vec<u8>,
    /// The size at which the state was refused.
    refused: Option<u64>,
}

impl MemoryWriter {
    fn too_large(&self, bytes: u64) -> StorageError {
        self.storage.too_large(self.storage.state_name(self.file), bytes)
    }
}

impl Write for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.written.len() as u64 + bytes.len() as u64;
        if self.refused.is_some() || size > self.storage.limits.max_state_bytes {
            let refused = *self.refused.get_or_insert(size);
            return Err(self.too_large(refused).into_io());
        }
        self.written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl StateWriter for MemoryWriter {
    fn finish(self: Box<Self>) -> Result<StateHandle, StorageError> {
        if let Some(bytes) = self.refused {
            return Err(self.too_large(bytes));
        }
        let (bytes, checksum) = (self.written.len() as u64, codec::checksum(0, &self.written));
        let mut objects = self.storage.objects();
        self.storage.check_room(&objects, || self.storage.state_name(self.file), bytes)?;
        match put_if_absent(objects.states.entry(self.file), self.written) {
            Put::Stored => Ok(StateHandle { file: self.file, bytes, checksum, inline: None }),
            Put::Exists => {
                drop(objects);
                Err(StorageError::unavailable(self.storage.state_name(self.file), already_written()))
            }
        }
    }
}

/// Two writers had one name: the attempt number is not what it should be.
pub(super) fn already_written() -> io::Error {
    io::Error::new(
        io::ErrorKind::AlreadyExists,
        "this attempt has written the file before; attempt numbers must be unique",
    )
}

/// The content of a shared file is not what its name says.
pub(super) fn wrong_length() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "the content has another length than its name says")
}
