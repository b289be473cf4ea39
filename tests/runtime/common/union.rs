//! The same job, whose sources know of each other by a union list and by broadcast state.

use super::{JOB, Keyed, Number, Numbers, PIPELINES, World, add_counts, as_one_of_two};
use snapline::runtime::{
    Job, JobBuilder, SourceCollector, SourceFunction, SourceStatus, Stream, SubtaskContext, UserError,
};
use snapline::state::{ListStateDescriptor, MapStateDescriptor, OperatorListState, OperatorStateBackend};
use std::sync::{Arc, Mutex};

/// What a source has found in its state at the start of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    pub attempt: u32,
    pub subtask: u16,
    /// From the union list: the subtasks that were there.
    pub known: Vec<u16>,
    /// From the broadcast state: how many subtasks there are.
    pub agreed: Option<u16>,
}

pub type AllFound = Arc<Mutex<Vec<Found>>>;

struct Knowing {
    numbers: Keyed,
    context: SubtaskContext,
    found: AllFound,
    known: Option<OperatorListState<u16>>,
}

impl SourceFunction for Knowing {
    type Out = Number;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let SubtaskContext { subtask, attempt, parallelism } = self.context;
        let known = state.union_list_state(&ListStateDescriptor::new("known"))?;
        let agreed = state.broadcast_state(&MapStateDescriptor::<String, u16>::new("agreed"))?;
        self.found.lock().unwrap().push(Found {
            attempt: attempt.0,
            subtask: subtask.index,
            known: known.get(state)?.to_vec(),
            agreed: agreed.get(state, "parallelism")?.copied(),
        });
        known.update(state, vec![subtask.index])?;
        agreed.put(state, "parallelism".to_owned(), parallelism)?;
        self.known = Some(known);
        self.numbers.initialize_state(state)
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<Number>) -> Result<SourceStatus, UserError> {
        self.numbers.poll(out)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        // What comes out of a union list is what all had put in: a subtask puts in only its own.
        self.known.ok_or("not initialized")?.update(state, vec![self.context.subtask.index])?;
        self.numbers.snapshot_state(state)
    }
}

/// The job with `parallelism` instances of each operator, and what its sources find.
pub fn job_with_union(world: &Arc<World>, parallelism: u16) -> (Job, AllFound) {
    let found = AllFound::default();
    let mut job = JobBuilder::new();
    let numbers = add_knowing(&mut job, "numbers", parallelism, world, &found, |context| context);
    add_counts(&mut job, numbers, world, ["count", "memory"], parallelism);
    (job.build(JOB).unwrap(), found)
}

/// The same with parallelism two, but nothing in common between the two instances.
pub fn job_of_two_pipelines_with_union(world: &Arc<World>) -> Job {
    let (mut job, found) = (JobBuilder::new(), AllFound::default());
    for (index, [source, count, sink]) in PIPELINES.into_iter().enumerate() {
        let numbers =
            add_knowing(&mut job, source, 1, world, &found, move |context| as_one_of_two(context, index));
        add_counts(&mut job, numbers, world, [count, sink], 1);
    }
    job.build(JOB).unwrap()
}

fn add_knowing(
    job: &mut JobBuilder,
    uid: &str,
    parallelism: u16,
    world: &Arc<World>,
    found: &AllFound,
    numbers_of: impl Fn(SubtaskContext) -> SubtaskContext + Send + Sync + 'static,
) -> Stream<Number> {
    let (world, found) = (Arc::clone(world), Arc::clone(found));
    job.source(uid, parallelism, move |context| {
        let numbers =
            Numbers { world: Arc::clone(&world), context: numbers_of(context), next: 0, state: None };
        Knowing { numbers: Keyed { numbers }, context, found: Arc::clone(&found), known: None }
    })
}
