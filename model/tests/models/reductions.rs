//! Every reduction leaves every verdict as it is: the same properties hold, the same are seen to be possible, runs
//! pass through the same visible states and end in the same ways, and planted bugs break the same properties.

use snapline_model::end_to_end::faults::Fault;
use snapline_model::end_to_end::message::Msg;
use snapline_model::end_to_end::node::{TASKS, subtask_of};
use snapline_model::end_to_end::scope::{Reductions, Scope, Stale};
use snapline_model::end_to_end::system::System;
use snapline_model::end_to_end::world::{World, coordinator, durable, external, flows};
use stateright::{Expectation, Model};
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

const PROMPT: Reductions = Reductions { prompt: true, ..Reductions::NONE };

/// Everything that a reduction must leave as it is.
#[derive(Default)]
struct Verdict {
    violated: BTreeSet<&'static str>,
    found: BTreeSet<&'static str>,
    /// What the properties see of any state.
    visible: BTreeSet<String>,
    /// How runs end: the committed output, what was published by whom, and whether the job has ended.
    endings: BTreeSet<String>,
    /// Which messages come late.
    late: BTreeSet<String>,
}

fn explore(scope: Scope, fault: Option<Fault>) -> (Verdict, usize) {
    let system = System::new(scope, fault);
    let properties = system.properties();
    let mut verdict = Verdict::default();
    let mut todo = system.init_states();
    let mut seen: BTreeSet<u64> = todo.iter().map(hash).collect();
    let mut steps = Vec::new();
    while let Some(world) = todo.pop() {
        for property in &properties {
            let holds = (property.condition)(&system, &world);
            match (&property.expectation, holds) {
                (Expectation::Always, false) => drop(verdict.violated.insert(property.name)),
                (Expectation::Sometimes, true) => drop(verdict.found.insert(property.name)),
                _ => {}
            }
        }
        verdict.visible.insert(visible(&world));
        verdict.late.extend(late(&world));
        system.actions(&world, &mut steps);
        if steps.is_empty() {
            verdict.endings.insert(ending(&world));
        }
        let next = steps.drain(..).filter_map(|step| system.next_state(&world, step));
        todo.extend(next.filter(|next| seen.insert(hash(next))));
    }
    (verdict, seen.len())
}

fn hash(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    world.hash(&mut hasher);
    hasher.finish()
}

fn ending(world: &World) -> String {
    let committed = &external(&world.inner).committed;
    let published: Vec<_> = durable(&world.inner).pointers.values().collect();
    format!("{committed:?} {published:?} {}", coordinator(&world.inner).has_ended())
}

fn visible(world: &World) -> String {
    let (store, committed) = (durable(&world.inner), &external(&world.inner).committed);
    let contents: Vec<_> = (0..TASKS).map(|task| store.newest_content(subtask_of(task))).collect();
    format!("{committed:?} {:?} {contents:?}", store.pointers.last_key_value())
}

fn late(world: &World) -> impl Iterator<Item = String> {
    let all = flows(&world.inner).values().flatten();
    all.filter(|msg| matches!(msg, Msg::Late(..))).map(|msg| format!("{msg:?}"))
}

/// Compares `plain` with each set of reductions.
fn compare(scope: Scope, plain: Reductions, reduced: &[Reductions]) {
    let (expected, all) = explore(Scope { reductions: plain, ..scope }, None);
    assert_eq!(expected.violated, BTreeSet::new());
    for reductions in reduced.iter().copied() {
        let (verdict, fewer) = explore(Scope { reductions, ..scope }, None);
        assert_same(&verdict.violated, &expected.violated, &reductions);
        assert_same(&verdict.found, &expected.found, &reductions);
        assert_same(&verdict.visible, &expected.visible, &reductions);
        assert_same(&verdict.endings, &expected.endings, &reductions);
        assert_same(&verdict.late, &expected.late, &reductions);
        assert!(fewer <= all, "{reductions:?}: {fewer} states instead of {all}");
    }
}

