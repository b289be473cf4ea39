//! The abstract specification and the machines reach the same states.
//!
//! Each reachable state of the end-to-end model is projected to the variables of `spec/Checkpointing.tla`. The set of
//! projected states must be the set of the specification's own states, which `make specification-states` writes to
//! `tests/fixtures` with the tool `tla`. Without crashes, so that every checkpoint has an id of its own.
//!
//! What the projection leaves out of the specification's state: what is still allowed to happen, the kind and status
//! of a checkpoint (which follow from the newest one), checkpoints that no task has taken part in yet,
//! and what a gate and a source remember. Checkpoints older than the newest published one are deleted here.

use snapline::base::{Channel, CheckpointId};
use snapline_model::end_to_end::faults::Fault;
use snapline_model::end_to_end::message::{Content, Counted, Element, Msg};
use snapline_model::end_to_end::node::{OPERATOR, SINK, SOURCES, Work, subtask_of};
use snapline_model::end_to_end::scope::{Reductions, Scope, Stale};
use snapline_model::end_to_end::system::System;
use snapline_model::end_to_end::world::{World, durable, external, flows, running};
use stateright::Model;
use stateright::actor::Id;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

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

fn sources(world: &World) -> String {
    tuple((0..SOURCES).map(|source| match running(&world.inner, Id::from(source)) {
        Some(task) => match task.work {
            Work::Source { position } => format!("[{},{position}]", task.subtask.has_reached_end_of_data()),
            _ => unreachable!("that task is a source"),
        },
        None => "[false,0]".into(),
    }))
}

/// What is on its way between two tasks. That a channel ends says no more than its end of data did.
fn elements(world: &World, from: usize, to: usize) -> String {
    let flow = flows(&world.inner).get(&(Id::from(from), Id::from(to)));
    tuple(flow.into_iter().flatten().filter_map(|msg| match msg {
        Msg::Data(Element::Record(_)) => Some("0".into()),
        Msg::Data(Element::Counted(Counted { key, count })) => Some(format!("<<{},{count}>>", key + 1)),
        Msg::Data(Element::Barrier(id, _)) if to == SINK => Some(format!("<<0,{id}>>")),
        Msg::Data(Element::Barrier(id, _)) => Some(id.to_string()),
        Msg::Data(Element::EndOfData) if to == OPERATOR => Some("-1".into()),
        _ => None,
    }))
}

fn operator(world: &World) -> String {
    let Some(task) = running(&world.inner, Id::from(OPERATOR)) else {
        return "[{},<<0,0>>,false]".into();
    };
    let Work::Count { counts } = &task.work else { unreachable!("that task counts") };
    let blocked = (0..SOURCES).filter(|channel| task.subtask.is_blocked(Channel(*channel as u16)));
    let blocked = set(blocked.map(|channel| channel + 1));
    format!("[{blocked},{},{}]", numbers(counts), task.subtask.has_finished_input())
}

/// What a transaction holds of each key.
fn transaction(records: &[Counted]) -> String {
    tuple((0..SOURCES).map(|key| {
        let of_key = records.iter().filter(|counted| usize::from(counted.key) == key);
        numbers(&of_key.map(|counted| counted.count).collect::<Vec<_>>())
    }))
}

fn transactions(world: &World) -> (String, String) {
    let mut prepared: BTreeMap<_, _> = external(&world.inner).prepared.iter().collect();
    let mut open_records = &Vec::new();
    if let Some(Work::Sink { open, closed, .. }) =
        running(&world.inner, Id::from(SINK)).map(|task| &task.work)
    {
        prepared.extend(closed);
        open_records = open;
    }
    (transaction(open_records), tuple(prepared.into_values().map(|records| transaction(records))))
}

