//! The coordinator's thread: it feeds the coordinator's machine and carries out what the machine answers.

use super::builder::Job;
use super::clock::Clock;
use super::error::{JobError, TaskError};
use super::function::SubtaskContext;
use super::io::{IoPool, IoQueue};
use super::options::JobOptions;
use super::progress::{CheckpointSummary, JobEnd, JobSummary, Meters, Progress};
use super::task::{Control, Environment, Report, TaskReport, discard, guarded, report_leftover};
use crate::base::{Attempt, CheckpointId, Millis, SubtaskId};
use crate::coordinator::{
    AbortReason, Config, Coordinator, Input, Outcome, Output, RequestId, RequestKind, Retention, StopMode,
};
use crate::publish::{self, Answer, Operation, Recovered, Ticket};
use crate::store::{CheckpointStorage, StorageError, perform};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded, never, unbounded};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The threads that wait for storages.
const IO_THREADS: usize = 4;
/// How long to wait before a storage operation is repeated, and how often during a recovery.
const RETRY_PAUSE: Millis = Millis(200);
const RECOVERY_RETRIES: u32 = 25;
/// How many requests for checkpoints may wait, as in Flink.
const MAX_QUEUED_REQUESTS: usize = 1_000;

enum Message {
    Task(TaskReport),
    Storage(Ticket, Answer, Option<StorageError>),
    Stopped(Attempt),
    /// A deletion or a listing has ended.
    Cleaned(Input),
    Stop,
}

/// A job that runs, or has run.
pub struct JobHandle {
    control: JobControl,
    meters: Meters,
    /// Closes when the thread ends.
    ended: Receiver<()>,
    thread: JoinHandle<Result<JobSummary, JobError>>,
}

/// Stops a job from anywhere.
#[derive(Clone)]
pub struct JobControl {
    messages: Sender<Message>,
}

impl JobControl {
    /// Stops the job with a checkpoint from which it can go on. Returns at once.
    pub fn stop(&self) {
        // Nobody listens once the job has ended.
        let _ = self.messages.send(Message::Stop);
    }
}

impl JobHandle {
    /// How the job goes on.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.meters.read()
    }

    /// What stops the job, for other threads.
    #[must_use]
    pub fn control(&self) -> JobControl {
        self.control.clone()
    }

    /// Waits for the end of the job, but not longer than `timeout`, and says whether it has ended.
    #[must_use]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.ended.recv_timeout(timeout) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits for the end of the job.
    ///
    /// # Errors
    /// Whatever kept the job from finishing.
    pub fn wait(self) -> Result<JobSummary, JobError> {
        self.thread.join().unwrap_or(Err(JobError::CoordinatorPanicked))
    }
}

impl Job {
    /// Starts the job on threads of its own: from its newest checkpoint in `storage`, or from the beginning
    /// if none was ever published there.
    ///
    /// # Errors
    /// The options make no sense, or a thread cannot be started.
    pub fn start(
        self,
        options: JobOptions,
        storage: Arc<dyn CheckpointStorage>,
    ) -> Result<JobHandle, JobError> {
        if let Some(contradiction) = options.contradiction() {
            return Err(JobError::Invalid(contradiction.into()));
        }
        let coordinator = Coordinator::new(configuration(&self, &options))
            .map_err(|misuse| JobError::Invalid(misuse.what))?;
        let no_thread =
            |error: std::io::Error| JobError::Invalid(format!("no thread can be started: {error}"));
        let pool = IoPool::start(IO_THREADS).map_err(no_thread)?;
        let (messages, inbox) = unbounded();
        let (reports, task_reports) = unbounded();
        let meters = Meters::default();
        let master = Master {
            job: self,
            options,
            storage,
            coordinator,
            clock: Clock::start(),
            meters: meters.clone(),
            messages: messages.clone(),
            reports,
            tasks: Tasks::default(),
            triggered: BTreeMap::new(),
            requests: 0,
            trouble: Trouble::default(),
            outcome: None,
        };
        let (end, ended) = bounded(0);
        let thread = std::thread::Builder::new()
            .name("snapline-coordinator".into())
            .spawn(move || {
                let _end: Sender<()> = end;
                master.run(&pool, &inbox, &task_reports)
            })
            .map_err(no_thread)?;
        Ok(JobHandle { control: JobControl { messages }, meters, ended, thread })
    }
}

