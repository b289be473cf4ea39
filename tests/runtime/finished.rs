//! Jobs of which a part comes to its end before the rest: checkpoints go on without it, and it is not started again.

use crate::common::union::{Found, job_of_two_pipelines_with_union, job_with_union};
use crate::common::{
    NUMBERS_PER_SOURCE, Place, World, job, job_of_two_pipelines, memory, options, run, wait_until,
};
use snapline::base::{CheckpointingMode, Millis, SavepointFormat, SubtaskId};
use snapline::coordinator::StopMode;
use snapline::runtime::{Job, JobEnd, JobHandle, JobOptions};
use snapline::store::CheckpointStorage;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const FIRST_SOURCE: SubtaskId = SubtaskId::new(0, 0);

/// The newest checkpoint counts these subtasks as finished.
fn had_finished(storage: &Arc<dyn CheckpointStorage>, subtasks: &[SubtaskId]) -> bool {
    let newest = || {
        let last = *storage.list().ok()?.pointers.last()?;
        storage.read_metadata(storage.read_pointer(last).ok()??.newest?).ok()?
    };
    newest().is_some_and(|newest| subtasks.iter().all(|subtask| newest.checkpoint.had_finished(*subtask)))
}

fn in_every_mode() -> [JobOptions; 4] {
    let unaligned =
        |timeout| JobOptions { unaligned: true, aligned_checkpoint_timeout: Millis(timeout), ..options(1) };
    let at_least_once = JobOptions { mode: CheckpointingMode::AtLeastOnce, ..options(1) };
    [options(1), unaligned(0), unaligned(1), at_least_once]
}

/// A job of which only the first source, and who needs nothing else, comes to its end.
fn start(
    world: &Arc<World>,
    job: Job,
    options: JobOptions,
    storage: &Arc<dyn CheckpointStorage>,
) -> JobHandle {
    world.hold_from(Some(1));
    job.start(options, Arc::clone(storage)).unwrap()
}

/// Fails the attempt, and returns once the next one has completed a checkpoint.
fn fail_and_go_on(world: &World, handle: &JobHandle) {
    world.fail_next(Place::Poll);
    wait_until(handle, || handle.progress().restarts >= 1);
    let before = handle.progress().completed;
    wait_until(handle, || handle.progress().completed > before);
}

#[test]
fn finished_source_holds_no_checkpoint_back_and_is_not_started_again() {
    for options in in_every_mode() {
        let (world, storage) = (World::new(), memory());
        let handle = start(&world, job(&world, 2), options.clone(), &storage);
        wait_until(&handle, || had_finished(&storage, &[FIRST_SOURCE]));
        let before = handle.progress().completed;
        wait_until(&handle, || handle.progress().completed >= before + 3);
        fail_and_go_on(&world, &handle);
        assert!(had_finished(&storage, &[FIRST_SOURCE]));
        let attempt = handle.progress().attempt.0;
        let started = world.state.lock().unwrap().started.clone();
        assert!(started.contains(&(attempt, 1)) && !started.contains(&(attempt, 0)), "{started:?}");
        world.hold_from(None);
        assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
        world.assert_as_required(options.mode, 2);
    }
}

#[test]
fn finished_part_of_a_job_stays_finished_with_everyone_behind_its_source() {
    for options in in_every_mode() {
        let (world, storage) = (World::new(), memory());
        let handle = start(&world, job_of_two_pipelines(&world), options.clone(), &storage);
        let first = [0, 1, 2].map(|operator| SubtaskId::new(operator, 0));
        wait_until(&handle, || had_finished(&storage, &first));
        fail_and_go_on(&world, &handle);
        assert!(had_finished(&storage, &first));
        world.hold_from(None);
        assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
        world.assert_as_required(options.mode, 2);
    }
}

#[test]
fn finished_source_stays_finished_after_the_job_was_stopped() {
    let (world, storage) = (World::new(), memory());
    let handle = start(&world, job(&world, 2), options(0), &storage);
    wait_until(&handle, || had_finished(&storage, &[FIRST_SOURCE]));
    let stopped =
        handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    assert_eq!(handle.wait().unwrap().end, JobEnd::Stopped(stopped));
    assert!(had_finished(&storage, &[FIRST_SOURCE]));
    world.hold_from(None);
    for _ in 0..2 {
        assert_eq!(run(&world, 2, options(0), &storage).unwrap().end, JobEnd::Finished);
        world.assert_exact(2);
    }
    assert_eq!(world.state.lock().unwrap().started.iter().filter(|(_, index)| *index == 0).count(), 1);
}

//= spec/subtask.md#subtask-27-a-subtask-with-a-union-list-stays-until-the-job-ends
//= type=test
//# A subtask that has a union list when the end of the data was sent MUST finish only with a terminal checkpoint.
#[test]
fn finished_data_of_a_subtask_with_a_union_list_leaves_its_items_to_the_others() {
    for options in in_every_mode() {
        let (world, storage) = (World::new(), memory());
        let (job, found) = job_with_union(&world, 2);
        let handle = start(&world, job, options.clone(), &storage);
        wait_until(&handle, || world.emitted.load(Ordering::SeqCst) == NUMBERS_PER_SOURCE);
        let before = handle.progress().completed;
        wait_until(&handle, || handle.progress().completed >= before + 5);
        assert!(!had_finished(&storage, &[FIRST_SOURCE]));
        fail_and_go_on(&world, &handle);
        let attempt = handle.progress().attempt.0;
        let found: Vec<_> =
            found.lock().unwrap().iter().filter(|found| found.attempt == attempt).cloned().collect();
        for subtask in 0..2 {
            let expected = Found { attempt, subtask, known: vec![0, 1], agreed: Some(2) };
            assert!(found.contains(&expected), "{found:?}");
        }
        world.hold_from(None);
        assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
        world.assert_as_required(options.mode, 2);
    }
}

/// What is behind such a subtask must not finish before it, or else nothing could be restored.
#[test]
fn finished_data_of_a_pipeline_whose_source_has_a_union_list_is_restored_as_a_whole() {
    for options in in_every_mode() {
        let (world, storage) = (World::new(), memory());
        let handle = start(&world, job_of_two_pipelines_with_union(&world), options.clone(), &storage);
        wait_until(&handle, || world.emitted.load(Ordering::SeqCst) == NUMBERS_PER_SOURCE);
        let before = handle.progress().completed;
        wait_until(&handle, || handle.progress().completed >= before + 5);
        assert!([0, 1, 2].iter().all(|operator| !had_finished(&storage, &[SubtaskId::new(*operator, 0)])));
        fail_and_go_on(&world, &handle);
        let stopped =
            handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
        assert_eq!(handle.wait().unwrap().end, JobEnd::Stopped(stopped));
        world.hold_from(None);
        let job = job_of_two_pipelines_with_union(&world);
        assert_eq!(job.start(options.clone(), storage).unwrap().wait().unwrap().end, JobEnd::Finished);
        world.assert_as_required(options.mode, 2);
    }
}
