//! A sink whose transactions lie in the memory of the test.

use super::watch::Counter;
use super::{Counted, Place, World};
use snapline::base::CheckpointId;
use snapline::commit::TransactionId;
use snapline::runtime::{Durability, SubtaskContext, TransactionalSink, UserError};
use snapline::state::OperatorStateBackend;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub struct Memory {
    world: Arc<World>,
    context: SubtaskContext,
    open: Vec<Counted>,
    written: Counter,
}

impl Memory {
    pub fn new(world: &Arc<World>, context: SubtaskContext) -> Self {
        Memory { world: Arc::clone(world), context, open: Vec::new(), written: Counter::default() }
    }
}

impl TransactionalSink for Memory {
    type In = Counted;

    fn initialize_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.written.restore(state)
    }

    fn snapshot_state(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.world.state.lock().unwrap().counted.insert(self.context.subtask, self.written.records);
        self.written.store(state)
    }

    fn unfinished(&mut self) -> Result<BTreeSet<TransactionId>, UserError> {
        self.world.at(Place::Unfinished)?;
        Ok(self.world.state.lock().unwrap().open.keys().copied().collect())
    }

    fn begin(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        self.world.at(Place::Begin)?;
        self.world.state.lock().unwrap().open.insert(transaction, Vec::new());
        Ok(())
    }

    fn write(&mut self, record: Counted) -> Result<(), UserError> {
        self.world.at(Place::Write)?;
        self.world.wait_for_room(self.context.subtask.index);
        self.world.written.fetch_add(1, Ordering::SeqCst);
        self.written.records += 1;
        self.open.push(record);
        Ok(())
    }

    fn pre_commit(&mut self, transaction: TransactionId) -> Result<Durability, UserError> {
        let records = std::mem::take(&mut self.open);
        self.world.at(Place::PreCommit)?;
        let world = Arc::clone(&self.world);
        world.state.lock().unwrap().open.insert(transaction, records);
        Ok(Box::new(move || {
            world.at(Place::Durability)?;
            world.state.lock().unwrap().durable.insert(transaction);
            Ok(())
        }))
    }

    fn commit(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        self.world.at(Place::Commit)?;
        let mut state = self.world.state.lock().unwrap();
        if !state.durable.contains(&transaction) {
            state.violations.push(format!("{transaction} is committed before it is durable"));
        }
        match state.open.remove(&transaction) {
            Some(records) => drop(state.committed.insert(transaction, records)),
            None if state.committed.contains_key(&transaction) => {}
            None => state.violations.push(format!("{transaction} is lost")),
        }
        Ok(())
    }

    fn roll_back(&mut self, transaction: TransactionId) -> Result<(), UserError> {
        self.world.at(Place::RollBack)?;
        self.world.state.lock().unwrap().open.remove(&transaction);
        Ok(())
    }

    fn checkpoint_completed(&mut self, _: CheckpointId) {
        if self.context.subtask.index == 0 {
            self.world.completed.fetch_add(1, Ordering::SeqCst);
        }
    }
}
