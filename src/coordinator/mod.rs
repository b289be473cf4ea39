//! The checkpoint coordinator of a job: when to take a checkpoint, when one is complete, what to do when it is not.
//!
//! It owns the [`Publisher`], so that "complete" and "visible" are one story: tasks are notified only after
//! the checkpoint is durable. A job lives in attempts; every attempt begins with a recovery.
//!
//! # How to drive it
//!
//! One thread owns the coordinator of a job.
//!
//! 1. Report [`Input::JobStarted`] once.
//! 2. Carry out each [`Output::Perform`] on the storage, in the background, and answer it with its ticket as
//!    [`Input::StorageAnswered`] when it is durable, has failed, or has an unknown end.
//! 3. On [`Output::StartTasks`] start every task under the new attempt, with the states of the newest checkpoint,
//!    and report [`Input::TasksRunning`] when all of them run. On [`Output::CancelTasks`] end them, and report
//!    [`Input::TasksStopped`] when none of them can do anything more.
//! 4. On [`Output::PlaceSavepoint`] note where the savepoint is to lie, if its request says so, before anything else is done.
//!    Deliver [`Output::Trigger`], [`Output::NotifyComplete`] and [`Output::NotifyAborted`] to the task that each names,
//!    with the attempt; a message that is lost or late does no harm beyond the checkpoint. Report what tasks answer
//!    with the attempt *of the task*, whatever has become of it.
//! 5. Report the failure of a task as [`Input::TaskFailed`]: the coordinator decides what follows.
//! 6. When [`Coordinator::deadline`] has come, report [`Input::Tick`]: intervals, timeouts, pauses and restart delays are
//!    all in it.
//! 7. Deletions ([`Output::DiscardState`], [`Output::DeleteCheckpoint`], [`Output::DeletePointer`]) are carried out at
//!    leisure; what fails may stay. Report the end of each [`Output::DeleteCheckpoint`], however it went, as
//!    [`Input::CleanupEnded`]. The other outputs are for people, until [`Output::JobEnded`] ends the loop.
//! 8. Tasks that share files between checkpoints name them in their acknowledgements, as
//!    [`SharedState`](crate::base::SharedState); the kind of a checkpoint says what it may
//!    [share](crate::base::CheckpointKind::sharing). Carry out each [`Output::DeleteShared`] and [`Output::ListShared`]
//!    at leisure and report [`Input::SharedDeletionEnded`] and [`Input::SharedListed`].
//!
//! Specification: `spec/coordinator.md`. Flink: `CheckpointCoordinator`, `CheckpointRequestDecider`,
//! `CheckpointFailureManager`, `CheckpointPlan`, `CompletedCheckpointStore`.

mod attempts;
mod checkpoints;
mod claim;
mod config;
mod message;
mod pending;
mod plan;
mod reason;
mod requests;
mod retention;
mod shared;
mod status;
mod tolerance;
mod triggers;

pub use claim::{ClaimMode, Restore};
pub use config::{Config, RestartStrategy};
pub use message::{Input, Output};
pub use plan::{Edge, EdgePattern};
pub use reason::{AbortReason, Outcome};
pub use requests::{Refusal, RequestId, RequestKind, RequestOutcome, StopMode};
pub use retention::Retention;
pub use status::JobStatus;

use crate::base::{Attempt, CheckpointId, CompletedCheckpoint, Millis, Misuse, SubtaskId, Violation};
use crate::publish::{self, Publisher};
use crate::shared::{SharedStateRegistry, registry};
use pending::{Acknowledged, Pending};
use requests::{RequestQueue, Stop};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;
use tolerance::Failures;
use triggers::Schedule;

