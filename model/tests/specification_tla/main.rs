//! The abstract specification and the machines do the same.
//!
//! Each reachable state of the end-to-end model is projected to the variables of `spec/Checkpointing.tla`. The set of
//! projected states must be the set of the specification's own states, which `make specification-fixtures` writes to
//! `tests/fixtures` with the tool `tla`. In the other direction the machines follow behaviours of the specification.

mod projection;
mod traces;

use projection::projected;
use snapline_model::end_to_end::faults::Fault;
use snapline_model::end_to_end::scope::{Reductions, Scope, Stale};
use snapline_model::end_to_end::system::System;
use snapline_model::end_to_end::world::World;
use stateright::Model;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::iter;

/// As the specification: nothing is left out, no channel is ever full, and no message outlives a failure.
const FINAL: Scope = Scope {
    records: 1,
    checkpoints: 0,
    crashes: 0,
    capacity: 9,
    stale: Stale::Never,
    reductions: Reductions::NONE,
    ..Scope::SMALL
};
const PERIODIC: Scope = Scope { checkpoints: 1, ..FINAL };
const RESTART: Scope = Scope { crashes: 1, ..FINAL };
const TASK_FAILURE: Scope = Scope { task_failures: 1, ..FINAL };
/// What arrives promptly or first in these is not seen in a projection. Without reductions they are millions of states.
const RECOVERY: Scope = Scope { checkpoints: 1, reductions: REDUCTIONS, ..TASK_FAILURE };
const ABORT: Scope = Scope { expiries: 1, reductions: REDUCTIONS, ..FINAL };
const REDUCTIONS: Reductions =
    Reductions { prompt: true, acknowledgements_first: true, aborts_first: true, ..Reductions::NONE };

/// Behaviours of the specification, and the scope in which the machines follow them.
const TRACES: [(Scope, &str); 4] = [
    (FINAL, include_str!("../fixtures/traces/final.txt")),
    (PERIODIC, include_str!("../fixtures/traces/periodic.txt")),
    (RESTART, include_str!("../fixtures/traces/restart.txt")),
    (ABORT, include_str!("../fixtures/traces/abort.txt")),
];

fn hash_of(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

/// The projections of all reachable states, the same ones again and again.
fn reachable(scope: Scope, fault: Option<Fault>) -> impl Iterator<Item = String> {
    let system = System::new(scope, fault);
    let mut todo = system.init_states();
    let (mut seen, mut steps) = (BTreeSet::new(), Vec::new());
    let states = iter::from_fn(move || {
        let world = todo.pop()?;
        system.actions(&world, &mut steps);
        let next = steps.drain(..).filter_map(|step| system.next_state(&world, step));
        todo.extend(next.filter(|next| seen.insert(hash_of(next))));
        Some(projected(&world))
    });
    states.flatten()
}

fn assert_same_states(scope: Scope, specification: &str) {
    let specified: BTreeSet<String> = specification.lines().map(str::to_owned).collect();
    let reached: BTreeSet<String> = reachable(scope, None).collect();
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
    assert_same_states(FINAL, include_str!("../fixtures/states/final.txt"));
}

#[test]
fn specification_with_a_periodic_checkpoint_has_the_states_of_the_model() {
    assert_same_states(PERIODIC, include_str!("../fixtures/states/periodic.txt"));
}

#[test]
fn specification_with_a_restart_has_the_states_of_the_model_in_which_the_process_dies() {
    assert_same_states(RESTART, include_str!("../fixtures/states/restart.txt"));
}

#[test]
fn specification_with_a_restart_has_the_states_of_the_model_in_which_a_task_fails() {
    assert_same_states(TASK_FAILURE, include_str!("../fixtures/states/restart.txt"));
}

#[test]
fn specification_with_a_periodic_checkpoint_and_a_restart_has_the_states_of_the_model() {
    assert_same_states(RECOVERY, include_str!("../fixtures/states/recovery.txt"));
}

#[test]
fn specification_with_an_abort_has_the_states_of_the_model() {
    assert_same_states(ABORT, include_str!("../fixtures/states/abort.txt"));
}

#[test]
fn specification_does_not_have_the_states_of_planted_bugs() {
    let without_failure = include_str!("../fixtures/states/final.txt");
    let with_a_restart = include_str!("../fixtures/states/restart.txt");
    for (scope, specification, fault) in [
        (FINAL, without_failure, Fault::PreCommitNotWritten),
        (FINAL, without_failure, Fault::CommitAtPreCommit),
        (RESTART, with_a_restart, Fault::OperatorNotRewound),
        (RESTART, with_a_restart, Fault::NoCommitAtRecovery),
        (RESTART, with_a_restart, Fault::CommitInsteadOfRollBack),
        (RESTART, with_a_restart, Fault::FinishNotRemembered),
    ] {
        let specified: BTreeSet<&str> = specification.lines().collect();
        let mut reachable = reachable(scope, Some(fault));
        assert!(reachable.any(|state| !specified.contains(state.as_str())), "{fault:?} was not seen");
    }
}

#[test]
fn trace_of_the_specification_is_followed_by_the_machines() {
    for (scope, traces) in TRACES {
        for trace in traces::read(traces) {
            let followed = traces::follow(scope, &trace);
            assert!(followed.is_ok(), "{followed:?}, in {trace:#?}");
        }
    }
}

#[test]
fn trace_without_one_of_its_steps_is_not_followed() {
    for (scope, traces) in TRACES {
        for (number, trace) in traces.split_terminator("\n\n").enumerate() {
            let mut lines: Vec<_> = trace.lines().collect();
            let inner = 1..lines.len() - 1;
            let visible: Vec<_> = inner.filter(|at| lines[*at].contains(' ')).collect();
            // One of the last: a restart makes up for what was left out before it.
            let left_out = lines.remove(visible[visible.len() - 1 - number % 8]);
            let followed = traces::follow(scope, &traces::read_steps(&lines));
            assert!(followed.is_err(), "trace {number} does not need {left_out}");
        }
    }
}

#[test]
fn traces_take_every_action_of_the_specification() {
    let specification = include_str!("../../../spec/Checkpointing.tla");
    let (_, next) =
        specification.split_once("\nProgress ==").expect("the specification defines its progress");
    let (next, _) = next.split_once("Done /\\ UNCHANGED").expect("it stutters when it is done");
    let no_action = ["Next", "Progress", "Free", "Pending", "Sources", "Tasks", "E"];
    let names = next.split(|c: char| !c.is_ascii_alphabetic());
    let names = names.filter(|name| name.starts_with(|c: char| c.is_ascii_uppercase()));
    let actions = names.filter(|name| !no_action.contains(name));
    let all: Vec<_> = TRACES.iter().flat_map(|(_, traces)| traces::read(traces)).flatten().collect();
    let taken: BTreeSet<_> =
        all.iter().map(|step| step.action.as_str()).filter(|name| *name != "Init").collect();
    assert_eq!(taken, actions.collect());
}
