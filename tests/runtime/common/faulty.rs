//! A storage that fails at one of its operations.

use super::sweep::sweep;
use snapline::base::{Attempt, CheckpointId, SharedObject, StateFile, StateHandle};
use snapline::codec::CheckpointMetadata;
use snapline::publish::{Listing, Pointer, PointerSequence};
use snapline::store::{CheckpointStorage, Put, StateWriter, StorageError};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// One operation fails and has done nothing.
    Once,
    /// All operations from then on do.
    Forever,
    /// One operation does nothing, but nobody can tell.
    Lost,
    /// One operation does what it should, but nobody can tell.
    Applied,
    /// One operation panics.
    Panic,
    /// A read that has begun fails on the way.
    Broken,
    /// No state file can be closed from then on, of the first checkpoint that tries.
    Close,
}

/// Fails at operation number `at`.
#[derive(Debug)]
pub struct Faulty {
    inner: Arc<dyn CheckpointStorage>,
    failure: Failure,
    at: AtomicU64,
    operations: AtomicU64,
    /// The checkpoint whose files cannot be closed.
    unclosed: OnceLock<CheckpointId>,
    /// Where all that is safe to delete is deleted before each operation.
    swept: Option<PathBuf>,
    deleted: AtomicU64,
}

impl Faulty {
    pub fn new(inner: &Arc<dyn CheckpointStorage>, failure: Failure, at: u64) -> Self {
        let inner = Arc::clone(inner);
        let (operations, deleted) = (AtomicU64::new(0), AtomicU64::new(0));
        Faulty { inner, failure, at: at.into(), operations, unclosed: OnceLock::new(), swept: None, deleted }
    }

    /// The same, with a directory in which all that is safe to delete is deleted before each operation.
    pub fn swept(self, directory: &Path) -> Self {
        Faulty { swept: Some(directory.to_owned()), ..self }
    }

    /// How many files were deleted that way.
    pub fn deleted(&self) -> u64 {
        self.deleted.load(Ordering::SeqCst)
    }

    /// Has the failure happen at the next operation.
    pub fn fail_now(&self) {
        self.at.store(self.operations.load(Ordering::SeqCst), Ordering::SeqCst);
    }

    /// The checkpoint whose files could not be closed.
    pub fn unclosed(&self) -> Option<CheckpointId> {
        self.unclosed.get().copied()
    }

    fn perform<T>(&self, work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        if let Some(directory) = &self.swept {
            self.deleted.fetch_add(sweep(directory), Ordering::SeqCst);
        }
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let at = self.at.load(Ordering::SeqCst);
        let is_hit = match self.failure {
            Failure::Forever => number >= at,
            Failure::Close => false,
            _ => number == at,
        };
        if !is_hit {
            return work();
        }
        let object = || format!("object of operation {number}");
        let cause = || io::Error::other("planned");
        match self.failure {
            Failure::Once | Failure::Forever | Failure::Broken => {
                Err(StorageError::Unavailable { object: object(), cause: cause() })
            }
            Failure::Lost => Err(StorageError::Uncertain { object: object(), cause: cause() }),
            Failure::Applied => {
                work()?;
                Err(StorageError::Uncertain { object: object(), cause: cause() })
            }
            Failure::Panic => panic!("planned"),
            Failure::Close => unreachable!("it is not the operation that fails"),
        }
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let cause = io::Error::other("planned");
        Err(StorageError::Unavailable { object: "a state file".into(), cause }.into_io())
    }
}

struct Unclosed(Box<dyn StateWriter>);

impl Write for Unclosed {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl StateWriter for Unclosed {
    fn finish(self: Box<Self>) -> Result<StateHandle, StorageError> {
        let cause = io::Error::other("planned");
        Err(StorageError::Unavailable { object: "a state file that is to be closed".into(), cause })
    }
}

impl CheckpointStorage for Faulty {
    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        let begun = self.operations.load(Ordering::SeqCst) >= self.at.load(Ordering::SeqCst);
        let writer = self.perform(|| self.inner.create_state(file))?;
        let is_hit = self.failure == Failure::Close
            && begun
            && *self.unclosed.get_or_init(|| file.checkpoint) == file.checkpoint;
        Ok(if is_hit { Box::new(Unclosed(writer)) } else { writer })
    }
    fn max_inline_bytes(&self) -> u64 {
        self.inner.max_inline_bytes()
    }
    fn shared_name(&self, object: &SharedObject) -> String {
        self.inner.shared_name(object)
    }

    fn state_name(&self, file: StateFile) -> String {
        self.inner.state_name(file)
    }
    fn read_state_file(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        match self.perform(|| self.inner.read_state_file(handle)) {
            Err(_) if self.failure == Failure::Broken => Ok(Box::new(Broken)),
            read => read,
        }
    }
    fn put_metadata(&self, metadata: &CheckpointMetadata) -> Result<Put, StorageError> {
        self.perform(|| self.inner.put_metadata(metadata))
    }
    fn read_metadata(&self, checkpoint: CheckpointId) -> Result<Option<CheckpointMetadata>, StorageError> {
        self.perform(|| self.inner.read_metadata(checkpoint))
    }
    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError> {
        self.perform(|| self.inner.put_pointer(sequence, pointer))
    }
    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError> {
        self.perform(|| self.inner.read_pointer(sequence))
    }
    fn list(&self) -> Result<Listing, StorageError> {
        self.perform(|| self.inner.list())
    }
    fn delete_checkpoint(&self, checkpoint: CheckpointId) -> Result<(), StorageError> {
        self.perform(|| self.inner.delete_checkpoint(checkpoint))
    }
    fn delete_savepoint(&self, savepoint: CheckpointId, attempt: Attempt) -> Result<(), StorageError> {
        self.perform(|| self.inner.delete_savepoint(savepoint, attempt))
    }
    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError> {
        self.perform(|| self.inner.delete_pointer(sequence))
    }
    fn delete_state(&self, file: StateFile) -> Result<(), StorageError> {
        self.perform(|| self.inner.delete_state(file))
    }
    fn read_savepoint(
        &self,
        savepoint: CheckpointId,
        attempt: Attempt,
    ) -> Result<Option<CheckpointMetadata>, StorageError> {
        self.perform(|| self.inner.read_savepoint(savepoint, attempt))
    }
    fn checkpoint_name(&self, checkpoint: CheckpointId) -> String {
        self.inner.checkpoint_name(checkpoint)
    }
    fn savepoint_name(&self, savepoint: CheckpointId, attempt: Attempt) -> String {
        self.inner.savepoint_name(savepoint, attempt)
    }
    fn put_shared(&self, object: &SharedObject, content: &mut dyn Read) -> Result<(), StorageError> {
        self.perform(|| self.inner.put_shared(object, content))
    }
    fn read_shared(&self, object: &SharedObject) -> Result<Box<dyn Read + Send>, StorageError> {
        self.perform(|| self.inner.read_shared(object))
    }
    fn list_shared(&self) -> Result<BTreeSet<SharedObject>, StorageError> {
        self.perform(|| self.inner.list_shared())
    }
    fn delete_shared(&self, object: &SharedObject) -> Result<(), StorageError> {
        self.perform(|| self.inner.delete_shared(object))
    }
}
