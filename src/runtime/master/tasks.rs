//! The threads of the attempt that runs: how they are started, told and ended.

use super::super::error::TaskError;
use super::super::function::SubtaskContext;
use super::super::history::RestoredCheckpoint;
use super::super::io::IoQueue;
use super::super::restore::RestoredFrom;
use super::super::task::{Control, Environment, Report, TaskReport, guarded};
use super::{Master, Message};
use crate::base::{Attempt, CompletedCheckpoint, Ownership, SubtaskId};
use crate::codec::CheckpointMetadata;
use crate::coordinator::Input;
use crate::publish::Recovered;
use crate::rescale::StateAssignment;
use crate::state::ExpiredButPresent;
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;

#[derive(Default)]
pub(super) struct Tasks {
    attempt: Attempt,
    controls: BTreeMap<SubtaskId, Sender<Control>>,
    threads: Vec<JoinHandle<()>>,
    running: BTreeSet<SubtaskId>,
}

impl Tasks {
    pub(super) fn tell(&self, attempt: Attempt, subtask: SubtaskId, message: Control) {
        if attempt == self.attempt
            && let Some(control) = self.controls.get(&subtask)
        {
            // A task that is gone has reported why.
            let _ = control.send(message);
        }
    }

    /// Takes note of a task that runs, and says whether all of this attempt do now.
    pub(super) fn runs(&mut self, attempt: Attempt, subtask: SubtaskId) -> bool {
        if attempt != self.attempt {
            return false;
        }
        self.running.insert(subtask);
        self.running.len() == self.controls.len()
    }

    /// How many have been started.
    pub(super) fn count(&self) -> usize {
        self.controls.len()
    }

    fn cancel(&self) {
        for control in self.controls.values() {
            let _ = control.send(Control::Cancel);
        }
    }

