//! The actor system in its world: what stateright's network cannot say.
//!
//! stateright delivers the head of every channel at any time, to anyone. This wrapper narrows that to what can
//! happen (a gate does not read a blocked channel, a full channel makes its sender wait) and adds what else can
//! (the store fails, a task fails, the whole process dies and one message outlives it).

use super::dataflow::channel_of;
use super::faults::Fault;
use super::message::{Element, Msg, StoreFault};
use super::node::{COORDINATOR, GONE, Hashed, Node, NodeState, SINK, SOURCES, STORE, TASKS, Timer};
use super::scope::{Scope, Stale};
use super::world::{Budgets, Flows, InnerState, World, coordinator, durable, flows, flows_mut, running};
use snapline::base::{Attempt, CheckpointKind};
use snapline::coordinator::Coordinator;
use snapline::publish::Operation;
use stateright::actor::{Actor, ActorModel, ActorModelAction, Command, Envelope, Id, Network, Out};
use stateright::{Model, Path, Property};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::Arc;

type Inner = ActorModel<Node, (), ()>;
type InnerAction = ActorModelAction<Msg, Timer, ()>;

/// One step of the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A message arrives or a timer fires.
    Actor(InnerAction),
    /// The store gets the next message of an actor and misbehaves.
    StoreFails(Id, StoreFault),
    /// The sink's, operator's or a source's code panics. One message may outlive the attempt.
    TaskFails(Option<Envelope<Msg>>),
    /// Everything but the store and the committed output is gone. One message may outlive it.
    ProcessDies(Option<Envelope<Msg>>),
}

/// The checked system.
#[derive(Clone)]
pub struct System {
    /// Its bounds.
    pub scope: Scope,
    /// The planted bug.
    pub fault: Option<Fault>,
    actors: Inner,
}

