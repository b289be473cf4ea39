//! Jobs whose tasks finish one by one, and sources that fall behind.

use super::*;

/// Two sources, each read by one map (one to one), and a sink that reads both maps (all to all).
const GRAPH: [SubtaskId; 5] = [
    SubtaskId::new(0, 0),
    SubtaskId::new(0, 1),
    SubtaskId::new(1, 0),
    SubtaskId::new(1, 1),
    SubtaskId::new(2, 0),
];

fn graph() -> Config {
    Config {
        subtasks: GRAPH.into(),
        sources: [GRAPH[0], GRAPH[1]].into(),
        edges: vec![
            Edge { from: 0, to: 1, pattern: EdgePattern::OneToOne },
            Edge { from: 1, to: 2, pattern: EdgePattern::AllToAll },
        ],
        ..config()
    }
}

fn finished(job: &mut Job, task: usize) -> Vec<Output> {
    let attempt = job.coordinator.attempt();
    job.on(Input::TaskFinished { attempt, subtask: GRAPH[task] })
}

/// The tasks that a checkpoint is triggered at, as places in the graph.
fn triggered(done: &[Output]) -> Vec<usize> {
    let tasks = done.iter().filter_map(|output| match output {
        Output::Trigger { subtask, .. } => GRAPH.iter().position(|task| task == subtask),
        _ => None,
    });
    tasks.collect()
}

fn acknowledge(job: &mut Job, tasks: &[usize], checkpoint: u64) -> Vec<Output> {
    let attempt = job.coordinator.attempt().0;
    let mut done: Vec<_> =
        tasks.iter().flat_map(|task| job.on(acknowledgement(attempt, GRAPH[*task], checkpoint))).collect();
    done.extend(job.store());
    done
}

//= spec/coordinator.md#coord-45-the-first-running-tasks-are-triggered
//= type=test
//# A checkpoint MUST be triggered at exactly the running sources and the running tasks whose inputs have all
//# finished.
#[test]
fn coord_checkpoint_begins_at_the_first_tasks_that_still_run() {
    for (gone, first) in [
        (&[][..], &[0, 1][..]),
        (&[0], &[1, 2]),
        (&[0, 2], &[1]),
        (&[0, 1], &[2, 3]),
        (&[0, 1, 2], &[3]),
        (&[0, 1, 2, 3], &[4]),
    ] {
        let mut job = Job::running(graph());
        let mut done = vec![];
        for task in gone {
            done = finished(&mut job, *task);
        }
        // With the last source gone, the final checkpoint is triggered at once.
        if triggered(&done).is_empty() {
            done = job.tick(10);
        }
        assert_eq!(triggered(&done), first, "{gone:?} have finished");
    }
}

/// An operator with two inputs is triggered only when both have finished, and each kind of edge counts.
//= spec/coordinator.md#coord-45-the-first-running-tasks-are-triggered
//= type=test
//# A checkpoint MUST be triggered at exactly the running sources and the running tasks whose inputs have all
//# finished.
#[test]
fn coord_checkpoint_begins_at_a_task_with_several_inputs_when_all_have_finished() {
    // Two sources with a pair of partners, and one source that both of these read too.
    let tasks =
        [(0, 0), (0, 1), (1, 0), (2, 0), (2, 1)].map(|(operator, index)| SubtaskId::new(operator, index));
    let config = |partners| Config {
        subtasks: tasks.into(),
        sources: tasks[..3].iter().copied().collect(),
        edges: vec![
            Edge { from: 0, to: 2, pattern: partners },
            Edge { from: 1, to: 2, pattern: EdgePattern::AllToAll },
        ],
        ..config()
    };
    let (one_to_one, all_to_all) = (EdgePattern::OneToOne, EdgePattern::AllToAll);
    for (partners, gone, first) in [
        (one_to_one, &[][..], &[0, 1, 2][..]),
        (one_to_one, &[0], &[1, 2]),
        (one_to_one, &[2], &[0, 1]),
        (one_to_one, &[0, 2], &[1, 3]),
        (all_to_all, &[0, 2], &[1]),
        (all_to_all, &[0, 1], &[2]),
    ] {
        let mut job = Job::running(config(partners));
        for task in gone {
            let attempt = job.coordinator.attempt();
            job.on(Input::TaskFinished { attempt, subtask: tasks[*task] });
        }
        let triggered: Vec<_> = job
            .tick(10)
            .iter()
            .filter_map(|output| match output {
                Output::Trigger { subtask, .. } => tasks.iter().position(|task| task == subtask),
                _ => None,
            })
            .collect();
        assert_eq!(triggered, first, "{partners:?}: {gone:?} have finished");
    }
}

