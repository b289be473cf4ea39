//! Jobs over the same numbers with windows, and with timers of the user's own.

use super::{Counted, JOB, KEYS, Keyed, Memory, NUMBERS_PER_SOURCE, Number, Numbers, World, add_counts};
use snapline::base::{EventTime, Millis, TimeDomain};
use snapline::operator::WindowOptions;
use snapline::runtime::{
    Collector, Job, JobBuilder, KeyedContext, KeyedProcessFunction, KeyedStream, SourceFunction, Stream,
    SubtaskContext, UserError, WindowFunction,
};
use snapline::state::{
    AggregateFunction, AggregatingStateDescriptor, KeyedStateStore, ListState, ListStateDescriptor,
    StateError, Timer, ValueState, ValueStateDescriptor,
};
use snapline::watermark::WatermarkStrategy;
use snapline::window::{TimeWindow, WindowAssigner};
use std::collections::BTreeMap;
use std::sync::Arc;

const WINDOW: i64 = 100;

/// What a window of a key emits: both in one, and how many numbers there were.
fn emitted(key: u64, start: i64, numbers: u64) -> Counted {
    // The first sliding window begins before all numbers.
    (key * 1_000_000 + (start + WINDOW) as u64, numbers)
}

/// What comes out where a number is too late for its window.
fn late(number: u64) -> Counted {
    (u64::MAX, number)
}

/// When a number happens: in the last quarter of its window, so that there are gaps between sessions, and never behind
/// its watermark.
fn time_of(number: i64) -> i64 {
    number / WINDOW * WINDOW + WINDOW * 3 / 4 + number % WINDOW / 4
}

/// Which windows there are.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    Tumbling,
    /// Twice as long, each beginning in the middle of the one before.
    Sliding,
    Sessions,
}

const GAP: i64 = 30;

impl Kind {
    fn assigner(self) -> WindowAssigner {
        let size = Millis(WINDOW as u64);
        let assigner = match self {
            Kind::Tumbling => WindowAssigner::tumbling(size),
            Kind::Sliding => WindowAssigner::sliding(Millis(2 * size.0), size),
            Kind::Sessions => WindowAssigner::session(Millis(GAP as u64)),
        };
        assigner.expect("valid")
    }

    /// The starts of the windows of a key, each with how many of its times, which are in order, are in it.
    fn windows(self, times: &[i64]) -> BTreeMap<i64, u64> {
        let mut windows = BTreeMap::new();
        let mut count = |start, times| *windows.entry(start).or_default() += times;
        match self {
            Kind::Tumbling => times.iter().for_each(|time| count(time / WINDOW * WINDOW, 1)),
            Kind::Sliding => {
                let halves = times.iter().map(|time| time / WINDOW * WINDOW);
                halves.flat_map(|half| [half - WINDOW, half]).for_each(|start| count(start, 1));
            }
            Kind::Sessions => {
                let sessions = times.chunk_by(|time, next| next - time <= GAP);
                sessions.for_each(|session| count(session[0], session.len() as u64));
            }
        }
        windows
    }

    /// What the windows emit over all numbers.
    pub fn output(self, sources: u16) -> Vec<Counted> {
        let total = NUMBERS_PER_SOURCE * u64::from(sources);
        let of_key = |key| {
            let numbers = (0..total).filter(|number| number % KEYS == key);
            let times: Vec<i64> = numbers.map(|number| time_of(number as i64)).collect();
            self.windows(&times).into_iter().map(move |(start, numbers)| emitted(key, start, numbers))
        };
        let mut output: Vec<_> = (0..KEYS).flat_map(of_key).collect();
        output.sort_unstable();
        output
    }
}

/// Keeps all numbers of a window.
struct Elements {
    assigner: WindowAssigner,
    time_of: fn(i64) -> i64,
}

impl WindowFunction for Elements {
    type Key = u64;
    type In = Number;
    type Contents = ListStateDescriptor<Number>;
    type Out = Counted;

    fn options(&self) -> WindowOptions {
        WindowOptions::new(self.assigner)
    }

    fn contents(&self) -> ListStateDescriptor<Number> {
        ListStateDescriptor::new("numbers")
    }

    fn event_time(&self, number: &Number) -> EventTime {
        EventTime((self.time_of)(number.time))
    }

    fn fire(
        &mut self,
        key: &u64,
        window: TimeWindow,
        numbers: Vec<Number>,
        out: &mut dyn Collector<Counted>,
    ) {
        out.collect(emitted(*key, window.start, numbers.len() as u64));
    }

