//! The checked system: everything that can happen next, and what follows from it.

use super::faults::Fault;
use super::properties::properties;
use super::scope::{Run, Scope};
use super::world::{Complete, Content, Order, Outside, PARTITIONS, Positions, Sink, Step, World};
use snapline::base::{Attempt, CheckpointId, Millis, SubtaskId};
use snapline::commit::{Committer, Config, Input, Output, TransactionId};
use stateright::{Model, Property};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

const OPERATOR: u16 = 0;
const NOW: Millis = Millis(0);
const RETRY_PAUSE: Millis = Millis(1);

/// The subtasks of a sink and what is outside, within a scope.
#[derive(Clone, Debug)]
pub struct Sinks {
    /// Its bounds.
    pub scope: Scope,
    /// The planted bug.
    pub fault: Option<Fault>,
}

impl Sinks {
    /// The system within `scope`.
    pub fn new(scope: Scope, fault: Option<Fault>) -> Self {
        Sinks { scope, fault }
    }

    fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    fn world(&self, run: Run) -> World {
        let mut world = World {
            attempt: Attempt(0),
            parallelisms: run.parallelisms,
            records: run.records,
            sinks: Vec::new(),
            next_checkpoint: CheckpointId::FIRST,
            pending: None,
            complete: Complete::default(),
            previous: None,
            outside: Outside::default(),
            left: run.budgets,
            may_reorder: false,
        };
        self.begin_attempt(&mut world);
        world
    }

    /// Restores every subtask from the newest complete checkpoint; none has started yet.
    fn begin_attempt(&self, world: &mut World) {
        world.attempt = world.attempt.next();
        let (parallelism, later) = world.parallelisms.split_first().expect("there is a number for ever");
        if !later.is_empty() {
            world.parallelisms = later;
        }
        let before = std::mem::take(&mut world.sinks);
        world.may_reorder |= !before.is_empty() && before.len() != usize::from(*parallelism);
        world.pending = None;
        let older = world.previous.as_ref().filter(|_| self.plants(Fault::OlderCheckpointRestored));
        let mut content = older.unwrap_or(&world.complete).content.clone();
        if self.plants(Fault::PositionOfTheMoment) {
            content.positions.extend(before.into_iter().flat_map(|sink| sink.positions));
        }
        world.sinks = (0..*parallelism)
            .map(|index| {
                let restored = self.restored(index, &content.transactions);
                let machine = Committer::new(self.config(world.attempt, index, *parallelism), restored);
                let position =
                    |partition| (partition, content.positions.get(&partition).copied().unwrap_or(0));
                let reads = |partition: &u16| partition % parallelism == index;
                Sink {
                    machine,
                    started: false,
                    positions: (0..PARTITIONS).filter(reads).map(position).collect(),
                    written: BTreeMap::new(),
                    newest_barrier: None,
                    snapshots: BTreeMap::new(),
                    orders: VecDeque::new(),
                    notices: BTreeSet::new(),
                    heard: world.complete.id,
                }
            })
            .collect();
    }

    fn config(&self, attempt: Attempt, index: u16, parallelism: u16) -> Config {
        Config {
            subtask: SubtaskId::new(OPERATOR, index),
            parallelism,
            attempt: if self.plants(Fault::NamesRepeated) { Attempt(1) } else { attempt },
            retry_pause: RETRY_PAUSE,
        }
    }

    fn restored(&self, index: u16, all: &BTreeSet<TransactionId>) -> BTreeSet<TransactionId> {
        if self.plants(Fault::OneTransactionRestored) {
            return all.last().copied().into_iter().collect();
        }
        let others_too = !self.plants(Fault::OthersNotRestored);
        all.iter().copied().filter(|transaction| others_too || transaction.subtask.index == index).collect()
    }

