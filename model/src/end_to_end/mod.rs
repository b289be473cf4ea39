//! The whole protocol: a job that takes checkpoints, fails, recovers, and still writes its output exactly once.
//!
//! ```text
//!   source a ──┬──> count  ──┐   ┌─────────┐
//!              ╳             ├──>│  sink   │ ───> committed output
//!   source b ──┴──> count 2 ─┘   └─────────┘
//!        trigger │ ▲ acknowledge
//!                ▼ │
//!            coordinator <───> store
//! ```
//!
//! Each source emits records some times, of one key or of two keys in turn. The operator counts keys, in one subtask
//! or in two that own a key each, so without failures the output of each key is 1, 2, 3, .. The sink writes into transactions and commits them when their checkpoint is complete.
//!
//! **One checkpoint.** The coordinator triggers the sources. A source sends a barrier down its channel and writes
//! its position to the store. The operator stops reading a channel that has delivered its barrier; when both have, it
//! passes the barrier on and writes its counts. The sink pre-commits what it has written and stores the names of its
//! transactions. Each task acknowledges when its state is durable. With all acknowledgements the
//! coordinator writes metadata and then the pointer, which makes the checkpoint visible, and tells the tasks; the sink
//! commits. When the sources have no more data a final checkpoint is taken the same way, and the tasks finish with it.
//!
//! **One recovery.** A new attempt lists the store, reads the highest pointer, and claims the next number for itself,
//! which fences every older attempt. The tasks start from the newest published checkpoint. The sink commits
//! the transactions that its snapshot names and rolls back all others.
//!
//! **What is checked** is in [`properties`]: cuts are consistent, nothing is published or notified too
//! early, nothing referred to is missing, attempts and ids increase, committed output is always a prefix of
//! the output without failures, and every run ends with all of it committed.
//!
//! **Its bounds** are the fields of [`scope::Scope`]; everything is tried within them. Beside those: two sources, one
//! or two counters, one sink; one checkpoint at a time, one retained; the process dies as a whole; one late message for each
//! crash or failure, which may arrive at any time after it, even after newer messages.
//!
//! **What it leaves out.** Unaligned barriers, stopping with a checkpoint, rescaling, damage to what is stored, shared
//! files, and real time: the clock jumps from one deadline of the coordinator to the next.
//!
//! **Its reductions** ([`scope::Reductions`]) leave every verdict as it is; `model/tests/models/reductions.rs` compares. They are
//! not bounds.
//!
//! | scope | counters | records | periodic checkpoints | crashes | store faults | late messages | unique states |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | small | 1 | 2 | 1 | 1 | 0 | to anyone | 489,231 |
//! | medium | 1 | 1 | 1 | 1 | 1 | to coordinator and store | 14,043,610 |
//! | two counters | 2 | 1 | 0 | 2 | 0 | to coordinator and store | 2,282,203 |
//! | large | 2 | 1 | 1 | 2 | 0 | to coordinator and store | 83,208,475 |
//!
//! `model/tests/models/end_to_end.rs` pins these, and smaller ones for failures of tasks, expiries and longer queues.

mod control;
pub mod dataflow;
pub mod faults;
pub mod message;
pub mod node;
pub mod picture;
pub mod properties;
mod reduction;
pub mod scope;
pub mod store;
pub mod system;
mod task;
pub mod text;
pub mod world;
