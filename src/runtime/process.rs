use super::channel::Element;
use super::error::TaskError;
use super::function::{KeyedContext, KeyedProcessFunction, Record, UserError};
use super::gate::{Gate, poll_control};
use super::output::Outputs;
use super::source::emit;
use super::task::{Checkpointing, Environment, Marker, Operator, Report, Snapshot};
use crate::base::{Alignment, Channel, CheckpointId, CheckpointOptions};
use crate::keygroup::KeyGroupRangeAssignment;
use crate::state::{
    ChannelSide, ChannelState, KeyedStateStore, ListStateDescriptor, OperatorListState, OperatorStateBackend,
    StateError, TaskSnapshot,
};
use crate::subtask::Input;
use crossbeam_channel::Select;

/// An operator that reads an input gate.
pub(super) trait Receiver: Operator {
    type In: Record;

    fn gate(&mut self) -> &mut Gate<Self::In>;

    fn records(&mut self, records: Vec<Self::In>) -> Result<(), TaskError>;

    /// Whether output waits for room, so that no more input should be processed.
    fn is_full(&self) -> bool;

    /// Queues what is buffered, and says whether there was anything: it should not wait while nothing is processed.
    fn flush(&mut self) -> bool;
}

/// Reads the gate until the subtask finishes or the attempt ends.
pub(super) fn run_gate<R: Receiver>(
    mut checkpointing: Checkpointing,
    receiver: &mut R,
) -> Result<(), TaskError> {
    while !checkpointing.machine().is_finished() {
        if let Some(message) = poll_control(&checkpointing.environment().control)? {
            checkpointing.control(message, receiver)?;
            continue;
        }
        put_all(&mut checkpointing, receiver)?;
        // After this nothing may change until the task waits: what it looks at is what it waits for.
        checkpointing.advance(receiver)?;
        let machine = checkpointing.machine();
        let next = match receiver.is_full() {
            true => None,
            false => receiver.gate().take(|channel| machine.is_blocked(channel)),
        };
        match next {
            Some((_, Element::Records(records))) => receiver.records(records)?,
            Some((channel, element)) => read(channel, element, &mut checkpointing, receiver)?,
            None if receiver.flush() => {}
            None => checkpointing.wait(receiver),
        }
    }
    Ok(())
}

