//! Jobs that keep their state in RocksDB.

use crate::common::{
    FIRST_STEP, Fault, JOB, Place, Plan, World, job, job_called, memory, options, run, wait_until,
};
use snapline::backend::rocksdb::RocksDbStateBackendFactory;
use snapline::base::{CheckpointId, JobId, Millis, SavepointFormat, SharedObject};
use snapline::coordinator::{ClaimMode, JobStatus, StopMode};
use snapline::inspection::{Location, verify};
use snapline::runtime::{CheckpointType, GivenCheckpoint, JobOptions};
use snapline::state::backend::StateBackend;
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage, Place as InStorage};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub fn on_rocksdb(attempts: u32, directory: &Path, incremental: bool) -> JobOptions {
    let directory = directory.to_str().unwrap().to_owned();
    let chosen = BTreeMap::from([("state.backend.rocksdb.localdir".to_owned(), directory)]);
    let state_backend = StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), chosen);
    JobOptions { state_backend, incremental, ..options(attempts) }
}

/// All shared files of a checkpoint.
fn shared(storage: &Arc<dyn CheckpointStorage>, checkpoint: CheckpointId) -> BTreeSet<SharedObject> {
    let metadata = storage.read_metadata(checkpoint).unwrap().expect("it is retained");
    metadata.checkpoint.shared.into_values().flatten().collect()
}

/// W7
#[test]
fn rocksdb_restores_the_state_after_failures_and_leaves_no_directory() {
    for incremental in [false, true] {
        for (place, after) in [(Place::Process, 2), (Place::PreCommit, 3), (Place::Commit, 2)] {
            let directory = tempfile::tempdir().unwrap();
            let world = World::with(Plan { place, fault: Fault::Error, after, times: 1 });
            let storage = memory();
            let summary = run(&world, 2, on_rocksdb(1, directory.path(), incremental), &storage).unwrap();
            world.assert_exact(2);
            assert_eq!(summary.progress.restarts, u32::from(world.is_plan_over()));
            let newest = *storage.list().unwrap().checkpoints.last().unwrap();
            assert_eq!(storage.list_shared().unwrap(), shared(&storage, newest));
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        }
    }
}

/// C7
#[test]
fn rocksdb_uploads_only_new_files_for_incremental_checkpoints() {
    let (world, storage, directory) = (World::new(), memory(), tempfile::tempdir().unwrap());
    let without = JobOptions { checkpoint_interval: None, ..on_rocksdb(0, directory.path(), true) };
    let handle = job(&world, 2).start(without, Arc::clone(&storage)).unwrap();
    let has_written = || world.written.load(Ordering::SeqCst) == 2 * FIRST_STEP;
    wait_until(&handle, || has_written() && handle.progress().status == JobStatus::Running);
    world.hold_from(Some(0));
    let control = handle.control();
    let take = |kind| shared(&storage, control.trigger_checkpoint(kind).wait().unwrap());
    let first = take(CheckpointType::Configured);
    assert!(!first.is_empty());
    assert_eq!(take(CheckpointType::Incremental), first, "nothing has changed, so nothing is uploaded");
    let full = take(CheckpointType::Full);
    assert!(!full.is_empty() && full.is_disjoint(&first), "{full:?} has files of {first:?}");
    let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait().unwrap();
    let attempt = full.first().unwrap().file.attempt;
    let savepoint = storage.read_savepoint(savepoint, attempt).unwrap().expect("it is complete");
    assert_eq!(savepoint.checkpoint.shared, BTreeMap::new(), "a savepoint holds everything itself");
    let native = control.trigger_savepoint(SavepointFormat::Native).wait().unwrap();
    let native = storage.read_savepoint(native, attempt).unwrap().expect("it is complete");
    let copies: BTreeSet<_> = native.checkpoint.shared.into_values().flatten().collect();
    assert!(!copies.is_empty() && copies.is_disjoint(&full), "{copies:?} has files of {full:?}");
    assert_eq!(take(CheckpointType::Incremental), full);
    world.hold_from(None);
    handle.wait().unwrap();
    world.assert_exact(2);
}

/// A job goes on with the files that another run of it has left.
#[test]
fn rocksdb_goes_on_from_the_files_of_a_job_that_was_stopped() {
    let (world, storage, directory) = (World::new(), memory(), tempfile::tempdir().unwrap());
    for _ in 0..2 {
        let handle =
            job(&world, 2).start(on_rocksdb(0, directory.path(), true), Arc::clone(&storage)).unwrap();
        handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
        handle.wait().unwrap();
    }
    run(&world, 2, on_rocksdb(0, directory.path(), true), &storage).unwrap();
    world.assert_exact(2);
}