fn assert_same<T: Debug + Ord>(with: &BTreeSet<T>, without: &BTreeSet<T>, reductions: &Reductions) {
    let (lost, new): (Vec<_>, Vec<_>) =
        (without.difference(with).collect(), with.difference(without).collect());
    assert!(lost.is_empty() && new.is_empty(), "{reductions:?}: lost {lost:#?}, new {new:#?}");
}

/// Each reduction alone, and all together.
fn each(plain: Reductions) -> [Reductions; 5] {
    [
        Reductions { data_first: true, ..plain },
        Reductions { prompt: true, acknowledgements_first: true, ..plain },
        Reductions { prompt: true, aborts_first: true, ..plain },
        Reductions { prompt: true, calm_first: true, ..plain },
        Reductions::ALL,
    ]
}

const NOTHING: Scope = Scope { records: 1, checkpoints: 0, crashes: 0, stale: Stale::Never, ..Scope::SMALL };

#[test]
fn reductions_with_a_crash_and_a_late_message_change_no_verdict() {
    let scope = Scope { crashes: 1, stale: Stale::ToCoordinatorAndStore, ..NOTHING };
    compare(scope, Reductions::NONE, &[PROMPT]);
    compare(scope, PROMPT, &each(PROMPT));
}

#[test]
fn reductions_with_a_task_failure_and_a_late_message_change_no_verdict() {
    let scope = Scope { task_failures: 1, stale: Stale::ToAnyone, ..NOTHING };
    compare(scope, Reductions::NONE, &[PROMPT]);
    compare(scope, PROMPT, &each(PROMPT));
}

#[test]
fn reductions_with_a_periodic_checkpoint_and_longer_queues_change_no_verdict() {
    let scope = Scope { checkpoints: 1, capacity: 2, ..NOTHING };
    compare(scope, Reductions::NONE, &[PROMPT]);
    compare(scope, Reductions::NONE, &each(Reductions::NONE));
}

#[test]
fn reductions_with_a_store_fault_change_no_verdict() {
    let scope = Scope { records: 0, store_faults: 1, reads_fail: true, ..NOTHING };
    compare(scope, PROMPT, &each(PROMPT));
}

#[test]
fn reductions_with_an_expired_checkpoint_change_no_verdict() {
    let scope = Scope { expiries: 1, ..NOTHING };
    compare(scope, PROMPT, &each(PROMPT));
}

#[test]
fn reductions_with_a_crash_and_a_store_fault_change_no_verdict() {
    let scope = Scope { records: 0, crashes: 1, store_faults: 1, ..NOTHING };
    compare(scope, PROMPT, &[Reductions::ALL]);
}

#[test]
fn reductions_with_two_counters_change_no_verdict() {
    let scope = Scope { counters: 2, ..NOTHING };
    compare(scope, Reductions::NONE, &each(Reductions::NONE));
    let scope = Scope { checkpoints: 1, ..scope };
    compare(scope, PROMPT, &each(PROMPT));
    let scope = Scope { checkpoints: 0, crashes: 1, ..scope };
    compare(scope, PROMPT, &[Reductions { data_first: true, ..PROMPT }, Reductions::ALL]);
}

#[test]
fn reductions_with_planted_bugs_show_the_same_violations() {
    // A record that is read at once cannot be overtaken: that bug needs queues.
    for fault in Fault::ALL.into_iter().filter(|fault| *fault != Fault::BarrierOvertakes) {
        let scope = Scope::to_find(fault);
        let (expected, _) = explore(Scope { reductions: PROMPT, ..scope }, Some(fault));
        let (verdict, _) = explore(scope, Some(fault));
        assert_eq!(verdict.violated, expected.violated, "{fault:?}");
        assert!(!verdict.violated.is_empty(), "{fault:?}");
    }
}