impl System {
    /// Two sources, one or two counters, a sink, a coordinator and a store, within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        let node = Node { scope, fault };
        let actors = ActorModel::new((), ())
            .actors((0..=STORE).map(|_| node.clone()))
            .init_network(Network::new_ordered([]));
        System { scope, fault, actors }
    }

    pub(super) fn node(&self) -> &Node {
        &self.actors.actors[0]
    }

    /// Delivers the head of a flow within the current step.
    fn deliver(&self, state: &mut InnerState, src: Id, dst: Id) {
        let Some(msg) = take(flows_mut(state), src, dst, 0) else { return };
        let mut out = Out::new();
        let actor = &mut state.actor_states[usize::from(dst)];
        let mut next = Cow::Borrowed(&**actor);
        self.node().on_msg(dst, &mut next, src, msg, &mut out);
        *actor = Arc::new(next.into_owned());
        post(state, dst, out);
    }

    /// Whether the actor takes messages from this flow now.
    fn accepts(&self, state: &InnerState, src: Id, dst: Id, head: &Msg) -> bool {
        let Some(task) = running(state, dst) else { return usize::from(dst) >= TASKS };
        if !head.is_data() || self.fault == Some(Fault::BlockedChannelsRead) {
            return true;
        }
        !task.subtask.is_blocked(channel_of(usize::from(dst), src)) && self.has_room(state, dst)
    }

    /// Whether every output channel of the task has room for what it may emit.
    fn has_room(&self, state: &InnerState, task: Id) -> bool {
        let output = |downstream| flows(state).get(&(task, Id::from(downstream)));
        let mut outputs = self.scope.downstream(usize::from(task)).filter_map(output);
        outputs.all(|flow| flow.len() < self.scope.capacity)
    }

    /// The messages that can arrive now, in a fixed order.
    pub(super) fn deliverable<'a>(
        &'a self,
        state: &'a InnerState,
    ) -> impl Iterator<Item = (Id, Id, &'a Msg)> {
        flows(state)
            .iter()
            .filter_map(|((src, dst), flow)| Some((*src, *dst, flow.front()?)))
            .filter(|(src, dst, head)| self.accepts(state, *src, *dst, head))
    }

    /// The timers that can fire now, in a fixed order.
    fn timeouts<'a>(&'a self, world: &'a World) -> impl Iterator<Item = (Id, Timer)> {
        let state = &world.inner;
        let sources = (0..SOURCES).map(Id::from).filter(|source| {
            running(state, *source).is_some_and(|task| {
                let emits = !task.subtask.has_reached_end_of_data() && !task.subtask.is_holding();
                emits && self.has_room(state, *source)
            })
        });
        let ticks = Tick::of(coordinator(state)).is_some_and(|tick| tick.allowed(&world.budgets));
        let tick = ticks.then_some((Id::from(COORDINATOR), Timer::Tick));
        sources.map(|source| (source, Timer::Emit)).chain(tick)
    }

    /// Whether nothing can happen any more, failures apart.
    pub fn is_quiescent(&self, world: &World) -> bool {
        self.deliverable(&world.inner).next().is_none() && self.timeouts(world).next().is_none()
    }

    fn store_failures(&self, state: &InnerState, steps: &mut Vec<Step>) {
        use StoreFault::{Refuses, UncertainApplied, UncertainNotApplied};
        for ((src, dst), flow) in flows(state) {
            if usize::from(*dst) != STORE {
                continue;
            }
            let faults: &[StoreFault] = match flow.front() {
                Some(Msg::Perform(_, Operation::PutPointer(..))) => {
                    &[Refuses, UncertainNotApplied, UncertainApplied]
                }
                Some(Msg::Perform(_, Operation::PutMetadata(_)) | Msg::WriteState(..)) => &[Refuses],
                Some(Msg::Perform(..)) if self.scope.reads_fail => &[Refuses],
                _ => &[],
            };
            steps.extend(faults.iter().map(|fault| Step::StoreFails(*src, *fault)));
        }
    }

    /// The messages one of which may outlive what happens, and nothing.
    fn survivors(&self, state: &InnerState) -> Vec<Option<Envelope<Msg>>> {
        let mut survivors = vec![None];
        if self.scope.stale != Stale::Never {
            for ((src, dst), flow) in flows(state) {
                if usize::from(*dst) < TASKS && self.scope.stale != Stale::ToAnyone {
                    continue;
                }
                let stale = flow.iter().filter(|msg| msg.can_be_stale());
                survivors.extend(stale.map(|msg| Some(Envelope { src: *src, dst: *dst, msg: msg.clone() })));
            }
        }
        survivors
    }

    fn store_fails(&self, state: &mut InnerState, src: Id, fault: StoreFault) {
        let flow = flows_mut(state).get_mut(&(src, Id::from(STORE)));
        if let Some(head) = flow.and_then(VecDeque::front_mut) {
            *head = Msg::Faulty(fault, Box::new(head.clone()));
        }
        self.deliver(state, src, Id::from(STORE));
    }

    fn task_fails(&self, state: &mut InnerState, budgets: &Budgets, survivor: Option<Envelope<Msg>>) {
        let attempt = coordinator(state).attempt();
        let (sink, to) = (Id::from(SINK), Id::from(COORDINATOR));
        flows_mut(state).insert((sink, to), VecDeque::from([Msg::Failed(attempt)]));
        self.deliver(state, sink, to);
        self.settle(state, budgets, &mut false);
        outlive(state, survivor);
    }

    fn process_dies(&self, state: &mut InnerState, incarnation: u64, survivor: Option<Envelope<Msg>>) {
        state.network = Network::new_ordered([]);
        stop_tasks(state);
        let mut out = Out::new();
        let restarted = self.node().start_coordinator(incarnation, &mut out);
        state.actor_states[COORDINATOR] = Arc::new(Hashed::new(restarted));
        post(state, Id::from(COORDINATOR), out);
        outlive(state, survivor);
    }

    /// Carries out what happens within the step that caused it: deployment, cancellation of tasks, and what
    /// the reduction makes prompt.
    fn settle(&self, state: &mut InnerState, budgets: &Budgets, lost: &mut bool) {
        while self.settle_one(state, budgets, lost) {}
    }

    fn settle_one(&self, state: &mut InnerState, budgets: &Budgets, lost: &mut bool) -> bool {
        let me = Id::from(COORDINATOR);
        let to_self = flows(state).get(&(me, me)).and_then(VecDeque::front);
        match to_self {
            Some(Msg::Cancel(attempt)) => {
                let attempt = *attempt;
                cancel(state, attempt);
                return true;
            }
            Some(Msg::Stopped(_)) => {
                self.deliver(state, me, me);
                return true;
            }
            _ => {}
        }
        let to_self = to_self.is_some();
        for task in (0..TASKS).map(Id::from) {
            let Some(queue) = flows(state).get(&(me, task)) else { continue };
            let Some(at) = queue.iter().position(|msg| matches!(msg, Msg::Deploy(..))) else { continue };
            self.deploy_task(state, task, at, lost);
            return true;
        }
        if to_self {
            self.deliver(state, me, me);
            return true;
        }
        let prompt =
            flows(state).iter().find(|((_, dst), queue)| self.is_prompt(state, budgets, *dst, queue));
        let Some((src, dst)) = prompt.map(|(flow, _)| *flow) else { return false };
        self.deliver(state, src, dst);
        true
    }

    /// Whether the head of a flow arrives within the step that sent it. What may still come late does not.
    /// Nor does the answer to a claim, for with it the tasks start.
    fn is_prompt(&self, state: &InnerState, budgets: &Budgets, dst: Id, queue: &VecDeque<Msg>) -> bool {
        self.scope.reductions.prompt
            && match queue.front() {
                Some(Msg::Written(..)) => true,
                Some(Msg::Answered(..)) => coordinator(state).is_running(),
                Some(
                    Msg::Finished(_)
                    | Msg::DiscardState(_)
                    | Msg::DeleteCheckpoint(_)
                    | Msg::DeletePointer(_),
                ) => self.none_outlives(budgets, dst),
                Some(Msg::Complete(..)) => usize::from(dst) != SINK && self.none_outlives(budgets, dst),
                _ => false,
            }
    }

    /// Whether no message to an actor that is on its way now can still outlive its sender.
    pub(super) fn none_outlives(&self, budgets: &Budgets, dst: Id) -> bool {
        let nothing_restarts = budgets.crashes == 0 && budgets.task_failures == 0;
        nothing_restarts
            || match self.scope.stale {
                Stale::Never => true,
                Stale::ToCoordinatorAndStore => usize::from(dst) < TASKS,
                Stale::ToAnyone => false,
            }
    }

    /// Starts a task from what the store holds now, before any message that is still on its way to it.
    fn deploy_task(&self, state: &mut InnerState, task: Id, at: usize, lost: &mut bool) {
        let me = Id::from(COORDINATOR);
        let Some(Msg::Deploy(attempt, file, _)) = take(flows_mut(state), me, task, at) else { return };
        let mut content = file.and_then(|file| durable(state).states.get(&file).cloned());
        *lost |= file.is_some() && content.is_none();
        if self.fault == Some(Fault::OperatorNotRewound) && self.scope.counters().contains(&usize::from(task))
        {
            content = None;
        }
        flows_mut(state).entry((me, task)).or_default().push_front(Msg::Deploy(attempt, file, content));
        self.deliver(state, me, task);
    }

    /// Plants a barrier in front of the record before it.
    fn overtake(&self, state: &mut InnerState) {
        for flow in flows_mut(state).values_mut() {
            if let Some(Msg::Data(Element::Barrier(..))) = flow.back()
                && flow.len() > 1
                && matches!(flow[flow.len() - 2], Msg::Data(Element::Record(_)))
            {
                let at = flow.len() - 1;
                flow.swap(at, at - 1);
            }
        }
    }

    fn step(&self, world: &World, step: Step) -> Option<World> {
        let World { mut budgets, mut lost_state, .. } = *world;
        if let Step::Actor(action) = step {
            if let ActorModelAction::Timeout(id, _) = &action
                && usize::from(*id) == COORDINATOR
                && let Some(tick) = Tick::of(coordinator(&world.inner))
            {
                tick.spend(&mut budgets);
            }
            let mut inner = self.actors.next_state(&world.inner, action)?;
            self.settle(&mut inner, &budgets, &mut lost_state);
            return Some(World { inner, budgets, lost_state });
        }
        let mut inner = world.inner.clone();
        match step {
            Step::Actor(_) => {}
            Step::StoreFails(src, fault) => {
                budgets.store_faults -= 1;
                self.store_fails(&mut inner, src, fault);
            }
            Step::TaskFails(survivor) => {
                budgets.task_failures -= 1;
                self.task_fails(&mut inner, &budgets, survivor);
            }
            Step::ProcessDies(survivor) => {
                budgets.crashes -= 1;
                let incarnation = u64::from(self.scope.crashes - budgets.crashes);
                self.process_dies(&mut inner, incarnation, survivor);
            }
        }
        self.settle(&mut inner, &budgets, &mut lost_state);
        Some(World { inner, budgets, lost_state })
    }
}

