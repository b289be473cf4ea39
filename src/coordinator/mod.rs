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
//! 4. Deliver [`Output::Trigger`], [`Output::NotifyComplete`] and [`Output::NotifyAborted`] to the task that each names,
//!    with the attempt; a message that is lost or late does no harm beyond the checkpoint. Report what tasks answer
//!    with the attempt *of the task*, whatever has become of it.
//! 5. Report the failure of a task as [`Input::TaskFailed`]: the coordinator decides what follows.
//! 6. When [`Coordinator::deadline`] has come, report [`Input::Tick`]: intervals, timeouts, pauses and restart delays are
//!    all in it.
//! 7. Deletions ([`Output::DiscardState`], [`Output::DeleteCheckpoint`], [`Output::DeletePointer`]) are carried out at
//!    leisure; what fails may stay. The other outputs are for people, until [`Output::JobEnded`] ends the loop.
//!
//! Specification: `spec/coordinator.md`. Flink: `CheckpointCoordinator`.

mod checkpoints;
mod config;
mod message;
mod pending;

pub use config::{Config, RestartStrategy};
pub use message::{AbortReason, Input, Outcome, Output};

use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, Millis, Misuse, SubtaskId, Violation,
};
use crate::publish::{self, Publisher, RecoveryFailure};
use pending::Pending;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

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
    phase: Phase,
    attempt: Attempt,
    restarts: u32,
    next_checkpoint: CheckpointId,
    next_trigger: Option<Millis>,
    /// The end of the minimum pause.
    earliest_trigger: Millis,
    /// The end of the pause after a failed terminal checkpoint.
    earliest_terminal: Millis,
    pending: BTreeMap<CheckpointId, Pending>,
    /// Fully acknowledged, and being published or waiting for the publisher.
    publishing: BTreeMap<CheckpointId, Pending>,
    retained: Vec<CompletedCheckpoint>,
    /// Ids of checkpoints that may have left something behind.
    found: BTreeSet<CheckpointId>,
    consecutive_failures: u32,
    exhausted_sources: BTreeSet<SubtaskId>,
    finished_tasks: BTreeSet<SubtaskId>,
    stop_requested: bool,
    /// The completed terminal checkpoint, after which tasks finish.
    terminal: Option<CheckpointId>,
}

