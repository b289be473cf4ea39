//! What the coordinator costs by itself: checkpoints of many subtasks in one thread, nothing but the machine.
//!
//! One round triggers a checkpoint, acknowledges it for every subtask in a scattered order, publishes it and notifies
//! everyone. The table shows the median of the rounds; time per acknowledgement is that of the whole round divided by
//! the subtasks. `ROUNDS` changes how many there are.

#![allow(clippy::disallowed_methods)]

use snapline::base::{Attempt, CheckpointId, Incarnation, JobId, Millis, StateFile, StateHandle, SubtaskId};
use snapline::coordinator::{Config, Coordinator, Input, Output, RestartStrategy, Retention};
use snapline::publish::{self, Answer, Listing, Operation};
use std::error::Error;
use std::time::{Duration, Instant};

const SUBTASKS: [u32; 3] = [1_000, 10_000, 100_000];
const SUBTASKS_OF_AN_OPERATOR: u32 = 1_000;

fn main() -> Result<(), Box<dyn Error>> {
    // `cargo test --benches` passes this: there is nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let rounds = std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(21);
    println!(
        "{:>9}  {:>14}  {:>19}  {:>18}",
        "subtasks", "ms/checkpoint", "ns/acknowledgement", "acknowledgements/s"
    );
    for subtasks in SUBTASKS {
        let round = measure(subtasks, rounds)?;
        let nanos = round.as_nanos() as f64 / f64::from(subtasks);
        let millis = round.as_secs_f64() * 1e3;
        println!("{subtasks:>9}  {millis:>14.3}  {nanos:>19.0}  {:>18.0}", 1e9 / nanos);
    }
    Ok(())
}

/// The median time of a checkpoint.
fn measure(subtasks: u32, rounds: u64) -> Result<Duration, Box<dyn Error>> {
    let mut job = Job::start(subtasks)?;
    let mut times = Vec::new();
    for checkpoint in 1..=rounds {
        let began = Instant::now();
        job.checkpoint(checkpoint)?;
        times.push(began.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

struct Job {
    coordinator: Coordinator,
    subtasks: Vec<SubtaskId>,
    outputs: Vec<Output>,
}

impl Job {
    fn start(subtasks: u32) -> Result<Job, Box<dyn Error>> {
        let id = |subtask: u32| {
            let (operator, index) = (subtask / SUBTASKS_OF_AN_OPERATOR, subtask % SUBTASKS_OF_AN_OPERATOR);
            SubtaskId::new(operator as u16, index as u16)
        };
        let all: Vec<SubtaskId> = (0..subtasks).map(id).collect();
        // No subtask acknowledges after its neighbour; 7,919 is prime and divides no number of subtasks.
        let scattered = (0..subtasks as usize).map(|at| all[at * 7_919 % subtasks as usize]).collect();
        let sources = all.iter().copied().filter(|subtask| subtask.operator == 0).collect();
        let coordinator = Coordinator::new(configuration(all, sources))?;
        let mut job = Job { coordinator, subtasks: scattered, outputs: Vec::new() };
        job.on(0, Input::JobStarted)?;
        job.on(0, Input::TasksRunning { attempt: Attempt(1) })?;
        Ok(job)
    }

    fn checkpoint(&mut self, checkpoint: u64) -> Result<(), Box<dyn Error>> {
        let (now, attempt, checkpoint) = (checkpoint * 10, Attempt(1), CheckpointId(checkpoint));
        self.on(now, Input::Tick)?;
        for at in 0..self.subtasks.len() {
            let subtask = self.subtasks[at];
            let file = StateFile { checkpoint, subtask, attempt, savepoint: false };
            let handle = Some(StateHandle { file, bytes: 1, checksum: 2, inline: None });
            self.on(now, Input::AcknowledgeArrived { attempt, subtask, checkpoint, handle, shared: None })?;
        }
        match self.coordinator.retained() {
            [kept] if kept.id == checkpoint && kept.states.len() == self.subtasks.len() => Ok(()),
            _ => Err(format!("checkpoint {checkpoint} is not complete").into()),
        }
    }

    /// Feeds the machine, and lets a storage that works at once answer.
    fn on(&mut self, now: u64, input: Input) -> Result<(), Box<dyn Error>> {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            self.coordinator.on(Millis(now), input, &mut self.outputs)?;
            for output in self.outputs.drain(..) {
                match output {
                    Output::Perform { ticket, operation: Operation::List } => {
                        let answer = Answer::Listed(Listing::default());
                        next = Some(Input::StorageAnswered { ticket, answer });
                    }
                    Output::Perform { ticket, .. } => {
                        next = Some(Input::StorageAnswered { ticket, answer: Answer::Stored });
                    }
                    Output::DeleteCheckpoint(checkpoint) => next = Some(Input::CleanupEnded { checkpoint }),
                    _ => {}
                }
            }
        }
        Ok(())
    }
}

fn configuration(
    subtasks: impl IntoIterator<Item = SubtaskId>,
    sources: std::collections::BTreeSet<SubtaskId>,
) -> Config {
    Config {
        job: JobId(1),
        subtasks: subtasks.into_iter().collect(),
        sources,
        edges: Vec::new(),
        interval: Some(Millis(10)),
        interval_during_backlog: None,
        timeout: Millis(1_000),
        min_pause: Millis(0),
        unaligned: None,
        max_concurrent: 1,
        force_savepoints: true,
        max_queued_requests: 1_000,
        tolerable_failures: 0,
        retained: 1,
        retention: Retention::RETAIN_ALWAYS,
        restart: RestartStrategy::None,
        restore: None,
        publish: publish::Config {
            incarnation: Incarnation(1),
            retry_pause: Millis(1),
            recovery_retries: 0,
            segment: publish::Config::SEGMENT,
            first_attempt: Attempt(1),
            on_corruption: publish::OnCorruption::Fail,
        },
    }
}
