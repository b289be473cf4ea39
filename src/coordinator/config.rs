use super::{Edge, Restore, Retention};
use crate::base::{Alignment, CheckpointKind, CheckpointOptions, Incarnation, JobId, Millis, SubtaskId};
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
    /// `execution.checkpointing.max-concurrent-checkpoints`, at least 1; only 1 where checkpoints are unaligned.
    pub max_concurrent: usize,
    /// Whether savepoints start beyond `max_concurrent`, as in Flink. Where checkpoints are unaligned they never do.
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
    /// Flink's defaults: no periodic checkpoint, one checkpoint at a time for at most 10 minutes, no failed one
    /// forgiven, one retained for good; and tasks that finish together. A failed job starts again after a second, three
    /// times at most.
    #[must_use]
    pub fn new(
        job: JobId,
        sources: BTreeSet<SubtaskId>,
        subtasks: BTreeSet<SubtaskId>,
        incarnation: Incarnation,
    ) -> Config {
        Config {
            job,
            subtasks,
            sources,
            edges: Vec::new(),
            interval: None,
            interval_during_backlog: None,
            timeout: Millis(600_000),
            min_pause: Millis(0),
            unaligned: None,
            max_concurrent: 1,
            force_savepoints: true,
            max_queued_requests: 1_000,
            tolerable_failures: 0,
            retained: 1,
            retention: Retention::RETAIN_ALWAYS,
            restart: RestartStrategy::FixedDelay { attempts: 3, delay: Millis(1_000) },
            restore: None,
            publish: publish::Config::new(incarnation),
        }
    }

    /// How a checkpoint of `kind` is taken that is triggered at `now`.
    pub(super) fn options(&self, now: Millis, kind: CheckpointKind) -> CheckpointOptions {
        let alignment = match self.unaligned {
            None => Alignment::Aligned,
            Some(Millis(0)) => Alignment::Unaligned,
            Some(timeout) => Alignment::AlignedUntil(now + timeout),
        };
        CheckpointOptions::new(kind, alignment)
    }

    /// What contradicts itself here, if anything does.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let is_reached = |task: &SubtaskId| {
            self.sources.contains(task) || self.edges.iter().any(|edge| edge.to == task.operator)
        };
        let slow = self.interval_during_backlog.filter(|slow| *slow != Millis(0));
        let rules = [
            (!self.sources.is_empty(), "there is no source"),
            (self.sources.is_subset(&self.subtasks), "a source is no subtask of the job"),
            (self.edges.iter().all(|edge| edge.from < edge.to), "an edge does not lead to a later operator"),
            (
                self.edges.is_empty() || self.subtasks.iter().all(is_reached),
                "a subtask is neither a source nor at the end of an edge",
            ),
            (self.interval != Some(Millis(0)), "the interval is 0"),
            (
                slow.is_none_or(|slow| Some(slow) >= self.interval),
                "the interval during backlog is shorter than the interval",
            ),
            (self.max_concurrent > 0, "no checkpoint may be under way"),
            (
                self.unaligned.is_none() || self.max_concurrent == 1,
                "unaligned checkpoints are taken one at a time, but more are allowed",
            ),
            (self.max_queued_requests > 0, "no request may wait"),
            (self.retained > 0, "no checkpoint is retained"),
        ];
        rules.into_iter().find_map(|(holds, contradiction)| (!holds).then_some(contradiction))
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
