//! The storage fails at every one of its operations in turn: the output is exact, or the job says what is wrong
//! and goes on exactly with a storage that works again.

use crate::common::{World, memory, options, run};
use snapline::base::{Attempt, CheckpointId, Millis, SharedObject, StateFile, StateHandle};
use snapline::codec::CheckpointMetadata;
use snapline::coordinator::StopMode;
use snapline::publish::{Listing, Pointer, PointerSequence};
use snapline::runtime::JobError;
use snapline::store::{CheckpointStorage, Put, StateWriter, StorageError};
use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Failure {
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
}

/// Fails at operation number `at`.
#[derive(Debug)]
struct Faulty {
    inner: Arc<dyn CheckpointStorage>,
    failure: Failure,
    at: u64,
    operations: AtomicU64,
}

impl Faulty {
    fn perform<T>(&self, work: impl FnOnce() -> Result<T, StorageError>) -> Result<T, StorageError> {
        let number = self.operations.fetch_add(1, Ordering::SeqCst);
        let is_hit = number == self.at || (number > self.at && self.failure == Failure::Forever);
        if !is_hit {
            return work();
        }
        let object = || format!("object of operation {number}");
        let source = || io::Error::other("planned");
        match self.failure {
            Failure::Once | Failure::Forever | Failure::Broken => {
                Err(StorageError::Unavailable { object: object(), source: source() })
            }
            Failure::Lost => Err(StorageError::Uncertain { object: object(), source: source() }),
            Failure::Applied => {
                work()?;
                Err(StorageError::Uncertain { object: object(), source: source() })
            }
            Failure::Panic => panic!("planned"),
        }
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        let source = io::Error::other("planned");
        Err(StorageError::Unavailable { object: "a state file".into(), source }.into_io())
    }
}

impl CheckpointStorage for Faulty {
    fn create_state(&self, file: StateFile) -> Result<Box<dyn StateWriter>, StorageError> {
        self.perform(|| self.inner.create_state(file))
    }
    fn state_name(&self, file: StateFile) -> String {
        self.inner.state_name(file)
    }
    fn read_state(&self, handle: &StateHandle) -> Result<Box<dyn Read + Send>, StorageError> {
        match self.perform(|| self.inner.read_state(handle)) {
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

/// Runs over a storage that fails at operation `at`, after a stop, so that the recovery has something to read.
fn survives(failure: Failure, at: u64) -> Result<(), JobError> {
    let (world, inner) = (World::new(), memory());
    let handle = crate::common::job(&world, 2).start(options(0), Arc::clone(&inner)).unwrap();
    drop(handle.control().stop_with_savepoint(StopMode::Suspend));
    handle.wait().unwrap();
    let storage: Arc<dyn CheckpointStorage> =
        Arc::new(Faulty { inner: Arc::clone(&inner), failure, at, operations: AtomicU64::new(0) });
    let mut options = options(2);
    options.checkpoint_interval = Some(Millis(3));
    let result = run(&world, 2, options.clone(), &storage);
    world.assert_not_wrong(2);
    if result.is_err() {
        run(&world, 2, options, &inner).unwrap();
    }
    world.assert_exact(2);
    result.map(drop)
}

/// Runs all cases at once: most of their time they wait.
fn survives_all(failure: Failure, operations: impl Iterator<Item = u64>) -> Vec<Result<(), JobError>> {
    std::thread::scope(|scope| {
        let runs: Vec<_> = operations
            .map(|at| {
                let run = move || survives(failure, at);
                std::thread::Builder::new().name(format!("{failure:?} at {at}")).spawn_scoped(scope, run)
            })
            .collect();
        runs.into_iter().map(|run| run.unwrap().join().unwrap()).collect()
    })
}

#[test]
fn storage_that_fails_once_costs_a_restart_at_most() {
    for failure in [Failure::Once, Failure::Lost, Failure::Applied, Failure::Panic, Failure::Broken] {
        for result in survives_all(failure, 0..60) {
            assert!(result.is_ok(), "{failure:?}: {result:?}");
        }
    }
}

#[test]
fn storage_that_fails_for_ever_ends_the_job_with_a_reason() {
    for result in survives_all(Failure::Forever, (0..20).chain([30, 40])) {
        if let Err(error) = result {
            assert!(error.to_string().contains("planned"), "{error}");
        }
    }
}

#[test]
fn storage_that_hides_the_operators_once_is_asked_again() {
    let (world, inner) = (World::new(), memory());
    run(&world, 2, options(0), &inner).unwrap();
    for at in 0..8 {
        let inner = Arc::clone(&inner);
        let storage: Arc<dyn CheckpointStorage> =
            Arc::new(Faulty { inner, failure: Failure::Once, at, operations: AtomicU64::new(0) });
        let error = run(&world, 3, options(1), &storage).unwrap_err();
        assert!(matches!(error, JobError::Incompatible { .. }), "{at}: {error}");
        world.assert_exact(2);
    }
}
