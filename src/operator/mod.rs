//! Operators that any engine can run: they use nothing but the public interface of keyed state and timers.

mod contents;
mod window;

#[cfg(test)]
mod tests;

pub use contents::WindowContents;
pub use window::{WindowOperator, WindowOptions};
