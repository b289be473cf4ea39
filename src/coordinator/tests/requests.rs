//! What users ask for: admission, order, refusal, and one answer for each.

use super::*;
use proptest::prelude::*;

const CHECKPOINT: RequestKind = RequestKind::Checkpoint { full: false };

fn kinds(done: &[Output]) -> Vec<CheckpointKind> {
    let kinds = done.iter().filter_map(|output| match output {
        Output::Trigger { options, .. } => Some(options.kind()),
        _ => None,
    });
    kinds.collect()
}

//= spec/coordinator.md#coord-34-every-request-is-answered-once
//= type=test
//# Every request MUST be answered exactly once, by the end of the job at the latest.
#[test]
fn coord_request_is_triggered_at_once_and_answered_with_its_checkpoint() {
    for interval in [None, Some(Millis(10))] {
        let mut job = Job::running(Config { interval, ..config() });
        assert_eq!(job.request(7, CHECKPOINT), triggers(1, CheckpointKind::Periodic));
        assert!(job.complete(1).contains(&answered(7, RequestOutcome::Completed(CheckpointId(1)))));
        job.request(8, RequestKind::Checkpoint { full: true });
        let reason = DeclineReason::OnCancellationBarrier;
        let outcome = RequestOutcome::Aborted(CheckpointId(2), AbortReason::Declined(SINK, reason));
        assert!(job.decline(2, reason).contains(&answered(8, outcome)));
    }
}

#[test]
fn coord_request_leaves_the_periodic_checkpoints_where_they_are() {
    let mut job = Job::running(config());
    job.now = 9;
    job.request(1, CHECKPOINT);
    job.complete(1);
    assert_eq!(job.coordinator.deadline(), Some(Millis(10)));
}

//= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
//= type=test
//# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
#[test]
fn coord_request_ignores_the_minimum_pause() {
    for kind in [CHECKPOINT, SAVEPOINT] {
        let mut job = Job::running(Config { min_pause: Millis(500), ..config() });
        job.tick(10);
        job.complete(1);
        assert_eq!(job.tick(100), []);
        assert_eq!(kinds(&job.request(1, kind)).len(), 1, "{kind:?}");
    }
}

//= spec/coordinator.md#coord-36-savepoints-come-first
//= type=test
//# Of the requests that wait, savepoints MUST be triggered before checkpoints, and each in order of
//# arrival.
#[test]
fn coord_waiting_requests_start_savepoints_first_then_in_order_and_periodic_last() {
    let mut job = Job::running(Config {
        force_savepoints: false,
        max_queued_requests: 9,
        timeout: Millis(999),
        ..config()
    });
    job.tick(10);
    job.tick(20);
    for (request, kind) in
        [CHECKPOINT, SAVEPOINT, RequestKind::Checkpoint { full: true }, SAVEPOINT].into_iter().enumerate()
    {
        assert_eq!(job.request(request as u64, kind), [], "one is under way");
    }
    let mut order = Vec::new();
    for checkpoint in 1..=5 {
        order.extend(job.complete(checkpoint));
    }
    use CheckpointKind::{Full, Periodic, Savepoint};
    assert_eq!(kinds(&order), [Savepoint, Savepoint, Periodic, Full, Periodic]);
    let answers = order.iter().filter_map(|output| match output {
        Output::RequestAnswered { request, .. } => Some(request.0),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), [1, 3, 0, 2]);
}

//= spec/coordinator.md#coord-35-the-queue-is-bounded
//= type=test
//# A request for which the queue has no room MUST make its last request refused.
#[test]
fn coord_full_queue_refuses_exactly_the_surplus_and_the_least_urgent_first() {
    let mut job = Job::running(Config { force_savepoints: false, ..config() });
    job.tick(10);
    assert_eq!(job.request(1, CHECKPOINT), []);
    assert_eq!(job.request(2, SAVEPOINT), []);
    assert_eq!(
        job.request(3, CHECKPOINT),
        [refused(3, Refusal::TooManyRequests)],
        "the newcomer is the last"
    );
    assert_eq!(job.request(4, SAVEPOINT), [refused(1, Refusal::TooManyRequests)]);
    assert_eq!(job.request(5, SAVEPOINT), [refused(5, Refusal::TooManyRequests)]);
}

