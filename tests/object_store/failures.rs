//! Every request of a job to its store fails in turn, before or after it took effect: the output is exact, or the job says
//! what is wrong and goes on exactly with a store that works again. What is there afterwards is whole, and nothing else is.

use crate::assert_whole;
use crate::common::{JOB, World, in_files, job, run};
use crate::failing_store::{Failing, FailingStore, When};
use futures_util::TryStreamExt;
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt};
use snapline::base::{Millis, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::runtime::{JobError, JobOptions};
use snapline::store::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

/// A storage that sends each request once, so that what fails is felt, and whose files go in small parts.
fn storage(store: Arc<dyn ObjectStore>) -> Result<Arc<dyn CheckpointStorage>, StorageError> {
    let options =
        ObjectStoreOptions { max_retries: 0, write_buffer_bytes: 64, ..ObjectStoreOptions::default() };
    let location = ObjectStoreLocation::new(store, "")?;
    Ok(Arc::new(ObjectStoreCheckpointStorage::new(location, JOB, &options)?))
}

/// Everything that is referred to is whole, and nothing else is there.
fn assert_consistent(store: &InMemory, storage: &Arc<dyn CheckpointStorage>, what: &str) {
    let objects: Vec<(String, Vec<u8>)> = block_on(async {
        let found = store.list(None).map_ok(|found| found.location);
        let read = found
            .and_then(async |path| Ok((path.to_string(), store.get(&path).await?.bytes().await?.into())));
        read.try_collect().await.unwrap()
    });
    assert_whole(objects, "");
    let checkpoints = storage.list().unwrap().checkpoints;
    assert_eq!(checkpoints.len(), 1, "{what}: {checkpoints:?}");
    let metadata = storage.read_metadata(*checkpoints.first().unwrap()).unwrap().expect(what);
    let referred: BTreeSet<_> = metadata.checkpoint.shared.into_values().flatten().collect();
    assert_eq!(storage.list_shared().unwrap(), referred, "{what}");
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(work)
}

/// Runs over a store of which requests fail: after a stop, so that the recovery has something to read, and until another one,
/// so that the run after it has something to do.
fn survives(failing: Failing) -> Result<(), JobError> {
    let (world, store) = (World::new(), Arc::new(InMemory::new()));
    let inner = storage(Arc::clone(&store) as _).unwrap();
    // However fast it is, there is something left to do for the last run.
    world.hold_from(Some(1));
    let handle = job(&world, 2).start(in_files(0), Arc::clone(&inner)).unwrap();
    drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
    handle.wait().unwrap();
    let options = JobOptions { checkpoint_interval: Some(Millis(3)), ..in_files(2) };
    let result = match storage(Arc::new(FailingStore::new(Arc::clone(&store) as _, failing))) {
        Ok(storage) => run_for_two_checkpoints(&world, options.clone(), storage),
        Err(error) => {
            assert!(error.to_string().contains("planned"), "{failing:?}: {error}");
            Ok(())
        }
    };
    world.assert_not_wrong(2);
    world.hold_from(None);
    let summary = run(&world, 2, options, &inner).unwrap();
    world.assert_exact(2);
    // Leftovers go with the first checkpoint that is published.
    assert!(summary.progress.completed > 0, "{failing:?}: the job was over before");
    assert_consistent(&store, &inner, &format!("{failing:?}"));
    result
}

fn run_for_two_checkpoints(
    world: &Arc<World>,
    options: JobOptions,
    storage: Arc<dyn CheckpointStorage>,
) -> Result<(), JobError> {
    let handle = job(world, 2).start(options, storage)?;
    while handle.progress().completed < 2 && !handle.wait_timeout(Duration::from_millis(1)) {}
    drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
    handle.wait().map(drop)
}

/// Some cases at a time: most of their time they wait.
fn survives_all(when: When, times: u64, at: impl Iterator<Item = u64>) -> Vec<Result<(), JobError>> {
    let cases: Vec<_> = at.map(|from| Failing { when, from, times }).collect();
    let run_some = |cases: &[Failing]| {
        std::thread::scope(|scope| {
            let runs: Vec<_> = cases.iter().map(|failing| scope.spawn(|| survives(*failing))).collect();
            runs.into_iter().map(|run| run.join().unwrap()).collect::<Vec<_>>()
        })
    };
    cases.chunks(10).flat_map(run_some).collect()
}

/// FS1, FS5
#[test]
fn object_store_request_that_fails_once_costs_a_restart_at_most() {
    for when in [When::Before, When::After] {
        for result in survives_all(when, 1, (0..60).chain((60..240).step_by(9))) {
            assert!(result.is_ok(), "{when:?}: {result:?}");
        }
    }
}

/// FS2, FS3: several in a row, and all from then on.
#[test]
fn object_store_requests_that_fail_for_long_end_the_job_with_a_reason_at_most() {
    for when in [When::Before, When::After] {
        for times in [5, u64::MAX] {
            for result in survives_all(when, times, (0..60).step_by(6)) {
                if let Err(error) = result {
                    assert!(error.to_string().contains("planned"), "{when:?}, {times} times: {error}");
                }
            }
        }
    }
}
