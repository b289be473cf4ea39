//! From a state of the end-to-end model to one of the specification.
//!
//! Both are projected to what they have in common; `fixtures/specification.awk` does the specification's part. Neither
//! shows what is still allowed to happen, the kind of a checkpoint, nor what a gate and a source remember. Of the
//! checkpoints they show the newest published one and the pending one, without its id: ids differ, because a
//! coordinator that starts again gives an id that has left nothing behind to another checkpoint.

use snapline::base::{Attempt, Channel, CheckpointId, StateFile};
use snapline_model::end_to_end::message::{Content, Counted, Element, Msg};
use snapline_model::end_to_end::node::{
    COORDINATOR, OPERATOR, Running, SINK, SOURCES, TASKS, Work, subtask_of,
};
use snapline_model::end_to_end::scope::Scope;
use snapline_model::end_to_end::world::{World, coordinator, durable, external, flows, running};
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};

/// The state of the specification, or `None` where the specification has no such moment: a restart and an abort
/// are one step there. Here the one is over when the tasks run, the other when every task knows of it.
pub fn projected(world: &World) -> Option<String> {
    let coordinator = coordinator(&world.inner);
    let tasks_run = coordinator.is_running() || coordinator.has_ended();
    let in_between = !tasks_run || abort_is_under_way(world);
    if in_between {
        return None;
    }
    let (newest, pending) = (durable(&world.inner).newest(), pending(world));
    let (open, prepared) = transactions(world);
    let parts = [
        format!("source={}", tuple((0..SOURCES).map(|source| source_state(task(world, source))))),
        format!("channel={}", tuple((0..SOURCES).map(|source| elements(world, source, OPERATOR, pending)))),
        format!("operator={}", operator(task(world, OPERATOR))),
        format!("output={}", elements(world, OPERATOR, SINK, pending)),
        format!("open={open}"),
        format!("prepared={prepared}"),
        format!("committed={}", tuple(external(&world.inner).committed.iter().map(|counts| numbers(counts)))),
        format!("newest={}", newest.map_or("none".into(), |newest| published(world, newest))),
        format!("pending={}", pending.map_or("none".into(), |(id, attempt)| taken(world, id, attempt))),
    ];
    Some(parts.join(" "))
}

fn abort_is_under_way(world: &World) -> bool {
    let to_tasks =
        (0..TASKS).filter_map(|task| flows(&world.inner).get(&(Id::from(COORDINATOR), task.into())));
    to_tasks.flatten().any(|msg| matches!(msg, Msg::Abort(..)))
}

/// The checkpoint under way; there is one at a time. With its pointer it is published, whoever knows that already.
fn pending(world: &World) -> Option<(CheckpointId, Attempt)> {
    let coordinator = coordinator(&world.inner);
    let newest = durable(&world.inner).newest();
    let mut pending = coordinator.pending().filter(|(id, _)| newest != Some(*id));
    pending.next().map(|(id, _)| (id, coordinator.attempt()))
}

fn task(world: &World, task: usize) -> &Running {
    running(&world.inner, Id::from(task)).expect("the coordinator says that the tasks run")
}

fn source_state(task: &Running) -> String {
    let Work::Source { position } = task.work else { unreachable!("that task is a source") };
    format!("[{},{position}]", task.subtask.has_reached_end_of_data())
}

fn operator(task: &Running) -> String {
    let Work::Count { counts } = &task.work else { unreachable!("that task counts") };
    let blocked = (0..SOURCES).filter(|channel| task.subtask.is_blocked(Channel(*channel as u16)));
    let blocked = set(blocked.map(|channel| channel + 1));
    format!("[{blocked},{},{}]", numbers(counts), task.subtask.has_finished_input())
}

