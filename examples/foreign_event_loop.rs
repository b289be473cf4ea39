//! Snapline's machines in an event loop that is not Snapline's, here tokio's. `docs/EMBEDDING.md` explains the rules.
//!
//! Two sources send 1, 2, 3, ... to an operator, whose gate aligns their barriers. The operator crashes once; all the
//! same its state counts every number once. The loop drives the coordinator and the machine of each task, which has
//! the gate in it. Pointers and metadata lie in a storage of Snapline's, states in a map of the engine's.

use coordinator::{Config, Coordinator, Input as Report, Outcome, Output as Order};
use snapline::base::{Attempt, Channel, CheckpointingMode, Incarnation, Millis, StateFile, StateHandle};
use snapline::store::{CheckpointStorage, JobDescription, JobManagerCheckpointStorage, perform};
use snapline::{base::JobId, base::SubtaskId, coordinator, publish::Recovered, subtask};
use std::{collections::BTreeMap, collections::VecDeque, error::Error, time::Duration};
use subtask::{Input, Output, Subtask};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{interval, sleep};

const SOURCES: [SubtaskId; 2] = [SubtaskId::new(0, 0), SubtaskId::new(0, 1)];
const OPERATOR: SubtaskId = SubtaskId::new(1, 0);
const NUMBERS: u64 = 250;

/// A message that arrives, or an effect that ends: what happens then.
type Event = Box<dyn FnOnce(&mut Engine) -> Happens + Send>;
type Happens = Result<(), Box<dyn Error>>;

/// What a channel transports. A marker is the input that it becomes when it is read.
enum Element {
    Number(u64),
    Marker(Input),
}

struct Engine {
    now: Millis, // Any clock will do that does not go back: this one counts the ticks of the loop.
    events: UnboundedSender<Event>,
    coordinator: Coordinator,
    storage: JobManagerCheckpointStorage,
    states: BTreeMap<StateFile, [u64; 2]>,
    /// With its state: how many numbers a source has sent, or the operator has read from each channel.
    tasks: BTreeMap<SubtaskId, (Subtask, [u64; 2])>,
    queues: [VecDeque<Element>; 2], // One channel for each source.
    outcome: Option<Outcome>,
}

impl Engine {
    fn later(&self, milliseconds: u64, event: impl FnOnce(&mut Engine) -> Happens + Send + 'static) {
        let events = self.events.clone();
        tokio::spawn(async move {
            sleep(Duration::from_millis(milliseconds)).await;
            events.send(Box::new(event)).ok(); // Nobody listens once the job has ended.
        });
    }

    fn report(&self, report: Report) {
        self.later(1, |it| it.tell_coordinator(report));
    }

    fn tell_coordinator(&mut self, report: Report) -> Happens {
        let mut orders = Vec::new();
        self.coordinator.on(self.now, report, &mut orders)?;
        for order in orders {
            if let Some((attempt, task, message)) = order.message() {
                // The second source hears of it late, so the operator has to hold the first channel back.
                self.later(1 + 9 * u64::from(task.index), move |it| it.tell_task(attempt, task, message));
                continue;
            }
            match order {
                Order::Perform { ticket, operation } => {
                    let job = JobDescription { job: JobId(1), operators: Vec::new() };
                    let answer = perform(&self.storage, &job, operation).0;
                    self.report(Report::StorageAnswered { ticket, answer });
                }
                Order::StartTasks(recovered) => self.start_tasks(&recovered),
                Order::CancelTasks { attempt } => {
                    self.tasks.clear();
                    self.report(Report::TasksStopped { attempt });
                }
                Order::DiscardState(file) => drop(self.states.remove(&file)),
                Order::DeleteCheckpoint(checkpoint) => {
                    self.storage.delete_checkpoint(checkpoint)?;
                    self.states.retain(|file, _| file.checkpoint != checkpoint);
                    self.report(Report::CleanupEnded { checkpoint });
                }
                Order::DeletePointer(sequence) => self.storage.delete_pointer(sequence)?,
                Order::JobEnded(outcome) => self.outcome = Some(outcome),
                // News, or something about shared files, which this job has none of.
                other => println!("{}: {other:?}", self.now),
            }
        }
        Ok(())
    }

    fn start_tasks(&mut self, recovered: &Recovered) {
        let (attempt, mode) = (recovered.attempt, CheckpointingMode::ExactlyOnce);
        self.queues = Default::default();
        for (id, channels, outputs) in [(SOURCES[0], 0, 1), (SOURCES[1], 0, 1), (OPERATOR, 2, 0)] {
            let handle = recovered.newest.as_ref().and_then(|newest| newest.states[&id].as_ref());
            let state = handle.map_or([0, 0], |handle| self.states[&handle.file]);
            let config = subtask::Config { id, attempt, mode, channels, outputs, input_finished: false };
            self.tasks.insert(id, (Subtask::new(config), state));
        }
        self.report(Report::TasksRunning { attempt });
    }