fn configuration(job: &Job, options: &JobOptions) -> Config {
    Config {
        job: job.description.job,
        subtasks: job.subtasks().map(|(subtask, _)| subtask).collect(),
        sources: job.subtasks().filter(|(_, spec)| spec.is_source).map(|(subtask, _)| subtask).collect(),
        // Tasks finish together, so that nobody but the sources is ever triggered.
        edges: Vec::new(),
        interval: options.checkpoint_interval,
        interval_during_backlog: None,
        timeout: options.checkpoint_timeout,
        min_pause: options.min_pause,
        unaligned: options.unaligned.then_some(options.aligned_checkpoint_timeout),
        max_concurrent: options.max_concurrent_checkpoints,
        force_savepoints: true,
        max_queued_requests: MAX_QUEUED_REQUESTS,
        tolerable_failures: options.tolerable_failed_checkpoints,
        retained: options.retained_checkpoints,
        retention: Retention::RETAIN_ALWAYS,
        restart: options.restart,
        restore: None,
        publish: publish::Config {
            incarnation: options.incarnation,
            retry_pause: RETRY_PAUSE,
            recovery_retries: RECOVERY_RETRIES,
            segment: publish::Config::SEGMENT,
            on_corruption: options.on_corruption,
        },
    }
}

/// The threads of the attempt that runs.
#[derive(Default)]
struct Tasks {
    attempt: Attempt,
    controls: BTreeMap<SubtaskId, Sender<Control>>,
    threads: Vec<JoinHandle<()>>,
    running: BTreeSet<SubtaskId>,
}

impl Tasks {
    fn cancel(&self) {
        for control in self.controls.values() {
            let _ = control.send(Control::Cancel);
        }
    }
}

impl Drop for Tasks {
    /// No task outlives the coordinator's thread, even if that panics.
    fn drop(&mut self) {
        self.cancel();
    }
}

/// What went wrong last, for the error message: machines need no text.
#[derive(Default)]
struct Trouble {
    /// The first failure of an attempt: others may follow from it.
    task: Option<(Attempt, SubtaskId, String)>,
    /// The failure of a part of a checkpoint, or of its publication.
    part: Option<(CheckpointId, String)>,
    /// Why the last checkpoint that was aborted was aborted.
    checkpoint: Option<String>,
    /// What was wrong with the last answer of the storage, if anything.
    storage: Option<StorageError>,
    incompatible: Option<JobError>,
}

impl Trouble {
    fn task_failed(&mut self, attempt: Attempt, subtask: SubtaskId, cause: String) {
        if self.task.as_ref().is_none_or(|(known, ..)| *known != attempt) {
            self.task = Some((attempt, subtask, cause));
        }
    }

    fn aborted(&mut self, checkpoint: CheckpointId, reason: AbortReason, timeout: Millis) {
        if !reason.counts_as_failure() {
            return;
        }
        let cause = match self.part.take_if(|(id, _)| *id == checkpoint) {
            Some((_, cause)) if reason != AbortReason::Expired => cause,
            _ if reason == AbortReason::Expired => format!("it was not complete after {timeout}"),
            _ => format!("{reason:?}"),
        };
        self.checkpoint = Some(format!("checkpoint {checkpoint}: {cause}"));
    }
}

/// What is known of an operation during which the storage panicked.
fn uncertain(panic: &TaskError) -> StorageError {
    let source = std::io::Error::other(panic.to_string());
    StorageError::Uncertain { object: "an object".into(), source }
}

struct Master {
    job: Job,
    options: JobOptions,
    storage: Arc<dyn CheckpointStorage>,
    coordinator: Coordinator,
    clock: Clock,
    meters: Meters,
    messages: Sender<Message>,
    reports: Sender<TaskReport>,
    tasks: Tasks,
    triggered: BTreeMap<CheckpointId, Millis>,
    /// How many requests were made so far.
    requests: u64,
    trouble: Trouble,
    outcome: Option<Outcome>,
}

