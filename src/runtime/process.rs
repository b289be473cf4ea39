use super::channel::Element;
use super::error::TaskError;
use super::function::{KeyedContext, KeyedProcessFunction, UserError};
use super::gate::{Event, Gate};
use super::output::Outputs;
use super::source::emit;
use super::task::{Checkpointing, Environment, Marker, Operator, Report, Snapshot};
use crate::backend::heap::HeapKeyedStateBackend;
use crate::base::{Channel, CheckpointId};
use crate::keygroup::KeyGroupRangeAssignment;
use crate::state::{ListState, ListStateDescriptor, OperatorStateBackend, TaskSnapshot};
use crate::subtask::Input;

/// An operator that reads an input gate.
pub(super) trait Receiver: Operator {
    type In;

    fn records(&mut self, records: Vec<Self::In>) -> Result<(), TaskError>;

    /// Called when there is nothing to read: what is buffered should not wait any longer.
    fn idle(&mut self) -> Result<(), TaskError>;
}

/// Reads the gate until the subtask finishes or the attempt ends.
pub(super) fn run_gate<R: Receiver>(
    mut checkpointing: Checkpointing,
    mut gate: Gate<R::In>,
    receiver: &mut R,
) -> Result<(), TaskError> {
    while !checkpointing.machine().is_finished() {
        let machine = checkpointing.machine();
        let closed = |channel: Channel| machine.is_blocked(channel) || machine.gate().is_ended(channel);
        let control = &checkpointing.environment().control;
        let Some(event) = gate.poll(control, closed)? else {
            receiver.idle()?;
            gate.wait(control, closed);
            continue;
        };
        match event {
            Event::Control(message) => checkpointing.control(message, receiver)?,
            Event::Element(_, Element::Records(records)) => receiver.records(records)?,
            Event::Element(channel, element) => {
                let input = match element {
                    Element::Barrier(checkpoint, options) => {
                        Input::BarrierArrived { channel, checkpoint, options }
                    }
                    Element::Cancellation(checkpoint) => Input::CancellationArrived { channel, checkpoint },
                    Element::EndOfData => Input::EndOfDataArrived { channel },
                    Element::ChannelEnd => Input::ChannelEnded { channel },
                    Element::Records(_) => continue,
                };
                checkpointing.on(input, receiver)?;
            }
        }
    }
    Ok(())
}

type KeyOf<F> = dyn Fn(&<F as KeyedProcessFunction>::In) -> &<F as KeyedProcessFunction>::Key + Send + Sync;

struct Process<'a, F: KeyedProcessFunction> {
    function: F,
    key: &'a KeyOf<F>,
    state: HeapKeyedStateBackend<F::Key>,
    operator: OperatorStateBackend,
    /// Holds whether the subtask has finished its input.
    finished: ListState<bool>,
    outputs: Outputs<F::Out>,
}

impl<F: KeyedProcessFunction> Operator for Process<'_, F> {
    fn emit(&mut self, marker: Marker) -> Result<(), TaskError> {
        emit(&mut self.outputs, marker)
    }

    fn snapshot(&mut self, _: CheckpointId, input_finished: bool) -> Result<Snapshot, TaskError> {
        let finished = if input_finished { vec![true] } else { Vec::new() };
        self.finished.replace(&mut self.operator, finished);
        let keyed = Box::new(self.state.snapshot());
        Ok((TaskSnapshot::new(Some(keyed), self.operator.snapshot()), None))
    }

    fn finish_input(&mut self) -> Result<(), TaskError> {
        self.function.finish(&mut self.state, &mut self.outputs).map_err(TaskError::User)
    }
}

impl<F: KeyedProcessFunction> Receiver for Process<'_, F> {
    type In = F::In;

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

    fn idle(&mut self) -> Result<(), TaskError> {
        self.outputs.flush()
    }
}

/// Runs a keyed subtask until it finishes or the attempt ends.
pub(super) fn run<F: KeyedProcessFunction>(
    environment: Environment,
    mut function: F,
    key: &KeyOf<F>,
    assignment: KeyGroupRangeAssignment,
    gate: Gate<F::In>,
    outputs: Outputs<F::Out>,
) -> Result<(), TaskError> {
    let range = assignment
        .range_of(environment.context.subtask.index)
        .map_err(|error| TaskError::User(error.into()))?;
    let image = environment.restore()?;
    let keyed = image.keyed.into_iter().collect();
    let mut state = HeapKeyedStateBackend::restore(assignment.max_parallelism(), range, keyed)
        .map_err(|error| environment.open_error(error))?;
    let mut operator = OperatorStateBackend::restore(image.operator);
    let finished = operator
        .list_state(&ListStateDescriptor::new("finished"))
        .map_err(|error| environment.open_error(error))?;
    function.open(&mut state).map_err(|error| environment.open_error(error))?;
    environment.report(Report::Running);
    let input_finished = finished.get(&operator).contains(&true);
    let checkpointing = Checkpointing::new(environment, gate.channels(), input_finished);
    run_gate(checkpointing, gate, &mut Process { function, key, state, operator, finished, outputs })
}
