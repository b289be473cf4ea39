//! State with a time to live, of every shape on every backend, beside a reference in plain arithmetic.
#![cfg(feature = "testkit")]

use proptest::prelude::*;
use snapline::base::{EventTime, Millis, TimeDomain};
use snapline::keygroup::MaxParallelism;
use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend};
use snapline::state::*;
use snapline::ttl::{StateTtlConfig, StateVisibility, UpdateType};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is kept for a key: cells with their own times.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Shape {
    Value,
    List,
    /// Elements of different lengths.
    Texts,
    Map,
    /// Values that may be nothing.
    Options,
    Reducing,
    Aggregating,
}

const SHAPES: [Shape; 7] = [
    Shape::Value,
    Shape::List,
    Shape::Texts,
    Shape::Map,
    Shape::Options,
    Shape::Reducing,
    Shape::Aggregating,
];

/// A cell as a user sees it: the key in a map, and the value.
type Seen = Vec<(u8, u64)>;

#[derive(Clone, Copy, Debug)]
struct Rules {
    ttl: u64,
    refresh: bool,
    lenient: bool,
    in_snapshots: bool,
    domain: TimeDomain,
}

impl Rules {
    fn config(self) -> StateTtlConfig {
        let update = if self.refresh { UpdateType::OnReadAndWrite } else { UpdateType::OnCreateAndWrite };
        let visibility = match self.lenient {
            true => StateVisibility::ReturnExpiredIfNotCleanedUp,
            false => StateVisibility::NeverReturnExpired,
        };
        let config =
            StateTtlConfig::new(Millis(self.ttl)).expect("in bounds").disable_cleanup_in_background();
        let config = config.with_update_type(update).with_state_visibility(visibility);
        let config = config.with_time_domain(self.domain);
        if self.in_snapshots { config.cleanup_full_snapshot() } else { config }
    }

    fn is_expired(self, updated: i64, now: i64) -> bool {
        (i128::from(updated) + i128::from(self.ttl)).min(i128::from(i64::MAX)) <= i128::from(now)
    }

    fn is_seen(self, updated: i64, now: i64) -> bool {
        self.lenient || !self.is_expired(updated, now)
    }
}

/// The reference: what there is, each with its time.
#[derive(Clone, Debug, Default)]
struct Reference(Vec<(u8, i64, u64)>);

impl Reference {
    fn write(&mut self, shape: Shape, rules: Rules, now: i64, key: u8, value: u64) {
        match shape {
            Shape::Value => self.0 = vec![(0, now, value)],
            Shape::List | Shape::Texts => self.0.push((0, now, value)),
            Shape::Map | Shape::Options => {
                self.0.retain(|(other, ..)| *other != key);
                self.0.push((key, now, value));
            }
            Shape::Reducing | Shape::Aggregating => {
                let old = self.0.first().filter(|(_, updated, _)| rules.is_seen(*updated, now));
                self.0 = vec![(0, now, old.map_or(0, |(_, _, old)| *old).wrapping_add(value))];
            }
        }
    }

    /// Reads everything.
    fn read(&mut self, shape: Shape, rules: Rules, now: i64) -> Seen {
        let seen = self.0.iter().filter(|(_, updated, _)| rules.is_seen(*updated, now));
        let mut seen: Seen = seen.map(|(key, _, value)| (*key, *value)).collect();
        let is_list = matches!(shape, Shape::List | Shape::Texts);
        let lives = self.0.iter().any(|(_, updated, _)| !rules.is_expired(*updated, now));
        if !is_list || !lives || rules.refresh {
            self.0.retain(|(_, updated, _)| !rules.is_expired(*updated, now));
        }
        if rules.refresh {
            self.0.iter_mut().for_each(|(_, updated, _)| *updated = now);
        }
        if !is_list {
            seen.sort_unstable();
        }
        seen
    }

    fn clean_up(&mut self, rules: Rules, now: i64) {
        self.0.retain(|(_, updated, _)| !rules.is_expired(*updated, now));
    }
}

struct Sum;

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

/// The real thing.
struct Subject {
    backend: StateBackend,
    store: KeyedStateStore<u32>,
    shape: Shape,
    state: State,
    now: i64,
}

fn reduce() -> ReducingStateDescriptor<u64> {
    ReducingStateDescriptor::new("state", u64::wrapping_add)
}

/// Of different lengths, so that elements do not lie at multiples of anything.
fn text_of(value: u64) -> String {
    format!("{value}{}", "x".repeat(value as usize % 5))
}

