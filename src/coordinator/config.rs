use super::{Edge, Restore, Retention};
use crate::base::{Alignment, CheckpointKind, CheckpointOptions, JobId, Millis, SubtaskId};
use crate::publish;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Settings of a [`Coordinator`](super::Coordinator).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The job.
    pub job: JobId,
    /// Every subtask; each of them must acknowledge each checkpoint until it has finished.
    pub subtasks: BTreeSet<SubtaskId>,
    /// The subtasks that are triggered: the sources, at least one.
    pub sources: BTreeSet<SubtaskId>,
    /// The connections of the operators. Where tasks finish one by one they say who is triggered then; other jobs need
    /// none.
    pub edges: Vec<Edge>,
    /// `execution.checkpointing.interval`, not 0; without it only the final checkpoint is taken.
    pub interval: Option<Millis>,
    /// `execution.checkpointing.interval-during-backlog`, at least `interval`; without it that counts then too, and
    /// 0 means that no periodic checkpoint is taken during a backlog.
    pub interval_during_backlog: Option<Millis>,
    /// `execution.checkpointing.timeout`.
    pub timeout: Millis,
    /// `execution.checkpointing.min-pause`, counted from the completion of the previous checkpoint.
    pub min_pause: Millis,
    /// `execution.checkpointing.unaligned.enabled`: for how long a barrier waits in line before it overtakes
    /// (`execution.checkpointing.aligned-checkpoint-timeout`); without it no barrier overtakes.
    pub unaligned: Option<Millis>,
    /// `execution.checkpointing.max-concurrent-checkpoints`, at least 1.
    pub max_concurrent: usize,
    /// Whether savepoints start beyond `max_concurrent`. In Flink they do unless checkpoints are unaligned.
    pub force_savepoints: bool,
    /// How many requests may wait, at least 1; Flink: 1,000.
    pub max_queued_requests: usize,
    /// `execution.checkpointing.tolerable-failed-checkpoints`: how many may fail in a row.
    pub tolerable_failures: u32,
    /// `execution.checkpointing.num-retained`, at least 1.
    pub retained: usize,
    /// `execution.checkpointing.externalized-checkpoint-retention`.
    pub retention: Retention,
    /// What happens when a task fails.
    pub restart: RestartStrategy,
    /// What the job starts from while it has published no checkpoint itself, if not from nothing.
    pub restore: Option<Restore>,
    /// Settings of the publication. Its pause is also that before a failed deletion of a shared file is repeated.
    pub publish: publish::Config,
}

impl Config {
    /// How a checkpoint of `kind` is taken that is triggered at `now`.
    pub(super) fn options(&self, now: Millis, kind: CheckpointKind) -> CheckpointOptions {
        let alignment = match self.unaligned {
            None => Alignment::Aligned,
            Some(Millis(0)) => Alignment::Unaligned,
            Some(timeout) => Alignment::AlignedUntil(now + timeout),
        };
        CheckpointOptions::new(kind, alignment)
    }

    /// Whether there is a source, every source is a subtask, edges lead down and to all other subtasks, and no limit is
    /// zero.
    pub(super) fn makes_sense(&self) -> bool {
        let sources_known = !self.sources.is_empty() && self.sources.is_subset(&self.subtasks);
        let some_interval = self.interval != Some(Millis(0));
        let backlog_is_slower =
            self.interval_during_backlog.is_none_or(|slow| slow == Millis(0) || Some(slow) >= self.interval);
        let limits = [self.max_concurrent, self.max_queued_requests, self.retained];
        let edges_lead_down = self.edges.iter().all(|edge| edge.from < edge.to);
        let is_reached = |task: &SubtaskId| {
            self.sources.contains(task) || self.edges.iter().any(|edge| edge.to == task.operator)
        };
        let all_reached = self.edges.is_empty() || self.subtasks.iter().all(is_reached);
        sources_known
            && backlog_is_slower
            && edges_lead_down
            && all_reached
            && some_interval
            && limits.iter().all(|limit| *limit > 0)
    }
}

/// `restart-strategy`: whether and when a failed job starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RestartStrategy {
    /// The first failure ends the job.
    None,
    /// Each failure, up to `attempts` of them, restarts the job after `delay`.
    FixedDelay {
        /// `restart-strategy.fixed-delay.attempts`.
        attempts: u32,
        /// `restart-strategy.fixed-delay.delay`.
        delay: Millis,
    },
}

impl RestartStrategy {
    /// The delay before restart number `restarts` + 1, or `None` when there must not be one.
    #[must_use]
    pub fn delay_after(self, restarts: u32) -> Option<Millis> {
        match self {
            RestartStrategy::FixedDelay { attempts, delay } if restarts < attempts => Some(delay),
            RestartStrategy::FixedDelay { .. } | RestartStrategy::None => None,
        }
    }
}
