//! Steps and states in words.

use super::world::{Part, Process, Step, World};
use std::fmt::Write;

fn part(part: Part) -> String {
    let Part { attempt, checkpoint, subtask, is_savepoint } = part;
    let what = if is_savepoint { "savepoint" } else { "checkpoint" };
    format!("{what} {checkpoint}, task {subtask} of attempt {attempt}")
}

pub(super) fn step(step: Step) -> String {
    match step {
        Step::Start => "another process starts".to_owned(),
        Step::Answer(who, how) => format!("{who}: the storage answers: {how:?}"),
        Step::Late(_) => "a put arrives late".to_owned(),
        Step::Running(who) => format!("{who}: the tasks run"),
        Step::Stopped(who) => format!("{who}: the tasks have ended"),
        Step::Acknowledge(who, of) => format!("{who}: acknowledged: {}", part(of)),
        Step::AcknowledgeTwice(who, of) => format!("{who}: acknowledged for the first time: {}", part(of)),
        Step::Again(who, of) => format!("{who}: acknowledged again: {}", part(of)),
        Step::Decline(who, of, reason) => format!("{who}: declined: {}: {reason:?}", part(of)),
        Step::EndOfData(who) => format!("{who}: the source is at its end"),
        Step::Backlog(who) => format!("{who}: the backlog of the source begins or ends"),
        Step::Finish(who, task) => format!("{who}: task {task} finishes"),
        Step::Fail(who, task, unrecoverable) => {
            format!("{who}: task {task} fails{}", if unrecoverable { " for good" } else { "" })
        }
        Step::Stray(who, stray) => format!("{who}: a message that makes no sense: {stray:?}"),
        Step::Request(who, kind) => format!("{who}: a user asks for {kind:?}"),
        Step::Switch(who, on) => {
            format!("{who}: periodic checkpoints are switched {}", if on { "on" } else { "off" })
        }
        Step::Cancel(who) => format!("{who}: a user cancels the job"),
        Step::Suspend(who) => format!("{who}: the process gives the job up"),
        Step::Delete(who, id) => format!("{who}: checkpoint {id} is deleted"),
        Step::DeletionFails(who, id) => format!("{who}: checkpoint {id} is not deleted"),
        Step::Tick(who) => format!("{who}: time goes on to its deadline"),
    }
}

fn process(text: &mut String, number: usize, process: &Process) -> std::fmt::Result {
    let (tasks, watch) = (&process.tasks, &process.watch);
    writeln!(text, "process {number}: attempt {}, tasks {:?}", tasks.attempt, tasks.life)?;
    for (id, under_way) in &watch.under_way {
        let owing: Vec<_> = under_way.owing.iter().map(ToString::to_string).collect();
        writeln!(text, "  {} {id} since {}, waits for {owing:?}", under_way.kind, under_way.since)?;
    }
    let retained: Vec<_> = process.coordinator.retained().iter().map(|kept| kept.id.0).collect();
    let cleaning: Vec<_> = process.cleaning.iter().map(|id| id.0).collect();
    writeln!(text, "  retained {retained:?}, being deleted {cleaning:?}, failures {}", watch.failures)?;
    for (request, kind) in &watch.unanswered {
        writeln!(text, "  request {}: {kind:?}", request.0)?;
    }
    if let Some((_, operation)) = &process.asked {
        writeln!(text, "  asked for {operation:?}")?;
    }
    if let Some(outcome) = watch.outcome {
        writeln!(text, "  ended: {outcome:?}")?;
    }
    if watch.wrong != Default::default() {
        writeln!(text, "  {:?}", watch.wrong)?;
    }
    Ok(())
}

/// A state, one line for each thing.
pub(super) fn world(world: &World) -> String {
    let mut text = format!("time {}\n", world.now);
    for (number, one) in world.processes.iter().enumerate() {
        process(&mut text, number, one).expect("text can be written");
    }
    let store = &world.store;
    let mut line = |what: String| writeln!(text, "{what}").expect("text can be written");
    for (number, pointer) in &store.pointers {
        let (kind, attempt, newest) = (pointer.kind, pointer.attempt, pointer.newest.map(|id| id.0));
        line(format!("pointer {number}: {kind:?} of attempt {attempt}, newest {newest:?}"));
    }
    for file in store.files.iter().chain(&store.savepoint_files) {
        line(format!("file of {}, task {}, attempt {}", file.checkpoint, file.subtask, file.attempt));
    }
    store.late.iter().for_each(|put| line(format!("late: {put:?}")));
    text
}
