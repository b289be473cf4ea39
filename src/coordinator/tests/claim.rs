//! Jobs that start from what another job has left.

use super::*;
use crate::base::Sharing;

/// A job that was given checkpoint 7.
fn given(mode: ClaimMode) -> Config {
    let states = BTreeMap::from([(SOURCE, None), (SINK, None)]);
    let checkpoint = CompletedCheckpoint { id: CheckpointId(7), states, ..complete() };
    Config { restore: Some(Restore { checkpoint, mode }), ..config() }
}

/// A process that finds what `before` has stored.
fn next_process(before: Job, config: Config) -> (Job, Vec<Output>) {
    let mut job = Job::new(config);
    (job.pointers, job.metadata) = (before.pointers, before.metadata);
    job.on(Input::JobStarted);
    let started = job.store();
    job.on(Input::TasksRunning { attempt: job.coordinator.attempt() });
    (job, started)
}

fn kind_of(done: &[Output]) -> Option<CheckpointKind> {
    done.iter().find_map(|output| match output {
        Output::Trigger { options, .. } => Some(options.kind()),
        _ => None,
    })
}

fn restored_from(started: &[Output]) -> Option<u64> {
    match started {
        [Output::StartTasks(recovered)] => recovered.newest.as_ref().map(|newest| newest.id.0),
        _ => panic!("{started:?}"),
    }
}

fn complete_in_attempt(job: &mut Job, checkpoint: u64) -> Vec<Output> {
    let attempt = job.coordinator.attempt().0;
    let mut done = job.on(acknowledgement(attempt, SOURCE, checkpoint));
    done.extend(job.on(acknowledgement(attempt, SINK, checkpoint)));
    done.extend(job.store());
    done
}

//= spec/coordinator.md#coord-49-own-checkpoints-come-before-the-given-one
//= type=test
//# A job MUST start from the given checkpoint exactly when it has published none itself.
#[test]
fn coord_job_starts_from_what_it_was_given_until_it_has_published() {
    for mode in [ClaimMode::Claim, ClaimMode::NoClaim] {
        let (job, started) = next_process(Job::new(config()), given(mode));
        assert_eq!(restored_from(&started), Some(7));
        let (mut job, started) = next_process(job, given(mode));
        assert_eq!(restored_from(&started), Some(7), "nothing was published meanwhile");
        job.tick(10);
        assert_eq!(job.under_way(), [8], "ids go on from the given one");
        complete_in_attempt(&mut job, 8);
        let (_, started) = next_process(job, given(mode));
        assert_eq!(restored_from(&started), Some(8));
    }
}

//= spec/publish.md#pub-46-names-of-another-job-are-not-used-again
//= type=test
//# Every attempt of a job that is given another one's checkpoint MUST be above the attempt that took it.
#[test]
fn coord_first_attempt_is_above_the_one_that_took_the_given_checkpoint() {
    let (job, _) = next_process(Job::new(config()), given(ClaimMode::NoClaim));
    assert_eq!(job.coordinator.attempt(), complete().attempt.next());
    let (job, _) = next_process(job, given(ClaimMode::NoClaim));
    assert_eq!(job.coordinator.attempt(), complete().attempt.next().next());
    let mut last = given(ClaimMode::Claim);
    if let Some(restore) = &mut last.restore {
        restore.checkpoint.attempt = Attempt(u32::MAX);
    }
    assert!(Coordinator::new(last).is_ok(), "whatever its metadata says");
}

//= spec/coordinator.md#coord-50-a-claimed-checkpoint-is-retained
//= type=test
//# A claimed checkpoint MUST be retained and deleted like one that the job has published.
#[test]
fn coord_claimed_checkpoint_is_deleted_when_it_is_subsumed_and_an_unclaimed_one_never() {
    let goes = Output::DeleteCheckpoint(CheckpointId(7));
    for (mode, is_ours) in [(ClaimMode::Claim, true), (ClaimMode::NoClaim, false)] {
        let (mut job, _) = next_process(Job::new(config()), given(mode));
        assert_eq!(job.coordinator.retained().len(), usize::from(is_ours));
        job.tick(10);
        assert_eq!(complete_in_attempt(&mut job, 8).contains(&goes), is_ours);
        let (mut job, _) = next_process(job, given(mode));
        job.tick(10);
        let again = complete_in_attempt(&mut job, 9).contains(&goes);
        assert_eq!(again, is_ours, "the process may have died before the deletion");
        let retention = Retention::NO_EXTERNALIZED_CHECKPOINTS;
        let (mut job, _) = next_process(Job::new(config()), Config { retention, ..given(mode) });
        job.on(Input::CancelRequested);
        let attempt = job.coordinator.attempt();
        job.on(Input::TasksStopped { attempt });
        assert_eq!(job.store().contains(&goes), is_ours);
    }
}

//= spec/coordinator.md#coord-51-the-first-own-checkpoint-is-full
//= type=test
//# Until a job that does not claim has published a checkpoint, each MUST refer to no file of an older one.
#[test]
fn coord_first_checkpoint_of_a_job_that_does_not_claim_is_full_also_after_a_failover() {
    let (mut job, _) =
        next_process(Job::new(config()), Config { tolerable_failures: 9, ..given(ClaimMode::NoClaim) });
    assert_eq!(kind_of(&job.tick(10)), Some(CheckpointKind::Full));
    job.on(Input::DeclineArrived {
        attempt: job.coordinator.attempt(),
        subtask: SINK,
        checkpoint: CheckpointId(8),
        reason: DeclineReason::AsyncPartFailed,
    });
    job.request(1, SAVEPOINT);
    complete_in_attempt(&mut job, 9);
    let incremental = RequestKind::Checkpoint { full: false };
    let done = job.request(2, incremental);
    assert_eq!(kind_of(&done), Some(CheckpointKind::Full), "a savepoint does not satisfy it");
    job.restart();
    assert_eq!(kind_of(&job.tick(job.now + 10)), Some(CheckpointKind::Full), "nor does a failover");
    complete_in_attempt(&mut job, 11);
    assert_eq!(kind_of(&job.request(3, incremental)), Some(CheckpointKind::Periodic));
    let (mut job, _) = next_process(job, given(ClaimMode::NoClaim));
    assert_eq!(kind_of(&job.tick(10)), Some(CheckpointKind::Periodic), "it has published");
    let (mut job, _) = next_process(Job::new(config()), given(ClaimMode::Claim));
    assert_eq!(kind_of(&job.tick(10)), Some(CheckpointKind::Periodic), "the given one is its own");
}

#[test]
fn coord_kinds_that_stand_alone_share_no_files() {
    use CheckpointKind::{Final, Full, Periodic, Savepoint, Stop};
    assert_eq!(Periodic.sharing(), Sharing::ForwardBackward);
    assert!(
        [Final, Full, Stop].iter().all(|kind| kind.sharing() == Sharing::Forward),
        "the next may refer to it"
    );
    assert_eq!(Savepoint.sharing(), Sharing::NoSharing);
    let mut job = Job::running(config());
    assert_eq!(kind_of(&job.request(1, RequestKind::Checkpoint { full: true })), Some(Full));
}
