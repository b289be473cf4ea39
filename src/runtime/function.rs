//! What a job's author writes: sources, keyed functions and sinks.

use super::processing_time::ProcessingTime;
use super::watermarks::WithWatermarks;
use crate::base::{Attempt, CheckpointId, EventTime, Millis, SubtaskId, TimeDomain};
use crate::commit::TransactionId;
use crate::state::{
    KeyedStateStore, OperatorStateBackend, StateError, StateKey, StateValue, Timer, TimerService,
};
use crate::watermark::WatermarkStrategy;
use serde::{Serialize, de::DeserializeOwned};
use std::collections::BTreeSet;

/// An error of the user's code: the attempt fails and the job restarts.
pub type UserError = Box<dyn std::error::Error + Send + Sync>;

/// Which of its parallel instances a function is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubtaskContext {
    /// The subtask; its index is below the parallelism.
    pub subtask: SubtaskId,
    /// How many instances the operator has.
    pub parallelism: u16,
    /// The execution of the job that this instance belongs to.
    pub attempt: Attempt,
}

/// What can go from one subtask to another: any owned serde type. Records that are on their way become part of an
/// unaligned checkpoint.
pub trait Record: Serialize + DeserializeOwned + Send + 'static {}

impl<T: Serialize + DeserializeOwned + Send + 'static> Record for T {}

/// Takes in the records that a function emits.
pub trait Collector<T> {
    /// Emits a record.
    fn collect(&mut self, record: T);
}

/// Takes in what a source emits: records, and how far event time has come among them.
pub trait SourceCollector<T>: Collector<T> {
    /// Says that no record with this event time or an earlier one follows; one that does is late. A watermark that is
    /// not higher than the last one changes nothing.
    ///
    /// It ends the batches of records that are being filled, so that one after each poll is often enough. At the end of
    /// the data event time comes to its end by itself.
    fn emit_watermark(&mut self, watermark: EventTime);
}

/// What a source has to say after it was polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceStatus {
    /// There is more.
    MoreAvailable,
    /// There is nothing more, for ever.
    EndOfInput,
}

/// Reads records from outside, and can read them again from a position that is part of its state.
pub trait SourceFunction: Send {
    /// What it emits.
    type Out: Record;

    /// Opens its state and takes its position from it, if it was restored: with another parallelism than before a subtask may have
    /// nothing of a divided list and must yet not begin anew ([`OperatorStateBackend::is_restored`]).
    ///
    /// # Errors
    /// Anything that makes reading impossible; the attempt fails.
    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError>;

    /// Emits a small number of records and returns soon: checkpoints begin between two polls. The watermark is restored
    /// with the position; what is emitted below it changes nothing.
    ///
    /// # Errors
    /// Anything that makes reading impossible; the attempt fails.
    fn poll(&mut self, out: &mut dyn SourceCollector<Self::Out>) -> Result<SourceStatus, UserError>;

    /// Whether it has fallen behind so far that it is better served with fewer checkpoints
    /// ([`JobOptions::interval_during_backlog`](super::JobOptions::interval_during_backlog)). Asked after each poll.
    fn has_backlog(&self) -> bool {
        false
    }

    /// Writes its position into its state.
    ///
    /// # Errors
    /// The checkpoint is declined, the source goes on.
    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError>;

    /// The same source, whose watermarks follow from the event times of its records.
    fn with_watermarks<T>(self, strategy: WatermarkStrategy, event_time: T) -> WithWatermarks<Self, T>
    where
        Self: Sized,
        T: Fn(&Self::Out) -> EventTime + Send,
    {
        WithWatermarks::new(self, strategy, event_time)
    }
}

/// How far time has come in a subtask.
#[derive(Debug)]
pub(super) struct Times {
    pub(super) watermark: EventTime,
    pub(super) processing: ProcessingTime,
}

/// The state of the current record's key.
#[derive(Debug)]
pub struct KeyedContext<'a, K> {
    pub(super) state: &'a mut KeyedStateStore<K>,
    pub(super) times: &'a Times,
    pub(super) timers: &'a mut TimerService<K, ()>,
}

impl<K: StateKey> KeyedContext<'_, K> {
    /// The key of the current record.
    #[must_use]
    pub fn current_key(&self) -> Option<&K> {
        self.state.current_key()
    }

    /// The backend to which state handles are given.
    pub fn state(&mut self) -> &mut KeyedStateStore<K> {
        self.state
    }

    /// How far event time has come: a record with this time or an earlier one is late.
    #[must_use]
    pub fn current_watermark(&self) -> EventTime {
        self.times.watermark
    }

    /// The processing time, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn current_processing_time(&self) -> Millis {
        self.times.processing.now()
    }

    /// Has [`KeyedProcessFunction::on_timer`] called for the current key once the watermark, or the clock, has come to
    /// `time`, in milliseconds since the epoch. A timer that is there is not doubled.
    ///
    /// # Errors
    /// There is no current key.
    pub fn register_timer(&mut self, domain: TimeDomain, time: i64) -> Result<(), StateError> {
        self.timers.register(self.state, domain, &(), time).map(drop)
    }

    /// Takes the timer back, if there is one.
    ///
    /// # Errors
    /// There is no current key.
    pub fn delete_timer(&mut self, domain: TimeDomain, time: i64) -> Result<(), StateError> {
        self.timers.delete(self.state, domain, &(), time).map(drop)
    }
}

