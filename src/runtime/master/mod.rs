//! The coordinator's thread: it feeds the coordinator's machine and carries out what the machine answers.

mod answers;
mod cleanup;
mod start;
mod target;
mod tasks;
mod trouble;

use super::builder::Job;
use super::clock::Clock;
use super::control::{RequestedCheckpoint, Wish};
use super::error::{JobError, RequestError, TaskError};
use super::io::{IoPool, IoQueue};
use super::options::JobOptions;
use super::progress::{CheckpointSummary, JobSummary, Meters};
use super::task::{Control, Report, TaskReport, discard, guarded, report_leftover};
use crate::base::{Attempt, CheckpointId, CompletedCheckpoint, Millis, SubtaskId};
use crate::coordinator::{Coordinator, Input, JobStatus, Outcome, Output, Refusal, Restore};
use crate::publish::{Answer, Operation, Ticket};
use crate::store::{CheckpointStorage, SavepointTarget, StorageError, perform};
use crate::subtask::Durations;
use answers::Answers;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, never};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use target::{Aimed, Copies};
use tasks::Tasks;
use trouble::{Trouble, uncertain};

enum Message {
    Task(TaskReport),
    Storage(Ticket, Answer, Option<StorageError>),
    Stopped(Attempt),
    /// A deletion or a listing has ended.
    Cleaned(Input),
    User(Wish),
    /// Somebody has looked at the directory of a request.
    TargetOpened(Aimed, Result<Arc<dyn SavepointTarget>, TaskError>),
}

/// What is measured of a checkpoint until it ends.
#[derive(Clone, Copy, Default)]
struct Measured {
    triggered: Millis,
    longest: Durations,
}

struct Master {
    job: Job,
    options: JobOptions,
    storage: Arc<dyn CheckpointStorage>,
    /// What the coordinator was told of the checkpoint that is given.
    given: Option<Restore>,
    coordinator: Coordinator,
    clock: Clock,
    meters: Meters,
    messages: Sender<Message>,
    reports: Sender<TaskReport>,
    tasks: Tasks,
    under_way: BTreeMap<CheckpointId, Measured>,
    answers: Answers,
    copies: Copies,
    /// Looks at directories for savepoints, once there was one to look at.
    looker: Option<IoQueue>,
    trouble: Trouble,
    outcome: Option<Outcome>,
}

impl Master {
    fn run(
        mut self,
        pool: &IoPool,
        inbox: Receiver<Message>,
        reports: &Receiver<TaskReport>,
    ) -> Result<JobSummary, JobError> {
        let Some(io) = pool.queue() else { return Err(JobError::CoordinatorPanicked) };
        let mut inputs = VecDeque::from([Input::JobStarted]);
        while self.outcome.is_none() {
            while let Some(input) = inputs.pop_front() {
                let mut outputs = Vec::new();
                if let Err(misuse) = self.coordinator.on(self.clock.now(), input, &mut outputs) {
                    tracing::error!(%misuse, "the coordinator was misused");
                }
                debug_assert_eq!(self.coordinator.check(), Ok(()));
                for output in outputs {
                    inputs.extend(self.carry_out(output, &io));
                }
                self.tell_status();
            }
            if self.outcome.is_none() {
                inputs.extend(self.next(&inbox, reports));
            }
        }
        self.tasks.cancel_and_join();
        for message in inbox.try_iter() {
            if let Message::User(Wish::Request { answer, .. }) = message {
                let _ = answer.send(Err(RequestError::Refused(Refusal::JobEnding)));
            }
        }
        // Whoever asks from now on hears at once that nobody is there, whatever is still copied.
        drop(inbox);
        // Whose directory is still being looked at has not come to the coordinator.
        self.answers.refuse_rest();
        let (progress, elapsed) = (self.meters.read(), self.clock.now());
        let end = self.trouble.end(self.outcome, &self.job)?;
        Ok(JobSummary { end, progress, elapsed })
    }