    /// Feeds a machine. Its orders wait in line; what must be made durable is returned.
    fn drive(&self, world: &mut World, index: u16, now: Millis, input: Input) -> Vec<TransactionId> {
        let (outside, sink) = (&mut world.outside, &mut world.sinks[usize::from(index)]);
        let mut outputs = Vec::new();
        let misuse = sink.machine.on(now, input, &mut outputs);
        assert!(misuse.is_ok() || self.fault.is_some(), "{misuse:?}");
        let mut to_make_durable = Vec::new();
        for output in outputs {
            match output {
                Output::Begin(transaction) => {
                    outside.unfinished.insert(transaction);
                    sink.written.insert(transaction, Vec::new());
                }
                Output::PreCommit(_) => {}
                Output::MakeDurable { transactions, .. } => to_make_durable = transactions,
                Output::Fail => unreachable!("what cannot be made durable is tried again"),
                Output::Commit(transaction) => sink.orders.push_back(Order::Commit(transaction)),
                Output::RollBack(transaction) => sink.orders.push_back(Order::RollBack(transaction)),
            }
        }
        to_make_durable
    }

    fn start(&self, world: &mut World, index: u16) {
        let Outside { unfinished, durable, .. } = &world.outside;
        let mut found: BTreeSet<TransactionId> = unfinished.iter().chain(durable.keys()).copied().collect();
        if self.plants(Fault::NothingRolledBack) {
            found.clear();
        }
        world.sinks[usize::from(index)].started = true;
        self.drive(world, index, NOW, Input::Started { found });
    }

    fn write(&self, world: &mut World, partition: u16) {
        let index = world.reader(partition);
        if world.sinks[usize::from(index)].machine.open().is_none() {
            self.drive(world, index, NOW, Input::TransactionNeeded);
        }
        let sink = &mut world.sinks[usize::from(index)];
        let open = sink.machine.open().expect("it was begun");
        let position = sink.positions.entry(partition).or_default();
        *position += 1;
        sink.written.entry(open).or_default().push((partition, *position));
    }

    fn barrier(&self, world: &mut World, index: u16) {
        let Some((checkpoint, _)) = world.pending else { return };
        let is_at_the_end = is_at_the_end(world, index);
        let to_make_durable = match self.fault {
            Some(Fault::EndedWithoutCheckpoint) if is_at_the_end => Vec::new(),
            Some(Fault::FixedIdAtTheEnd) if is_at_the_end => {
                self.drive(world, index, NOW, Input::SnapshotBegan { checkpoint: CheckpointId(u64::MAX) })
            }
            _ => self.drive(world, index, NOW, Input::SnapshotBegan { checkpoint }),
        };
        let sink = &mut world.sinks[usize::from(index)];
        sink.newest_barrier = Some(checkpoint);
        let mut content =
            Content { positions: sink.positions.clone(), transactions: sink.machine.snapshot() };
        if self.plants(Fault::EmptyCheckpointWithoutPosition) && content.transactions.is_empty() {
            content.positions.clear();
        }
        if to_make_durable.is_empty() {
            acknowledge(world, index, checkpoint, content);
        } else {
            sink.snapshots.insert(checkpoint, (content, to_make_durable));
        }
    }

    fn become_durable(&self, world: &mut World, index: u16, checkpoint: CheckpointId) {
        let (outside, sink) = (&mut world.outside, &mut world.sinks[usize::from(index)]);
        let Some((content, transactions)) = sink.snapshots.remove(&checkpoint) else { return };
        for transaction in transactions {
            if let Some(records) = sink.written.remove(&transaction) {
                outside.unfinished.remove(&transaction);
                outside.durable.insert(transaction, records);
            }
        }
        self.drive(world, index, NOW, Input::BecameDurable { checkpoint });
        acknowledge(world, index, checkpoint, content);
        if self.plants(Fault::CompletionAssumed) {
            self.drive(world, index, NOW, Input::CheckpointCompleted { checkpoint });
        }
    }