//= spec/coordinator.md#coord-4-complete-means-acknowledged-by-all
//= type=test
//# A checkpoint MUST be complete only with the acknowledgement of every subtask in its attempt that had not
//# finished before.
//= spec/coordinator.md#coord-30-every-task-is-told-of-a-completion
//= type=test
//# Every task that has not finished MUST be told of a completed checkpoint that is no savepoint.
#[test]
fn coord_checkpoint_waits_only_for_running_tasks_and_records_who_had_finished() {
    let mut job = Job::running(graph());
    finished(&mut job, 0);
    job.tick(10);
    let stray = job.on(acknowledgement(1, GRAPH[0], 1));
    assert_eq!(stray, [Output::DiscardState(file(1, GRAPH[0], 1))], "it does not take part");
    assert_eq!(acknowledge(&mut job, &[1, 2, 3], 1), []);
    let done = acknowledge(&mut job, &[4], 1);
    let Output::Completed(complete) = &done[0] else { panic!("{done:?}") };
    assert!(GRAPH.iter().all(|task| complete.had_finished(*task) == (*task == GRAPH[0])));
    let told = done.iter().filter(|output| matches!(output, Output::NotifyComplete { .. }));
    assert_eq!(told.count(), 4);
    let late = job.on(acknowledgement(1, GRAPH[0], 1));
    assert_eq!(late, [Output::DiscardState(file(1, GRAPH[0], 1))], "it does not take part");
}

//= spec/coordinator.md#coord-46-a-checkpoint-does-not-wait-for-a-task-that-is-gone
//= type=test
//# A checkpoint that a task has not acknowledged when it finishes MUST be aborted.
#[test]
fn coord_checkpoint_that_waits_for_a_task_which_finishes_is_aborted_without_counting() {
    let mut job = Job::running(Config { max_concurrent: 2, ..graph() });
    job.tick(10);
    job.tick(20);
    acknowledge(&mut job, &[0], 1);
    let done = finished(&mut job, 0);
    assert_eq!(done[0], aborted(2, AbortReason::TaskFinished(GRAPH[0])));
    assert!(!done.contains(&CANCEL), "the tolerance is zero");
    assert_eq!(job.under_way(), [1], "which has its acknowledgement");
    assert!(matches!(acknowledge(&mut job, &[1, 2, 3, 4], 1)[0], Output::Completed(_)));
}

//= spec/coordinator.md#coord-47-what-had-finished-stays-finished
//= type=test
//# A task that had finished when the recovered checkpoint was triggered MUST count as finished from the start.
#[test]
fn coord_restart_leaves_finished_what_had_finished_and_still_takes_the_final_checkpoint() {
    let mut job = Job::running(graph());
    finished(&mut job, 0);
    job.tick(10);
    acknowledge(&mut job, &[1, 2, 3, 4], 1);
    finished(&mut job, 2);
    job.restart();
    let done = job.tick(job.now + 10);
    assert_eq!(triggered(&done), [1, 2], "map 2 had not finished when checkpoint 1 was triggered");
    acknowledge(&mut job, &[1, 2, 3, 4], 2);
    let done = job.on(Input::EndOfDataReported { attempt: Attempt(2), subtask: GRAPH[1] });
    assert!(
        matches!(done[..], [Output::Trigger { options, .. }, ..] if options.kind() == CheckpointKind::Final)
    );
    acknowledge(&mut job, &[1, 2, 3, 4], 3);
    for task in 1..4 {
        assert_eq!(finished(&mut job, task), []);
    }
    assert_eq!(finished(&mut job, 4), [Output::JobEnded(Outcome::Finished)]);
}

#[test]
fn coord_last_finished_source_leads_to_the_final_checkpoint_at_once() {
    let mut job = Job::running(graph());
    finished(&mut job, 0);
    let done = finished(&mut job, 1);
    assert!(
        matches!(done[..], [Output::Trigger { options, .. }, ..] if options.kind() == CheckpointKind::Final)
    );
    assert_eq!(triggered(&done), [2, 3]);
}

