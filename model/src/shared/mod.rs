//! Shared files of incremental checkpoints: what a checkpoint needs is there, and nothing else is left.
//!
//! ```text
//!   task: local files ── upload ──▶ store ◀── delete ── coordinator: registry
//!              │                                              ▲
//!              └────────────── acknowledgement ───────────────┘
//! ```
//!
//! Each task has some immutable local files. Before each snapshot it writes a new one, and a compaction may remove the
//! oldest. Its [`IncrementalSnapshots`](snapline::shared::IncrementalSnapshots) decide what is uploaded and what is
//! referred to; the [`SharedStateRegistry`](snapline::shared::SharedStateRegistry) of the coordinator decides under which
//! name a file lies and when it is deleted. Both are the machines that ship. Around them everything happens that can, in
//! every order: several checkpoints are under way, any of them is aborted, uploads fail and leave half a file,
//! acknowledgements, notices and deletions come late, twice or (notices) never, deletions fail, tasks fail, the process
//! dies, its uploads and deletions go on without it, users delete their savepoints, and the job starts from a
//! checkpoint that it owns, or that somebody else owns and deletes.
//!
//! **What is checked.** Every file of a checkpoint that may be restored exists and holds what was meant. A task never
//! refers to what is gone, not even if it has missed notices. No name is written twice. Nothing that belongs to
//! somebody else is deleted. When nothing is under way, nothing is left but what the retained checkpoints need and what dead
//! attempts have left, and after a listing the latter is gone too.
//!
//! **Its bounds** are the fields of [`Scope`]; everything is tried within them.
//!
//! **What it leaves out.** When a checkpoint is taken, given up or published is left to chance, within what the
//! coordinator's specification allows; its machine is checked in [`crate::end_to_end`]. A process that is fenced but lives on
//! is there only as its deletions and uploads, because a fenced registry does nothing. A savepoint that dies with its
//! attempt stays half written in its directory: nobody looks for leftovers there.
//!
//! | scope | jobs that are tried, up to two checkpoints at once | unique states |
//! | --- | --- | --- |
//! | small | 3 checkpoints, and one thing of each kind goes wrong, alone; a restart on a checkpoint of somebody else, owned or not; 2 subtasks with 2 checkpoints and a restart | 525,869 |
//! | medium | also 4 checkpoints with an abort, a failed deletion, or a repeated message | 2,598,228 |
//! | large | also 4 checkpoints with anything else, 3 with two things at once, 2 subtasks with 3 checkpoints | not pinned |

mod faults;
mod properties;
mod scope;
mod system;
mod task;
mod text;
mod world;

pub use faults::Fault;
pub use scope::{Budgets, Run, Scope};
pub use system::SharedFiles;
pub use world::{Step, World};
