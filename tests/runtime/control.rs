//! What users ask of a running job, and what they are told.

use crate::common::{Place, World, job, memory, options, run, wait_until};
use snapline::base::{CheckpointKind, Millis, SavepointFormat};
use snapline::coordinator::{AbortReason, ClaimMode, JobStatus, Refusal, Retention, StopMode};
use snapline::runtime::{
    CheckpointEnd, CheckpointHistory, CheckpointType, GivenCheckpoint, JobControl, JobEnd, JobHandle,
    JobOptions, RequestError,
};
use snapline::store::CheckpointStorage;
use std::sync::Arc;
use std::time::Duration;

fn start(world: &Arc<World>, options: JobOptions, storage: &Arc<dyn CheckpointStorage>) -> JobHandle {
    job(world, 2).start(options, Arc::clone(storage)).unwrap()
}

/// A job that has taken a checkpoint and does not come to its end.
fn start_held(world: &Arc<World>, options: JobOptions, storage: &Arc<dyn CheckpointStorage>) -> JobHandle {
    world.hold_from(Some(0));
    let handle = start(world, options, storage);
    wait_until(&handle, || handle.progress().completed > 0);
    handle
}

/// Whether a job that is started now goes on from somewhere.
fn is_restored(world: &Arc<World>, storage: &Arc<dyn CheckpointStorage>) -> bool {
    world.hold_from(Some(0));
    let handle = start(world, options(0), storage);
    handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    handle.wait().unwrap().progress.restored_from.is_some()
}

fn stop(control: &JobControl) {
    control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
}

#[test]
fn control_checkpoint_and_savepoint_are_answered_when_they_are_complete() {
    let (world, storage) = (World::new(), memory());
    let handle = start_held(&world, options(0), &storage);
    let control = handle.control();
    control.switch_periodic_checkpoints(false);
    let first = control.trigger_checkpoint(CheckpointType::Configured).wait().unwrap();
    let kinds = [
        (CheckpointType::Full, CheckpointKind::Full),
        (CheckpointType::Incremental, CheckpointKind::Periodic),
    ];
    let mut expected = first;
    for (checkpoint_type, kind) in kinds {
        expected = expected.next();
        assert_eq!(control.trigger_checkpoint(checkpoint_type).wait(), Ok(expected), "nothing came between");
        let last = handle.progress().last.unwrap();
        assert_eq!((last.id, last.kind), (expected, kind));
    }
    assert_eq!(control.trigger_savepoint(SavepointFormat::Canonical).wait(), Ok(expected.next()));
    assert_eq!(handle.progress().last.unwrap().kind, CheckpointKind::Savepoint);
    let completed = handle.progress().completed;
    control.switch_periodic_checkpoints(true);
    wait_until(&handle, || handle.progress().completed >= completed + 2);
    world.hold_from(None);
    assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
    world.assert_exact(2);
}

#[test]
fn control_backlog_of_a_source_keeps_periodic_checkpoints_back_and_no_others() {
    let (world, storage) = (World::new(), memory());
    let options = JobOptions { interval_during_backlog: Some(Millis(0)), ..options(0) };
    let handle = start_held(&world, options, &storage);
    let control = handle.control();
    let request = || control.trigger_checkpoint(CheckpointType::Configured).wait().unwrap();
    world.state.lock().unwrap().has_backlog = true;
    // The sources tell of it in their own time.
    wait_until(&handle, || {
        let before = request();
        !handle.wait_timeout(Duration::from_millis(10)) && request() == before.next()
    });
    world.state.lock().unwrap().has_backlog = false;
    let completed = handle.progress().completed;
    wait_until(&handle, || handle.progress().completed >= completed + 2);
    world.hold_from(None);
    handle.wait().unwrap();
    world.assert_exact(2);
}

#[test]
fn control_job_without_periodic_checkpoints_takes_those_that_are_asked_for() {
    let (world, storage) = (World::new(), memory());
    world.hold_from(Some(0));
    let handle = start(&world, JobOptions { checkpoint_interval: None, ..options(0) }, &storage);
    let control = handle.control();
    wait_until(&handle, || control.trigger_checkpoint(CheckpointType::Configured).wait().is_ok());
    stop(&control);
    assert!(matches!(handle.wait().unwrap().end, JobEnd::Stopped(_)));
}

