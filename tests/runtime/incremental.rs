//! Jobs whose checkpoints refer to the files of earlier ones.

use crate::common::runs_backend::RunsStateBackendFactory;
use crate::common::{
    FIRST_STEP, Fault, JOB, Place, Plan, World, in_files, job, memory, options, run, wait_until,
};
use snapline::base::{CheckpointId, SavepointFormat, SharedObject};
use snapline::coordinator::{JobStatus, StopMode};
use snapline::inspection::{ExportOptions, Location, export};
use snapline::runtime::{CheckpointType, JobControl, JobOptions};
use snapline::state::backend::StateBackends;
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// All shared files of a checkpoint.
fn shared(storage: &Arc<dyn CheckpointStorage>, checkpoint: CheckpointId) -> BTreeSet<SharedObject> {
    let metadata = storage.read_metadata(checkpoint).unwrap().expect("it is retained");
    metadata.checkpoint.shared.into_values().flatten().collect()
}

/// The shared files of the one checkpoint that is left.
fn shared_of_the_newest(storage: &Arc<dyn CheckpointStorage>) -> BTreeSet<SharedObject> {
    let checkpoints = storage.list().unwrap().checkpoints;
    assert_eq!(checkpoints.len(), 1, "{checkpoints:?}");
    shared(storage, *checkpoints.first().unwrap())
}

fn take(control: &JobControl, checkpoint_type: CheckpointType) -> CheckpointId {
    control.trigger_checkpoint(checkpoint_type).wait().unwrap()
}

/// C7
#[test]
fn incremental_checkpoints_refer_to_earlier_files_and_full_ones_and_savepoints_do_not() {
    let (world, storage) = (World::new(), memory());
    // Only the first step of the input comes without checkpoints, and then nothing changes any more.
    let without = JobOptions { checkpoint_interval: None, ..in_files(0) };
    let handle = job(&world, 2).start(without, Arc::clone(&storage)).unwrap();
    let has_written = || world.written.load(Ordering::SeqCst) == 2 * FIRST_STEP;
    wait_until(&handle, || has_written() && handle.progress().status == JobStatus::Running);
    world.hold_from(Some(0));
    let control = handle.control();
    let first = shared(&storage, take(&control, CheckpointType::Configured));
    assert!(!first.is_empty());
    let second = shared(&storage, take(&control, CheckpointType::Incremental));
    assert_eq!(second, first, "nothing has changed, so nothing is uploaded");
    let full = shared(&storage, take(&control, CheckpointType::Full));
    assert!(!full.is_empty() && full.is_disjoint(&first), "{full:?} has files of {first:?}");
    let behind_full = shared(&storage, take(&control, CheckpointType::Incremental));
    assert_eq!(behind_full, full);
    let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait().unwrap();
    let attempt = full.first().unwrap().file.attempt;
    let savepoint = storage.read_savepoint(savepoint, attempt).unwrap().expect("it is complete");
    assert_eq!(savepoint.checkpoint.shared, BTreeMap::new(), "a savepoint holds everything itself");
    let native = control.trigger_savepoint(SavepointFormat::Native).wait().unwrap();
    let native = storage.read_savepoint(native, attempt).unwrap().expect("it is complete");
    let copies: BTreeSet<_> = native.checkpoint.shared.into_values().flatten().collect();
    assert!(!copies.is_empty() && copies.is_disjoint(&full), "{copies:?} has files of {full:?}");
    let behind_savepoint = shared(&storage, take(&control, CheckpointType::Incremental));
    assert_eq!(behind_savepoint, full);
    world.hold_from(None);
    handle.wait().unwrap();
    world.assert_exact(2);
    let left = storage.list_shared().unwrap();
    assert_eq!(left, shared_of_the_newest(&storage), "what nobody needs any more is gone");
}

#[test]
fn incremental_checkpoints_restore_the_state_after_failures() {
    for (place, after) in
        [(Place::Process, 2), (Place::Process, 6), (Place::PreCommit, 3), (Place::Commit, 2)]
    {
        let world = World::with(Plan { place, fault: Fault::Error, after, times: 1 });
        let storage = memory();
        let summary = run(&world, 2, in_files(1), &storage).unwrap();
        world.assert_exact(2);
        // When there are few checkpoints, a late one of them may never come.
        assert_eq!(summary.progress.restarts, u32::from(world.is_plan_over()));
        assert_eq!(storage.list_shared().unwrap(), shared_of_the_newest(&storage));
    }
}

/// What was restored from files is again referred to.
#[test]
fn incremental_checkpoints_refer_to_the_files_from_which_the_job_was_restored() {
    let (world, storage) = (World::new(), memory());
    let handle = job(&world, 2).start(in_files(0), Arc::clone(&storage)).unwrap();
    handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    handle.wait().unwrap();
    let left = shared_of_the_newest(&storage);
    world.hold_from(Some(0));
    let handle = job(&world, 2).start(in_files(0), Arc::clone(&storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 0);
    let control = handle.control();
    control.switch_periodic_checkpoints(false);
    let next = shared(&storage, take(&control, CheckpointType::Incremental));
    assert!(!left.is_empty() && left.is_subset(&next), "{next:?} has not all of {left:?}");
    world.hold_from(None);
    handle.wait().unwrap();
    world.assert_exact(2);
}

#[test]
fn incremental_checkpoints_need_the_backend_that_wrote_them() {
    let (world, storage) = (World::new(), memory());
    let handle = job(&world, 2).start(in_files(0), Arc::clone(&storage)).unwrap();
    handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    handle.wait().unwrap();
    let error = run(&world, 2, options(0), &storage).unwrap_err().to_string();
    let expected = "its state lies in files of the backend `runs`, and the job's is `hashmap`";
    assert!(error.contains(expected), "{error}");
}

/// State in files of a backend is shown by whoever has that backend, and never left out in silence.
#[test]
fn incremental_checkpoints_are_exported_by_whoever_has_the_backend() {
    let (world, folder) = (World::new(), tempfile::tempdir().unwrap());
    let storage = FileSystemCheckpointStorage::open(folder.path(), JOB).unwrap();
    world.hold_from(Some(1));
    let handle = job(&world, 2).start(in_files(0), Arc::new(storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 1);
    let stopped = handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native);
    let path = stopped.wait_for_checkpoint().unwrap().external_path;
    handle.wait().unwrap();
    let location = Location::of(&path).unwrap();
    let exported = |state: Option<&str>, backends| {
        let options = ExportOptions { state: state.map(str::to_owned), backends, ..ExportOptions::default() };
        let mut states = BTreeMap::<String, u64>::new();
        export(&location, &options, &mut |entry| {
            *states.entry(entry.state.to_owned()).or_default() += 1;
            Ok(())
        })
        .map(|()| states)
    };
    let with_backend = || StateBackends::new().with(RunsStateBackendFactory);
    let all = exported(None, with_backend()).unwrap();
    assert!(all["count"] > 0 && all["next"] > 0, "{all:?}");
    assert_eq!(
        exported(Some("count"), with_backend()).unwrap(),
        BTreeMap::from([("count".to_owned(), all["count"])])
    );
    for state in [None, Some("count")] {
        let refused = exported(state, StateBackends::new()).unwrap_err().to_string();
        let named = state.map_or_else(String::new, |state| format!("the state `{state}`"));
        assert!(refused.contains(&format!("{named} lies in files of the backend `runs`")), "{refused}");
    }
    let of_operators = exported(Some("next"), StateBackends::new()).unwrap();
    assert_eq!(of_operators, BTreeMap::from([("next".to_owned(), all["next"])]));
}
