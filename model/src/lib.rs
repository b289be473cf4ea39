//! Models of Snapline's protocol, checked exhaustively.
//!
//! A model is a small world in which everything that can happen is tried in every order: the machines of the
//! `snapline` crate, exactly as they ship, with thin adapters around them. Begin with [`alignment`], which fits on
//! a page, and go on with [`shared`] and with
//! [`end_to_end`], which has everything but that; [`check`] runs them.

pub mod alignment;
pub mod check;
pub mod end_to_end;
pub mod shared;
