//! The numbers of two sources from splits, which any number of subtasks can divide among them.

use super::{NUMBERS_PER_SOURCE, Number, Place, STEPS, World, add_counts};
use serde::{Deserialize, Serialize};
use snapline::base::{EventTime, JobId};
use snapline::runtime::{
    Job, JobBuilder, JobError, SourceCollector, SourceFunction, SourceStatus, SubtaskContext, UserError,
};
use snapline::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const SPLITS: u64 = 8;
/// As many as two sources have.
pub const NUMBERS: u64 = 2 * NUMBERS_PER_SOURCE;

/// How many subtasks each operator has, and what the job is called that they make up.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub sources: u16,
    pub counts: u16,
}

/// The job with these numbers of subtasks; there are as many sinks as counts.
pub fn job_of(world: &Arc<World>, shape: Shape) -> Result<Job, JobError> {
    job_under(super::JOB, world, shape)
}

/// The same under another id.
pub fn job_under(id: JobId, world: &Arc<World>, Shape { sources, counts }: Shape) -> Result<Job, JobError> {
    let mut job = JobBuilder::new();
    add_splits(&mut job, world, sources, ["count", "memory"], counts);
    job.build(id)
}

pub fn add_splits(job: &mut JobBuilder, world: &Arc<World>, sources: u16, uids: [&str; 2], counts: u16) {
    let outside = Arc::clone(world);
    let numbers = job.source("splits", sources, move |context| Splits {
        world: Arc::clone(&outside),
        context,
        splits: Vec::new(),
        state: None,
    });
    add_counts(job, numbers, world, uids, counts);
}

/// A split and its next number: those that leave the same remainder belong to it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Split {
    next: u64,
}

/// What is held back is everything from a step on, instead of everything of a subtask.
struct Splits {
    world: Arc<World>,
    context: SubtaskContext,
    splits: Vec<Split>,
    state: Option<OperatorListState<Split>>,
}

impl SourceFunction for Splits {
    type Out = Number;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let splits = state.list_state(&ListStateDescriptor::<Split>::new("splits"))?;
        let SubtaskContext { subtask, parallelism, .. } = self.context;
        self.splits = match state.is_restored() {
            true => splits.get(state)?.to_vec(),
            false => {
                let first = u64::from(subtask.index);
                (first..SPLITS).step_by(parallelism.into()).map(|next| Split { next }).collect()
            }
        };
        self.state = Some(splits);
        Ok(())
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<Number>) -> Result<SourceStatus, UserError> {
        self.world.at(Place::Poll)?;
        let Some(split) = self.splits.iter_mut().min_by_key(|split| split.next) else {
            return Ok(SourceStatus::EndOfInput);
        };
        if split.next >= NUMBERS {
            return Ok(SourceStatus::EndOfInput);
        }
        // Each step of the input comes after a checkpoint, so that there is something to go on from.
        let steps = 1 + self.world.completed.load(Ordering::SeqCst);
        let held_from = self.world.state.lock().unwrap().held_from.map_or(STEPS, u64::from);
        if split.next >= steps.min(held_from) * NUMBERS / STEPS && split.next < NUMBERS {
            std::thread::yield_now();
            return Ok(SourceStatus::MoreAvailable);
        }
        for _ in 0..10 {
            if split.next < NUMBERS {
                out.collect(Number { key: split.next % super::KEYS, time: split.next as i64 });
                split.next += SPLITS;
            }
        }
        self.world.emitted.fetch_add(10, Ordering::SeqCst);
        if let Some(next) = self.splits.iter().map(|split| split.next).min() {
            out.emit_watermark(EventTime(next as i64 - 1));
        }
        Ok(SourceStatus::MoreAvailable)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        Ok(self.state.ok_or("not initialized")?.update(state, self.splits.clone())?)
    }
}