impl Model for System {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        let start = |mut inner: InnerState| {
            // Nothing of these is used; without them a state is smaller.
            inner.random_choices = Vec::new();
            inner.actor_storages = Vec::new();
            World { inner, budgets: self.scope.budgets(), lost_state: false }
        };
        self.actors.init_states().into_iter().map(start).collect()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let state = &world.inner;
        if let Some((src, dst, msg)) = self.ample(world) {
            steps.push(Step::Actor(ActorModelAction::Deliver { src, dst, msg: msg.clone() }));
            return;
        }
        steps
            .extend(self.deliverable(state).map(|(src, dst, msg)| {
                Step::Actor(ActorModelAction::Deliver { src, dst, msg: msg.clone() })
            }));
        steps.extend(
            self.timeouts(world).map(|(id, timer)| Step::Actor(ActorModelAction::Timeout(id, timer))),
        );
        if world.budgets.store_faults > 0 {
            self.store_failures(state, steps);
        }
        if world.budgets.task_failures > 0 && coordinator(state).is_running() {
            steps.extend(self.survivors(state).into_iter().map(Step::TaskFails));
        }
        if world.budgets.crashes > 0 && !coordinator(state).has_ended() {
            steps.extend(self.survivors(state).into_iter().map(Step::ProcessDies));
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut next = self.step(world, step)?;
        if self.fault == Some(Fault::BarrierOvertakes) {
            self.overtake(&mut next.inner);
        }
        self.canonicalise(&mut next.inner);
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        super::properties::all(self.scope.stale)
    }

