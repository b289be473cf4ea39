//! Any script of accesses, snapshots and restores on any backends, beside a plain reference of ordered maps.

mod reference;
mod step;
pub mod timers;

pub use step::{Operation, Step};

use super::Verdict;
use super::everything::{Content, States};
use super::harness::{File, Operator, file_of, groups};
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateSnapshot, KeyedStateStore, StateError};
use reference::Reference;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The parallelisms that a restore chooses from.
const PARALLELISMS: [u16; 4] = [2, 3, 1, 5];

/// Runs the steps, beginning with the first of `backends`, and panics as soon as a state holds something else than the
/// reference does. A restore goes to one of `backends`, and to another parallelism.
///
/// # Errors
/// A backend failed.
pub fn run(backends: &[StateBackend], steps: &[Step]) -> Verdict {
    let max_parallelism = groups(8);
    let mut operator = Operator::restored(&backends[0], max_parallelism, PARALLELISMS[0], &[])?;
    let mut reference = Reference::default();
    let mut open: Vec<(Vec<KeyedStateSnapshot>, Reference)> = Vec::new();
    let mut newest: Option<(Vec<File>, Reference)> = None;
    for step in steps {
        match step.operation {
            Operation::Snapshot => open.push((operator.snapshot()?, reference.clone())),
            Operation::Write if !open.is_empty() => {
                let (snapshots, content) = open.remove(usize::from(step.argument) % open.len());
                newest = Some((files_of(snapshots)?, content));
            }
            Operation::Restore => {
                if let Some((files, content)) = &newest {
                    let backend = &backends[usize::from(step.argument) % backends.len()];
                    let parallelism = PARALLELISMS[step.key as usize % PARALLELISMS.len()];
                    operator = Operator::restored(backend, max_parallelism, parallelism, files)?;
                    reference = content.clone();
                    // Sometimes the states are not opened before the next snapshot.
                    if step.namespace == 0 {
                        assert_eq!(operator.content()?, reference.content(), "after {step:?}");
                    }
                }
            }
            _ => {
                reference.apply(step);
                let store = operator.at(step.key)?;
                apply(store, step)?;
                compare(store, step, &reference.content_of(step.key))?;
            }
        }
    }
    assert_eq!(operator.content()?, reference.content(), "at the end");
    for (snapshots, content) in open {
        let files = files_of(snapshots)?;
        for backend in backends {
            let found = Operator::restored(backend, max_parallelism, 2, &files)?.content()?;
            assert_eq!(found, content.content(), "in a snapshot that was written at the end");
        }
    }
    Ok(())
}

fn files_of(snapshots: Vec<KeyedStateSnapshot>) -> Result<Vec<File>, StateError> {
    snapshots.into_iter().map(file_of).collect()
}

/// Does a step in the store, whose current key is that of the step.
fn apply(store: &mut KeyedStateStore<u32>, step: &Step) -> Verdict {
    let states = States::open(store)?;
    let (namespace, number) = (step.namespace, u64::from(step.argument));
    let (value, list, map) =
        (states.value.of(namespace), states.list.of(namespace), states.map.of(namespace));
    let reducing = states.reducing.of(namespace);
    let aggregating = states.aggregating.of(namespace);
    match step.operation {
        Operation::UpdateValue => value.update(store, number),
        Operation::ModifyValue => value.modify(store, |old| step.modified(old)),
        Operation::ChangeValue => value.with_mut(store, || number, |value| *value += 1),
        Operation::ClearValue => value.clear(store),
        Operation::AddToList => list.add(store, step.text()),
        Operation::AddAllToList => list.add_all(store, step.texts()),
        Operation::UpdateList => list.update(store, step.texts()),
        Operation::ClearList => list.clear(store),
        Operation::MergeLists => list.merge_namespaces(store, step.sources()),
        Operation::PutToMap => map.put(store, step.map_key(), step.text()),
        Operation::PutAllToMap => {
            map.put_all(store, step.texts().into_iter().enumerate().map(|(key, text)| (key as u8, text)))
        }
        Operation::RemoveFromMap => map.remove(store, &step.map_key()).map(drop),
        Operation::RetainInMap => map.retain(store, |key, text| step.retains(*key, text)),
        Operation::ClearMap => map.clear(store),
        Operation::Reduce => reducing.add(store, step.text()),
        Operation::ClearReduced => reducing.clear(store),
        Operation::MergeReduced => reducing.merge_namespaces(store, step.sources()),
        Operation::Aggregate => aggregating.add(store, number),
        Operation::ClearAggregated => aggregating.clear(store),
        Operation::MergeAggregated => aggregating.merge_namespaces(store, step.sources()),
        Operation::Snapshot | Operation::Write | Operation::Restore => Ok(()),
    }
}

/// Compares all that the current key has in all namespaces.
fn compare(store: &mut KeyedStateStore<u32>, step: &Step, expected: &Content) -> Verdict {
    let mut found = Content::default();
    let states = States::open(store)?;
    for namespace in 0..Step::NAMESPACES {
        let scope = (step.key, namespace);
        let value = states.value.of(namespace).get(store)?;
        found.values.extend(value.map(|value| (scope, value.into_owned())));
        let list: Vec<String> = states.list.of(namespace).get(store)?.map(Cow::into_owned).collect();
        found.lists.extend(Some((scope, list)).filter(|(_, list)| !list.is_empty()));
        let entries = states.map.of(namespace).entries(store)?;
        let map: BTreeMap<_, _> = entries.map(|(k, v)| (k.into_owned(), v.into_owned())).collect();
        found.maps.extend(Some((scope, map)).filter(|(_, map)| !map.is_empty()));
        let reduced = states.reducing.of(namespace).get(store)?;
        found.reduced.extend(reduced.map(|value| (scope, value.into_owned())));
        let aggregated = states.aggregating.of(namespace).get(store)?;
        found.aggregated.extend(aggregated.map(|value| (scope, value)));
    }
    assert_eq!(&found, expected, "after {step:?}");
    Ok(())
}

/// Scripts of 300 random steps each, always the same ones.
fn random_steps<S>(step: fn([u8; 8]) -> S) -> impl Iterator<Item = Vec<S>> {
    let mut random = 1u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    std::iter::repeat_with(move || (0..300).map(|_| step((next() >> 16).to_le_bytes())).collect())
}

/// Random scripts, always the same ones, agree with the reference, also where a restore changes to objects in memory and
/// back. Whoever has proptest gives scripts of its making to [`run`].
pub fn keyed_states_agree_with_a_reference_over_random_scripts(backend: &StateBackend) -> Verdict {
    let backends = [backend.clone(), StateBackend::default()];
    random_steps(Step::of).take(12).try_for_each(|steps| run(&backends, &steps))
}