    pub(super) fn cancel_and_join(&mut self) {
        self.cancel();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for Tasks {
    /// No task outlives the coordinator's thread, even if that panics.
    fn drop(&mut self) {
        self.cancel_and_join();
    }
}

impl Master {
    /// Starts a thread for every subtask that had not finished. Each restores its own state and reports when it runs.
    pub(super) fn start_tasks(&mut self, recovered: &Recovered, io: &IoQueue) -> Option<Input> {
        let attempt = recovered.attempt;
        self.tasks = Tasks::default();
        self.tasks.attempt = attempt;
        let newest = recovered.newest.as_ref();
        let restored_from = newest.map(|checkpoint| checkpoint.id);
        let restarts = self.coordinator.restarts();
        self.meters.update(|progress| {
            (progress.attempt, progress.restored_from, progress.restarts) =
                (attempt, restored_from, restarts);
            progress.expired_but_present = ExpiredButPresent::default();
        });
        let at = self.clock.now();
        if let Some(restored) =
            newest.map(|newest| RestoredCheckpoint { id: newest.id, kind: newest.kind, at })
        {
            self.meters.update_history(|history| history.restored(restored));
        }
        tracing::info!(%attempt, ?restored_from, "starting tasks");
        let assignment = match newest.map(|newest| self.assign(attempt, newest)) {
            Some(Err(failure)) => return Some(*failure),
            assigned => assigned.and_then(Result::ok),
        };
        let had_finished = |subtask| newest.is_some_and(|newest| newest.had_finished(subtask));
        self.open_channels(had_finished);
        let mut failure = None;
        for (subtask, spec) in self.job.subtasks().filter(|(subtask, _)| !had_finished(*subtask)) {
            let (sender, control) = unbounded();
            self.tasks.controls.insert(subtask, sender.clone());
            let context = SubtaskContext { subtask, parallelism: spec.metadata.parallelism, attempt };
            let restored = match &assignment {
                Some((assignment, from)) => from.clone().assign(assignment, &self.job, subtask),
                None => RestoredFrom::nothing(Arc::clone(&self.storage)),
            };
            let environment =
                self.environment(context, (restored, recovered.ownership), io, (sender, control));
            let body = (spec.body)(context);
            let reports = self.reports.clone();
            let name = format!("{}-{}", spec.metadata.uid, subtask.index);
            let thread = std::thread::Builder::new().name(name).spawn(move || {
                let report = match guarded(|| body(environment)) {
                    Ok(()) => Report::Finished,
                    Err(TaskError::Cancelled) => return,
                    Err(error) => Report::Failed(error),
                };
                let _ = reports.send(TaskReport { attempt, subtask, report });
            });
            match thread {
                Ok(thread) => self.tasks.threads.push(thread),
                Err(error) => failure = Some((subtask, format!("its thread cannot be started: {error}"))),
            }
        }
        let (subtask, cause) = failure?;
        // Closes the channels that nobody reads, so that nobody waits for room in them.
        self.open_channels(|_| false);
        self.trouble.task_failed(attempt, subtask, cause);
        Some(Input::TaskFailed { attempt, subtask, unrecoverable: false })
    }

    /// New channels; those from subtasks that had finished are at their end.
    fn open_channels(&self, had_finished: impl Fn(SubtaskId) -> bool) {
        for (number, operator) in self.job.operators.iter().enumerate() {
            let finished = |index| had_finished(SubtaskId::new(number as u16, index));
            (operator.open_outputs)(self.options.channel_capacity, &finished);
        }
    }

    fn environment(
        &self,
        context: SubtaskContext,
        (restored, ownership): (RestoredFrom, Ownership),
        io: &IoQueue,
        (control_sender, control): (Sender<Control>, Receiver<Control>),
    ) -> Environment {
        Environment {
            job: self.job.description.job,
            context,
            control,
            control_sender,
            reports: self.reports.clone(),
            io: io.clone(),
            storage: Arc::clone(&self.storage),
            clock: self.clock,
            processing_time: self.options.processing_time.clone(),
            meters: self.meters.clone(),
            mode: self.options.mode,
            batch_records: self.options.batch_records,
            state_backend: self.options.state_backend.clone(),
            incremental: self.options.incremental,
            snapshot_compression: self.options.snapshot_compression,
            output_sizes: self.options.output_sizes(),
            restored,
            ownership,
            restored_checksums: BTreeMap::new(),
        }
    }

    /// What the subtasks start from, and where it lies; or the failure to start from a checkpoint that cannot be read, or does not
    /// fit.
    fn assign(
        &mut self,
        attempt: Attempt,
        checkpoint: &CompletedCheckpoint,
    ) -> Result<(StateAssignment, RestoredFrom), Box<Input>> {
        let subtask = SubtaskId::new(0, 0);
        let unrecoverable = match self.metadata_of(checkpoint) {
            Ok((metadata, from)) => match self.job.assign(&metadata, self.options.allow_non_restored_state) {
                Ok(assignment) => {
                    tracing::info!("restored from {assignment}");
                    let operators: Vec<_> =
                        assignment.operators.iter().map(|assigned| assigned.operator.clone()).collect();
                    match self.job.adopt(&operators) {
                        Ok(()) => {
                            self.meters.set_operators(&operators);
                            return Ok((assignment, from));
                        }
                        Err(error) => {
                            self.trouble.task_failed(attempt, subtask, error.to_string());
                            true
                        }
                    }
                }
                Err(misfit) => {
                    // Whoever starts the right job still finds everything.
                    self.trouble.incompatible = Some(misfit);
                    return Err(Box::new(Input::SuspendRequested));
                }
            },
            Err(error) => {
                self.trouble.task_failed(attempt, subtask, error.to_string());
                error.is_unrecoverable()
            }
        };
        Err(Box::new(Input::TaskFailed { attempt, subtask, unrecoverable }))
    }

    fn metadata_of(
        &self,
        checkpoint: &CompletedCheckpoint,
    ) -> Result<(CheckpointMetadata, RestoredFrom), TaskError> {
        if let (Some(given), Some(told)) = (&self.options.restore, &self.given)
            && told.checkpoint == *checkpoint
        {
            let from = RestoredFrom::nothing(Arc::clone(given.storage()));
            return Ok((given.metadata().clone(), from.of_another_job(told)));
        }
        let id = checkpoint.id;
        let metadata = guarded(|| Ok(self.storage.read_metadata(id)?))?;
        // Without a word about its operators nothing can be restored from it.
        let missing = || TaskError::User(format!("the metadata of checkpoint {id} is gone").into());
        Ok((metadata.ok_or_else(missing)?, RestoredFrom::nothing(Arc::clone(&self.storage))))
    }

    /// Ends the tasks, and reports when they are gone.
    pub(super) fn cancel_tasks(&mut self, attempt: Attempt) {
        self.tasks.cancel();
        let threads = std::mem::take(&mut self.tasks.threads);
        let messages = self.messages.clone();
        let wait = move || {
            for thread in threads {
                let _ = thread.join();
            }
            let _ = messages.send(Message::Stopped(attempt));
        };
        if std::thread::Builder::new().name("snapline-join".into()).spawn(wait).is_err() {
            let _ = self.messages.send(Message::Stopped(attempt));
        }
    }
}
