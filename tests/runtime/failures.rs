//! The user's code fails everywhere it can: the job starts again from its last checkpoint and loses nothing.

use crate::common::{Fault, Place, Plan, World, memory, options, run};
use snapline::runtime::{JobEnd, JobError};

const PLACES: [Place; 12] = [
    Place::Initialize,
    Place::Poll,
    Place::SnapshotSource,
    Place::Open,
    Place::Process,
    Place::Finish,
    Place::Unfinished,
    Place::Begin,
    Place::Write,
    Place::PreCommit,
    Place::Durability,
    Place::Commit,
];

/// Whether the place is reached only when an attempt starts.
fn is_at_start(place: Place) -> bool {
    matches!(place, Place::Initialize | Place::Open | Place::Unfinished)
}

#[test]
fn failure_anywhere_restarts_from_the_last_checkpoint() {
    for place in PLACES {
        for fault in [Fault::Error, Fault::Panic] {
            let after = if is_at_start(place) { 0 } else { 2 };
            let world = World::with(Plan { place, fault, after, times: 1 });
            let summary = run(&world, 2, options(1), &memory()).unwrap();
            world.assert_exact(2);
            assert!(world.is_plan_over(), "{place:?} was not reached");
            assert_eq!(summary.end, JobEnd::Finished);
            assert_eq!(summary.progress.restarts, 1, "{place:?} {fault:?}");
            assert_eq!(summary.progress.restored_from.is_some(), after > 0, "{place:?} {fault:?}");
        }
    }
}

#[test]
fn failure_of_a_sink_is_never_tolerated() {
    for place in [Place::PreCommit, Place::Durability] {
        let world = World::with(Plan { place, fault: Fault::Error, after: 1, times: 1 });
        let mut options = options(1);
        options.tolerable_failed_checkpoints = 1_000;
        let summary = run(&world, 2, options, &memory()).unwrap();
        world.assert_exact(2);
        assert_eq!(summary.progress.restarts, 1, "{place:?}");
    }
}

#[test]
fn failure_of_a_source_snapshot_is_tolerated_as_often_as_allowed() {
    let plan = Plan { place: Place::SnapshotSource, fault: Fault::Error, after: 1, times: 3 };
    let mut allowed = options(0);
    // Two sources may fail for the same checkpoint: only one of them counts.
    allowed.tolerable_failed_checkpoints = 3;
    let world = World::with(plan);
    let summary = run(&world, 2, allowed.clone(), &memory()).unwrap();
    world.assert_exact(2);
    assert!(summary.progress.aborted >= 2);
    let world = World::with(Plan { times: 100, ..plan });
    let error = run(&world, 2, allowed, &memory()).unwrap_err();
    assert!(matches!(error, JobError::CheckpointsFailed { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("numbers, subtask ") && text.contains("planned"), "{text}");
    world.assert_not_wrong(2);
}

#[test]
fn failure_after_the_last_restart_names_operator_and_cause() {
    for (place, operator) in [(Place::Poll, "numbers"), (Place::Process, "count"), (Place::Write, "memory")] {
        for fault in [Fault::Error, Fault::Panic] {
            let world = World::with(Plan { place, fault, after: 1, times: u64::MAX });
            let error = run(&world, 2, options(2), &memory()).unwrap_err();
            let text = error.to_string();
            assert!(matches!(error, JobError::TaskFailed { .. }), "{text}");
            assert!(text.starts_with(operator) && text.contains(&format!("planned at {place:?}")), "{text}");
            let times = world.state.lock().unwrap().plan.unwrap().times;
            assert!(u64::MAX - times >= 3, "three attempts have failed");
            world.assert_not_wrong(2);
        }
    }
}

#[test]
fn failure_that_would_repeat_itself_ends_the_job_at_once() {
    for place in PLACES.into_iter().filter(|place| !matches!(place, Place::Open | Place::SnapshotSource)) {
        let world = World::with(Plan { place, fault: Fault::Unrecoverable, after: 0, times: 1 });
        let error = run(&world, 2, options(5), &memory()).unwrap_err();
        assert!(matches!(error, JobError::TaskFailed { .. }), "{place:?}: {error}");
        world.assert_not_wrong(2);
    }
}

#[test]
fn failure_while_rolling_back_restarts_once_more() {
    let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 1, times: 1 });
    let storage = memory();
    run(&world, 2, options(0), &storage).unwrap_err();
    world.state.lock().unwrap().plan =
        Some(Plan { place: Place::RollBack, fault: Fault::Error, after: 0, times: 1 });
    run(&world, 2, options(2), &storage).unwrap();
    world.assert_exact(2);
}
