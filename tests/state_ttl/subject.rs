//! State with a time to live, of any shape on any backend.

use crate::reference::{Rules, Seen, Shape, text_of};
use snapline::base::{EventTime, Millis, TimeDomain};
use snapline::keygroup::MaxParallelism;
use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend};
use snapline::state::*;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub struct Sum;

impl AggregateFunction for Sum {
    type In = u64;
    type Accumulator = u64;
    type Out = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, value: u64, sum: &mut u64) {
        *sum = sum.wrapping_add(value);
    }

    fn result(&self, sum: &u64) -> u64 {
        *sum
    }

    fn merge(&self, sum: &mut u64, other: u64) {
        *sum = sum.wrapping_add(other);
    }
}

enum State {
    Value(TtlValueState<u64>),
    List(TtlListState<u64>),
    Texts(TtlListState<String>),
    Map(TtlMapState<u8, u64>),
    Options(TtlMapState<u8, Option<u64>>),
    Reducing(TtlReducingState<u64>),
    Aggregating(TtlAggregatingState<Sum>),
}

/// The same for the state of every shape.
macro_rules! of_any {
    ($any:expr, $state:ident => $result:expr) => {
        match $any {
            State::Value($state) => $result,
            State::List($state) => $result,
            State::Texts($state) => $result,
            State::Map($state) => $result,
            State::Options($state) => $result,
            State::Reducing($state) => $result,
            State::Aggregating($state) => $result,
        }
    };
}

/// The real thing.
pub struct Subject {
    pub backend: StateBackend,
    store: KeyedStateStore<u32>,
    shape: Shape,
    state: State,
    domain: TimeDomain,
    now: i64,
    /// What the stores before this one have removed.
    removed_before: TtlMetrics,
}

pub fn heap() -> StateBackend {
    StateBackend::default()
}

pub fn bytes() -> StateBackend {
    StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new())
}

pub fn is_heap(backend: &StateBackend) -> bool {
    matches!(backend, StateBackend::HashMap { .. })
}

fn option(value: u64) -> Option<u64> {
    (value != 0).then_some(value)
}

/// Says what time it is by one clock; by the other one all time has passed.
pub fn tell<K: StateKey>(store: &mut KeyedStateStore<K>, domain: TimeDomain, now: i64) {
    let (processing, event) = match domain {
        TimeDomain::ProcessingTime => (now, i64::MAX),
        TimeDomain::EventTime => (i64::MAX, now),
    };
    store.set_processing_time(Millis(u64::try_from(processing).unwrap_or(0)));
    store.set_event_time(EventTime(event));
}

impl Subject {
    pub fn new(
        backend: &StateBackend,
        shape: Shape,
        rules: Rules,
        images: Vec<KeyedImage>,
        now: i64,
    ) -> Self {
        let max = MaxParallelism::new(8).expect("valid");
        let builder = KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(backend);
        let mut store = builder.restore(images).expect("fits");
        tell(&mut store, rules.domain, now);
        let (ttl, name) = (rules.config(), "state");
        let state = match shape {
            Shape::Value => State::Value(store.open(&ValueStateDescriptor::new(name).with_ttl(ttl)).unwrap()),
            Shape::List => State::List(store.open(&ListStateDescriptor::new(name).with_ttl(ttl)).unwrap()),
            Shape::Texts => State::Texts(store.open(&ListStateDescriptor::new(name).with_ttl(ttl)).unwrap()),
            Shape::Map => State::Map(store.open(&MapStateDescriptor::new(name).with_ttl(ttl)).unwrap()),
            Shape::Options => {
                State::Options(store.open(&MapStateDescriptor::new(name).with_ttl(ttl)).unwrap())
            }
            Shape::Reducing => {
                let reduce = ReducingStateDescriptor::new(name, u64::wrapping_add);
                State::Reducing(store.open(&reduce.with_ttl(ttl)).unwrap())
            }
            Shape::Aggregating => State::Aggregating(
                store.open(&AggregatingStateDescriptor::new(name, Sum).with_ttl(ttl)).unwrap(),
            ),
        };
        store.set_current_key(1).expect("all groups");
        let (backend, domain) = (backend.clone(), rules.domain);
        Subject { backend, store, shape, state, domain, now, removed_before: TtlMetrics::default() }
    }

    pub fn set_time(&mut self, now: i64) {
        self.now = now;
        tell(&mut self.store, self.domain, now);
    }

    /// Puts or adds a value.
    pub fn write(&mut self, key: u8, value: u64) {
        let store = &mut self.store;
        match &self.state {
            State::Value(state) => state.update(store, value),
            State::List(state) => state.add(store, value),
            State::Texts(state) => state.add(store, text_of(value)),
            State::Map(state) => state.put(store, key, value),
            State::Options(state) => state.put(store, key, option(value)),
            State::Reducing(state) => state.add(store, value),
            State::Aggregating(state) => state.add(store, value),
        }
        .expect("there is a key");
    }

    /// Makes something of what there is: adds to a single value, adds two elements to a list, puts two entries.
    pub fn change(&mut self, key: u8, value: u64) {
        let store = &mut self.store;
        match &self.state {
            State::Value(state) if key == 0 => {
                state.modify(store, |old| Some(old.unwrap_or(0).wrapping_add(value)))
            }
            State::Value(state) => state.with_mut(store, || 0, |old| *old = old.wrapping_add(value)),
            State::List(state) => state.add_all(store, [value, value + 1]),
            State::Texts(state) => state.add_all(store, [text_of(value), text_of(value + 1)]),
            State::Map(state) => state.put_all(store, [(key, value), (key + 1, value + 1)]),
            State::Options(state) => {
                state.put_all(store, [(key, option(value)), (key + 1, option(value + 1))])
            }
            State::Reducing(state) => state.add(store, value),
            State::Aggregating(state) => state.add(store, value),
        }
        .expect("there is a key");
    }

