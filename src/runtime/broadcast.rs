//! A keyed stream together with a stream that everyone gets (Flink: the broadcast state pattern).

use super::error::TaskError;
use super::function::{Collector, KeyedContext, Record, Times, UserError};
use super::process::{Backends, KeyOf, KeyedFunction};
use crate::base::{EventTime, Millis, TimeDomain};
use crate::state::{
    KeyedStateStore, OperatorStateBackend, StateError, StateHandle, StateKey, StateValue, Timer,
};
use serde::{Deserialize, Serialize};

/// Processes a keyed stream by rules, settings or the like that come as a second stream, which goes to every instance.
///
/// What it keeps of the second stream is operator state, best a [`BroadcastState`](crate::state::BroadcastState). Only [`process_broadcast`](Self::process_broadcast) can write
/// it, and must do so in the same way in every instance: then all hold the same. Records of one instance of the second
/// stream's source arrive everywhere in the same order; those of several arrive in different ones.
///
/// Event time is that of the slower stream. A second stream without a time of its own emits
/// [`EventTime::MAX`] as its first watermark; otherwise it holds event time back until it ends.
pub trait KeyedBroadcastProcessFunction: Send {
    /// The key; a part of the keyed stream's records.
    type Key: StateKey + StateValue;
    /// What comes in the keyed stream.
    type In: Record;
    /// What comes in the stream that everyone gets.
    type Broadcast: Record + Clone;
    /// What it emits.
    type Out: Record;

    /// Opens what it keeps of the second stream, restored or empty, before [`open`](Self::open).
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError>;

    /// Opens its keyed state, restored or empty.
    ///
    /// # Errors
    /// The state does not fit what was restored; the attempt fails.
    fn open(&mut self, state: &mut KeyedStateStore<Self::Key>) -> Result<(), StateError>;

    /// Processes a record of the keyed stream; its key is the current one.
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn process(
        &mut self,
        record: Self::In,
        context: &mut ReadOnlyContext<'_, Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError>;

    /// Processes a record that every instance gets. What it emits, every instance emits.
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn process_broadcast(
        &mut self,
        record: Self::Broadcast,
        context: &mut BroadcastContext<'_, Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError>;

    /// A timer of the key that is the current one has come to its time ([`ReadOnlyContext::register_timer`]).
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn on_timer(
        &mut self,
        timer: Timer<Self::Key, ()>,
        context: &mut ReadOnlyContext<'_, Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError> {
        let _ = (timer, context, out);
        Ok(())
    }

    /// Emits what is still held after the last record of both streams. There is no current key.
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn finish(
        &mut self,
        state: &mut KeyedStateStore<Self::Key>,
        broadcast: &OperatorStateBackend,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError> {
        let _ = (state, broadcast, out);
        Ok(())
    }

    /// Writes what it holds outside of its states into them: a snapshot is about to be taken.
    ///
    /// # Errors
    /// The checkpoint is declined, the function goes on.
    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let _ = state;
        Ok(())
    }
}

/// What there is for a record of the keyed stream: the state of its key, and the broadcast state to look at.
#[derive(Debug)]
pub struct ReadOnlyContext<'a, K> {
    keyed: KeyedContext<'a, K>,
    broadcast: &'a OperatorStateBackend,
}

impl<'a, K: StateKey> ReadOnlyContext<'a, K> {
    /// The key of the current record.
    #[must_use]
    pub fn current_key(&self) -> Option<&K> {
        self.keyed.current_key()
    }

    /// The backend to which handles of keyed state are given.
    pub fn state(&mut self) -> &mut KeyedStateStore<K> {
        self.keyed.state()
    }

    /// The backend to which handles of broadcast state are given, to read them.
    #[must_use]
    pub fn broadcast_state(&self) -> &'a OperatorStateBackend {
        self.broadcast
    }

    /// How far event time has come: a record with this time or an earlier one is late.
    #[must_use]
    pub fn current_watermark(&self) -> EventTime {
        self.keyed.current_watermark()
    }

