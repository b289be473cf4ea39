//! Who gets which state when a job goes on with another parallelism. `spec/rescale.md` has the rules.
//!
//! A [`StateAssignment`] says from which old subtasks a new one is restored. Of those it takes the key groups that are its own
//! (`keygroup`), and its share of the operator state of all of them.

#[cfg(feature = "runtime")]
mod assignment;
#[cfg(feature = "runtime")]
mod in_flight;
mod operator;
#[cfg(test)]
mod tests;

#[cfg(feature = "runtime")]
pub use assignment::{Misfit, OperatorAssignment, RestoredOperator, StateAssignment};
#[cfg(feature = "runtime")]
pub use in_flight::Distribution;
pub use operator::{
    ConflictingModes, ItemRange, OperatorStateInfo, OperatorStateMode, redistribute_operator_state,
};
