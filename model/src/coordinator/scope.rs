//! Bounds.

use super::faults::Fault;
use crate::check::ScopeName;
use serde::Serialize;
use snapline::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, Incarnation, JobId, Millis, SavepointFormat,
    StateFile, StateHandle, SubtaskId,
};
use snapline::coordinator::{
    ClaimMode, Config, Edge, EdgePattern, RequestKind, RestartStrategy, Restore, Retention, StopMode,
};
use snapline::publish::{self, OnCorruption};
use std::collections::BTreeMap;
use std::num::NonZeroU64;

/// The source.
pub(super) const SOURCE: SubtaskId = SubtaskId::new(0, 0);
/// The task that reads from it.
pub(super) const SINK: SubtaskId = SubtaskId::new(1, 0);
/// All tasks.
pub(super) const TASKS: [SubtaskId; 2] = [SOURCE, SINK];

const INTERVAL: Millis = Millis(4);
const INTERVAL_DURING_BACKLOG: Millis = Millis(10);
/// Ends after the second checkpoint has become due and before the third.
pub(super) const TIMEOUT: Millis = Millis(6);
/// Ends after the next checkpoint would be due.
const PAUSE: Millis = Millis(5);
/// What another job has left.
pub(super) const GIVEN: CheckpointId = CheckpointId(5);

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Budgets {
    /// Time goes on to the next deadline.
    pub jumps: u8,
    /// A user asks for something.
    pub requests: u8,
    /// A user cancels the job, or the process gives it up.
    pub endings: u8,
    /// A task declines a checkpoint.
    pub declines: u8,
    /// A message arrives that nobody waits for any more.
    pub late: u8,
    /// An acknowledgement arrives twice.
    pub repetitions: u8,
    /// A message comes from a task or is about a checkpoint that does not exist.
    pub strays: u8,
    /// A task fails.
    pub task_failures: u8,
    /// A source reaches the end of its data by itself.
    pub ends: u8,
    /// A task finishes because nothing is left for it to do.
    pub finishes: u8,
    /// A source says that it processes a backlog, or that it does not any more.
    pub backlogs: u8,
    /// Periodic checkpoints are switched off or on.
    pub switches: u8,
    /// The storage fails and says so.
    pub refusals: u8,
    /// The answer to a put is lost.
    pub losses: u8,
    /// Another process takes the job over.
    pub coordinators: u8,
}

impl Budgets {
    /// Nothing but the clock, the tasks that do their work, and the storage that does its.
    const CALM: Budgets = Budgets {
        jumps: 2,
        requests: 0,
        endings: 0,
        declines: 0,
        late: 0,
        repetitions: 0,
        strays: 0,
        task_failures: 0,
        ends: 0,
        finishes: 0,
        backlogs: 0,
        switches: 0,
        refusals: 0,
        losses: 0,
        coordinators: 0,
    };
}

/// One of the jobs that a scope tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Run {
    /// How many checkpoints may be under way.
    pub concurrent: usize,
    /// Whether savepoints start beyond that.
    pub force_savepoints: bool,
    /// Whether there is a minimum pause.
    pub pause: bool,
    /// How many requests may wait.
    pub queue: usize,
    /// How many failures in a row are tolerated.
    pub tolerable: u32,
    /// How many checkpoints are retained.
    pub retained: usize,
    /// What becomes of them at the end.
    pub retention: Retention,
    /// How often the tasks may start again.
    pub restarts: u32,
    /// How long a restart waits.
    pub delay: Millis,
    /// Whether the job starts from a checkpoint of another one, and how.
    pub given: Option<ClaimMode>,
    /// What users may ask for.
    pub requests: &'static [RequestKind],
    /// What happens in one run, all together.
    pub left: Budgets,
}

const CALM: Budgets = Budgets::CALM;
/// Another process takes the job over.
const DUEL: Budgets = Budgets { coordinators: 1, ..CALM };

const CHECKPOINT: RequestKind = RequestKind::Checkpoint { full: false };
const SAVEPOINT: RequestKind = RequestKind::Savepoint(SavepointFormat::Canonical);
const CANCEL: RequestKind = RequestKind::CancelWithSavepoint(SavepointFormat::Canonical);
const SUSPEND: RequestKind = RequestKind::Stop(StopMode::Suspend, SavepointFormat::Canonical);
const DRAIN: RequestKind = RequestKind::Stop(StopMode::Drain, SavepointFormat::Canonical);