//= spec/coordinator.md#coord-32-a-failed-terminal-checkpoint-is-tried-again
//= type=test
//# An aborted terminal checkpoint MUST be followed by another one.
#[test]
fn coord_final_checkpoint_that_waits_for_a_task_which_finishes_is_followed_at_once() {
    let mut job = Job::running(graph());
    for source in [0, 1] {
        job.on(Input::EndOfDataReported { attempt: Attempt(1), subtask: GRAPH[source] });
    }
    assert_eq!(job.under_way(), [1]);
    let done = finished(&mut job, 0);
    assert_eq!(done[0], aborted(1, AbortReason::TaskFinished(GRAPH[0])));
    assert_eq!(triggered(&done), [1, 2], "no more time passes");
}

fn backlog(job: &mut Job, has_backlog: bool) -> Vec<Output> {
    job.on(Input::BacklogReported { attempt: Attempt(1), subtask: SOURCE, has_backlog })
}

//= spec/coordinator.md#coord-48-a-backlog-has-an-interval-of-its-own
//= type=test
//# While a source processes a backlog, periodic checkpoints MUST keep the interval during backlog instead.
#[test]
fn coord_backlog_makes_checkpoints_rarer_until_it_is_gone() {
    let mut job = Job::running(Config { interval_during_backlog: Some(Millis(50)), ..config() });
    backlog(&mut job, true);
    assert_eq!(job.tick(10), triggers(1, CheckpointKind::Periodic), "this one was due before");
    job.complete(1);
    assert_eq!(job.coordinator.deadline(), Some(Millis(60)));
    job.now = 20;
    backlog(&mut job, false);
    assert_eq!(job.coordinator.deadline(), Some(Millis(30)), "the shorter interval counts at once");
    let mut job = Job::running(config());
    backlog(&mut job, true);
    job.tick(10);
    job.complete(1);
    assert_eq!(job.coordinator.deadline(), Some(Millis(20)), "without a setting nothing changes");
}

//= spec/coordinator.md#coord-48-a-backlog-has-an-interval-of-its-own
//= type=test
//# While a source processes a backlog, periodic checkpoints MUST keep the interval during backlog instead.
#[test]
fn coord_backlog_without_checkpoints_ends_with_its_report_its_source_or_its_attempt() {
    let without = || {
        Job::running(Config { interval_during_backlog: Some(Millis(0)), tolerable_failures: 9, ..graph() })
    };
    let report = |job: &mut Job| {
        job.on(Input::BacklogReported { attempt: Attempt(1), subtask: GRAPH[0], has_backlog: true });
        assert_eq!((job.coordinator.deadline(), job.tick(500)), (None, vec![]));
    };
    let mut job = without();
    report(&mut job);
    let request = job.request(1, RequestKind::Checkpoint { full: false });
    assert_eq!(triggered(&request), [0, 1], "requests still work");
    job.decline(1, DeclineReason::OnCancellationBarrier);
    job.on(Input::BacklogReported { attempt: Attempt(1), subtask: GRAPH[0], has_backlog: false });
    assert_eq!(job.coordinator.deadline(), Some(Millis(510)));
    let mut job = without();
    report(&mut job);
    job.on(Input::EndOfDataReported { attempt: Attempt(1), subtask: GRAPH[0] });
    assert_eq!(job.coordinator.deadline(), Some(Millis(510)), "the source is at its end");
    let mut job = without();
    report(&mut job);
    finished(&mut job, 0);
    assert_eq!(job.coordinator.deadline(), Some(Millis(510)), "the source has finished");
    job.on(Input::BacklogReported { attempt: Attempt(1), subtask: GRAPH[0], has_backlog: true });
    assert_eq!(job.coordinator.deadline(), Some(Millis(510)), "and has no say any more");
    let mut job = without();
    report(&mut job);
    job.restart();
    assert!(job.coordinator.deadline().is_some());
}

#[test]
fn coord_job_without_edges_is_triggered_at_its_running_sources_alone() {
    let other = SubtaskId::new(0, 1);
    let subtasks = [SOURCE, other, SINK].into();
    let mut job = Job::running(Config { subtasks, sources: [SOURCE, other].into(), ..config() });
    job.on(Input::TaskFinished { attempt: Attempt(1), subtask: other });
    let triggered: Vec<SubtaskId> = job
        .tick(10)
        .into_iter()
        .filter_map(|output| match output {
            Output::Trigger { subtask, .. } => Some(subtask),
            _ => None,
        })
        .collect();
    assert_eq!(triggered, [SOURCE]);
}