/// Z36, Z39: the checkpoint that a cancelled job has retained is given to another one, by its path.
#[test]
fn rocksdb_retained_checkpoints_are_resumed_by_hand_also_when_incremental_is_switched() {
    for (before, now) in [(false, false), (false, true), (true, false), (true, true)] {
        let (world, [folder, working]) = (World::new(), [0; 2].map(|_| tempfile::tempdir().unwrap()));
        let storage_of = |job| FileSystemCheckpointStorage::open(folder.path(), job).unwrap();
        let every_20_ms = |incremental| JobOptions {
            checkpoint_interval: Some(Millis(20)),
            ..on_rocksdb(0, working.path(), incremental)
        };
        world.hold_from(Some(1));
        let first = storage_of(JOB);
        let handle = job(&world, 2).start(every_20_ms(before), Arc::new(first.clone())).unwrap();
        wait_until(&handle, || handle.progress().completed > 2);
        handle.control().cancel();
        let last = handle.wait().unwrap().progress.last.expect("it is retained").id;
        let has_shared = |storage: &FileSystemCheckpointStorage, id| {
            !storage.read_metadata(id).unwrap().expect("it is there").checkpoint.shared.is_empty()
        };
        assert_eq!(has_shared(&first, last), before);

        world.hold_from(None);
        world.state.lock().unwrap().counted.clear();
        let path = first.path_of(InStorage::Checkpoint(last));
        let restore = Some(GivenCheckpoint::open(&path, ClaimMode::NoClaim).unwrap());
        let (id, options) = (JobId(2), JobOptions { restore, ..every_20_ms(now) });
        let second = storage_of(id);
        let summary =
            job_called(id, &world, 2).start(options, Arc::new(second.clone())).unwrap().wait().unwrap();
        world.assert_exact(2);
        assert_eq!(summary.progress.restored_from, Some(last));
        let newest = *second.list().unwrap().checkpoints.last().unwrap();
        assert_eq!(has_shared(&second, newest), now, "{before} and then {now}");
        assert!(path.join("_metadata").exists(), "it was not claimed");
    }
}

/// H24: in both formats, whether the job goes on or is stopped.
#[test]
fn rocksdb_savepoint_in_a_chosen_directory_is_restored_without_anything_else_of_the_job() {
    let kinds = [false, true].into_iter();
    for (stops, format) in
        kinds.flat_map(|stops| [SavepointFormat::Canonical, SavepointFormat::Native].map(|of| (stops, of)))
    {
        let [local, checkpoints, target] = [(); 3].map(|()| tempfile::tempdir().unwrap());
        let world = World::new();
        let storage = Arc::new(FileSystemCheckpointStorage::open(checkpoints.path(), JOB).unwrap());
        let options = || on_rocksdb(0, local.path(), true);
        let without = JobOptions { checkpoint_interval: None, ..options() };
        let handle = job(&world, 2).start(without, storage).unwrap();
        let has_state = || world.written.load(Ordering::SeqCst) == 2 * FIRST_STEP;
        wait_until(&handle, || has_state() && handle.progress().status == JobStatus::Running);
        world.hold_from(Some(0));
        let control = handle.control().with_savepoints_in(target.path().to_str().unwrap());
        let asked = match stops {
            true => control.stop_with_savepoint(StopMode::Suspend, format),
            false => control.cancel_with_savepoint(format),
        };
        let savepoint = asked.wait_for_checkpoint().unwrap().external_path;
        handle.wait().unwrap();
        drop(checkpoints);
        assert!(verify(&Location::of(&savepoint).unwrap(), &mut |_| ()).is_whole);
        let given = GivenCheckpoint::open(&savepoint, ClaimMode::NoClaim).unwrap();
        let has_files = !given.metadata().checkpoint.shared.values().all(BTreeSet::is_empty);
        assert_eq!(has_files, format == SavepointFormat::Native);
        world.hold_from(None);
        run(&world, 2, JobOptions { restore: Some(given), ..options() }, &memory()).unwrap();
        world.assert_exact(2);
    }
}

#[test]
fn rocksdb_with_a_wrong_option_fails_the_job_and_names_it() {
    let chosen = BTreeMap::from([("state.backend.rocksdb.thread.num".to_owned(), "many".to_owned())]);
    let state_backend = StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), chosen);
    let error = run(&World::new(), 2, JobOptions { state_backend, ..options(0) }, &memory()).unwrap_err();
    let told = error.to_string();
    assert!(told.contains("`state.backend.rocksdb.thread.num` cannot be `many`"), "{told}");
}
