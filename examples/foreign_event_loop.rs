//! Snapline's machines in an event loop that is not Snapline's, here tokio's. `docs/EMBEDDING.md` explains the rules.
//!
//! Two sources send numbers to an operator, which counts them and writes every count in a transaction. One
//! checkpoint is declined and the operator crashes once; all the same each number is counted and written once.
//! This file has the loop and drives the coordinator, `task.rs` drives subtasks, `sink.rs` the committer; `job.rs` says
//! what is run, and `world.rs` is what an engine has without Snapline. Only the pure machines are used.

#[path = "foreign_event_loop/job.rs"]
mod job;
#[path = "foreign_event_loop/sink.rs"]
mod sink;
#[path = "foreign_event_loop/task.rs"]
mod task;
#[path = "foreign_event_loop/world.rs"]
mod world;

use job::{COUNT, NUMBERS_PER_SOURCE, SOURCES};
use snapline::base::{Attempt, Millis, SubtaskId};
use snapline::coordinator::{Coordinator, Input, Outcome, Output};
use snapline::publish::Recovered;
use snapline::subtask;
use std::{collections::BTreeMap, error::Error, time::Duration};
use task::Task;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{Instant, timeout_at};
use world::{Event, Mail, World};

type Failure = Box<dyn Error>;

struct Engine {
    started: Instant,
    mail: Mail,
    coordinator: Coordinator,
    tasks: BTreeMap<SubtaskId, Task>,
    world: World,
    outcome: Option<Outcome>,
}

impl Engine {
    fn now(&self) -> Millis {
        Millis(self.started.elapsed().as_millis() as u64)
    }

    /// The earliest time at which a tick can change anything.
    fn deadline(&self) -> Option<Millis> {
        self.tasks.values().filter_map(Task::deadline).chain(self.coordinator.deadline()).min()
    }

    /// The loop: wait for an event or for the deadline, carry out what follows, then read whatever may be read.
    async fn run(&mut self, mut events: UnboundedReceiver<Event>) -> Result<(), Failure> {
        self.mail.report(Input::JobStarted);
        while self.outcome.is_none() {
            let event = match self.deadline() {
                Some(at) => timeout_at(self.started + Duration::from_millis(at.0), events.recv()).await,
                None => Ok(events.recv().await),
            };
            match event.ok().flatten() {
                Some(Event::Coordinator(input)) => self.coordinate(input)?,
                Some(Event::Task(attempt, id, input)) => self.tell_task(attempt, id, input),
                Some(Event::NumberDue(attempt, id)) => self.with_task(attempt, id, Task::send_number),
                None => {
                    self.coordinate(Input::Tick)?;
                    for id in [SOURCES[0], SOURCES[1], COUNT] {
                        self.tell_task(self.coordinator.attempt(), id, subtask::Input::Tick);
                    }
                }
            }
            self.with_task(self.coordinator.attempt(), COUNT, Task::read_all);
        }
        Ok(())
    }

    fn tell_task(&mut self, attempt: Attempt, id: SubtaskId, input: subtask::Input) {
        let lives = self.tasks.get(&id).is_some_and(|task| task.attempt() == attempt);
        if let (subtask::Input::UploadFinished { handle: Some(handle), .. }, false) = (&input, lives) {
            // The task is gone: nobody will ever refer to its file.
            self.world.states.remove(&handle.file);
        }
        self.with_task(attempt, id, |task, now, world| task.on(now, input, world));
    }

    /// Does something with a task, if that attempt of it lives. A step that fails ends the task.
    fn with_task(
        &mut self,
        attempt: Attempt,
        id: SubtaskId,
        step: impl FnOnce(&mut Task, Millis, &mut World) -> Result<(), Failure>,
    ) {
        let now = self.now();
        let Some(task) = self.tasks.get_mut(&id).filter(|task| task.attempt() == attempt) else { return };
        if let Err(cause) = step(task, now, &mut self.world) {
            println!("{now}: task {id} fails: {cause}");
            self.tasks.remove(&id);
            self.mail.report(Input::TaskFailed { attempt, subtask: id, unrecoverable: false });
        }
    }

