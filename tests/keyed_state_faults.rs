//! Backends with a fault each: what every backend must do, as tests, finds all of them.
#![cfg(feature = "testkit")]
#![allow(clippy::disallowed_methods)]

use snapline::state::backend::{
    BackendContext, BackendError, BackendSnapshot, Entries, KeyedStateBackend, StateBackend,
    StateBackendFactory, StateDescription, StateNumber,
};
use snapline::testkit::keyed_state::{BEHAVIOURS, Behaviour};
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// What a backend does wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    AppendsAreLost,
    AppendsStandInFront,
    AppendsReplace,
    ValuesHaveNoLength,
    DeletesAreIgnored,
    DeletesTakeAllThatBeginSo,
    PutsKeepWhatWasThere,
    EmptyValuesAreNone,
    KeysAreCutOff,
    ScansAreUnordered,
    ScansGoTooFar,
    ScansMissTheLast,
    ScansEndAfterAThousand,
    StatesAreOne,
    SnapshotsAreLive,
    SnapshotsAreOld,
    SnapshotsAreTheNewest,
    SnapshotsForgetDeletes,
    SnapshotsHaveTheFirstStateOnly,
    SnapshotsStopWrites,
    EverythingFails,
}

const FAULTS: [Fault; 21] = [
    Fault::AppendsAreLost,
    Fault::AppendsStandInFront,
    Fault::AppendsReplace,
    Fault::ValuesHaveNoLength,
    Fault::DeletesAreIgnored,
    Fault::DeletesTakeAllThatBeginSo,
    Fault::PutsKeepWhatWasThere,
    Fault::EmptyValuesAreNone,
    Fault::KeysAreCutOff,
    Fault::ScansAreUnordered,
    Fault::ScansGoTooFar,
    Fault::ScansMissTheLast,
    Fault::ScansEndAfterAThousand,
    Fault::StatesAreOne,
    Fault::SnapshotsAreLive,
    Fault::SnapshotsAreOld,
    Fault::SnapshotsAreTheNewest,
    Fault::SnapshotsForgetDeletes,
    Fault::SnapshotsHaveTheFirstStateOnly,
    Fault::SnapshotsStopWrites,
    Fault::EverythingFails,
];

type State = BTreeMap<Vec<u8>, Vec<u8>>;

struct FaultyFactory(Fault);

impl StateBackendFactory for FaultyFactory {
    fn name(&self) -> &str {
        "faulty"
    }

    fn create(&self, _: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        Ok(Box::new(Faulty {
            fault: self.0,
            states: Vec::new(),
            newest: Arc::default(),
            first: None,
            open: Arc::default(),
        }))
    }
}

struct Faulty {
    fault: Fault,
    states: Vec<State>,
    /// What the states are, or were when the newest snapshot was taken.
    newest: Arc<Mutex<Vec<State>>>,
    /// What they were when the first one was.
    first: Option<Vec<State>>,
    /// The number of snapshots that live is its count, but for this one.
    open: Arc<()>,
}

impl Faulty {
    fn state(&self, number: StateNumber) -> usize {
        if self.fault == Fault::StatesAreOne { 0 } else { number.0 }
    }

    fn key<'a>(&self, key: &'a [u8]) -> &'a [u8] {
        if self.fault == Fault::KeysAreCutOff { &key[..key.len().min(8)] } else { key }
    }

    fn refuses_writes(&self) -> bool {
        self.fault == Fault::SnapshotsStopWrites && Arc::strong_count(&self.open) > 1
    }

    /// Tells a live snapshot what has changed.
    fn changed(&self) {
        if self.fault == Fault::SnapshotsAreLive {
            *self.newest.lock().expect("no panic") = self.states.clone();
        }
    }

    fn failing(&self) -> Result<(), BackendError> {
        if self.fault == Fault::EverythingFails { Err("it is broken".into()) } else { Ok(()) }
    }
}

