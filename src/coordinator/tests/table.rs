//! Every input in every situation of a job's life, as a table that is reviewed when it changes.

use super::shared::{object, shares, upload};
use super::*;
use crate::table_tests::assert_committed;
use std::fmt::Write;

/// A situation: its name, and a job in it. Checkpoint 1 is the one that everything is about.
fn situations() -> Vec<(&'static str, Job)> {
    let edges = vec![Edge { from: 0, to: 1, pattern: EdgePattern::AllToAll }];
    let retention = Retention::NO_EXTERNALIZED_CHECKPOINTS;
    let running = || Job::running(Config { retention, edges: edges.clone(), ..config() });
    let with = |steps: &dyn Fn(&mut Job)| {
        let mut job = running();
        steps(&mut job);
        job
    };
    let acknowledged = |job: &mut Job| {
        job.tick(10);
        job.acknowledge(SOURCE, 1);
        job.acknowledge(SINK, 1);
    };
    let mut recovering = Job::new(config());
    recovering.on(Input::JobStarted);
    let mut deploying = Job::new(config());
    deploying.on(Input::JobStarted);
    deploying.store();
    vec![
        ("created", Job::new(config())),
        ("recovering", recovering),
        ("deploying", deploying),
        ("running", running()),
        ("checkpoint pending", with(&|job| drop(job.tick(10)))),
        (
            "checkpoint half acknowledged",
            with(&|job| {
                job.tick(10);
                job.acknowledge(SOURCE, 1);
            }),
        ),
        ("checkpoint in publication", with(&acknowledged)),
        (
            "checkpoint complete",
            with(&|job| {
                acknowledged(job);
                job.store();
            }),
        ),
        (
            "request waiting",
            with(&|job| {
                job.tick(10);
                job.request(1, RequestKind::Checkpoint { full: false });
            }),
        ),
        ("savepoint pending", with(&|job| drop(job.request(1, SAVEPOINT)))),
        ("savepoint that cancels pending", with(&|job| drop(job.request(1, CANCEL_WITH_SAVEPOINT)))),
        ("draining", with(&|job| drop(job.request(1, DRAIN)))),
        ("stop pending", with(&|job| drop(job.request(1, SUSPEND)))),
        (
            "stop complete",
            with(&|job| {
                job.request(1, SUSPEND);
                job.complete(1);
            }),
        ),
        ("final pending", with(&|job| drop(end_of_data(job)))),
        (
            "sink finished, source left",
            with(&|job| {
                job.on(Input::TaskFinished { attempt: Attempt(1), subtask: SINK });
            }),
        ),
        ("stopping for a restart", with(&|job| drop(job.on(failed(Attempt(1), SINK))))),
        (
            "stopping in publication",
            with(&|job| {
                acknowledged(job);
                job.on(failed(Attempt(1), SINK));
            }),
        ),
        ("stopping for good", with(&|job| drop(job.on(Input::CancelRequested)))),
        (
            "waiting for the restart",
            with(&|job| {
                job.on(failed(Attempt(1), SINK));
                job.on(Input::TasksStopped { attempt: Attempt(1) });
            }),
        ),
        (
            "waiting for the restart and a publication",
            with(&|job| {
                acknowledged(job);
                job.on(failed(Attempt(1), SINK));
                job.on(Input::TasksStopped { attempt: Attempt(1) });
            }),
        ),
        (
            "restarted",
            with(&|job| {
                job.on(failed(Attempt(1), SINK));
                job.on(Input::TasksStopped { attempt: Attempt(1) });
                job.tick(7);
                job.store();
            }),
        ),
        (
            "retiring",
            with(&|job| {
                job.on(Input::CancelRequested);
                job.on(Input::TasksStopped { attempt: Attempt(1) });
            }),
        ),
        (
            "ended",
            with(&|job| {
                job.on(Input::SuspendRequested);
                job.on(Input::TasksStopped { attempt: Attempt(1) });
            }),
        ),
    ]
}

fn inputs(job: &Job) -> Vec<(String, Input)> {
    let (attempt, checkpoint) = (Attempt(1), CheckpointId(1));
    let part = |reason| Input::DeclineArrived { attempt, subtask: SINK, checkpoint, reason };
    let request = |kind| Input::CheckpointRequested { request: RequestId(2), kind };
    let mut inputs = vec![
        ("job started".into(), Input::JobStarted),
        ("tasks running".into(), Input::TasksRunning { attempt }),
        ("source acknowledges".into(), acknowledgement(1, SOURCE, 1)),
        ("sink acknowledges".into(), acknowledgement(1, SINK, 1)),
        ("old attempt acknowledges".into(), acknowledgement(0, SINK, 1)),
        ("sink acknowledges unknown".into(), acknowledgement(1, SINK, 9)),
        ("source shares a new file".into(), shares(1, 1, &[upload(1)], &[])),
        ("source shares a lost file".into(), shares(1, 1, &[upload(1)], &[upload(7)])),
        ("shared files listed".into(), Input::SharedListed { objects: [object(0, SINK, 8)].into() }),
        ("sink declines, failed".into(), part(DeclineReason::AsyncPartFailed)),
        ("sink declines, cancelled".into(), part(DeclineReason::OnCancellationBarrier)),
        ("source at its end".into(), Input::EndOfDataReported { attempt, subtask: SOURCE }),
        ("source finished".into(), Input::TaskFinished { attempt, subtask: SOURCE }),
        ("sink finished".into(), Input::TaskFinished { attempt, subtask: SINK }),
        ("sink failed".into(), failed(attempt, SINK)),
        ("old attempt failed".into(), failed(Attempt(0), SINK)),
        ("tasks stopped".into(), Input::TasksStopped { attempt }),
        ("request: checkpoint".into(), request(RequestKind::Checkpoint { full: false })),
        ("request: savepoint".into(), request(SAVEPOINT)),
        ("request: cancel with savepoint".into(), request(CANCEL_WITH_SAVEPOINT)),
        ("request: stop".into(), request(SUSPEND)),
        ("request: drain".into(), request(DRAIN)),
        ("cancel".into(), Input::CancelRequested),
        ("suspend".into(), Input::SuspendRequested),
        ("tick, nothing due".into(), Input::Tick),
    ];
    if let Some((ticket, _)) = job.asked.first() {
        for answer in [Answer::Stored, Answer::Exists, Answer::Failed, Answer::Unknown] {
            let name = format!("storage: {answer:?}").to_lowercase();
            inputs.push((name, Input::StorageAnswered { ticket: *ticket, answer }));
        }
    }
    inputs
}

