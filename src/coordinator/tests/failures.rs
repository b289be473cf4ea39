//! Checkpoints that expire, are declined or fail otherwise, and messages that come too late.

use super::*;

//= spec/coordinator.md#coord-7-checkpoints-expire
//= type=test
//# A checkpoint that is not fully acknowledged when its timeout ends MUST be aborted.
//= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
//= type=test
//# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have become a
//# savepoint.
//= spec/coordinator.md#coord-17-every-task-is-told-of-an-abort
//= type=test
//# Every task that has not finished MUST be told of an aborted checkpoint.
#[test]
fn coord_expired_checkpoint_is_aborted_and_its_state_discarded() {
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    assert_eq!(job.tick(109), []);
    let done = job.tick(110);
    assert_eq!(done[0], aborted(1, AbortReason::Expired));
    assert_eq!(done[1..3], notices_of_abort(1));
    assert_eq!(done[3], Output::DiscardState(file(1, SOURCE, 1)));
    assert!(!done.iter().any(|output| matches!(output, Output::NotifyComplete { .. })));
}

//= spec/coordinator.md#coord-31-declined-checkpoints-are-aborted
//= type=test
//# A checkpoint that a task declines MUST be aborted.
//= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
//= type=test
//# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have become a
//# savepoint.
//= spec/coordinator.md#coord-17-every-task-is-told-of-an-abort
//= type=test
//# Every task that has not finished MUST be told of an aborted checkpoint.
#[test]
fn coord_declined_checkpoint_is_aborted_alone_and_once() {
    let mut job = Job::running(Config { max_concurrent: 2, tolerable_failures: 9, ..config() });
    job.tick(10);
    job.tick(20);
    job.acknowledge(SOURCE, 1);
    let done = job.decline(1, DeclineReason::SyncPartFailed);
    assert_eq!(done[0], aborted(1, AbortReason::Declined(SINK, DeclineReason::SyncPartFailed)));
    assert_eq!(done[1..3], notices_of_abort(1));
    assert_eq!(done[3], Output::DiscardState(file(1, SOURCE, 1)));
    assert_eq!(job.decline(1, DeclineReason::SyncPartFailed), []);
    assert_eq!(job.decline(7, DeclineReason::SyncPartFailed), [], "an unknown checkpoint");
    assert_eq!(job.under_way(), [2]);
}

//= spec/coordinator.md#coord-27-messages-of-unknown-tasks-change-no-checkpoint
//= type=test
//# A message of a task that is not part of the job MUST NOT change a checkpoint.
#[test]
fn coord_messages_of_unknown_tasks_change_no_checkpoint() {
    let stranger = SubtaskId::new(9, 9);
    let mut job = Job::running(config());
    job.tick(10);
    assert_eq!(job.acknowledge(stranger, 1), [Output::DiscardState(file(1, stranger, 1))]);
    let (checkpoint, reason) = (CheckpointId(1), DeclineReason::SyncPartFailed);
    let declined = Input::DeclineArrived { attempt: Attempt(1), subtask: stranger, checkpoint, reason };
    assert_eq!(job.on(declined), []);
    job.on(Input::EndOfDataReported { attempt: Attempt(1), subtask: stranger });
    job.on(Input::TaskFinished { attempt: Attempt(1), subtask: stranger });
    assert_eq!(job.complete(1)[1..], notices_of_completion(1));
}

//= spec/coordinator.md#coord-16-messages-of-other-attempts-change-no-checkpoint
//= type=test
//# A message of another attempt MUST NOT change a checkpoint or the phase of the job.
#[test]
fn coord_messages_of_another_attempt_change_nothing() {
    let attempt = Attempt(2);
    let (checkpoint, reason) = (CheckpointId(1), DeclineReason::SyncPartFailed);
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    let before = job.coordinator.clone();
    for stale in [
        Input::TasksRunning { attempt },
        Input::DeclineArrived { attempt, subtask: SINK, checkpoint, reason },
        Input::EndOfDataReported { attempt, subtask: SOURCE },
        Input::TaskFinished { attempt, subtask: SINK },
        failed(attempt, SINK),
        Input::TasksStopped { attempt },
    ] {
        assert_eq!(job.on(stale), []);
    }
    assert_eq!(job.on(acknowledgement(2, SINK, 1)), [Output::DiscardState(file(2, SINK, 1))]);
    assert_eq!(job.coordinator, before);
}

//= spec/coordinator.md#coord-15-late-state-is-discarded
//= type=test
//# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
#[test]
fn coord_late_state_is_discarded_unless_a_checkpoint_holds_it() {
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    assert_eq!(job.acknowledge(SOURCE, 1), [], "held by the pending checkpoint");
    job.acknowledge(SINK, 1);
    assert_eq!(job.acknowledge(SINK, 1), [], "held by the checkpoint in publication");
    job.store();
    assert_eq!(job.acknowledge(SINK, 1), [], "held by the retained checkpoint");
    job.tick(20);
    job.tick(120);
    assert_eq!(job.acknowledge(SINK, 2), [Output::DiscardState(file(1, SINK, 2))]);
}