impl Subject {
    fn new(backend: &StateBackend, shape: Shape, rules: Rules, images: Vec<KeyedImage>, now: i64) -> Self {
        let max = MaxParallelism::new(8).expect("valid");
        let builder = KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(backend);
        let mut store = builder.restore(images).expect("fits");
        tell(&mut store, now);
        let ttl = rules.config();
        let state = match shape {
            Shape::Value => {
                State::Value(store.open(&ValueStateDescriptor::new("state").with_ttl(ttl)).unwrap())
            }
            Shape::List => State::List(store.open(&ListStateDescriptor::new("state").with_ttl(ttl)).unwrap()),
            Shape::Texts => {
                State::Texts(store.open(&ListStateDescriptor::new("state").with_ttl(ttl)).unwrap())
            }
            Shape::Map => State::Map(store.open(&MapStateDescriptor::new("state").with_ttl(ttl)).unwrap()),
            Shape::Options => {
                State::Options(store.open(&MapStateDescriptor::new("state").with_ttl(ttl)).unwrap())
            }
            Shape::Reducing => State::Reducing(store.open(&reduce().with_ttl(ttl)).unwrap()),
            Shape::Aggregating => State::Aggregating(
                store.open(&AggregatingStateDescriptor::new("state", Sum).with_ttl(ttl)).unwrap(),
            ),
        };
        store.set_current_key(1).expect("all groups");
        Subject { backend: backend.clone(), store, shape, state, now }
    }

    fn set_time(&mut self, now: i64) {
        self.now = now;
        tell(&mut self.store, now);
    }

    fn write(&mut self, key: u8, value: u64) {
        let store = &mut self.store;
        match &self.state {
            State::Value(state) => state.update(store, value),
            State::List(state) => state.add(store, value),
            State::Texts(state) => state.add(store, text_of(value)),
            State::Map(state) => state.put(store, key, value),
            State::Options(state) => state.put(store, key, (value != 0).then_some(value)),
            State::Reducing(state) => state.add(store, value),
            State::Aggregating(state) => state.add(store, value),
        }
        .expect("there is a key");
    }

    fn read(&mut self) -> Seen {
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
        if matches!(self.shape, Shape::Map | Shape::Options) {
            seen.sort_unstable();
        }
        seen
    }

    /// A whole pass. Backends of bytes have none.
    fn clean_up(&mut self) {
        for _ in 0..1_000 {
            let store = &mut self.store;
            let done = match &self.state {
                State::Value(state) => store.clean_up(state, 3),
                State::List(state) => store.clean_up(state, 3),
                State::Texts(state) => store.clean_up(state, 3),
                State::Map(state) => store.clean_up(state, 3),
                State::Options(state) => store.clean_up(state, 3),
                State::Reducing(state) => store.clean_up(state, 3),
                State::Aggregating(state) => store.clean_up(state, 3),
            };
            if done.unwrap().is_pass_over {
                return;
            }
        }
        panic!("the pass does not end");
    }

    fn keys(&self) -> usize {
        match &self.state {
            State::Value(state) => self.store.count(state),
            State::List(state) => self.store.count(state),
            State::Texts(state) => self.store.count(state),
            State::Map(state) => self.store.count(state),
            State::Options(state) => self.store.count(state),
            State::Reducing(state) => self.store.count(state),
            State::Aggregating(state) => self.store.count(state),
        }
        .unwrap()
    }

    /// Takes a snapshot and goes on from it, on `backend`.
    fn restore(&mut self, backend: &StateBackend, rules: Rules) {
        let mut file = Vec::new();
        self.store.snapshot().unwrap().write_to(&mut file).unwrap();
        let keyed = SnapshotImage::read_from(&file[..], None).unwrap().keyed.into_iter().collect();
        *self = Subject::new(backend, self.shape, rules, keyed, self.now);
    }
}

fn tell(store: &mut KeyedStateStore<u32>, now: i64) {
    store.set_processing_time(Millis(u64::try_from(now).unwrap_or(0)));
    store.set_event_time(EventTime(now));
}

fn heap() -> StateBackend {
    StateBackend::default()
}

fn bytes() -> StateBackend {
    StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new())
}

fn is_heap(backend: &StateBackend) -> bool {
    matches!(backend, StateBackend::HashMap { .. })
}

/// What removes expired state beside reads.
#[derive(Clone, Copy, Debug, PartialEq)]
enum CleanUp {
    None,
    InSnapshots,
    Incremental,
}

/// When a state that was written at `written` is read, and with what time to live.
const SITUATIONS: [(&str, u64, i64, i64); 7] = [
    ("one millisecond before", 100, 1_000, 1_099),
    ("at the expiry", 100, 1_000, 1_100),
    ("one millisecond after", 100, 1_000, 1_101),
    ("past the end of time", i64::MAX as u64, 1_000, i64::MAX - 1),
    ("at the end of time", i64::MAX as u64, 1_000, i64::MAX),
    ("after the clock went back", 100, 1_000, 500),
    ("after a long downtime", 100, 1_000, 1_000_000_000),
];

