//! Bounds and reductions.

use super::faults::Fault;
use super::node::subtask_of;
use super::world::Budgets;
use crate::check::ScopeName;
use serde::Serialize;
use snapline::base::{Attempt, Incarnation, JobId, Millis};
use snapline::coordinator::{Config, RestartStrategy, Retention};
use snapline::publish;
use std::collections::BTreeSet;
use std::num::NonZeroU64;

/// The bounds of a run: everything is tried within them, nothing beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// Records of each of the two sources.
    pub records: u8,
    /// Subtasks of the keyed operator, one or two.
    pub counters: u8,
    /// Periodic checkpoints; the final one and its repetitions come on top.
    pub checkpoints: u8,
    /// How often the whole process dies.
    pub crashes: u8,
    /// How often a task fails while the coordinator lives.
    pub task_failures: u8,
    /// How often the store fails, or cannot tell whether it has failed.
    pub store_faults: u8,
    /// Whether the store fails at reads too, which only a recovery does.
    pub reads_fail: bool,
    /// How often a checkpoint expires.
    pub expiries: u8,
    /// How many records and barriers a data channel holds before its sender must wait.
    pub capacity: usize,
    /// Which messages may outlive a crash or a failure, one at a time.
    pub stale: Stale,
    /// What is left out because it cannot make a difference.
    pub reductions: Reductions,
}

/// Reductions, unlike bounds, leave every verdict as it is (`model/tests/models/reductions.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Reductions {
    /// What cannot be observed to be late arrives within the step that sent it: answers and
    /// deletions of the store, completion notices of tasks that commit nothing, the end of a task.
    pub prompt: bool,
    /// A record at the head of a channel that is not blocked is read before anything else happens.
    pub data_first: bool,
    /// An acknowledgement that is not the last arrives first, once it cannot outlive anything any more.
    pub acknowledgements_first: bool,
    /// An abort that means nothing any more to its task arrives first.
    pub aborts_first: bool,
    /// Once nothing can go wrong any more, state and metadata are written and acknowledged first.
    pub calm_first: bool,
}

impl Reductions {
    /// Everything is tried.
    pub const NONE: Reductions = Reductions {
        prompt: false,
        data_first: false,
        acknowledgements_first: false,
        aborts_first: false,
        calm_first: false,
    };
    /// Whatever can be left out is left out.
    pub const ALL: Reductions = Reductions {
        prompt: true,
        data_first: true,
        acknowledgements_first: true,
        aborts_first: true,
        calm_first: true,
    };
}

/// The messages of an older attempt that may still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Stale {
    /// None.
    Never,
    /// Those to the coordinator and the store, which outlive attempts.
    ToCoordinatorAndStore,
    /// Those to tasks as well.
    ToAnyone,
}

impl Scope {
    /// Checked in some seconds: two records of each source, a crash, and any message may outlive it.
    pub const SMALL: Scope = Scope {
        records: 2,
        counters: 1,
        checkpoints: 1,
        crashes: 1,
        task_failures: 0,
        store_faults: 0,
        reads_fail: false,
        expiries: 0,
        capacity: 1,
        stale: Stale::ToAnyone,
        reductions: Reductions::ALL,
    };
    /// Checked in a minute or two: a crash, a fault of the store and late messages together.
    pub const MEDIUM: Scope =
        Scope { records: 1, store_faults: 1, stale: Stale::ToCoordinatorAndStore, ..Scope::SMALL };
    /// Checked in a minute: two counters, and the process dies twice.
    pub const TWO_COUNTERS: Scope = Scope {
        records: 1,
        counters: 2,
        checkpoints: 0,
        crashes: 2,
        stale: Stale::ToCoordinatorAndStore,
        ..Scope::SMALL
    };
    /// Checked in up to an hour: the same with a checkpoint between the records.
    pub const LARGE: Scope = Scope { checkpoints: 1, ..Scope::TWO_COUNTERS };

    /// The scope of that name.
    pub fn named(name: ScopeName) -> Scope {
        match name {
            ScopeName::Small => Scope::SMALL,
            ScopeName::Medium => Scope::MEDIUM,
            ScopeName::Large => Scope::LARGE,
        }
    }

    /// The smallest scope that shows a planted bug.
    pub fn to_find(fault: Fault) -> Scope {
        let nothing = Scope { records: 1, checkpoints: 0, crashes: 0, stale: Stale::Never, ..Scope::SMALL };
        let prompt = Reductions { prompt: true, ..Reductions::NONE };
        match fault {
            Fault::NotifyBeforePublished | Fault::PreCommitNotWritten => nothing,
            Fault::BlockedChannelsRead
            | Fault::EmitBetweenSnapshotAndBarrier
            | Fault::DeleteBeforePublished
            | Fault::CommitAtPreCommit => Scope { checkpoints: 1, ..nothing },
            // Only a record that was not read at once can be overtaken.
            Fault::BarrierOvertakes => {
                Scope { records: 2, checkpoints: 1, capacity: 2, reductions: prompt, ..nothing }
            }
            Fault::AcknowledgeBeforeDurable | Fault::UncertainTakenForFailed => {
                Scope { store_faults: 1, ..nothing }
            }
            Fault::EarlierTransactionsNotDurable => Scope { checkpoints: 1, store_faults: 1, ..nothing },
            Fault::RestoredAtTheStart
            | Fault::OperatorNotRewound
            | Fault::NoCommitAtRecovery
            | Fault::FinishNotRemembered
            | Fault::CommitInsteadOfRollBack => Scope { crashes: 1, ..nothing },
            Fault::StaleObeyed | Fault::PointerOverwritten | Fault::ClaimNotWritten => {
                Scope { crashes: 1, stale: Stale::ToCoordinatorAndStore, ..nothing }
            }
        }
    }

    pub(super) fn budgets(&self) -> Budgets {
        let Scope { checkpoints, crashes, task_failures, store_faults, expiries, .. } = *self;
        Budgets { checkpoints, crashes, task_failures, store_faults, expiries }
    }

    /// The coordinator's configuration; the timeout is shorter than the interval, so that the deadline
    /// that comes next is an expiry exactly when a checkpoint is pending.
    pub(super) fn coordinator(&self, incarnation: u64) -> Config {
        let subtasks: BTreeSet<_> = self.tasks().map(subtask_of).collect();
        let sources = subtasks.iter().copied().filter(|subtask| subtask.operator == 0).collect();
        Config {
            job: JobId(1),
            subtasks,
            sources,
            edges: Vec::new(),
            interval: Some(Millis(10)),
            interval_during_backlog: None,
            timeout: Millis(5),
            min_pause: Millis(0),
            unaligned: None,
            max_concurrent: 1,
            force_savepoints: true,
            max_queued_requests: 1,
            tolerable_failures: u32::MAX,
            retained: 1,
            retention: Retention::RETAIN_ALWAYS,
            restart: RestartStrategy::FixedDelay { attempts: u32::MAX, delay: Millis(0) },
            restore: None,
            publish: publish::Config {
                incarnation: Incarnation(incarnation),
                retry_pause: Millis(1),
                recovery_retries: u32::MAX,
                // Every pointer begins a segment: the model of publication checks longer ones.
                segment: NonZeroU64::MIN,
                first_attempt: Attempt(1),
                on_corruption: publish::OnCorruption::Fail,
            },
        }
    }
}
