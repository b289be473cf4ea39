//! Windows over time, as pure arithmetic: which windows a timestamp belongs to, which sessions become one, when a
//! window fires and when it is given up.
//!
//! Times are milliseconds since the epoch and may be negative. Nothing overflows: what would lie before or after the
//! ends of time is cut there. The operator that keeps elements in state until their windows fire builds on this.

mod assigner;
mod lateness;
mod merging;
mod time_window;
mod trigger;

#[cfg(test)]
mod tests;

pub use assigner::{MAX_WINDOWS_OF_ELEMENT, WindowAssigner, WindowError};
pub use lateness::Lateness;
pub use merging::{Added, MergingWindowSet};
pub use time_window::TimeWindow;
pub use trigger::{OnElement, Trigger, TriggerResult};
