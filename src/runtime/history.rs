//! What became of checkpoints, for people.

use crate::base::{CheckpointId, CheckpointKind, CompletedCheckpoint, Millis};
use crate::coordinator::AbortReason;
use std::collections::{BTreeMap, VecDeque};

/// How many ended checkpoints are remembered (Flink: `web.checkpoints.history`).
const REMEMBERED: usize = 10;

/// What became of the newest checkpoints of a job in this process. Times count from its start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckpointHistory {
    /// Those that are under way.
    pub in_progress: BTreeMap<CheckpointId, CheckpointStatistics>,
    /// The newest that have ended, in the order of their ends.
    pub ended: VecDeque<CheckpointStatistics>,
    /// The newest completed one that is no savepoint.
    pub latest_completed: Option<CheckpointStatistics>,
    /// The newest completed savepoint.
    pub latest_savepoint: Option<CheckpointStatistics>,
    /// The newest that was aborted.
    pub latest_failed: Option<CheckpointStatistics>,
    /// What the newest attempt was restored from.
    pub latest_restored: Option<RestoredCheckpoint>,
    /// How many have completed.
    pub completed: u64,
    /// How many were aborted.
    pub failed: u64,
    /// How many attempts were restored from one.
    pub restored: u64,
}

/// A checkpoint, under way or ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointStatistics {
    /// Its number.
    pub id: CheckpointId,
    /// Why it was taken.
    pub kind: CheckpointKind,
    /// When it was triggered.
    pub triggered: Millis,
    /// How many subtasks take part.
    pub subtasks: usize,
    /// How many of them have acknowledged it.
    pub acknowledged: usize,
    /// When the last of these did.
    pub latest_acknowledgement: Option<Millis>,
    /// How it ended, if it has.
    pub end: Option<CheckpointEnd>,
}

/// How a checkpoint ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckpointEnd {
    /// It is complete and durable.
    Completed {
        /// Since when.
        at: Millis,
        /// The bytes of all its files, shared ones included.
        bytes: u64,
        /// The full name of its directory, as its storage says it.
        external_path: String,
    },
    /// It was aborted.
    Failed {
        /// When.
        at: Millis,
        /// Why.
        reason: AbortReason,
    },
}

/// What an attempt was restored from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RestoredCheckpoint {
    /// Its number.
    pub id: CheckpointId,
    /// Why it was taken.
    pub kind: CheckpointKind,
    /// When the attempt began.
    pub at: Millis,
}

impl CheckpointHistory {
    /// A subtask was told to begin a checkpoint.
    pub(super) fn triggered(
        &mut self,
        id: CheckpointId,
        kind: CheckpointKind,
        triggered: Millis,
        subtasks: usize,
    ) {
        let (acknowledged, latest_acknowledgement, end) = (0, None, None);
        self.in_progress.entry(id).or_insert(CheckpointStatistics {
            id,
            kind,
            triggered,
            subtasks,
            acknowledged,
            latest_acknowledgement,
            end,
        });
    }

    pub(super) fn acknowledged(&mut self, id: CheckpointId, at: Millis) {
        if let Some(checkpoint) = self.in_progress.get_mut(&id) {
            checkpoint.acknowledged += 1;
            checkpoint.latest_acknowledgement = Some(at);
        }
    }

    pub(super) fn completed(&mut self, checkpoint: &CompletedCheckpoint, at: Millis, external_path: String) {
        let Some(mut ended) = self.in_progress.remove(&checkpoint.id) else { return };
        // Who has finished in the meantime takes part no more.
        ended.subtasks = checkpoint.states.len();
        ended.acknowledged = checkpoint.states.len();
        ended.end = Some(CheckpointEnd::Completed { at, bytes: checkpoint.state_bytes(), external_path });
        self.completed += 1;
        let latest = match ended.kind.is_savepoint() {
            true => &mut self.latest_savepoint,
            false => &mut self.latest_completed,
        };
        *latest = Some(ended.clone());
        self.remember(ended);
    }

    pub(super) fn failed(&mut self, id: CheckpointId, at: Millis, reason: AbortReason) {
        let Some(mut ended) = self.in_progress.remove(&id) else { return };
        ended.end = Some(CheckpointEnd::Failed { at, reason });
        self.failed += 1;
        self.latest_failed = Some(ended.clone());
        self.remember(ended);
    }

    pub(super) fn restored(&mut self, restored: RestoredCheckpoint) {
        self.restored += 1;
        self.latest_restored = Some(restored);
    }

    fn remember(&mut self, ended: CheckpointStatistics) {
        if self.ended.len() == REMEMBERED {
            self.ended.pop_front();
        }
        self.ended.push_back(ended);
    }
}