#[test]
fn control_stop_that_suspends_names_the_savepoint_that_the_job_goes_on_from() {
    let (world, storage) = (World::new(), memory());
    let handle = start_held(&world, options(0), &storage);
    let savepoint =
        handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    assert_eq!(handle.wait().unwrap().end, JobEnd::Stopped(savepoint));
    assert!(world.committed().iter().all(|(_, count)| *count < u64::MAX), "nothing was finished");
    world.hold_from(None);
    let summary = run(&world, 2, options(0), &storage).unwrap();
    assert_eq!(summary.progress.restored_from, Some(savepoint));
    world.assert_exact(2);
}

#[test]
fn control_stop_that_drains_emits_what_was_held_back_and_finishes_early() {
    for interval in [Some(Millis(1)), None] {
        let (world, storage) = (World::new(), memory());
        world.hold_from(Some(1));
        let handle = start(&world, JobOptions { checkpoint_interval: interval, ..options(0) }, &storage);
        wait_until(&handle, || world.emitted.load(std::sync::atomic::Ordering::SeqCst) > 0);
        world.hold_from(Some(0));
        let drained = handle.control().stop_with_savepoint(StopMode::Drain, SavepointFormat::Native);
        let savepoint = drained.wait().unwrap();
        let summary = handle.wait().unwrap();
        assert_eq!(summary.end, JobEnd::Finished);
        let last = summary.progress.last.unwrap();
        assert_eq!((last.id, last.kind), (savepoint, CheckpointKind::Stop));
        world.assert_not_wrong(2);
        let committed = world.committed();
        let finished = committed.iter().filter(|(_, count)| *count == u64::MAX).count();
        assert!(finished > 0, "what was held back is emitted");
        let emitted = world.emitted.load(std::sync::atomic::Ordering::SeqCst);
        assert_eq!(committed.len() - finished, emitted as usize, "everything that was read is committed");
    }
}

#[test]
fn control_cancelled_job_keeps_or_deletes_its_checkpoints_as_it_was_told() {
    let kept = [
        (Retention::RETAIN_ALWAYS, true),
        (Retention::RETAIN_ON_CANCELLATION, true),
        (Retention::DELETE_ON_CANCELLATION, false),
        (Retention::NO_EXTERNALIZED_CHECKPOINTS, false),
    ];
    for (externalized_checkpoint_retention, is_kept) in kept {
        let (world, storage) = (World::new(), memory());
        let options = JobOptions { externalized_checkpoint_retention, ..options(3) };
        let handle = start_held(&world, options, &storage);
        handle.control().cancel();
        assert_eq!(handle.wait().unwrap().end, JobEnd::Cancelled);
        assert_eq!(storage.list().unwrap().checkpoints.is_empty(), !is_kept);
        assert_eq!(is_restored(&world, &storage), is_kept, "{externalized_checkpoint_retention:?}");
    }
}

#[test]
fn control_cancel_with_savepoint_commits_nothing_that_the_savepoint_does_not_hold() {
    let (world, storage) = (World::new(), memory());
    world.hold_from(Some(1));
    let handle = start(&world, JobOptions { max_concurrent_checkpoints: 9, ..options(0) }, &storage);
    wait_until(&handle, || handle.progress().completed > 0);
    let (watch, attempt) = (handle.watch(), handle.progress().attempt);
    world.close(Place::SnapshotSource);
    let cancelled = handle.control().cancel_with_savepoint(SavepointFormat::Canonical);
    world.wait_for_arrival();
    assert!(!handle.wait_timeout(Duration::from_millis(20)), "others would be taken meanwhile");
    world.open_again();
    let savepoint = cancelled.wait_for_checkpoint().unwrap();
    assert_eq!(savepoint.external_path, storage.savepoint_name(savepoint.id, attempt));
    let summary = handle.wait().unwrap();
    assert_eq!(summary.end, JobEnd::Cancelled);
    assert_eq!(summary.progress.status, JobStatus::Canceled);
    let last = summary.progress.last.unwrap();
    assert_eq!((last.id, last.kind), (savepoint.id, CheckpointKind::Savepoint), "nothing came after it");
    let history = watch.checkpoints();
    let all = history.ended.iter().map(|ended| ended.id).chain(history.in_progress.into_keys());
    assert_eq!(all.max(), Some(savepoint.id), "nothing was triggered after it");
    world.hold_from(None);
    let metadata = storage.read_savepoint(savepoint.id, attempt).unwrap().unwrap();
    let given = GivenCheckpoint::new(storage, metadata, ClaimMode::NoClaim);
    run(&world, 2, JobOptions { restore: Some(given), ..options(0) }, &memory()).unwrap();
    world.assert_exact(2);
}

