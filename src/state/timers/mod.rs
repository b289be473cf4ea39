//! Timers of keys: they fire when event time or the clock has come to them, with their key as the current one.

mod queue;
mod service;
#[cfg(test)]
mod tests;

pub use service::{Timer, TimerService};
