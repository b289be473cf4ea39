use super::documents::{metadata_at, not_encoded, pointer_at};
use super::reader::{VerifyingReader, check_length, missing};
use super::{CheckpointStorage, Put, StateWriter, StorageError, encode_pointer};
use crate::base::{CheckpointId, JobId, StateFile, StateHandle};
use crate::codec::{CheckpointMetadata, encode_metadata};
use crate::publish::{Listing, Pointer, PointerSequence};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Keeps checkpoints in the memory of the coordinator's process (Flink: `JobManagerCheckpointStorage`).
///
/// They survive a restart of the job, not of the process: for tests, and for jobs with little state. Clones
/// share the content. It holds the same bytes as files would.
#[derive(Clone, Debug)]
pub struct JobManagerCheckpointStorage {
    job: JobId,
    max_state_bytes: u64,
    objects: Arc<Mutex<Objects>>,
}

#[derive(Debug, Default)]
struct Objects {
    pointers: BTreeMap<PointerSequence, Arc<[u8]>>,
    metadata: BTreeMap<CheckpointId, Arc<[u8]>>,
    states: BTreeMap<StateFile, Arc<[u8]>>,
}

impl JobManagerCheckpointStorage {
    /// The most bytes that one state may have unless said otherwise (Flink: `DEFAULT_MAX_STATE_SIZE`).
    pub const DEFAULT_MAX_STATE_BYTES: u64 = 5 * 1024 * 1024;

    /// An empty storage for `job` with the default limit.
    #[must_use]
    pub fn new(job: JobId) -> Self {
        JobManagerCheckpointStorage::with_max_state_bytes(job, Self::DEFAULT_MAX_STATE_BYTES)
    }

    /// An empty storage for `job` that refuses a state of more than `max_state_bytes` bytes.
    #[must_use]
    pub fn with_max_state_bytes(job: JobId, max_state_bytes: u64) -> Self {
        JobManagerCheckpointStorage { job, max_state_bytes, objects: Arc::default() }
    }

    /// A panic elsewhere cannot leave the maps half changed: each operation changes them by one call.
    fn objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn metadata_name(&self, checkpoint: CheckpointId) -> String {
        format!("memory:/{}/chk-{checkpoint}/_metadata", self.job)
    }

    fn pointer_name(&self, sequence: PointerSequence) -> String {
        format!("memory:/{}/pointers/{:020}", self.job, sequence.0)
    }
}

impl CheckpointStorage for JobManagerCheckpointStorage {
    fn state_name(&self, file: StateFile) -> String {
        format!("memory:/{}/chk-{}/{}-{}.state", self.job, file.checkpoint, file.subtask, file.attempt)
    }

    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        Ok(Box::new(MemoryWriter { storage: self.clone(), file, written: Vec::new(), refused: None }))
    }

    fn read_state(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        let object = self.state_name(handle.file);
        let bytes = self.objects().states.get(&handle.file).cloned().ok_or_else(|| missing(&object))?;
        check_length(&object, bytes.len() as u64, handle)?;
        Ok(Box::new(VerifyingReader::new(Cursor::new(bytes), object, *handle)))
    }

    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError> {
        let id = metadata.checkpoint.id;
        let bytes = encode_metadata(metadata).map_err(|e| not_encoded(&self.metadata_name(id), e))?;
        Ok(put_if_absent(self.objects().metadata.entry(id), bytes))
    }

    fn read_metadata(&self, checkpoint: CheckpointId) -> Result<Option<CheckpointMetadata>, StorageError> {
        let found = self.objects().metadata.get(&checkpoint).cloned();
        let name = self.metadata_name(checkpoint);
        found.map(|bytes| metadata_at(&name, self.job, checkpoint, &bytes)).transpose()
    }

    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        let bytes =
            encode_pointer(sequence, pointer).map_err(|e| not_encoded(&self.pointer_name(sequence), e))?;
        Ok(put_if_absent(self.objects().pointers.entry(sequence), bytes))
    }

    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        let found = self.objects().pointers.get(&sequence).cloned();
        found.map(|bytes| pointer_at(&self.pointer_name(sequence), sequence, &bytes)).transpose()
    }

    fn list(&self) -> Result<Listing, StorageError> {
        let objects = self.objects();
        let of_states = objects.states.keys().map(|file| file.checkpoint);
        Ok(Listing {
            pointers: objects.pointers.keys().copied().collect(),
            checkpoints: objects.metadata.keys().copied().chain(of_states).collect(),
        })
    }

    fn delete_checkpoint(&self, checkpoint: CheckpointId) -> Result<(), StorageError> {
        let mut objects = self.objects();
        objects.metadata.remove(&checkpoint);
        objects.states.retain(|file, _| file.checkpoint != checkpoint);
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
        let object = self.storage.state_name(self.file);
        StorageError::TooLarge { object, bytes, limit: self.storage.max_state_bytes }
    }
}

impl Write for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let size = self.written.len() as u64 + bytes.len() as u64;
        if self.refused.is_some() || size > self.storage.max_state_bytes {
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
        let (bytes, checksum) = (self.written.len() as u64, crc32c::crc32c(&self.written));
        let mut objects = self.storage.objects();
        match put_if_absent(objects.states.entry(self.file), self.written) {
            Put::Stored => Ok(StateHandle { file: self.file, bytes, checksum }),
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