impl Coordinator {
    /// A coordinator that has not started.
    ///
    /// # Errors
    /// [`Misuse`] when the configuration makes no sense: no subtask, a source that is no subtask, or a
    /// concurrency or number of retained checkpoints of zero.
    pub fn new(config: Config) -> Result<Self, Misuse> {
        let sources_known = config.sources.iter().all(|source| config.subtasks.contains(source));
        if config.sources.is_empty() || !sources_known || config.max_concurrent == 0 || config.retained == 0 {
            return Err(Misuse::new(MACHINE, format!("the configuration makes no sense: {config:?}")));
        }
        Ok(Coordinator {
            publisher: Publisher::new(config.publish),
            config: Settings(Arc::new(config)),
            phase: Phase::Created,
            attempt: Attempt(0),
            restarts: 0,
            next_checkpoint: CheckpointId::FIRST,
            next_trigger: None,
            earliest_trigger: Millis(0),
            earliest_terminal: Millis(0),
            pending: BTreeMap::new(),
            publishing: BTreeMap::new(),
            retained: Vec::new(),
            found: BTreeSet::new(),
            consecutive_failures: 0,
            exhausted_sources: BTreeSet::new(),
            finished_tasks: BTreeSet::new(),
            stop_requested: false,
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

    /// When the next checkpoint is due, and of which kind; `None` while there is no room for one.
    #[must_use]
    pub fn next_trigger(&self) -> Option<(Millis, CheckpointKind)> {
        self.trigger_due().map(|due| (due, self.next_kind()))
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
            Input::TasksRunning { attempt } => self.tasks_running(now, attempt),
            Input::AcknowledgeArrived { attempt, subtask, checkpoint, handle } => {
                self.acknowledge(attempt, subtask, checkpoint, handle, out);
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
                if attempt == self.attempt && self.config.sources.contains(&subtask) {
                    self.exhausted_sources.insert(subtask);
                }
            }
            Input::TaskFinished { attempt, subtask } => self.task_finished(attempt, subtask, out),
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
            Input::StopRequested => self.stop_requested = true,
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
        [restart, self.next_expiry(), self.trigger_due(), self.publisher.deadline()]
            .into_iter()
            .flatten()
            .min()
    }

    /// Its invariants, those of its publisher included.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        self.publisher.check()?;
        let under_way = self.pending.len() + self.publishing.len();
        Violation::unless(under_way <= self.config.max_concurrent, MACHINE, "COORD-3", || {
            format!("{under_way} checkpoints are under way, {} are allowed", self.config.max_concurrent)
        })?;
        let everyone = |pending: &Pending| pending.acknowledged.len() == self.config.subtasks.len();
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
        Violation::unless(self.retained.len() <= self.config.retained, MACHINE, "COORD-12", || {
            format!("{} checkpoints are retained", self.retained.len())
        })
    }

    fn recover(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Misuse> {
        self.phase = Phase::Recovering;
        self.publish(now, publish::Input::RecoveryRequested, out)
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
                publish::Output::Recovered(recovered) => self.recovered(recovered, out),
                publish::Output::RecoveryFailed(failure) => self.recovery_failed(failure, out),
                publish::Output::Published(checkpoint) => self.published(now, checkpoint, out),
                publish::Output::PublicationFailed { checkpoint, cause } => {
                    self.abort(now, checkpoint, AbortReason::PublicationFailed(cause), out);
                }
                publish::Output::Fenced => self.fenced(out),
                publish::Output::DeletePointer(sequence) => out.push(Output::DeletePointer(sequence)),
            }
        }
        Ok(())
    }

    fn recovered(&mut self, recovered: publish::Recovered, out: &mut Vec<Output>) {
        self.attempt = recovered.attempt;
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        self.next_checkpoint = self.next_checkpoint.max(recovered.next_checkpoint);
        //= spec/publish.md#pub-21-a-recovery-brings-back-what-is-retained
        //# A recovery MUST report every retained checkpoint that can be read.
        let published = recovered.older.iter().chain(&recovered.newest);
        let surplus = published.clone().count().saturating_sub(self.config.retained);
        self.found = recovered.found.iter().copied().chain(published.clone().map(|known| known.id)).collect();
        self.retained = published.skip(surplus).cloned().collect();
        self.terminal = None;
        self.exhausted_sources.clear();
        self.finished_tasks.clear();
        self.consecutive_failures = 0;
        self.phase = Phase::Deploying;
        //= spec/coordinator.md#coord-1-tasks-start-from-a-recovery
        //# An attempt MUST start its tasks only after its recovery has succeeded.
        out.push(Output::StartTasks(recovered));
    }

    fn recovery_failed(&mut self, failure: RecoveryFailure, out: &mut Vec<Output>) {
        self.phase = Phase::Ended;
        out.push(Output::JobEnded(Outcome::RecoveryFailed(failure)));
    }

    /// Another attempt has taken over. What this one wrote is left to it: deleting here could hurt it.
    //= spec/coordinator.md#coord-26-a-fenced-coordinator-deletes-nothing
    //# A fenced coordinator MUST NOT delete any state.
    fn fenced(&mut self, out: &mut Vec<Output>) {
        self.pending.clear();
        self.publishing.clear();
        match self.phase {
            Phase::Deploying | Phase::Running => {
                self.phase = Phase::Cancelling(Ending::Job(Outcome::Fenced));
                out.push(Output::CancelTasks { attempt: self.attempt });
            }
            Phase::Cancelling(_) => self.phase = Phase::Cancelling(Ending::Job(Outcome::Fenced)),
            Phase::Ended => {}
            Phase::Created | Phase::Recovering | Phase::Restarting { .. } => {
                self.phase = Phase::Ended;
                out.push(Output::JobEnded(Outcome::Fenced));
            }
        }
    }

    fn tasks_running(&mut self, now: Millis, attempt: Attempt) {
        if self.phase == Phase::Deploying && attempt == self.attempt {
            self.phase = Phase::Running;
            self.next_trigger = self.config.interval.map(|interval| now + interval);
            self.earliest_trigger = now;
            self.earliest_terminal = now;
        }
    }

    /// Stops the tasks, for a restart if one is left and for good with `outcome` otherwise.
    fn fail(&mut self, now: Millis, outcome: Outcome, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Deploying | Phase::Running) {
            return;
        }
        //= spec/coordinator.md#coord-23-one-failed-task-stops-all
        //# The failure of a task MUST stop all tasks of its attempt.
        self.suspend(now, out);
        //= spec/coordinator.md#coord-28-restarts-are-limited-by-the-strategy
        //# The tasks MUST start again only as often as the restart strategy allows.
        let ending = match self.config.restart.delay_after(self.restarts) {
            //= spec/coordinator.md#coord-33-a-failure-that-would-repeat-itself-ends-the-job
            //# A task failure that a restart cannot cure MUST end the job without a restart.
            Some(delay) if outcome != Outcome::Unrecoverable => Ending::Restart(delay),
            _ => Ending::Job(outcome),
        };
        self.phase = Phase::Cancelling(ending);
        out.push(Output::CancelTasks { attempt: self.attempt });
    }

    fn tasks_stopped(&mut self, now: Millis, attempt: Attempt, out: &mut Vec<Output>) {
        if attempt != self.attempt {
            return;
        }
        if let Phase::Cancelling(ending) = self.phase {
            match ending {
                Ending::Restart(delay) => {
                    self.restarts += 1;
                    //= spec/coordinator.md#coord-24-a-restart-waits
                    //# A restart MUST wait for the tasks to stop, for its delay and for a publication in
                    //# progress.
                    self.phase = Phase::Restarting { until: now + delay };
                }
                Ending::Job(outcome) => {
                    self.phase = Phase::Ended;
                    out.push(Output::JobEnded(outcome));
                }
            }
        }
    }

    fn task_finished(&mut self, attempt: Attempt, subtask: SubtaskId, out: &mut Vec<Output>) {
        if attempt != self.attempt || self.phase != Phase::Running || !self.config.subtasks.contains(&subtask)
        {
            return;
        }
        self.finished_tasks.insert(subtask);
        //= spec/coordinator.md#coord-22-the-job-ends-with-its-tasks
        //# The job MUST end well only when every task has finished.
        if self.finished_tasks.len() < self.config.subtasks.len() {
            return;
        }
        self.phase = Phase::Ended;
        out.push(Output::JobEnded(match self.terminal {
            Some(checkpoint) if self.exhausted_sources.len() < self.config.sources.len() => {
                Outcome::Stopped(checkpoint)
            }
            _ => Outcome::Finished,
        }));
    }
}

#[cfg(test)]
mod tests;