impl Run {
    /// A job that is left alone, with two checkpoints at once.
    const CALM: Run = Run {
        concurrent: 2,
        force_savepoints: true,
        pause: false,
        queue: 1,
        tolerable: 0,
        retained: 1,
        retention: Retention::DELETE_ON_CANCELLATION,
        restarts: 1,
        delay: Millis(0),
        given: None,
        requests: &[],
        left: Budgets::CALM,
    };

    const fn with(self, left: Budgets) -> Run {
        Run { left, ..self }
    }

    /// The configuration of process number `process`.
    pub(super) fn config(&self, process: usize) -> Config {
        let pause = if self.pause { PAUSE } else { Millis(0) };
        Config {
            job: JobId(1),
            subtasks: TASKS.into(),
            sources: [SOURCE].into(),
            edges: vec![Edge { from: SOURCE.operator, to: SINK.operator, pattern: EdgePattern::AllToAll }],
            interval: Some(INTERVAL),
            interval_during_backlog: Some(INTERVAL_DURING_BACKLOG),
            timeout: TIMEOUT,
            min_pause: pause,
            unaligned: None,
            max_concurrent: self.concurrent,
            force_savepoints: self.force_savepoints,
            max_queued_requests: self.queue,
            tolerable_failures: self.tolerable,
            retained: self.retained,
            retention: self.retention,
            restart: RestartStrategy::FixedDelay { attempts: self.restarts, delay: self.delay },
            restore: self.given.map(|mode| Restore { checkpoint: given(), mode }),
            publish: publish::Config {
                incarnation: Incarnation(process as u64),
                // Over at once: when an operation is repeated is left to chance anyway.
                retry_pause: Millis(0),
                // More than the budgets can make necessary.
                recovery_retries: 8,
                // One claim begins an attempt, and no pointer is ever deleted.
                segment: NonZeroU64::MIN,
                first_attempt: Attempt(1),
                on_corruption: OnCorruption::Fail,
            },
        }
    }

    /// The end of the minimum pause after a completion.
    pub(super) fn end_of_pause(&self, completed: Millis) -> Millis {
        if self.pause { completed + PAUSE } else { completed }
    }
}

fn given() -> CompletedCheckpoint {
    let file = StateFile { checkpoint: GIVEN, subtask: SOURCE, attempt: Attempt(9), savepoint: false };
    let states = [(SOURCE, Some(handle(file))), (SINK, None)].into();
    let (kind, shared) = (CheckpointKind::Periodic, BTreeMap::new());
    CompletedCheckpoint { id: GIVEN, attempt: file.attempt, kind, states, shared }
}

pub(super) fn handle(file: StateFile) -> StateHandle {
    StateHandle { file, bytes: 1, checksum: 0, inline: None }
}

/// The bounds of a model: everything is tried within them, nothing beyond.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// The jobs.
    pub runs: Vec<Run>,
}

impl Scope {
    /// Checked in seconds: two or three checkpoints, and two or three things that happen beside them.
    #[must_use]
    pub fn small() -> Scope {
        let mut runs = Scope::triggers();
        runs.extend(Scope::troubles());
        runs.extend(Scope::endings());
        Scope { runs }
    }

    /// Jobs that are about when a checkpoint begins.
    fn triggers() -> Vec<Run> {
        let asked = Run { requests: &[CHECKPOINT, SAVEPOINT], concurrent: 1, ..Run::CALM };
        let unforced = Run { force_savepoints: false, queue: 2, ..asked };
        let pause = Run { pause: true, ..Run::CALM };
        let pause_and_savepoint = Run { requests: &[SAVEPOINT], concurrent: 1, ..pause };
        let not_claimed = Run { given: Some(ClaimMode::NoClaim), requests: &[SAVEPOINT], ..Run::CALM };
        vec![
            asked.with(Budgets { requests: 3, ..CALM }),
            unforced.with(Budgets { jumps: 1, requests: 3, ..CALM }),
            pause.with(Budgets { jumps: 3, task_failures: 1, ..CALM }),
            pause_and_savepoint.with(Budgets { jumps: 3, requests: 1, ..CALM }),
            Run::CALM.with(Budgets { jumps: 3, backlogs: 2, switches: 1, ..CALM }),
            not_claimed.with(Budgets { jumps: 3, requests: 1, declines: 1, ..CALM }),
        ]
    }

