//! Who gets which state when a job goes on with another parallelism. `spec/rescale.md` has the rules.
//!
//! Keyed state needs nothing of this: its key groups belong to ranges (`keygroup`).

mod operator;
#[cfg(test)]
mod tests;

pub use operator::{
    ConflictingModes, ItemRange, OperatorStateInfo, OperatorStateMode, redistribute_operator_state,
};