impl KeyedStateBackend for Faulty {
    fn create_state(&mut self, _: &StateDescription) -> Result<StateNumber, BackendError> {
        self.states.push(State::new());
        Ok(StateNumber(self.states.len() - 1))
    }

    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        self.failing()?;
        let value = self.states[self.state(state)].get(self.key(key)).cloned();
        Ok(value.filter(|value| self.fault != Fault::EmptyValuesAreNone || !value.is_empty()))
    }

    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.failing()?;
        if self.refuses_writes() {
            return Ok(());
        }
        let (place, key) = (self.state(state), self.key(key).to_vec());
        let state = &mut self.states[place];
        if self.fault != Fault::PutsKeepWhatWasThere || !state.contains_key(&key) {
            state.insert(key, value.to_vec());
        }
        self.changed();
        Ok(())
    }

    fn value_bytes(&mut self, state: StateNumber, key: &[u8], _: usize) -> Result<usize, BackendError> {
        match self.fault {
            Fault::ValuesHaveNoLength => Ok(0),
            _ => Ok(self.get(state, key)?.map_or(0, |value| value.len())),
        }
    }

    fn append(&mut self, state: StateNumber, key: &[u8], bytes: &[u8]) -> Result<(), BackendError> {
        let old = self.get(state, key)?.unwrap_or_default();
        match self.fault {
            Fault::AppendsAreLost if !old.is_empty() => Ok(()),
            Fault::AppendsStandInFront => self.put(state, key, &[bytes, &old].concat()),
            Fault::AppendsReplace => self.put(state, key, bytes),
            _ => self.put(state, key, &[&old, bytes].concat()),
        }
    }

    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError> {
        self.failing()?;
        if self.refuses_writes() {
            return Ok(());
        }
        let (place, key) = (self.state(state), self.key(key));
        match self.fault {
            Fault::DeletesAreIgnored => {}
            Fault::DeletesTakeAllThatBeginSo => {
                let beginning = &key[..key.len().saturating_sub(1)];
                self.states[place].retain(|other, _| !other.starts_with(beginning));
            }
            _ => drop(self.states[place].remove(key)),
        }
        self.changed();
        Ok(())
    }

    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        scan(self.fault, &self.states[self.state(state)], prefix)
    }

    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError> {
        self.failing()?;
        *self.newest.lock().expect("no panic") = self.states.clone();
        let first = self.first.get_or_insert_with(|| self.states.clone()).clone();
        let states = match self.fault {
            Fault::SnapshotsAreOld => Arc::new(Mutex::new(first)),
            Fault::SnapshotsAreLive | Fault::SnapshotsAreTheNewest => Arc::clone(&self.newest),
            Fault::SnapshotsForgetDeletes => {
                let mut states = self.states.clone();
                for (state, first) in states.iter_mut().zip(first) {
                    for (key, value) in first {
                        state.entry(key).or_insert(value);
                    }
                }
                Arc::new(Mutex::new(states))
            }
            Fault::SnapshotsHaveTheFirstStateOnly => {
                Arc::new(Mutex::new(self.states.iter().take(1).cloned().collect()))
            }
            _ => Arc::new(Mutex::new(self.states.clone())),
        };
        let place = |number: usize| if self.fault == Fault::StatesAreOne { 0 } else { number };
        let places = (0..self.states.len()).map(place).collect();
        Ok(Box::new(Snapshot { fault: self.fault, states, places, _open: Arc::clone(&self.open) }))
    }
}

struct Snapshot {
    fault: Fault,
    states: Arc<Mutex<Vec<State>>>,
    places: Vec<usize>,
    _open: Arc<()>,
}

impl BackendSnapshot for Snapshot {
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        let states = self.states.lock().expect("no panic");
        let nothing = State::new();
        let state = self.places.get(state.0).and_then(|place| states.get(*place)).unwrap_or(&nothing);
        scan(self.fault, state, prefix)
    }
}

fn scan(fault: Fault, state: &State, prefix: &[u8]) -> Entries<'static> {
    let matching = |key: &[u8]| match fault {
        Fault::ScansGoTooFar => key >= prefix,
        _ => key.starts_with(prefix),
    };
    let mut entries: Vec<_> = state.iter().filter(|(key, _)| matching(key)).collect();
    if fault == Fault::ScansAreUnordered {
        entries.sort_by_key(|(key, _)| key.iter().rev().copied().collect::<Vec<u8>>());
    }
    if fault == Fault::ScansMissTheLast {
        entries.pop();
    }
    if fault == Fault::ScansEndAfterAThousand {
        entries.truncate(1_000);
    }
    let owned: Vec<_> = entries.into_iter().map(|(key, value)| Ok((key.clone(), value.clone()))).collect();
    Box::new(owned.into_iter())
}

