//! One backend on its way through a script.

use super::super::checkpoint::Checkpoint;
use super::super::harness::{Operator, groups};
use super::states::Opened;
use super::{Answer, PARALLELISMS, Step};
use crate::base::{EventTime, Millis};
use crate::keygroup::MaxParallelism;
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateSnapshot, KeyedStateStore, StateError, TtlMetrics};
use crate::ttl::StateTtlConfig;

fn max_parallelism() -> MaxParallelism {
    groups(8)
}

/// What time it is by both clocks, which are never the same.
#[derive(Clone, Copy)]
pub(super) struct Clocks {
    pub(super) processing: i64,
    pub(super) event: i64,
}

/// An operator whose subtasks keep their state in one backend.
pub(super) struct Lane<'a> {
    pub(super) backend: &'a StateBackend,
    ttl: StateTtlConfig,
    operator: Operator,
    /// The states of each subtask, once it has opened them.
    opened: Vec<Option<Opened>>,
    /// What was removed by operators that are gone.
    removed_before: TtlMetrics,
}

impl<'a> Lane<'a> {
    /// An operator without state.
    pub(super) fn begin(
        backend: &'a StateBackend,
        ttl: StateTtlConfig,
        clocks: Clocks,
    ) -> Result<Self, StateError> {
        let operator = Operator::restored(backend, max_parallelism(), PARALLELISMS[0], &[])?;
        let (opened, removed_before) = (Vec::new(), TtlMetrics::default());
        let mut lane = Lane { backend, ttl, operator, opened, removed_before };
        lane.set_time(clocks);
        Ok(lane)
    }

    /// Goes on with another operator, which has what was captured of this or another one.
    pub(super) fn restore(
        &mut self,
        checkpoints: &[Checkpoint],
        parallelism: u16,
        clocks: Clocks,
    ) -> Result<(), StateError> {
        self.removed_before = self.removed();
        let states: Vec<&[u8]> = checkpoints.iter().map(|checkpoint| &checkpoint.state[..]).collect();
        let files = Checkpoint::files_of(checkpoints);
        self.operator =
            Operator::restored_with(self.backend, max_parallelism(), parallelism, &states, &files)?;
        self.opened.clear();
        self.set_time(clocks);
        Ok(())
    }

    pub(super) fn parallelism(&self) -> u16 {
        self.operator.assignment.parallelism()
    }

    pub(super) fn set_time(&mut self, clocks: Clocks) {
        for store in &mut self.operator.stores {
            store.set_processing_time(Millis(clocks.processing.unsigned_abs()));
            store.set_event_time(EventTime(clocks.event));
        }
    }

    pub(super) fn perform(&mut self, step: Step) -> Result<Answer, StateError> {
        let subtask = usize::from(self.operator.assignment.owner_of_key(&step.key));
        let store = self.operator.at(step.key)?;
        self.opened.resize_with(subtask.max(self.opened.len().saturating_sub(1)) + 1, || None);
        let opened = match self.opened[subtask].take() {
            Some(opened) => opened,
            None => Opened::open(store, self.ttl)?,
        };
        self.opened[subtask].insert(opened).perform(store, step)
    }

    /// All that the states without a time to live hold.
    pub(super) fn content(&mut self) -> Result<super::super::everything::Content, StateError> {
        self.operator.content()
    }

    pub(super) fn snapshot(&mut self, in_files: bool) -> Result<Vec<KeyedStateSnapshot>, StateError> {
        let take = match in_files {
            true => KeyedStateStore::snapshot_in_files,
            false => KeyedStateStore::snapshot,
        };
        self.operator.stores.iter_mut().map(take).collect()
    }

    /// What was removed because it had expired.
    pub(super) fn removed(&self) -> TtlMetrics {
        let mut removed = self.removed_before;
        self.operator.stores.iter().for_each(|store| removed += store.ttl_metrics_of_all());
        removed
    }
}