    /// Puts values in the place of all elements of a list.
    pub fn replace(&mut self, values: &[u64]) {
        let store = &mut self.store;
        match &self.state {
            State::List(state) => state.update(store, values.iter().copied()),
            State::Texts(state) => state.update(store, values.iter().copied().map(text_of)),
            _ => Ok(()),
        }
        .expect("there is a key");
    }

    pub fn clear(&mut self) {
        of_any!(&self.state, state => state.clear(&mut self.store)).expect("there is a key");
    }

    /// Reads everything.
    pub fn read(&mut self) -> Seen {
        let store = &mut self.store;
        let one = |value: Option<u64>| value.map(|value| (0, value)).into_iter().collect();
        let mut seen: Seen = match &self.state {
            State::Value(state) => one(state.get(store).unwrap().map(Cow::into_owned)),
            State::List(state) => state.get(store).unwrap().map(|value| (0, *value)).collect(),
            State::Texts(state) => {
                let texts = state.get(store).unwrap().map(|text| text.trim_end_matches('x').parse().unwrap());
                texts.map(|value| (0, value)).collect()
            }
            State::Map(state) => state.entries(store).unwrap().collect(),
            State::Options(state) => {
                state.entries(store).unwrap().map(|(key, value)| (key, value.unwrap_or(0))).collect()
            }
            State::Reducing(state) => one(state.get(store).unwrap().map(Cow::into_owned)),
            State::Aggregating(state) => one(state.get(store).unwrap()),
        };
        if self.shape.is_map() {
            seen.sort_unstable();
        }
        seen
    }

    /// Reads an entry of a map.
    pub fn read_entry(&mut self, key: u8) -> Option<u64> {
        let store = &mut self.store;
        match &self.state {
            State::Map(state) => state.get(store, &key).unwrap().map(Cow::into_owned),
            State::Options(state) => state.get(store, &key).unwrap().map(|value| value.unwrap_or(0)),
            _ => None,
        }
    }

    /// Asks whether a map has an entry.
    pub fn contains(&mut self, key: u8) -> bool {
        let store = &mut self.store;
        match &self.state {
            State::Map(state) => state.contains(store, &key).unwrap(),
            State::Options(state) => state.contains(store, &key).unwrap(),
            _ => false,
        }
    }

    /// Reads the keys, or the values, of a map.
    pub fn read_halves(&mut self, keys: bool) -> Vec<u64> {
        let store = &mut self.store;
        let mut seen: Vec<_> = match &self.state {
            State::Map(state) if keys => state.keys(store).unwrap().map(u64::from).collect(),
            State::Map(state) => state.values(store).unwrap().collect(),
            State::Options(state) if keys => state.keys(store).unwrap().map(u64::from).collect(),
            State::Options(state) => state.values(store).unwrap().map(|value| value.unwrap_or(0)).collect(),
            _ => Vec::new(),
        };
        seen.sort_unstable();
        seen
    }

    /// Removes an entry of a map.
    pub fn remove(&mut self, key: u8) -> Option<u64> {
        let store = &mut self.store;
        match &self.state {
            State::Map(state) => state.remove(store, &key).unwrap(),
            State::Options(state) => state.remove(store, &key).unwrap().map(|value| value.unwrap_or(0)),
            _ => None,
        }
    }

    /// Keeps all entries of a map but one.
    pub fn retain_others(&mut self, key: u8) {
        let store = &mut self.store;
        match &self.state {
            State::Map(state) => state.retain(store, |other, _| *other != key),
            State::Options(state) => state.retain(store, |other, _| *other != key),
            _ => Ok(()),
        }
        .expect("there is a key");
    }

    /// Whether a map has no entry that may be seen.
    pub fn is_empty(&self) -> Option<bool> {
        match &self.state {
            State::Map(state) => Some(state.is_empty(&self.store).unwrap()),
            State::Options(state) => Some(state.is_empty(&self.store).unwrap()),
            _ => None,
        }
    }

    /// A whole pass. Backends of bytes have none.
    pub fn clean_up(&mut self) {
        for _ in 0..1_000 {
            let done = of_any!(&self.state, state => self.store.clean_up(state, 3));
            if done.unwrap().is_pass_over {
                return;
            }
        }
        panic!("the pass does not end");
    }

    pub fn keys(&self) -> usize {
        of_any!(&self.state, state => self.store.count(state)).unwrap()
    }

    pub fn expired(&self) -> ExpiredButPresent {
        of_any!(&self.state, state => self.store.expired_but_present(state)).unwrap()
    }

    /// What was removed by all stores.
    pub fn removed(&self) -> TtlMetrics {
        let mut removed = of_any!(&self.state, state => self.store.ttl_metrics(state)).unwrap();
        assert_eq!(removed, self.store.ttl_metrics_of_all(), "there is one state");
        removed += self.removed_before;
        removed
    }

    pub fn snapshot(&mut self) -> Vec<KeyedImage> {
        let mut file = Vec::new();
        self.store.snapshot().unwrap().write_to(&mut file).unwrap();
        SnapshotImage::read_from(&file[..], None).unwrap().keyed.into_iter().collect()
    }

    /// Takes a snapshot and goes on from it, on `backend`.
    pub fn restore(&mut self, backend: &StateBackend, rules: Rules) {
        let images = self.snapshot();
        let removed_before = self.removed();
        *self = Subject::new(backend, self.shape, rules, images, self.now);
        self.removed_before = removed_before;
    }
}
