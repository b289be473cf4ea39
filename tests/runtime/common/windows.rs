//! Jobs over the same numbers with windows, and with timers of the user's own.

use super::{Counted, JOB, KEYS, Keyed, Memory, NUMBERS_PER_SOURCE, Number, Numbers, World};
use snapline::base::{EventTime, Millis, TimeDomain};
use snapline::operator::WindowOptions;
use snapline::runtime::{
    Collector, Job, JobBuilder, KeyedContext, KeyedProcessFunction, KeyedStream, Stream, SubtaskContext,
    UserError, WindowFunction,
};
use snapline::state::{
    KeyedStateStore, ListState, ListStateDescriptor, StateError, Timer, ValueState, ValueStateDescriptor,
};
use snapline::window::{TimeWindow, WindowAssigner};
use std::collections::BTreeMap;
use std::sync::Arc;

const WINDOW: i64 = 100;

/// What a window of a key emits: both in one, and how many numbers there were.
fn emitted(key: u64, start: i64, numbers: usize) -> Counted {
    (key * 1_000_000 + start as u64, numbers as u64)
}

/// What these windows emit over all numbers.
pub fn output_of_windows(sources: u16) -> Vec<Counted> {
    let mut windows: BTreeMap<(u64, i64), usize> = BTreeMap::new();
    for number in 0..NUMBERS_PER_SOURCE * u64::from(sources) {
        *windows.entry((number % KEYS, number as i64 / WINDOW * WINDOW)).or_default() += 1;
    }
    let mut output: Vec<_> =
        windows.into_iter().map(|((key, start), numbers)| emitted(key, start, numbers)).collect();
    output.sort_unstable();
    output
}

struct Tumbling;

impl WindowFunction for Tumbling {
    type Key = u64;
    type In = Number;
    type Contents = ListStateDescriptor<Number>;
    type Out = Counted;

    fn options(&self) -> WindowOptions {
        WindowOptions::new(WindowAssigner::tumbling(Millis(WINDOW as u64)).expect("valid"))
    }

    fn contents(&self) -> ListStateDescriptor<Number> {
        ListStateDescriptor::new("numbers")
    }

    fn event_time(&self, number: &Number) -> EventTime {
        EventTime(number.time)
    }

    fn fire(
        &mut self,
        key: &u64,
        window: TimeWindow,
        numbers: Vec<Number>,
        out: &mut dyn Collector<Counted>,
    ) {
        out.collect(emitted(*key, window.start, numbers.len()));
    }

    fn late(&mut self, number: Number, out: &mut dyn Collector<Counted>) {
        out.collect((u64::MAX, number.time as u64));
    }
}

/// The same by hand.
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
        self.numbers.ok_or("not opened")?.add(context.state(), number.time)?;
        let end = number.time / WINDOW * WINDOW + WINDOW;
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
        out.collect(emitted(timer.key, timer.time + 1 - WINDOW, due.len()));
        Ok(())
    }
}

/// Emits a key when it is seen first, and again a second later by the clock.
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
        number: Number,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let seen = self.seen.ok_or("not opened")?;
        if seen.get(context.state())?.is_none() {
            seen.update(context.state(), true)?;
            let now = context.current_processing_time().0;
            context.register_timer(TimeDomain::ProcessingTime, now as i64 + 1000)?;
            out.collect((number.key, now));
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        timer: Timer<u64, ()>,
        _: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        out.collect((timer.key, timer.time as u64));
        Ok(())
    }
}

pub fn job_with_windows(world: &Arc<World>, parallelism: u16) -> Job {
    job(world, parallelism, |job, numbers| job.window(numbers, "windows", parallelism, None, |_| Tumbling))
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

fn job(
    world: &Arc<World>,
    parallelism: u16,
    keyed: impl FnOnce(&mut JobBuilder, KeyedStream<Number, u64>) -> Stream<Counted>,
) -> Job {
    let mut job = JobBuilder::new();
    let (sources, sinks) = (Arc::clone(world), Arc::clone(world));
    let numbers = job.source("numbers", parallelism, move |context: SubtaskContext| Keyed {
        numbers: Numbers { world: Arc::clone(&sources), context, next: 0, state: None },
    });
    let emitted = keyed(&mut job, numbers.key_by(|number: &Number| &number.key));
    job.sink(emitted, "memory", move |context| Memory::new(&sinks, context));
    job.build(JOB).unwrap()
}
