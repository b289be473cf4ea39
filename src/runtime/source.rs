use super::channel::{Element, try_receive};
use super::error::TaskError;
use super::function::{SourceCollector, SourceFunction, SourceStatus};
use super::output::Outputs;
use super::restore::RestoredState;
use super::subtask_state::{SubtaskState, has_union_list};
use super::task::{Checkpointing, Environment, Marker, Operator, Report, Snapshot, SnapshotRequest};
use crate::base::{Channel, CheckpointId, CheckpointOptions};
use crate::state::{ChannelState, OperatorStateBackend, StateError, TaskSnapshot};
use crate::subtask::Input;
use crossbeam_channel::Select;
use std::time::{Duration, Instant};

/// How long a record may wait for its batch to fill: `execution.buffer-timeout`.
const BUFFER_TIMEOUT: Duration = Duration::from_millis(100);

struct Source<S: SourceFunction> {
    function: S,
    state: OperatorStateBackend,
    subtask: SubtaskState,
    outputs: Outputs<S::Out>,
}

impl<S: SourceFunction> Operator for Source<S> {
    fn emit(&mut self, marker: Marker) {
        emit(&mut self.outputs, marker);
    }

    fn send(&mut self, sent: &mut Vec<(Channel, CheckpointId)>) -> Result<(), TaskError> {
        self.outputs.send(sent)
    }

    fn has_sent_all(&self) -> bool {
        !self.outputs.is_full()
    }

    fn has_union_list(&self) -> bool {
        has_union_list(&self.state)
    }

    fn overtake(
        &mut self,
        channel: Channel,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        captured: &mut ChannelState,
    ) -> Result<(), StateError> {
        self.outputs.overtake(channel, checkpoint, options, captured)
    }

    fn register<'a>(&'a self, select: &mut Select<'a>) {
        self.outputs.register(select);
    }

    fn snapshot(&mut self, _: CheckpointId, _: SnapshotRequest) -> Result<Snapshot, TaskError> {
        self.function.snapshot_state(&mut self.state).map_err(TaskError::User)?;
        self.subtask.store(&mut self.state, self.outputs.watermark(), false)?;
        Ok((TaskSnapshot::new(None, self.state.snapshot()), None))
    }
}

/// Queues a marker for every output channel.
pub(super) fn emit<T>(outputs: &mut Outputs<T>, marker: Marker) {
    outputs.broadcast(|| match marker {
        Marker::Barrier(checkpoint, options) => Element::Barrier(checkpoint, options),
        Marker::Cancellation(checkpoint) => Element::Cancellation(checkpoint),
        Marker::EndOfData => Element::EndOfData,
        Marker::ChannelEnd => Element::ChannelEnd,
    });
}

/// Runs a source subtask until it finishes or the attempt ends.
pub(super) fn run<S: SourceFunction>(
    environment: Environment,
    mut function: S,
    mut outputs: Outputs<S::Out>,
) -> Result<(), TaskError> {
    let RestoredState { operator: mut state, channels, subtask, .. } = environment.restore(None)?;
    outputs.restore(&channels).map_err(|error| environment.open_error(error))?;
    //= spec/watermark.md#watermark-7-a-restored-subtask-repeats-its-watermark
    //# A restored subtask MUST emit the watermark of its snapshot behind the records that were on their way from
    //# it.
    outputs.emit_watermark(subtask.progress.watermark);
    function.initialize_state(&mut state).map_err(TaskError::User)?;
    environment.report(Report::Running);
    let mut checkpointing = Checkpointing::new(environment, 0, outputs.channels(), false);
    let mut source = Source { function, state, subtask, outputs };
    let (mut last_flush, mut had_backlog) = (Instant::now(), false);
    while !checkpointing.machine().is_finished() {
        checkpointing.advance(&mut source)?;
        if let Some(message) = try_receive(&checkpointing.environment().control)? {
            checkpointing.control(message, &mut source)?;
            continue;
        }
        let machine = checkpointing.machine();
        if machine.is_holding() || machine.has_reached_end_of_data() || source.outputs.is_full() {
            checkpointing.wait(&source, None);
            continue;
        }
        if source.function.poll(&mut source.outputs).map_err(TaskError::User)? == SourceStatus::EndOfInput {
            checkpointing.on(Input::SourceExhausted, &mut source)?;
        }
        let has_backlog = source.function.has_backlog();
        if std::mem::replace(&mut had_backlog, has_backlog) != has_backlog {
            checkpointing.environment().report(Report::Backlog(has_backlog));
        }
        if last_flush.elapsed() >= BUFFER_TIMEOUT {
            source.outputs.flush();
            last_flush = Instant::now();
        }
    }
    Ok(())
}
