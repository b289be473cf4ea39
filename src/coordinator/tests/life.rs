//! Attempts: failures, restarts, fencing, and how a job ends.

use super::*;

//= spec/coordinator.md#coord-23-one-failed-task-stops-all
//= type=test
//# The failure of a task MUST stop all tasks of its attempt.
//= spec/coordinator.md#coord-25-stopping-the-tasks-aborts-what-is-under-way
//= type=test
//# When tasks are stopped, every checkpoint under way MUST be aborted except one in publication.
//= spec/coordinator.md#coord-28-restarts-are-limited-by-the-strategy
//= type=test
//# The tasks MUST start again only as often as the restart strategy allows.
#[test]
fn coord_failed_task_stops_all_and_restarts_as_often_as_allowed() {
    let mut job = Job::running(config());
    job.tick(10);
    let done = job.on(failed(Attempt(1), SINK));
    assert_eq!(done[0], aborted(1, AbortReason::Suspended));
    assert_eq!(done.last(), Some(&CANCEL));
    assert_eq!(job.on(failed(Attempt(1), SOURCE)), [], "it is stopping already");
    job.on(Input::TasksStopped { attempt: Attempt(1) });
    job.tick(17);
    assert!(matches!(job.store()[..], [Output::StartTasks(_)]));
    job.on(failed(Attempt(2), SINK));
    let done = job.on(Input::TasksStopped { attempt: Attempt(2) });
    assert_eq!(done, [Output::JobEnded(Outcome::RestartsExhausted)]);
}

//= spec/coordinator.md#coord-33-a-failure-that-would-repeat-itself-ends-the-job
//= type=test
//# A task failure that a restart cannot cure MUST end the job without a restart.
#[test]
fn coord_failure_that_would_repeat_itself_ends_the_job_though_restarts_are_left() {
    let mut job = Job::running(config());
    job.on(Input::TaskFailed { attempt: Attempt(1), subtask: SINK, unrecoverable: true });
    let done = job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(done, [Output::JobEnded(Outcome::Unrecoverable)]);
}

//= spec/coordinator.md#coord-24-a-restart-waits
//= type=test
//# A restart MUST wait for the tasks to stop, for its delay and for a publication in progress.
#[test]
fn coord_restart_waits_for_tasks_delay_and_publication() {
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    job.on(failed(Attempt(1), SINK));
    assert_eq!((job.tick(50), job.asked.len()), (vec![], 1), "the tasks have not stopped");
    job.on(Input::TasksStopped { attempt: Attempt(1) });
    job.tick(90);
    assert!(matches!(job.asked[..], [(_, Operation::PutMetadata(_))]), "the publication is not over");
    job.answer(Answer::Stored);
    job.answer(Answer::Stored);
    assert!(matches!(job.asked[..], [(_, Operation::List)]));
    let mut job = Job::running(config());
    job.on(failed(Attempt(1), SINK));
    job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(job.coordinator.deadline(), Some(Millis(7)));
    job.tick(6);
    assert_eq!(job.asked, [], "the delay is not over");
    job.tick(7);
    assert!(matches!(job.asked[..], [(_, Operation::List)]));
}

//= spec/publish.md#pub-21-a-recovery-brings-back-what-is-retained
//= type=test
//# A recovery MUST report every retained checkpoint that can be read.
#[test]
fn coord_retention_goes_on_over_a_restart_of_the_process() {
    let kept = |job: &Job| job.coordinator.retained().iter().map(|kept| kept.id.0).collect::<Vec<_>>();
    let restart = |old: Job, retained| {
        let mut job = Job::new(Config { retained, ..config() });
        (job.pointers, job.metadata) = (old.pointers, old.metadata);
        job.on(Input::JobStarted);
        let mut done = job.store();
        done.extend(job.tick(1));
        done.extend(job.store());
        job.on(Input::TasksRunning { attempt: job.coordinator.attempt() });
        (job, done)
    };
    let mut job = Job::running(Config { retained: 3, ..config() });
    for id in 1..=4 {
        job.tick(10 * id);
        job.complete(id);
    }
    let (mut job, _) = restart(job, 3);
    assert_eq!(kept(&job), [2, 3, 4]);
    job.tick(11);
    let attempt = job.coordinator.attempt().0;
    job.on(acknowledgement(attempt, SOURCE, 5));
    job.on(acknowledgement(attempt, SINK, 5));
    let mut done = job.store();
    done.retain(|output| matches!(output, Output::DeleteCheckpoint(_)));
    let deleted = [1, 2].map(|id| Output::DeleteCheckpoint(CheckpointId(id)));
    assert_eq!(done, deleted, "and what was left over goes");
    let (job, _) = restart(job, 2);
    assert_eq!(kept(&job), [4, 5], "fewer when fewer are configured");
    let mut job = job;
    job.metadata.remove(&CheckpointId(4));
    let (job, done) = restart(job, 2);
    assert_eq!(done[0], Output::Skipping(publish::Skipped::Older(CheckpointId(4))));
    assert_eq!(kept(&job), [3, 5], "nothing was deleted since");
}