    fn coordinate(&mut self, input: Input) -> Result<(), Failure> {
        use subtask::Input::{AbortArrived, CompletionArrived, TriggerArrived};
        let (now, mut outputs) = (self.now(), Vec::new());
        self.coordinator.on(now, input, &mut outputs)?;
        self.coordinator.check()?;
        for output in outputs {
            match output {
                Output::Perform { ticket, operation } => {
                    let answer = self.world.perform(operation);
                    self.mail.report(Input::StorageAnswered { ticket, answer });
                }
                Output::StartTasks(recovered) => self.start_tasks(&recovered)?,
                Output::CancelTasks { attempt } => {
                    self.tasks.clear();
                    self.mail.report(Input::TasksStopped { attempt });
                }
                Output::Trigger { subtask, attempt, checkpoint, options } => {
                    let message = TriggerArrived { attempt, checkpoint, options };
                    // The second source hears of it late, so the operator has to hold the first channel back.
                    self.mail.later(1 + 9 * u64::from(subtask.index), Event::Task(attempt, subtask, message));
                }
                Output::NotifyComplete { subtask, attempt, checkpoint } => {
                    let message = CompletionArrived { attempt, checkpoint };
                    self.mail.later(1, Event::Task(attempt, subtask, message));
                }
                Output::NotifyAborted { subtask, attempt, checkpoint, newest_completed } => {
                    let message = AbortArrived { attempt, checkpoint, newest_completed };
                    self.mail.later(1, Event::Task(attempt, subtask, message));
                }
                Output::DiscardState(file) => drop(self.world.states.remove(&file)),
                Output::DeleteCheckpoint(checkpoint) => {
                    self.world.delete_checkpoint(checkpoint);
                    self.mail.report(Input::CleanupEnded { checkpoint });
                }
                Output::DeletePointer(sequence) => drop(self.world.pointers.remove(&sequence)),
                Output::Completed(complete) => println!("{now}: checkpoint {} is complete", complete.id),
                Output::Aborted { checkpoint, reason } => {
                    println!("{now}: no checkpoint {checkpoint}: {reason:?}")
                }
                Output::Skipping(skipped) => println!("{now}: left out, as it cannot be read: {skipped:?}"),
                // Nobody asks this job for anything, and its checkpoints have no files in common.
                Output::DrainSource { .. } | Output::RequestAnswered { .. } => {}
                Output::DeleteShared(_) | Output::ListShared => {}
                Output::JobEnded(outcome) => self.outcome = Some(outcome),
            }
        }
        Ok(())
    }

    fn start_tasks(&mut self, recovered: &Recovered) -> Result<(), Failure> {
        let (attempt, newest) = (recovered.attempt, recovered.newest.as_ref().map(|newest| newest.id));
        println!("{}: attempt {attempt} starts from checkpoint {newest:?}", self.now());
        self.world.queues = Default::default();
        for id in [SOURCES[0], SOURCES[1], COUNT] {
            let state = self.world.restore(recovered, id);
            let task = Task::start(id, attempt, state, self.mail.clone(), &mut self.world)?;
            self.tasks.insert(id, task);
        }
        self.mail.report(Input::TasksRunning { attempt });
        Ok(())
    }
}

/// Runs the job until it ends, on tokio's clock or on a paused one that jumps to the next timer.
pub fn run(paused: bool) -> Result<(), Failure> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(paused).build()?;
    tokio.block_on(async {
        let (mail, events) = unbounded_channel();
        let mut engine = Engine {
            started: Instant::now(),
            mail: Mail(mail),
            coordinator: Coordinator::new(job::configuration())?,
            tasks: BTreeMap::new(),
            world: World::default(),
            outcome: None,
        };
        engine.run(events).await?;
        assert_eq!(engine.outcome, Some(Outcome::Finished));
        assert_eq!(engine.coordinator.restarts(), 1);
        let counts: Vec<u64> = (1..=2 * NUMBERS_PER_SOURCE).collect();
        assert_eq!(engine.world.output, counts, "every number is counted and written exactly once");
        println!("{}: {} numbers were counted, each exactly once", engine.now(), counts.len());
        Ok(())
    })
}

fn main() -> Result<(), Failure> {
    run(false)
}
