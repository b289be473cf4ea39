//! Two-phase commit: what becomes visible outside is each record once, whatever fails.
//!
//! ```text
//!   partition 0 ──▶ sink 0 ──▶ outside: unfinished ──▶ durable ──▶ visible
//!   partition 1 ──▶ sink 1        │           ▲ roll back            ▲ commit
//!                     └── part of a checkpoint ──▶ complete ── notice ┘
//! ```
//!
//! The subtasks of a sink write the records of two partitions. Each has a [`Committer`](snapline::commit::Committer), the
//! machine that ships, and a driver that does what it says, one order after the other. A part of a checkpoint is what the
//! machine's snapshot holds, and how far each partition was read. Around them everything happens that can, in every
//! order: checkpoints are aborted before, between and after the snapshots, transactions become durable late, notices come
//! late, out of order or never, commits have an unknown outcome (applied or not), the attempt fails, also while it is
//! starting or committing what it restored, and the sink comes back with more subtasks or fewer.
//!
//! **What is checked.** Nothing is visible twice, or before a complete checkpoint covers it. Nothing that a complete
//! checkpoint covers is ever gone. What is visible is in order, unless a commit was uncertain or the sink has
//! been rescaled: then a transaction may become visible before an older one. When all is quiet, all that is covered is
//! visible, and when the sinks are at their end there is nothing else outside.
//!
//! **Its bounds** are the fields of [`Run`]; a scope is a list of runs.
//!
//! **What it leaves out.** One checkpoint is under way at a time, and whether it completes is left to chance; publication
//! has a model of its own ([`crate::publish`]). An attempt fails as a whole, and nothing of it goes on. A transaction
//! can always be made durable in the end.
//!
//! | scope | runs of 2 partitions with 2 records, up to 3 checkpoints | unique states |
//! | --- | --- | --- |
//! | small | one thing goes wrong; the sink keeps its number, shrinks, grows; two crashes with one checkpoint | 226,518 |
//! | medium | two things go wrong together; two crashes with two checkpoints | 1,642,541 |
//! | large | three things together | not pinned |

mod faults;
mod properties;
mod scope;
mod system;
mod world;

pub use faults::Fault;
pub use scope::{Budgets, Run, Scope};
pub use system::Sinks;
pub use world::{Step, World};
