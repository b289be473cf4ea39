//! A job over the same numbers whose state has a time to live.

use super::windows::job;
use super::{Counted, Number, World, one_more};
use snapline::base::{Millis, TimeDomain};
use snapline::runtime::{Collector, Job, KeyedContext, KeyedProcessFunction, UserError};
use snapline::state::{KeyedStateStore, StateError, Timer, TtlValueState, ValueStateDescriptor};
use snapline::ttl::StateTtlConfig;
use std::sync::Arc;

/// How long a count lives, and when each key tells how many counts are left.
pub const TTL: Millis = Millis(1_000);
pub const LAST_LOOK: Millis = Millis(50_000);

/// What a key tells then.
pub fn left(key: u64, counts: u64) -> Counted {
    (key + 1_000, counts)
}

/// Emits how many numbers of a key have come since its count expired.
struct Forgetful {
    ttl: StateTtlConfig,
    count: Option<TtlValueState<u64>>,
}

impl KeyedProcessFunction for Forgetful {
    type Key = u64;
    type In = Number;
    type Out = Counted;

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        self.count = Some(state.open(&ValueStateDescriptor::new("count").with_ttl(self.ttl))?);
        Ok(())
    }

    fn process(
        &mut self,
        number: Number,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let count = self.count.ok_or("not opened")?.with_mut(context.state(), || 0, one_more)?;
        out.collect((number.key, count));
        Ok(context.register_timer(TimeDomain::ProcessingTime, LAST_LOOK.0 as i64)?)
    }

    fn on_timer(
        &mut self,
        timer: Timer<u64, ()>,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let counts = context.state().count(&self.count.ok_or("not opened")?)?;
        out.collect(left(timer.key, counts as u64));
        Ok(())
    }
}

pub fn job_that_forgets(world: &Arc<World>, parallelism: u16) -> Job {
    job_that_forgets_by(StateTtlConfig::new(TTL).expect("positive"), world, parallelism)
}

pub fn job_that_forgets_by(ttl: StateTtlConfig, world: &Arc<World>, parallelism: u16) -> Job {
    job(world, parallelism, |job, numbers| {
        job.process(numbers, "forgetful", parallelism, None, move |_| Forgetful { ttl, count: None })
    })
}

const WINDOW: i64 = 100;

/// Counts the windows in which a key has numbers, as long as each comes within two windows of the one before.
#[derive(Default)]
struct Streak {
    windows: Option<TtlValueState<u64>>,
}

impl KeyedProcessFunction for Streak {
    type Key = u64;
    type In = Number;
    type Out = Counted;

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        let ttl = StateTtlConfig::new(Millis(2 * WINDOW as u64)).expect("positive");
        let ttl = ttl.with_time_domain(TimeDomain::EventTime);
        self.windows = Some(state.open(&ValueStateDescriptor::new("windows").with_ttl(ttl))?);
        Ok(())
    }

    fn process(
        &mut self,
        number: Number,
        context: &mut KeyedContext<'_, u64>,
        _: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        // Some windows are left out.
        let window = number.time / WINDOW;
        match window % 7 {
            0..4 => Ok(context.register_timer(TimeDomain::EventTime, (window + 1) * WINDOW - 1)?),
            _ => Ok(()),
        }
    }

    fn on_timer(
        &mut self,
        timer: Timer<u64, ()>,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let state = self.windows.ok_or("not opened")?;
        let windows = state.get(context.state())?.map_or(0, |windows| *windows) + 1;
        state.update(context.state(), windows)?;
        out.collect((timer.key, windows));
        Ok(())
    }
}

pub fn job_by_event_time(world: &Arc<World>, parallelism: u16) -> Job {
    job(world, parallelism, |job, numbers| {
        job.process(numbers, "streaks", parallelism, None, |_| Streak::default())
    })
}

/// What it emits: four windows in a row, then three without any, and so on.
pub fn output_by_event_time(sources: u16) -> Vec<Counted> {
    let windows = super::NUMBERS_PER_SOURCE as i64 * i64::from(sources) / WINDOW;
    let of_key =
        |key| (0..windows).filter_map(move |window| (window % 7 < 4).then_some((key, window as u64 % 7 + 1)));
    let mut output: Vec<_> = (0..super::KEYS).flat_map(of_key).collect();
    output.sort_unstable();
    output
}
