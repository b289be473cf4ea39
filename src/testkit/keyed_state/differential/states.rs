//! The states that steps are about: one of each kind, and the same with a time to live.

use super::super::everything::{LargestAndCount, States};
use super::{Answer, Operation, Step};
use crate::base::{Millis, TimeDomain};
use crate::state::{
    AggregatingStateDescriptor, KeyedStateStore, ListStateDescriptor, MapStateDescriptor, Namespaced,
    ReducingStateDescriptor, StateError, ValueStateDescriptor, WithTtl,
};
use crate::ttl::{StateTtlConfig, StateVisibility, UpdateType};
use std::borrow::{Borrow, Cow};

/// How long values live.
const TTL: Millis = Millis(5);

/// The times to live that scripts choose from. What is removed in the background cannot be seen by those who never see what
/// has expired; for the others nothing is, or backends would differ.
#[must_use]
pub fn times_to_live() -> Vec<StateTtlConfig> {
    let config = StateTtlConfig::new(TTL).expect("it is positive");
    let strict = config.cleanup_full_snapshot();
    let lenient = config
        .with_state_visibility(StateVisibility::ReturnExpiredIfNotCleanedUp)
        .disable_cleanup_in_background();
    let of_clocks = [TimeDomain::ProcessingTime, TimeDomain::EventTime];
    let clocks = of_clocks.map(|domain| [strict, lenient].map(|config| config.with_time_domain(domain)));
    let updates = [UpdateType::OnCreateAndWrite, UpdateType::OnReadAndWrite];
    updates
        .iter()
        .flat_map(|update| clocks.as_flattened().iter().map(|c| c.with_update_type(*update)))
        .collect()
}

/// A state of each kind whose values expire.
pub(super) struct ExpiringStates {
    value: Namespaced<WithTtl<ValueStateDescriptor<u64>>, u8>,
    list: Namespaced<WithTtl<ListStateDescriptor<String>>, u8>,
    map: Namespaced<WithTtl<MapStateDescriptor<u8, String>>, u8>,
    reducing: Namespaced<WithTtl<ReducingStateDescriptor<String>>, u8>,
    aggregating: Namespaced<WithTtl<AggregatingStateDescriptor<LargestAndCount>>, u8>,
}

impl ExpiringStates {
    fn open(store: &mut KeyedStateStore<u32>, ttl: StateTtlConfig) -> Result<Self, StateError> {
        let value = ValueStateDescriptor::new("expiring value");
        let list = ListStateDescriptor::new("expiring list");
        let map = MapStateDescriptor::new("expiring map");
        let reducing = ReducingStateDescriptor::new("expiring reducing", |a: String, b| a + &b);
        let aggregating = AggregatingStateDescriptor::new("expiring aggregating", LargestAndCount);
        Ok(ExpiringStates {
            value: store.open_namespaced::<u8, _>(&value.with_ttl(ttl))?,
            list: store.open_namespaced::<u8, _>(&list.with_ttl(ttl))?,
            map: store.open_namespaced::<u8, _>(&map.with_ttl(ttl))?,
            reducing: store.open_namespaced::<u8, _>(&reducing.with_ttl(ttl))?,
            aggregating: store.open_namespaced::<u8, _>(&aggregating.with_ttl(ttl))?,
        })
    }
}

/// Does a step with states that expire or with others: their methods have the same names.
macro_rules! perform {
    ($states:expr, $store:expr, $step:expr) => {{
        let (states, store, step): (_, &mut KeyedStateStore<u32>, Step) = ($states, $store, $step);
        let (namespace, number) = (step.namespace, u64::from(step.argument));
        let (value, list, map) =
            (states.value.of(namespace), states.list.of(namespace), states.map.of(namespace));
        let (reducing, aggregating) = (states.reducing.of(namespace), states.aggregating.of(namespace));
        match step.operation {
            Operation::UpdateValue => value.update(store, number)?,
            Operation::ModifyValue => value.modify(store, |old| step.modified(old))?,
            Operation::ChangeValue => value.with_mut(store, || number, |value| *value += 1)?,
            Operation::ClearValue => value.clear(store)?,
            Operation::ReadValue => return Ok(Answer::Number(value.get(store)?.map(Cow::into_owned))),
            Operation::AddToList => list.add(store, step.text())?,
            Operation::AddAllToList => list.add_all(store, step.texts())?,
            Operation::UpdateList => list.update(store, step.texts())?,
            Operation::ClearList => list.clear(store)?,
            Operation::MergeLists => list.merge_namespaces(store, step.sources())?,
            Operation::ReadList => {
                return Ok(Answer::Texts(list.get(store)?.map(Cow::into_owned).collect()));
            }
            Operation::PutToMap => map.put(store, step.map_key(), step.text())?,
            Operation::PutAllToMap => map.put_all(store, (0..).zip(step.texts()))?,
            Operation::ChangeInMap => {
                map.with_mut(store, &step.map_key(), || step.text(), |text| text.push('+'))?;
            }
            Operation::RemoveFromMap => return Ok(Answer::Text(map.remove(store, &step.map_key())?)),
            Operation::RetainInMap => map.retain(store, |key, text| step.retains(*key, text))?,
            Operation::ClearMap => map.clear(store)?,
            Operation::ReadEntry => {
                return Ok(Answer::Text(map.get(store, &step.map_key())?.map(Cow::into_owned)));
            }
            Operation::ReadMap => {
                let entries = map.entries(store)?;
                // Of some the entries are owned, of others not.
                let owned =
                    entries.map(|(key, text)| (*key.borrow(), Borrow::<String>::borrow(&text).clone()));
                return Ok(Answer::Entries(owned.collect()));
            }
            Operation::Reduce => reducing.add(store, step.text())?,
            Operation::ClearReduced => reducing.clear(store)?,
            Operation::MergeReduced => reducing.merge_namespaces(store, step.sources())?,
            Operation::ReadReduced => {
                return Ok(Answer::Text(reducing.get(store)?.map(Cow::into_owned)));
            }
            Operation::Aggregate => aggregating.add(store, number)?,
            Operation::ClearAggregated => aggregating.clear(store)?,
            Operation::MergeAggregated => aggregating.merge_namespaces(store, step.sources())?,
            Operation::ReadAggregated => return Ok(Answer::Text(aggregating.get(store)?)),
            Operation::Pass
            | Operation::Snapshot
            | Operation::SnapshotInFiles
            | Operation::Write
            | Operation::Restore => {}
        }
        Ok(Answer::Nothing)
    }};
}

/// The states of one store.
pub(super) struct Opened {
    plain: States,
    expiring: ExpiringStates,
}

impl Opened {
    pub(super) fn open(store: &mut KeyedStateStore<u32>, ttl: StateTtlConfig) -> Result<Self, StateError> {
        Ok(Opened { plain: States::open(store)?, expiring: ExpiringStates::open(store, ttl)? })
    }

    /// Does a step in the store, whose current key is that of the step.
    pub(super) fn perform(&self, store: &mut KeyedStateStore<u32>, step: Step) -> Result<Answer, StateError> {
        if step.expires { perform!(&self.expiring, store, step) } else { perform!(&self.plain, store, step) }
    }
}
