//! One state of the world, and where to find things in it.

use super::message::Msg;
use super::node::{COORDINATOR, External, Node, NodeState, Running, SINK, STORE};
use super::store::Durable;
use serde::Serialize;
use snapline::coordinator::Coordinator;
use stateright::actor::{ActorModelState, Id, Network};
use std::collections::{BTreeMap, VecDeque};

/// The actors and what is on its way between them.
pub type InnerState = ActorModelState<Node, ()>;

/// What is on its way, by sender and receiver.
pub type Flows = BTreeMap<(Id, Id), VecDeque<Msg>>;

/// What may still go wrong or be asked for. Everything is finite, so no run is endless.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Budgets {
    /// Periodic checkpoints.
    pub checkpoints: u8,
    /// Deaths of the process.
    pub crashes: u8,
    /// Failures of a task.
    pub task_failures: u8,
    /// Failures of the store.
    pub store_faults: u8,
    /// Expiries of a checkpoint.
    pub expiries: u8,
}

/// One state of the world.
#[derive(Clone, Debug, PartialEq, Hash)]
pub struct World {
    /// The actors and what is on its way between them.
    pub inner: InnerState,
    /// What may still happen.
    pub budgets: Budgets,
    /// Whether an attempt was to be restored from a file that does not exist.
    pub lost_state: bool,
}

/// What is on its way, by sender and receiver.
pub fn flows(state: &InnerState) -> &Flows {
    match &state.network {
        Network::Ordered(flows) => flows,
        _ => unreachable!("the network is ordered"),
    }
}

/// The same, to be changed.
pub(super) fn flows_mut(state: &mut InnerState) -> &mut Flows {
    match &mut state.network {
        Network::Ordered(flows) => flows,
        _ => unreachable!("the network is ordered"),
    }
}

/// The coordinator's machine.
pub fn coordinator(state: &InnerState) -> &Coordinator {
    match &**state.actor_states[COORDINATOR] {
        NodeState::Coordinator(machine, _) => machine,
        _ => unreachable!("that actor is the coordinator"),
    }
}

/// What the store holds.
pub fn durable(state: &InnerState) -> &Durable {
    match &**state.actor_states[STORE] {
        NodeState::Store(durable) => durable,
        _ => unreachable!("that actor is the store"),
    }
}

/// A task, while it runs.
pub fn running(state: &InnerState, task: Id) -> Option<&Running> {
    match state.actor_states.get(usize::from(task)).map(|state| &***state) {
        Some(NodeState::Task(Some(running), _)) => Some(running),
        _ => None,
    }
}

/// What the sink has written outside.
pub fn external(state: &InnerState) -> &External {
    match &**state.actor_states[SINK] {
        NodeState::Task(_, external) => external,
        _ => unreachable!("that actor is the sink"),
    }
}
