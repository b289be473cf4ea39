//! Snapline: checkpoints, state and exactly-once output for stream processors, in the terms of Apache Flink.
//!
//! The protocol is a set of pure state machines. The models of the `snapline-model` crate check those
//! machines exhaustively, and the runtime drives the same code with threads, clocks and files.

pub mod align;
#[cfg(feature = "runtime")]
pub mod backend;
pub mod base;
#[cfg(feature = "runtime")]
pub mod codec;
pub mod commit;
#[cfg(feature = "runtime")]
pub mod configuration;
pub mod coordinator;
#[cfg(feature = "runtime")]
pub mod inspection;
pub mod keygroup;
#[cfg(feature = "runtime")]
pub mod operator;
pub mod publish;
pub mod rescale;
#[cfg(feature = "rest")]
pub mod rest;
#[cfg(feature = "runtime")]
pub mod runtime;
pub mod shared;
#[cfg(feature = "runtime")]
pub mod state;
#[cfg(feature = "runtime")]
pub mod store;
pub mod subtask;
#[cfg(test)]
mod table_tests;
#[cfg(feature = "testkit")]
pub mod testkit;
pub mod ttl;
pub mod watermark;
pub mod window;

/// The README's example is compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So are those of the guide to embedding.
#[cfg(doctest)]
#[doc = include_str!("../docs/EMBEDDING.md")]
struct Embedding;

/// And those of the guide to configuration.
#[cfg(all(doctest, feature = "yaml"))]
#[doc = include_str!("../docs/CONFIGURATION.md")]
struct Configuration;

/// And that of the guide to storages.
#[cfg(all(doctest, feature = "object-store"))]
#[doc = include_str!("../docs/STORAGES.md")]
struct Storages;