#[test]
fn control_cancel_with_savepoint_that_fails_leaves_the_job_and_its_periodic_checkpoints() {
    let world = World::new();
    world.close(Place::Process);
    let options =
        JobOptions { checkpoint_timeout: Millis(250), tolerable_failed_checkpoints: u32::MAX, ..options(0) };
    let handle = start(&world, options, &memory());
    world.wait_for_arrival();
    wait_until(&handle, || handle.progress().aborted > 0);
    let control = handle.control();
    let cancelled = control.cancel_with_savepoint(SavepointFormat::Canonical).wait();
    assert!(
        matches!(cancelled, Err(RequestError::Aborted { reason: AbortReason::Expired, .. })),
        "{cancelled:?}"
    );
    let aborted = handle.progress().aborted;
    wait_until(&handle, || handle.progress().aborted > aborted);
    // Who has switched them off does not want them back.
    control.switch_periodic_checkpoints(false);
    control.cancel_with_savepoint(SavepointFormat::Canonical).wait().unwrap_err();
    let taken = control.trigger_checkpoint(CheckpointType::Configured).wait();
    let Err(RequestError::Aborted { checkpoint, .. }) = taken else { panic!("{taken:?}") };
    let next = control.trigger_checkpoint(CheckpointType::Configured).wait();
    let Err(RequestError::Aborted { checkpoint: next, .. }) = next else { panic!("{next:?}") };
    assert_eq!(next, checkpoint.next(), "nothing came between");
    control.switch_periodic_checkpoints(true);
    world.open_again();
    assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
    world.assert_exact(2);
}

#[test]
fn control_watch_tells_the_status_of_a_job_to_its_end() {
    let world = World::new();
    world.close(Place::Open);
    let handle = start(&world, options(1), &memory());
    let watch = handle.watch();
    world.wait_for_arrival();
    assert_eq!(watch.progress().status, JobStatus::Initializing);
    world.hold_from(Some(0));
    world.open_again();
    wait_until(&handle, || watch.progress().status == JobStatus::Running);
    world.close(Place::Open);
    world.fail_next(Place::Poll);
    wait_until(&handle, || watch.progress().status == JobStatus::Restarting);
    world.open_again();
    wait_until(&handle, || watch.progress().status == JobStatus::Running);
    world.fail_next(Place::Poll);
    handle.wait().unwrap_err();
    assert_eq!(watch.progress().status, JobStatus::Failed);
    assert_eq!(watch.operators().len(), 3);
}

