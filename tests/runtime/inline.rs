//! Jobs whose state is so little that it is written into the metadata.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

use crate::common::splits::{Shape, job_under};
use crate::common::{self, Fault, JOB, Place, Plan, World, in_files, in_memory, options, run, wait_until};
use crate::unaligned::{go_on_freely, has_captured, take_checkpoints_until, unaligned};
use snapline::base::{JobId, Millis, SavepointFormat};
use snapline::coordinator::{ClaimMode, JobStatus, StopMode};
use snapline::inspection::{Depth, Location, diff, fsck, inspect, verify};
use snapline::runtime::{GivenCheckpoint, JobEnd, JobOptions};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// State up to the default threshold is inline, on each backend, and with records on their way.
fn backends() -> [fn(u32) -> JobOptions; 3] {
    fn inline(options: JobOptions) -> JobOptions {
        let inline_threshold_bytes = common::inline(0).inline_threshold_bytes;
        JobOptions { inline_threshold_bytes, checkpoint_interval: Some(Millis(10)), ..options }
    }
    [
        |attempts| inline(options(attempts)),
        |attempts| inline(in_files(attempts)),
        |attempts| inline(unaligned(0, attempts)),
    ]
}

fn storage_of(directory: &Path, job: JobId) -> Arc<dyn CheckpointStorage> {
    Arc::new(FileSystemCheckpointStorage::open(directory, job).unwrap())
}

fn names_below(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        match entry.path().is_dir() {
            true => names.extend(names_below(&entry.path())),
            false => names.push(entry.file_name().into_string().unwrap()),
        }
    }
    names
}

fn state_files(directory: &Path) -> usize {
    names_below(directory).iter().filter(|name| name.ends_with(".state")).count()
}

#[test]
fn inline_state_of_a_job_that_fails_anywhere_is_restored_and_has_no_files() {
    for options in backends() {
        for place in [Place::Poll, Place::SnapshotSource, Place::Process, Place::PreCommit, Place::Commit] {
            let folder = in_memory();
            let world = World::with(Plan { place, fault: Fault::Error, after: 2, times: 1 });
            let summary = run(&world, 2, options(1), &storage_of(folder.path(), JOB)).unwrap();
            world.assert_exact(2);
            assert_eq!((summary.end, summary.progress.restarts), (JobEnd::Finished, 1), "{place:?}");
            assert!(summary.progress.restored_from.is_some(), "{place:?}");
            assert_eq!(state_files(folder.path()), 0, "{place:?}");
            assert!(verify(&Location::of(folder.path()).unwrap(), &mut |_| ()).is_whole, "{place:?}");
        }
    }
}

/// O35: records on their way are inline too, and come back.
#[test]
fn inline_records_on_their_way_come_back_after_a_failure() {
    let (world, folder) = (World::new(), in_memory());
    let storage = storage_of(folder.path(), JOB);
    world.give_room(Some(0));
    let options = JobOptions { batch_records: 1, channel_capacity: 8, ..backends()[2](1) };
    let handle = common::job(&world, 1).start(options, Arc::clone(&storage)).unwrap();
    take_checkpoints_until(&world, &handle, || has_captured(&storage));
    assert_eq!(state_files(folder.path()), 0);
    world.fail_next(Place::Write);
    go_on_freely(&world, &handle);
    assert_eq!(handle.wait().unwrap().progress.restarts, 1);
    world.assert_exact(1);
    assert_eq!(state_files(folder.path()), 0);
}

const SHAPE: Shape = Shape { sources: 2, counts: 3 };

/// Runs a job for a while, and leaves a savepoint and a stop behind.
fn first_job(
    world: &Arc<World>,
    directory: &Path,
    options: JobOptions,
    format: SavepointFormat,
) -> [PathBuf; 2] {
    world.hold_from(Some(2));
    let handle = job_under(JOB, world, SHAPE).unwrap().start(options, storage_of(directory, JOB)).unwrap();
    wait_until(&handle, || handle.progress().completed > 1);
    let control = handle.control();
    let savepoint = control.trigger_savepoint(format).wait_for_checkpoint().unwrap();
    let stop = control.stop_with_savepoint(StopMode::Suspend, format).wait_for_checkpoint().unwrap();
    handle.wait().unwrap();
    world.hold_from(None);
    [savepoint, stop].map(|checkpoint| checkpoint.external_path.into())
}

