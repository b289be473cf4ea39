//! Keyed operators, of one input or of two.

use super::error::TaskError;
use super::function::{
    Collector, KeyedContext, KeyedProcessFunction, Record, SourceCollector, Times, UserError,
};
use super::gate::Gate;
use super::output::Outputs;
use super::progress::Meters;
use super::receive::{Receiver, TimerDriver, run_gate};
use super::restore::RestoredState;
use super::source::emit;
use super::subtask_state::{SubtaskState, has_union_list};
use super::task::{Checkpointing, Environment, Marker, Operator, Report, Snapshot, SnapshotRequest};
use crate::base::{Channel, CheckpointId, CheckpointOptions, EventTime, Millis, TimeDomain};
use crate::keygroup::{KeyGroupRangeAssignment, KeyHash, key_group_of};
use crate::state::serializer::StateSerializer;
use crate::state::{
    ChannelState, ExpiredButPresent, KeyedStateStore, KeyedStateStoreBuilder, OperatorStateBackend,
    StateError, StateKey, StateValue, TaskSnapshot, Timer, TimerService, TtlMetrics,
};
use crossbeam_channel::Select;
use std::sync::Arc;

/// What a keyed function works with, beside its record and its output.
pub(super) struct Backends<K> {
    pub(super) keyed: KeyedStateStore<K>,
    pub(super) operator: OperatorStateBackend,
    pub(super) times: Times,
    /// Those of the user's function. What has timers of its own leaves these empty.
    pub(super) timers: TimerService<K, ()>,
}

impl<K: StateKey> Backends<K> {
    /// Tells the store what time it is, if anything in it expires.
    fn tell_time(&mut self) {
        if self.keyed.expires() {
            self.keyed.set_processing_time(self.times.processing.now());
            self.keyed.set_event_time(self.times.watermark);
        }
    }

    /// Fires the next timer that is due at `time`, as far as the store is concerned: its key is the current one.
    pub(super) fn next_timer(
        keyed: &mut KeyedStateStore<K>,
        timers: &mut TimerService<K, ()>,
        domain: TimeDomain,
        time: i64,
    ) -> Result<Option<Timer<K, ()>>, StateError> {
        let timer = timers.advance(keyed, domain, time)?;
        if let (TimeDomain::EventTime, Some(timer)) = (domain, &timer) {
            //= spec/ttl.md#ttl-16-the-present-of-a-timer
            //# While a timer of event time fires, event time MUST be that of the timer for state that expires by it.
            keyed.advance_event_time(EventTime(timer.time));
        }
        Ok(timer)
    }
}

/// How often state is cleaned up whether or not it is accessed, and how many entries are looked at then: about a
/// millisecond's worth.
const CLEAN_UP_PAUSE: Millis = Millis(1_000);
const CLEAN_UP_ENTRIES: usize = 10_000;

/// The user's function as the runtime sees it, whether it has one input or two.
pub(super) trait KeyedFunction {
    type Key: StateKey + StateValue;
    type In: Record;
    type Out: Record;

    /// The key of a record, if it has one.
    fn key_of<'a>(&'a self, record: &'a Self::In) -> Option<&'a Self::Key>;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError>;

    fn open(&mut self, backends: &mut Backends<Self::Key>) -> Result<(), StateError>;

    fn process(
        &mut self,
        record: Self::In,
        backends: &mut Backends<Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), TaskError>;