impl Master {
    fn run(
        mut self,
        pool: &IoPool,
        inbox: &Receiver<Message>,
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
            }
            if self.outcome.is_none() {
                inputs.extend(self.next(inbox, reports));
            }
        }
        self.tasks.cancel();
        for thread in self.tasks.threads.drain(..) {
            let _ = thread.join();
        }
        self.end()
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
            Ok(Message::Stop) => Some(self.stop_request()),
            Err(_) => Some(Input::Tick),
        }
    }

    /// A wish to stop with a checkpoint from which the job can go on.
    fn stop_request(&mut self) -> Input {
        self.requests += 1;
        let request = RequestId(self.requests);
        Input::CheckpointRequested { request, kind: RequestKind::Stop(StopMode::Suspend) }
    }

    fn task(&mut self, attempt: Attempt, subtask: SubtaskId, report: Report) -> Option<Input> {
        match report {
            Report::Running => {
                if attempt == self.tasks.attempt {
                    self.tasks.running.insert(subtask);
                }
                let all = self.tasks.running.len() == self.tasks.controls.len();
                (all && attempt == self.tasks.attempt).then_some(Input::TasksRunning { attempt })
            }
            Report::Acknowledge(checkpoint, handle) => {
                // The heap backend shares no files.
                Some(Input::AcknowledgeArrived { attempt, subtask, checkpoint, handle, shared: None })
            }
            Report::Decline(checkpoint, reason) => {
                Some(Input::DeclineArrived { attempt, subtask, checkpoint, reason })
            }
            Report::EndOfData => Some(Input::EndOfDataReported { attempt, subtask }),
            Report::Finished => Some(Input::TaskFinished { attempt, subtask }),
            Report::Failed(error) => {
                tracing::error!(%error, %subtask, %attempt, "a task failed");
                let unrecoverable = error.is_unrecoverable();
                self.trouble.task_failed(attempt, subtask, error.to_string());
                Some(Input::TaskFailed { attempt, subtask, unrecoverable })
            }
            Report::Trouble(checkpoint, cause) => {
                tracing::warn!(%cause, %checkpoint, %subtask, "a part of a checkpoint failed");
                self.trouble.part = Some((checkpoint, cause));
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
            Output::CancelTasks { attempt } => self.cancel_and_join(attempt),
            Output::Trigger { subtask, attempt, checkpoint, options } => {
                self.triggered.entry(checkpoint).or_insert_with(|| self.clock.now());
                self.tell(attempt, subtask, Control::Trigger(checkpoint, options));
            }
            Output::NotifyComplete { subtask, attempt, checkpoint } => {
                self.tell(attempt, subtask, Control::Complete(checkpoint));
            }
            Output::NotifyAborted { subtask, attempt, checkpoint, .. } => {
                self.tell(attempt, subtask, Control::Abort(checkpoint));
            }
            Output::Completed(checkpoint) => {
                let triggered = self.triggered.remove(&checkpoint.id).unwrap_or_default();
                let duration = self.clock.now().since(triggered);
                let last = CheckpointSummary { id: checkpoint.id, duration, bytes: checkpoint.state_bytes() };
                tracing::info!(checkpoint = %last.id, %duration, bytes = last.bytes, "checkpoint completed");
                self.meters.update(|progress| {
                    progress.completed += 1;
                    progress.last = Some(last);
                });
            }
            Output::Aborted { checkpoint, reason } => {
                tracing::warn!(%checkpoint, ?reason, "checkpoint aborted");
                self.triggered.remove(&checkpoint);
                self.trouble.aborted(checkpoint, reason, self.options.checkpoint_timeout);
                self.meters.update(|progress| progress.aborted += 1);
            }
            Output::DiscardState(file) => self.clean(io, move |storage| discard(storage, file)),
            Output::DeleteCheckpoint(id) => {
                let messages = self.messages.clone();
                self.clean(io, move |storage| {
                    let deleted = guarded(|| {
                        report_leftover(storage.delete_checkpoint(id));
                        Ok(())
                    });
                    if let Err(panic) = deleted {
                        tracing::warn!(%panic, checkpoint = %id, "a deletion failed");
                    }
                    let _ = messages.send(Message::Cleaned(Input::CleanupEnded { checkpoint: id }));
                });
            }
            Output::DeleteShared(object) => {
                let messages = self.messages.clone();
                self.clean(io, move |storage| {
                    let deleted = guarded(|| Ok(storage.delete_shared(&object)?));
                    if let Err(error) = &deleted {
                        tracing::warn!(%error, "a shared file could not be deleted");
                    }
                    let is_deleted = deleted.is_ok();
                    let _ =
                        messages.send(Message::Cleaned(Input::SharedDeletionEnded { object, is_deleted }));
                });
            }
            Output::ListShared => {
                let messages = self.messages.clone();
                self.clean(io, move |storage| match guarded(|| Ok(storage.list_shared()?)) {
                    Ok(objects) => {
                        let _ = messages.send(Message::Cleaned(Input::SharedListed { objects }));
                    }
                    Err(error) => tracing::warn!(%error, "the shared files cannot be listed"),
                });
            }
            Output::DeletePointer(sequence) => {
                self.clean(io, move |storage| report_leftover(storage.delete_pointer(sequence)));
            }
            Output::RequestAnswered { request, outcome } => {
                tracing::info!(request = request.0, ?outcome, "request answered");
            }
            // Nobody can ask for it yet.
            Output::DrainSource { .. } => {}
            Output::JobEnded(outcome) => self.outcome = Some(outcome),
        }
        None
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

    fn clean(&self, io: &IoQueue, work: impl FnOnce(&dyn CheckpointStorage) + Send + 'static) {
        let storage = Arc::clone(&self.storage);
        io.run(move || work(&*storage));
    }

    fn tell(&self, attempt: Attempt, subtask: SubtaskId, message: Control) {
        if attempt == self.tasks.attempt
            && let Some(control) = self.tasks.controls.get(&subtask)
        {
            // A task that is gone has reported why.
            let _ = control.send(message);
        }
    }

    /// Starts a thread for every subtask. Each restores its own state and reports when it runs.
    fn start_tasks(&mut self, recovered: &Recovered, io: &IoQueue) -> Option<Input> {
        let attempt = recovered.attempt;
        self.tasks = Tasks::default();
        self.tasks.attempt = attempt;
        let restored_from = recovered.newest.as_ref().map(|checkpoint| checkpoint.id);
        let restarts = self.coordinator.restarts();
        self.meters.update(|progress| {
            (progress.attempt, progress.restored_from, progress.restarts) =
                (attempt, restored_from, restarts);
        });
        tracing::info!(%attempt, ?restored_from, "starting tasks");
        let first = SubtaskId::new(0, 0);
        match restored_from.map_or(Ok(None), |checkpoint| self.incompatibility(checkpoint)) {
            Ok(None) => {}
            Ok(Some(problem)) => {
                self.trouble.incompatible = Some(problem);
                return Some(Input::TaskFailed { attempt, subtask: first, unrecoverable: true });
            }
            Err(error) => {
                self.trouble.task_failed(attempt, first, error.to_string());
                let unrecoverable = error.is_unrecoverable();
                return Some(Input::TaskFailed { attempt, subtask: first, unrecoverable });
            }
        }
        for operator in &self.job.operators {
            (operator.open_outputs)(self.options.channel_capacity);
        }
        let (mut controls, mut threads, mut failure) = (BTreeMap::new(), Vec::new(), None);
        for (subtask, spec) in self.job.subtasks() {
            let (sender, control) = unbounded();
            controls.insert(subtask, sender.clone());
            let context = SubtaskContext { subtask, parallelism: spec.metadata.parallelism, attempt };
            let states = recovered.newest.as_ref().map(|checkpoint| &checkpoint.states);
            let environment = Environment {
                context,
                control,
                control_sender: sender,
                reports: self.reports.clone(),
                io: io.clone(),
                storage: Arc::clone(&self.storage),
                clock: self.clock,
                meters: self.meters.clone(),
                mode: self.options.mode,
                batch_records: self.options.batch_records,
                restored: states.and_then(|states| states.get(&subtask).copied().flatten()),
            };
            let reports = self.reports.clone();
            let body = (spec.body)(context);
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
                Ok(thread) => threads.push(thread),
                Err(error) => failure = Some((subtask, format!("its thread cannot be started: {error}"))),
            }
        }
        (self.tasks.controls, self.tasks.threads) = (controls, threads);
        let (subtask, cause) = failure?;
        for operator in &self.job.operators {
            // Closes the channels that nobody reads, so that nobody waits for room in them.
            (operator.open_outputs)(self.options.channel_capacity);
        }
        self.trouble.task_failed(attempt, subtask, cause);
        Some(Input::TaskFailed { attempt, subtask, unrecoverable: false })
    }

    /// Why the checkpoint's operators are not this job's, if so.
    fn incompatibility(&self, checkpoint: CheckpointId) -> Result<Option<JobError>, TaskError> {
        let metadata = guarded(|| Ok(self.storage.read_metadata(checkpoint)?))?;
        // Without a word about its operators nothing can be restored from it.
        let missing = || TaskError::User(format!("the metadata of checkpoint {checkpoint} is gone").into());
        let then = metadata.ok_or_else(missing)?.operators;
        let now = &self.job.description.operators;
        let what = now.iter().chain(&then).find_map(|operator| {
            let uid = &operator.uid;
            let (before, after) = (then.iter().find(|o| o.uid == *uid), now.iter().find(|o| o.uid == *uid));
            match (before, after) {
                (Some(before), Some(after)) if before.parallelism != after.parallelism => Some(format!(
                    "operator `{uid}` had parallelism {} and now has {}; rescaling is not supported yet, \
                     run it with {0}",
                    before.parallelism, after.parallelism
                )),
                (Some(before), Some(after)) if before.max_parallelism != after.max_parallelism => {
                    Some(format!(
                        "operator `{uid}` had max parallelism {} and now has {}, which can never change",
                        before.max_parallelism, after.max_parallelism
                    ))
                }
                (None, _) => Some(format!("it has no operator `{uid}`")),
                (_, None) => Some(format!("the job has no operator `{uid}` any more")),
                _ => None,
            }
        });
        Ok(what.map(|what| JobError::Incompatible { checkpoint, what }))
    }

    fn cancel_and_join(&mut self, attempt: Attempt) {
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

    fn end(self) -> Result<JobSummary, JobError> {
        let end = |end| Ok(JobSummary { end, progress: self.meters.read(), elapsed: self.clock.now() });
        let Trouble { task, checkpoint, storage, incompatible, .. } = self.trouble;
        match self.outcome {
            Some(Outcome::Finished) => end(JobEnd::Finished),
            Some(Outcome::Stopped(checkpoint)) => end(JobEnd::Stopped(checkpoint)),
            Some(Outcome::Fenced) => Err(JobError::Fenced),
            Some(Outcome::RecoveryFailed(failure)) => Err(JobError::Recovery { failure, cause: storage }),
            Some(Outcome::TooManyCheckpointFailures) => {
                Err(JobError::CheckpointsFailed { cause: checkpoint.unwrap_or_default() })
            }
            // Nobody can cancel or suspend a job yet.
            Some(Outcome::Cancelled | Outcome::Suspended)
            | Some(Outcome::RestartsExhausted | Outcome::Unrecoverable)
            | None => {
                if let Some(incompatible) = incompatible {
                    return Err(incompatible);
                }
                let (_, subtask, cause) = task.unwrap_or((Attempt(0), SubtaskId::new(0, 0), String::new()));
                let operator = self.job.operators.get(usize::from(subtask.operator));
                let operator = operator.map_or_else(String::new, |spec| spec.metadata.uid.clone());
                Err(JobError::TaskFailed { subtask, operator, cause })
            }
        }
    }
}
