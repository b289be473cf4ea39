//! A job starts from a checkpoint or savepoint that another one has left.

use crate::common::splits::{Shape, job_under};
use crate::common::{self, Fault, Place, Plan, World, in_memory, wait_until};
use snapline::base::{Attempt, CheckpointKind, JobId, Millis, SavepointFormat};
use snapline::coordinator::{ClaimMode, Refusal, StopMode};
use snapline::runtime::{GivenCheckpoint, JobEnd, JobError, JobOptions, RequestError};
use snapline::store::{
    CheckpointStorage, FileSystemCheckpointStorage, JobManagerCheckpointStorage, Place as InStorage,
};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FIRST: JobId = JobId(1);
const SECOND: JobId = JobId(2);
const SHAPE: Shape = Shape { sources: 2, counts: 3 };

/// Not so many checkpoints, because files are synced.
fn with_interval(options: JobOptions) -> JobOptions {
    JobOptions { checkpoint_interval: Some(Millis(20)), ..options }
}

fn options(attempts: u32) -> JobOptions {
    with_interval(common::options(attempts))
}

fn in_files(attempts: u32) -> JobOptions {
    with_interval(common::in_files(attempts))
}

fn storage_of(directory: &Path, job: JobId) -> FileSystemCheckpointStorage {
    FileSystemCheckpointStorage::open(directory, job).unwrap()
}

fn shared(storage: &FileSystemCheckpointStorage) -> Arc<dyn CheckpointStorage> {
    Arc::new(storage.clone())
}

