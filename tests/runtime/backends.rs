//! A job keeps its keyed state in whatever backend its options name.

use crate::common::{Fault, Place, Plan, World, job, memory, options, run};
use snapline::coordinator::StopMode;
use snapline::state::backend::{
    BackendContext, BackendError, BackendSnapshot, Entries, KeyedStateBackend, SortedMapStateBackendFactory,
    StateBackend, StateBackendFactory, StateBackends, StateDescription, StateNumber,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn restarts_exactly_on(backend: StateBackend) {
    let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 2, times: 1 });
    let mut options = options(1);
    options.state_backend = backend;
    let summary = run(&world, 2, options, &memory()).unwrap();
    world.assert_exact(2);
    assert_eq!(summary.progress.restarts, 1);
    assert!(summary.progress.restored_from.is_some());
}

/// W10
#[test]
fn backend_found_by_name_keeps_the_state_over_a_restart() {
    let backends = StateBackends::new().with(SortedMapStateBackendFactory);
    restarts_exactly_on(backends.get("sorted-map", BTreeMap::new()).unwrap());
    let unknown = backends.get("sorted", BTreeMap::new()).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no state backend `sorted`; there are hashmap, sorted-map");
}

#[test]
fn backend_with_synchronous_snapshots_keeps_the_state_over_a_restart() {
    restarts_exactly_on(StateBackend::HashMap { asynchronous_snapshots: false });
}

/// T20: what compressed checkpoints hold is restored, also when the next ones are not compressed, and the other way round.
#[test]
fn backend_state_of_compressed_checkpoints_is_restored_with_and_without_the_option() {
    for compressed in [[true, true], [true, false], [false, true]] {
        let (world, storage) = (World::new(), memory());
        let [mut first, mut second] = [options(0), options(0)];
        first.snapshot_compression = compressed[0];
        second.snapshot_compression = compressed[1];
        let handle = job(&world, 2).start(first, Arc::clone(&storage)).unwrap();
        drop(handle.control().stop_with_savepoint(StopMode::Suspend));
        handle.wait().unwrap();
        let summary = run(&world, 2, second, &storage).unwrap();
        assert!(summary.progress.restored_from.is_some());
        world.assert_exact(2);
    }
}

/// A backend of which one write fails, in all attempts together.
struct Failing {
    writes_before: Arc<AtomicU64>,
}

struct FailingBackend {
    inner: Box<dyn KeyedStateBackend>,
    writes_before: Arc<AtomicU64>,
}

impl StateBackendFactory for Failing {
    fn name(&self) -> &str {
        "failing"
    }

    fn create(&self, context: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        let inner = SortedMapStateBackendFactory.create(context)?;
        Ok(Box::new(FailingBackend { inner, writes_before: Arc::clone(&self.writes_before) }))
    }
}

impl KeyedStateBackend for FailingBackend {
    fn create_state(&mut self, description: &StateDescription) -> Result<StateNumber, BackendError> {
        self.inner.create_state(description)
    }

    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        self.inner.get(state, key)
    }

    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        // It wraps around after that write, and so fails no more.
        match self.writes_before.fetch_sub(1, Ordering::SeqCst) {
            0 => Err("the disk is full".into()),
            _ => self.inner.put(state, key, value),
        }
    }

    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError> {
        self.inner.delete(state, key)
    }

    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        self.inner.scan(state, prefix)
    }

    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError> {
        self.inner.snapshot()
    }
}

#[test]
fn backend_that_fails_once_fails_the_attempt_and_says_where() {
    let writes_before = Arc::new(AtomicU64::new(25));
    let mut with_restart = options(1);
    let factory = Failing { writes_before: Arc::clone(&writes_before) };
    with_restart.state_backend = StateBackend::Custom(Arc::new(factory), BTreeMap::new());
    let world = World::new();
    let summary = run(&world, 2, with_restart.clone(), &memory()).unwrap();
    world.assert_exact(2);
    assert_eq!(summary.progress.restarts, 1);

    writes_before.store(25, Ordering::SeqCst);
    let without = snapline::runtime::JobOptions { restart: options(0).restart, ..with_restart };
    let error = run(&World::new(), 2, without, &memory()).unwrap_err().to_string();
    assert!(error.contains("the backend of state `count` failed: the disk is full"), "{error}");
}
