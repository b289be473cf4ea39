//! Two coordinators of one job, and a storage that answers as storages do.
//!
//! Each coordinator is a [`Publisher`](snapline::publish::Publisher) with a driver that only asks: for a recovery, and
//! then for one publication after another. The first coordinator is there from the start; the second one, which
//! somebody starts because the first seems dead, may appear at any moment. Each can be killed between any two
//! durable steps, also during a recovery, and the recovery after that, and a killed one leaves behind whatever it
//! had asked for.
//!
//! The storage carries out puts exactly once if their name is free. Everything else about it can lie: an answer is
//! lost and its put arrives later or never, a read misses what is there or shows what was deleted, a listing ends
//! anywhere below the newest pointer, a delete happens late or never, the newest pointer or metadata rots.
//!
//! **What is checked.** Whoever is told that a checkpoint is visible is told the truth. An attempt starts from the
//! newest published checkpoint, and from nothing only if nothing was ever published, however old the listing
//! was; or else it has said before that it goes back, which it may only do if told so. Once it has claimed, no
//! older attempt publishes anything. Ids and attempts of what is published increase. A publication that was reported as
//! failed is not visible and never will be. What was published is there. Everyone comes to an end.
//!
//! **Its bounds.** Three checkpoints, two coordinators, segments of two pointers, and for each kind of trouble a
//! budget. A scope is a list of such budgets, each checked exhaustively, both with and without consent to fall back:
//! see [`scope::Scope`].
//!
//! **What it leaves out.** State files, tasks and the deletion of old checkpoints, which the end-to-end model has. Time:
//! a pause is over when nothing better happens. A put that is applied and answered is one step, because between the two
//! the coordinator does nothing; dying between them is a step of its own.
//!
//! | scope | worst case in it | unique states |
//! | --- | --- | --- |
//! | small | two coordinators and one trouble, or three crashes | 191,858 |
//! | medium | two coordinators and two troubles, or three crashes and one | 3,027,396 |

pub mod faults;
pub mod history;
pub mod process;
mod properties;
pub mod scope;
pub mod storage;
pub mod system;
