//! What is run, and what goes wrong in it.

use snapline::base::{Attempt, CheckpointId, Incarnation, JobId, Millis, SubtaskId};
use snapline::coordinator::{Config, RestartStrategy, Retention};
use snapline::publish::{self, OnCorruption};

pub const NUMBERS_PER_SOURCE: u64 = 250;
pub const SOURCES: [SubtaskId; 2] = [SubtaskId::new(0, 0), SubtaskId::new(0, 1)];
pub const COUNT: SubtaskId = SubtaskId::new(1, 0);

/// Whether the operator's snapshot fails: that of the second checkpoint does, in the first attempt.
pub fn is_snapshot_to_fail(attempt: Attempt, checkpoint: CheckpointId) -> bool {
    attempt == Attempt(1) && checkpoint == CheckpointId(2)
}

/// Whether the operator crashes: it does in the first attempt, some time after the third checkpoint is complete.
pub fn is_time_to_crash(attempt: Attempt, completed: Option<CheckpointId>, count: u64) -> bool {
    attempt == Attempt(1) && completed >= Some(CheckpointId(3)) && count.is_multiple_of(25)
}

/// Settings that make a checkpoint every 40 ms, forgive one failed checkpoint, and restart once.
pub fn configuration() -> Config {
    Config {
        job: JobId(1),
        subtasks: [SOURCES[0], SOURCES[1], COUNT].into_iter().collect(),
        sources: SOURCES.into_iter().collect(),
        // Tasks finish together, so that nobody but the sources is ever triggered.
        edges: Vec::new(),
        interval: Some(Millis(40)),
        interval_during_backlog: None,
        timeout: Millis(1_000),
        min_pause: Millis(0),
        unaligned: None,
        max_concurrent: 1,
        force_savepoints: true,
        max_queued_requests: 10,
        tolerable_failures: 1,
        retained: 1,
        retention: Retention::RETAIN_ALWAYS,
        restart: RestartStrategy::FixedDelay { attempts: 1, delay: Millis(20) },
        restore: None,
        publish: publish::Config {
            incarnation: Incarnation(1),
            retry_pause: Millis(10),
            recovery_retries: 3,
            segment: publish::Config::SEGMENT,
            on_corruption: OnCorruption::Fail,
        },
    }
}
