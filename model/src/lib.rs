//! Models of Snapline's protocol, checked exhaustively.
//!
//! A model is a small world in which everything that can happen is tried in every order: the machines of the
//! `snapline` crate, exactly as they ship, with thin adapters around them. Begin with [`align`], which fits on
//! a page, go on with [`commit`], with [`shared`] and with [`publish`], where two coordinators and a storage do their
//! worst, and then with [`end_to_end`], which has everything but shared files; [`check`] runs them.

pub mod align;
pub mod check;
pub mod commit;
pub mod end_to_end;
mod nearest;
pub mod outputs;
pub mod publish;
pub mod shared;
