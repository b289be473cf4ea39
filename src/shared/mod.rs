//! The files that incremental checkpoints have in common: what need not be uploaded again, and what may be deleted.
//!
//! A store of sorted, immutable files changes little from one checkpoint to the next, so a snapshot uploads only what
//! is new and refers to the rest. From then on a file belongs to several checkpoints, and it must stay exactly as
//! long as one of them does. Two machines decide about it:
//!
//! - [`IncrementalSnapshots`], one in each task: which files of a snapshot are uploaded and which are referred to.
//! - [`SharedStateRegistry`], one in the coordinator: under which name a file lies, and who still refers to it.
//!
//! ```text
//!  task: IncrementalSnapshots                         coordinator: SharedStateRegistry
//!    SnapshotBegan ─▶ Upload ..                          Restored
//!    UploadFinished ─▶ Ready ──── SharedState ─────────▶ Acknowledged ─▶ Registered or Refused
//!    CheckpointCompleted ◀─────── published ───────────▶ Subsumed ─────▶ Delete ..
//!    CheckpointAborted ◀───────── aborted ─────────────▶ Dropped ──────▶ Delete ..
//! ```
//!
//! # How to drive it
//!
//! The two never talk to each other: the acknowledgement of the task and the notices of the coordinator carry what
//! the arrows show. [`incremental`] and [`registry`] say what each input reports and what each output asks for.
//!
//! An upload belongs to its task until the snapshot is ready, and to the coordinator from then on; what a dead attempt
//! leaves behind is found by listing the storage. Neither machine counts references: the registry knows what each
//! checkpoint refers to, and a file that none of them names is garbage. So lost, late and repeated messages cannot
//! unbalance anything.
//!
//! Files that change (for RocksDB: `MANIFEST`, `CURRENT`) are private state of one checkpoint and are no business of
//! these machines.
//!
//! Specification: `spec/shared.md`. Flink: `SharedStateRegistryImpl`, `RocksIncrementalSnapshotStrategy`.

pub mod incremental;
pub mod registry;

pub use incremental::IncrementalSnapshots;
pub use registry::SharedStateRegistry;

#[cfg(test)]
mod tests;
