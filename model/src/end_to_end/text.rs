//! Steps and states as sentences.

use super::message::{Content, Msg};
use super::node::{COORDINATOR, NodeState, Running, SINK, STORE, Timer, Work, name, task_of};
use super::store::Durable;
use super::system::Step;
use super::world::{World, coordinator, durable, external, flows, running};
use snapline::base::{Channel, CheckpointId, StateFile};
use snapline::publish::{Pointer, PointerKind, PointerSequence};
use stateright::actor::{ActorModelAction, Envelope, Id};
use std::collections::BTreeMap;

/// A step as one line.
pub fn step(step: &Step) -> String {
    match step {
        Step::Actor(ActorModelAction::Deliver { src, dst, msg }) => message(*src, *dst, msg),
        Step::Actor(ActorModelAction::Timeout(id, Timer::Emit)) => format!("{} emits", name(*id)),
        Step::Actor(ActorModelAction::Timeout(_, Timer::Tick)) => "the coordinator's clock ticks".into(),
        Step::Actor(other) => format!("{other:?}"),
        Step::StoreFails(src, fault) => format!("the store fails {}: {fault:?}", name(*src)),
        Step::TaskFails(survivor) => format!("a task fails{}", outlived(survivor)),
        Step::ProcessDies(survivor) => format!("the process dies{}", outlived(survivor)),
    }
}

/// A message on its way, as one line.
pub fn message(src: Id, dst: Id, msg: &Msg) -> String {
    format!("{} -> {}: {msg:?}", name(src), name(dst))
}

fn outlived(survivor: &Option<Envelope<Msg>>) -> String {
    survivor.as_ref().map_or_else(String::new, |Envelope { src, dst, msg }| {
        format!("; outlived by {}", message(*src, *dst, msg))
    })
}

/// What a step has changed, one line for each actor and message. A line that is gone begins with a minus sign.
pub fn changes(before: &World, after: &World) -> String {
    let (mut gone, mut new) = (lines(before), Vec::new());
    for line in lines(after) {
        match gone.iter().position(|old| *old == line) {
            Some(at) => drop(gone.remove(at)),
            None => new.push(line),
        }
    }
    let gone = gone.iter().map(|line| format!("- {line}\n"));
    gone.chain(new.iter().map(|line| format!("+ {line}\n"))).collect()
}

/// A state, one line for each thing in it.
fn lines(world: &World) -> Vec<String> {
    let of_actor = |actor: usize| {
        let name = name(Id::from(actor));
        actor_lines(world, actor).into_iter().map(move |line| format!("{name}: {line}"))
    };
    let on_their_way = flows(&world.inner)
        .iter()
        .flat_map(|((src, dst), flow)| flow.iter().map(|msg| message(*src, *dst, msg)));
    (0..=STORE).flat_map(of_actor).chain(on_their_way).collect()
}

/// What an actor knows, in a few short lines.
pub fn actor_lines(world: &World, actor: usize) -> Vec<String> {
    match actor {
        COORDINATOR => coordinator_lines(world),
        STORE => store_lines(durable(&world.inner)),
        task => task_lines(world, task),
    }
}

fn task_lines(world: &World, task: usize) -> Vec<String> {
    let mut lines = Vec::new();
    match running(&world.inner, Id::from(task)) {
        Some(running) => running_lines(running, &mut lines),
        None => lines.push("not running".to_owned()),
    }
    if task == SINK {
        let external = external(&world.inner);
        for (transaction, records) in &external.prepared {
            lines.push(format!("pre-committed {transaction}: {records:?}"));
        }
        lines.push(format!("committed {}", counts(external.committed.iter().map(Vec::len))));
    }
    lines
}