    /// Jobs in which checkpoints, tasks, messages or the storage fail.
    fn troubles() -> Vec<Run> {
        let tolerant = Run { tolerable: 1, ..Run::CALM };
        let two_retained = Run { retained: 2, ..Run::CALM };
        vec![
            tolerant.with(Budgets { jumps: 3, declines: 2, late: 1, ..CALM }),
            Run::CALM.with(Budgets { declines: 1, late: 1, repetitions: 1, strays: 1, ..CALM }),
            Run::CALM.with(Budgets { task_failures: 2, late: 1, ..CALM }),
            two_retained.with(Budgets { jumps: 3, losses: 1, refusals: 1, ..CALM }),
            Run::CALM.with(Budgets { coordinators: 1, ..CALM }),
        ]
    }

    /// Jobs that are stopped or cancelled, or that end.
    fn endings() -> Vec<Run> {
        let stopped = Run { requests: &[SUSPEND, DRAIN], ..Run::CALM };
        let suspended = Run { requests: &[SUSPEND], retention: Retention::RETAIN_ALWAYS, ..Run::CALM };
        let stopped_or_not = Run { requests: &[SUSPEND, DRAIN, SAVEPOINT], ..Run::CALM };
        let delayed = Run { delay: Millis(1), requests: &[SUSPEND, SAVEPOINT], ..Run::CALM };
        let retention = Retention::RETAIN_ON_CANCELLATION;
        let cancelled = Run { requests: &[SAVEPOINT], retained: 2, retention, ..Run::CALM };
        let ended_by_savepoint = Run { requests: &[CANCEL, CHECKPOINT], ..Run::CALM };
        let ended_either_way = Run { requests: &[CANCEL, SUSPEND], ..Run::CALM };
        let not_externalized = Run { retention: Retention::NO_EXTERNALIZED_CHECKPOINTS, ..Run::CALM };
        let claimed = Run { given: Some(ClaimMode::Claim), ..Run::CALM };
        vec![
            stopped_or_not.with(Budgets { requests: 2, ..CALM }),
            stopped.with(Budgets { requests: 1, task_failures: 1, declines: 1, ..CALM }),
            suspended.with(Budgets { requests: 1, ends: 1, declines: 1, ..CALM }),
            stopped.with(Budgets { requests: 1, ends: 1, ..CALM }),
            delayed.with(Budgets { requests: 1, task_failures: 1, endings: 1, ..CALM }),
            cancelled.with(Budgets { requests: 1, task_failures: 1, endings: 1, ..CALM }),
            ended_by_savepoint.with(Budgets { requests: 2, declines: 1, ..CALM }),
            ended_by_savepoint.with(Budgets { requests: 1, ends: 1, task_failures: 1, ..CALM }),
            ended_by_savepoint.with(Budgets { requests: 1, losses: 1, refusals: 1, ..CALM }),
            ended_either_way.with(Budgets { requests: 2, ends: 1, ..CALM }),
            claimed.with(Budgets { task_failures: 1, endings: 1, ..CALM }),
            not_externalized.with(Budgets { finishes: 1, ends: 1, task_failures: 1, ..CALM }),
            Run::CALM.with(Budgets { jumps: 1, coordinators: 1, endings: 1, ..CALM }),
        ]
    }

