//! A small job for the tests of the runtime: numbers, counted by key, into transactions in memory.
#![allow(dead_code, unused_imports, reason = "no test uses all of it")]

pub mod broadcast;
#[path = "../../support/failing_backend.rs"]
pub mod failing_backend;
pub mod failing_disk;
pub mod faulty;
#[path = "../../support/in_memory.rs"]
mod in_memory;
pub mod keys;
#[path = "../../support/runs_backend.rs"]
pub mod runs_backend;
mod sink;
pub mod splits;
pub mod sweep;
pub mod ttl;
pub mod union;
mod watch;
pub mod windows;
mod world;

pub use in_memory::in_memory;
use runs_backend::RunsStateBackendFactory;
use serde::{Deserialize, Serialize};
use sink::Memory;
use snapline::base::{EventTime, JobId, Millis, SubtaskId};
use snapline::coordinator::RestartStrategy;
use snapline::runtime::{
    Collector, Job, JobBuilder, JobError, JobHandle, JobOptions, JobSummary, KeyedContext,
    KeyedProcessFunction, SourceCollector, SourceFunction, SourceStatus, Stream, SubtaskContext, UserError,
};
use snapline::state::backend::StateBackend;
use snapline::state::{
    KeyedStateStore, ListStateDescriptor, OperatorListState, OperatorStateBackend, StateError, ValueState,
    ValueStateDescriptor,
};
use snapline::store::{CheckpointStorage, JobManagerCheckpointStorage, OutputSizes};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use watch::{Counter, Watch};
pub use world::{Fault, Place, Plan, World};

pub const JOB: JobId = JobId(7);
const KEYS: u64 = 16;
pub const NUMBERS_PER_SOURCE: u64 = 2_000;
pub const STEPS: u64 = 5;
/// How many numbers a source sends before the first checkpoint.
pub const FIRST_STEP: u64 = NUMBERS_PER_SOURCE / STEPS;

/// A record of the output: a key and how often it had been seen.
pub type Counted = (u64, u64);

pub fn expected(sources: u16) -> Vec<Counted> {
    let total = NUMBERS_PER_SOURCE * u64::from(sources);
    let of_key = |key: u64| (0..total).filter(move |number| number % KEYS == key).count() as u64;
    // The last record of each key is the one that `finish` emits.
    (0..KEYS).flat_map(|key| (1..=of_key(key)).chain([u64::MAX]).map(move |count| (key, count))).collect()
}

struct Numbers {
    world: Arc<World>,
    context: SubtaskContext,
    next: u64,
    state: Option<OperatorListState<u64>>,
}

impl SourceFunction for Numbers {
    type Out = u64;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.world.at(Place::Initialize)?;
        let SubtaskContext { attempt, subtask, .. } = self.context;
        self.world.state.lock().unwrap().started.push((attempt.0, subtask.index));
        let next = state.list_state(&ListStateDescriptor::new("next"))?;
        self.next = next.get(state)?.first().copied().unwrap_or(0);
        self.state = Some(next);
        Ok(())
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<u64>) -> Result<SourceStatus, UserError> {
        self.world.at(Place::Poll)?;
        if self.next == NUMBERS_PER_SOURCE {
            return Ok(SourceStatus::EndOfInput);
        }
        // Each step of the input comes after a checkpoint, so that there is something to go on from.
        let steps = 1 + self.world.completed.load(Ordering::SeqCst);
        let may_go_on = self.next < steps * NUMBERS_PER_SOURCE / STEPS;
        let held_from = self.world.state.lock().unwrap().held_from;
        let is_held = held_from.is_some_and(|from| self.context.subtask.index >= from);
        if is_held || !may_go_on {
            self.world.leave_the_processor();
            return Ok(SourceStatus::MoreAvailable);
        }
        let (index, sources) = (u64::from(self.context.subtask.index), u64::from(self.context.parallelism));
        for _ in 0..10 {
            out.collect(self.next * sources + index);
            self.next += 1;
        }
        if self.next.is_multiple_of(50) {
            out.emit_watermark(EventTime(((self.next - 1) * sources + index) as i64));
        }
        self.world.emitted.fetch_add(10, Ordering::SeqCst);
        Ok(SourceStatus::MoreAvailable)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.world.at(Place::SnapshotSource)?;
        if let Some(next) = self.state {
            next.update(state, vec![self.next])?;
        }
        Ok(())
    }
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Number {
    key: u64,
    /// When it happened.
    time: i64,
}