const MACHINE: &str = "coordinator";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Phase {
    Created,
    /// Waiting for the publisher to find the newest checkpoint and to claim the attempt.
    Recovering,
    /// Tasks are being started.
    Deploying,
    Running,
    /// Tasks are being stopped; then the job restarts, or ends.
    Cancelling(Ending),
    /// Waiting out the restart delay.
    Restarting {
        until: Millis,
    },
    /// Claiming the right to delete all checkpoints of a job that has ended in this way.
    Retiring(Outcome),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Ending {
    Restart(Millis),
    Job(Outcome),
}

/// The configuration never changes: clones share it, and it adds nothing to a state's hash.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Settings(Arc<Config>);

impl Hash for Settings {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

impl Deref for Settings {
    type Target = Config;

    fn deref(&self) -> &Config {
        &self.0
    }
}

/// The coordinator of one job in one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Coordinator {
    #[serde(skip)]
    config: Settings,
    publisher: Publisher,
    /// Who refers to which shared file.
    registry: SharedStateRegistry,
    phase: Phase,
    attempt: Attempt,
    /// The first attempt of this process.
    first_attempt: Attempt,
    restarts: u32,
    next_checkpoint: CheckpointId,
    /// What users have asked for and is not triggered yet.
    queue: RequestQueue,
    schedule: Schedule,
    /// The end of the minimum pause.
    end_of_pause: Millis,
    /// The end of the pause after a failed terminal checkpoint.
    earliest_terminal: Millis,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Fully acknowledged, and being published or waiting for the publisher.
    publishing: BTreeMap<CheckpointId, Pending>,
    retained: Vec<CompletedCheckpoint>,
    /// Ids of checkpoints that may have left something behind.
    found: BTreeSet<CheckpointId>,
    /// Checkpoints whose deletion has not ended yet.
    cleaning: BTreeSet<CheckpointId>,
    /// Savepoints whose files are the user's now.
    savepoints: BTreeSet<CheckpointId>,
    failures: Failures,
    exhausted_sources: BTreeSet<SubtaskId>,
    finished_tasks: BTreeSet<SubtaskId>,
    stop: Option<Stop>,
    /// The completed terminal checkpoint, after which tasks finish.
    terminal: Option<CheckpointId>,
}

impl Coordinator {
    /// A coordinator that has not started.
    ///
    /// # Errors
    /// [`Misuse`] when the configuration contradicts itself; [`Config`] says what its fields may be.
    pub fn new(config: Config) -> Result<Self, Misuse> {
        if let Some(contradiction) = config.contradiction() {
            return Err(Misuse::new(MACHINE, contradiction));
        }
        let config = config.with_attempts_above_given();
        Ok(Coordinator {
            publisher: Publisher::new(config.publish),
            registry: SharedStateRegistry::new(registry::Config {
                job: config.job,
                retry_pause: config.publish.retry_pause,
            }),
            config: Settings(Arc::new(config)),
            phase: Phase::Created,
            attempt: Attempt(0),
            first_attempt: Attempt(0),
            restarts: 0,
            next_checkpoint: CheckpointId::FIRST,
            queue: RequestQueue::default(),
            schedule: Schedule::default(),
            end_of_pause: Millis(0),
            earliest_terminal: Millis(0),
            pending: BTreeMap::new(),
            publishing: BTreeMap::new(),
            retained: Vec::new(),
            found: BTreeSet::new(),
            cleaning: BTreeSet::new(),
            savepoints: BTreeSet::new(),
            failures: Failures::default(),
            exhausted_sources: BTreeSet::new(),
            finished_tasks: BTreeSet::new(),
            stop: None,
            terminal: None,
        })
    }

    /// The attempt that runs, or ran last.
    #[must_use]
    pub fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// How often the job was restarted in this process.
    #[must_use]
    pub fn restarts(&self) -> u32 {
        self.restarts
    }

    /// Whether the tasks of the current attempt run.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    /// Whether the job has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.phase == Phase::Ended
    }

    /// The ids of triggered, incomplete checkpoints, with the tasks that have acknowledged.
    pub fn pending(&self) -> impl Iterator<Item = (CheckpointId, Vec<SubtaskId>)> + '_ {
        self.pending
            .iter()
            .chain(&self.publishing)
            .map(|(id, pending)| (*id, pending.acknowledged.keys().copied().collect()))
    }

    /// When the next pending checkpoint expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<Millis> {
        self.pending.values().map(|pending| pending.expires).min()
    }

    /// The retained checkpoints, oldest first.
    #[must_use]
    pub fn retained(&self) -> &[CompletedCheckpoint] {
        &self.retained
    }

    /// The publisher, for those who want to look at it.
    #[must_use]
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// The registry of shared files, for those who want to look at it.
    #[must_use]
    pub fn registry(&self) -> &SharedStateRegistry {
        &self.registry
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when the job was started twice; nothing has changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::JobStarted => {
                if self.phase != Phase::Created {
                    return Err(Misuse::new(MACHINE, "the job was started twice"));
                }
                self.recover(now, out)?;
            }
            Input::StorageAnswered { ticket, answer } => {
                self.publish(now, publish::Input::Answered { ticket, answer }, out)?;
            }
            Input::TasksRunning { attempt } => self.tasks_running(now, attempt, out),
            Input::AcknowledgeArrived { attempt, subtask, checkpoint, handle, shared } => {
                let state = Acknowledged { handle, shared };
                self.acknowledge(now, attempt, subtask, checkpoint, state, out);
            }
            Input::DeclineArrived { attempt, subtask, checkpoint, reason } => {
                //= spec/coordinator.md#coord-27-messages-of-unknown-tasks-change-no-checkpoint
                //# A message of a task that is not part of the job MUST NOT change a checkpoint.
                //= spec/coordinator.md#coord-31-declined-checkpoints-are-aborted
                //# A checkpoint that a task declines MUST be aborted.
                if attempt == self.attempt && self.config.subtasks.contains(&subtask) {
                    self.abort(now, checkpoint, AbortReason::Declined(subtask, reason), out);
                }
            }
            Input::EndOfDataReported { attempt, subtask } => {
                if attempt == self.attempt {
                    self.source_exhausted(now, subtask);
                }
            }
            Input::TaskFinished { attempt, subtask } => self.task_finished(now, attempt, subtask, out),
            //= spec/coordinator.md#coord-16-messages-of-other-attempts-change-no-checkpoint
            //# A message of another attempt MUST NOT change a checkpoint or the phase of the job.
            Input::TaskFailed { attempt, unrecoverable, .. } => {
                if attempt == self.attempt {
                    let outcome =
                        if unrecoverable { Outcome::Unrecoverable } else { Outcome::RestartsExhausted };
                    self.fail(now, outcome, out);
                }
            }
            Input::TasksStopped { attempt } => self.tasks_stopped(now, attempt, out),
            Input::CheckpointRequested { request, kind } => self.requested(request, kind, out),
            Input::BacklogReported { attempt, subtask, has_backlog } => {
                if attempt == self.attempt && self.may_have_backlog(subtask) {
                    self.schedule.backlog_reported(now, subtask, has_backlog, &self.config);
                }
            }
            Input::PeriodicCheckpointsSwitched { on } => self.schedule.switch(on, now, &self.config),
            Input::CleanupEnded { checkpoint } => {
                self.cleaning.remove(&checkpoint);
            }
            Input::SharedDeletionEnded { object, is_deleted } => {
                let ended = match is_deleted {
                    true => registry::Input::Deleted(object),
                    false => registry::Input::DeletionFailed(object),
                };
                self.tell_registry(now, ended, out);
            }
            Input::SharedListed { objects } => {
                self.tell_registry(now, registry::Input::ObjectsFound { objects }, out);
            }
            Input::CancelRequested => self.give_up(now, Outcome::Cancelled, out),
            Input::SuspendRequested => self.give_up(now, Outcome::Suspended, out),
            Input::Tick => self.tick(now, out)?,
        }
        self.advance(now, out)
    }

    /// The next time at which a tick can change anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        let restart = match self.phase {
            Phase::Restarting { until } if !self.publisher.is_busy() => Some(until),
            _ => None,
        };
        let trigger = self.next_trigger().map(|(due, _)| due);
        let deletions = self.registry.deadline().filter(|_| self.phase != Phase::Ended);
        let machines = [self.publisher.deadline(), deletions];
        [restart, self.next_expiry(), trigger].into_iter().chain(machines).flatten().min()
    }

    /// Its invariants, those of its publisher and its registry included.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        self.publisher.check()?;
        self.registry.check()?;
        self.check_shared()?;
        let unforced = |pending: &&Pending| !self.is_forced(pending.kind);
        let under_way = self.pending.values().chain(self.publishing.values()).filter(unforced).count();
        Violation::unless(under_way <= self.config.max_concurrent, MACHINE, "COORD-3", || {
            format!("{under_way} checkpoints are under way, {} are allowed", self.config.max_concurrent)
        })?;
        let everyone = |pending: &Pending| pending.is_complete(self.config.subtasks.len());
        Violation::unless(self.publishing.values().all(everyone), MACHINE, "COORD-4", || {
            "a checkpoint is being published that not every subtask has acknowledged".into()
        })?;
        Violation::unless(!self.pending.values().any(everyone), MACHINE, "COORD-4", || {
            "a fully acknowledged checkpoint is still pending".into()
        })?;
        let newest = self.pending.keys().chain(self.publishing.keys()).max();
        Violation::unless(
            newest.is_none_or(|newest| *newest < self.next_checkpoint),
            MACHINE,
            "COORD-2",
            || format!("checkpoint {newest:?} is not below the next id {}", self.next_checkpoint),
        )?;
        Violation::unless(self.queue.len() <= self.config.max_queued_requests, MACHINE, "COORD-35", || {
            format!("{} requests wait", self.queue.len())
        })?;
        Violation::unless(self.retained.len() <= self.config.retained, MACHINE, "COORD-12", || {
            format!("{} checkpoints are retained", self.retained.len())
        })
    }

    /// Drives the publisher and acts on what it decides.
    fn publish(&mut self, now: Millis, input: publish::Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        let mut decisions = Vec::new();
        self.publisher.on(now, input, &mut decisions)?;
        for decision in decisions {
            match decision {
                publish::Output::Perform { ticket, operation } => {
                    out.push(Output::Perform { ticket, operation });
                }
                publish::Output::Skipping(skipped) => out.push(Output::Skipping(skipped)),
                publish::Output::Recovered(recovered) => self.recovered(now, recovered, out),
                publish::Output::RecoveryFailed(failure) => self.recovery_failed(failure, out),
                publish::Output::Published(checkpoint) => self.published(now, checkpoint, out),
                publish::Output::PublicationFailed { checkpoint, cause } => {
                    self.abort(now, checkpoint, AbortReason::PublicationFailed(cause), out);
                }
                publish::Output::Fenced => self.fenced(now, out),
                publish::Output::RetirementEnded { is_ours } => self.retired(now, is_ours, out),
                publish::Output::DeletePointer(sequence) => out.push(Output::DeletePointer(sequence)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
