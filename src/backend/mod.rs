//! The stores of keyed state.

pub mod heap;
#[cfg(feature = "rocksdb")]
pub mod rocksdb;
