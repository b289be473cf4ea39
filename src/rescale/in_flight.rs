//! Who gets the records that were on their way when the checkpoint was taken (Flink: `SubtaskStateMapper`).

use super::{OperatorAssignment, RestoredOperator};

/// How the records of a connection are distributed among its receivers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// Each record goes to the owner of its key's group.
    ByKey,
    /// Each record goes to everyone.
    ToAll,
    /// All records of a sender go to the receiver of the same index.
    OneToOne,
}

impl OperatorAssignment {
    /// The old subtasks, in their order, whose records on their way subtask `index` takes over. Of records that are distributed
    /// by key it leaves those out whose key groups are not its own.
    #[must_use]
    //= spec/rescale.md#rescale-13-records-on-their-way-are-handed-out
    //# With another parallelism, each record that was on its way to an old subtask MUST be given to the owner of its key
    //# group, or to old subtask i's successor: i modulo the parallelism where records went from one to one, and those who
    //# have the old subtask's broadcast state where they went to everyone.
    pub fn receivers_before(&self, index: u16, distribution: Distribution) -> Vec<u16> {
        let Some(RestoredOperator { operator, states, unfinished, .. }) = &self.restored else {
            return Vec::new();
        };
        if !self.is_rescaled() {
            return vec![index];
        }
        match distribution {
            Distribution::ByKey => self.keyed_sources(index),
            Distribution::OneToOne => {
                let successor = |old: u16| old.checked_rem(self.operator.parallelism);
                (0..operator.parallelism).filter(|old| successor(*old) == Some(index)).collect()
            }
            Distribution::ToAll => {
                let reported: Vec<u16> =
                    (0..).zip(states).filter_map(|(old, state)| state.is_some().then_some(old)).collect();
                let had_none = reported.is_empty();
                let from = if had_none { unfinished.iter().copied().collect() } else { reported };
                let turn = usize::from(index).checked_rem(from.len());
                turn.map(|turn| from[turn]).into_iter().collect()
            }
        }
    }
}