//= spec/coordinator.md#coord-5-checkpoints-need-running-tasks
//= type=test
//# A checkpoint MUST be triggered only while every task of the attempt runs.
#[test]
fn coord_request_without_running_tasks_is_refused() {
    let mut job = Job::new(config());
    assert_eq!(job.request(1, SAVEPOINT), [refused(1, Refusal::TasksNotRunning)]);
    job.on(Input::JobStarted);
    job.store();
    assert_eq!(job.request(2, CHECKPOINT), [refused(2, Refusal::TasksNotRunning)]);
    job.on(Input::TasksRunning { attempt: Attempt(1) });
    job.request(3, CHECKPOINT);
    job.request(4, CHECKPOINT);
    let done = job.on(failed(Attempt(1), SINK));
    assert!(done.contains(&answered(3, RequestOutcome::Aborted(CheckpointId(1), AbortReason::Suspended))));
    assert!(done.contains(&refused(4, Refusal::TasksNotRunning)), "nothing waits for tasks that are gone");
    assert_eq!(job.request(5, CHECKPOINT), [refused(5, Refusal::TasksNotRunning)]);
}

#[test]
fn coord_abort_of_a_checkpoint_starts_the_request_that_waits() {
    let mut job = Job::running(Config { tolerable_failures: 9, ..config() });
    job.request(1, CHECKPOINT);
    job.request(2, CHECKPOINT);
    job.request(3, CHECKPOINT);
    let done = job.decline(1, DeclineReason::SyncPartFailed);
    assert_eq!(done.last(), triggers(2, CheckpointKind::Periodic).last());
    assert_eq!(job.tick(100).last(), triggers(3, CheckpointKind::Periodic).last(), "expired");
}

//= spec/coordinator.md#coord-37-periodic-checkpoints-can-be-switched-off
//= type=test
//# A periodic checkpoint MUST NOT be triggered while they are switched off.
#[test]
fn coord_periodic_checkpoints_stop_when_switched_off_and_go_on_when_switched_on() {
    let mut job = Job::running(config());
    job.on(Input::PeriodicCheckpointsSwitched { on: false });
    assert_eq!((job.coordinator.deadline(), job.tick(1_000)), (None, vec![]));
    assert_eq!(job.request(1, CHECKPOINT), triggers(1, CheckpointKind::Periodic), "requests still work");
    job.complete(1);
    job.on(Input::PeriodicCheckpointsSwitched { on: true });
    assert_eq!(job.coordinator.deadline(), Some(Millis(1_010)));
    job.now = 1_005;
    job.on(Input::PeriodicCheckpointsSwitched { on: true });
    assert_eq!(job.tick(1_010), triggers(2, CheckpointKind::Periodic), "they were on already");
    job.restart();
    assert!(job.coordinator.deadline().is_some());
}

//= spec/coordinator.md#coord-38-a-stop-holds-everything-else-back
//= type=test
//# Once a stop was requested, a checkpoint that is not terminal MUST NOT be triggered.
//= spec/coordinator.md#coord-39-a-drain-ends-all-sources
//= type=test
//# A stop that drains MUST make every source end its data.
#[test]
fn coord_stop_that_drains_ends_the_sources_and_takes_the_stop_checkpoint() {
    let mut job = Job::running(config());
    let drain = Output::DrainSource { subtask: SOURCE, attempt: Attempt(1) };
    assert_eq!(job.request(1, DRAIN), [drain]);
    assert_eq!(
        (job.coordinator.deadline(), job.tick(500)),
        (None, vec![]),
        "the sources are not drained yet"
    );
    assert_eq!(job.request(2, CHECKPOINT), [refused(2, Refusal::JobEnding)]);
    assert_eq!(job.request(3, SUSPEND), [refused(3, Refusal::JobEnding)]);
    job.request(4, DRAIN);
    let attempt = Attempt(1);
    job.on(failed(attempt, SINK));
    job.on(Input::TasksStopped { attempt });
    job.tick(507);
    job.store();
    let again = Output::DrainSource { subtask: SOURCE, attempt: Attempt(2) };
    assert_eq!(job.on(Input::TasksRunning { attempt: Attempt(2) }), [again]);
    let done = job.on(Input::EndOfDataReported { attempt: Attempt(2), subtask: SOURCE });
    assert_eq!(kinds(&done), [CheckpointKind::Stop]);
    let mut done = job.on(acknowledgement(2, SOURCE, 1));
    done.extend(job.on(acknowledgement(2, SINK, 1)));
    done.extend(job.store());
    for request in [1, 4] {
        assert!(done.contains(&answered(request, RequestOutcome::Completed(CheckpointId(1)))));
    }
    assert_eq!(job.request(5, CHECKPOINT), [refused(5, Refusal::JobEnding)]);
}

#[test]
fn coord_requests_of_a_job_without_more_data_are_refused() {
    let mut job = Job::running(config());
    job.tick(10);
    job.request(1, CHECKPOINT);
    end_of_data(&mut job);
    assert_eq!(job.request(2, CHECKPOINT), [refused(2, Refusal::JobEnding)]);
    job.complete(1);
    assert!(job.complete(2).contains(&refused(1, Refusal::JobEnding)), "the final checkpoint came first");
}

