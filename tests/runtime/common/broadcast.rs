//! The same job with a second input: rules, which every counting subtask gets.

use super::{
    Count, Counted, Counter, JOB, Keyed, Memory, Number, Numbers, Place, STEPS, Watch, World, expected,
};
use serde::{Deserialize, Serialize};
use snapline::base::EventTime;
use snapline::runtime::{
    BroadcastContext, Collector, Job, JobBuilder, KeyedBroadcastProcessFunction, ReadOnlyContext,
    SourceCollector, SourceFunction, SourceStatus, SubtaskContext, UserError,
};
use snapline::state::{
    BroadcastState, KeyedStateStore, ListStateDescriptor, MapStateDescriptor, OperatorListState,
    OperatorStateBackend, StateError, ValueState, ValueStateDescriptor,
};
use std::sync::Arc;
use std::sync::atomic::Ordering;

const RULES_PER_SOURCE: u64 = 100;
/// Keys of the output from here on stand for subtasks that have seen so many rules.
const SEEN: u64 = 1_000;
/// And these for subtasks that hold rules of this sum in the end.
const SUM: u64 = 2_000;

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Rule(u64);

struct Rules {
    world: Arc<World>,
    context: SubtaskContext,
    next: u64,
    state: Option<OperatorListState<u64>>,
}

impl SourceFunction for Rules {
    type Out = Rule;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let next = state.list_state(&ListStateDescriptor::new("next"))?;
        self.next = next.get(state)?.first().copied().unwrap_or(0);
        self.state = Some(next);
        Ok(())
    }

    fn poll(&mut self, out: &mut dyn SourceCollector<Rule>) -> Result<SourceStatus, UserError> {
        self.world.at(Place::Poll)?;
        // Rules have no event time.
        out.emit_watermark(EventTime::MAX);
        if self.next == RULES_PER_SOURCE {
            return Ok(SourceStatus::EndOfInput);
        }
        let steps = 1 + self.world.completed.load(Ordering::SeqCst);
        let is_held = self.world.state.lock().unwrap().rules_are_held;
        if is_held || self.next >= steps * RULES_PER_SOURCE / STEPS {
            std::thread::yield_now();
            return Ok(SourceStatus::MoreAvailable);
        }
        let (index, sources) = (u64::from(self.context.subtask.index), u64::from(self.context.parallelism));
        for _ in 0..5 {
            out.collect(Rule(self.next * sources + index));
            self.next += 1;
        }
        Ok(SourceStatus::MoreAvailable)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.state.ok_or("not initialized")?.update(state, vec![self.next])?;
        Ok(())
    }
}

/// Counts numbers by key, and keeps all rules.
struct Judge {
    count: Count,
    /// Each rule, with the number of rules that had come before it.
    rules: Option<BroadcastState<u64, u64>>,
    /// How many rules there were when a key was last looked at.
    known: Option<ValueState<u64>>,
}

impl Judge {
    fn index(&self) -> u64 {
        u64::from(self.count.watch.context.subtask.index)
    }
}