    fn late(&mut self, number: Number, out: &mut dyn Collector<Counted>) {
        out.collect(late(number.time as u64));
    }
}

/// Lets all numbers of a window out at its end.
struct Delay;

impl WindowFunction for Delay {
    type Key = u64;
    type In = Number;
    type Contents = ListStateDescriptor<Number>;
    type Out = Number;

    fn options(&self) -> WindowOptions {
        WindowOptions::new(Kind::Tumbling.assigner())
    }

    fn contents(&self) -> ListStateDescriptor<Number> {
        ListStateDescriptor::new("numbers")
    }

    fn event_time(&self, number: &Number) -> EventTime {
        EventTime(number.time)
    }

    fn fire(&mut self, key: &u64, window: TimeWindow, numbers: Vec<Number>, out: &mut dyn Collector<Number>) {
        let time = window.max_timestamp();
        numbers.iter().for_each(|_| out.collect(Number { key: *key, time }));
    }
}

/// Counts the numbers of a window as they come.
struct Counts(Kind);

struct Counting;

impl AggregateFunction for Counting {
    type In = Number;
    type Accumulator = u64;
    type Out = u64;

    fn create_accumulator(&self) -> u64 {
        0
    }

    fn add(&self, _: Number, count: &mut u64) {
        *count += 1;
    }

    fn result(&self, count: &u64) -> u64 {
        *count
    }

    fn merge(&self, count: &mut u64, other: u64) {
        *count += other;
    }
}

impl WindowFunction for Counts {
    type Key = u64;
    type In = Number;
    type Contents = AggregatingStateDescriptor<Counting>;
    type Out = Counted;

    fn options(&self) -> WindowOptions {
        WindowOptions::new(self.0.assigner())
    }

    fn contents(&self) -> AggregatingStateDescriptor<Counting> {
        AggregatingStateDescriptor::new("count", Counting)
    }

    fn event_time(&self, number: &Number) -> EventTime {
        EventTime(time_of(number.time))
    }

    fn fire(&mut self, key: &u64, window: TimeWindow, count: u64, out: &mut dyn Collector<Counted>) {
        out.collect(emitted(*key, window.start, count));
    }

    fn late(&mut self, number: Number, out: &mut dyn Collector<Counted>) {
        out.collect(late(number.time as u64));
    }
}

/// Tumbling windows by hand.
#[derive(Default)]
struct ByTimers {
    numbers: Option<ListState<i64>>,
}

impl KeyedProcessFunction for ByTimers {
    type Key = u64;
    type In = Number;
    type Out = Counted;

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        self.numbers = Some(state.open(&ListStateDescriptor::new("numbers"))?);
        Ok(())
    }

    fn process(
        &mut self,
        number: Number,
        context: &mut KeyedContext<'_, u64>,
        _: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let time = time_of(number.time);
        self.numbers.ok_or("not opened")?.add(context.state(), time)?;
        let end = time / WINDOW * WINDOW + WINDOW;
        // This one would come first.
        context.register_timer(TimeDomain::EventTime, end - 2)?;
        context.delete_timer(TimeDomain::EventTime, end - 2)?;
        Ok(context.register_timer(TimeDomain::EventTime, end - 1)?)
    }

    fn on_timer(
        &mut self,
        timer: Timer<u64, ()>,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let state = self.numbers.ok_or("not opened")?;
        let all: Vec<i64> = state.get(context.state())?.map(|number| *number).collect();
        let (due, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|number| *number <= timer.time);
        state.update(context.state(), others)?;
        out.collect(emitted(timer.key, timer.time + 1 - WINDOW, due.len() as u64));
        Ok(())
    }
}

/// Emits a key when it is seen first, by a timer for which it is too late, and again a second later by the clock.
#[derive(Default)]
struct Twice {
    seen: Option<ValueState<bool>>,
}

impl KeyedProcessFunction for Twice {
    type Key = u64;
    type In = Number;
    type Out = Counted;

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        self.seen = Some(state.open(&ValueStateDescriptor::new("seen"))?);
        Ok(())
    }

    fn process(
        &mut self,
        _: Number,
        context: &mut KeyedContext<'_, u64>,
        _: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let seen = self.seen.ok_or("not opened")?;
        if seen.get(context.state())?.is_none() {
            seen.update(context.state(), true)?;
            let now = context.current_processing_time().0;
            context.register_timer(TimeDomain::ProcessingTime, now as i64 + 1000)?;
            context.register_timer(TimeDomain::ProcessingTime, -1)?;
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer<u64, ()>,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let time = u64::try_from(timer.time).unwrap_or(context.current_processing_time().0);
        out.collect((timer.key, time));
        Ok(())
    }
}

