//! Jobs without failures of the user's code: parallelism, back-pressure, stopping, timeouts, limits, mistakes.

use crate::common::{JOB, Place, World, is_taken_over, job, memory, options, run};
use snapline::base::{Millis, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::runtime::{JobEnd, JobError};
use snapline::store::{CheckpointStorage, JobManagerCheckpointStorage, JobManagerLimits};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

#[test]
fn job_of_any_parallelism_is_exact() {
    for parallelism in 1..=4 {
        let world = World::new();
        run(&world, parallelism, options(0), &memory()).unwrap();
        world.assert_exact(parallelism);
    }
}

#[test]
fn job_with_concurrent_checkpoints_is_exact() {
    let world = World::new();
    let mut options = options(0);
    options.max_concurrent_checkpoints = 2;
    options.retained_checkpoints = 3;
    run(&world, 3, options, &memory()).unwrap();
    world.assert_exact(3);
}

#[test]
fn job_without_room_in_its_channels_is_exact() {
    let world = World::new();
    let mut options = options(0);
    (options.channel_capacity, options.batch_records) = (0, 0);
    run(&world, 2, options, &memory()).unwrap();
    world.assert_exact(2);
}

#[test]
fn job_with_a_slow_sink_holds_its_sources_back() {
    let world = World::new();
    world.close(Place::Write);
    let handle = job(&world, 1).start(options(0), memory()).unwrap();
    world.wait_for_arrival();
    // Four batches of 16 in the two channels, and one in each of three hands; a poll emits 10.
    let bound = 16 * (2 + 2 + 3) + 10;
    let mut last = u64::MAX;
    // The source is held back once it stands still; it must never pass the bound.
    for _ in 0..50 {
        assert!(!handle.wait_timeout(Duration::from_millis(1)));
        last = world.emitted.load(Ordering::SeqCst);
        assert!(last <= bound, "{last}");
    }
    assert!(last > 0);
    world.open_again();
    handle.wait().unwrap();
    world.assert_exact(1);
}

#[test]
fn job_that_is_stopped_goes_on_where_it_was() {
    let (world, storage) = (World::new(), memory());
    for stops in 0.. {
        let handle = job(&world, 2).start(options(0), Arc::clone(&storage)).unwrap();
        if stops < 5 {
            drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
        }
        let summary = handle.wait().unwrap();
        assert_eq!(summary.progress.restored_from.is_some(), stops > 0);
        if summary.end == JobEnd::Finished {
            break;
        }
        assert!(matches!(summary.end, JobEnd::Stopped(_)));
    }
    world.assert_exact(2);
}

#[test]
fn job_that_is_finished_finishes_again_without_output() {
    let (world, storage) = (World::new(), memory());
    for _ in 0..3 {
        assert_eq!(run(&world, 2, options(0), &storage).unwrap().end, JobEnd::Finished);
        world.assert_exact(2);
    }
}

#[test]
fn job_that_is_taken_over_stops_and_leaves_everything_to_the_other() {
    let storage = memory();
    is_taken_over(|| Arc::clone(&storage));
}

#[test]
fn checkpoint_that_takes_too_long_is_given_up() {
    let world = World::new();
    world.close(Place::Durability);
    let mut options = options(0);
    options.checkpoint_timeout = Millis(5);
    let handle = job(&world, 2).start(options, memory()).unwrap();
    while handle.progress().aborted == 0 {
        let _ = handle.wait_timeout(Duration::from_millis(1));
    }
    world.open_again();
    let error = handle.wait().unwrap_err().to_string();
    assert!(error.contains("not complete after 5"), "{error}");
}

#[test]
fn checkpoint_waits_for_the_transactions_of_one_that_was_given_up() {
    let world = World::new();
    world.close(Place::Durability);
    let mut options = options(0);
    options.checkpoint_timeout = Millis(250);
    options.tolerable_failed_checkpoints = u32::MAX;
    let handle = job(&world, 1).start(options, memory()).unwrap();
    world.wait_for_arrival();
    loop {
        let progress = handle.progress();
        if progress.aborted >= 3 || progress.completed >= 1 {
            break;
        }
        assert!(!handle.wait_timeout(Duration::from_millis(1)));
    }
    world.open_again();
    handle.wait().unwrap();
    world.assert_exact(1);
}

#[test]
fn checkpoint_with_too_much_state_names_the_limit() {
    let world = World::new();
    let storage: Arc<dyn CheckpointStorage> = Arc::new(JobManagerCheckpointStorage::with_limits(
        JOB,
        JobManagerLimits { max_state_bytes: 10, ..JobManagerLimits::default() },
    ));
    let error = run(&world, 2, options(1), &storage).unwrap_err();
    assert!(matches!(error, JobError::CheckpointsFailed { .. }));
    assert!(error.to_string().contains("more than the 10 that are kept in memory"), "{error}");
    world.assert_not_wrong(2);
}

#[test]
fn checkpoint_of_other_max_parallelism_is_refused() {
    let (world, storage) = (World::new(), memory());
    run(&world, 2, options(0), &storage).unwrap();
    let error = run(&world, 129, options(3), &storage).unwrap_err();
    assert!(matches!(error, JobError::Incompatible { .. }), "{error}");
    world.assert_exact(2);
}

/// Which subtask finishes first is a matter of chance.
#[test]
fn job_that_is_stopped_at_once_always_ends() {
    for _ in 0..200 {
        let world = World::new();
        world.hold_from(Some(1));
        let handle = job(&world, 2).start(options(0), memory()).unwrap();
        drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
        let summary = handle.wait().unwrap();
        assert!(matches!(summary.end, JobEnd::Stopped(_)));
    }
}

#[test]
fn options_that_make_no_sense_start_nothing() {
    for change in [0, 1] {
        let world = World::new();
        let mut options = options(0);
        if change == 0 {
            options.max_concurrent_checkpoints = 0
        } else {
            options.retained_checkpoints = 0
        }
        let result = job(&world, 1).start(options, memory());
        assert!(matches!(result, Err(JobError::Invalid(_))));
    }
}
