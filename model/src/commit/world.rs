//! What there is.

use super::scope::Budgets;
use serde::Serialize;
use snapline::base::{Attempt, CheckpointId};
use snapline::commit::{Committer, TransactionId};
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many partitions there are; subtask *i* reads those whose number is *i* modulo the parallelism.
pub(super) const PARTITIONS: u16 = 2;

/// A record by its partition and its place there, from 1.
pub(super) type Record = (u16, u8);

/// How far each partition was read.
pub(super) type Positions = BTreeMap<u16, u8>;

/// What a participant has ordered and its driver has not done yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(super) enum Order {
    RollBack(TransactionId),
    Commit(TransactionId),
}

/// What one subtask, or all of them, put into a checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Content {
    pub(super) positions: Positions,
    pub(super) transactions: BTreeSet<TransactionId>,
}

/// One subtask of the sink.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Sink {
    pub(super) machine: Committer,
    pub(super) started: bool,
    pub(super) positions: Positions,
    /// The records of transactions that are not durable.
    pub(super) written: BTreeMap<TransactionId, Vec<Record>>,
    /// The newest checkpoint whose barrier has arrived.
    pub(super) newest_barrier: Option<CheckpointId>,
    /// Snapshots that are not acknowledged, with what has to become durable before.
    pub(super) snapshots: BTreeMap<CheckpointId, (Content, Vec<TransactionId>)>,
    pub(super) orders: VecDeque<Order>,
    /// Notices that are under way to it.
    pub(super) notices: BTreeSet<CheckpointId>,
    /// The newest notice that it has heard, or the checkpoint that it was restored from.
    pub(super) heard: Option<CheckpointId>,
}

/// What is outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Outside {
    /// Begun and not durable.
    pub(super) unfinished: BTreeSet<TransactionId>,
    /// Durable and not visible.
    pub(super) durable: BTreeMap<TransactionId, Vec<Record>>,
    /// What readers see of each partition, in their order.
    pub(super) visible: BTreeMap<u16, Vec<u8>>,
}

/// A complete checkpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Complete {
    pub(super) id: Option<CheckpointId>,
    pub(super) content: Content,
}

/// One state of the system.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct World {
    pub(super) attempt: Attempt,
    /// The number of subtasks in this attempt and in the next ones, the last one for ever.
    pub(super) parallelisms: &'static [u16],
    pub(super) records: u8,
    pub(super) sinks: Vec<Sink>,
    pub(super) next_checkpoint: CheckpointId,
    /// The checkpoint under way and the parts that were acknowledged.
    pub(super) pending: Option<(CheckpointId, BTreeMap<u16, Content>)>,
    pub(super) complete: Complete,
    /// The complete checkpoint before that, where a planted bug needs it.
    pub(super) previous: Option<Complete>,
    pub(super) outside: Outside,
    pub(super) left: Budgets,
    /// A commit was uncertain or the number of subtasks has changed.
    pub(super) may_reorder: bool,
}

/// What happens next. Subtasks are named by their index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A subtask looks around outside and starts.
    Start(u16),
    /// The next record of a partition is written.
    Write(u16),
    /// A checkpoint begins.
    Trigger,
    /// Its barrier arrives at a subtask.
    Barrier(u16),
    /// The asynchronous part of a subtask's snapshot ends.
    Durable(u16, CheckpointId),
    /// Everyone has acknowledged, and the checkpoint is complete.
    Complete,
    /// The checkpoint is aborted.
    Abort,
    /// A subtask hears of a completion.
    Notice(u16, CheckpointId),
    /// That notice is lost.
    NoticeLost(u16, CheckpointId),
    /// A subtask does what was ordered first.
    CarryOut(u16),
    /// The commit that was ordered first has an unknown outcome; whether it was applied.
    Uncertain(u16, bool),
    /// A pause is over.
    Tick(u16),
    /// The attempt fails and the next one begins.
    Crash,
}

impl Sink {
    /// Whether nothing more happens here without a checkpoint or a record.
    pub(super) fn is_quiet(&self) -> bool {
        self.started && self.orders.is_empty() && self.notices.is_empty() && self.machine.deadline().is_none()
    }
}

impl World {
    pub(super) fn parallelism(&self) -> u16 {
        self.sinks.len() as u16
    }

    /// The subtask that reads a partition.
    pub(super) fn reader(&self, partition: u16) -> u16 {
        partition % self.parallelism()
    }

    /// Whether nothing is under way, and every subtask knows the newest complete checkpoint.
    pub(super) fn is_quiet(&self) -> bool {
        self.sinks.iter().all(|sink| sink.is_quiet() && sink.heard == self.complete.id)
    }

    /// Whether every record is in a complete checkpoint and all is quiet.
    pub(super) fn is_at_the_end(&self) -> bool {
        let is_read = |partition| self.covered(partition) == self.records;
        self.is_quiet() && (0..PARTITIONS).all(is_read)
    }

    /// How many records of a partition the newest complete checkpoint covers.
    pub(super) fn covered(&self, partition: u16) -> u8 {
        self.complete.content.positions.get(&partition).copied().unwrap_or(0)
    }

    pub(super) fn visible(&self, partition: u16) -> &[u8] {
        self.outside.visible.get(&partition).map_or(&[], Vec::as_slice)
    }

    /// Whether a record is visible, or will be by committing what the newest complete checkpoint holds.
    pub(super) fn is_safe(&self, record: Record) -> bool {
        let is_held = |id: &TransactionId| self.complete.content.transactions.contains(id);
        let mut held = self.outside.durable.iter().filter(|(id, _)| is_held(id));
        self.visible(record.0).contains(&record.1) || held.any(|(_, records)| records.contains(&record))
    }
}