/// What is on its way between two tasks. That a channel ends says no more than its end of data did, and that a
/// checkpoint is cancelled says no more than the news of its abort.
fn elements(world: &World, from: usize, to: usize, pending: Option<(CheckpointId, Attempt)>) -> String {
    let flow = flows(&world.inner).get(&(Id::from(from), Id::from(to)));
    tuple(flow.into_iter().flatten().filter_map(|msg| match msg {
        Msg::Data(Element::Record(_)) => Some("0".into()),
        Msg::Data(Element::Counted(Counted { key, count })) => Some(format!("<<{},{count}>>", key + 1)),
        Msg::Data(Element::Barrier(id, _)) if pending.is_some_and(|(pending, _)| pending == *id) => {
            Some("barrier".into())
        }
        Msg::Data(Element::Barrier(..)) => Some("over".into()),
        Msg::Data(Element::EndOfData) if to == OPERATOR => Some("-1".into()),
        _ => None,
    }))
}

/// The open transaction and, oldest first, those that are closed and not committed.
fn transactions(world: &World) -> (String, String) {
    let Work::Sink { open, closed, .. } = &task(world, SINK).work else {
        unreachable!("that task is the sink")
    };
    let prepared: BTreeMap<_, _> = external(&world.inner).prepared.iter().chain(closed).collect();
    (transaction(open), tuple(prepared.into_values().map(|records| transaction(records))))
}

/// What a transaction holds of each key.
fn transaction(records: &[Counted]) -> String {
    tuple((0..SOURCES).map(|key| {
        let of_key = records.iter().filter(|counted| usize::from(counted.key) == key);
        numbers(&of_key.map(|counted| counted.count).collect::<Vec<_>>())
    }))
}

fn published(world: &World, newest: CheckpointId) -> String {
    let checkpoint = &durable(&world.inner).metadata[&newest];
    let (counts, finished, positions) = contents(world, newest, checkpoint.attempt).effects();
    format!("[{counts},{finished},{positions}]")
}

fn taken(world: &World, id: CheckpointId, attempt: Attempt) -> String {
    let contents = contents(world, id, attempt);
    if contents.taken.is_empty() {
        return "none".into();
    }
    let (counts, finished, positions) = contents.effects();
    format!("[{counts},{},{finished},{positions},{}]", set(contents.durable), set(contents.taken.into_keys()))
}

/// What each task has taken of a checkpoint, and who has made it durable.
struct Contents<'a> {
    taken: BTreeMap<usize, &'a Content>,
    durable: BTreeSet<usize>,
}

fn contents(world: &World, checkpoint: CheckpointId, attempt: Attempt) -> Contents<'_> {
    let (mut taken, mut written) = (BTreeMap::new(), BTreeSet::new());
    // The specification has one counter.
    for (number, task) in (1..).zip(Scope::SMALL.tasks()) {
        let file = StateFile { checkpoint, subtask: subtask_of(task), attempt, savepoint: false };
        let stored = durable(&world.inner).states.get(&file);
        let volatile = running(&world.inner, Id::from(task)).and_then(|task| task.snapshots.get(&file));
        written.extend(stored.map(|_| number));
        taken.extend(stored.or(volatile).map(|content| (number, content)));
    }
    Contents { taken, durable: written }
}

impl Contents<'_> {
    /// The operator's counts, whether its input was finished, and the positions of the sources.
    fn effects(&self) -> (String, bool, String) {
        let (mut positions, mut counted, mut finished) = ([0; SOURCES], vec![0; SOURCES], false);
        for (task, content) in &self.taken {
            match content {
                Content::Position(position) => positions[task - 1] = *position,
                Content::Counts(counts, at_the_end) => (counted, finished) = (counts.clone(), *at_the_end),
                Content::Transactions(_) => {}
            }
        }
        (numbers(&counted), finished, numbers(&positions))
    }
}

/// A tuple, as TLA+ writes it.
fn tuple(parts: impl IntoIterator<Item = String>) -> String {
    format!("<<{}>>", parts.into_iter().collect::<Vec<_>>().join(","))
}

fn set(parts: impl IntoIterator<Item = usize>) -> String {
    format!("{{{}}}", parts.into_iter().map(|part| part.to_string()).collect::<Vec<_>>().join(","))
}

fn numbers(parts: &[u8]) -> String {
    tuple(parts.iter().map(u8::to_string))
}
