//! States of all kinds at once, and what they hold.

use crate::state::{
    AggregateFunction, AggregatingStateDescriptor, KeyedStateStore, ListStateDescriptor, MapStateDescriptor,
    Namespaced, ReducingStateDescriptor, StateDescriptor, StateError, StateHandle, ValueStateDescriptor,
};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// The largest number and how many there were.
#[derive(Debug)]
pub(super) struct LargestAndCount;

impl AggregateFunction for LargestAndCount {
    type In = u64;
    type Accumulator = (u64, u32);
    type Out = String;

    fn create_accumulator(&self) -> (u64, u32) {
        (0, 0)
    }

    fn add(&self, value: u64, (largest, count): &mut (u64, u32)) {
        (*largest, *count) = (value.max(*largest), *count + 1);
    }

    fn result(&self, (largest, count): &(u64, u32)) -> String {
        format!("{largest} of {count}")
    }

    fn merge(&self, (largest, count): &mut (u64, u32), other: (u64, u32)) {
        (*largest, *count) = (other.0.max(*largest), *count + other.1);
    }
}

/// A state of each kind in the namespaces 0 to 255.
pub(super) struct States {
    pub(super) value: Namespaced<ValueStateDescriptor<u64>, u8>,
    pub(super) list: Namespaced<ListStateDescriptor<String>, u8>,
    pub(super) map: Namespaced<MapStateDescriptor<u8, String>, u8>,
    pub(super) reducing: Namespaced<ReducingStateDescriptor<String>, u8>,
    pub(super) aggregating: Namespaced<AggregatingStateDescriptor<LargestAndCount>, u8>,
}

impl States {
    pub(super) fn open(store: &mut KeyedStateStore<u32>) -> Result<States, StateError> {
        Ok(States {
            value: store.open_namespaced::<u8, _>(&ValueStateDescriptor::new("value"))?,
            list: store.open_namespaced::<u8, _>(&ListStateDescriptor::new("list"))?,
            map: store.open_namespaced::<u8, _>(&MapStateDescriptor::new("map"))?,
            reducing: store
                .open_namespaced::<u8, _>(&ReducingStateDescriptor::new("reducing", |a: String, b| a + &b))?,
            aggregating: store
                .open_namespaced::<u8, _>(&AggregatingStateDescriptor::new("aggregating", LargestAndCount))?,
        })
    }
}

/// A key and a namespace.
pub(super) type Scope = (u32, u8);

/// What the states hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) values: BTreeMap<Scope, u64>,
    pub(super) lists: BTreeMap<Scope, Vec<String>>,
    pub(super) maps: BTreeMap<Scope, BTreeMap<u8, String>>,
    pub(super) reduced: BTreeMap<Scope, String>,
    pub(super) aggregated: BTreeMap<Scope, String>,
}

impl Content {
    /// What a store holds, by the lists of its keys and by each of them.
    pub(super) fn of(store: &mut KeyedStateStore<u32>) -> Result<Content, StateError> {
        let states = States::open(store)?;
        let mut content = Content::default();
        for (key, namespace) in scopes(store, &states.value)? {
            store.set_current_key(key)?;
            let value = states.value.of(namespace).get(store)?.expect("what is listed has a value");
            content.values.insert((key, namespace), value.into_owned());
        }
        for (key, namespace) in scopes(store, &states.list)? {
            store.set_current_key(key)?;
            let list = states.list.of(namespace).get(store)?.map(Cow::into_owned).collect();
            content.lists.insert((key, namespace), list);
        }
        for (key, namespace) in scopes(store, &states.map)? {
            store.set_current_key(key)?;
            let entries = states.map.of(namespace).entries(store)?;
            let map = entries.map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
            content.maps.insert((key, namespace), map);
        }
        for (key, namespace) in scopes(store, &states.reducing)? {
            store.set_current_key(key)?;
            let value = states.reducing.of(namespace).get(store)?.expect("what is listed has a value");
            content.reduced.insert((key, namespace), value.into_owned());
        }
        for (key, namespace) in scopes(store, &states.aggregating)? {
            store.set_current_key(key)?;
            let result = states.aggregating.of(namespace).get(store)?.expect("what is listed has one");
            content.aggregated.insert((key, namespace), result);
        }
        Ok(content)
    }

    pub(super) fn extend(&mut self, other: Content) {
        self.values.extend(other.values);
        self.lists.extend(other.lists);
        self.maps.extend(other.maps);
        self.reduced.extend(other.reduced);
        self.aggregated.extend(other.aggregated);
    }

    /// All keys of all states.
    pub(super) fn keys(&self) -> BTreeSet<u32> {
        let values = self.values.keys().chain(self.lists.keys()).chain(self.maps.keys());
        values.chain(self.reduced.keys()).chain(self.aggregated.keys()).map(|(key, _)| *key).collect()
    }
}

/// The keys and namespaces that have something in a state.
fn scopes<D: StateDescriptor>(
    store: &KeyedStateStore<u32>,
    state: &Namespaced<D, u8>,
) -> Result<BTreeSet<Scope>, StateError>
where
    D::State<u8>: StateHandle,
{
    let listed: Vec<Scope> = store.keys_and_namespaces::<u8, D>(state)?.map(|(k, n)| (*k, *n)).collect();
    let scopes: BTreeSet<Scope> = listed.iter().copied().collect();
    assert_eq!(scopes.len(), listed.len(), "a key and namespace are listed twice");
    assert_eq!(store.count(&state.of(0u8))?, listed.len(), "the number of entries");
    Ok(scopes)
}

/// Changes the states of some keys, differently for each and each time: adds, replaces, clears and merges. Gives what
/// the whole store holds then.
pub(super) fn fill(store: &mut KeyedStateStore<u32>, keys: Range<u32>) -> Result<Content, StateError> {
    let states = States::open(store)?;
    for key in keys {
        store.set_current_key(key)?;
        let number = u64::from(key);
        for namespace in 0..3u8 {
            let value = states.value.of(namespace);
            value.modify(store, |old| Some(old.unwrap_or(number) + 1))?;
            let words = (0..number % 4).map(|word| format!("{key}/{namespace}/{word}"));
            states.list.of(namespace).add_all(store, words)?;
            let map = states.map.of(namespace);
            let length = map.len(store)? as u8;
            map.put_all(store, (0..=length).map(|entry| (entry, format!("{key}/{length}"))))?;
            states.reducing.of(namespace).add(store, format!("<{number}>"))?;
            states.aggregating.of(namespace).add(store, number)?;
        }
        match key % 5 {
            0 => {
                states.list.of(0u8).merge_namespaces(store, [1, 2])?;
                states.reducing.of(1u8).merge_namespaces(store, [0, 2])?;
                states.aggregating.of(2u8).merge_namespaces(store, [0, 1])?;
            }
            1 => states.value.of(1u8).clear(store)?,
            2 => states.map.of(0u8).clear(store)?,
            3 => states.map.of(2u8).remove(store, &0).map(drop)?,
            _ => states.list.of(1u8).clear(store)?,
        }
    }
    Content::of(store)
}
