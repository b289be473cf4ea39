//! The end of savepoints: nobody but their user deletes them.

use super::given::GivenCheckpoint;
use crate::base::{CheckpointId, CheckpointKind, CompletedCheckpoint};
use crate::coordinator::ClaimMode;
use crate::inspection::LocationError;
use crate::store::{Place, StorageError};
use std::fs::symlink_metadata;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// What was done to a savepoint that was to be disposed of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposal {
    /// It was deleted.
    Deleted,
    /// It was not there any more.
    Absent,
}

/// Why a savepoint was not disposed of.
#[derive(Debug, thiserror::Error)]
pub enum DisposalError {
    /// What is there is the job's. The caller must name another directory.
    #[error("{} is no savepoint: it is checkpoint {id} ({kind}), which belongs to its job", path.display())]
    Checkpoint {
        /// The directory.
        path: PathBuf,
        /// Its number.
        id: CheckpointId,
        /// Why the checkpoint was taken.
        kind: CheckpointKind,
    },
    /// There is nothing, and it is not called like a savepoint either. The caller must name another directory.
    #[error("{} does not exist, and a savepoint is called savepoint-<n>-<attempt>", path.display())]
    Unknown {
        /// The path.
        path: PathBuf,
    },
    /// The directory is no savepoint, or one that was never completed. The caller must name another one.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Something may still be there. If it has no `_metadata` any more, the caller must delete the directory by other means.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Deletes a savepoint in the file system, named by its directory or its `_metadata` (Flink: `savepoint --dispose`). One that is
/// gone already is fine.
///
/// Nothing else is ever deleted, not even a checkpoint with which a job was stopped: that belongs to the job.
///
/// # Errors
/// It is no savepoint, or cannot be read or deleted.
pub fn dispose_savepoint(path: impl AsRef<Path>) -> Result<Disposal, DisposalError> {
    let path = path.as_ref();
    let is_absent =
        |path| matches!(symlink_metadata(path), Err(error) if error.kind() == ErrorKind::NotFound);
    let parent_of = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let directory = if path.ends_with("_metadata") { parent_of(path) } else { path.to_owned() };
    // What lies nowhere was perhaps never looked for in the right place.
    if is_absent(&directory) && parent_of(&directory).is_dir() {
        return absent(&directory);
    }
    let given = GivenCheckpoint::open(path, ClaimMode::Claim)?;
    let CompletedCheckpoint { id, kind, .. } = given.metadata().checkpoint;
    if !kind.is_savepoint() {
        return Err(DisposalError::Checkpoint { path: path.to_owned(), id, kind });
    }
    given.delete()?;
    Ok(Disposal::Deleted)
}

fn absent(directory: &Path) -> Result<Disposal, DisposalError> {
    let name = directory.file_name().and_then(|name| name.to_str());
    match name.and_then(Place::from_name) {
        Some(Place::Savepoint(..)) => Ok(Disposal::Absent),
        _ => Err(DisposalError::Unknown { path: directory.to_owned() }),
    }
}