#[test]
fn coord_requests_of_a_job_that_ends_are_refused() {
    let mut job = Job::running(Config { restart: RestartStrategy::None, ..config() });
    job.tick(10);
    job.request(1, SUSPEND);
    job.on(failed(Attempt(1), SINK));
    let done = job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(done, [refused(1, Refusal::JobEnding), Output::JobEnded(Outcome::RestartsExhausted)]);
    assert_eq!(job.request(2, CHECKPOINT), [refused(2, Refusal::JobEnding)]);
    let stop = SUSPEND;
    assert_eq!(job.request(3, stop), [refused(3, Refusal::JobEnding)]);
}

#[test]
fn coord_request_in_publication_when_the_job_ends_is_answered_as_unknown_and_only_once() {
    let mut job = Job::running(Config { restart: RestartStrategy::None, ..config() });
    job.request(1, SAVEPOINT);
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    job.on(failed(Attempt(1), SINK));
    let done = job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(done[0], answered(1, RequestOutcome::Unknown(CheckpointId(1))));
    let late = job.store();
    assert!(matches!(late[..], [Output::Completed(_)]));
}

#[test]
fn coord_requests_of_a_fenced_coordinator_are_answered() {
    let mut job = Job::running(config());
    job.request(1, CHECKPOINT);
    job.request(2, CHECKPOINT);
    let claim = Pointer {
        kind: PointerKind::Claim,
        attempt: Attempt(2),
        incarnation: Incarnation(9),
        newest: None,
        older: BTreeSet::new(),
    };
    job.pointers.insert(PointerSequence(2), claim);
    let done = job.complete(1);
    let outcome = RequestOutcome::Aborted(CheckpointId(1), AbortReason::Suspended);
    assert_eq!(done, [answered(1, outcome), refused(2, Refusal::JobEnding), CANCEL]);
}

proptest! {
    //= spec/coordinator.md#coord-34-every-request-is-answered-once
    //= type=test
    //# Every request MUST be answered exactly once, by the end of the job at the latest.
    #[test]
    fn coord_random_requests_are_each_answered_exactly_once(
        steps in prop::collection::vec((0_u8..10, any::<bool>()), 0..60),
        force_savepoints in any::<bool>(),
    ) {
        let restart = RestartStrategy::FixedDelay { attempts: 2, delay: Millis(7) };
        let mut job = Job::running(Config { force_savepoints, restart, tolerable_failures: 1, ..config() });
        let mut done = Vec::new();
        for (request, (what, stores)) in steps.iter().enumerate() {
            let (attempt, request) = (job.coordinator.attempt(), request as u64);
            let oldest = job.under_way().first().copied().unwrap_or(1);
            done.extend(match what {
                0..=1 => job.request(request, CHECKPOINT),
                2 => job.request(request, SAVEPOINT),
                3 => job.request(request, RequestKind::CancelWithSavepoint(SavepointFormat::Native)),
                4 => job.request(request, SUSPEND),
                5 => job.on(failed(attempt, SINK)),
                6 => job.on(Input::TasksStopped { attempt }),
                7 => job.on(Input::TasksRunning { attempt }),
                8 => job.tick(job.now + 9),
                _ => [SOURCE, SINK].map(|task| job.on(acknowledgement(attempt.0, task, oldest))).concat(),
            });
            if *stores {
                done.extend(job.store());
            }
        }
        for _ in 0..3 {
            let attempt = job.coordinator.attempt();
            let failed = Input::TaskFailed { attempt, subtask: SINK, unrecoverable: true };
            for last in [failed, Input::TasksStopped { attempt }, Input::Tick] {
                job.now += 9;
                done.extend(job.on(last));
                done.extend(job.store());
            }
        }
        prop_assert!(job.coordinator.has_ended());
        for (request, (what, _)) in steps.iter().enumerate() {
            let is_it = |output: &&Output| {
                matches!(output, Output::RequestAnswered { request: id, .. } if id.0 == request as u64)
            };
            prop_assert_eq!(done.iter().filter(is_it).count(), usize::from(*what < 5), "request {}", request);
        }
    }
}

