//! Savepoints belong to the user: they subsume nothing, are not subsumed, commit nothing and are not deleted.

use super::*;

/// A job that takes checkpoint 1, savepoint 2 and checkpoint 3 at once.
fn savepoint_between_checkpoints() -> Job {
    let mut job = Job::running(Config { max_concurrent: 3, ..config() });
    job.tick(10);
    job.request(1, SAVEPOINT);
    job.tick(20);
    assert_eq!(job.under_way(), [1, 2, 3]);
    job
}

//= spec/coordinator.md#coord-8-a-published-checkpoint-subsumes-older-ones
//= type=test
//# The publication of a checkpoint MUST abort every older one under way that is no savepoint.
#[test]
fn coord_completed_checkpoint_subsumes_older_checkpoints_but_no_savepoint() {
    let mut job = savepoint_between_checkpoints();
    let done = job.complete(3);
    assert!(done.contains(&aborted(1, AbortReason::Subsumed)));
    assert_eq!(job.under_way(), [2]);
    assert!(job.complete(2).contains(&answered(1, RequestOutcome::Completed(CheckpointId(2)))));
    assert!(job.coordinator.retained().iter().map(|kept| kept.id.0).eq([3]), "a recovery starts from 3");
}

//= spec/coordinator.md#coord-30-every-task-is-told-of-a-completion
//= type=test
//# Every task that has not finished MUST be told of a completed checkpoint that is no savepoint.
//= spec/publish.md#pub-40-a-savepoint-has-no-pointer
//= type=test
//# A savepoint MUST be published without a pointer.
#[test]
fn coord_completed_savepoint_subsumes_commits_and_points_to_nothing() {
    let mut job = savepoint_between_checkpoints();
    let done = job.complete(2);
    assert!(matches!(&done[0], Output::Completed(savepoint) if savepoint.kind == CheckpointKind::Savepoint));
    assert_eq!(done[1..], [answered(1, RequestOutcome::Completed(CheckpointId(2)))]);
    assert_eq!(job.under_way(), [1, 3]);
    assert!(job.pointers.values().all(|pointer| pointer.newest.is_none()));
    assert_eq!(job.complete(1)[1..3], notices_of_completion(1), "older, and not subsumed");
}

//= spec/coordinator.md#coord-15-late-state-is-discarded
//= type=test
//# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may refer to it.
#[test]
fn coord_completed_savepoint_is_never_deleted_and_not_counted_as_retained() {
    let mut job = Job::running(config());
    job.tick(10);
    job.complete(1);
    job.request(1, SAVEPOINT);
    job.complete(2);
    assert!(job.coordinator.retained().iter().map(|kept| kept.id.0).eq([1]), "the checkpoint is still kept");
    assert_eq!(job.acknowledge(SINK, 2), [], "its files are the user's");
    job.tick(20);
    let done = job.complete(3);
    assert!(done.contains(&Output::DeleteCheckpoint(CheckpointId(1))));
    assert!(!done.contains(&Output::DeleteCheckpoint(CheckpointId(2))));
    assert_eq!(job.acknowledge(SINK, 2), []);
}

//= spec/coordinator.md#coord-3-concurrency-is-bounded
//= type=test
//# A checkpoint that is not forced MUST NOT be triggered while the configured maximum is under way.
#[test]
fn coord_forced_savepoints_need_no_room_and_take_it_from_others() {
    let mut job = Job::running(config());
    job.tick(10);
    for request in 1..=5 {
        assert_eq!(job.request(request, SAVEPOINT), triggers_savepoint(request + 1, request));
    }
    assert_eq!(job.under_way().len(), 6);
    job.complete(1);
    assert_eq!(job.tick(20), [], "the savepoints are under way");
    let mut job = Job::running(Config { force_savepoints: false, ..config() });
    job.tick(10);
    assert_eq!(job.request(1, SAVEPOINT), []);
    assert_eq!(job.complete(1).last(), triggers(2, CheckpointKind::Savepoint).last());
}

//= spec/coordinator.md#coord-66-savepoints-wait-where-barriers-overtake
//= type=test
//# A savepoint MUST NOT be forced in a job whose checkpoints may be unaligned.
#[test]
fn coord_savepoint_waits_for_room_where_barriers_may_overtake() {
    let mut job = Job::running(Config { unaligned: Some(Millis(0)), ..config() });
    job.tick(10);
    assert_eq!(job.request(1, SAVEPOINT), []);
    job.complete(1);
    assert_eq!(job.under_way(), [2]);
}

//= spec/coordinator.md#coord-40-failed-savepoints-do-not-count
//= type=test
//# A failed savepoint MUST NOT count towards the tolerable failures.
//= spec/coordinator.md#coord-11-a-success-resets-the-count
//= type=test
//# A completed checkpoint that is newer than every other MUST reset the count of consecutive failures.
#[test]
fn coord_failed_savepoints_do_not_count_and_a_completed_one_resets_the_count() {
    let mut job = Job::running(Config { tolerable_failures: 1, interval: None, ..config() });
    let checkpoint = RequestKind::Checkpoint { full: false };
    for id in 1..=3 {
        job.request(id, SAVEPOINT);
        assert!(!job.decline(id, DeclineReason::AsyncPartFailed).contains(&CANCEL));
    }
    job.request(4, checkpoint);
    assert!(!job.decline(4, DeclineReason::AsyncPartFailed).contains(&CANCEL));
    job.request(5, SAVEPOINT);
    job.complete(5);
    job.request(6, checkpoint);
    assert!(!job.decline(6, DeclineReason::AsyncPartFailed).contains(&CANCEL), "the first since savepoint 5");
    job.request(7, checkpoint);
    assert!(job.decline(7, DeclineReason::AsyncPartFailed).contains(&CANCEL));
}

//= spec/coordinator.md#coord-9-which-failures-count
//= type=test
//# A checkpoint MUST count as failed exactly when a part failed, it expired or the storage did not take it.
#[test]
fn coord_failure_of_what_is_older_than_the_newest_completed_counts_no_more() {
    let mut job = savepoint_between_checkpoints();
    job.complete(2);
    assert!(!job.decline(1, DeclineReason::AsyncPartFailed).contains(&CANCEL));
    assert!(job.decline(3, DeclineReason::AsyncPartFailed).contains(&CANCEL));
}

//= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
//= type=test
//# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have become a
//# savepoint.
#[test]
fn coord_state_of_an_aborted_savepoint_is_discarded_unless_it_may_have_been_written() {
    let mut job = Job::running(config());
    job.request(1, SAVEPOINT);
    job.acknowledge(SOURCE, 1);
    assert!(job.tick(100).contains(&Output::DiscardState(file(1, SOURCE, 1))), "expired");
    for answer in [Answer::Failed, Answer::Unknown] {
        let mut job = Job::running(config());
        job.request(1, SAVEPOINT);
        job.acknowledge(SOURCE, 1);
        job.acknowledge(SINK, 1);
        let done = job.answer(answer);
        let reason = AbortReason::PublicationFailed(PublicationFailure::StorageFailed);
        assert!(done.contains(&answered(1, RequestOutcome::Aborted(CheckpointId(1), reason))));
        assert!(!done.iter().any(|output| matches!(output, Output::DiscardState(_))));
        assert_eq!(job.acknowledge(SINK, 1), []);
    }
}
