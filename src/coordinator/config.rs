use crate::base::{Alignment, CheckpointKind, CheckpointOptions, Millis, SubtaskId};
use crate::publish;
use serde::{Deserialize, Serialize};

/// Settings of a [`Coordinator`](super::Coordinator).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Config {
    /// Every subtask; each of them must acknowledge each checkpoint.
    pub subtasks: Vec<SubtaskId>,
    /// The subtasks that are triggered: the sources.
    pub sources: Vec<SubtaskId>,
    /// `execution.checkpointing.interval`; without it only the final checkpoint is taken.
    pub interval: Option<Millis>,
    /// `execution.checkpointing.timeout`.
    pub timeout: Millis,
    /// `execution.checkpointing.min-pause`, counted from the completion of the previous checkpoint.
    pub min_pause: Millis,
    /// `execution.checkpointing.unaligned.enabled`: for how long a barrier waits in line before it overtakes
    /// (`execution.checkpointing.aligned-checkpoint-timeout`); without it no barrier overtakes.
    pub unaligned: Option<Millis>,
    /// `execution.checkpointing.max-concurrent-checkpoints`, at least 1.
    pub max_concurrent: usize,
    /// `execution.checkpointing.tolerable-failed-checkpoints`: how many may fail in a row.
    pub tolerable_failures: u32,
    /// `execution.checkpointing.num-retained`, at least 1.
    pub retained: usize,
    /// What happens when a task fails.
    pub restart: RestartStrategy,
    /// Settings of the publication.
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
