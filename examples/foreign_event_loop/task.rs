//! Drives the machine of one subtask, with the gate in it.

use super::Failure;
use super::job::{self, COUNT, NUMBERS_PER_SOURCE};
use super::sink::Sink;
use super::world::{Element, Event, Mail, State, World};
use snapline::base::{Attempt, Channel, CheckpointId, CheckpointingMode, Millis, StateFile, SubtaskId};
use snapline::coordinator::Input as Report;
use snapline::subtask::{Config, Input, Output, Subtask};
use std::collections::{BTreeMap, VecDeque};

/// A source or the operator in one attempt.
pub struct Task {
    machine: Subtask,
    /// The operator's.
    sink: Option<Sink>,
    /// What a source has sent, or what the operator has read from each channel.
    numbers: [u64; 2],
    snapshots: BTreeMap<CheckpointId, State>,
    mail: Mail,
}

impl Task {
    /// A task that goes on from `state`, also with the transactions in it. A source has none.
    pub fn start(
        id: SubtaskId,
        attempt: Attempt,
        state: State,
        mail: Mail,
        world: &mut World,
    ) -> Result<Task, Failure> {
        let (channels, outputs) = if id == COUNT { (2, 0) } else { (0, 1) };
        let mode = CheckpointingMode::ExactlyOnce;
        let machine = Subtask::new(Config { id, attempt, mode, channels, outputs, input_finished: false });
        let sink = match id {
            COUNT => Some(Sink::start(id, attempt, state.transactions, world)?),
            _ => None,
        };
        if sink.is_none() {
            mail.later(2, Event::NumberDue(attempt, id));
        }
        Ok(Task { machine, sink, numbers: state.numbers, snapshots: BTreeMap::new(), mail })
    }

    pub fn attempt(&self) -> Attempt {
        self.machine.attempt()
    }

    pub fn deadline(&self) -> Option<Millis> {
        self.machine.deadline()
    }

    /// Tells the machine what happened. What happens while its outputs are carried out comes before anything else.
    pub fn on(&mut self, now: Millis, input: Input, world: &mut World) -> Result<(), Failure> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.machine.on(now, input, &mut outputs)?;
            self.machine.check()?;
            for output in outputs {
                inputs.extend(self.carry_out(output, world)?);
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, output: Output, world: &mut World) -> Result<Option<Input>, Failure> {
        let (subtask, attempt) = (self.machine.id(), self.machine.attempt());
        let channel = Channel(subtask.index);
        match output {
            // The machine is asked which channels are blocked, no barrier overtakes, and this job does nothing else
            // at the end of its input or on an abort. An upload that is as short as this one is not worth stopping.
            Output::BlockChannel(_)
            | Output::ResumeChannel(_)
            | Output::OvertakeOutput { .. }
            | Output::CaptureQueued { .. }
            | Output::FinishInput
            | Output::NotifyAborted { .. }
            | Output::CancelUpload { .. } => {}
            Output::EmitBarrier { checkpoint, options } => {
                self.send(Input::BarrierArrived { channel, checkpoint, options }, world);
            }
            Output::EmitCancellation { checkpoint } => {
                self.send(Input::CancellationArrived { channel, checkpoint }, world);
            }
            Output::EmitEndOfData => self.send(Input::EndOfDataArrived { channel }, world),
            Output::ReportEndOfData { attempt } => {
                self.mail.report(Report::EndOfDataReported { attempt, subtask });
            }
            Output::TakeSnapshot { checkpoint, .. } => return self.snapshot(checkpoint, world).map(Some),
            Output::StartUpload { checkpoint } => {
                let file = StateFile { checkpoint, subtask, attempt, savepoint: false };
                let handle = self.snapshots.remove(&checkpoint).map(|state| world.write(file, state));
                self.mail
                    .later(3, Event::Task(attempt, subtask, Input::UploadFinished { checkpoint, handle }));
            }
            Output::DropSnapshot { checkpoint } => drop(self.snapshots.remove(&checkpoint)),
            Output::Acknowledge { checkpoint, attempt, handle, .. } => {
                let shared = None;
                self.mail.report(Report::AcknowledgeArrived { attempt, subtask, checkpoint, handle, shared });
            }
            Output::Decline { checkpoint, attempt, reason } => {
                self.mail.report(Report::DeclineArrived { attempt, subtask, checkpoint, reason });
            }
            Output::NotifyComplete { checkpoint } => {
                if let Some(sink) = &mut self.sink {
                    sink.completed(checkpoint, world)?;
                }
            }
            Output::DiscardState(file) => drop(world.states.remove(&file)),
            Output::Finish => {
                self.send(Input::ChannelEnded { channel }, world);
                self.mail.report(Report::TaskFinished { attempt, subtask });
            }
        }
        Ok(None)
    }

    /// Puts a marker behind the numbers that a source has sent. The operator has no outputs.
    fn send(&self, marker: Input, world: &mut World) {
        if self.sink.is_none() {
            world.queues[usize::from(self.machine.id().index)].push_back(Element::Marker(marker));
        }
    }

    /// The synchronous part.
    fn snapshot(&mut self, checkpoint: CheckpointId, world: &mut World) -> Result<Input, Failure> {
        let mut state = State { numbers: self.numbers, ..State::default() };
        if let Some(sink) = &mut self.sink {
            if job::is_snapshot_to_fail(self.machine.attempt(), checkpoint) {
                return Ok(Input::SnapshotFailed { checkpoint });
            }
            state.transactions = sink.snapshot(checkpoint, world)?;
        }
        self.snapshots.insert(checkpoint, state);
        Ok(Input::SnapshotTaken { checkpoint })
    }

    /// A source sends its next number, or reaches its end. It sends none while it holds for a terminal checkpoint.
    pub fn send_number(&mut self, now: Millis, world: &mut World) -> Result<(), Failure> {
        let id = self.machine.id();
        if self.numbers[0] == NUMBERS_PER_SOURCE {
            return self.on(now, Input::SourceExhausted, world);
        }
        self.mail.later(2, Event::NumberDue(self.attempt(), id));
        if !self.machine.is_holding() {
            self.numbers[0] += 1;
            world.queues[usize::from(id.index)].push_back(Element::Number(self.numbers[0]));
        }
        Ok(())
    }

    /// The operator reads until its channels are blocked or empty.
    pub fn read_all(&mut self, now: Millis, world: &mut World) -> Result<(), Failure> {
        while let Some((channel, element)) = self.next_element(world) {
            match element {
                Element::Marker(input) => self.on(now, input, world)?,
                Element::Number(number) => self.count(channel, number, world)?,
            }
        }
        Ok(())
    }

    fn next_element(&self, world: &mut World) -> Option<(Channel, Element)> {
        let mut open =
            [Channel(0), Channel(1)].into_iter().filter(|channel| !self.machine.is_blocked(*channel));
        open.find_map(|channel| Some((channel, world.queues[usize::from(channel.0)].pop_front()?)))
    }

    fn count(&mut self, channel: Channel, number: u64, world: &mut World) -> Result<(), Failure> {
        let read = &mut self.numbers[usize::from(channel.0)];
        *read += 1;
        assert_eq!(number, *read, "a number from channel {channel} was lost or has come twice");
        let count = self.numbers.iter().sum();
        self.sink.as_mut().ok_or("a source reads nothing")?.write(count, world)?;
        if job::is_time_to_crash(self.attempt(), self.machine.newest_completed(), count) {
            return Err(format!("the planted crash, after {count} numbers").into());
        }
        Ok(())
    }
}
