//! The vocabulary every other module speaks: identities, attempts and logical time.
//!
//! Everything here is a small value. Nothing here reads a clock, a file or a random number.

#[cfg(feature = "runtime")]
mod causes;
mod checkpoint;
mod domain;
mod identity;
mod options;
mod shared;
mod time;

#[cfg(feature = "runtime")]
pub(crate) use causes::WithCauses;
pub use checkpoint::{
    CheckpointKind, CompletedCheckpoint, DeclineReason, InlineState, StateFile, StateHandle,
};
pub use domain::TimeDomain;
pub use identity::{Attempt, Channel, CheckpointId, Incarnation, JobId, ParseJobIdError, SubtaskId};
pub use options::{Alignment, CheckpointOptions, CheckpointingMode, SavepointFormat};
pub use shared::{ContentId, Ownership, RestoredFiles, SharedFile, SharedObject, SharedState, Sharing};
pub use time::{EventTime, Millis};

/// A driver broke the protocol of a machine; the machine has not changed.
///
/// Late, duplicate and unknown *messages* are never misuse: machines answer those in their outputs.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("misuse of {machine}: {what}")]
pub struct Misuse {
    /// The machine that was driven wrongly.
    pub machine: &'static str,
    /// What the driver did.
    pub what: String,
}

impl Misuse {
    /// Misuse of `machine`, described by `what`.
    pub fn new(machine: &'static str, what: impl Into<String>) -> Self {
        Misuse { machine, what: what.into() }
    }
}

/// An invariant of a machine does not hold: a bug in the machine itself.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{machine} violates {requirement}: {what}")]
pub struct Violation {
    /// The machine whose invariant is broken.
    pub machine: &'static str,
    /// The requirement of `spec/` that is broken, such as `ALIGN-3`.
    pub requirement: &'static str,
    /// What was found.
    pub what: String,
}

impl Violation {
    /// Fails with a violation unless `holds`.
    ///
    /// # Errors
    /// The violation, when `holds` is false.
    pub fn unless(
        holds: bool,
        machine: &'static str,
        requirement: &'static str,
        what: impl FnOnce() -> String,
    ) -> Result<(), Violation> {
        if holds { Ok(()) } else { Err(Violation { machine, requirement, what: what() }) }
    }
}