    /// The processing time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn current_processing_time(&self) -> Millis {
        self.keyed.current_processing_time()
    }

    /// Has [`KeyedBroadcastProcessFunction::on_timer`] called for the current key once the watermark, or the clock, has
    /// come to `time`, in milliseconds since the epoch. A timer that is there is not doubled.
    ///
    /// # Errors
    /// There is no current key.
    pub fn register_timer(&mut self, domain: TimeDomain, time: i64) -> Result<(), StateError> {
        self.keyed.register_timer(domain, time)
    }

    /// Takes the timer back, if there is one.
    ///
    /// # Errors
    /// There is no current key.
    pub fn delete_timer(&mut self, domain: TimeDomain, time: i64) -> Result<(), StateError> {
        self.keyed.delete_timer(domain, time)
    }
}

/// What there is for a record that every instance gets: the broadcast state, and no key unless one after the other.
#[derive(Debug)]
pub struct BroadcastContext<'a, K> {
    keyed: &'a mut KeyedStateStore<K>,
    broadcast: &'a mut OperatorStateBackend,
    times: &'a Times,
}

impl<K: StateKey> BroadcastContext<'_, K> {
    /// The backend to which handles of broadcast state are given.
    pub fn broadcast_state(&mut self) -> &mut OperatorStateBackend {
        self.broadcast
    }

    /// Calls `each` for every key of this instance that has something in `state`, with that key as the current one
    /// (Flink: `applyToKeyedState`).
    ///
    /// # Errors
    /// The state was opened by another store, or `each` failed; the keys after that were not visited.
    pub fn for_each_key<S: StateHandle, E: From<StateError>>(
        &mut self,
        state: &S,
        each: impl FnMut(&mut KeyedStateStore<K>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.keyed.for_each_key(state, each)
    }

    /// How far event time has come.
    #[must_use]
    pub fn current_watermark(&self) -> EventTime {
        self.times.watermark
    }

    /// The processing time, in milliseconds since the Unix epoch. Instances read it at different moments: what follows
    /// from it must not go into the broadcast state.
    #[must_use]
    pub fn current_processing_time(&self) -> Millis {
        self.times.processing.now()
    }
}

/// A record of one of the two streams. As such it also stands in an unaligned checkpoint.
#[derive(Serialize, Deserialize)]
pub(super) enum Side<A, B> {
    Keyed(A),
    Broadcast(B),
}

/// A function of two inputs.
pub(super) struct TwoInputs<F: KeyedBroadcastProcessFunction> {
    pub(super) function: F,
    pub(super) key: KeyOf<F::In, F::Key>,
}

impl<F: KeyedBroadcastProcessFunction> KeyedFunction for TwoInputs<F> {
    type Key = F::Key;
    type In = Side<F::In, F::Broadcast>;
    type Out = F::Out;

    fn key_of<'a>(&'a self, record: &'a Self::In) -> Option<&'a F::Key> {
        match record {
            Side::Keyed(record) => Some((self.key)(record)),
            Side::Broadcast(_) => None,
        }
    }

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.function.initialize_state(state)
    }

    fn open(&mut self, backends: &mut Backends<F::Key>) -> Result<(), StateError> {
        self.function.open(&mut backends.keyed)
    }

    fn process(
        &mut self,
        record: Self::In,
        Backends { keyed, operator, times, timers }: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<(), TaskError> {
        let processed = match record {
            Side::Keyed(record) => {
                keyed.set_current_key_from((self.key)(&record))?;
                let keyed = KeyedContext { state: keyed, times, timers };
                let mut context = ReadOnlyContext { keyed, broadcast: operator };
                self.function.process(record, &mut context, out)
            }
            Side::Broadcast(record) => {
                let mut context = BroadcastContext { keyed, broadcast: operator, times };
                self.function.process_broadcast(record, &mut context, out)
            }
        };
        processed.map_err(TaskError::User)
    }

    fn fire(
        &mut self,
        domain: TimeDomain,
        time: i64,
        Backends { keyed, operator, times, timers }: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<bool, TaskError> {
        let Some(timer) = Backends::next_timer(keyed, timers, domain, time)? else { return Ok(false) };
        let keyed = KeyedContext { state: keyed, times, timers };
        let mut context = ReadOnlyContext { keyed, broadcast: operator };
        self.function.on_timer(timer, &mut context, out).map_err(TaskError::User)?;
        Ok(true)
    }

    fn finish(
        &mut self,
        Backends { keyed, operator, .. }: &mut Backends<F::Key>,
        out: &mut dyn Collector<F::Out>,
    ) -> Result<(), UserError> {
        self.function.finish(keyed, operator, out)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.function.snapshot_state(state)
    }
}
