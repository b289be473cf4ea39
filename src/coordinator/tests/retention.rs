//! What stays of a job: while it runs, and after each of its ends.

use super::*;

fn deleted(done: &[Output]) -> Vec<u64> {
    let deleted = done.iter().filter_map(|output| match output {
        Output::DeleteCheckpoint(id) => Some(id.0),
        _ => None,
    });
    deleted.collect()
}

/// A job that retains checkpoints 1 and 2.
fn with_two_checkpoints(retention: Retention) -> Job {
    let restart = RestartStrategy::None;
    let mut job = Job::running(Config { retained: 2, retention, restart, ..config() });
    for checkpoint in 1..=2 {
        job.tick(10 * checkpoint);
        job.complete(checkpoint);
    }
    job
}

fn stopped(job: &mut Job) -> Vec<Output> {
    let attempt = job.coordinator.attempt();
    let mut done = job.on(Input::TasksStopped { attempt });
    done.extend(job.store());
    done
}

//= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
//= type=test
//# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
//# except the newest if a stop has asked for it.
//= spec/publish.md#pub-44-a-retired-job-keeps-its-ids
//= type=test
//# The claim that retires a job MUST name the highest checkpoint id that the job has given away.
//= spec/publish.md#pub-17-new-ids-are-above-everything-found
//= type=test
//# The next checkpoint id of an attempt MUST be above every checkpoint of which anything was found.
#[test]
fn coord_cancelled_job_that_starts_again_gives_no_id_to_what_a_late_deletion_would_hit() {
    let mut job = with_two_checkpoints(Retention::DELETE_ON_CANCELLATION);
    job.tick(30);
    job.on(Input::CancelRequested);
    job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(deleted(&job.store()), [1, 2, 3], "3 was aborted, and nothing of it exists");
    for attempt in [3, 4] {
        let mut again = Job::new(config());
        again.pointers = std::mem::take(&mut job.pointers);
        again.on(Input::JobStarted);
        let started = again.store();
        let [Output::StartTasks(recovered)] = &started[..] else { panic!("{started:?}") };
        assert_eq!((recovered.attempt, recovered.next_checkpoint), (Attempt(attempt), CheckpointId(4)));
        assert_eq!(recovered.newest, None);
        job = again;
    }
}

//= spec/coordinator.md#coord-41-a-cancelled-job-ends-without-a-restart
//= type=test
//# A job that is cancelled or suspended MUST stop its tasks and end without a restart.
#[test]
fn coord_end_of_the_job_deletes_what_its_retention_says() {
    let table = [
        (Retention::NO_EXTERNALIZED_CHECKPOINTS, [true, true, true, false]),
        (Retention::DELETE_ON_CANCELLATION, [true, true, false, false]),
        (Retention::RETAIN_ON_CANCELLATION, [true, false, false, false]),
        (Retention::RETAIN_ALWAYS, [false; 4]),
    ];
    for (retention, [finished, cancelled, failed_for_good, suspended]) in table {
        let mut job = with_two_checkpoints(retention);
        end_of_data(&mut job);
        job.complete(3);
        let mut done = finish(&mut job);
        done.extend(job.store());
        assert_eq!(done.last(), Some(&Output::JobEnded(Outcome::Finished)));
        assert_eq!(deleted(&done), if finished { vec![2, 3] } else { vec![] }, "{retention:?}");
        for (input, outcome, deletes) in [
            (Input::CancelRequested, Outcome::Cancelled, cancelled),
            (failed(Attempt(1), SINK), Outcome::RestartsExhausted, failed_for_good),
            (Input::SuspendRequested, Outcome::Suspended, suspended),
        ] {
            let mut job = with_two_checkpoints(retention);
            job.tick(30);
            let done = job.on(input);
            assert_eq!((&done[0], done.last()), (&aborted(3, AbortReason::Suspended), Some(&CANCEL)));
            let done = stopped(&mut job);
            assert_eq!(done.last(), Some(&Output::JobEnded(outcome)));
            assert_eq!(
                deleted(&done),
                if deletes { vec![1, 2, 3] } else { vec![] },
                "{retention:?} {outcome:?}"
            );
            assert_eq!(job.on(Input::CancelRequested), [], "it has ended");
        }
    }
}

//= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
//= type=test
//# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
//# except the newest if a stop has asked for it.
#[test]
fn coord_final_checkpoint_that_a_stop_was_answered_with_stays() {
    for is_stopped in [true, false] {
        let mut job = with_two_checkpoints(Retention::NO_EXTERNALIZED_CHECKPOINTS);
        end_of_data(&mut job);
        if is_stopped {
            job.request(1, SUSPEND);
        }
        job.complete(3);
        let mut done = finish(&mut job);
        done.extend(job.store());
        assert_eq!(deleted(&done), if is_stopped { vec![2] } else { vec![2, 3] });
        assert_eq!(job.coordinator.retained().len(), usize::from(is_stopped));
    }
}

//= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
//= type=test
//# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
//# except the newest if a stop has asked for it.
#[test]
fn coord_savepoint_of_a_stop_stays_and_everything_older_may_go() {
    for (mode, outcome) in
        [(StopMode::Suspend, Outcome::Stopped(CheckpointId(3))), (StopMode::Drain, Outcome::Finished)]
    {
        let mut job = with_two_checkpoints(Retention::NO_EXTERNALIZED_CHECKPOINTS);
        job.request(1, RequestKind::Stop(mode, SavepointFormat::Canonical));
        if mode == StopMode::Drain {
            end_of_data(&mut job);
        }
        job.complete(3);
        let pointers = job.pointers.clone();
        let done = finish(&mut job);
        assert_eq!(deleted(&done), [2]);
        assert_eq!(done.last(), Some(&Output::JobEnded(outcome)));
        assert!(job.coordinator.retained().iter().map(|kept| kept.id.0).eq([3]));
        assert_eq!(job.pointers, pointers, "it is still what a recovery finds");
    }
    let mut job = with_two_checkpoints(Retention::NO_EXTERNALIZED_CHECKPOINTS);
    job.request(1, SUSPEND);
    job.complete(3);
    job.on(Input::CancelRequested);
    assert_eq!(deleted(&stopped(&mut job)), [2], "too late to cancel what was stopped");
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Millis(7) };
    let retention = Retention::NO_EXTERNALIZED_CHECKPOINTS;
    let mut job = Job::running(Config { retention, restart, ..config() });
    job.request(1, SUSPEND);
    job.complete(1);
    job.restart();
    assert_eq!(job.under_way(), [2], "it is stopped again");
    job.on(Input::CancelRequested);
    assert_eq!(deleted(&stopped(&mut job)), NONE, "2 may be another attempt's by now");
}

//= spec/coordinator.md#coord-43-checkpoints-go-after-the-job-has-retired
//= type=test
//# The newest checkpoint MUST be deleted only after the job has retired.
//= spec/publish.md#pub-41-a-job-retires-by-a-claim
//= type=test
//# A job MUST retire by writing a claim that names no checkpoint.
#[test]
fn coord_cancelled_job_deletes_its_checkpoints_only_when_nobody_else_has_taken_it_over() {
    for answer in [Answer::Stored, Answer::Exists, Answer::Failed, Answer::Unknown] {
        let mut job = with_two_checkpoints(Retention::DELETE_ON_CANCELLATION);
        job.on(Input::CancelRequested);
        assert_eq!(job.on(Input::TasksStopped { attempt: Attempt(1) }), [], "not before it has retired");
        assert_eq!(job.request(1, SAVEPOINT), [refused(1, Refusal::JobEnding)]);
        let (_, operation) = &job.asked[0];
        assert!(matches!(
            operation,
            Operation::PutPointer(_, Pointer { newest: None, attempt: Attempt(2), .. })
        ));
        let is_ours = answer == Answer::Stored;
        let done = job.answer(answer);
        assert_eq!(deleted(&done), if is_ours { vec![1, 2] } else { vec![] });
        assert_eq!(done.last(), Some(&Output::JobEnded(Outcome::Cancelled)));
    }
}

#[test]
fn coord_cancelled_job_waits_for_a_publication_and_deletes_its_checkpoint_too() {
    let mut job = with_two_checkpoints(Retention::DELETE_ON_CANCELLATION);
    job.tick(30);
    job.acknowledge(SOURCE, 3);
    job.acknowledge(SINK, 3);
    job.on(Input::CancelRequested);
    assert_eq!(job.on(Input::TasksStopped { attempt: Attempt(1) }), []);
    let done = job.store();
    assert_eq!(deleted(&done), [1, 2, 3]);
    assert_eq!(done.last(), Some(&Output::JobEnded(Outcome::Cancelled)));
    let mut again = Job::new(config());
    (again.pointers, again.metadata) = (job.pointers, BTreeMap::new());
    again.on(Input::JobStarted);
    let started = again.store();
    assert!(matches!(&started[..], [Output::StartTasks(recovered)] if recovered.newest.is_none()));
}