    /// Fires the next timer that is due at `time`; `false` if there is none.
    fn fire(
        &mut self,
        domain: TimeDomain,
        time: i64,
        backends: &mut Backends<Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<bool, TaskError>;

    /// The time of the first timer of processing time.
    fn deadline(&self, backends: &Backends<Self::Key>) -> Option<i64> {
        backends.timers.deadline()
    }

    fn finish(
        &mut self,
        backends: &mut Backends<Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError>;

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError>;
}

pub(super) type KeyOf<T, K> = Arc<dyn Fn(&T) -> &K + Send + Sync>;

/// A function of one input.
pub(super) struct OneInput<F: KeyedProcessFunction> {
    pub(super) function: F,
    pub(super) key: KeyOf<F::In, F::Key>,
}

impl<F: KeyedProcessFunction> KeyedFunction for OneInput<F> {
    type Key = F::Key;
    type In = F::In;
    type Out = F::Out;

    fn key_of<'a>(&'a self, record: &'a F::In) -> Option<&'a F::Key> {
        Some((self.key)(record))
    }

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.function.initialize_state(state)
    }

    fn open(&mut self, backends: &mut Backends<F::Key>) -> Result<(), StateError> {
        self.function.open(&mut backends.keyed)
    }

    fn process(
        &mut self,
        record: F::In,
        Backends { keyed, times, timers, .. }: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<(), TaskError> {
        keyed.set_current_key_from((self.key)(&record))?;
        let mut context = KeyedContext { state: keyed, times, timers };
        self.function.process(record, &mut context, out).map_err(TaskError::User)
    }

    fn fire(
        &mut self,
        domain: TimeDomain,
        time: i64,
        Backends { keyed, times, timers, .. }: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<bool, TaskError> {
        let Some(timer) = Backends::next_timer(keyed, timers, domain, time)? else { return Ok(false) };
        let mut context = KeyedContext { state: keyed, times, timers };
        self.function.on_timer(timer, &mut context, out).map_err(TaskError::User)?;
        Ok(true)
    }

    fn finish(
        &mut self,
        backends: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<(), UserError> {
        self.function.finish(&mut backends.keyed, out)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.function.snapshot_state(state)
    }
}

struct Process<F: KeyedFunction> {
    function: F,
    backends: Backends<F::Key>,
    subtask: SubtaskState,
    gate: Gate<F::In>,
    outputs: Outputs<F::Out>,
    next_clean_up: Millis,
    meters: Meters,
    /// What was reported of what has expired: what was removed, and what was still there.
    reported: (TtlMetrics, ExpiredButPresent),
}

impl<F: KeyedFunction> Operator for Process<F> {
    fn emit(&mut self, marker: Marker) {
        emit(&mut self.outputs, marker);
    }

    fn send(&mut self, sent: &mut Vec<(Channel, CheckpointId)>) -> Result<(), TaskError> {
        self.outputs.send(sent)
    }

    fn has_sent_all(&self) -> bool {
        !self.outputs.is_full()
    }

    fn has_union_list(&self) -> bool {
        has_union_list(&self.backends.operator)
    }

    fn overtake(
        &mut self,
        channel: Channel,
        checkpoint: CheckpointId,
        options: CheckpointOptions,
        captured: &mut ChannelState,
    ) -> Result<(), StateError> {
        self.outputs.overtake(channel, checkpoint, options, captured)
    }

    fn capture_queued(
        &mut self,
        channel: Channel,
        checkpoint: CheckpointId,
        captured: &mut ChannelState,
    ) -> Result<(), StateError> {
        self.gate.capture(channel, checkpoint, captured)
    }

    fn register<'a>(&'a self, select: &mut Select<'a>) {
        self.gate.register(select);
        self.outputs.register(select);
    }

    fn snapshot(&mut self, _: CheckpointId, request: SnapshotRequest) -> Result<Snapshot, TaskError> {
        self.backends.tell_time();
        self.report_ttl();
        let Backends { keyed, operator, times, .. } = &mut self.backends;
        self.function.snapshot_state(operator).map_err(TaskError::User)?;
        self.subtask.store(operator, times.watermark, request.input_finished)?;
        let keyed = if request.in_files { keyed.snapshot_in_files()? } else { keyed.snapshot()? };
        Ok((TaskSnapshot::new(Some(Box::new(keyed)), operator.snapshot()), None))
    }

    fn finish_input(&mut self) -> Result<(), TaskError> {
        self.function.finish(&mut self.backends, &mut self.outputs).map_err(TaskError::User)
    }
}

impl<F: KeyedFunction> Process<F> {
    /// Puts what has changed since the last report into the progress of the job.
    fn report_ttl(&mut self) {
        if !self.backends.keyed.expires() {
            return;
        }
        let keyed = &self.backends.keyed;
        let (removed, present) = (keyed.ttl_metrics_of_all(), keyed.expired_but_present_in_snapshot());
        let (removed_before, present_before) = std::mem::replace(&mut self.reported, (removed, present));
        self.meters.update(|progress| {
            progress.ttl += removed - removed_before;
            progress.expired_but_present -= present_before;
            progress.expired_but_present += present;
        });
    }

    /// Fires what is due, one timer after the other, until the output is full. Says whether nothing is left.
    fn fire(&mut self, domain: TimeDomain, time: i64) -> Result<bool, TaskError> {
        while !self.outputs.is_full() {
            if self.backends.keyed.expires() {
                self.backends.keyed.set_processing_time(self.backends.times.processing.now());
            }
            if !self.function.fire(domain, time, &mut self.backends, &mut self.outputs)? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl<F: KeyedFunction> TimerDriver for Process<F> {
    fn advance_watermark(&mut self, watermark: EventTime) -> Result<bool, TaskError> {
        self.backends.times.watermark = watermark;
        self.fire(TimeDomain::EventTime, watermark.0)
    }

    fn advance_processing_time(&mut self, now: Millis) -> Result<(), TaskError> {
        if self.backends.keyed.expires() && now >= self.next_clean_up {
            self.backends.tell_time();
            self.backends.keyed.clean_up_while_idle(CLEAN_UP_ENTRIES);
            self.report_ttl();
            self.next_clean_up = now + CLEAN_UP_PAUSE;
        }
        let now = i64::try_from(now.0).unwrap_or(i64::MAX);
        self.fire(TimeDomain::ProcessingTime, now).map(drop)
    }

    fn deadline(&self) -> Option<Millis> {
        // A time before 1970 has come.
        let timer =
            self.function.deadline(&self.backends).map(|time| Millis(u64::try_from(time).unwrap_or(0)));
        let clean_up = self.backends.keyed.expires().then_some(self.next_clean_up);
        timer.into_iter().chain(clean_up).min()
    }
}

impl<F: KeyedFunction> Receiver for Process<F> {
    type In = F::In;

    fn gate(&mut self) -> &mut Gate<F::In> {
        &mut self.gate
    }

    fn records(&mut self, records: Vec<F::In>) -> Result<(), TaskError> {
        let mut records = records.into_iter();
        records.try_for_each(|record| {
            self.backends.tell_time();
            self.backends.keyed.clean_up_for_record();
            self.function.process(record, &mut self.backends, &mut self.outputs)
        })
    }

    fn is_full(&self) -> bool {
        self.outputs.is_full()
    }

    fn flush(&mut self) -> bool {
        self.outputs.flush()
    }

    fn forward_watermark(&mut self, watermark: EventTime) {
        self.outputs.emit_watermark(watermark);
    }
}

/// Runs a keyed subtask until it finishes or the attempt ends.
pub(super) fn run<F: KeyedFunction>(
    mut environment: Environment,
    mut function: F,
    assignment: KeyGroupRangeAssignment,
    key_serializer: Option<&Arc<dyn StateSerializer<F::Key>>>,
    mut gate: Gate<F::In>,
    mut outputs: Outputs<F::Out>,
) -> Result<(), TaskError> {
    let range = assignment
        .range_of(environment.context.subtask.index)
        .map_err(|error| TaskError::User(error.into()))?;
    let RestoredState { keyed, mut operator, channels, handed_out, subtask } =
        environment.restore(Some(range))?;
    environment.remember_checksums(&keyed);
    let misfit = |error| environment.open_error(error);
    let restored = subtask.progress.watermark;
    gate.restore(&channels, restored).map_err(misfit)?;
    let is_mine = |record: &F::In| {
        let group = |key: &F::Key| key_group_of(key.key_hash(), assignment.max_parallelism());
        function.key_of(record).is_none_or(|key| range.contains(group(key)))
    };
    gate.restore_handed_out(&handed_out, is_mine).map_err(misfit)?;
    outputs.restore(&channels).map_err(misfit)?;
    let store = KeyedStateStoreBuilder::new(assignment.max_parallelism(), range);
    let store = store.with_shared_key_serializer(key_serializer).with_backend(&environment.state_backend);
    let mut keyed = store.restore_with(keyed, &environment.stored_files()).map_err(misfit)?;
    let now = environment.processing_time.now();
    keyed.set_processing_time(now);
    keyed.set_event_time(restored);
    function.initialize_state(&mut operator).map_err(TaskError::User)?;
    let timers = TimerService::open(&mut keyed, "user-timers", restored.0).map_err(misfit)?;
    let times = Times { watermark: restored, processing: environment.processing_time.clone() };
    let mut backends = Backends { keyed, operator, times, timers };
    function.open(&mut backends).map_err(misfit)?;
    environment.report(Report::Running);
    let meters = environment.meters.clone();
    let checkpointing =
        Checkpointing::new(environment, gate.channels(), outputs.channels(), subtask.progress.input_finished);
    let next_clean_up = now + CLEAN_UP_PAUSE;
    let reported = Default::default();
    let mut process = Process { function, backends, subtask, gate, outputs, next_clean_up, meters, reported };
    let ended = run_gate(checkpointing, &mut process);
    process.report_ttl();
    ended
}
