use super::error::TaskError;
use super::function::{Durability, TransactionalSink, UserError};
use super::gate::Gate;
use super::process::{self, run_gate};
use super::task::{Checkpointing, Environment, Marker, Operator, Report};
use crate::base::{CheckpointId, Millis};
use crate::commit::{Committer, Input, Output, TransactionId};
use crate::state::{ListState, ListStateDescriptor, OperatorStateBackend, TaskSnapshot};
use crossbeam_channel::{Receiver, Sender, unbounded};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// What makes pre-committed transactions durable, in their order, as far as that is not done.
///
/// A snapshot also refers to the transactions of earlier checkpoints, and those may have been given up before
/// their transactions were durable. So every snapshot waits for all of them, and fails if one has failed.
struct Undurable {
    waiting: Receiver<Durability>,
    failed: bool,
}

impl Undurable {
    fn make_durable(this: &Mutex<Undurable>) -> Result<(), UserError> {
        let failed = "an earlier transaction could not be made durable";
        let mut this = this.lock().map_err(|_| failed)?;
        if this.failed {
            return Err(failed.into());
        }
        let result = this.waiting.try_iter().try_for_each(|make_durable| make_durable());
        this.failed = result.is_err();
        result
    }
}

struct Sink<S> {
    function: S,
    durabilities: Sender<Durability>,
    undurable: Arc<Mutex<Undurable>>,
    committer: Committer,
    state: OperatorStateBackend,
    transactions: ListState<TransactionId>,
    written: Arc<AtomicU64>,
}

impl<S: TransactionalSink> Sink<S> {
    /// Feeds the committer and carries out what it answers.
    fn commit(&mut self, input: Input) -> Result<Option<Durability>, TaskError> {
        let mut outputs = Vec::new();
        self.committer.on(Millis(0), input, &mut outputs)?;
        let mut durability = None;
        for output in outputs {
            match output {
                Output::Begin(transaction) => self.function.begin(transaction),
                Output::PreCommit(transaction) => {
                    self.function.pre_commit(transaction).map(|make_durable| durability = Some(make_durable))
                }
                Output::RollBack(transaction) => self.function.roll_back(transaction),
                Output::Commit(transaction) => self.function.commit(transaction),
            }
            .map_err(TaskError::User)?;
            if let Output::Commit(transaction) = output {
                self.committer.on(Millis(0), Input::Committed(transaction), &mut Vec::new())?;
            }
        }
        Ok(durability)
    }
}

impl<S: TransactionalSink> Operator for Sink<S> {
    /// A sink has no outputs.
    fn emit(&mut self, _: Marker) -> Result<(), TaskError> {
        Ok(())
    }

    fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
    ) -> Result<(TaskSnapshot, Option<Durability>), TaskError> {
        let durability = self.commit(Input::SnapshotBegan { checkpoint })?;
        self.transactions.replace(&mut self.state, self.committer.snapshot().into_iter().collect());
        if let Some(durability) = durability {
            // The other end is a field of this sink.
            let _ = self.durabilities.send(durability);
        }
        let undurable = Arc::clone(&self.undurable);
        let durability = Box::new(move || Undurable::make_durable(&undurable));
        Ok((TaskSnapshot::new(None, self.state.snapshot()), Some(durability)))
    }

    /// A transaction that could not be closed lacks records.
    fn survives_a_failed_snapshot(&self) -> bool {
        false
    }

    fn completed(&mut self, checkpoint: CheckpointId) -> Result<(), TaskError> {
        self.commit(Input::CheckpointCompleted { checkpoint })?;
        self.function.checkpoint_completed(checkpoint);
        Ok(())
    }
}

impl<S: TransactionalSink> process::Receiver for Sink<S> {
    type In = S::In;

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

    fn idle(&mut self) -> Result<(), TaskError> {
        Ok(())
    }
}

/// Runs a sink subtask until it finishes or the attempt ends.
pub(super) fn run<S: TransactionalSink>(
    environment: Environment,
    mut function: S,
    gate: Gate<S::In>,
) -> Result<(), TaskError> {
    let context = environment.context;
    let mut state = OperatorStateBackend::restore(environment.restore()?.operator);
    let transactions = state
        .list_state(&ListStateDescriptor::<TransactionId>::new("transactions"))
        .map_err(|error| environment.open_error(error))?;
    let restored = transactions.get(&state).iter().copied().collect();
    let found = function.unfinished().map_err(TaskError::User)?;
    let committer = Committer::new(context.subtask, context.attempt, restored);
    let written = Arc::clone(&environment.meters.records_written);
    let (durabilities, waiting) = unbounded();
    let undurable = Arc::new(Mutex::new(Undurable { waiting, failed: false }));
    let mut sink = Sink { function, durabilities, undurable, committer, state, transactions, written };
    sink.commit(Input::Started { found })?;
    environment.report(Report::Running);
    let checkpointing = Checkpointing::new(environment, gate.channels());
    let end = run_gate(checkpointing, gate, &mut sink);
    if let Some(open) = sink.committer.open() {
        // No snapshot refers to it. What is left of it all the same is removed by the next attempt.
        let _ = sink.function.roll_back(open);
    }
    end
}
