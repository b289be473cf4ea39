use super::error::TaskError;
use super::function::{Durability, TransactionalSink, UserError};
use super::gate::Gate;
use super::receive::{Receiver, TimerDriver, run_gate};
use super::restore::RestoredState;
use super::subtask_state::has_union_list;
use super::task::{Checkpointing, Environment, Marker, Operator, Report, Snapshot, SnapshotRequest};
use crate::base::{Channel, CheckpointId, CheckpointOptions, EventTime, Millis};
use crate::commit::{Committer, Config, Input, Output, TransactionId};
use crate::state::{
    ChannelState, ListStateDescriptor, OperatorListState, OperatorStateBackend, StateError, TaskSnapshot,
};
use crossbeam_channel::Select;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What makes pre-committed transactions durable, as far as nobody has done so.
///
/// Snapshots overlap: two asynchronous parts may be asked for the same transaction. One of them makes it durable
/// and the other waits for that.
#[derive(Default)]
struct Durabilities {
    waiting: BTreeMap<TransactionId, Durability>,
    failed: bool,
}

impl Durabilities {
    fn make_durable(this: &Mutex<Durabilities>, transactions: &[TransactionId]) -> Result<(), UserError> {
        let failed = "an earlier transaction could not be made durable";
        let mut this = this.lock().map_err(|_| failed)?;
        if this.failed {
            return Err(failed.into());
        }
        let mut waiting = transactions.iter().filter_map(|transaction| this.waiting.remove(transaction));
        let result = waiting.try_for_each(|make_durable| make_durable());
        this.failed = result.is_err();
        result
    }
}

struct Sink<S: TransactionalSink> {
    function: S,
    gate: Gate<S::In>,
    durabilities: Arc<Mutex<Durabilities>>,
    committer: Committer,
    state: OperatorStateBackend,
    transactions: OperatorListState<TransactionId>,
    written: Arc<AtomicU64>,
}

impl<S: TransactionalSink> Sink<S> {
    /// Feeds the committer and carries out what it answers, except what takes time: that is returned.
    fn commit(&mut self, input: Input) -> Result<Option<Durability>, TaskError> {
        let mut outputs = Vec::new();
        self.committer.on(Millis(0), input, &mut outputs)?;
        let mut durability = None;
        for output in outputs {
            match output {
                Output::Begin(transaction) => self.function.begin(transaction).map_err(TaskError::User)?,
                Output::PreCommit(transaction) => self.pre_commit(transaction)?,
                Output::MakeDurable { transactions, .. } => {
                    let durabilities = Arc::clone(&self.durabilities);
                    let make_durable = move || Durabilities::make_durable(&durabilities, &transactions);
                    durability = Some(Box::new(make_durable) as Durability);
                }
                // Its cause is known where the failure was reported.
                Output::Fail => return Err(TaskError::Cancelled),
                Output::RollBack(transaction) => {
                    self.function.roll_back(transaction).map_err(TaskError::User)?;
                }
                Output::Commit(transaction) => {
                    // A failure ends the attempt, and the next one commits what this one has pre-committed.
                    self.function.commit(transaction).map_err(TaskError::User)?;
                    self.committer.on(Millis(0), Input::Committed(transaction), &mut Vec::new())?;
                }
            }
        }
        Ok(durability)
    }

    fn pre_commit(&mut self, transaction: TransactionId) -> Result<(), TaskError> {
        let durability = self.function.pre_commit(transaction).map_err(TaskError::User)?;
        self.durabilities().waiting.insert(transaction, durability);
        Ok(())
    }

