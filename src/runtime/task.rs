//! What every subtask's thread has in common: it drives the checkpointing machine and carries out its outputs.

use super::clock::Clock;
use super::error::TaskError;
use super::function::{Durability, SubtaskContext};
use super::incremental::{EndOfUpload, Ended, IncrementalUploads};
use super::io::IoQueue;
use super::processing_time::ProcessingTime;
use super::progress::Meters;
use super::restore::RestoredFrom;
use super::upload::{Upload, Uploads, Written};
use crate::base::{
    Attempt, Channel, CheckpointId, CheckpointKind, CheckpointOptions, CheckpointingMode, ContentId,
    DeclineReason, JobId, Millis, Ownership, SharedObject, SharedState, StateFile, StateHandle, SubtaskId,
};
use crate::state::backend::StateBackend;
use crate::state::{ChannelState, StateError, TaskSnapshot};
use crate::store::{CheckpointStorage, OutputSizes, StorageError};
use crate::subtask::{Config, Durations, Input, Output, Subtask};
use crossbeam_channel::{Receiver, Select, Sender};
use std::collections::{BTreeMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// What a task is told.
#[derive(Debug)]
pub(super) enum Control {
    Trigger(CheckpointId, CheckpointOptions),
    Complete(CheckpointId),
    /// A checkpoint was aborted; the newest that is complete comes along.
    Abort(CheckpointId, Option<CheckpointId>),
    Drain,
    /// The transactions that the snapshot waits for are durable, or cannot be made so.
    MadeDurable(CheckpointId, Result<(), TaskError>),
    /// The state of a checkpoint is durable, as far as its shared files are.
    Uploaded(CheckpointId, Written),
    UploadFailed(CheckpointId, Written),
    Cancel,
}

/// What a task tells the coordinator's thread.
#[derive(Debug)]
pub(super) enum Report {
    Running,
    Acknowledge(CheckpointId, Option<StateHandle>, Option<SharedState>, Durations),
    Decline(CheckpointId, DeclineReason),
    EndOfData,
    /// Whether a source processes a backlog.
    Backlog(bool),
    Finished,
    Failed(TaskError),
    /// The cause of a decline, for people.
    Trouble(CheckpointId, String),
}

/// A report and where it comes from.
#[derive(Debug)]
pub(super) struct TaskReport {
    pub(super) attempt: Attempt,
    pub(super) subtask: SubtaskId,
    pub(super) report: Report,
}

/// What a subtask's thread works with.
pub(super) struct Environment {
    pub(super) job: JobId,
    pub(super) context: SubtaskContext,
    pub(super) control: Receiver<Control>,
    pub(super) control_sender: Sender<Control>,
    pub(super) reports: Sender<TaskReport>,
    pub(super) io: IoQueue,
    pub(super) storage: Arc<dyn CheckpointStorage>,
    pub(super) clock: Clock,
    pub(super) processing_time: ProcessingTime,
    pub(super) meters: Meters,
    pub(super) mode: CheckpointingMode,
    pub(super) batch_records: usize,
    pub(super) state_backend: StateBackend,
    /// Whether checkpoints refer to files of earlier ones.
    pub(super) incremental: bool,
    pub(super) snapshot_compression: bool,
    pub(super) output_sizes: OutputSizes,
    pub(super) restored: RestoredFrom,
    /// Whose the shared files are from which it is restored.
    pub(super) ownership: Ownership,
    /// The checksums of those files.
    pub(super) restored_checksums: BTreeMap<ContentId, u32>,
}

impl Environment {
    pub(super) fn report(&self, report: Report) {
        let SubtaskContext { subtask, attempt, .. } = self.context;
        // The receiver is gone only when the job is over.
        let _ = self.reports.send(TaskReport { attempt, subtask, report });
    }
}

/// What goes to every output channel beside records.
#[derive(Clone, Copy, Debug)]
pub(super) enum Marker {
    Barrier(CheckpointId, CheckpointOptions),
    Cancellation(CheckpointId),
    EndOfData,
    ChannelEnd,
}

/// What differs between sources, functions and sinks.
pub(super) trait Operator {
    /// Queues everything buffered, then the marker, for every output channel.
    fn emit(&mut self, marker: Marker);

    /// Sends what there is room for, and tells of each barrier that has left its queue and might have overtaken.
    fn send(&mut self, sent: &mut Vec<(Channel, CheckpointId)>) -> Result<(), TaskError>;

    /// Whether nothing waits in an output queue.
    fn has_sent_all(&self) -> bool {
        true
    }

    /// Whether the user's code has a union list.
    fn has_union_list(&self) -> bool {
        false
    }

    /// Moves a barrier to the head of an output queue and copies what it passes into `captured`.
    fn overtake(
        &mut self,
        channel: Channel,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        captured: &mut ChannelState,
    ) -> Result<(), StateError>;

    /// Copies what is queued in an input channel ahead of a barrier into `captured`.
    fn capture_queued(
        &mut self,
        channel: Channel,
        checkpoint: CheckpointId,
        captured: &mut ChannelState,
    ) -> Result<(), StateError> {
        let _ = (channel, checkpoint, captured);
        Ok(())
    }

    /// Makes a wait end when there is input, or room for output that waits.
    fn register<'a>(&'a self, select: &mut Select<'a>);

    /// The synchronous part; what makes transactions durable, if there are any, belongs to the asynchronous.
    fn snapshot(&mut self, checkpoint: CheckpointId, request: SnapshotRequest)
    -> Result<Snapshot, TaskError>;

    /// What makes the transactions of a snapshot durable has ended.
    fn made_durable(
        &mut self,
        checkpoint: CheckpointId,
        end: Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let _ = checkpoint;
        end
    }

    /// Lets the user's code emit what it still holds.
    fn finish_input(&mut self) -> Result<(), TaskError> {
        Ok(())
    }

    /// A checkpoint is complete and durable.
    fn completed(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let _ = checkpoint;
        Ok(())
    }
}

/// How a snapshot is to be taken.
#[derive(Clone, Copy)]
pub(super) struct SnapshotRequest {
    /// Whether the input is over.
    pub(super) input_finished: bool,
    /// Whether state that its backend keeps in files is to be captured in such.
    pub(super) in_files: bool,
}

/// The state of a subtask, and what makes its transactions durable.
pub(super) type Snapshot = (TaskSnapshot, Option<Durability>);

/// The checkpointing of one subtask: its machine and the effects under way.
pub(super) struct Checkpointing {
    machine: Subtask,
    environment: Environment,
    /// Delivers a message whenever processing time was advanced by hand.
    advances: Receiver<()>,
    snapshots: BTreeMap<CheckpointId, (CheckpointKind, Snapshot)>,
    /// The records on their way that belong to a checkpoint; an error lets its upload fail.
    captured: BTreeMap<CheckpointId, Result<ChannelState, StateError>>,
    uploads: Uploads,
    incremental: IncrementalUploads,
    end_of_data_sent: bool,
}

impl Checkpointing {
    pub(super) fn new(environment: Environment, channels: u16, outputs: u16, input_finished: bool) -> Self {
        let SubtaskContext { subtask, attempt, .. } = environment.context;
        let machine = Subtask::new(Config {
            id: subtask,
            attempt,
            mode: environment.mode,
            channels,
            outputs,
            input_finished,
        });
        let (snapshots, captured, uploads) = (BTreeMap::new(), BTreeMap::new(), Uploads::default());
        let incremental = environment.incremental_uploads();
        let end_of_data_sent = false;
        let advances = environment.processing_time.advances();
        Checkpointing {
            machine,
            environment,
            advances,
            snapshots,
            captured,
            uploads,
            incremental,
            end_of_data_sent,
        }
    }

    pub(super) fn machine(&self) -> &Subtask {
        &self.machine
    }

    pub(super) fn environment(&self) -> &Environment {
        &self.environment
    }

    /// Takes in what the coordinator or an upload says.
    pub(super) fn control(&mut self, message: Control, operator: &mut dyn Operator) -> Result<(), TaskError> {
        let attempt = self.environment.context.attempt;
        let input = match message {
            Control::Trigger(checkpoint, options) => Input::TriggerArrived { attempt, checkpoint, options },
            Control::Complete(checkpoint) => Input::CompletionArrived { attempt, checkpoint },
            Control::Abort(checkpoint, newest_completed) => {
                Input::AbortArrived { attempt, checkpoint, newest_completed }
            }
            Control::Drain => Input::DrainArrived { attempt },
            Control::MadeDurable(checkpoint, end) => return operator.made_durable(checkpoint, end),
            Control::Uploaded(checkpoint, written) => {
                let (handle, ends) = written.take();
                match self.uploaded(checkpoint, ends, true)? {
                    Ended::Durable => Input::UploadFinished { checkpoint, handle },
                    Ended::Failed => Input::UploadFailed { checkpoint },
                }
            }
            Control::UploadFailed(checkpoint, written) => {
                let (_, ends) = written.take();
                self.uploaded(checkpoint, ends, false)?;
                Input::UploadFailed { checkpoint }
            }
            Control::Cancel => return Err(TaskError::Cancelled),
        };
        self.on(input, operator)
    }

    /// Does what has become possible: tells the machine of its deadline, and sends what there is room for.
    pub(super) fn advance(&mut self, operator: &mut dyn Operator) -> Result<(), TaskError> {
        if self.machine.deadline().is_some_and(|deadline| self.environment.clock.now() >= deadline) {
            self.on(Input::Tick, operator)?;
        }
        let mut sent = Vec::new();
        operator.send(&mut sent)?;
        for (channel, checkpoint) in sent {
            self.on(Input::BarrierSent { channel, checkpoint }, operator)?;
        }
        let is_at_end = self.machine.has_reached_end_of_data() && operator.has_sent_all();
        if is_at_end && !std::mem::replace(&mut self.end_of_data_sent, true) {
            self.on(Input::EndOfDataSent { has_union_list: operator.has_union_list() }, operator)?;
        }
        Ok(())
    }

    /// Waits until there is something to do, at `timer` in processing time at the latest.
    pub(super) fn wait(&self, operator: &dyn Operator, timer: Option<Millis>) {
        let Environment { control, clock, processing_time, .. } = &self.environment;
        let mut select = Select::new();
        select.recv(control);
        select.recv(&self.advances);
        operator.register(&mut select);
        let deadline = self.machine.deadline().and_then(|deadline| clock.instant(deadline));
        let timer = timer.and_then(|timer| processing_time.instant(timer));
        match deadline.into_iter().chain(timer).min() {
            // When it is over, the machine is told.
            Some(deadline) => {
                let _ = select.ready_deadline(deadline);
            }
            None => {
                select.ready();
            }
        }
        while self.advances.try_recv().is_ok() {}
    }

    /// Takes records into a checkpoint.
    pub(super) fn capture(
        &mut self,
        checkpoint: CheckpointId,
        copy: impl FnOnce(&mut ChannelState) -> Result<(), StateError>,
    ) {
        let captured = self.captured.entry(checkpoint).or_insert_with(|| Ok(ChannelState::default()));
        if let Ok(channels) = captured
            && let Err(error) = copy(channels)
        {
            *captured = Err(error);
        }
    }

    /// Feeds the machine and carries out its outputs, in their order.
    pub(super) fn on(&mut self, input: Input, operator: &mut dyn Operator) -> Result<(), TaskError> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.machine.on(self.environment.clock.now(), input, &mut outputs)?;
            debug_assert_eq!(self.machine.check(), Ok(()));
            for output in outputs {
                inputs.extend(self.carry_out(output, operator)?);
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, output: Output, operator: &mut dyn Operator) -> Result<Option<Input>, TaskError> {
        match output {
            // The gate asks the machine which channels are blocked.
            Output::BlockChannel(_) | Output::ResumeChannel(_) => {}
            Output::NotifyAborted { checkpoint } => {
                let superfluous = self.incremental.aborted(checkpoint)?;
                self.discard_shared(superfluous);
            }
            Output::EmitBarrier { checkpoint, options } => {
                operator.emit(Marker::Barrier(checkpoint, options));
            }
            Output::EmitCancellation { checkpoint } => operator.emit(Marker::Cancellation(checkpoint)),
            Output::FinishInput => operator.finish_input()?,
            Output::EmitEndOfData => operator.emit(Marker::EndOfData),
            Output::ReportEndOfData { .. } => self.environment.report(Report::EndOfData),
            Output::TakeSnapshot { checkpoint, options } => {
                return self.snapshot(checkpoint, options, operator).map(Some);
            }
            Output::StartUpload { checkpoint } => self.upload(checkpoint)?,
            Output::DropSnapshot { checkpoint } => {
                self.snapshots.remove(&checkpoint);
                self.captured.remove(&checkpoint);
            }
            Output::OvertakeOutput { checkpoint, channel, options } => {
                self.capture(checkpoint, |captured| {
                    operator.overtake(channel, checkpoint, options, captured)
                });
            }
            Output::CaptureQueued { checkpoint, channel } => {
                self.capture(checkpoint, |captured| operator.capture_queued(channel, checkpoint, captured));
            }
            Output::CancelUpload { checkpoint } => {
                self.uploads.cancel(checkpoint);
                let superfluous = self.incremental.aborted(checkpoint)?;
                self.discard_shared(superfluous);
            }
            Output::Acknowledge { checkpoint, handle, durations, .. } => {
                self.uploads.ended(checkpoint);
                tracing::debug!(%checkpoint, subtask = %self.machine.id(), ?durations, "acknowledged");
                let shared = self.incremental.acknowledged(checkpoint);
                self.environment.report(Report::Acknowledge(checkpoint, handle, shared, durations));
            }
            Output::Decline { checkpoint, reason, .. } => {
                self.uploads.ended(checkpoint);
                self.environment.report(Report::Decline(checkpoint, reason));
            }
            Output::NotifyComplete { checkpoint } => {
                let superfluous = self.incremental.completed(checkpoint)?;
                self.discard_shared(superfluous);
                operator.completed(checkpoint)?;
            }
            Output::DiscardState(file) => {
                let storage = Arc::clone(&self.environment.storage);
                self.environment.io.run(move || discard(&*storage, file));
            }
            Output::Finish => {
                operator.emit(Marker::ChannelEnd);
                match operator.send(&mut Vec::new()) {
                    // Whoever finished first has closed the channel; whoever failed has reported it.
                    Err(TaskError::Cancelled) => {}
                    end => end?,
                }
            }
        }
        Ok(None)
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        operator: &mut dyn Operator,
    ) -> Result<Input, TaskError> {
        let request = SnapshotRequest {
            input_finished: self.machine.has_finished_input(),
            in_files: options.is_in_files(self.environment.incremental),
        };
        match operator.snapshot(checkpoint, request) {
            Ok(snapshot) => {
                self.snapshots.insert(checkpoint, (options.kind(), snapshot));
                Ok(Input::SnapshotTaken { checkpoint })
            }
            Err(error @ (TaskError::User(_) | TaskError::State(_))) => {
                self.environment.report(Report::Trouble(checkpoint, error.to_string()));
                Ok(Input::SnapshotFailed { checkpoint })
            }
            Err(error) => Err(error),
        }
    }

    /// The uploads of a checkpoint have ended.
    fn uploaded(
        &mut self,
        checkpoint: CheckpointId,
        ends: Vec<EndOfUpload>,
        is_rest_durable: bool,
    ) -> Result<Ended, TaskError> {
        let (ended, superfluous) = self.incremental.ended(checkpoint, ends, is_rest_durable)?;
        self.discard_shared(superfluous);
        Ok(ended)
    }

    fn discard_shared(&self, objects: Vec<SharedObject>) {
        for object in objects {
            let storage = Arc::clone(&self.environment.storage);
            self.environment.io.run(move || report_leftover(storage.delete_shared(&object)));
        }
    }

    fn upload(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        let Some((kind, (snapshot, durability))) = self.snapshots.remove(&checkpoint) else { return Ok(()) };
        let backend = &self.environment.state_backend;
        let files = snapshot
            .files()
            .map(|files| self.incremental.begin(checkpoint, kind.sharing(), backend.name(), files.to_vec()));
        let files = files.transpose()?;
        let captured = self.captured.remove(&checkpoint).unwrap_or_else(|| Ok(ChannelState::default()));
        let SubtaskContext { subtask, attempt, .. } = self.environment.context;
        let file = StateFile { checkpoint, subtask, attempt, savepoint: kind.is_savepoint() };
        let upload = Upload {
            file,
            snapshot: snapshot.with_compression(self.environment.snapshot_compression),
            captured,
            files,
            durability,
            cancellation: self.uploads.begin(checkpoint),
            storage: Arc::clone(&self.environment.storage),
            output_sizes: self.environment.output_sizes,
            control: self.environment.control_sender.clone(),
            reports: self.environment.reports.clone(),
        };
        self.environment.io.run(move || upload.run());
        Ok(())
    }
}

pub(super) fn discard(storage: &dyn CheckpointStorage, file: StateFile) {
    report_leftover(storage.delete_state(file));
}

/// What cannot be deleted now is deleted when a later checkpoint completes.
pub(super) fn report_leftover(result: Result<(), StorageError>) {
    if let Err(error) = result {
        tracing::warn!(%error, "something superfluous could not be deleted");
    }
}

/// Turns a panic of code that is not Snapline's into an error.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, TaskError>) -> Result<T, TaskError> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|panic| Err(TaskError::Panicked(panic_message(&*panic))))
}

/// What a panic said.
fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".into())
}