#[test]
fn control_history_tells_what_became_of_checkpoints() {
    let (world, storage) = (World::new(), memory());
    let handle = start_held(&world, options(1), &storage);
    let (watch, control) = (handle.watch(), handle.control());
    let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait_for_checkpoint().unwrap();
    let latest = watch.checkpoints().latest_savepoint.unwrap();
    let Some(CheckpointEnd::Completed { at, bytes, external_path }) = latest.end else { panic!() };
    assert_eq!((latest.id, external_path), (savepoint.id, savepoint.external_path));
    assert!(bytes > 0 && at >= latest.latest_acknowledgement.unwrap(), "{at}, {bytes}");
    assert!(latest.latest_acknowledgement.unwrap() >= latest.triggered);
    assert_eq!((latest.subtasks, latest.acknowledged), (6, 6));
    wait_until(&handle, || handle.progress().completed > 20);
    control.switch_periodic_checkpoints(false);
    let last = control.trigger_checkpoint(CheckpointType::Full).wait_for_checkpoint().unwrap();
    assert_eq!(last.external_path, storage.checkpoint_name(last.id));
    let history = watch.checkpoints();
    assert_eq!(history.ended.len(), 10);
    assert_eq!(history.ended.back(), history.latest_completed.as_ref());
    assert_eq!(history.completed, handle.progress().completed);
    assert_eq!(history.latest_completed.unwrap().kind, CheckpointKind::Full);
    assert_eq!((history.in_progress.len(), history.failed, history.restored), (0, 0, 0));
    // One that is cut off by a failure, from which the job is restored.
    world.close(Place::SnapshotSource);
    let failed = control.trigger_checkpoint(CheckpointType::Configured);
    let under_way = |history: CheckpointHistory| history.in_progress.into_keys().next();
    wait_until(&handle, || under_way(watch.checkpoints()) == Some(last.id.next()));
    world.fail_next(Place::SnapshotSource);
    world.open_again();
    failed.wait().unwrap_err();
    wait_until(&handle, || handle.progress().restarts > 0);
    let history = watch.checkpoints();
    let (cut_off, restored) = (history.latest_failed.unwrap(), history.latest_restored.unwrap());
    assert!(matches!(cut_off.end, Some(CheckpointEnd::Failed { .. })), "{cut_off:?}");
    assert_eq!((cut_off.id, history.failed), (last.id.next(), 1));
    assert_eq!((restored.id, restored.kind, history.restored), (last.id, CheckpointKind::Full, 1));
    control.cancel();
    handle.wait().unwrap();
}

#[test]
fn control_failed_job_keeps_or_deletes_its_checkpoints_as_it_was_told() {
    let kept = [(Retention::DELETE_ON_CANCELLATION, true), (Retention::NO_EXTERNALIZED_CHECKPOINTS, false)];
    for (externalized_checkpoint_retention, is_kept) in kept {
        let (world, storage) = (World::new(), memory());
        let options = JobOptions { externalized_checkpoint_retention, ..options(0) };
        let handle = start_held(&world, options, &storage);
        world.fail_next(Place::Poll);
        handle.wait().unwrap_err();
        assert_eq!(is_restored(&world, &storage), is_kept, "{externalized_checkpoint_retention:?}");
    }
}

#[test]
fn control_suspended_job_keeps_everything_and_goes_on_elsewhere() {
    let (world, storage) = (World::new(), memory());
    let externalized_checkpoint_retention = Retention::NO_EXTERNALIZED_CHECKPOINTS;
    let options = JobOptions { externalized_checkpoint_retention, ..options(3) };
    let handle = start_held(&world, options.clone(), &storage);
    handle.control().suspend();
    assert_eq!(handle.wait().unwrap().end, JobEnd::Suspended);
    world.hold_from(None);
    let summary = run(&world, 2, options, &storage).unwrap();
    assert!(summary.progress.restored_from.is_some());
    world.assert_exact(2);
    assert!(storage.list().unwrap().checkpoints.is_empty(), "a job that has finished needs none");
}

#[test]
fn control_request_that_cannot_be_served_says_why() {
    let world = World::new();
    world.close(Place::Open);
    let handle = start(&world, options(0), &memory());
    world.wait_for_arrival();
    let control = handle.control();
    let refused = |refusal| Err(RequestError::Refused(refusal));
    assert_eq!(
        control.trigger_savepoint(SavepointFormat::Canonical).wait(),
        refused(Refusal::TasksNotRunning)
    );
    let first = control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native);
    assert_eq!(
        control.stop_with_savepoint(StopMode::Drain, SavepointFormat::Native).wait(),
        refused(Refusal::JobEnding)
    );
    assert_eq!(first.wait_timeout(Duration::ZERO), None);
    world.open_again();
    let stopped = first.wait().unwrap();
    assert_eq!(handle.wait().unwrap().end, JobEnd::Stopped(stopped));
    assert_eq!(control.trigger_checkpoint(CheckpointType::Full).wait(), refused(Refusal::JobEnding));
    control.cancel();
}