    /// Checked in a minute: also what goes wrong together, and two coordinators at once with one trouble.
    #[must_use]
    pub fn medium() -> Scope {
        let stopped = Run { requests: &[SUSPEND, DRAIN], ..Run::CALM };
        let stopped_or_not = Run { requests: &[SUSPEND, DRAIN, SAVEPOINT], ..Run::CALM };
        let asked = Run { requests: &[CHECKPOINT, SAVEPOINT], concurrent: 1, queue: 2, ..Run::CALM };
        let retention = Retention::NO_EXTERNALIZED_CHECKPOINTS;
        let stored = Run { requests: &[SAVEPOINT], retained: 2, retention, ..Run::CALM };
        let cancelled = Run { requests: &[SAVEPOINT, SUSPEND], retained: 2, ..Run::CALM };
        let tolerant = Run { restarts: 2, tolerable: 1, ..Run::CALM };
        let claimed = Run { given: Some(ClaimMode::Claim), ..Run::CALM };
        let mut runs = Scope::small().runs;
        runs.extend([
            Run::CALM.with(Budgets { losses: 1, ..DUEL }),
            Run::CALM.with(Budgets { refusals: 1, ..DUEL }),
            Run::CALM.with(Budgets { endings: 1, ..DUEL }),
            Run::CALM.with(Budgets { jumps: 1, task_failures: 1, ..DUEL }),
            claimed.with(DUEL),
            asked.with(Budgets { requests: 3, declines: 1, task_failures: 1, ..CALM }),
            stopped_or_not.with(Budgets { requests: 2, declines: 1, task_failures: 1, ..CALM }),
            stopped.with(Budgets { requests: 1, finishes: 2, ends: 1, task_failures: 1, ..CALM }),
            stored.with(Budgets { requests: 1, losses: 1, refusals: 1, task_failures: 1, ..CALM }),
            cancelled.with(Budgets { requests: 1, endings: 1, losses: 1, task_failures: 1, ..CALM }),
            tolerant.with(Budgets { late: 2, repetitions: 1, declines: 1, task_failures: 2, ..CALM }),
        ]);
        Scope { runs }
    }

    /// Checked in up to an hour: also two coordinators with three checkpoints and two troubles, or with a stop.
    #[must_use]
    pub fn large() -> Scope {
        let stopped = Run { requests: &[SUSPEND, SAVEPOINT], ..Run::CALM };
        let mut runs = Scope::medium().runs;
        runs.extend([
            Run::CALM.with(Budgets { jumps: 3, ..DUEL }),
            Run::CALM.with(Budgets { jumps: 3, losses: 1, ..DUEL }),
            Run::CALM.with(Budgets { losses: 1, refusals: 1, ..DUEL }),
            Run::CALM.with(Budgets { losses: 1, endings: 1, ..DUEL }),
            Run::CALM.with(Budgets { task_failures: 1, ..DUEL }),
            stopped.with(Budgets { requests: 1, ..DUEL }),
        ]);
        Scope { runs }
    }

    /// The scope of that name.
    #[must_use]
    pub fn named(name: ScopeName) -> Scope {
        match name {
            ScopeName::Small => Scope::small(),
            ScopeName::Medium => Scope::medium(),
            ScopeName::Large => Scope::large(),
        }
    }

    /// The smallest scope that shows a planted bug.
    #[must_use]
    pub fn to_find(fault: Fault) -> Scope {
        let run = Run::CALM;
        let run = match fault {
            Fault::StartingTakenForRunning
            | Fault::TriggerTakenForAcknowledgement
            | Fault::PutTakenForDurable => run,
            Fault::TimerNotArmedAgain => run.with(Budgets { task_failures: 1, ..CALM }),
            Fault::LostTakenForFailed => run.with(Budgets { losses: 1, ..CALM }),
            Fault::FencedCleansUp => run.with(Budgets { coordinators: 1, ..CALM }),
            Fault::RetiredUnproven => run.with(Budgets { coordinators: 1, endings: 1, ..CALM }),
            Fault::OldFailureObeyed => run.with(Budgets { strays: 1, ..CALM }),
            Fault::SavepointSubsumes => {
                Run { requests: &[SAVEPOINT], ..run }.with(Budgets { requests: 1, ..CALM })
            }
            Fault::FailedDeletionNotReported => Run { requests: &[CHECKPOINT], concurrent: 1, ..run }
                .with(Budgets { jumps: 3, requests: 1, refusals: 2, ..CALM }),
            Fault::FinishNotReported => run.with(Budgets { finishes: 1, ..CALM }),
            Fault::DiscardForgotten | Fault::AbortNotPassedOn => run.with(Budgets { declines: 1, ..CALM }),
            Fault::LateAcknowledgementIgnored => run.with(Budgets { declines: 1, late: 1, ..CALM }),
            Fault::AcknowledgementsCounted => run.with(Budgets { repetitions: 1, ..CALM }),
            Fault::CancelTakenForFailure => run.with(Budgets { endings: 1, ..CALM }),
        };
        Scope { runs: vec![run] }
    }
}