/// With another threshold, parallelism and directory.
#[test]
fn inline_state_is_given_to_another_job_that_is_rescaled_and_writes_files() {
    for options in backends() {
        for (format, mode) in
            [(SavepointFormat::Native, ClaimMode::NoClaim), (SavepointFormat::Canonical, ClaimMode::Claim)]
        {
            let (world, folder, other) = (World::new(), in_memory(), in_memory());
            let [_, stop] = first_job(&world, folder.path(), options(0), format);
            assert_eq!(state_files(folder.path()), 0);
            world.state.lock().unwrap().counted.clear();
            let restore = Some(GivenCheckpoint::open(&stop, mode).unwrap());
            let into_files = JobOptions { restore, inline_threshold_bytes: 0, ..options(0) };
            let job = job_under(JobId(2), &world, Shape { sources: 3, counts: 2 }).unwrap();
            let handle = job.start(into_files, storage_of(other.path(), JobId(2))).unwrap();
            assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
            world.assert_exact(2);
            assert!(state_files(other.path()) > 0, "the last checkpoint has files again");
            assert_eq!(stop.exists(), mode == ClaimMode::NoClaim, "{stop:?}");
        }
    }
}

#[test]
fn inline_state_is_seen_by_whoever_looks_at_checkpoints() {
    for options in backends() {
        let (world, folder) = (World::new(), in_memory());
        let [savepoint, stop] = first_job(&world, folder.path(), options(0), SavepointFormat::Native);
        for path in [&savepoint, &stop] {
            let location = Location::of(path).unwrap();
            let seen = inspect(&location, Depth::Entries);
            let [checkpoint] = &seen.jobs[0].checkpoints[..] else { panic!("{seen:?}") };
            assert_eq!(checkpoint.problems, []);
            let subtasks = checkpoint.operators.iter().flat_map(|operator| &operator.subtasks);
            let states: Vec<_> = subtasks.filter_map(|subtask| subtask.state_file.as_ref()).collect();
            assert!(states.len() > 4 && states.iter().all(|state| state.is_inline), "{states:?}");
            assert!(states.iter().all(|state| state.file.ends_with("/_metadata") && state.bytes > 0));
            assert!(states.iter().any(|state| !state.keyed_states.is_empty()));
            let verified = verify(&location, &mut |_| ());
            assert!(verified.is_whole, "{verified:?}");
            assert!(diff(&location, &location).unwrap().is_same);
        }
        let found = fsck(&Location::of(folder.path()).unwrap()).unwrap();
        assert!(found.is_complete, "{found:?}");
        assert!(found.jobs[0].checkpoints.iter().all(|checkpoint| checkpoint.state_files == 0));
    }
}

/// A stop is copied where its request says, a savepoint is taken there.
#[test]
fn inline_state_goes_where_its_request_says() {
    for options in backends() {
        for stops in [false, true] {
            let (world, folder, target, other) = (World::new(), in_memory(), in_memory(), in_memory());
            world.hold_from(Some(2));
            let quiet = JobOptions { checkpoint_interval: None, ..options(0) };
            let job = |id, shape| job_under(id, &world, shape).unwrap();
            let handle = job(JOB, SHAPE).start(quiet, storage_of(folder.path(), JOB)).unwrap();
            wait_until(&handle, || handle.progress().status == JobStatus::Running);
            let control = handle.control().with_savepoints_in(target.path().to_str().unwrap());
            let asked = match stops {
                true => control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Canonical),
                false => control.cancel_with_savepoint(SavepointFormat::Canonical),
            };
            let path = PathBuf::from(asked.wait_for_checkpoint().unwrap().external_path);
            handle.wait().unwrap();
            assert!(path.starts_with(target.path()), "{path:?}");
            assert_eq!(names_below(target.path()), ["_metadata"]);
            assert!(verify(&Location::of(&path).unwrap(), &mut |_| ()).is_whole);
            world.hold_from(None);
            world.state.lock().unwrap().counted.clear();
            drop(folder);
            let restore = Some(GivenCheckpoint::open(&path, ClaimMode::Claim).unwrap());
            let job = job(JobId(2), Shape { sources: 3, counts: 2 });
            let storage = storage_of(other.path(), JobId(2));
            let handle = job.start(JobOptions { restore, ..options(0) }, storage).unwrap();
            assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
            world.assert_exact(2);
            assert!(!path.exists(), "it was claimed");
        }
    }
}