impl KeyedBroadcastProcessFunction for Judge {
    type Key = u64;
    type In = Number;
    type Broadcast = Rule;
    type Out = Counted;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.rules = Some(state.broadcast_state(&MapStateDescriptor::new("rules"))?);
        self.count.processed.restore(state)
    }

    fn open(&mut self, state: &mut KeyedStateStore<u64>) -> Result<(), StateError> {
        self.count.counts = Some(state.open(&ValueStateDescriptor::new("count"))?);
        self.known = Some(state.open(&ValueStateDescriptor::new("known"))?);
        Ok(())
    }

    fn process(
        &mut self,
        number: Number,
        context: &mut ReadOnlyContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        self.count.world.at(Place::Process)?;
        let rules = self.rules.ok_or("not initialized")?.len(context.broadcast_state())? as u64;
        let known = self.known.ok_or("not opened")?.with_mut(context.state(), || rules, |known| *known)?;
        if known != rules {
            let what = format!("key {} knows of {known} rules, not of {rules}", number.key);
            self.count.world.state.lock().unwrap().violations.push(what);
        }
        self.count.watch.at(number, context.current_watermark());
        self.count.processed.records += 1;
        let counts = self.count.counts.ok_or("not opened")?;
        let count = counts.with_mut(
            context.state(),
            || 0,
            |count| {
                *count += 1;
                *count
            },
        )?;
        out.collect((number.key, count));
        Ok(())
    }

    fn process_broadcast(
        &mut self,
        Rule(rule): Rule,
        context: &mut BroadcastContext<'_, u64>,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        self.count.world.at(Place::ProcessBroadcast)?;
        let rules = self.rules.ok_or("not initialized")?;
        let before = rules.len(context.broadcast_state())? as u64;
        if rules.put(context.broadcast_state(), rule, before)?.is_some() {
            self.count.world.state.lock().unwrap().violations.push(format!("rule {rule} comes twice"));
        }
        let known = self.known.ok_or("not opened")?;
        context.for_each_key(&known, |store| {
            known.with_mut(store, || 0, |known| *known += 1).map_err(UserError::from)
        })?;
        out.collect((SEEN + self.index(), before + 1));
        Ok(())
    }

    fn finish(
        &mut self,
        state: &mut KeyedStateStore<u64>,
        broadcast: &OperatorStateBackend,
        out: &mut dyn Collector<Counted>,
    ) -> Result<(), UserError> {
        let sum = self.rules.ok_or("not initialized")?.entries(broadcast)?.map(|(rule, _)| *rule).sum();
        out.collect((SUM + self.index(), sum));
        snapline::runtime::KeyedProcessFunction::finish(&mut self.count, state, out)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.count.processed.store(state)
    }
}

/// The job with `parallelism` instances of each operator and `rule_sources` of the source of rules, which is the second
/// operator.
pub fn job_with_rules(world: &Arc<World>, parallelism: u16, rule_sources: u16) -> Job {
    job_with_judges(world, parallelism, rule_sources, parallelism)
}

/// The same with another number of instances of those who get the rules, and of the sinks.
pub fn job_with_judges(world: &Arc<World>, parallelism: u16, rule_sources: u16, judges: u16) -> Job {
    let mut job = JobBuilder::new();
    let [numbers, rules, counts, sinks] = [0; 4].map(|_| Arc::clone(world));
    let numbers = job.source("numbers", parallelism, move |context| Keyed {
        numbers: Numbers { world: Arc::clone(&numbers), context, next: 0, state: None },
    });
    let rules = job.source("rules", rule_sources, move |context| Rules {
        world: Arc::clone(&rules),
        context,
        next: 0,
        state: None,
    });
    let input = numbers.key_by(|number: &Number| &number.key).connect(rules.broadcast());
    let judged = job.process_broadcast(input, "judge", judges, None, move |context| Judge {
        count: Count {
            world: Arc::clone(&counts),
            watch: Watch::new(&counts, context),
            counts: None,
            last: None,
            processed: Counter::default(),
        },
        rules: None,
        known: None,
    });
    job.sink(judged, "memory", move |context| Memory::new(&sinks, context));
    job.build(JOB).unwrap()
}

/// What each of `judges` subtasks writes at its end about the rules.
pub fn sums_of_rules(rule_sources: u16, judges: u16) -> Vec<Counted> {
    let rules = RULES_PER_SOURCE * u64::from(rule_sources);
    (0..u64::from(judges)).map(|index| (SUM + index, (0..rules).sum())).collect()
}

/// What that job writes.
pub fn output_with_rules(parallelism: u16, rule_sources: u16) -> Vec<Counted> {
    let rules = RULES_PER_SOURCE * u64::from(rule_sources);
    let of_subtask = move |index: u64| {
        let seen = (1..=rules).map(move |seen| (SEEN + index, seen));
        seen.chain([(SUM + index, (0..rules).sum())])
    };
    let of_rules = (0..u64::from(parallelism)).flat_map(of_subtask);
    of_rules.chain(expected(parallelism)).collect()
}
