use std::fmt;
use std::path::{Path, PathBuf};

/// What RocksDB, or the directory that it works in, could not do.
#[derive(Debug)]
pub struct RocksDbError {
    /// What was to be done.
    pub operation: &'static str,
    /// The directory of the instance.
    pub directory: PathBuf,
    /// Why it was not.
    pub cause: String,
}

impl RocksDbError {
    pub(super) fn new(operation: &'static str, directory: &Path, cause: impl fmt::Display) -> Self {
        RocksDbError { operation, directory: directory.to_owned(), cause: cause.to_string() }
    }
}

impl fmt::Display for RocksDbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RocksDbError { operation, directory, cause } = self;
        write!(f, "RocksDB in {} failed to {operation}: {cause}", directory.display())
    }
}

impl std::error::Error for RocksDbError {}
