//! What lies in a directory of checkpoints, for people: [`inspect`] tells what there is, [`verify`] reads all of it,
//! [`fsck`] tells what refers to what, and what nobody needs, [`diff`] how two checkpoints differ, and
//! [`export`] shows the entries of their states.
//!
//! Nothing here writes, locks or deletes anything, and the job may go on meanwhile: files appear and vanish, so whatever
//! seems to be wrong is looked at again after another look at the log of pointers. Which checkpoint is the newest, what
//! refers to what and how files are called is decided by [`publish`](crate::publish), [`state`](crate::state) and
//! [`store`](crate::store). What is found is data for `serde`, whose names are stable.

#![allow(clippy::disallowed_methods)]

mod agreement;
mod checkpoint;
mod describe;
mod diff;
mod export;
mod fsck;
mod inspect;
mod location;
mod newest;
mod parallel;
mod problem;
mod report;
mod stored_files;
mod verify;
mod view;

pub(crate) use describe::{keyed_state, operator_state};
pub use diff::{
    Change, ComparedCheckpoint, DiffError, Difference, OperatorDifference, SharedFilesDifference, Sides,
    StateDifference, diff,
};
pub use export::{ExportError, ExportOptions, Exported, ExportedEntry, Hex, Updated, export};
pub use fsck::{Dangling, Fate, FileReport, Fsck, Garbage, JobFiles, References, fsck};
pub use inspect::{Depth, inspect};
pub use location::{Location, LocationError};
pub use problem::Problem;
pub use report::{
    BackendFileReport, CapturedReport, CheckpointReport, Inspection, JobReport, KeyedStateReport,
    OperatorReport, OperatorStateReport, SerializerReport, SharedFileReport, StateFileReport, Status,
    SubtaskReport,
};
pub(crate) use stored_files::StoredFiles;
pub use verify::{CheckpointVerdict, JobVerdict, Verdict, Verification, verify};