#[test]
fn control_request_beyond_the_queue_is_refused_and_the_others_are_answered() {
    let world = World::new();
    world.close(Place::Durability);
    let handle = start(&world, options(0), &memory());
    world.wait_for_arrival();
    let control = handle.control();
    let requests: Vec<_> =
        (0..=1_000).map(|_| control.trigger_checkpoint(CheckpointType::Configured)).collect();
    let surplus = requests.last().unwrap().wait_timeout(Duration::from_secs(60));
    assert_eq!(surplus, Some(Err(RequestError::Refused(Refusal::TooManyRequests))));
    let stop = control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native);
    world.open_again();
    stop.wait().unwrap();
    let rest: Vec<_> = requests.into_iter().take(1_000).map(|request| request.wait()).collect();
    assert!(rest.iter().all(|answer| *answer == Err(RequestError::Refused(Refusal::JobEnding))));
    handle.wait().unwrap();
}

#[test]
fn control_request_whose_checkpoint_fails_is_told_and_the_stuck_job_goes_on() {
    let world = World::new();
    world.close(Place::Process);
    let options =
        JobOptions { checkpoint_timeout: Millis(250), tolerable_failed_checkpoints: u32::MAX, ..options(0) };
    let handle = start(&world, options, &memory());
    world.wait_for_arrival();
    wait_until(&handle, || handle.progress().aborted > 0);
    let savepoint = handle.control().trigger_savepoint(SavepointFormat::Canonical).wait();
    assert!(
        matches!(savepoint, Err(RequestError::Aborted { reason: AbortReason::Expired, .. })),
        "{savepoint:?}"
    );
    wait_until(&handle, || handle.progress().aborted >= 3);
    world.open_again();
    let summary = handle.wait().unwrap();
    assert_eq!((summary.end, summary.progress.restarts), (JobEnd::Finished, 0));
    world.assert_exact(2);
}

#[test]
fn control_attempt_ends_although_an_upload_of_it_is_blocked() {
    let world = World::new();
    world.close(Place::Durability);
    let handle = job(&world, 1).start(options(1), memory()).unwrap();
    world.wait_for_arrival();
    world.fail_next(Place::Poll);
    wait_until(&handle, || handle.progress().attempt.0 >= 2);
    world.open_again();
    assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
    world.assert_exact(1);
}

#[test]
fn control_progress_tells_how_long_the_parts_of_a_checkpoint_took() {
    let world = World::new();
    world.close(Place::Durability);
    let handle = start(&world, options(0), &memory());
    world.wait_for_arrival();
    assert!(!handle.wait_timeout(Duration::from_millis(20)));
    world.hold_from(Some(0));
    world.open_again();
    let summary = || handle.progress().last;
    wait_until(&handle, || summary().is_some());
    let first = summary().unwrap();
    if first.id.0 == 1 {
        assert!(first.longest.asynchronous >= Millis(20), "{first:?}");
        assert!(first.duration >= first.longest.asynchronous, "{first:?}");
        assert!(first.bytes > 0, "{first:?}");
    }
    handle.control().cancel();
    handle.wait().unwrap();
}

/// The length of a checkpoint is measured from its trigger, that of an alignment from the first barrier on.
#[test]
fn control_progress_tells_how_long_an_alignment_took() {
    let (world, storage) = (World::new(), memory());
    world.hold_from(Some(0));
    let options = JobOptions { checkpoint_interval: None, ..options(0) };
    let handle = start(&world, options, &storage);
    let control = handle.control();
    wait_until(&handle, || control.trigger_checkpoint(CheckpointType::Configured).wait().is_ok());
    let longest_that_is_stuck_for = |pause| {
        // One source is stuck in the user's code, while the barrier of the other arrives.
        world.close_for_one(Place::Poll);
        world.wait_for_arrival();
        let request = control.trigger_checkpoint(CheckpointType::Configured);
        assert!(!handle.wait_timeout(pause));
        world.open_again();
        request.wait().unwrap();
        let last = handle.progress().last.unwrap();
        assert!(last.duration >= last.longest.alignment, "{last:?}");
        last.longest.alignment
    };
    // How long that barrier is on its way is up to the machine.
    let mut pauses = (0..12).map(|doubled| Duration::from_millis(30 << doubled));
    assert!(pauses.any(|pause| longest_that_is_stuck_for(pause) >= Millis(10)), "no alignment took its time");
    stop(&control);
    handle.wait().unwrap();
}