fn has(backend: &StateBackend, behaviour: Behaviour) -> bool {
    matches!(catch_unwind(AssertUnwindSafe(|| behaviour(backend))), Ok(Ok(())))
}

/// All behaviours but the random scripts: these find most things, and say nothing.
fn named() -> impl Iterator<Item = &'static (&'static str, Behaviour)> {
    BEHAVIOURS.iter().filter(|(name, _)| !name.ends_with("over_random_scripts"))
}

/// The first behaviour that a backend does not have.
fn missed_by(backend: &StateBackend) -> Option<&'static str> {
    named().find(|(_, behaviour)| !has(backend, *behaviour)).map(|(name, _)| *name)
}

/// What `look` gives while nothing is said of panics: hundreds are expected, and how they came about is of no interest.
fn without_a_word<T>(look: impl FnOnce() -> T) -> T {
    static HOOK: Mutex<()> = Mutex::new(());
    let _one_at_a_time = HOOK.lock().expect("no panic");
    let hook = take_hook();
    set_hook(Box::new(|_| ()));
    let found = look();
    set_hook(hook);
    found
}

fn with(fault: Fault) -> StateBackend {
    StateBackend::Custom(Arc::new(FaultyFactory(fault)), BTreeMap::new())
}

#[test]
fn keyed_state_behaviours_find_every_planted_fault() {
    assert_eq!(missed_by(&with(Fault::None)), None, "without a fault");
    let found = without_a_word(|| FAULTS.map(|fault| (fault, missed_by(&with(fault)))));
    for (fault, missed) in found {
        assert!(missed.is_some(), "{fault:?} was not found");
    }
}

/// What rests on keyed state is not among the behaviours for show: each of these finds a fault that is not as plain as that
/// everything fails, but for refusals, which need no backend to be right.
#[test]
fn keyed_state_behaviours_of_what_rests_on_it_find_a_planted_fault_each() {
    const REFUSALS: [&str; 5] = [
        "operator_values_beyond_the_limit_are_refused",
        "ttl_of_a_state_that_is_opened_with_another_one_is_refused",
        "timers_without_a_current_key_are_refused",
        "timers_given_a_store_of_others_stay_as_they_are",
        "timers_of_other_namespaces_under_one_name_are_refused",
    ];
    let finds_none = |behaviour| {
        FAULTS.iter().all(|fault| *fault == Fault::EverythingFails || has(&with(*fault), behaviour))
    };
    let others = named().filter(|(name, _)| !name.starts_with("keyed_"));
    let blind = without_a_word(|| others.filter(|(_, behaviour)| finds_none(*behaviour)).collect::<Vec<_>>());
    assert_eq!(blind.iter().map(|(name, _)| *name).collect::<Vec<_>>(), REFUSALS);
}

#[test]
fn keyed_state_error_of_a_backend_names_the_state() {
    let broken = with(Fault::EverythingFails);
    let (_, behaviour) =
        BEHAVIOURS.iter().find(|(name, _)| *name == "keyed_values_are_isolated_by_key").expect("one");
    let failed = behaviour(&broken).expect_err("it is broken").to_string();
    assert_eq!(failed, "the backend of state `counts` failed: it is broken");
}

/// How the names of behaviours begin.
const AREAS: [&str; 4] = ["keyed_", "operator_", "timers_", "ttl_"];

/// Every behaviour is one of those that the macro makes tests of.
#[test]
fn keyed_state_behaviours_are_all_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/testkit/keyed_state");
    let mut written = BTreeSet::new();
    let folders = [folder.clone(), folder.join("differential"), folder.join("timers")];
    for file in folders.into_iter().flat_map(|folder| std::fs::read_dir(folder).expect("there")) {
        let path = file.expect("an entry").path();
        if path.is_file() {
            let text = std::fs::read_to_string(&path).expect("text");
            let names = text.split("pub fn ").skip(1).map(|rest| rest.split('(').next().unwrap_or_default());
            let is_behaviour = |name: &&str| AREAS.iter().any(|area| name.starts_with(area));
            written.extend(names.filter(is_behaviour).map(str::to_owned));
        }
    }
    assert!(written.len() > 50, "the sources were not found");
    assert_eq!(BEHAVIOURS.iter().map(|(name, _)| (*name).to_owned()).collect::<BTreeSet<_>>(), written);
    assert_eq!(BEHAVIOURS.len(), written.len(), "one is listed twice");
}