    fn format_action(&self, step: &Step) -> String {
        super::text::step(step)
    }

    fn format_step(&self, world: &World, step: Step) -> Option<String> {
        let next = self.next_state(world, step)?;
        Some(super::text::changes(world, &next))
    }

    fn as_svg(&self, path: Path<World, Step>) -> Option<String> {
        Some(super::picture::draw(self.scope, path.last_state()))
    }
}

/// Why the coordinator's clock would go on.
enum Tick {
    Periodic,
    Expiry,
    Other,
}

impl Tick {
    fn of(coordinator: &Coordinator) -> Option<Tick> {
        let deadline = coordinator.deadline()?;
        Some(match coordinator.next_trigger() {
            Some((due, CheckpointKind::Periodic)) if due == deadline => Tick::Periodic,
            _ if coordinator.next_expiry() == Some(deadline) => Tick::Expiry,
            _ => Tick::Other,
        })
    }

    fn allowed(&self, budgets: &Budgets) -> bool {
        match self {
            Tick::Periodic => budgets.checkpoints > 0,
            Tick::Expiry => budgets.expiries > 0,
            Tick::Other => true,
        }
    }

    fn spend(&self, budgets: &mut Budgets) {
        match self {
            Tick::Periodic => budgets.checkpoints -= 1,
            Tick::Expiry => budgets.expiries -= 1,
            Tick::Other => {}
        }
    }
}

/// A survivor arrives at any time from now on, on a way of its own.
fn outlive(state: &mut InnerState, survivor: Option<Envelope<Msg>>) {
    if let Some(Envelope { src, dst, msg }) = survivor {
        let late = Msg::Late(src, Box::new(msg));
        flows_mut(state).entry((Id::from(GONE), dst)).or_default().push_back(late);
    }
}

/// Every task stops; what was on its way to, from and between them is lost.
fn cancel(state: &mut InnerState, attempt: Attempt) {
    stop_tasks(state);
    let me = Id::from(COORDINATOR);
    let flows = flows_mut(state);
    flows.retain(|(src, dst), _| usize::from(*src) >= TASKS && usize::from(*dst) >= TASKS);
    flows.insert((me, me), VecDeque::from([Msg::Stopped(attempt)]));
}

fn stop_tasks(state: &mut InnerState) {
    for task in &mut state.actor_states[..TASKS] {
        if let NodeState::Task(Some(_), external) = &***task {
            *task = Arc::new(Hashed::new(NodeState::Task(None, external.clone())));
        }
    }
}

/// Takes a message out of a flow. A flow that becomes empty goes away, so that equal networks are equal.
fn take(flows: &mut Flows, src: Id, dst: Id, at: usize) -> Option<Msg> {
    let flow = flows.get_mut(&(src, dst))?;
    let msg = flow.remove(at);
    if flow.is_empty() {
        flows.remove(&(src, dst));
    }
    msg
}

/// Sends what an actor has put out.
fn post(state: &mut InnerState, src: Id, out: Out<Node>) {
    for command in out {
        if let Command::Send(dst, msg) = command {
            flows_mut(state).entry((src, dst)).or_default().push_back(msg);
        }
    }
}