//= spec/coordinator.md#coord-26-a-fenced-coordinator-deletes-nothing
//= type=test
//# A fenced coordinator MUST NOT delete any state.
#[test]
fn coord_fenced_stops_the_tasks_and_deletes_nothing() {
    let mut job = Job::running(config());
    job.tick(10);
    let claim = Pointer {
        kind: PointerKind::Claim,
        attempt: Attempt(2),
        incarnation: Incarnation(9),
        newest: None,
        older: [].into(),
    };
    job.pointers.insert(PointerSequence(2), claim);
    assert_eq!(job.complete(1), [CANCEL]);
    assert_eq!(job.acknowledge(SINK, 1), [], "it may be the other's by now");
    assert_eq!(job.on(Input::TasksStopped { attempt: Attempt(1) }), [Output::JobEnded(Outcome::Fenced)]);
    assert_eq!(job.acknowledge(SINK, 1), []);
}

//= spec/coordinator.md#coord-18-a-terminal-checkpoint-is-taken-alone
//= type=test
//# A terminal checkpoint MUST be triggered only when no other checkpoint is under way.
//= spec/coordinator.md#coord-19-the-end-of-all-data-asks-for-a-final-checkpoint
//= type=test
//# Once all sources have reported the end of their data the next checkpoint MUST be a final one unless a
//# drain made them.
//= spec/coordinator.md#coord-21-nothing-follows-a-terminal-checkpoint
//= type=test
//# The coordinator MUST NOT trigger a checkpoint after a terminal one was published.
//= spec/coordinator.md#coord-22-the-job-ends-with-its-tasks
//= type=test
//# The job MUST end well only when every task has finished.
#[test]
fn coord_end_of_all_data_leads_to_a_final_checkpoint_and_the_end() {
    let mut job = Job::running(Config { max_concurrent: 2, ..config() });
    job.tick(10);
    assert_eq!(end_of_data(&mut job), [], "checkpoint 1 is under way");
    let done = job.complete(1);
    assert_eq!(done[3..], triggers(2, CheckpointKind::Final));
    job.complete(2);
    assert_eq!(job.tick(1_000), []);
    assert_eq!(finish(&mut job), [Output::JobEnded(Outcome::Finished)]);
}

//= spec/coordinator.md#coord-20-a-stop-asks-for-a-stop-checkpoint
//= type=test
//# Once a stop that suspends was requested the next checkpoint MUST be a stop checkpoint unless all data has
//# ended.
//= spec/coordinator.md#coord-21-nothing-follows-a-terminal-checkpoint
//= type=test
//# The coordinator MUST NOT trigger a checkpoint after a terminal one was published.
//= spec/coordinator.md#coord-22-the-job-ends-with-its-tasks
//= type=test
//# The job MUST end well only when every task has finished.
#[test]
fn coord_stop_leads_to_a_stop_checkpoint_and_the_end() {
    let mut job = Job::running(config());
    assert_eq!(job.request(1, SUSPEND), triggers(1, CheckpointKind::Stop));
    assert!(job.complete(1).contains(&answered(1, RequestOutcome::Completed(CheckpointId(1)))));
    assert_eq!(job.tick(1_000), []);
    assert_eq!(finish(&mut job), [Output::JobEnded(Outcome::Stopped(CheckpointId(1)))]);
    let mut job = Job::running(config());
    job.tick(10);
    assert_eq!(job.request(1, SUSPEND), []);
    end_of_data(&mut job);
    assert_eq!(job.complete(1)[3..], triggers(2, CheckpointKind::Final), "there is nothing left to stop");
}

//= spec/coordinator.md#coord-32-a-failed-terminal-checkpoint-is-tried-again
//= type=test
//# An aborted terminal checkpoint MUST be followed by another one.
#[test]
fn coord_failed_terminal_checkpoint_is_tried_again_after_a_pause() {
    for (interval, pause) in [(Some(Millis(10)), 10), (None, 1_000)] {
        let mut job = Job::running(Config { interval, tolerable_failures: 9, ..config() });
        assert_eq!(end_of_data(&mut job), triggers(1, CheckpointKind::Final));
        job.decline(1, DeclineReason::AsyncPartFailed);
        assert_eq!(job.tick(pause - 1), []);
        assert_eq!(job.tick(pause), triggers(2, CheckpointKind::Final));
    }
}

#[test]
fn coord_failures_of_an_earlier_attempt_count_no_more() {
    let mut job = Job::running(Config { tolerable_failures: 1, ..config() });
    job.tick(10);
    job.decline(1, DeclineReason::AsyncPartFailed);
    job.restart();
    job.tick(job.now + 10);
    let [checkpoint] = job.under_way()[..] else { panic!("{:?}", job.under_way()) };
    let reason = DeclineReason::AsyncPartFailed;
    let done = job.on(Input::DeclineArrived {
        attempt: Attempt(2),
        subtask: SINK,
        checkpoint: CheckpointId(checkpoint),
        reason,
    });
    assert!(!done.contains(&Output::CancelTasks { attempt: Attempt(2) }), "{done:?}");
}
