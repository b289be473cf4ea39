//! The stores of keyed state.

pub mod heap;