fn name(coordinator: &Coordinator) -> String {
    let mut name = format!("{:?}", coordinator.phase);
    for (what, checkpoints) in [("pending", &coordinator.pending), ("publishing", &coordinator.publishing)] {
        for (id, pending) in checkpoints {
            write!(name, ", {what} {} {id} with {}", pending.kind, pending.acknowledged.len()).unwrap();
        }
    }
    if coordinator.queue.len() > 0 {
        write!(name, ", {} waiting", coordinator.queue.len()).unwrap();
    }
    for (holds, what) in [(coordinator.is_running(), "runs"), (coordinator.has_ended(), "over")] {
        if holds {
            write!(name, ", {what}").unwrap();
        }
    }
    if coordinator.restarts() > 0 {
        write!(name, ", {} restarts", coordinator.restarts()).unwrap();
    }
    for (what, time) in [("due", coordinator.deadline()), ("expires", coordinator.next_expiry())] {
        if let Some(time) = time {
            write!(name, ", {what} {time}").unwrap();
        }
    }
    if let Some(terminal) = coordinator.terminal {
        write!(name, ", terminal {terminal}").unwrap();
    }
    name
}

fn brief(output: &Output) -> String {
    let task = |subtask: &SubtaskId| if *subtask == SOURCE { "source" } else { "sink" };
    match output {
        Output::Perform { operation, .. } => {
            let operation = format!("{operation:?}");
            let end = operation.find(['(', ' ']).unwrap_or(operation.len());
            format!("perform {}", &operation[..end])
        }
        Output::Skipping(_) => unreachable!("nothing is damaged here"),
        Output::StartTasks(_) => "start tasks".into(),
        Output::CancelTasks { .. } => "cancel tasks".into(),
        Output::PlaceSavepoint { savepoint, request, .. } => format!("place {savepoint} for {}", request.0),
        Output::Trigger { subtask, checkpoint, options, .. } => {
            let kind = options.kind();
            format!("trigger {kind} {checkpoint} at {}", task(subtask))
        }
        Output::NotifyComplete { subtask, checkpoint, .. } => {
            format!("complete {checkpoint} to {}", task(subtask))
        }
        Output::NotifyAborted { subtask, checkpoint, .. } => {
            format!("abort {checkpoint} to {}", task(subtask))
        }
        Output::Completed(complete) => format!("completed {}", complete.id),
        Output::Aborted { checkpoint, reason } => format!("aborted {checkpoint}: {reason:?}"),
        Output::DiscardState(file) => format!("discard {}", task(&file.subtask)),
        Output::DeleteCheckpoint(id) => format!("delete {id}"),
        Output::DeleteShared(object) => format!("delete shared {}", object.upload),
        Output::ListShared => "list shared".into(),
        Output::DeletePointer(number) => format!("delete pointer {number}"),
        Output::DrainSource { subtask, .. } => format!("drain {}", task(subtask)),
        Output::RequestAnswered { request, outcome } => format!("answer {}: {outcome:?}", request.0),
        Output::JobEnded(outcome) => format!("end: {outcome:?}"),
    }
}

#[test]
fn coord_every_input_in_every_situation_behaves_as_in_the_committed_table() {
    let mut found = String::from("situation [state]\n  input  what is done [next state]\n");
    for (situation, job) in situations() {
        let state = name(&job.coordinator);
        writeln!(found, "\n{situation} [{state}]").unwrap();
        for (event, input) in inputs(&job) {
            let (mut next, mut out) = (job.coordinator.clone(), Vec::new());
            let misused = next.on(Millis(job.now), input, &mut out).is_err();
            next.check().unwrap();
            assert!(!misused || next == job.coordinator && out.is_empty(), "misuse changes nothing");
            let mut done = out.iter().map(brief).collect::<Vec<_>>().join("; ");
            if done.is_empty() {
                done = if misused { "misuse".into() } else { "-".into() };
            }
            let next = name(&next);
            let next = if next == state { String::new() } else { format!(" [{next}]") };
            writeln!(found, "  {event:<26} {done}{next}").unwrap();
        }
    }
    assert_committed("src/coordinator/table.txt", &found);
}