/// Runs the first job for a while, in which it takes a savepoint, stops it, and says where that lies and where the checkpoint.
fn first_job(world: &Arc<World>, directory: &Path, options: JobOptions) -> [PathBuf; 2] {
    let storage = storage_of(directory, FIRST);
    world.hold_from(Some(2));
    let job = job_under(FIRST, world, SHAPE).unwrap();
    let handle = job.start(options, shared(&storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 1);
    let control = handle.control();
    let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait().unwrap();
    let savepoint = storage.savepoint_name(savepoint, handle.progress().attempt).into();
    let stopped = control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    handle.wait().unwrap();
    world.hold_from(None);
    [savepoint, storage.path_of(InStorage::Checkpoint(stopped))]
}

fn from(path: &Path, mode: ClaimMode, options: JobOptions) -> JobOptions {
    JobOptions { restore: Some(GivenCheckpoint::open(path, mode).unwrap()), ..options }
}

/// Runs the second job to its end, at another parallelism.
fn second_job(world: &Arc<World>, directory: &Path, options: JobOptions) {
    world.state.lock().unwrap().counted.clear();
    let job = job_under(SECOND, world, Shape { sources: 3, counts: 2 }).unwrap();
    let handle = job.start(options, shared(&storage_of(directory, SECOND))).unwrap();
    let summary = handle.wait().unwrap();
    assert_eq!(summary.end, JobEnd::Finished);
    assert!(summary.progress.restored_from.is_some());
    world.assert_exact(2);
}

/// All files below a directory.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.path().is_dir() {
            true => found.extend(files_below(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found.sort();
    found
}

/// What is not claimed stays as it is, wherever the new job has its own.
#[test]
fn given_checkpoint_that_is_not_claimed_stays_and_the_job_goes_on_exactly() {
    for in_files_of_backend in [false, true] {
        for beside in [true, false] {
            let options = || if in_files_of_backend { in_files(0) } else { options(0) };
            let (world, [old, other]) = (World::new(), [0; 2].map(|_| in_memory()));
            let [_, checkpoint] = first_job(&world, old.path(), options());
            let before = files_below(old.path().join(FIRST.to_string()).as_path());
            let directory = if beside { &old } else { &other };
            second_job(&world, directory.path(), from(&checkpoint, ClaimMode::NoClaim, options()));
            assert_eq!(files_below(old.path().join(FIRST.to_string()).as_path()), before);
        }
    }
}

/// F09: what is claimed goes when the job has a checkpoint of its own.
#[test]
fn given_checkpoint_that_is_claimed_is_deleted_when_it_is_subsumed() {
    for in_files_of_backend in [false, true] {
        for beside in [true, false] {
            let options = || if in_files_of_backend { in_files(0) } else { options(0) };
            let (world, [old, other]) = (World::new(), [0; 2].map(|_| in_memory()));
            let [savepoint, checkpoint] = first_job(&world, old.path(), options());
            let directory = if beside { &old } else { &other };
            second_job(&world, directory.path(), from(&checkpoint, ClaimMode::Claim, options()));
            assert!(!checkpoint.exists() && savepoint.join("_metadata").exists());
        }
    }
}

/// A savepoint can be moved anywhere; sinks commit what its job has not.
#[test]
fn given_savepoint_that_was_moved_is_restored_with_the_transactions_in_it() {
    use ClaimMode::{Claim, NoClaim};
    use SavepointFormat::{Canonical, Native};
    for (mode, format) in
        [NoClaim, Claim].into_iter().flat_map(|mode| [Canonical, Native].map(|format| (mode, format)))
    {
        let (world, [old, new]) = (World::new(), [0; 2].map(|_| in_memory()));
        let storage = storage_of(old.path(), FIRST);
        world.hold_from(Some(2));
        let job = job_under(FIRST, &world, SHAPE).unwrap();
        // No checkpoint but the savepoint: nothing is committed.
        let quiet = || JobOptions { checkpoint_interval: None, ..in_files(0) };
        let handle = job.start(quiet(), shared(&storage)).unwrap();
        wait_until(&handle, || handle.progress().records_written > 0);
        let savepoint = loop {
            match handle.control().trigger_savepoint(format).wait() {
                // The others are not known to run yet.
                Err(RequestError::Refused(Refusal::TasksNotRunning)) => std::thread::yield_now(),
                taken => break taken.unwrap(),
            }
        };
        let attempt = handle.progress().attempt;
        let path = PathBuf::from(storage.savepoint_name(savepoint, attempt));
        let metadata = storage.read_savepoint(savepoint, attempt).unwrap().unwrap();
        let mut files = metadata.checkpoint.shared.values().flatten();
        assert_eq!(files.clone().count() > 0, format == Native, "copies of the files of the backend");
        assert!(files.all(|object| object.savepoint == Some(savepoint)), "they are of the savepoint alone");
        // What it has done since is lost with it.
        handle.control().suspend();
        handle.wait().unwrap();
        assert_eq!(world.committed(), []);
        world.hold_from(None);
        let moved = new.path().join(path.file_name().unwrap());
        std::fs::rename(&path, &moved).unwrap();
        let directory = in_memory();
        second_job(&world, directory.path(), from(&moved.join("_metadata"), mode, in_files(0)));
        assert_eq!(moved.exists(), mode == NoClaim);
    }
}

/// COORD-49, COORD-51
#[test]
fn given_checkpoint_comes_behind_what_the_job_has_published_itself() {
    let (world, directory) = (World::new(), in_memory());
    let [_, checkpoint] = first_job(&world, directory.path(), in_files(0));
    let storage = storage_of(directory.path(), SECOND);
    let start = || {
        let job = job_under(SECOND, &world, SHAPE).unwrap();
        job.start(from(&checkpoint, ClaimMode::NoClaim, in_files(0)), shared(&storage)).unwrap()
    };
    world.hold_from(Some(3));
    let handle = start();
    wait_until(&handle, || handle.progress().completed > 0);
    let given = GivenCheckpoint::open(&checkpoint, ClaimMode::NoClaim).unwrap();
    let (given, attempt) = (given.metadata().checkpoint.id, given.metadata().checkpoint.attempt);
    assert_eq!(handle.progress().restored_from, Some(given));
    assert!(handle.progress().attempt > attempt);
    let stopped =
        handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    handle.wait().unwrap();
    world.hold_from(None);
    world.state.lock().unwrap().counted.clear();
    let handle = start();
    let summary = handle.wait().unwrap();
    assert_eq!(summary.progress.restored_from, Some(stopped));
    world.assert_exact(2);
}

/// The attempt before has claimed, and has published nothing.
#[test]
fn given_checkpoint_is_restored_again_after_a_failure_before_the_first_own_one() {
    for mode in [ClaimMode::NoClaim, ClaimMode::Claim] {
        let (world, directory) = (World::new(), in_memory());
        let [_, checkpoint] = first_job(&world, directory.path(), in_files(0));
        let plan = Plan { place: Place::Process, fault: Fault::Error, after: 0, times: 2 };
        world.state.lock().unwrap().plan = Some(plan);
        second_job(&world, directory.path(), from(&checkpoint, mode, in_files(2)));
        assert!(world.is_plan_over());
    }
}

#[test]
fn given_checkpoint_that_does_not_fit_starts_nothing() {
    let (world, directory) = (World::new(), in_memory());
    let [savepoint, checkpoint] = first_job(&world, directory.path(), options(0));
    let job = job_under(SECOND, &world, Shape { sources: 1, counts: 129 }).unwrap();
    let storage = shared(&storage_of(directory.path(), SECOND));
    let refused = job.start(from(&checkpoint, ClaimMode::Claim, options(0)), Arc::clone(&storage));
    let Err(error) = refused else { panic!("it was started") };
    assert!(matches!(error, JobError::Incompatible { .. }), "{error}");
    assert!(storage.list().unwrap().pointers.is_empty() && checkpoint.exists());
    let metadata = GivenCheckpoint::open(&savepoint, ClaimMode::Claim).unwrap().metadata().clone();
    assert_eq!((metadata.job, metadata.checkpoint.kind), (FIRST, CheckpointKind::Savepoint));
    let of = |path: &Path| GivenCheckpoint::open(path, ClaimMode::Claim).unwrap_err().to_string();
    let several = of(&directory.path().join(FIRST.to_string()));
    assert!(several.contains("is no single checkpoint: name one"), "{several}");
    std::fs::remove_file(savepoint.join("_metadata")).unwrap();
    let incomplete = of(&savepoint);
    assert!(incomplete.contains("has no _metadata"), "{incomplete}");
    assert!(of(Path::new("/nowhere")).contains("/nowhere cannot be read"));
}

/// The job's own checkpoints are whole without the directory in which the claimed one was.
#[test]
fn given_checkpoint_elsewhere_is_not_referred_to_by_the_jobs_own() {
    let (world, [old, new]) = (World::new(), [0; 2].map(|_| in_memory()));
    let [_, checkpoint] = first_job(&world, old.path(), in_files(0));
    world.hold_from(Some(3));
    let storage = shared(&storage_of(new.path(), SECOND));
    let job = || job_under(SECOND, &world, SHAPE).unwrap();
    let handle = job().start(from(&checkpoint, ClaimMode::Claim, in_files(0)), Arc::clone(&storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 1);
    handle.control().suspend();
    handle.wait().unwrap();
    drop(old);
    world.hold_from(None);
    world.state.lock().unwrap().counted.clear();
    let summary = job().start(in_files(0), storage).unwrap().wait().unwrap();
    assert!(summary.progress.restored_from.is_some());
    world.assert_exact(2);
}

/// It was given after the job had checkpoints of its own, one of which has the same number.
#[test]
fn given_checkpoint_that_is_not_claimed_stays_when_the_jobs_own_of_its_number_goes() {
    for mode in [ClaimMode::NoClaim, ClaimMode::Claim] {
        let world = World::new();
        let own: Arc<dyn CheckpointStorage> = Arc::new(JobManagerCheckpointStorage::new(SECOND));
        let job = || job_under(SECOND, &world, SHAPE).unwrap();
        world.hold_from(Some(2));
        let handle = job().start(options(0), Arc::clone(&own)).unwrap();
        wait_until(&handle, || handle.progress().completed > 1);
        let number =
            handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
        handle.wait().unwrap();
        world.hold_from(None);
        let given: Arc<dyn CheckpointStorage> = Arc::new(JobManagerCheckpointStorage::new(FIRST));
        let mut metadata = own.read_metadata(number).unwrap().unwrap();
        metadata.job = FIRST;
        metadata.checkpoint.attempt = Attempt(9);
        given.put_metadata(&metadata).unwrap();
        let restore = Some(GivenCheckpoint::new(Arc::clone(&given), metadata, mode));
        let handle = job().start(JobOptions { restore, ..options(0) }, Arc::clone(&own)).unwrap();
        assert_eq!(handle.wait().unwrap().progress.restored_from, Some(number));
        assert_eq!(own.read_metadata(number).unwrap(), None, "it was subsumed");
        assert_eq!(given.read_metadata(number).unwrap().is_some(), mode == ClaimMode::NoClaim);
    }
}

/// The paths are different, the files are the same.
#[cfg(unix)]
#[test]
fn given_checkpoint_that_is_claimed_by_another_path_leaves_no_shared_file_behind() {
    let (world, directory) = (World::new(), in_memory());
    let [_, checkpoint] = first_job(&world, directory.path(), in_files(0));
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(directory.path(), &link).unwrap();
    let first = storage_of(directory.path(), FIRST);
    assert!(!first.list_shared().unwrap().is_empty());
    second_job(&world, &link, from(&checkpoint, ClaimMode::Claim, in_files(0)));
    let second = storage_of(directory.path(), SECOND);
    let newest = second.list().unwrap().checkpoints.pop_last().unwrap();
    let shared = second.read_metadata(newest).unwrap().unwrap().checkpoint.shared;
    let of_first: BTreeSet<_> =
        shared.into_values().flatten().filter(|object| object.file.job == FIRST).collect();
    assert_eq!(first.list_shared().unwrap().into_iter().collect::<BTreeSet<_>>(), of_first);
}

/// The files of a savepoint go with it, so the job's own checkpoints must not need them.
#[test]
fn given_native_savepoint_of_the_same_job_may_go_when_it_was_claimed() {
    let (world, directory) = (World::new(), in_memory());
    let storage = storage_of(directory.path(), FIRST);
    world.hold_from(Some(2));
    let handle = job_under(FIRST, &world, SHAPE).unwrap().start(in_files(0), shared(&storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 1);
    let savepoint = handle.control().cancel_with_savepoint(SavepointFormat::Native);
    let savepoint = PathBuf::from(savepoint.wait_for_checkpoint().unwrap().external_path);
    handle.wait().unwrap();
    world.state.lock().unwrap().counted.clear();
    let claiming = from(&savepoint, ClaimMode::Claim, in_files(0));
    let handle = job_under(FIRST, &world, SHAPE).unwrap().start(claiming, shared(&storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 1);
    handle.control().suspend();
    handle.wait().unwrap();
    assert!(!savepoint.exists(), "the job has checkpoints of its own");
    world.state.lock().unwrap().counted.clear();
    world.hold_from(None);
    let handle = job_under(FIRST, &world, SHAPE).unwrap().start(in_files(0), shared(&storage)).unwrap();
    assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
    world.assert_exact(2);
}
