//! The actors: who there is, what each keeps, and which adapter gets its messages.

use super::faults::Fault;
use super::message::{Content, Counted, Msg};
use super::scope::Scope;
use super::store::Durable;
use foldhash::quality::FixedState;
use serde::{Serialize, Serializer};
use snapline::base::{CheckpointId, Millis, StateFile, SubtaskId};
use snapline::commit::{Committer, TransactionId};
use snapline::coordinator::Coordinator;
use snapline::subtask::Subtask;
use stateright::actor::{Actor, Id, Out};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;

/// The number of sources, and of keys.
pub const SOURCES: usize = 2;
/// The actor of the keyed operator's first subtask.
pub const OPERATOR: usize = SOURCES;
/// The largest number of subtasks of the operator. What a scope does not use never runs.
pub const MAX_COUNTERS: usize = 2;
/// The transactional sink's actor.
pub const SINK: usize = OPERATOR + MAX_COUNTERS;
/// The number of tasks; they are the first actors.
pub const TASKS: usize = SINK + 1;
/// The coordinator's actor.
pub const COORDINATOR: usize = TASKS;
/// The storage's actor.
pub const STORE: usize = COORDINATOR + 1;
/// Nobody: late messages come from here, past those of the living.
pub const GONE: usize = STORE + 1;

/// The name of an actor, for people.
pub fn name(id: Id) -> &'static str {
    ["source a", "source b", "count", "count 2", "sink", "coordinator", "store", "the past"][usize::from(id)]
}

/// The subtask that an actor runs.
pub fn subtask_of(task: usize) -> SubtaskId {
    match task {
        SINK => SubtaskId::new(2, 0),
        source if task < SOURCES => SubtaskId::new(0, source as u16),
        counter => SubtaskId::new(1, (counter - OPERATOR) as u16),
    }
}

/// The actor that runs a subtask.
pub(super) fn task_of(subtask: SubtaskId) -> Id {
    Id::from((0..TASKS).find(|task| subtask_of(*task) == subtask).unwrap_or(COORDINATOR))
}

/// What a task does with its records.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Work {
    /// Emits records.
    Source {
        /// How many records were emitted.
        position: u8,
    },
    /// Counts its keys.
    Count {
        /// The count of every key, of which it owns some.
        counts: Vec<u8>,
    },
    /// Writes into transactions.
    Sink {
        /// The transactions' protocol.
        committer: Committer,
        /// What the open transaction holds.
        open: Vec<Counted>,
        /// What transactions hold that were pre-committed and are not durable.
        closed: BTreeMap<TransactionId, Vec<Counted>>,
        /// What becomes durable with the upload of a snapshot.
        making_durable: BTreeMap<CheckpointId, Vec<TransactionId>>,
    },
}

/// A task that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Running {
    /// Its checkpointing.
    pub subtask: Subtask,
    /// Its records.
    pub work: Work,
    /// Snapshots whose upload is under way.
    pub snapshots: BTreeMap<StateFile, Content>,
}

/// What the sink has written outside: it survives every crash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct External {
    /// Pre-committed and durable, invisible.
    pub prepared: BTreeMap<TransactionId, Vec<Counted>>,
    /// Visible: the counts of every key in the order in which they were committed.
    pub committed: Vec<Vec<u8>>,
}

/// The state of an actor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum NodeState {
    /// A task: running or not, and what it has written outside.
    Task(Option<Box<Running>>, External),
    /// The coordinator and its clock.
    Coordinator(Box<Coordinator>, Millis),
    /// The storage.
    Store(Durable),
}

/// A value that carries its hash: a step changes one or two actors, and only those are hashed again.
#[derive(Clone, PartialEq, Eq)]
pub struct Hashed<T> {
    hash: u64,
    value: T,
}

impl<T: Hash> Hashed<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Hashed { hash: hash_of(&value), value }
    }

    /// Changes the value.
    pub fn change(&mut self, change: impl FnOnce(&mut T)) {
        change(&mut self.value);
        self.hash = hash_of(&self.value);
    }
}

/// The same in every run. This is where most of a check's time would go with the standard library's hash.
fn hash_of<T: Hash>(value: &T) -> u64 {
    FixedState::default().hash_one(value)
}

impl<T> Deref for Hashed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Hash for Hashed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<T: fmt::Debug> fmt::Debug for Hashed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T: Serialize> Serialize for Hashed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// An actor.
#[derive(Clone, Debug)]
pub struct Node {
    /// The bounds of the model.
    pub scope: Scope,
    /// The bug that is planted, if any.
    pub fault: Option<Fault>,
}

/// Timers of actors. None is ever set: whether one can fire follows from the actor's state, and the system
/// looks there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Timer {
    /// A source emits its next record.
    Emit,
    /// The coordinator's clock reaches its next deadline.
    Tick,
}

/// What an actor sends.
pub(super) type Sends = Out<Node>;

impl Actor for Node {
    type Msg = Msg;
    type Timer = Timer;
    type State = Hashed<NodeState>;
    type Storage = ();
    type Random = ();

    fn on_start(&self, id: Id, _storage: &Option<()>, o: &mut Sends) -> Hashed<NodeState> {
        Hashed::new(match usize::from(id) {
            COORDINATOR => self.start_coordinator(0, o),
            STORE => NodeState::Store(Durable::default()),
            _ => NodeState::Task(
                None,
                External { committed: vec![Vec::new(); SOURCES], ..External::default() },
            ),
        })
    }

    fn on_msg(&self, id: Id, state: &mut Cow<Hashed<NodeState>>, src: Id, msg: Msg, o: &mut Sends) {
        if let Msg::Late(src, msg) = msg {
            let mut unheard = Out::new();
            let answers = if usize::from(id) == STORE { &mut unheard } else { o };
            return self.on_msg(id, state, src, *msg, answers);
        }
        state.to_mut().change(|state| match state {
            NodeState::Task(running, external) => self.task_message(id, running, external, src, msg, o),
            NodeState::Coordinator(machine, now) => self.coordinator_message(machine, *now, src, msg, o),
            NodeState::Store(durable) => self.store_message(durable, src, msg, o),
        });
    }

    fn on_timeout(&self, id: Id, state: &mut Cow<Hashed<NodeState>>, _timer: &Timer, o: &mut Sends) {
        state.to_mut().change(|state| match state {
            NodeState::Task(Some(running), external) => self.emit(id, running, external, o),
            NodeState::Coordinator(machine, now) => self.tick(machine, now, o),
            NodeState::Task(None, _) | NodeState::Store(_) => {}
        });
    }

    fn name(&self) -> String {
        "node".into()
    }
}

impl Node {
    pub(super) fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }
}
