//! What [`fsck`](super::fsck) finds. The names of the fields are those of the JSON that the command line prints.

use super::super::{Problem, Status};
use serde::Serialize;

/// What refers to what in a directory, and what nothing refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fsck {
    /// Whether everything is there that something refers to.
    pub is_complete: bool,
    /// The jobs, by their ids.
    pub jobs: Vec<JobFiles>,
}

/// The files of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobFiles {
    /// The id.
    pub job: String,
    /// Its directory.
    pub directory: String,
    /// Where the log of pointers lies, if not here: then nobody can tell here which checkpoints are published.
    pub pointers_in: Option<String>,
    /// The number of the newest pointer, if there is one that can be read.
    pub newest_pointer: Option<u64>,
    /// The attempt that has written it.
    pub attempt: Option<u32>,
    /// The checkpoints and savepoints that have metadata.
    pub checkpoints: Vec<References>,
    /// All files in the directory, in the order of their names.
    pub files: Vec<FileReport>,
    /// What is referred to and is not there, or has another length.
    pub dangling: Vec<Dangling>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// What a checkpoint refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct References {
    /// The name of its directory.
    pub name: String,
    /// What the newest pointer says about it.
    pub status: Status,
    /// The number of its state files.
    pub state_files: u64,
    /// The number of the shared files that it refers to.
    pub shared_files: u64,
    /// The bytes of all of them.
    pub bytes: u64,
}

/// What may become of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Something needs it.
    Needed,
    /// Nothing refers to it, and nothing ever will.
    SafeToDelete,
    /// Nothing refers to it, but something may, or it is somebody else's.
    LeftAlone,
}

/// A file, and why it is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The full name.
    pub file: String,
    /// Its length; 0 for a directory.
    pub bytes: u64,
    /// What may become of it.
    pub fate: Fate,
    /// Why.
    pub reason: String,
    /// The requirement of the specification from which that follows.
    pub rule: Option<&'static str>,
    /// The checkpoints that refer to it, those of other jobs with their job.
    pub referred_to_by: Vec<String>,
}

/// A file that something refers to and that is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Dangling {
    /// What is wrong with which file.
    #[serde(flatten)]
    pub problem: Problem,
    /// What refers to it.
    pub referred_to_by: String,
}

/// What nobody needs in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Garbage {
    /// Whether everything is there that something refers to.
    pub is_complete: bool,
    /// The files that may be deleted.
    pub files: Vec<FileReport>,
    /// Their bytes.
    pub bytes: u64,
    /// How many other files nothing refers to.
    pub left_alone_files: u64,
    /// Their bytes.
    pub left_alone_bytes: u64,
}

impl Fsck {
    /// What of it may be deleted.
    #[must_use]
    pub fn garbage(&self) -> Garbage {
        let of = |fate| self.jobs.iter().flat_map(|job| &job.files).filter(move |file| file.fate == fate);
        let bytes = |fate| of(fate).map(|file| file.bytes).sum();
        Garbage {
            is_complete: self.is_complete,
            files: of(Fate::SafeToDelete).cloned().collect(),
            bytes: bytes(Fate::SafeToDelete),
            left_alone_files: of(Fate::LeftAlone).count() as u64,
            left_alone_bytes: bytes(Fate::LeftAlone),
        }
    }
}
