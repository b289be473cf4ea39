//! The coordinator of a job: whatever tasks, users, the clock and the storage do, checkpoints end as specified.
//!
//! ```text
//!   users ── request, cancel ──▶ ┌─────────────┐ ── perform, delete ──▶ ┌─────────┐
//!                                │ coordinator │ ◀────── answer ─────── │ storage │
//!   tasks ◀─ trigger, notice ─── └─────────────┘                        └─────────┘
//!     └─ acknowledge, decline, finish, fail ──▲            ▲
//!                                          clock   another process ── the same, later
//! ```
//!
//! The [`Coordinator`](snapline::coordinator::Coordinator), with its publisher, is the machine that ships. Everything around
//! it is left to chance. A source and a task that reads from it acknowledge a checkpoint, decline it, or say nothing;
//! they reach the end of their data, finish early, fail, and report a backlog. Their messages come late, twice, from
//! an attempt that is over, from a task or about a checkpoint that does not exist. Users ask for checkpoints,
//! savepoints and stops, cancel the job or suspend it, at any moment. Time jumps from deadline to deadline. The storage
//! answers when it likes, fails, or loses an answer, and then the put arrives later or never. Another process may
//! take the job over at any moment, while the first one lives on unawares.
//!
//! **What is checked.** An observer beside each coordinator notes what was triggered, who owes an acknowledgement and what
//! users wait for, from the inputs and outputs alone, and compares. Every request is answered once. Ids increase.
//! Concurrency, the minimum pause, the timeout and the count of failures are kept. A terminal checkpoint is alone and
//! the last. Complete means acknowledged by all, and durable. Every task is told of every end, once. What is retained is
//! whole, and what was acknowledged is in a retained checkpoint or a savepoint, or gone; at the end of the job
//! its retention decides. A job that was given up never starts again. Nobody waits for nothing: whenever nothing more
//! can happen, the job has ended, has nothing to do, or only time is missing.
//!
//! **Its bounds** are the fields of [`Budgets`] and [`Run`]: one small job for each combination of things that happen, and
//! everything is tried within it. There is no reduction; only what is on its way and can no longer arrive is forgotten.
//!
//! **What it leaves out.** What tasks do with a notice, barriers and the cut, which the end-to-end model has. A task
//! writes its file in the step in which the coordinator hears of it. Discards are carried out at once, because no
//! state file ever has the name of another. A trigger or notice that is lost is a task that says nothing. Segments of one
//! pointer: longer ones, listings that are behind and damage are in [`crate::publish`]. A process that dies is one that
//! does nothing more, beside the one that takes over. Shared files are in [`crate::shared`].
//!
//! | scope | jobs that are tried | unique states |
//! | --- | --- | --- |
//! | small | two or three checkpoints, with one to three things that happen beside them; two coordinators, and a cancelled job that somebody starts again | 231,090 |
//! | medium | also what goes wrong together, and two coordinators at once with one trouble | 2,247,635 |
//! | large | also two coordinators with three checkpoints and a lost answer, with two troubles, or with a stop | not pinned |

mod faults;
mod keeping;
mod observer;
mod properties;
mod scope;
mod steps;
mod store;
mod system;
mod text;
mod world;

pub use faults::Fault;
pub use scope::{Budgets, Run, Scope};
pub use store::How;
pub use system::Coordination;
pub use world::{Life, Part, Step, Stray, World};