/// Adds one and gives the sum.
pub fn one_more(count: &mut u64) -> u64 {
    *count += 1;
    *count
}

struct Count {
    world: Arc<World>,
    watch: Watch,
    counts: Option<ValueState<u64>>,
    /// The last number of a key, where each must be higher than those before.
    last: Option<ValueState<i64>>,
    processed: Counter,
}

impl KeyedProcessFunction for Count {
    type Key = u64;
    type In = Number;
    type Out = Counted;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.processed.restore(state)
    }

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        self.world.at(Place::Open).map_err(|error| StateError::from(std::io::Error::other(error)))?;
        self.counts = Some(state.open(&ValueStateDescriptor::new("count"))?);
        if self.world.state.lock().unwrap().keys_are_in_order {
            self.last = Some(state.open(&ValueStateDescriptor::new("last"))?);
        }
        Ok(())
    }

    fn process(
        &mut self,
        number: Number,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        self.world.at(Place::Process)?;
        self.watch.at(number, context.current_watermark());
        self.processed.records += 1;
        let counts = self.counts.ok_or("not opened")?;
        let count = counts.with_mut(context.state(), || 0, one_more)?;
        if let Some(last) = self.last {
            let before = last.get(context.state())?.map(|last| *last);
            if before.is_some_and(|before| before >= number.time) {
                let what = format!("{} comes behind {before:?}", number.time);
                self.world.state.lock().unwrap().violations.push(what);
            }
            last.update(context.state(), number.time)?;
        }
        out.collect((number.key, count));
        Ok(())
    }

    fn finish(
        &mut self,
        state: &mut KeyedStateStore<u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        self.world.at(Place::Finish)?;
        for (key, _) in self.counts.ok_or("not opened")?.entries(state)? {
            out.collect((*key, u64::MAX));
        }
        let subtask = self.watch.context.subtask;
        self.world.state.lock().unwrap().counted.insert(subtask, self.processed.records);
        Ok(())
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.processed.store(state)
    }
}

/// The job, with `parallelism` instances of each operator.
pub fn job(world: &Arc<World>, parallelism: u16) -> Job {
    job_called(JOB, world, parallelism)
}

/// The same under another id.
pub fn job_called(id: JobId, world: &Arc<World>, parallelism: u16) -> Job {
    let mut job = JobBuilder::new();
    add_pipeline(&mut job, world, ["numbers", "count", "memory"], parallelism, |context| context);
    job.build(id).unwrap()
}

/// The same with parallelism two, but nothing in common between the two instances: each has the keys of its source.
pub fn job_of_two_pipelines(world: &Arc<World>) -> Job {
    let mut job = JobBuilder::new();
    for (index, uids) in PIPELINES.into_iter().enumerate() {
        add_pipeline(&mut job, world, uids, 1, move |context| as_one_of_two(context, index));
    }
    job.build(JOB).unwrap()
}

/// The operators of two pipelines in one job.
const PIPELINES: [[&str; 3]; 2] =
    [["numbers", "count", "memory"], ["others", "count others", "other memory"]];

/// A source that is alone in its pipeline has the numbers of one of two.
fn as_one_of_two(context: SubtaskContext, index: usize) -> SubtaskContext {
    let subtask = SubtaskId::new(context.subtask.operator, index as u16);
    SubtaskContext { subtask, parallelism: 2, ..context }
}

fn add_pipeline(
    job: &mut JobBuilder,
    world: &Arc<World>,
    [source, count, sink]: [&str; 3],
    parallelism: u16,
    numbers_of: impl Fn(SubtaskContext) -> SubtaskContext + Send + Sync + 'static,
) {
    let sources = Arc::clone(world);
    let numbers = job.source(source, parallelism, move |context| Keyed {
        numbers: Numbers { world: Arc::clone(&sources), context: numbers_of(context), next: 0, state: None },
    });
    add_counts(job, numbers, world, [count, sink], parallelism);
}

