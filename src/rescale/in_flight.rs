//! Who gets the records that were on their way when the checkpoint was taken (Flink: `SubtaskStateMapper`).

use super::{OperatorAssignment, RestoredOperator, StateAssignment, StateMisfit};

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
    /// The old subtasks of which [`check_all_took_in_the_same`] is to say whether they did, if subtask `index` goes on; none if
    /// it does not matter.
    #[must_use]
    pub fn must_agree(&self, index: u16, distribution: Distribution, sender_is_rescaled: bool) -> Vec<u16> {
        match distribution {
            // Who sent what cannot be told any more after this.
            Distribution::ToAll if sender_is_rescaled => self.unfinished_before(),
            Distribution::ToAll => self.keyed_sources(index),
            Distribution::ByKey | Distribution::OneToOne => Vec::new(),
        }
    }
}

/// Whether old subtasks had taken in equally much of a stream, of which each had so many records ahead of it, by its channels.
///
/// # Errors
/// [`StateMisfit::TookInUnequally`].
//= spec/rescale.md#rescale-15-all-had-taken-in-the-same
//# Old subtasks whose key groups go to one new subtask, and of which one had more records of a stream that goes to everyone
//# ahead of it than another, MUST be refused.
pub fn check_all_took_in_the_same(ahead: &[Vec<u64>]) -> Result<(), StateMisfit> {
    let is_same = ahead.windows(2).all(|pair| pair[0] == pair[1]);
    if is_same { Ok(()) } else { Err(StateMisfit::TookInUnequally) }
}

/// Whether an operator that is restored is connected with new ones, on either side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NewNeighbours {
    /// One that sends to it is new.
    pub senders: bool,
    /// One that receives from it is new.
    pub receivers: bool,
}

impl StateAssignment {
    /// Which neighbours of an operator are new; `edges` says who sends to whom.
    #[must_use]
    pub fn new_neighbours(&self, operator: u16, edges: &[(u16, u16)]) -> NewNeighbours {
        let restored = |number: u16| self.operators.get(usize::from(number)).map(|it| it.restored.is_some());
        if restored(operator) != Some(true) {
            return NewNeighbours::default();
        }
        let is_new = |number| restored(number) == Some(false);
        NewNeighbours {
            senders: edges.iter().any(|(from, to)| *to == operator && is_new(*from)),
            receivers: edges.iter().any(|(from, to)| *from == operator && is_new(*to)),
        }
    }
}

impl NewNeighbours {
    /// Whether there are any.
    #[must_use]
    pub fn are_any(self) -> bool {
        self.senders || self.receivers
    }

    /// Whether an old subtask may be gone on for to which so many records had arrived, and which had not sent so many.
    ///
    /// # Errors
    /// [`StateMisfit::RecordsBetweenOthers`].
    //= spec/rescale.md#rescale-16-records-between-operators-that-are-no-neighbours-any-more-are-refused
    //# Records that were on their way from or to an operator MUST be refused if those that it is connected with now are new.
    pub fn check(self, arrived: u64, unsent: u64) -> Result<(), StateMisfit> {
        if self.senders && arrived > 0 || self.receivers && unsent > 0 {
            return Err(StateMisfit::RecordsBetweenOthers);
        }
        Ok(())
    }
}
