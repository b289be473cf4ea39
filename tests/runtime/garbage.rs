//! What is called safe to delete is deleted while jobs run, fail, are restarted and take over from one another: nothing that
//! is needed is ever missed.

use crate::common::faulty::{Failure, Faulty};
use crate::common::splits::{Shape, job_under};
use crate::common::sweep::sweep;
use crate::common::{self, JOB, World, in_files, in_memory, options, run, wait_until};
use snapline::base::{Attempt, CheckpointId, JobId, Millis, SavepointFormat, StateFile, SubtaskId};
use snapline::coordinator::{ClaimMode, StopMode};
use snapline::inspection::{Location, verify};
use snapline::runtime::{GivenCheckpoint, JobError, JobOptions};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage, Place};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn storage_of(directory: &Path, job: JobId) -> FileSystemCheckpointStorage {
    FileSystemCheckpointStorage::open(directory, job).unwrap()
}

/// A storage in which everything that is safe to delete is deleted before each operation, of which number `at` fails.
fn swept(directory: &Path, job: JobId, failure: Failure, at: u64) -> Arc<Faulty> {
    let storage: Arc<dyn CheckpointStorage> = Arc::new(storage_of(directory, job));
    Arc::new(Faulty::new(&storage, failure, at).swept(directory))
}

#[track_caller]
fn assert_whole(directory: &Path) {
    let verification = verify(&Location::of(directory).unwrap(), &mut |_| ());
    assert!(verification.is_whole, "{verification:?}");
}

/// Leaves what an attempt that is over could not delete, of a checkpoint that it has not published.
fn leave_behind(directory: &Path) -> PathBuf {
    let (checkpoint, subtask) = (CheckpointId(1), SubtaskId::new(0, 0));
    let file = StateFile { checkpoint, subtask, attempt: Attempt(0), savepoint: false };
    let storage = storage_of(directory, JOB);
    storage.create_state(file).unwrap().finish().unwrap();
    storage.state_path(file)
}

/// Goes on from a stop with a storage that fails at operation `at`.
fn goes_on_without_garbage(failure: Failure, at: u64, options: fn(u32) -> JobOptions) {
    let (world, directory) = (World::new(), in_memory());
    let storage = swept(directory.path(), JOB, failure, u64::MAX);
    let handle = common::job(&world, 2).start(options(0), Arc::clone(&storage) as _).unwrap();
    drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
    handle.wait().unwrap();
    let left_behind = leave_behind(directory.path());
    let failing = swept(directory.path(), JOB, failure, at);
    let options = JobOptions { checkpoint_interval: Some(Millis(3)), ..options(2) };
    let result = run(&world, 2, options.clone(), &(Arc::clone(&failing) as _));
    world.assert_not_wrong(2);
    assert!(failing.deleted() > 0 && !left_behind.exists(), "{failure:?} at {at}: nothing was deleted");
    sweep(directory.path());
    assert_whole(directory.path());
    if let Err(error) = result {
        assert!(failure == Failure::Forever, "{at}: {error}");
        run(&world, 2, options, &(Arc::clone(&storage) as _)).unwrap();
    }
    world.assert_exact(2);
    sweep(directory.path());
    assert_whole(directory.path());
}

fn all_go_on_without_garbage(options: fn(u32) -> JobOptions) {
    for failure in [Failure::Once, Failure::Applied, Failure::Forever] {
        std::thread::scope(|scope| {
            for at in (0..60).step_by(6) {
                scope.spawn(move || goes_on_without_garbage(failure, at, options));
            }
        });
    }
}

#[test]
fn garbage_of_jobs_that_fail_is_deleted_meanwhile_and_nothing_is_missed() {
    all_go_on_without_garbage(options);
}

#[test]
fn garbage_of_jobs_that_share_files_and_fail_is_deleted_meanwhile_and_nothing_is_missed() {
    all_go_on_without_garbage(in_files);
}

/// The second job refers to files of the first one, whose checkpoint it has claimed.
#[test]
fn garbage_of_jobs_that_take_over_from_one_another_is_deleted_and_savepoints_stay() -> Result<(), JobError> {
    for mode in [ClaimMode::NoClaim, ClaimMode::Claim] {
        let (world, directory) = (World::new(), in_memory());
        let options = || JobOptions { checkpoint_interval: Some(Millis(5)), ..in_files(0) };
        let [first, second] =
            [JobId(1), JobId(2)].map(|job| (job, swept(directory.path(), job, Failure::Once, u64::MAX)));
        world.hold_from(Some(2));
        let shape = Shape { sources: 2, counts: 3 };
        let handle = job_under(first.0, &world, shape)?.start(options(), first.1)?;
        wait_until(&handle, || handle.progress().completed > 1);
        let control = handle.control();
        let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait().unwrap();
        let savepoint = Place::Savepoint(savepoint, handle.progress().attempt);
        let stopped = control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
        handle.wait()?;
        world.hold_from(Some(3));
        let storage = storage_of(directory.path(), first.0);
        let given = GivenCheckpoint::open(storage.path_of(Place::Checkpoint(stopped)), mode).unwrap();
        let options = || JobOptions { restore: Some(given.clone()), ..options() };
        let start = || job_under(second.0, &world, shape)?.start(options(), Arc::clone(&second.1) as _);
        let handle = start()?;
        wait_until(&handle, || handle.progress().completed > 1);
        handle.control().suspend();
        handle.wait()?;
        world.hold_from(None);
        world.state.lock().unwrap().counted.clear();
        start()?.wait()?;
        world.assert_exact(2);
        assert_whole(&directory.path().join(second.0.to_string()));
        assert_whole(&storage.path_of(savepoint));
        // What nobody has claimed is nobody's to delete.
        let first = storage.path_of(Place::Checkpoint(stopped));
        match mode {
            ClaimMode::Claim => assert!(!first.exists(), "{first:?}"),
            _ => assert_whole(&first),
        }
    }
    Ok(())
}