fn add_counts(
    job: &mut JobBuilder,
    numbers: Stream<Number>,
    world: &Arc<World>,
    [count, sink]: [&str; 2],
    parallelism: u16,
) {
    let [counts, sinks] = [0; 2].map(|_| Arc::clone(world));
    let keyed = numbers.key_by(|number: &Number| &number.key);
    let counted = job.process(keyed, count, parallelism, None, move |context| Count {
        world: Arc::clone(&counts),
        watch: Watch::new(&counts, context),
        counts: None,
        last: None,
        processed: Counter::default(),
    });
    job.sink(counted, sink, move |context| Memory::new(&sinks, context));
}

/// Gives each number its key.
struct Keyed {
    numbers: Numbers,
}

struct WithKey<'a>(&'a mut dyn SourceCollector<Number>);

impl Collector<u64> for WithKey<'_> {
    fn collect(&mut self, number: u64) {
        self.0.collect(Number { key: number % KEYS, time: number as i64 });
    }
}

impl SourceCollector<u64> for WithKey<'_> {
    fn emit_watermark(&mut self, watermark: EventTime) {
        self.0.emit_watermark(watermark);
    }
}

impl SourceFunction for Keyed {
    type Out = Number;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.numbers.initialize_state(state)
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<Number>) -> Result<SourceStatus, UserError> {
        self.numbers.poll(&mut WithKey(out))
    }

    fn has_backlog(&self) -> bool {
        self.numbers.world.state.lock().unwrap().has_backlog
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.numbers.snapshot_state(state)
    }
}

/// Many checkpoints with all state in files, small batches, and `attempts` restarts at once.
pub fn options(attempts: u32) -> JobOptions {
    JobOptions {
        checkpoint_interval: Some(Millis(1)),
        inline_threshold_bytes: 0,
        batch_records: 16,
        channel_capacity: 2,
        restart: match attempts {
            0 => RestartStrategy::None,
            attempts => RestartStrategy::FixedDelay { attempts, delay: Millis(0) },
        },
        ..JobOptions::default()
    }
}

/// The same with state in the metadata, as it is by default.
pub fn inline(attempts: u32) -> JobOptions {
    let OutputSizes { inline_threshold_bytes, .. } = OutputSizes::default();
    JobOptions { inline_threshold_bytes, ..options(attempts) }
}

/// The same with incremental checkpoints of state that lies in files.
pub fn in_files(attempts: u32) -> JobOptions {
    let state_backend = StateBackend::Custom(Arc::new(RunsStateBackendFactory), BTreeMap::new());
    JobOptions { state_backend, incremental: true, ..options(attempts) }
}

pub fn memory() -> Arc<dyn CheckpointStorage> {
    Arc::new(JobManagerCheckpointStorage::new(JOB))
}

/// Nothing here takes this long, even on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(300);

/// Waits until `is_so`, which must be before the job has ended.
#[track_caller]
#[allow(clippy::disallowed_methods, reason = "only to give up")]
pub fn wait_until(handle: &JobHandle, is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(!handle.wait_timeout(Duration::from_millis(1)), "the job has ended before");
        assert!(start.elapsed() < PATIENCE, "what is waited for does not happen: {:?}", handle.progress());
    }
}

/// Runs the job to its end.
pub fn run(
    world: &Arc<World>,
    parallelism: u16,
    options: JobOptions,
    storage: &Arc<dyn CheckpointStorage>,
) -> Result<JobSummary, JobError> {
    job(world, parallelism).start(options, Arc::clone(storage))?.wait()
}

/// A second process of the same job takes over, and the first one, which goes on some time later, changes nothing any more.
pub fn is_taken_over(storage: impl Fn() -> Arc<dyn CheckpointStorage>) {
    let world = World::new();
    let start = || job(&world, 2).start(options(3), storage()).unwrap();
    // The sources wait for a checkpoint, and none can complete.
    world.close(Place::Durability);
    let first = start();
    world.wait_for_arrival();
    let second = start();
    while second.progress().attempt.0 < 2 {
        assert!(!second.wait_timeout(Duration::from_millis(1)));
    }
    world.open_again();
    assert!(matches!(first.wait(), Err(JobError::Fenced)));
    second.wait().unwrap();
    world.assert_not_wrong(2);
}
