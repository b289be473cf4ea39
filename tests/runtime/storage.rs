//! The storage fails at every one of its operations in turn: the output is exact, or the job says what is wrong
//! and goes on exactly with a storage that works again.

use crate::common::faulty::{Failure, Faulty};
use crate::common::{World, in_files, memory, options, run};
use snapline::base::{Millis, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::runtime::{JobError, JobOptions};
use snapline::store::CheckpointStorage;
use std::sync::Arc;

/// Runs over a storage that fails at operation `at`, after a stop, so that the recovery has something to read.
fn survives(failure: Failure, at: u64, options: fn(u32) -> JobOptions) -> Result<(), JobError> {
    let (world, inner) = (World::new(), memory());
    let handle = crate::common::job(&world, 2).start(options(0), Arc::clone(&inner)).unwrap();
    drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
    handle.wait().unwrap();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(Faulty::new(&inner, failure, at));
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
fn survives_all(
    failure: Failure,
    operations: impl Iterator<Item = u64>,
    options: fn(u32) -> JobOptions,
) -> Vec<Result<(), JobError>> {
    std::thread::scope(|scope| {
        let runs: Vec<_> = operations
            .map(|at| {
                let run = move || survives(failure, at, options);
                std::thread::Builder::new().name(format!("{failure:?} at {at}")).spawn_scoped(scope, run)
            })
            .collect();
        runs.into_iter().map(|run| run.unwrap().join().unwrap()).collect()
    })
}

#[test]
fn storage_that_fails_once_costs_a_restart_at_most() {
    for failure in [Failure::Once, Failure::Lost, Failure::Applied, Failure::Panic, Failure::Broken] {
        for result in survives_all(failure, 0..60, options) {
            assert!(result.is_ok(), "{failure:?}: {result:?}");
        }
    }
}

/// The same with files that checkpoints have in common.
#[test]
fn storage_that_fails_once_costs_a_restart_at_most_with_incremental_checkpoints() {
    for failure in [Failure::Once, Failure::Lost, Failure::Applied, Failure::Panic, Failure::Broken] {
        for result in survives_all(failure, 0..60, in_files) {
            assert!(result.is_ok(), "{failure:?}: {result:?}");
        }
    }
}

#[test]
fn storage_that_fails_for_ever_ends_the_job_with_a_reason() {
    for result in survives_all(Failure::Forever, (0..20).chain([30, 40]), options) {
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
        let storage: Arc<dyn CheckpointStorage> = Arc::new(Faulty::new(&inner, Failure::Once, at));
        let error = run(&world, 129, options(1), &storage).unwrap_err();
        assert!(matches!(error, JobError::Incompatible { .. }), "{at}: {error}");
        world.assert_exact(2);
    }
}
