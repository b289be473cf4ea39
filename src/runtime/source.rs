use super::channel::Element;
use super::error::TaskError;
use super::function::{SourceFunction, SourceStatus};
use super::output::Outputs;
use super::task::{Checkpointing, Environment, Marker, Operator, Report, Snapshot};
use crate::base::CheckpointId;
use crate::state::{OperatorStateBackend, TaskSnapshot};
use crate::subtask::Input;
use crossbeam_channel::TryRecvError;
use std::time::{Duration, Instant};

/// How long a record may wait for its batch to fill: `execution.buffer-timeout`.
const BUFFER_TIMEOUT: Duration = Duration::from_millis(100);

struct Source<S: SourceFunction> {
    function: S,
    state: OperatorStateBackend,
    outputs: Outputs<S::Out>,
}

impl<S: SourceFunction> Operator for Source<S> {
    fn emit(&mut self, marker: Marker) -> Result<(), TaskError> {
        emit(&mut self.outputs, marker)
    }

    fn snapshot(&mut self, _: CheckpointId, _: bool) -> Result<Snapshot, TaskError> {
        self.function.snapshot_state(&mut self.state).map_err(TaskError::User)?;
        Ok((TaskSnapshot::new(None, self.state.snapshot()), None))
    }
}

/// Sends a marker to every output channel.
pub(super) fn emit<T>(outputs: &mut Outputs<T>, marker: Marker) -> Result<(), TaskError> {
    outputs.broadcast(|| match marker {
        Marker::Barrier(checkpoint, options) => Element::Barrier(checkpoint, options),
        Marker::Cancellation(checkpoint) => Element::Cancellation(checkpoint),
        Marker::EndOfData => Element::EndOfData,
        Marker::ChannelEnd => Element::ChannelEnd,
    })
}

/// Runs a source subtask until it finishes or the attempt ends.
pub(super) fn run<S: SourceFunction>(
    environment: Environment,
    mut function: S,
    outputs: Outputs<S::Out>,
) -> Result<(), TaskError> {
    let mut state = OperatorStateBackend::restore(environment.restore()?.operator);
    function.initialize_state(&mut state).map_err(TaskError::User)?;
    environment.report(Report::Running);
    let mut checkpointing = Checkpointing::new(environment, 0, false);
    let mut source = Source { function, state, outputs };
    let mut last_flush = Instant::now();
    loop {
        let machine = checkpointing.machine();
        if machine.is_finished() {
            return Ok(());
        }
        let idle = machine.is_holding() || machine.has_reached_end_of_data();
        let control = &checkpointing.environment().control;
        let message = match idle {
            true => control.recv().map_err(|_| TryRecvError::Disconnected),
            false => control.try_recv(),
        };
        match message {
            Ok(message) => checkpointing.control(message, &mut source)?,
            Err(TryRecvError::Disconnected) => return Err(TaskError::Cancelled),
            Err(TryRecvError::Empty) => {
                if source.function.poll(&mut source.outputs).map_err(TaskError::User)?
                    == SourceStatus::EndOfInput
                {
                    checkpointing.on(Input::SourceExhausted, &mut source)?;
                }
                if last_flush.elapsed() >= BUFFER_TIMEOUT {
                    source.outputs.flush()?;
                    last_flush = Instant::now();
                }
            }
        }
    }
}