fn running_lines(running: &Running, lines: &mut Vec<String>) {
    let subtask = &running.subtask;
    lines.push(match &running.work {
        Work::Source { position } => format!("position {position}"),
        Work::Count { counts: counted } => counts(counted.iter().map(|n| usize::from(*n))),
        Work::Sink { open, .. } => format!("open transaction {open:?}"),
    });
    if let Some(pending) = subtask.gate().pending() {
        lines.push(format!("aligning checkpoint {pending}"));
    }
    let channels = (0..subtask.gate().channels()).map(Channel);
    for channel in channels.filter(|channel| subtask.is_blocked(*channel)) {
        lines.push(format!("channel {channel} is blocked"));
    }
    lines.extend(running.snapshots.keys().map(|file| format!("writing the state of {}", file.checkpoint)));
    lines.extend(subtask.newest_completed().map(|id| format!("knows that {id} is complete")));
    if subtask.is_finished() {
        lines.push("finished".to_owned());
    } else if subtask.is_holding() {
        lines.push("holds until its last checkpoint is complete".to_owned());
    } else if subtask.has_reached_end_of_data() {
        lines.push("has no more data".to_owned());
    }
}

fn coordinator_lines(world: &World) -> Vec<String> {
    let machine = coordinator(&world.inner);
    let NodeState::Coordinator(_, now) = &**world.inner.actor_states[COORDINATOR] else { return Vec::new() };
    let life = match (machine.has_ended(), machine.is_running()) {
        (true, _) => "the job has ended",
        (_, true) => "the tasks run",
        _ => "the tasks do not run",
    };
    let mut lines = vec![format!("attempt {}, {now}: {life}", machine.attempt())];
    for (id, acknowledged) in machine.pending() {
        let by: Vec<_> = acknowledged.into_iter().map(|subtask| name(task_of(subtask))).collect();
        let by = if by.is_empty() { "nobody".to_owned() } else { by.join(", ") };
        lines.push(format!("checkpoint {id} acknowledged by {by}"));
    }
    lines.extend(
        machine.retained().iter().map(|kept| format!("retains checkpoint {} ({})", kept.id, kept.kind)),
    );
    if machine.publisher().is_busy() {
        lines.push("waits for the store".to_owned());
    }
    lines
}

fn store_lines(durable: &Durable) -> Vec<String> {
    let mut lines: Vec<String> = durable.pointers.iter().map(pointer_line).collect();
    lines.extend(durable.metadata.values().map(|metadata| {
        format!("metadata of {} ({}) by attempt {}", metadata.id, metadata.kind, metadata.attempt)
    }));
    let mut states: BTreeMap<CheckpointId, Vec<String>> = BTreeMap::new();
    for (file, content) in &durable.states {
        states.entry(file.checkpoint).or_default().push(state_text(file, content));
    }
    lines.extend(states.into_iter().map(|(id, files)| format!("state of {id}: {}", files.join(", "))));
    lines
}

fn pointer_line((sequence, pointer): (&PointerSequence, &Pointer)) -> String {
    let newest = pointer.newest.map_or("nothing".to_owned(), |id| format!("checkpoint {id}"));
    match pointer.kind {
        PointerKind::Claim => format!("pointer {sequence}: attempt {} begins from {newest}", pointer.attempt),
        PointerKind::Publication => {
            format!("pointer {sequence}: attempt {} has published {newest}", pointer.attempt)
        }
    }
}

fn state_text(file: &StateFile, content: &Content) -> String {
    let of = name(task_of(file.subtask));
    match content {
        Content::Position(position) => format!("{of} at {position}"),
        Content::Counts(counted, _) => format!("{of} {}", counts(counted.iter().map(|n| usize::from(*n)))),
        Content::Transactions(transactions) => {
            let ids: Vec<_> = transactions.iter().map(ToString::to_string).collect();
            format!("{of} [{}]", ids.join(" "))
        }
    }
}

fn counts(counts: impl Iterator<Item = usize>) -> String {
    let keys = ('a'..).zip(counts).map(|(key, count)| format!("{key}={count}"));
    keys.collect::<Vec<_>>().join(" ")
}