    /// Waits for a message or for the machine's deadline.
    fn next(&mut self, inbox: &Receiver<Message>, reports: &Receiver<TaskReport>) -> Option<Input> {
        let deadline = self.coordinator.deadline().and_then(|deadline| self.clock.instant(deadline));
        let timer = deadline.map_or_else(never, crossbeam_channel::at);
        let message = crossbeam_channel::select_biased! {
            recv(inbox) -> message => message.map_err(|_| RecvTimeoutError::Disconnected),
            recv(reports) -> report => report.map(Message::Task).map_err(|_| RecvTimeoutError::Disconnected),
            recv(timer) -> _ => Err(RecvTimeoutError::Timeout),
        };
        match message {
            Ok(Message::Task(TaskReport { attempt, subtask, report })) => self.task(attempt, subtask, report),
            Ok(Message::Storage(ticket, answer, error)) => {
                self.meters.storage_answered(self.clock.now(), error.as_ref());
                if let Some(error) = &error {
                    tracing::warn!(%error, "a storage operation failed");
                    let publishing = self.coordinator.publisher().publishing();
                    self.trouble.part = publishing.map(|checkpoint| (checkpoint, error.to_string()));
                }
                self.trouble.storage = error;
                Some(Input::StorageAnswered { ticket, answer })
            }
            Ok(Message::Stopped(attempt)) => Some(Input::TasksStopped { attempt }),
            Ok(Message::Cleaned(input)) => Some(input),
            Ok(Message::User(wish)) => self.wish(wish),
            Ok(Message::TargetOpened(aimed, opened)) => self.target_opened(aimed, opened),
            Err(_) => Some(Input::Tick),
        }
    }

    fn wish(&mut self, wish: Wish) -> Option<Input> {
        match wish {
            Wish::Request { kind, target, answer } => {
                let request = self.answers.ask(answer);
                let Some(directory) = target else {
                    return Some(Input::CheckpointRequested { request, kind });
                };
                self.open_target(Aimed { request, kind, directory })
            }
            Wish::SwitchPeriodicCheckpoints(on) => Some(Input::PeriodicCheckpointsSwitched { on }),
            Wish::Cancel => Some(Input::CancelRequested),
            Wish::Suspend => Some(Input::SuspendRequested),
        }
    }

    fn tell_status(&self) {
        let outcome = self.outcome.map(JobStatus::from);
        let ended = outcome.map(|_| self.clock.now());
        if let Some(status) = outcome.or_else(|| self.coordinator.status()) {
            self.meters.update(|progress| (progress.status, progress.ended) = (status, ended));
        }
    }

    fn task(&mut self, attempt: Attempt, subtask: SubtaskId, report: Report) -> Option<Input> {
        match report {
            Report::Running => self.tasks.runs(attempt, subtask).then_some(Input::TasksRunning { attempt }),
            Report::Acknowledge(checkpoint, handle, shared, durations) => {
                if let Some(measured) = self.under_way.get_mut(&checkpoint) {
                    measured.longest = measured.longest.longest(durations);
                }
                let now = self.clock.now();
                self.meters.update_history(|history| history.acknowledged(checkpoint, now));
                Some(Input::AcknowledgeArrived { attempt, subtask, checkpoint, handle, shared })
            }
            Report::Decline(checkpoint, reason) => {
                Some(Input::DeclineArrived { attempt, subtask, checkpoint, reason })
            }
            Report::EndOfData => Some(Input::EndOfDataReported { attempt, subtask }),
            Report::Backlog(has_backlog) => Some(Input::BacklogReported { attempt, subtask, has_backlog }),
            Report::Finished => Some(Input::TaskFinished { attempt, subtask }),
            Report::Failed(error) => {
                tracing::error!(%error, %subtask, %attempt, "a task failed");
                let unrecoverable = error.is_unrecoverable();
                self.trouble.task_failed(attempt, subtask, error.to_string());
                Some(Input::TaskFailed { attempt, subtask, unrecoverable })
            }
            Report::Trouble(checkpoint, cause) => {
                tracing::warn!(%cause, %checkpoint, %subtask, "a part of a checkpoint failed");
                self.trouble.part_failed(checkpoint, subtask, &cause, &self.job);
                None
            }
        }
    }

