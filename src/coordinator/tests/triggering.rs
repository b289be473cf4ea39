//! When checkpoints are triggered, and how.

use super::*;

#[test]
fn coord_only_periodic_checkpoints_of_a_job_that_is_unaligned_overtake() {
    use crate::base::Alignment;
    let cases = [
        (None, Alignment::Aligned),
        (Some(Millis(0)), Alignment::Unaligned),
        (Some(Millis(7)), Alignment::AlignedUntil(Millis(17))),
    ];
    for (unaligned, expected) in cases {
        let mut job = Job::running(Config { unaligned, ..config() });
        job.now = 10;
        let alignments = |out: Vec<Output>| -> Vec<Alignment> {
            let alignment = |output| match output {
                Output::Trigger { options, .. } => Some(options.alignment()),
                _ => None,
            };
            out.into_iter().filter_map(alignment).collect()
        };
        assert_eq!(alignments(job.on(Input::Tick)), [expected]);
        let mut job = Job::running(Config { unaligned, ..config() });
        assert_eq!(alignments(end_of_data(&mut job)), [Alignment::Aligned]);
    }
}

//= spec/coordinator.md#coord-1-tasks-start-from-a-recovery
//= type=test
//# An attempt MUST start its tasks only after its recovery has succeeded.
#[test]
fn coord_tasks_start_only_when_the_recovery_has_succeeded() {
    let mut job = Job::new(config());
    assert_eq!(job.on(Input::JobStarted), []);
    assert_eq!(job.answer(Answer::Listed(Listing::default())), []);
    assert!(matches!(job.answer(Answer::Stored)[..], [Output::StartTasks(_)]));
    let mut job = Job::new(config());
    job.on(Input::JobStarted);
    job.answer(Answer::Listed(Listing { pointers: [PointerSequence(1)].into(), ..Listing::default() }));
    assert!(matches!(job.answer(Answer::Corrupt)[..], [Output::JobEnded(Outcome::RecoveryFailed(_))]));
    assert!(job.coordinator.has_ended());
}

//= spec/coordinator.md#coord-5-checkpoints-need-running-tasks
//= type=test
//# A checkpoint MUST be triggered only while every task of the attempt runs.
#[test]
fn coord_nothing_is_triggered_until_all_tasks_run_or_after_they_stop() {
    let mut job = Job::new(config());
    job.on(Input::JobStarted);
    job.store();
    assert_eq!(job.tick(1_000), []);
    job.on(Input::TasksRunning { attempt: Attempt(1) });
    job.on(failed(Attempt(1), SINK));
    assert_eq!(job.tick(2_000), []);
}

//= spec/coordinator.md#coord-3-concurrency-is-bounded
//= type=test
//# A checkpoint that is not forced MUST NOT be triggered while the configured maximum is under way.
//= spec/coordinator.md#coord-29-the-interval-is-kept
//= type=test
//# A periodic checkpoint MUST be triggered when the interval since the last one was due is over and there is
//# room.
#[test]
fn coord_limit_of_concurrency_delays_triggers_until_there_is_room() {
    for limit in [1, 2, 5] {
        let mut job = Job::running(Config { max_concurrent: limit as usize, ..config() });
        for turn in 1..=limit + 2 {
            job.tick(10 * turn);
        }
        assert!(job.under_way().into_iter().eq(1..=limit));
        assert_eq!(job.complete(1).last(), triggers(limit + 1, CheckpointKind::Periodic).last());
        assert!(job.under_way().into_iter().eq(2..=limit + 1));
    }
}

//= spec/coordinator.md#coord-29-the-interval-is-kept
//= type=test
//# A periodic checkpoint MUST be triggered when the interval since the last one was due is over and there is
//# room.
#[test]
fn coord_interval_runs_from_due_time_to_due_time() {
    let mut job = Job::running(config());
    assert_eq!(job.coordinator.deadline(), Some(Millis(10)));
    assert_eq!(job.tick(9), []);
    job.tick(12);
    job.complete(1);
    assert_eq!(job.tick(19), []);
    assert_eq!(job.tick(20), triggers(2, CheckpointKind::Periodic), "the late one has moved nothing");
    assert_eq!(job.tick(45), [], "there is no room");
    job.now = 46;
    assert_eq!(job.complete(2).last(), triggers(3, CheckpointKind::Periodic).last());
    job.complete(3);
    assert_eq!(job.under_way(), NONE, "what was due twice is triggered once");
    assert_eq!(job.coordinator.deadline(), Some(Millis(50)));
    let mut job = Job::running(Config { interval: None, ..config() });
    assert_eq!((job.coordinator.deadline(), job.tick(1_000)), (None, vec![]), "without an interval: never");
}

//= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
//= type=test
//# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
#[test]
fn coord_minimum_pause_counts_from_the_completion() {
    let mut job = Job::running(Config { min_pause: Millis(50), ..config() });
    job.tick(10);
    job.now = 30;
    job.complete(1);
    assert_eq!(job.coordinator.deadline(), Some(Millis(80)));
    assert_eq!(job.tick(79), []);
    assert_eq!(job.tick(80), triggers(2, CheckpointKind::Periodic));
    job.complete(2);
    assert_eq!(job.coordinator.deadline(), Some(Millis(130)), "80 and 50, and due times count from 80");
}

#[test]
fn coord_interval_counts_from_the_end_of_a_pause_that_has_delayed_a_checkpoint() {
    let mut job = Job::running(Config { min_pause: Millis(7), ..config() });
    job.tick(10);
    job.now = 18;
    job.complete(1);
    assert_eq!(job.tick(25), triggers(2, CheckpointKind::Periodic), "due at 20, but the pause ends at 25");
    job.now = 26;
    job.complete(2);
    assert_eq!(job.coordinator.deadline(), Some(Millis(35)), "the pause ends at 33");
}

//= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
//= type=test
//# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
#[test]
fn coord_minimum_pause_outlasts_a_restart() {
    let mut job = Job::running(Config { min_pause: Millis(50), ..config() });
    job.tick(10);
    job.complete(1);
    job.restart();
    assert_eq!(job.coordinator.deadline(), Some(Millis(60)));
}
