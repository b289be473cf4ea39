use super::Verdict;
use super::harness::{AtKey, restored, store, written};
use crate::state::backend::StateBackend;
use crate::state::{AggregateFunction, AggregatingStateDescriptor, StateValue};

/// The mean of numbers, as text, in an accumulator that is changed in its place.
struct Mean;

impl AggregateFunction for Mean {
    type In = u64;
    type Accumulator = Vec<u64>;
    type Out = String;

    fn create_accumulator(&self) -> Vec<u64> {
        Vec::new()
    }

    fn add(&self, value: u64, accumulator: &mut Vec<u64>) {
        accumulator.push(value);
    }

    fn result(&self, accumulator: &Vec<u64>) -> String {
        (accumulator.iter().sum::<u64>() / accumulator.len().max(1) as u64).to_string()
    }

    fn merge(&self, accumulator: &mut Vec<u64>, other: Vec<u64>) {
        accumulator.extend(other);
    }
}

/// The same, with an accumulator that another one takes the place of.
struct ImmutableMean;

impl AggregateFunction for ImmutableMean {
    type In = u64;
    type Accumulator = (u64, u64);
    type Out = String;

    fn create_accumulator(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, value: u64, accumulator: &mut (u64, u64)) {
        *accumulator = (accumulator.0 + value, accumulator.1 + 1);
    }

    fn result(&self, &(sum, count): &(u64, u64)) -> String {
        (sum / count.max(1)).to_string()
    }

    fn merge(&self, accumulator: &mut (u64, u64), other: (u64, u64)) {
        *accumulator = (accumulator.0 + other.0, accumulator.1 + other.1);
    }
}

fn add_and_get<A>(backend: &StateBackend, function: A) -> Verdict
where
    A: AggregateFunction<In = u64, Out = String, Accumulator: StateValue>,
{
    let means = AggregatingStateDescriptor::new("means", function);
    let mut store = store::<u32>(backend)?;
    let mean = store.open(&means)?;
    assert_eq!(mean.get(store.at(1)?)?, None, "nothing was added");
    for (key, value) in [(1, 10), (2, 5), (1, 20), (1, 30)] {
        mean.add(store.at(key)?, value)?;
    }
    assert_eq!(mean.get(&store)?.as_deref(), Some("20"));
    assert_eq!(mean.get(store.at(2)?)?.as_deref(), Some("5"));
    mean.clear(&mut store)?;
    assert_eq!(mean.get(&store)?, None);
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    let mean = store.open(&means)?;
    assert_eq!(mean.get(store.at(2)?)?, None);
    mean.add(store.at(1)?, 40)?;
    assert_eq!(mean.get(&store)?.as_deref(), Some("25"), "what is restored goes on");
    Ok(())
}

fn merge<A>(backend: &StateBackend, function: A) -> Verdict
where
    A: AggregateFunction<In = u64, Out = String, Accumulator: StateValue>,
{
    let mut store = store::<u32>(backend)?;
    let mean = store.open_namespaced::<u8, _>(&AggregatingStateDescriptor::new("means", function))?;
    for (key, namespace, added) in [(1, 1u8, 10), (1, 2, 20), (1, 3, 50), (1, 3, 60), (2, 2, 7)] {
        mean.of(namespace).add(store.at(key)?, added)?;
    }
    mean.of(1u8).merge_namespaces(store.at(1)?, [3, 9, 1, 2, 3])?;
    assert_eq!(mean.of(1u8).get(&store)?.as_deref(), Some("35"));
    for gone in [2u8, 3, 9] {
        assert_eq!(mean.of(gone).get(&store)?, None, "namespace {gone}");
    }
    assert_eq!(mean.of(2u8).get(store.at(2)?)?.as_deref(), Some("7"), "another key was merged");
    mean.of(7u8).merge_namespaces(store.at(1)?, [1])?;
    mean.of(7u8).merge_namespaces(&mut store, [5, 6])?;
    mean.of(8u8).merge_namespaces(&mut store, [5, 6])?;
    mean.of(7u8).add(&mut store, 60)?;
    assert_eq!(mean.of(7u8).get(&store)?.as_deref(), Some("40"));
    assert_eq!(store.count(&mean.of(0u8))?, 2, "that of key 1 and that of key 2");
    Ok(())
}

/// Q23: an accumulator that changes in its place takes in what is added, for each key by itself, also after a restore.
pub fn keyed_aggregating_states_take_in_what_is_added(backend: &StateBackend) -> Verdict {
    add_and_get(backend, Mean)
}

/// Q25: so does an accumulator that another one takes the place of.
pub fn keyed_aggregating_states_with_immutable_accumulators_take_in_what_is_added(
    backend: &StateBackend,
) -> Verdict {
    add_and_get(backend, ImmutableMean)
}

/// Q24: the accumulators of other namespaces are merged into that of the target and are gone; namespaces without one, the
/// target among the sources and a source named twice change nothing.
pub fn keyed_aggregating_states_are_merged_between_namespaces(backend: &StateBackend) -> Verdict {
    merge(backend, Mean)
}

/// Q26: so are accumulators that another one takes the place of.
pub fn keyed_aggregating_states_with_immutable_accumulators_are_merged_between_namespaces(
    backend: &StateBackend,
) -> Verdict {
    merge(backend, ImmutableMean)
}