//= spec/coordinator.md#coord-41-a-cancelled-job-ends-without-a-restart
//= type=test
//# A job that is cancelled or suspended MUST stop its tasks and end without a restart.
#[test]
fn coord_job_is_cancelled_in_every_phase_of_its_life() {
    let ended = [Output::JobEnded(Outcome::Cancelled)];
    let mut job = Job::new(config());
    assert_eq!(job.on(Input::CancelRequested), ended, "before it has started");
    let mut job = Job::new(config());
    job.on(Input::JobStarted);
    assert_eq!(job.on(Input::CancelRequested), ended, "during its recovery");
    assert_eq!(job.store(), [], "which starts nothing any more");
    let mut job = Job::new(config());
    job.on(Input::JobStarted);
    job.store();
    assert_eq!(job.on(Input::CancelRequested), [CANCEL], "before its tasks run");
    let mut job = Job::running(config());
    job.on(failed(Attempt(1), SINK));
    assert_eq!(job.on(Input::CancelRequested), [], "while its tasks stop for a restart");
    assert_eq!(job.on(Input::TasksStopped { attempt: Attempt(1) }), ended);
    let mut job = Job::running(config());
    job.on(failed(Attempt(1), SINK));
    job.on(Input::TasksStopped { attempt: Attempt(1) });
    assert_eq!(job.on(Input::CancelRequested), ended, "while it waits for its restart");
    assert_eq!((job.tick(1_000), job.asked.len()), (vec![], 0));
}

//= spec/coordinator.md#coord-44-cleaning-up-keeps-pace
//= type=test
//# A checkpoint MUST NOT be triggered while more deletions than the maximum concurrency are under way.
#[test]
fn coord_too_many_deletions_under_way_hold_the_next_checkpoint_back() {
    let mut job = Job::running(config());
    job.cleans = false;
    for checkpoint in 1..=3 {
        job.tick(10 * checkpoint);
        job.complete(checkpoint);
    }
    assert_eq!(job.tick(40), [], "1 and 2 are being deleted");
    assert_eq!(job.request(1, SAVEPOINT), []);
    let done = job.on(Input::CleanupEnded { checkpoint: CheckpointId(1) });
    assert_eq!(done, triggers_savepoint(4, 1));
}

#[test]
fn coord_notice_of_an_abort_names_the_newest_completed_checkpoint() {
    let mut job = Job::running(Config { tolerable_failures: 9, ..config() });
    job.tick(10);
    job.complete(1);
    job.tick(20);
    let done = job.decline(2, DeclineReason::SyncPartFailed);
    let named = |output: &Output| {
        matches!(output, Output::NotifyAborted { newest_completed: Some(CheckpointId(1)), .. })
    };
    assert_eq!(done.iter().filter(|output| named(output)).count(), 2);
}

//= spec/coordinator.md#coord-42-the-end-of-the-job-decides-what-stays
//= type=test
//# The checkpoints of a job MUST be deleted at its end exactly when its retention says so for that end,
//# except the newest if a stop has asked for it.
#[test]
fn coord_stop_that_is_published_while_the_job_is_cancelled_stays_and_is_told_of() {
    for retention in [Retention::NO_EXTERNALIZED_CHECKPOINTS, Retention::RETAIN_ON_CANCELLATION] {
        let mut job = with_two_checkpoints(retention);
        job.request(1, SUSPEND);
        for task in [SOURCE, SINK] {
            job.on(acknowledgement(1, task, 3));
        }
        job.on(Input::CancelRequested);
        let mut done = job.on(Input::TasksStopped { attempt: Attempt(1) });
        done.extend(job.store());
        let (waits, answer) = match retention == Retention::NO_EXTERNALIZED_CHECKPOINTS {
            true => (true, RequestOutcome::Completed(CheckpointId(3))),
            false => (false, RequestOutcome::Unknown(CheckpointId(3))),
        };
        assert!(done.contains(&answered(1, answer)), "{done:?}");
        assert_eq!(deleted(&done), if waits { vec![1, 2] } else { vec![1] });
        assert!(job.metadata.contains_key(&CheckpointId(3)));
    }
}
