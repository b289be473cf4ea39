//! What the functions of the test job look at while they run.

use super::{Number, World};
use snapline::base::EventTime;
use snapline::runtime::{SubtaskContext, UserError};
use snapline::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend};
use std::sync::Arc;

/// A number of records, kept in a field and by the hooks around snapshots.
#[derive(Default)]
pub struct Counter {
    pub records: u64,
    state: Option<OperatorListState<u64>>,
}

impl Counter {
    pub fn restore(&mut self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        let records = state.list_state(&ListStateDescriptor::new("records"))?;
        self.records = records.get(state)?.iter().sum();
        self.state = Some(records);
        Ok(())
    }

    pub fn store(&self, state: &mut OperatorStateBackend) -> Result<(), UserError> {
        self.state.ok_or("not initialized")?.update(state, vec![self.records])?;
        Ok(())
    }
}

/// Looks at the watermark with which each number is processed.
pub struct Watch {
    world: Arc<World>,
    pub context: SubtaskContext,
    last: Option<EventTime>,
}

impl Watch {
    pub fn new(world: &Arc<World>, context: SubtaskContext) -> Self {
        Watch { world: Arc::clone(world), context, last: None }
    }

    pub fn at(&mut self, number: Number, watermark: EventTime) {
        let mut state = self.world.state.lock().unwrap();
        if EventTime(number.time) <= watermark {
            state.late.push(format!("{} comes behind {watermark}", number.time));
        }
        if self.last.is_some_and(|last| watermark < last) {
            state.violations.push(format!("event time goes back to {watermark}"));
        }
        if self.last.replace(watermark) != Some(watermark) {
            let SubtaskContext { attempt, subtask, .. } = self.context;
            state.watermarks.push((attempt.0, subtask.index, watermark));
        }
    }
}