/// What each task has taken of a checkpoint, and who has made it durable.
fn checkpoint(world: &World, id: CheckpointId) -> String {
    let store = &durable(&world.inner).states;
    let (mut taken, mut written) = (BTreeSet::new(), BTreeSet::new());
    let (mut positions, mut counted, mut finished) = ([0; SOURCES], vec![0; SOURCES], false);
    for (number, task) in (1..).zip(Scope::SMALL.tasks()) {
        let is_part =
            |file: &snapline::base::StateFile| file.checkpoint == id && file.subtask == subtask_of(task);
        let stored = store.iter().find(|(file, _)| is_part(file));
        written.extend(stored.map(|_| number));
        let snapshots = running(&world.inner, Id::from(task)).map(|task| &task.snapshots);
        let volatile = snapshots.into_iter().flatten().find(|(file, _)| is_part(file));
        let Some((_, content)) = stored.or(volatile) else { continue };
        taken.insert(number);
        match content {
            Content::Position(position) => positions[usize::from(subtask_of(task).index)] = *position,
            Content::Counts(counts, at_the_end) => (counted, finished) = (counts.clone(), *at_the_end),
            Content::Transactions(_) => {}
        }
    }
    let (counted, positions) = (numbers(&counted), numbers(&positions));
    format!("[{counted},{},{finished},{positions},{}]", set(written), set(taken))
}

fn project(world: &World, ids: u64) -> String {
    let newest = durable(&world.inner).newest();
    let oldest = newest.map_or(1, |newest| newest.0);
    let (open, prepared) = transactions(world);
    let parts = [
        format!("source={}", sources(world)),
        format!("channel={}", tuple((0..SOURCES).map(|source| elements(world, source, OPERATOR)))),
        format!("operator={}", operator(world)),
        format!("output={}", elements(world, OPERATOR, SINK)),
        format!("open={open}"),
        format!("prepared={prepared}"),
        format!("committed={}", tuple(external(&world.inner).committed.iter().map(|counts| numbers(counts)))),
        format!("checkpoint={}", tuple((oldest..=ids).map(|id| checkpoint(world, CheckpointId(id))))),
        format!("newest={}", newest.map_or(0, |newest| newest.0)),
    ];
    parts.join(" ")
}

/// The projections of all reachable states, nothing reduced, no channel ever full.
fn projected(checkpoints: u8, fault: Option<Fault>) -> BTreeSet<String> {
    let scope = Scope {
        records: 1,
        checkpoints,
        crashes: 0,
        capacity: 9,
        stale: Stale::Never,
        reductions: Reductions::NONE,
        ..Scope::SMALL
    };
    let system = System::new(scope, fault);
    let mut todo = system.init_states();
    let (mut seen, mut projections, mut steps) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    while let Some(world) = todo.pop() {
        projections.insert(project(&world, u64::from(checkpoints) + 1));
        system.actions(&world, &mut steps);
        let next = steps.drain(..).filter_map(|step| system.next_state(&world, step));
        todo.extend(next.filter(|next| {
            let mut hasher = DefaultHasher::new();
            next.hash(&mut hasher);
            seen.insert(hasher.finish())
        }));
    }
    projections
}

fn assert_same_states(checkpoints: u8, specification: &str) {
    let specified: BTreeSet<String> = specification.lines().map(str::to_owned).collect();
    let reached = projected(checkpoints, None);
    let extra: Vec<_> = reached.difference(&specified).take(5).collect();
    let missing: Vec<_> = specified.difference(&reached).take(5).collect();
    assert!(
        extra.is_empty() && missing.is_empty(),
        "{} states are specified and {} reached; only reached: {extra:#?}, only specified: {missing:#?}",
        specified.len(),
        reached.len(),
    );
}

#[test]
fn specification_of_the_final_checkpoint_has_the_states_of_the_model() {
    assert_same_states(0, include_str!("fixtures/checkpointing-final.txt"));
}

#[test]
fn specification_with_a_periodic_checkpoint_has_the_states_of_the_model() {
    assert_same_states(1, include_str!("fixtures/checkpointing-periodic.txt"));
}

#[test]
fn specification_does_not_have_the_states_of_planted_bugs() {
    let specified: BTreeSet<&str> = include_str!("fixtures/checkpointing-final.txt").lines().collect();
    for fault in [Fault::PreCommitNotWritten, Fault::CommitAtPreCommit] {
        let reached = projected(0, Some(fault));
        assert!(reached.iter().any(|state| !specified.contains(state.as_str())), "{fault:?} was not seen");
    }
}