    /// Tells a task what happened, if that attempt of it lives. What its outputs lead to comes before anything else.
    fn tell_task(&mut self, attempt: Attempt, subtask: SubtaskId, input: Input) -> Happens {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let task = self.tasks.get_mut(&subtask).filter(|(machine, _)| machine.attempt() == attempt);
            let Some((machine, state)) = task else { break };
            let (state, mut outputs) = (*state, Vec::new());
            machine.on(self.now, input, &mut outputs)?;
            for output in outputs {
                if let (Some(marker), true) = (output.marker(Channel(subtask.index)), subtask != OPERATOR) {
                    self.queues[usize::from(subtask.index)].push_back(Element::Marker(marker));
                }
                let file = |checkpoint| StateFile { checkpoint, subtask, attempt, savepoint: false };
                match output {
                    // The synchronous part: a copy, which nothing changes any more.
                    Output::TakeSnapshot { checkpoint, .. } => {
                        self.states.insert(file(checkpoint), state);
                        inputs.push_back(Input::SnapshotTaken { checkpoint });
                    }
                    Output::StartUpload { checkpoint } => {
                        let handle =
                            Some(StateHandle { file: file(checkpoint), bytes: 0, checksum: 0, inline: None });
                        let ended = Input::UploadFinished { checkpoint, handle };
                        self.later(3, move |it| it.tell_task(attempt, subtask, ended));
                    }
                    Output::DropSnapshot { checkpoint } => drop(self.states.remove(&file(checkpoint))),
                    Output::DiscardState(file) => drop(self.states.remove(&file)),
                    Output::Finish => self.report(Report::TaskFinished { attempt, subtask }),
                    _ => Report::reported_by(subtask, &output).into_iter().for_each(|it| self.report(it)),
                }
            }
        }
        Ok(())
    }

    /// Each source sends its next number, or says once that it has no more.
    fn send_numbers(&mut self) -> Happens {
        for source in SOURCES {
            let Some((machine, [sent, _])) = self.tasks.get_mut(&source) else { continue };
            if *sent < NUMBERS {
                *sent += 1;
                self.queues[usize::from(source.index)].push_back(Element::Number(*sent));
            } else if !machine.has_reached_end_of_data() {
                self.tell_task(self.coordinator.attempt(), source, Input::SourceExhausted)?;
            }
        }
        Ok(())
    }

    /// The operator reads until its channels are blocked or empty. In the first attempt it crashes half-way.
    fn read_numbers(&mut self) -> Happens {
        let attempt = self.coordinator.attempt();
        while let Some((machine, read)) = self.tasks.get_mut(&OPERATOR) {
            let mut open = (0..2).filter(|channel| !machine.is_blocked(Channel(*channel as u16)));
            let next = open.find_map(|channel| self.queues[channel].pop_front().zip(Some(channel)));
            match next {
                None => break,
                Some((Element::Marker(input), _)) => self.tell_task(attempt, OPERATOR, input)?,
                Some((Element::Number(number), channel)) => {
                    read[channel] += 1;
                    assert_eq!(number, read[channel], "a number was lost or has come twice");
                    if (attempt, number) == (Attempt(1), NUMBERS / 2) {
                        self.tasks.remove(&OPERATOR);
                        self.report(Report::TaskFailed { attempt, subtask: OPERATOR, unrecoverable: false });
                    }
                }
            }
        }
        Ok(())
    }
}

/// The loop, on a clock that jumps from timer to timer; it ticks so often that it need not ask for deadlines.
#[tokio::main(flavor = "current_thread", start_paused = true)]
pub async fn main() -> Happens {
    let tasks = SOURCES.into_iter().chain([OPERATOR]).collect();
    let mut config = Config::new(JobId(1), SOURCES.into(), tasks, Incarnation(1));
    config.interval = Some(Millis(40));
    let (coordinator, storage) = (Coordinator::new(config)?, JobManagerCheckpointStorage::new(JobId(1)));
    let (events, mut happened) = unbounded_channel::<Event>();
    let (now, outcome, (states, tasks, queues)) = (Millis(0), None, Default::default());
    let mut engine = Engine { now, events, coordinator, storage, states, tasks, queues, outcome };
    let mut ticks = interval(Duration::from_millis(2));
    engine.report(Report::JobStarted);
    while engine.outcome.is_none() {
        tokio::select! {
            Some(event) = happened.recv() => event(&mut engine)?,
            _ = ticks.tick() => {
                engine.now.0 += 2;
                engine.tell_coordinator(Report::Tick)?;
                engine.send_numbers()?;
            }
        }
        engine.read_numbers()?;
    }
    assert_eq!((engine.outcome, engine.coordinator.restarts()), (Some(Outcome::Finished), 1));
    assert_eq!(engine.tasks[&OPERATOR].1, [NUMBERS; 2], "each number counts once");
    Ok(())
}