//= spec/coordinator.md#coord-67-a-savepoint-that-cancels-holds-checkpoints-back
//= type=test
//# Until a savepoint has ended after which the job is to be cancelled, a checkpoint that is neither a savepoint nor
//# terminal MUST NOT be triggered.
//= spec/coordinator.md#coord-68-a-savepoint-that-cancels-ends-the-job
//= type=test
//# A job MUST end without another checkpoint when the savepoint is complete that was to cancel it.
#[test]
fn coord_savepoint_that_cancels_lets_no_checkpoint_begin_and_ends_the_job() {
    let mut job = Job::running(Config { max_concurrent: 9, timeout: Millis(9_999), ..config() });
    assert_eq!(job.tick(10), triggers(1, CheckpointKind::Periodic));
    assert_eq!(job.request(1, CANCEL_WITH_SAVEPOINT), triggers_savepoint(2, 1));
    assert_eq!(job.request(2, CHECKPOINT), [], "it waits, although there is room");
    assert_eq!((job.tick(1_000), job.coordinator.next_trigger()), (vec![], None));
    assert_eq!(job.request(3, SAVEPOINT), triggers_savepoint(3, 3));
    assert!(!job.complete(1).contains(&CANCEL), "one that began before it");
    assert!(!job.complete(3).contains(&CANCEL), "another savepoint");
    let done = job.complete(2);
    assert!(done.contains(&answered(1, RequestOutcome::Completed(CheckpointId(2)))));
    assert!(done.contains(&refused(2, Refusal::TasksNotRunning)) && done.contains(&CANCEL), "{done:?}");
    let ended = job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(ended, [Output::JobEnded(Outcome::Cancelled)]);
}

#[test]
fn coord_savepoint_that_was_to_cancel_and_fails_lets_the_job_go_on() {
    let mut job = Job::running(Config { tolerable_failures: 9, ..config() });
    assert_eq!(job.request(1, CANCEL_WITH_SAVEPOINT), triggers_savepoint(1, 1));
    job.request(2, CHECKPOINT);
    job.now = 50;
    let done = job.decline(1, DeclineReason::SyncPartFailed);
    assert_eq!(done.last(), triggers(2, CheckpointKind::Periodic).last(), "what has waited begins");
    assert_eq!(job.complete(2).last(), triggers(3, CheckpointKind::Periodic).last());
    job.request(3, SAVEPOINT);
    job.request(4, CANCEL_WITH_SAVEPOINT);
    job.restart();
    assert!(job.coordinator.next_trigger().is_some(), "the wish does not outlive the attempt");
}

//= spec/coordinator.md#coord-70-the-place-of-a-savepoint-is-said-first
//= type=test
//# For which request a savepoint is taken MUST be said before any task is told to begin it.
#[test]
fn coord_savepoint_has_its_request_named_before_its_triggers_and_nothing_else_has() {
    let mut job = Job::running(Config { max_concurrent: 3, ..config() });
    for (request, kind) in [(7, SAVEPOINT), (8, CANCEL_WITH_SAVEPOINT)] {
        assert_eq!(job.request(request, kind), triggers_savepoint(request - 6, request));
    }
    for kind in [CHECKPOINT, RequestKind::Stop(StopMode::Suspend, SavepointFormat::Canonical)] {
        let done = Job::running(config()).request(1, kind);
        assert!(!kinds(&done).is_empty());
        assert!(!done.iter().any(|output| matches!(output, Output::PlaceSavepoint { .. })), "{kind:?}");
    }
}

//= spec/coordinator.md#coord-69-savepoints-have-the-format-that-was-asked-for
//= type=test
//# A savepoint, and a checkpoint that stops a job, MUST be written in the format that its request asks for.
#[test]
fn coord_savepoint_is_in_files_exactly_if_its_request_asks_for_the_native_format() {
    use SavepointFormat::{Canonical, Native};
    let in_files = |done: &[Output], incremental| {
        let triggered = done.iter().find_map(|output| match output {
            Output::Trigger { options, .. } => Some(options.is_in_files(incremental)),
            _ => None,
        });
        triggered.expect("a checkpoint is triggered")
    };
    for format in [Canonical, Native] {
        for incremental in [false, true] {
            let kinds = [
                RequestKind::Savepoint(format),
                RequestKind::CancelWithSavepoint(format),
                RequestKind::Stop(StopMode::Suspend, format),
            ];
            for kind in kinds {
                let done = Job::running(config()).request(1, kind);
                assert_eq!(in_files(&done, incremental), format == Native, "{kind:?}");
            }
            let done = Job::running(config()).request(1, CHECKPOINT);
            assert_eq!(in_files(&done, incremental), incremental);
        }
    }
    let mut job = Job::running(config());
    job.tick(10);
    job.request(1, RequestKind::Stop(StopMode::Suspend, Native));
    let other = job.request(2, RequestKind::Stop(StopMode::Suspend, Canonical));
    assert_eq!(other, [refused(2, Refusal::JobEnding)], "it is another wish");
}
