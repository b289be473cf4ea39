//! Drives the committer of the operator.

use super::Failure;
use super::world::World;
use snapline::base::{Attempt, CheckpointId, Millis, SubtaskId};
use snapline::commit::{Committer, Config, Input, Output, TransactionId};
use std::collections::{BTreeSet, VecDeque};

/// Writes counts in transactions.
pub struct Sink(Committer);

impl Sink {
    /// Commits what the restored snapshot has pre-committed, and rolls back whatever else is unfinished.
    pub fn start(
        id: SubtaskId,
        attempt: Attempt,
        restored: BTreeSet<TransactionId>,
        world: &mut World,
    ) -> Result<Sink, Failure> {
        // A commit in memory has a certain outcome, so none is ever repeated.
        let config = Config { subtask: id, parallelism: 1, attempt, retry_pause: Millis(0) };
        let mut sink = Sink(Committer::new(config, restored));
        sink.on(Input::Started { found: world.unfinished.keys().copied().collect() }, world)?;
        Ok(sink)
    }

    pub fn write(&mut self, count: u64, world: &mut World) -> Result<(), Failure> {
        if self.0.open().is_none() {
            self.on(Input::TransactionNeeded, world)?;
        }
        let transaction = self.0.open().and_then(|open| world.unfinished.get_mut(&open));
        transaction.ok_or("no transaction is open")?.push(count);
        Ok(())
    }

    /// What the snapshot must hold. The transaction is closed first, so that it is among it.
    pub fn snapshot(
        &mut self,
        checkpoint: CheckpointId,
        world: &mut World,
    ) -> Result<BTreeSet<TransactionId>, Failure> {
        self.on(Input::SnapshotBegan { checkpoint }, world)?;
        Ok(self.0.snapshot())
    }

    pub fn completed(&mut self, checkpoint: CheckpointId, world: &mut World) -> Result<(), Failure> {
        self.on(Input::CheckpointCompleted { checkpoint }, world)
    }

    fn on(&mut self, input: Input, world: &mut World) -> Result<(), Failure> {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            // Without uncertain commits it has no deadline, and no use for the time.
            self.0.on(Millis(0), input, &mut outputs)?;
            self.0.check()?;
            for output in outputs {
                match output {
                    Output::Begin(transaction) => drop(world.unfinished.insert(transaction, Vec::new())),
                    // What was written is in the world already. A file would be closed now, ...
                    Output::PreCommit(_) => {}
                    // ... and synced in the background, before the end of the upload is reported.
                    Output::MakeDurable { checkpoint, .. } => {
                        inputs.push_back(Input::BecameDurable { checkpoint });
                    }
                    Output::Commit(transaction) => {
                        world.commit(transaction);
                        inputs.push_back(Input::Committed(transaction));
                    }
                    Output::RollBack(transaction) => drop(world.unfinished.remove(&transaction)),
                    Output::Fail => return Err("a transaction cannot become durable".into()),
                }
            }
        }
        Ok(())
    }
}
