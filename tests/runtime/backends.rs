//! A job keeps its keyed state in whatever backend its options name.

use crate::common::failing_backend::{FailingStateBackendFactory, Write};
use crate::common::{Fault, Place, Plan, World, job, memory, options, run};
use snapline::base::SavepointFormat;
use snapline::coordinator::StopMode;
use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend, StateBackends};
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
        drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
        handle.wait().unwrap();
        let summary = run(&world, 2, second, &storage).unwrap();
        assert!(summary.progress.restored_from.is_some());
        world.assert_exact(2);
    }
}

#[test]
fn backend_that_fails_once_fails_the_attempt_and_says_where() {
    // Of all attempts together one fails.
    let writes: Arc<AtomicU64> = Arc::default();
    let mut with_restart = options(1);
    let factory = FailingStateBackendFactory {
        inner: SortedMapStateBackendFactory,
        writes: Arc::clone(&writes),
        failing: 25..26,
        of: Write::Put,
    };
    with_restart.state_backend = StateBackend::Custom(Arc::new(factory), BTreeMap::new());
    let world = World::new();
    let summary = run(&world, 2, with_restart.clone(), &memory()).unwrap();
    world.assert_exact(2);
    assert_eq!(summary.progress.restarts, 1);

    writes.store(0, Ordering::SeqCst);
    let without = snapline::runtime::JobOptions { restart: options(0).restart, ..with_restart };
    let error = run(&World::new(), 2, without, &memory()).unwrap_err().to_string();
    assert!(error.contains("the backend of state `count` failed: the disk is full"), "{error}");
}