    fn complete(&self, world: &mut World) {
        let Some((checkpoint, parts)) = world.pending.take() else { return };
        let mut content = Content::default();
        for part in parts.into_values() {
            content.positions.extend(part.positions);
            content.transactions.extend(part.transactions);
        }
        let older = std::mem::replace(&mut world.complete, Complete { id: Some(checkpoint), content });
        if self.plants(Fault::OlderCheckpointRestored) {
            world.previous = Some(older);
        }
        for sink in &mut world.sinks {
            sink.notices.insert(checkpoint);
        }
    }

    fn abort(&self, world: &mut World) {
        world.left.aborts -= 1;
        let Some((checkpoint, _)) = world.pending.take() else { return };
        if self.plants(Fault::AbortRollsBack) {
            for sink in world.sinks.iter_mut().filter(|sink| sink.newest_barrier == Some(checkpoint)) {
                for transaction in sink.machine.snapshot().difference(&world.complete.content.transactions) {
                    world.outside.roll_back(transaction);
                    sink.written.remove(transaction);
                }
            }
        }
    }

    fn notify(&self, world: &mut World, index: u16, checkpoint: CheckpointId) {
        let sink = &mut world.sinks[usize::from(index)];
        sink.notices.remove(&checkpoint);
        sink.heard = sink.heard.max(Some(checkpoint));
        self.drive(world, index, NOW, Input::CheckpointCompleted { checkpoint });
        if self.plants(Fault::TransactionAfterTheEnd) && is_at_the_end(world, index) {
            self.drive(world, index, NOW, Input::TransactionNeeded);
        }
    }

    /// Does what was ordered first, or, for a commit, maybe does it and does not know.
    fn carry_out(&self, world: &mut World, index: u16, uncertain: Option<bool>) {
        let Some(order) = world.sinks[usize::from(index)].orders.pop_front() else { return };
        let transaction = match order {
            Order::RollBack(transaction) => return world.outside.roll_back(&transaction),
            Order::Commit(transaction) => transaction,
        };
        if uncertain != Some(false) {
            let again = uncertain.is_some() && self.plants(Fault::CommittedTwice);
            world.outside.commit(transaction, again);
        }
        if uncertain.is_some() {
            world.left.uncertain -= 1;
            world.may_reorder = true;
        }
        let report = match (uncertain, self.fault) {
            (None, _) | (Some(_), Some(Fault::UncertainTakenForDone)) => Input::Committed(transaction),
            (Some(_), Some(Fault::UncertainRolledBack)) => {
                world.outside.roll_back(&transaction);
                Input::Committed(transaction)
            }
            (Some(_), _) => Input::CommitUncertain(transaction),
        };
        self.drive(world, index, NOW, report);
    }
}

impl Outside {
    fn roll_back(&mut self, transaction: &TransactionId) {
        self.unfinished.remove(transaction);
        self.durable.remove(transaction);
    }

    /// Makes a transaction visible; one that is gone was committed before. A planted bug lets it be committed again.
    fn commit(&mut self, transaction: TransactionId, again: bool) {
        let records = match again {
            true => self.durable.get(&transaction).cloned(),
            false => self.durable.remove(&transaction),
        };
        for (partition, number) in records.into_iter().flatten() {
            self.visible.entry(partition).or_default().push(number);
        }
    }
}

fn acknowledge(world: &mut World, index: u16, checkpoint: CheckpointId, content: Content) {
    if let Some((pending, parts)) = &mut world.pending
        && *pending == checkpoint
    {
        parts.insert(index, content);
    }
}

/// Whether a subtask has written everything that it reads.
fn is_at_the_end(world: &World, index: u16) -> bool {
    let positions: &Positions = &world.sinks[usize::from(index)].positions;
    positions.values().all(|position| *position == world.records)
}

