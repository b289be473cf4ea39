//! State TTL: when a value has expired, who sees it, and what an access or a clean-up does to it.
//!
//! Everything here is a decision about the time of a value's last update and the present, both in milliseconds of one
//! clock, which is processing time or the watermark. Whoever keeps state asks ([`StateTtlConfig`]) and carries it out: the
//! heap, a compaction filter, the model.
//!
//! Specification: `spec/ttl.md`. Flink: `StateTtlConfig`, `TtlUtils`, `AbstractTtlDecorator`.

mod access;
mod compaction;
mod config;
mod expiry;
mod oldest;
mod stamped;

pub use access::{CellMerge, CellRead, ListRead};
pub use compaction::{Compacted, CompactionClock};
pub use config::{
    CleanupStrategies, IncrementalCleanup, StateTtlConfig, StateVisibility, TtlError, UpdateType,
};
pub use expiry::TimeToLive;
pub use oldest::OldestUpdate;
pub use stamped::{Stamped, split_time};

#[cfg(test)]
mod tests;
