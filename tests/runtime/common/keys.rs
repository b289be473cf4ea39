//! The same numbers, counted by keys of any type.

use super::sink::Memory;
use super::{Counted, JOB, KEYS, Numbers, World, one_more};
use serde::{Deserialize, Serialize};
use snapline::base::EventTime;
use snapline::runtime::{
    Collector, Job, JobBuilder, KeyedContext, KeyedProcessFunction, KeyedStream, SourceCollector,
    SourceFunction, SourceStatus, Stream, UserError,
};
use snapline::state::{
    KeyedStateStore, OperatorStateBackend, StateError, StateKey, StateValue, ValueState, ValueStateDescriptor,
};
use std::sync::Arc;

/// What has a key.
#[derive(Serialize, Deserialize)]
pub struct Click<K> {
    pub user: K,
}

struct Clicks<K> {
    numbers: Numbers,
    user: fn(u64) -> K,
}

struct WithUser<'a, K> {
    out: &'a mut dyn SourceCollector<Click<K>>,
    user: fn(u64) -> K,
}

impl<K> Collector<u64> for WithUser<'_, K> {
    fn collect(&mut self, number: u64) {
        self.out.collect(Click { user: (self.user)(number % KEYS) });
    }
}

impl<K> SourceCollector<u64> for WithUser<'_, K> {
    fn emit_watermark(&mut self, watermark: EventTime) {
        self.out.emit_watermark(watermark);
    }
}

impl<K: StateKey + StateValue> SourceFunction for Clicks<K> {
    type Out = Click<K>;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.numbers.initialize_state(state)
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<Click<K>>) -> Result<SourceStatus, UserError> {
        self.numbers.poll(&mut WithUser { out, user: self.user })
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.numbers.snapshot_state(state)
    }
}

struct Count<K> {
    counts: Option<ValueState<u64>>,
    number: fn(&K) -> u64,
}

impl<K: StateKey + StateValue> KeyedProcessFunction for Count<K> {
    type Key = K;
    type In = Click<K>;
    type Out = Counted;

    fn open(&mut self, state: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        self.counts = Some(state.open(&ValueStateDescriptor::new("count"))?);
        Ok(())
    }

    fn process(
        &mut self,
        click: Click<K>,
        context: &mut KeyedContext<'_, K>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let counts = self.counts.ok_or("not opened")?;
        out.collect(((self.number)(&click.user), counts.with_mut(context.state(), || 0, one_more)?));
        Ok(())
    }
}

/// The job, whose keys are made of numbers, with what `keyed` makes of its stream.
pub fn job_by_user<K: StateKey + StateValue>(
    world: &Arc<World>,
    user: fn(u64) -> K,
    number: fn(&K) -> u64,
    keyed: impl FnOnce(Stream<Click<K>>) -> KeyedStream<Click<K>, K>,
) -> Job {
    let mut job = JobBuilder::new();
    let [sources, sinks] = [0; 2].map(|_| Arc::clone(world));
    let clicks = job.source("clicks", 2, move |context| Clicks {
        numbers: Numbers { world: Arc::clone(&sources), context, next: 0, state: None },
        user,
    });
    let counted = job.process(keyed(clicks), "count", 2, None, move |_| Count { counts: None, number });
    job.sink(counted, "memory", move |context| Memory::new(&sinks, context));
    job.build(JOB).unwrap()
}