impl Model for Sinks {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        self.scope.runs.iter().map(|run| self.world(*run)).collect()
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        let all_started = world.sinks.iter().all(|sink| sink.started);
        if all_started && world.pending.is_none() && world.left.checkpoints > 0 {
            steps.push(Step::Trigger);
        }
        if let Some((checkpoint, parts)) = &world.pending {
            let before = |(_, sink): &(u16, &Sink)| sink.newest_barrier < Some(*checkpoint);
            steps.extend((0..).zip(&world.sinks).filter(before).map(|(index, _)| Step::Barrier(index)));
            if parts.len() == world.sinks.len() {
                steps.push(Step::Complete);
            }
            if world.left.aborts > 0 {
                steps.push(Step::Abort);
            }
        }
        for (index, sink) in (0..).zip(&world.sinks) {
            if !sink.started {
                steps.push(Step::Start(index));
                continue;
            }
            let unread = sink.positions.iter().filter(|(_, position)| **position < world.records);
            steps.extend(unread.map(|(partition, _)| Step::Write(*partition)));
            steps.extend(sink.snapshots.keys().map(|id| Step::Durable(index, *id)));
            steps.extend(sink.notices.iter().map(|id| Step::Notice(index, *id)));
            if world.left.losses > 0 {
                steps.extend(sink.notices.iter().map(|id| Step::NoticeLost(index, *id)));
            }
            if let Some(order) = sink.orders.front() {
                steps.push(Step::CarryOut(index));
                if matches!(order, Order::Commit(_)) && world.left.uncertain > 0 {
                    steps.extend([true, false].map(|applied| Step::Uncertain(index, applied)));
                }
            }
            if sink.machine.deadline().is_some() {
                steps.push(Step::Tick(index));
            }
        }
        if world.left.crashes > 0 {
            steps.push(Step::Crash);
        }
    }

    fn next_state(&self, world: &World, step: Step) -> Option<World> {
        let mut world = world.clone();
        match step {
            Step::Start(index) => self.start(&mut world, index),
            Step::Write(partition) => self.write(&mut world, partition),
            Step::Trigger => {
                world.left.checkpoints -= 1;
                world.pending = Some((world.next_checkpoint, BTreeMap::new()));
                world.next_checkpoint = world.next_checkpoint.next();
            }
            Step::Barrier(index) => self.barrier(&mut world, index),
            Step::Durable(index, checkpoint) => self.become_durable(&mut world, index, checkpoint),
            Step::Complete => self.complete(&mut world),
            Step::Abort => self.abort(&mut world),
            Step::Notice(index, checkpoint) => self.notify(&mut world, index, checkpoint),
            Step::NoticeLost(index, checkpoint) => {
                world.left.losses -= 1;
                world.sinks[usize::from(index)].notices.remove(&checkpoint);
            }
            Step::CarryOut(index) => self.carry_out(&mut world, index, None),
            Step::Uncertain(index, applied) => self.carry_out(&mut world, index, Some(applied)),
            Step::Tick(index) => drop(self.drive(&mut world, index, NOW + RETRY_PAUSE, Input::Tick)),
            Step::Crash => {
                world.left.crashes -= 1;
                self.begin_attempt(&mut world);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }

    fn format_action(&self, step: &Step) -> String {
        match step {
            Step::Start(sink) => format!("sink {sink} starts"),
            Step::Write(partition) => format!("the next record of partition {partition} is written"),
            Step::Trigger => "a checkpoint begins".to_owned(),
            Step::Barrier(sink) => format!("the barrier arrives at sink {sink}"),
            Step::Durable(sink, id) => {
                format!("sink {sink} has made the transactions of checkpoint {id} durable")
            }
            Step::Complete => "the checkpoint is complete".to_owned(),
            Step::Abort => "the checkpoint is aborted".to_owned(),
            Step::Notice(sink, id) => format!("sink {sink} hears that checkpoint {id} is complete"),
            Step::NoticeLost(sink, id) => format!("sink {sink} never hears that checkpoint {id} is complete"),
            Step::CarryOut(sink) => format!("sink {sink} does what was ordered first"),
            Step::Uncertain(sink, true) => format!("sink {sink} commits and does not know it"),
            Step::Uncertain(sink, false) => format!("sink {sink} does not commit and does not know it"),
            Step::Tick(sink) => format!("the pause of sink {sink} is over"),
            Step::Crash => "the attempt fails, and another one begins".to_owned(),
        }
    }
}