    fn durabilities(&self) -> MutexGuard<'_, Durabilities> {
        self.durabilities.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: TransactionalSink> Operator for Sink<S> {
    /// A sink has no outputs.
    fn emit(&mut self, _: Marker) {}

    fn send(&mut self, _: &mut Vec<(Channel, CheckpointId)>) -> Result<(), TaskError> {
        Ok(())
    }

    fn has_union_list(&self) -> bool {
        has_union_list(&self.state)
    }

    fn overtake(
        &mut self,
        _: Channel,
        _: CheckpointId,
        _: CheckpointOptions,
        _: &mut ChannelState,
    ) -> Result<(), StateError> {
        Ok(())
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
    }

    fn snapshot(&mut self, checkpoint: CheckpointId, _: SnapshotRequest) -> Result<Snapshot, TaskError> {
        self.function.snapshot_state(&mut self.state).map_err(TaskError::User)?;
        let durability = match self.commit(Input::SnapshotBegan { checkpoint }) {
            Ok(durability) => durability,
            Err(error) => {
                self.made_durable(checkpoint, Err(error))?;
                None
            }
        };
        self.transactions.update(&mut self.state, self.committer.snapshot().into_iter().collect())?;
        Ok((TaskSnapshot::new(None, self.state.snapshot()), durability))
    }

    fn made_durable(
        &mut self,
        checkpoint: CheckpointId,
        end: Result<(), TaskError>,
    ) -> Result<(), TaskError> {
        let Err(error) = end else {
            return self.commit(Input::BecameDurable { checkpoint }).map(drop);
        };
        let failed = |_| TaskError::Transactions { checkpoint, cause: Box::new(error) };
        self.commit(Input::DurabilityFailed { checkpoint }).map(drop).map_err(failed)
    }

    fn completed(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        self.commit(Input::CheckpointCompleted { checkpoint })?;
        self.function.checkpoint_completed(checkpoint);
        Ok(())
    }
}

/// A sink has no timers.
impl<S: TransactionalSink> TimerDriver for Sink<S> {}

impl<S: TransactionalSink> Receiver for Sink<S> {
    type In = S::In;

    fn gate(&mut self) -> &mut Gate<S::In> {
        &mut self.gate
    }

    fn records(&mut self, records: Vec<S::In>) -> Result<(), TaskError> {
        if self.committer.open().is_none() {
            self.commit(Input::TransactionNeeded)?;
        }
        self.written.fetch_add(records.len() as u64, Ordering::Relaxed);
        for record in records {
            self.function.write(record).map_err(TaskError::User)?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        false
    }

    fn flush(&mut self) -> bool {
        false
    }

    fn forward_watermark(&mut self, _: EventTime) {}
}

/// The transactions that are to be committed. The id of their type stays when its module is renamed.
fn transactions() -> ListStateDescriptor<TransactionId> {
    ListStateDescriptor::new("_runtime/transactions").with_type_id("TransactionId")
}

/// Runs a sink subtask until it finishes or the attempt ends.
pub(super) fn run<S: TransactionalSink>(
    environment: Environment,
    mut function: S,
    mut gate: Gate<S::In>,
) -> Result<(), TaskError> {
    let context = environment.context;
    let RestoredState { operator: mut state, channels, handed_out, .. } = environment.restore(None)?;
    gate.restore(&channels, EventTime::MIN)
        .and_then(|()| gate.restore_handed_out(&handed_out, |_| true))
        .map_err(|error| environment.open_error(error))?;
    let transactions =
        state.union_list_state(&transactions()).map_err(|error| environment.open_error(error))?;
    let restored = transactions.get(&state)?.iter().copied().collect();
    function.initialize_state(&mut state).map_err(TaskError::User)?;
    let found = function.unfinished().map_err(TaskError::User)?;
    let config = Config {
        subtask: context.subtask,
        parallelism: context.parallelism,
        attempt: context.attempt,
        // Commits are not repeated within an attempt.
        retry_pause: Millis(0),
    };
    let committer = Committer::new(config, restored);
    let written = Arc::clone(&environment.meters.records_written);
    let durabilities = Arc::default();
    let channels = gate.channels();
    let mut sink = Sink { function, gate, durabilities, committer, state, transactions, written };
    sink.commit(Input::Started { found })?;
    environment.report(Report::Running);
    let checkpointing = Checkpointing::new(environment, channels, 0, false);
    let end = run_gate(checkpointing, &mut sink);
    if let Some(open) = sink.committer.open() {
        // No snapshot refers to it. What is left of it all the same is removed by the next attempt.
        let _ = sink.function.roll_back(open);
    }
    end
}

#[cfg(test)]
mod tests {
    #[test]
    fn sink_transactions_are_found_again_wherever_their_type_is_defined() {
        assert_eq!(super::transactions().serializer().snapshot().id, "TransactionId");
    }
}