/// The matrix: shapes, updates, visibilities, clean-ups, situations, backends.
#[test]
fn ttl_of_every_shape_in_every_situation() {
    let mut cases = 0;
    for shape in SHAPES {
        for (refresh, lenient) in [(false, false), (false, true), (true, false), (true, true)] {
            for clean_up in [CleanUp::None, CleanUp::InSnapshots, CleanUp::Incremental] {
                for (situation, ttl, written, read) in SITUATIONS {
                    for backend in [heap(), bytes()] {
                        for domain in [TimeDomain::ProcessingTime, TimeDomain::EventTime] {
                            let in_snapshots = clean_up == CleanUp::InSnapshots;
                            let rules = Rules { ttl, refresh, lenient, in_snapshots, domain };
                            let what = format!("{shape:?} {rules:?} {clean_up:?} {situation} {backend:?}");
                            run_case(shape, rules, clean_up, (written, read), &backend, &what);
                            cases += 1;
                        }
                    }
                }
            }
        }
    }
    assert_eq!(cases, 7 * 4 * 3 * 7 * 2 * 2);
}

fn run_case(
    shape: Shape,
    rules: Rules,
    clean_up: CleanUp,
    (written, read): (i64, i64),
    backend: &StateBackend,
    what: &str,
) {
    let mut subject = Subject::new(backend, shape, rules, Vec::new(), written);
    let mut reference = Reference::default();
    for (key, value) in [(1, 5), (2, 0), (1, 7)] {
        subject.write(key, value);
        reference.write(shape, rules, written, key, value);
    }
    subject.set_time(read);
    match clean_up {
        CleanUp::None => {}
        CleanUp::InSnapshots => {
            // The snapshot shrinks, the working state does not.
            let before = subject.keys();
            let mut file = Vec::new();
            subject.store.snapshot().unwrap().write_to(&mut file).unwrap();
            assert_eq!(subject.keys(), before, "{what}");
            subject.restore(backend, rules);
            reference.clean_up(rules, read);
            assert_eq!(subject.keys(), usize::from(!reference.0.is_empty()) * before, "{what}");
        }
        CleanUp::Incremental => {
            subject.clean_up();
            if is_heap(backend) {
                reference.clean_up(rules, read);
                assert_eq!(subject.keys(), usize::from(!reference.0.is_empty()), "{what}");
            }
        }
    }
    // The second read sees what the first has done, and so does one that comes later.
    for now in [read, read, read.saturating_add(1), read.saturating_add(99), read.saturating_add(100)] {
        subject.set_time(now);
        assert_eq!(subject.read(), reference.read(shape, rules, now), "{what}, read at {now}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Write(u8, u64),
    Read,
    Pass(u8),
    Back(u8),
    Sleep,
    CleanUp,
    /// On the other backend, with this time to live.
    Restore(bool, u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3u8, 0..50u64).prop_map(|(key, value)| Step::Write(key, value)),
        4 => Just(Step::Read),
        4 => (1..40u8).prop_map(Step::Pass),
        1 => (1..40u8).prop_map(Step::Back),
        1 => Just(Step::Sleep),
        1 => Just(Step::CleanUp),
        1 => (any::<bool>(), 1..100u8).prop_map(|(other, ttl)| Step::Restore(other, ttl)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// With clocks that go back, long downtimes, and times to live that change over restores.
    #[test]
    fn ttl_states_agree_with_a_reference(
        shape in 0..SHAPES.len(),
        rules in (1..100u64, any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>()),
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let (ttl, refresh, lenient, in_snapshots, event) = rules;
        let domain = if event { TimeDomain::EventTime } else { TimeDomain::ProcessingTime };
        let mut rules = Rules { ttl, refresh, lenient, in_snapshots, domain };
        let shape = SHAPES[shape];
        let mut now = 1_000;
        let mut subject = Subject::new(&heap(), shape, rules, Vec::new(), now);
        let mut reference = Reference::default();
        for step in steps {
            match step {
                Step::Write(key, value) => {
                    subject.write(key, value);
                    reference.write(shape, rules, now, key, value);
                }
                Step::Read => prop_assert_eq!(subject.read(), reference.read(shape, rules, now)),
                Step::Pass(millis) => now += i64::from(millis),
                Step::Back(millis) => now = (now - i64::from(millis)).max(0),
                Step::Sleep => now += 10_000,
                Step::CleanUp => {
                    subject.clean_up();
                    if is_heap(&subject.backend) {
                        reference.clean_up(rules, now);
                    }
                }
                Step::Restore(other, ttl) => {
                    if rules.in_snapshots {
                        reference.clean_up(rules, now);
                    }
                    rules.ttl = u64::from(ttl);
                    let backend = if other == is_heap(&subject.backend) { bytes() } else { heap() };
                    subject.restore(&backend, rules);
                }
            }
            subject.set_time(now);
        }
        prop_assert_eq!(subject.read(), reference.read(shape, rules, now));
    }
}
