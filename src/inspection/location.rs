use crate::base::JobId;
use crate::codec::decode_metadata;
use crate::store::{FileSystemCheckpointStorage, Place, StorageError};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A directory that holds checkpoints: of several jobs, of one job, or one of them.
#[derive(Clone, Debug)]
pub struct Location {
    pub(super) jobs: Vec<FileSystemCheckpointStorage>,
    /// The only one that is looked at, of the only job.
    pub(super) only: Option<Place>,
}

/// Why nothing can be looked at.
#[derive(Debug, thiserror::Error)]
pub enum LocationError {
    /// The path leads nowhere. The caller must name another one.
    #[error("{} cannot be read: {cause}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// The directory is none of those that hold checkpoints. The caller must name another one.
    #[error(
        "{} holds no checkpoints: what is expected is a checkpoint directory, in which each job has a directory that is \
         called by its 32 hexadecimal digits, the directory of a job, one of its checkpoints (chk-<n> within the \
         directory of the job), or a savepoint (savepoint-<n>-<attempt>)",
        path.display()
    )]
    NoCheckpoints {
        /// The path.
        path: PathBuf,
    },
    /// The checkpoint was never completed, or is half deleted. The caller must name another one.
    #[error("{} has no _metadata: it was never completed, or is half deleted", path.display())]
    NoMetadata {
        /// The directory.
        path: PathBuf,
    },
    /// There may be several checkpoints. The caller must name one of them.
    #[error("{} is no single checkpoint: name one, chk-<n> or savepoint-<n>-<attempt>", path.display())]
    Several {
        /// The path.
        path: PathBuf,
    },
    /// No pointer that can be read names a newest checkpoint. The caller must name a checkpoint or savepoint itself.
    #[error("{} has no newest checkpoint: name one, chk-<n> or savepoint-<n>-<attempt>", path.display())]
    NoNewest {
        /// The directory of the job.
        path: PathBuf,
    },
    /// Which checkpoint is the newest is known elsewhere. The caller must name a checkpoint or savepoint itself.
    #[error(
        "the log of pointers of {} lies in {store}, so the newest checkpoint is not known here: name one, chk-<n> or \
         savepoint-<n>-<attempt>",
        path.display()
    )]
    Elsewhere {
        /// The directory of the job.
        path: PathBuf,
        /// Where the log lies.
        store: String,
    },
    /// What is asked for concerns all checkpoints of a job. The caller must name the directory of the job.
    #[error("{} is a single checkpoint: name the directory of its job, or that of all jobs", path.display())]
    Single {
        /// The path.
        path: PathBuf,
    },
    /// What is there cannot be looked at.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl Location {
    /// What lies under `path`.
    ///
    /// # Errors
    /// The directory cannot be read, or holds no checkpoints.
    pub fn of(path: impl AsRef<Path>) -> Result<Location, LocationError> {
        let path = path.as_ref();
        let unreadable = |cause| LocationError::Unreadable { path: path.to_owned(), cause };
        let unknown = || LocationError::NoCheckpoints { path: path.to_owned() };
        // What lies above `.` has a name, too.
        let directory = fs::canonicalize(path).map_err(unreadable)?;
        if !directory.is_dir() {
            return Err(unknown());
        }
        if let Some(job) = job_of(&directory) {
            return Ok(Location {
                jobs: vec![FileSystemCheckpointStorage::for_reading(directory, job)],
                only: None,
            });
        }
        if let Some(place) = name_of(&directory).and_then(Place::from_name) {
            let parent = directory.parent().ok_or_else(unknown)?;
            let job = match (job_of(parent), place) {
                (Some(job), _) => job,
                // A savepoint belongs to the user, who may have put it anywhere.
                (None, Place::Savepoint(..)) => job_of_savepoint(&directory)?,
                (None, Place::Checkpoint(_)) => return Err(unknown()),
            };
            let storage = FileSystemCheckpointStorage::for_reading(parent, job);
            return Ok(Location { jobs: vec![storage], only: Some(place) });
        }
        let jobs = FileSystemCheckpointStorage::jobs(&directory)?.into_iter();
        let in_directory = |job: JobId| (directory.join(job.to_string()), job);
        let jobs: Vec<_> = jobs
            .map(in_directory)
            .filter(|(path, _)| path.is_dir())
            .map(|(path, job)| FileSystemCheckpointStorage::for_reading(path, job))
            .collect();
        match jobs.is_empty() {
            true => Err(unknown()),
            false => Ok(Location { jobs, only: None }),
        }
    }

    /// The only checkpoint at `path`, from which this was made.
    pub(crate) fn into_one(self, path: &Path) -> Result<(FileSystemCheckpointStorage, Place), LocationError> {
        let several = || LocationError::Several { path: path.to_owned() };
        let place = self.only.ok_or_else(several)?;
        Ok((self.jobs.into_iter().next().ok_or_else(several)?, place))
    }
}

fn name_of(directory: &Path) -> Option<&str> {
    directory.file_name()?.to_str()
}

fn job_of(directory: &Path) -> Option<JobId> {
    let name = name_of(directory)?;
    name.parse().ok().filter(|job: &JobId| job.to_string() == name)
}

fn job_of_savepoint(directory: &Path) -> Result<JobId, LocationError> {
    let path = directory.join("_metadata");
    let bytes = fs::read(&path).map_err(|cause| LocationError::Unreadable { path: path.clone(), cause })?;
    let metadata =
        decode_metadata(&bytes).map_err(|corrupt| StorageError::corrupt(path.display(), corrupt))?;
    Ok(metadata.job)
}
