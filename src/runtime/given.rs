//! A checkpoint or savepoint that another job has left, and that a job starts from.

use super::builder::Job;
use super::error::JobError;
use crate::base::{CheckpointId, CompletedCheckpoint};
use crate::codec::CheckpointMetadata;
use crate::coordinator::{ClaimMode, Edge, EdgePattern, Restore};
use crate::inspection::{Location, LocationError};
use crate::rescale::{Misfit, StateAssignment};
use crate::store::{CheckpointStorage, Place, StorageError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The checkpoint or savepoint from which a job starts as long as it has published none itself
/// (`execution.state-recovery.path`).
///
/// Its operators find their state by their uids; parallelism and other operators may differ. Transactions that it holds, which
/// its job had not committed, are given to the sinks of this job, as in Flink.
#[derive(Clone)]
pub struct GivenCheckpoint {
    storage: Arc<dyn CheckpointStorage>,
    metadata: CheckpointMetadata,
    mode: ClaimMode,
    path: Option<PathBuf>,
}

impl GivenCheckpoint {
    /// The checkpoint or savepoint in this directory, or whose `_metadata` this is.
    ///
    /// # Errors
    /// There is none, or its metadata is damaged.
    pub fn open(path: impl AsRef<Path>, mode: ClaimMode) -> Result<Self, LocationError> {
        let path = path.as_ref();
        let directory = match path.ends_with("_metadata") {
            true => path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
            false => path,
        };
        let (storage, place) = Location::of(directory)?.into_one(directory)?;
        let no_metadata = || LocationError::NoMetadata { path: storage.path_of(place) };
        let metadata = storage.metadata_of(place)?.ok_or_else(no_metadata)?;
        let path = Some(directory.to_owned());
        Ok(GivenCheckpoint { path, ..GivenCheckpoint::new(Arc::new(storage), metadata, mode) })
    }

    /// The checkpoint or savepoint with this metadata, whose files are in `storage`.
    #[must_use]
    pub fn new(storage: Arc<dyn CheckpointStorage>, metadata: CheckpointMetadata, mode: ClaimMode) -> Self {
        GivenCheckpoint { storage, metadata, mode, path: None }
    }

    /// What it says about itself.
    #[must_use]
    pub fn metadata(&self) -> &CheckpointMetadata {
        &self.metadata
    }

    /// Whose it is once the job has started.
    #[must_use]
    pub fn mode(&self) -> ClaimMode {
        self.mode
    }

    /// The directory from which it was [opened](Self::open), if it was.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// Where its files are.
    pub(super) fn storage(&self) -> &Arc<dyn CheckpointStorage> {
        &self.storage
    }

    /// What each subtask of `job` gets of it.
    pub(super) fn assignment(&self, job: &Job) -> StateAssignment {
        StateAssignment::new(&self.metadata, &job.operators_after(&self.metadata.operators))
    }

    /// What the coordinator of `job` is told, whose own files are in `own`.
    pub(super) fn restore(&self, job: &Job, own: &dyn CheckpointStorage) -> Restore {
        let mut checkpoint = self.assignment(job).for_job();
        if !self.files_lie_in(own) {
            // Nobody can refer to them, and nobody counts who does.
            checkpoint.shared.clear();
        }
        Restore { checkpoint, mode: self.mode }
    }

    /// Whether the job finds the shared files by itself, and may refer to them: those of a savepoint go with that.
    fn files_lie_in(&self, own: &dyn CheckpointStorage) -> bool {
        let mut objects = self.metadata.checkpoint.shared.values().flatten();
        objects.all(|object| {
            object.savepoint.is_none() && is_same(&own.shared_name(object), &self.storage.shared_name(object))
        })
    }

    /// Whether it has this number and is the job's to delete.
    pub(super) fn is_claimed(&self, checkpoint: CheckpointId) -> bool {
        self.mode == ClaimMode::Claim && self.metadata.checkpoint.id == checkpoint
    }

    /// Deletes what the job has claimed and needs no more.
    pub(super) fn delete(&self) -> Result<(), StorageError> {
        let CompletedCheckpoint { id, attempt, .. } = self.metadata.checkpoint;
        match Place::of_checkpoint(&self.metadata.checkpoint) {
            Place::Checkpoint(_) => self.storage.delete_checkpoint(id),
            Place::Savepoint(..) => self.storage.delete_savepoint(id, attempt),
        }
    }
}

/// Whether two names, of which one may be relative or lead through a link, are those of one file or object.
fn is_same(one: &str, other: &str) -> bool {
    let canonical = |name| std::fs::canonicalize(name).ok();
    one == other || canonical(one).is_some_and(|one| canonical(other) == Some(one))
}

impl PartialEq for GivenCheckpoint {
    fn eq(&self, other: &Self) -> bool {
        self.metadata == other.metadata && self.mode == other.mode
    }
}

impl Eq for GivenCheckpoint {}

impl fmt::Debug for GivenCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (job, checkpoint) = (self.metadata.job, self.metadata.checkpoint.id);
        write!(f, "checkpoint {checkpoint} of job {job} ({:?})", self.mode)
    }
}

impl Job {
    /// What each subtask would get of a checkpoint of this or another job.
    ///
    /// # Errors
    /// [`JobError::Incompatible`]: the checkpoint does not fit this job.
    pub fn assign(
        &self,
        metadata: &CheckpointMetadata,
        allow_non_restored_state: bool,
    ) -> Result<StateAssignment, JobError> {
        let assignment = StateAssignment::new(metadata, &self.operators_after(&metadata.operators));
        let misfit = |Misfit(what)| JobError::Incompatible {
            checkpoint: metadata.checkpoint.id,
            what: what.join("; "),
        };
        let is_one_to_one = |edge: &Edge| edge.pattern == EdgePattern::OneToOne;
        let edges: Vec<_> = self.edges.iter().map(|edge| (edge.from, edge.to, is_one_to_one(edge))).collect();
        assignment.check(|uid| self.is_keyed(uid), &edges, allow_non_restored_state).map_err(misfit)?;
        Ok(assignment)
    }

    fn is_keyed(&self, uid: &str) -> bool {
        self.operators.iter().any(|operator| operator.kind.is_keyed() && operator.metadata.uid == uid)
    }
}