/// Puts what has arrived into the queues, announces the barriers in it, and captures what belongs to a checkpoint.
fn put_all<R: Receiver>(checkpointing: &mut Checkpointing, receiver: &mut R) -> Result<(), TaskError> {
    for channel in (0..receiver.gate().channels()).map(Channel) {
        while let Some(element) = receiver.gate().put_next(channel)? {
            match element {
                Element::Records(records) => {
                    if let Some(checkpoint) = checkpointing.machine().capturing(channel) {
                        checkpointing.capture(checkpoint, |captured| {
                            captured.append(ChannelSide::Input, channel, records)
                        });
                    }
                }
                Element::Barrier(checkpoint, options) if options.alignment() != Alignment::Aligned => {
                    let (checkpoint, options) = (*checkpoint, *options);
                    checkpointing.on(Input::BarrierAnnounced { channel, checkpoint, options }, receiver)?;
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// Takes in what was read beside records.
fn read<R: Receiver>(
    channel: Channel,
    element: Element<R::In>,
    checkpointing: &mut Checkpointing,
    receiver: &mut R,
) -> Result<(), TaskError> {
    let input = match element {
        Element::Barrier(checkpoint, options) => Input::BarrierArrived { channel, checkpoint, options },
        Element::Cancellation(checkpoint) => Input::CancellationArrived { channel, checkpoint },
        Element::EndOfData => Input::EndOfDataArrived { channel },
        Element::ChannelEnd => Input::ChannelEnded { channel },
        Element::Records(records) => return receiver.records(records),
    };
    checkpointing.on(input, receiver)
}

type KeyOf<F> = dyn Fn(&<F as KeyedProcessFunction>::In) -> &<F as KeyedProcessFunction>::Key + Send + Sync;

struct Process<'a, F: KeyedProcessFunction> {
    function: F,
    key: &'a KeyOf<F>,
    state: KeyedStateStore<F::Key>,
    operator: OperatorStateBackend,
    /// Holds whether the subtask has finished its input.
    finished: OperatorListState<bool>,
    gate: Gate<F::In>,
    outputs: Outputs<F::Out>,
}

impl<F: KeyedProcessFunction> Operator for Process<'_, F> {
    fn emit(&mut self, marker: Marker) {
        emit(&mut self.outputs, marker);
    }

    fn send(&mut self, sent: &mut Vec<(Channel, CheckpointId)>) -> Result<(), TaskError> {
        self.outputs.send(sent)
    }

    fn has_sent_all(&self) -> bool {
        !self.outputs.is_full()
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

    fn capture_queued(
        &mut self,
        channel: Channel,
        checkpoint: CheckpointId,
        captured: &mut ChannelState,
    ) -> Result<(), StateError> {
        self.gate.capture(channel, checkpoint, captured)
    }

    fn register<'a>(&'a self, select: &mut Select<'a>) {
        self.gate.register(select);
        self.outputs.register(select);
    }

    fn snapshot(&mut self, _: CheckpointId, input_finished: bool) -> Result<Snapshot, TaskError> {
        let finished = if input_finished { vec![true] } else { Vec::new() };
        self.finished.replace(&mut self.operator, finished);
        let keyed = Box::new(self.state.snapshot()?);
        Ok((TaskSnapshot::new(Some(keyed), self.operator.snapshot()), None))
    }

    fn finish_input(&mut self) -> Result<(), TaskError> {
        self.function.finish(&mut self.state, &mut self.outputs).map_err(TaskError::User)
    }
}

impl<F: KeyedProcessFunction> Receiver for Process<'_, F> {
    type In = F::In;

    fn gate(&mut self) -> &mut Gate<F::In> {
        &mut self.gate
    }

    fn records(&mut self, records: Vec<F::In>) -> Result<(), TaskError> {
        for record in records {
            self.state.set_current_key_from((self.key)(&record))?;
            let mut context = KeyedContext { state: &mut self.state };
            self.function
                .process(record, &mut context, &mut self.outputs)
                .map_err(|error: UserError| TaskError::User(error))?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.outputs.is_full()
    }

    fn flush(&mut self) -> bool {
        self.outputs.flush()
    }
}

/// Runs a keyed subtask until it finishes or the attempt ends.
pub(super) fn run<F: KeyedProcessFunction>(
    environment: Environment,
    mut function: F,
    key: &KeyOf<F>,
    assignment: KeyGroupRangeAssignment,
    mut gate: Gate<F::In>,
    mut outputs: Outputs<F::Out>,
) -> Result<(), TaskError> {
    let range = assignment
        .range_of(environment.context.subtask.index)
        .map_err(|error| TaskError::User(error.into()))?;
    let image = environment.restore()?;
    gate.restore(&image.channels).map_err(|error| environment.open_error(error))?;
    outputs.restore(&image.channels).map_err(|error| environment.open_error(error))?;
    let keyed = image.keyed.into_iter().collect();
    let mut state = KeyedStateStore::restore(assignment.max_parallelism(), range, keyed)
        .map_err(|error| environment.open_error(error))?;
    let mut operator = OperatorStateBackend::restore(image.operator);
    let finished = operator
        .list_state(&ListStateDescriptor::new("finished"))
        .map_err(|error| environment.open_error(error))?;
    function.open(&mut state).map_err(|error| environment.open_error(error))?;
    environment.report(Report::Running);
    let input_finished = finished.get(&operator).contains(&true);
    let checkpointing = Checkpointing::new(environment, gate.channels(), outputs.channels(), input_finished);
    run_gate(checkpointing, &mut Process { function, key, state, operator, finished, gate, outputs })
}
