//! Models of Snapline's protocol, checked exhaustively.
//!
//! A model is a small world in which everything that can happen is tried in every order: the machines of the
//! `snapline` crate, exactly as they ship, with thin adapters around them. Begin with [`align`], which fits on
//! a page, go on with [`commit`], with [`shared`], with [`publish`], where two publishers and a storage do their worst,
//! and with [`coordinator`], where tasks and users do theirs, and then with [`end_to_end`], which has everything but
//! shared files; [`ttl`] has nothing to do with checkpoints but that state outlives them. [`check`] runs them.

pub mod align;
pub mod check;
pub mod commit;
pub mod coordinator;
pub mod end_to_end;
mod nearest;
pub mod outputs;
pub mod publish;
pub mod shared;
pub mod ttl;
