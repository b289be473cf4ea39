//! Behaviours of the specification, for the machines to follow.

use crate::hash_of;
use crate::projection::projected;
use snapline_model::end_to_end::node::COORDINATOR;
use snapline_model::end_to_end::scope::Scope;
use snapline_model::end_to_end::system::{Step, System};
use snapline_model::end_to_end::world::{World, coordinator};
use stateright::Model;
use stateright::actor::ActorModelAction;
use std::collections::BTreeSet;

/// An action of the specification and the projected state that it leads to.
#[derive(Clone, Debug)]
pub struct Taken {
    pub action: String,
    pub state: String,
}

/// Reads what `fixtures/specification.awk` wrote: a line for each step, with the fields that it changes, and an empty
/// line after each trace.
pub fn read(traces: &str) -> Vec<Vec<Taken>> {
    traces.split_terminator("\n\n").map(|trace| read_steps(&trace.lines().collect::<Vec<_>>())).collect()
}

/// The behaviour that these lines describe.
pub fn read_steps(lines: &[&str]) -> Vec<Taken> {
    let mut fields: Vec<&str> = Vec::new();
    let mut steps = Vec::new();
    for line in lines {
        let mut words = line.split(' ');
        let action = words.next().expect("a line begins with an action").to_owned();
        for changed in words {
            let name = changed.split('=').next();
            match fields.iter_mut().find(|field| field.split('=').next() == name) {
                Some(field) => *field = changed,
                None => fields.push(changed),
            }
        }
        steps.push(Taken { action, state: fields.join(" ") });
    }
    steps
}

/// Lets the machines do what the specification did. An action of the specification is one or several steps here,
/// and which of them the machines have taken without a visible effect is not known: all possibilities are kept.
///
/// # Errors
/// The first step that no possibility can follow.
pub fn follow(scope: Scope, trace: &[Taken]) -> Result<(), String> {
    let system = System::new(scope, None);
    let mut possible = system.init_states();
    let mut before = "";
    for (at, taken) in trace.iter().enumerate() {
        possible = after(&system, possible, before, &taken.state);
        if possible.is_empty() {
            return Err(format!("step {at}: {} cannot lead to {}", taken.action, taken.state));
        }
        before = &taken.state;
    }
    Ok(())
}

/// All states that can be reached without leaving the projection `before`, and then have the projection `after`.
fn after(system: &System, from: Vec<World>, before: &str, after: &str) -> Vec<World> {
    let mut seen: BTreeSet<u64> = from.iter().map(hash_of).collect();
    let (mut todo, mut found, mut steps) = (from, Vec::new(), Vec::new());
    while let Some(world) = todo.pop() {
        let state = projected(&world);
        system.actions(&world, &mut steps);
        match &state {
            Some(state) if state != before => steps.clear(),
            Some(_) => {}
            None => steps.retain(|step| only_news(&world, step)),
        }
        let next = steps.drain(..).filter_map(|step| system.next_state(&world, step));
        todo.extend(next.filter(|next| seen.insert(hash_of(next))));
        if state.as_deref() == Some(after) {
            found.push(world);
        }
    }
    found
}

/// Between two states of the specification only the news of an abort moves, or the recovery.
fn only_news(world: &World, step: &Step) -> bool {
    let is_news = match step {
        Step::Actor(ActorModelAction::Deliver { src, dst, .. }) => [*src, *dst].contains(&COORDINATOR.into()),
        _ => false,
    };
    is_news || !coordinator(&world.inner).is_running()
}
