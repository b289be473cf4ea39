//! Control of a running job over HTTP, with Flink's paths and JSON.
//!
//! Nothing is decided here: a [`RestServer`] passes on what it is asked to the job's [`JobControl`](crate::runtime::JobControl),
//! and tells what its [`JobWatch`](crate::runtime::JobWatch) knows. What takes its time is triggered by a `POST`, answered with an id,
//! and asked for under that id until it has ended. `docs/REST.md` is the table of all paths.
//!
//! Whoever can reach the address can stop the job: by default that is this machine alone.

#![allow(clippy::disallowed_methods)]

mod checkpoints;
mod context;
mod disposal;
mod jobs;
mod operations;
mod refused;
mod request;
mod routes;
mod savepoints;
mod server;
mod trigger_id;

pub use routes::routes;
pub use server::{RestError, RestOptions, RestServer, listen};
