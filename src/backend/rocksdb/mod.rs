//! Keyed state in RocksDB, on a local disk: larger than memory, with incremental checkpoints (Flink:
//! `EmbeddedRocksDBStateBackend`).
//!
//! Every keyed subtask has one instance in a directory of its own, and each state a column family in it. Nothing there
//! outlives its attempt: without a log of writes, what is durable is in checkpoints. All calls of RocksDB are here.
//!
//! `docs/ROCKSDB.md` lists the options, `docs/FORMAT.md` the keys.

mod database;
mod directory;
mod error;
mod expiry;
mod family;
mod files;
mod ingestion;
mod instances;
mod lengths;
mod memory;
pub mod metrics;
mod options;
mod restore;
mod snapshot;
mod store;
#[cfg(test)]
mod tests;

use crate::configuration::WrongOption;
use crate::keygroup::KeyGroupRange;
use crate::state::backend::{
    BackendContext, BackendError, FetchFile, KeyedStateBackend, RestoredPart, StateBackendFactory,
};
use directory::WorkingDirectory;
pub use error::RocksDbError;
use options::RocksDbOptions;
use std::collections::BTreeMap;

/// Makes backends on RocksDB, under the name `rocksdb`. Options are those of Flink that begin with `state.backend.rocksdb.`.
#[derive(Clone, Copy, Debug, Default)]
pub struct RocksDbStateBackendFactory;

impl RocksDbStateBackendFactory {
    /// The options, and a directory to work in.
    fn prepare(context: &BackendContext) -> Result<(RocksDbOptions, WorkingDirectory), BackendError> {
        let options = RocksDbOptions::of(&context.options)?;
        let directory = WorkingDirectory::create(local_directory(&options, context.range))?;
        Ok((options, directory))
    }
}

/// Subtasks are distributed among several directories.
fn local_directory(options: &RocksDbOptions, range: KeyGroupRange) -> &std::path::Path {
    let all = &options.local_directories;
    let groups = usize::from(range.end().0 - range.start().0) + 1;
    &all[usize::from(range.start().0) / groups % all.len()]
}

impl StateBackendFactory for RocksDbStateBackendFactory {
    fn name(&self) -> &str {
        "rocksdb"
    }

    fn check(&self, options: &BTreeMap<String, String>) -> Vec<WrongOption> {
        RocksDbOptions::read(options).1
    }

    fn create(&self, context: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        let (options, directory) = Self::prepare(context)?;
        Ok(Box::new(restore::begin(directory, &options, context.range)?))
    }

    fn restore(
        &self,
        context: &BackendContext,
        parts: &[RestoredPart<'_>],
        fetch: &dyn FetchFile,
    ) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        let (options, directory) = Self::prepare(context)?;
        tracing::debug!(range = %context.range, "a restore begins");
        let restored = restore::restore(directory, &options, context.range, parts, fetch)?;
        tracing::debug!(range = %context.range, "a restore has ended");
        Ok(Box::new(restored))
    }
}