//= spec/coordinator.md#coord-71-inline-state-has-no-file
//= type=test
//# The coordinator MUST NOT discard a file for state that is inline.
#[test]
fn coord_inline_state_has_no_file_to_discard() {
    let inline = |checkpoint, subtask| {
        let mut input = acknowledgement(1, subtask, checkpoint);
        if let Input::AcknowledgeArrived { handle: Some(handle), .. } = &mut input {
            handle.inline = Some(vec![7].into());
        }
        input
    };
    let mut job = Job::running(Config { tolerable_failures: 9, ..config() });
    job.tick(10);
    job.on(inline(1, SOURCE));
    let done = job.decline(1, DeclineReason::SyncPartFailed);
    assert_eq!(done[1..3], notices_of_abort(1));
    assert_eq!(done[3..], [], "there is nothing to discard");
    assert_eq!(job.on(inline(1, SINK)), [], "nor when it is late");
    assert_eq!(job.acknowledge(SINK, 1), [Output::DiscardState(file(1, SINK, 1))]);

    job.tick(20);
    job.on(inline(2, SOURCE));
    job.on(inline(2, SINK));
    job.store();
    let kept = &job.coordinator.retained()[0].states;
    assert!(kept.values().flatten().all(|handle| handle.inline == Some(vec![7].into())), "{kept:?}");
    assert_eq!(kept.len(), 2);
}

//= spec/coordinator.md#coord-15-late-state-is-discarded
//= type=test
//# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
#[test]
fn coord_state_is_left_alone_until_the_recovery_says_which_checkpoint_counts() {
    let mut first = Job::running(config());
    first.tick(10);
    first.complete(1);
    let mut second = Job::new(config());
    (second.pointers, second.metadata) = (first.pointers, first.metadata);
    assert_eq!(second.acknowledge(SINK, 1), []);
    second.on(Input::JobStarted);
    assert_eq!(second.acknowledge(SINK, 1), [], "a second copy outlived the process");
    second.store();
    assert_eq!(second.acknowledge(SINK, 1), [], "recovered, so it counts");
    assert_eq!(second.acknowledge(SINK, 9), [Output::DiscardState(file(1, SINK, 9))]);
}

//= spec/coordinator.md#coord-25-stopping-the-tasks-aborts-what-is-under-way
//= type=test
//# When tasks are stopped, every checkpoint under way MUST be aborted except one in publication.
#[test]
fn coord_failure_during_a_publication_aborts_all_but_the_one_in_publication() {
    let mut job = Job::running(Config { max_concurrent: 3, ..config() });
    for now in [10, 20, 30] {
        job.tick(now);
    }
    for (subtask, checkpoint) in [(SOURCE, 2), (SINK, 2), (SOURCE, 1), (SINK, 1)] {
        job.acknowledge(subtask, checkpoint);
    }
    let done = job.on(failed(Attempt(1), SINK));
    let reasons: Vec<_> = done.iter().filter(|output| matches!(output, Output::Aborted { .. })).collect();
    assert_eq!(reasons, [&aborted(1, AbortReason::Suspended), &aborted(3, AbortReason::Suspended)]);
    assert_eq!(done.last(), Some(&CANCEL));
    assert!(matches!(job.store()[0], Output::Completed(_)));
}

//= spec/coordinator.md#coord-9-which-failures-count
//= type=test
//# A checkpoint MUST count as failed exactly when a part failed, it expired or the storage did not take it.
#[test]
fn coord_only_failures_of_a_part_a_timeout_or_a_publication_count() {
    use DeclineReason::{AsyncPartFailed, OnCancellationBarrier, Subsumed, SyncPartFailed};
    for (reason, counts) in
        [(SyncPartFailed, true), (AsyncPartFailed, true), (OnCancellationBarrier, false), (Subsumed, false)]
    {
        let mut job = Job::running(config());
        job.tick(10);
        assert_eq!(job.decline(1, reason).contains(&CANCEL), counts, "{reason:?}");
    }
    let mut job = Job::running(config());
    job.tick(10);
    assert!(job.tick(110).contains(&CANCEL), "expired");
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    let done = job.answer(Answer::Failed);
    let reason = AbortReason::PublicationFailed(PublicationFailure::StorageFailed);
    assert!(done.contains(&aborted(1, reason)) && done.contains(&CANCEL));
    assert!([SOURCE, SINK].iter().all(|task| done.contains(&Output::DiscardState(file(1, *task, 1)))));
    let mut job = Job::running(config());
    job.tick(10);
    job.acknowledge(SOURCE, 1);
    job.acknowledge(SINK, 1);
    let done = job.answer(Answer::Exists);
    let reason = AbortReason::PublicationFailed(PublicationFailure::IdTaken);
    assert!(done.contains(&aborted(1, reason)) && !done.contains(&CANCEL));
    let mut job = Job::running(Config { max_concurrent: 2, ..config() });
    job.tick(10);
    job.tick(20);
    assert!(!job.complete(2).contains(&CANCEL), "subsumed");
}

//= spec/coordinator.md#coord-10-too-many-failures-in-a-row-stop-the-tasks
//= type=test
//# More consecutive failures than tolerated MUST stop all tasks.
//= spec/coordinator.md#coord-11-a-success-resets-the-count
//= type=test
//# A completed checkpoint that is newer than every other MUST reset the count of consecutive failures.
#[test]
fn coord_failures_in_a_row_beyond_the_tolerated_stop_the_tasks_and_a_success_resets_them() {
    let mut job = Job::running(Config { tolerable_failures: 1, ..config() });
    job.tick(10);
    assert!(!job.decline(1, DeclineReason::SyncPartFailed).contains(&CANCEL));
    job.tick(20);
    job.complete(2);
    job.tick(30);
    assert!(!job.decline(3, DeclineReason::AsyncPartFailed).contains(&CANCEL));
    job.tick(40);
    let done = job.decline(4, DeclineReason::AsyncPartFailed);
    assert_eq!(done.iter().filter(|output| **output == CANCEL).count(), 1);
    let mut job = Job::running(Config { restart: RestartStrategy::None, ..config() });
    job.tick(10);
    job.decline(1, DeclineReason::SyncPartFailed);
    let done = job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(done, [Output::JobEnded(Outcome::TooManyCheckpointFailures)]);
}
