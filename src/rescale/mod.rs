//! Who gets which state when a job goes on with another parallelism. `spec/rescale.md` has the rules.
//!
//! A [`StateAssignment`] says from which old subtasks a new one is restored. Of those it takes the key groups that are its own
//! (`keygroup`), and its share of the operator state of all of them.

#[cfg(feature = "runtime")]
mod assignment;
#[cfg(feature = "runtime")]
mod in_flight;
#[cfg(feature = "runtime")]
mod misfit;
mod operator;
#[cfg(feature = "runtime")]
mod progress;
#[cfg(test)]
mod tests;

#[cfg(feature = "runtime")]
pub use assignment::{OperatorAssignment, RestoredOperator, StateAssignment, adopt_max_parallelism};
#[cfg(feature = "runtime")]
pub use in_flight::{Distribution, NewNeighbours, check_all_took_in_the_same};
#[cfg(feature = "runtime")]
pub use misfit::{Misfit, StateMisfit};
pub use operator::{
    ConflictingModes, ItemRange, OperatorStateInfo, OperatorStateMode, redistribute_operator_state,
};
#[cfg(feature = "runtime")]
pub use progress::SubtaskProgress;