    fn carry_out(&mut self, output: Output, io: &IoQueue) -> Option<Input> {
        match output {
            Output::Perform { ticket, operation } => self.perform(ticket, operation, io),
            Output::Skipping(skipped) => {
                let cause = self.trouble.storage.as_ref().map(ToString::to_string).unwrap_or_default();
                tracing::error!(?skipped, %cause, "a checkpoint cannot be read and is left out");
            }
            Output::StartTasks(recovered) => return self.start_tasks(&recovered, io),
            Output::CancelTasks { attempt } => self.cancel_tasks(attempt),
            Output::PlaceSavepoint { savepoint, attempt, request } => {
                self.answers.place(request, savepoint, attempt);
            }
            Output::Trigger { subtask, attempt, checkpoint, options } => {
                let triggered = self.clock.now();
                let measured = Measured { triggered, longest: Durations::default() };
                self.under_way.entry(checkpoint).or_insert(measured);
                let subtasks = self.tasks.count();
                self.meters.update_history(|history| {
                    history.triggered(checkpoint, options.kind(), triggered, subtasks);
                });
                self.tasks.tell(attempt, subtask, Control::Trigger(checkpoint, options));
            }
            Output::NotifyComplete { subtask, attempt, checkpoint } => {
                self.tasks.tell(attempt, subtask, Control::Complete(checkpoint));
            }
            Output::NotifyAborted { subtask, attempt, checkpoint, newest_completed } => {
                self.tasks.tell(attempt, subtask, Control::Abort(checkpoint, newest_completed));
            }
            Output::DrainSource { subtask, attempt } => self.tasks.tell(attempt, subtask, Control::Drain),
            Output::Completed(checkpoint) => self.completed(&checkpoint),
            Output::Aborted { checkpoint, reason } => {
                tracing::warn!(%checkpoint, ?reason, "checkpoint aborted");
                self.under_way.remove(&checkpoint);
                self.trouble.aborted(checkpoint, reason, self.options.checkpoint_timeout);
                self.meters.update(|progress| progress.aborted += 1);
                let now = self.clock.now();
                self.meters.update_history(|history| history.failed(checkpoint, now, reason));
            }
            Output::DiscardState(file) => self.clean(io, move |storage| discard(storage, file)),
            Output::DeleteCheckpoint(id) => self.delete(id, io),
            Output::DeletePointer(sequence) => {
                self.clean(io, move |storage| report_leftover(storage.delete_pointer(sequence)));
            }
            Output::DeleteShared(object) => self.delete_shared(object, io),
            Output::ListShared => self.list_shared(io),
            Output::RequestAnswered { request, outcome } => {
                tracing::info!(request = request.0, ?outcome, "request answered");
                if let Some(copy) = self.answers.answer(request, outcome) {
                    self.copy(copy, io);
                }
            }
            Output::JobEnded(outcome) => self.outcome = Some(outcome),
        }
        None
    }

    fn completed(&mut self, checkpoint: &CompletedCheckpoint) {
        let Measured { triggered, longest } = self.under_way.remove(&checkpoint.id).unwrap_or_default();
        let now = self.clock.now();
        let duration = now.since(triggered);
        let (id, kind, bytes) = (checkpoint.id, checkpoint.kind, checkpoint.state_bytes());
        tracing::info!(checkpoint = %id, %kind, %duration, bytes, ?longest, "checkpoint completed");
        self.meters.update(|progress| {
            progress.completed += 1;
            progress.last = Some(CheckpointSummary { id, kind, duration, longest, bytes });
        });
        let external_path = match kind.is_savepoint() {
            true => self.storage.savepoint_name(id, checkpoint.attempt),
            false => self.storage.checkpoint_name(id),
        };
        self.meters.update_history(|history| history.completed(checkpoint, now, external_path.clone()));
        self.answers.completed(RequestedCheckpoint { id, external_path });
    }

    fn perform(&self, ticket: Ticket, operation: Operation, io: &IoQueue) {
        let storage = Arc::clone(&self.storage);
        let description = self.job.description.clone();
        let messages = self.messages.clone();
        io.run(move || {
            let performed = guarded(|| Ok(perform(&*storage, &description, operation)));
            // Nobody knows how far a storage that panics has come.
            let (answer, error) =
                performed.unwrap_or_else(|panic| (Answer::Unknown, Some(uncertain(&panic))));
            let _ = messages.send(Message::Storage(ticket, answer, error));
        });
    }
}