/// Processes the records of one key after the other, with state of that key.
pub trait KeyedProcessFunction: Send {
    /// The key; a part of the record.
    type Key: StateKey + StateValue;
    /// What it takes in.
    type In: Record;
    /// What it emits.
    type Out: Record;

    /// Opens what it keeps independently of any key, restored or empty, before [`open`](Self::open).
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let _ = state;
        Ok(())
    }

    /// Opens its keyed state, restored or empty.
    ///
    /// # Errors
    /// The state does not fit what was restored; the attempt fails.
    fn open(&mut self, state: &mut KeyedStateStore<Self::Key>) -> Result<(), StateError>;

    /// Processes a record; its key is the current one.
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn process(
        &mut self,
        record: Self::In,
        context: &mut KeyedContext<'_, Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError>;

    /// A timer of the key that is the current one has come to its time ([`KeyedContext::register_timer`]).
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn on_timer(
        &mut self,
        timer: Timer<Self::Key, ()>,
        context: &mut KeyedContext<'_, Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError> {
        let _ = (timer, context, out);
        Ok(())
    }

    /// Emits what is still held after the last record. There is no current key.
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn finish(
        &mut self,
        state: &mut KeyedStateStore<Self::Key>,
        out: &mut dyn Collector<Self::Out>,
    ) -> Result<(), UserError> {
        let _ = (state, out);
        Ok(())
    }

    /// Writes what it holds independently of any key into its state: a snapshot is about to be taken.
    ///
    /// # Errors
    /// The checkpoint is declined, the function goes on.
    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let _ = state;
        Ok(())
    }
}

/// Makes a pre-committed transaction durable, on a thread of its own.
pub type Durability = Box<dyn FnOnce() -> Result<(), UserError> + Send>;

/// Writes records into transactions that become visible when the checkpoint that covers them completes.
pub trait TransactionalSink: Send {
    /// What it takes in.
    type In: Record;

    /// Opens what it keeps beside its transactions, restored or empty. It comes first of all.
    ///
    /// # Errors
    /// Anything; the attempt fails.
    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let _ = state;
        Ok(())
    }

    /// Writes what it holds beside its transactions into its state: a snapshot is about to be taken, and after this the
    /// open transaction is closed.
    ///
    /// # Errors
    /// The checkpoint is declined, the sink goes on.
    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let _ = state;
        Ok(())
    }

    /// Every transaction of this sink that exists outside and is not committed, of whatever attempt and subtask: those of subtasks
    /// that are no more fall to others, who are told what to do with them.
    ///
    /// # Errors
    /// They cannot be listed; the attempt fails.
    fn unfinished(&mut self) -> Result<BTreeSet<TransactionId>, UserError>;

    /// Opens a transaction; records go there from now on.
    ///
    /// # Errors
    /// It cannot be opened; the attempt fails.
    fn begin(&mut self, transaction: TransactionId) -> Result<(), UserError>;

    /// Writes a record into the open transaction.
    ///
    /// # Errors
    /// It cannot be written; the attempt fails.
    fn write(&mut self, record: Self::In) -> Result<(), UserError>;

    /// Closes the open transaction and returns what makes it durable. The checkpoint is acknowledged only
    /// after that has succeeded.
    ///
    /// # Errors
    /// It cannot be closed; the checkpoint is declined and the attempt fails.
    fn pre_commit(&mut self, transaction: TransactionId) -> Result<Durability, UserError>;

    /// Makes a pre-committed transaction visible, durably. Doing so again changes nothing.
    ///
    /// # Errors
    /// It cannot be made visible, or is lost; the attempt fails and commits it again when it is restored.
    fn commit(&mut self, transaction: TransactionId) -> Result<(), UserError>;

    /// Removes a transaction that nobody refers to.
    ///
    /// # Errors
    /// It cannot be removed; the attempt fails.
    fn roll_back(&mut self, transaction: TransactionId) -> Result<(), UserError>;

    /// A checkpoint is complete and durable; its transactions have been committed.
    fn checkpoint_completed(&mut self, checkpoint: CheckpointId) {
        let _ = checkpoint;
    }
}
