//! State TTL: what has expired is gone, what has not is there, and nobody can tell whether it was cleaned up.
//!
//! ```text
//!   user: write, add, read, remove ──▶ state ──▶ snapshot ──▶ restore, also with another time to live
//!   clock: on, far on, back ─────────▶   ▲ clean-up
//! ```
//!
//! The state of one key is a value, a reduced value, a list, a map of two entries, or a reduced value in each of two
//! namespaces. Every decision about it comes from [`snapline::ttl`]; the state here carries it out. Around it everything
//! happens that can, in every order: the user accesses it at any time and merges the namespaces, the clock goes on, jumps
//! beyond every time to live, and goes back, clean-up looks at one value after another, a full snapshot leaves out what has
//! expired, and the state is restored from it with the same time to live, a longer or a shorter one, or begins or ends to
//! expire then.
//!
//! Clean-up looks at what is next whenever it may be; or it goes in passes, as on the heap, of which none begins while no value
//! can have expired; or compactions look at the bytes of what was there when they began.
//!
//! There are two copies of the state in lockstep, one that is cleaned up and one that never is. Beside them stands a naive
//! history of writes and reads, `history.rs`, which says in plain arithmetic what each of them may show.
//!
//! **What is checked.** Under `NeverReturnExpired` nothing is seen that has expired. What has never been expired is always
//! seen. What nothing has removed is seen where it may be, and what was removed, overwritten or given out for the last
//! time never comes back, from clean-up, a compaction, a snapshot or anywhere. Times are those of the last write, merge, or
//! read that refreshes, also after a restore, unless there were none. Clean-up and compactions remove what has expired and
//! nothing else, a pass that is left out would have removed nothing, and under `NeverReturnExpired` both copies give the
//! same answers, unless the clock has gone back or a restore has made the time to live longer.
//!
//! **Its bounds** are the fields of [`Run`]; a scope is a list of runs. Reads, removals, merges and clean-up are not limited.
//!
//! **What it leaves out.** Keys other than one, and key groups: values that lie beside one another are the entries of the
//! map. Snapshots are taken at once. Clean-up looks at one value at a time, which comes to any number of them, and at the
//! elements of a list alone. Merges of lists, of which the core decides nothing, and merges where clean-up can be seen: it
//! would be seen in the times of what is merged. What is counted, beside what a compaction tells.
//!
//! | scope | runs of 4 shapes, 2 update types, 2 visibilities | unique states |
//! | --- | --- | --- |
//! | small | 2 writes; the clock goes back twice, or a restore, or the end of time; passes, compactions and merges each alone | 579,944 |
//! | medium | 3 writes; or a restore and a clock that goes back; the others with a restore, a clock that goes back or 3 writes | 2,321,691 |
//! | large | all of it together, and two restores | not pinned |

mod clean_up;
mod compaction;
mod faults;
mod history;
mod properties;
mod rules;
mod scope;
mod store;
mod system;
mod world;

pub use faults::Fault;
pub use scope::{Budgets, CleanUp, Run, Scope, Shape};
pub use system::ExpiringState;
pub use world::{Step, World};