pub fn job_with_elements(world: &Arc<World>, parallelism: u16, kind: Kind) -> Job {
    job(world, parallelism, |job, numbers| {
        job.window(numbers, "windows", parallelism, None, move |_| Elements {
            assigner: kind.assigner(),
            time_of,
        })
    })
}

/// Nothing advances in the numbers but their watermarks, so all of them are of one window, and late once it has gone.
pub fn job_with_late_elements(world: &Arc<World>) -> Job {
    job(world, 1, |job, numbers| {
        job.window(numbers, "windows", 1, None, |_| Elements {
            assigner: Kind::Tumbling.assigner(),
            time_of: |_| 0,
        })
    })
}

/// What it emits: a window of the numbers before its end, and each number after that.
pub fn output_with_late_elements() -> Vec<Counted> {
    let on_time = |key| (0..WINDOW as u64).filter(|number| number % KEYS == key).count() as u64;
    let windows = (0..KEYS).map(|key| emitted(key, 0, on_time(key)));
    windows.chain((WINDOW as u64..NUMBERS_PER_SOURCE).map(late)).collect()
}

/// Windows by the time at which numbers are processed.
pub fn job_with_elements_by_the_clock(world: &Arc<World>, parallelism: u16) -> Job {
    job(world, parallelism, |job, numbers| {
        job.window(numbers, "windows", parallelism, None, |_| Elements {
            assigner: Kind::Tumbling.assigner().in_processing_time(),
            time_of: |_| unreachable!("nobody asks when it happened"),
        })
    })
}

/// What it emits for the numbers of the first of two sources, if all are processed in the window that starts at `start`.
pub fn output_by_the_clock(start: i64) -> Vec<Counted> {
    (0..KEYS).step_by(2).map(|key| emitted(key, start, 2 * NUMBERS_PER_SOURCE / KEYS)).collect()
}

pub fn job_with_counts(world: &Arc<World>, parallelism: u16, kind: Kind) -> Job {
    job(world, parallelism, |job, numbers| {
        job.window(numbers, "windows", parallelism, None, move |_| Counts(kind))
    })
}

pub fn job_with_timers(world: &Arc<World>, parallelism: u16) -> Job {
    job(world, parallelism, |job, numbers| {
        job.process(numbers, "timers", parallelism, None, |_| ByTimers::default())
    })
}

pub fn job_by_the_clock(world: &Arc<World>, parallelism: u16) -> Job {
    job(world, parallelism, |job, numbers| {
        job.process(numbers, "twice", parallelism, None, |_| Twice::default())
    })
}

/// The job without windows, but that each number is counted when its window has fired.
pub fn job_with_counts_behind_windows(world: &Arc<World>, parallelism: u16) -> Job {
    let mut job = JobBuilder::new();
    let numbers = add_numbers(&mut job, world, parallelism);
    let delayed = job.window(numbers, "windows", parallelism, None, |_| Delay);
    add_counts(&mut job, delayed, world, ["count", "memory"], parallelism);
    job.build(JOB).unwrap()
}

pub(super) fn job(
    world: &Arc<World>,
    parallelism: u16,
    keyed: impl FnOnce(&mut JobBuilder, KeyedStream<Number, u64>) -> Stream<Counted>,
) -> Job {
    let mut job = JobBuilder::new();
    let sinks = Arc::clone(world);
    let numbers = add_numbers(&mut job, world, parallelism);
    let emitted = keyed(&mut job, numbers);
    job.sink(emitted, "memory", move |context| Memory::new(&sinks, context));
    job.build(JOB).unwrap()
}

/// The numbers, with the same watermarks as without the strategy and more in between.
fn add_numbers(job: &mut JobBuilder, world: &Arc<World>, parallelism: u16) -> KeyedStream<Number, u64> {
    let world = Arc::clone(world);
    let numbers = job.source("numbers", parallelism, move |context: SubtaskContext| {
        let numbers = Numbers { world: Arc::clone(&world), context, next: 0, state: None };
        let strategy = WatermarkStrategy::for_monotonous_timestamps();
        Keyed { numbers }.with_watermarks(strategy, |number: &Number| EventTime(number.time))
    });
    numbers.key_by(|number: &Number| &number.key)
}
