//! A job over the same numbers whose state has a time to live.

use super::windows::job;
use super::{Counted, Number, World};
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
#[derive(Default)]
struct Forgetful {
    count: Option<TtlValueState<u64>>,
}

impl KeyedProcessFunction for Forgetful {
    type Key = u64;
    type In = Number;
    type Out = Counted;

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        let ttl = StateTtlConfig::new(TTL).expect("positive");
        self.count = Some(state.open(&ValueStateDescriptor::new("count").with_ttl(ttl))?);
        Ok(())
    }

    fn process(
        &mut self,
        number: Number,
        context: &mut KeyedContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let count = self.count.ok_or("not opened")?.with_mut(
            context.state(),
            || 0,
            |count| {
                *count += 1;
                *count
            },
        )?;
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
    job(world, parallelism, |job, numbers| {
        job.process(numbers, "forgetful", parallelism, None, |_| Forgetful::default())
    })
}
