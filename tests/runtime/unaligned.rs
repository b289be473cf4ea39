//! Jobs whose barriers overtake: what is on its way becomes part of the checkpoint and comes back from it, once.

use crate::common::faulty::{Failure, Faulty};
use crate::common::{Fault, Place, Plan, World, job, memory, options, run};
use snapline::base::{CheckpointingMode, Millis, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::runtime::{CheckpointType, JobEnd, JobError, JobHandle, JobOptions};
use snapline::state::{ChannelSide, SnapshotImage};
use snapline::store::CheckpointStorage;
use std::sync::Arc;
use std::time::Duration;

/// Barriers overtake what they find `timeout` after the trigger.
pub fn unaligned(timeout: u64, attempts: u32) -> JobOptions {
    JobOptions { unaligned: true, aligned_checkpoint_timeout: Millis(timeout), ..options(attempts) }
}

/// A job with one slow sink, and so with full channels of single records.
fn start_slowly(world: &Arc<World>, options: JobOptions, storage: &Arc<dyn CheckpointStorage>) -> JobHandle {
    world.give_room(Some(0));
    let options = JobOptions { batch_records: 1, channel_capacity: 8, ..options };
    job(world, 1).start(options, Arc::clone(storage)).unwrap()
}

/// Lets the sink write a record now and then until `is_so`, which must be before the job is through.
fn go_on_until(world: &World, handle: &JobHandle, is_so: impl Fn() -> bool) {
    while !is_so() {
        world.give_room_for_one();
        assert!(!handle.wait_timeout(Duration::from_millis(1)), "the job has ended before");
    }
}

/// Has the job take one checkpoint after another until `is_so` of the newest, which must be before the job is through; from then
/// on it takes only those that are asked for. Sinks write only while one is under way, so that channels stay full.
pub fn take_checkpoints_until(world: &World, handle: &JobHandle, is_so: impl Fn() -> bool) {
    let control = handle.control();
    control.switch_periodic_checkpoints(false);
    loop {
        let asked = control.trigger_checkpoint(CheckpointType::Configured);
        let answer = loop {
            match asked.wait_timeout(Duration::from_millis(1)) {
                Some(answer) => break answer,
                None => world.give_room_for_one(),
            }
        };
        if answer.is_ok() && is_so() {
            return;
        }
        assert!(!handle.wait_timeout(Duration::from_millis(1)), "the job has ended before");
    }
}

/// Lets the job run to its end, with periodic checkpoints.
pub fn go_on_freely(world: &World, handle: &JobHandle) {
    world.give_room(None);
    handle.control().switch_periodic_checkpoints(true);
}

/// How many records the newest checkpoint holds of the inputs and of the outputs.
fn captured(storage: &Arc<dyn CheckpointStorage>) -> Option<(u64, u64)> {
    let last = *storage.list().ok()?.pointers.last()?;
    let newest = storage.read_pointer(last).ok()??.newest?;
    let mut sums = (0, 0);
    for handle in storage.read_metadata(newest).ok()??.checkpoint.states.values().flatten() {
        let image = SnapshotImage::read_from(storage.read_state(handle).ok()?, None).ok()?;
        let sum = |side| image.channels.channels(side).values().map(|records| records.count()).sum::<u64>();
        sums = (sums.0 + sum(ChannelSide::Input), sums.1 + sum(ChannelSide::Output));
    }
    Some(sums)
}

/// Whether the newest checkpoint holds records of both.
pub fn has_captured(storage: &Arc<dyn CheckpointStorage>) -> bool {
    captured(storage).is_some_and(|(inputs, outputs)| inputs > 0 && outputs > 0)
}

#[test]
fn unaligned_jobs_of_any_parallelism_are_exact() {
    for parallelism in 1..=3 {
        for timeout in [0, 1] {
            let world = World::new();
            run(&world, parallelism, unaligned(timeout, 0), &memory()).unwrap();
            world.assert_exact(parallelism);
        }
    }
}

#[test]
fn unaligned_failure_anywhere_restarts_from_the_last_checkpoint() {
    let places = [
        Place::Poll,
        Place::SnapshotSource,
        Place::Process,
        Place::Finish,
        Place::Begin,
        Place::Write,
        Place::PreCommit,
        Place::Durability,
        Place::Commit,
    ];
    for place in places {
        for timeout in [0, 1] {
            let world = World::with(Plan { place, fault: Fault::Error, after: 2, times: 1 });
            let summary = run(&world, 2, unaligned(timeout, 1), &memory()).unwrap();
            world.assert_exact(2);
            assert!(world.is_plan_over(), "{place:?} was not reached");
            assert_eq!(summary.progress.restarts, 1, "{place:?}");
        }
    }
}

/// With an aligned checkpoint everything ahead of the barrier would have to be written first.
#[test]
fn unaligned_checkpoint_completes_with_full_channels_and_gives_back_what_was_on_its_way() {
    for timeout in [0, 5] {
        let (world, storage) = (World::new(), memory());
        let handle = start_slowly(&world, unaligned(timeout, 1), &storage);
        take_checkpoints_until(&world, &handle, || has_captured(&storage));
        world.fail_next(Place::Write);
        go_on_freely(&world, &handle);
        let summary = handle.wait().unwrap();
        assert_eq!(summary.progress.restarts, 1);
        world.assert_exact(1);
    }
}

#[test]
fn unaligned_checkpoint_that_is_taken_while_restored_records_are_processed_holds_them_too() {
    let (world, storage) = (World::new(), memory());
    let handle = start_slowly(&world, unaligned(0, 3), &storage);
    for _ in 0..3 {
        take_checkpoints_until(&world, &handle, || has_captured(&storage));
        world.fail_next(Place::Write);
        go_on_until(&world, &handle, || world.is_plan_over());
    }
    go_on_freely(&world, &handle);
    assert_eq!(handle.wait().unwrap().progress.restarts, 3);
    world.assert_exact(1);
}

/// The files hold what was captured; those of one checkpoint are written, and cannot be closed.
#[test]
fn unaligned_checkpoint_completes_after_the_capture_of_another_could_not_be_closed() {
    let world = World::new();
    let faulty = Arc::new(Faulty::new(&memory(), Failure::Close, u64::MAX));
    let storage: Arc<dyn CheckpointStorage> = Arc::clone(&faulty) as _;
    let options = JobOptions { tolerable_failed_checkpoints: 1, ..unaligned(0, 0) };
    let handle = start_slowly(&world, options, &storage);
    take_checkpoints_until(&world, &handle, || has_captured(&storage));
    faulty.fail_now();
    let newest = || handle.progress().last.map(|last| last.id);
    let is_unclosed_behind = || faulty.unclosed().is_some_and(|unclosed| newest() > Some(unclosed));
    take_checkpoints_until(&world, &handle, is_unclosed_behind);
    assert!(handle.progress().aborted >= 1);
    take_checkpoints_until(&world, &handle, || has_captured(&storage));
    go_on_freely(&world, &handle);
    assert_eq!(handle.wait().unwrap().progress.restarts, 0);
    world.assert_exact(1);
}

#[test]
fn unaligned_checkpoint_captures_nothing_before_its_time() {
    for options in [options(0), unaligned(600_000, 0)] {
        let (world, storage) = (World::new(), memory());
        let handle = start_slowly(&world, options, &storage);
        go_on_until(&world, &handle, || handle.progress().completed >= 2);
        assert_eq!(captured(&storage), Some((0, 0)));
        world.give_room(None);
        handle.wait().unwrap();
        world.assert_exact(1);
    }
}

#[test]
fn unaligned_jobs_stop_with_an_aligned_checkpoint() {
    let (world, storage) = (World::new(), memory());
    let handle = start_slowly(&world, unaligned(0, 0), &storage);
    take_checkpoints_until(&world, &handle, || has_captured(&storage));
    drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
    world.give_room(None);
    assert!(matches!(handle.wait().unwrap().end, JobEnd::Stopped(_)));
    assert_eq!(captured(&storage), Some((0, 0)));
    run(&world, 1, options(0), &storage).unwrap();
    world.assert_exact(1);
}

#[test]
fn unaligned_state_is_restored_by_a_job_that_is_aligned() {
    let (world, storage) = (World::new(), memory());
    let handle = start_slowly(&world, unaligned(0, 0), &storage);
    take_checkpoints_until(&world, &handle, || has_captured(&storage));
    world.fail_next(Place::Write);
    world.give_room(None);
    handle.wait().unwrap_err();
    run(&world, 1, options(1), &storage).unwrap();
    world.assert_exact(1);
}

#[test]
fn unaligned_options_that_contradict_each_other_are_refused() {
    let at_least_once = JobOptions { mode: CheckpointingMode::AtLeastOnce, ..unaligned(0, 0) };
    let concurrent = JobOptions { max_concurrent_checkpoints: 2, ..unaligned(0, 0) };
    for options in [at_least_once, concurrent] {
        let refused = job(&World::new(), 1).start(options, memory());
        assert!(matches!(refused, Err(JobError::Invalid(_))));
    }
}

/// Z41: three subtasks of each operator, which fail again and again after 2 to 10 checkpoints, at any place.
#[test]
fn unaligned_job_that_fails_every_few_checkpoints_is_exact() {
    const FAILURES: u32 = 12;
    let places = [Place::Write, Place::Process, Place::SnapshotSource, Place::PreCommit, Place::Commit];
    for timeout in [0, 2] {
        let (world, storage) = (World::new(), memory());
        world.give_room(Some(0));
        let options = JobOptions { batch_records: 4, channel_capacity: 4, ..unaligned(timeout, FAILURES) };
        let handle = job(&world, 3).start(options, Arc::clone(&storage)).unwrap();
        let mut has_captured = false;
        for failure in 0..FAILURES {
            let until = handle.progress().completed + u64::from(2 + failure * 5 % 9);
            go_on_until(&world, &handle, || handle.progress().completed >= until);
            has_captured |= captured(&storage).is_some_and(|(inputs, outputs)| inputs + outputs > 0);
            world.fail_next(places[failure as usize % places.len()]);
            go_on_until(&world, &handle, || world.is_plan_over());
        }
        world.give_room(None);
        assert_eq!(handle.wait().unwrap().progress.restarts, FAILURES);
        world.assert_exact(3);
        assert!(has_captured, "no checkpoint held a record on its way");
    }
}
