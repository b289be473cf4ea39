//! State that a backend keeps in files on a local disk, of which an incremental checkpoint uploads only those that are new.

use super::BackendError;
use crate::base::ContentId;
use crate::keygroup::KeyGroupRange;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A file of a backend's snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalFile {
    /// What the backend calls it. Within one snapshot no two files have one name.
    pub name: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What it holds, if it never changes and may be shared with other checkpoints (SHARED-1). Files without are small, and
    /// go with each checkpoint.
    pub content: Option<ContentId>,
}

/// The files that hold all states of a backend at one moment. They do not change until this is dropped.
pub struct SnapshotInFiles {
    /// The files.
    pub files: Vec<LocalFile>,
    /// Dropping it frees the files.
    pub hold: Box<dyn Send>,
}

/// What a checkpoint says about a file of a backend. The order of the fields is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendFile {
    /// What the backend calls it.
    pub name: String,
    /// Where its bytes are.
    pub place: FilePlace,
}

impl BackendFile {
    /// The content and the checksum of a shared file.
    #[must_use]
    pub fn shared(&self) -> Option<(ContentId, u32)> {
        match self.place {
            FilePlace::Shared { content, checksum } => Some((content, checksum)),
            FilePlace::Private(_) => None,
        }
    }
}

/// Where the bytes of a backend's file are. The order of the variants is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FilePlace {
    /// Among the shared files of the checkpoint.
    Shared {
        /// Under which of them.
        content: ContentId,
        /// The CRC-32C of its bytes.
        checksum: u32,
    },
    /// Here.
    Private(Vec<u8>),
}

/// The files in which a backend has left all of its state. The order of the fields is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackendFiles {
    /// The name of the backend's factory.
    pub backend: String,
    /// The states that lie there. Others may be there too, of which nothing is to be read.
    pub states: Vec<String>,
    /// The files.
    pub files: Vec<BackendFile>,
}

impl BackendFiles {
    /// The state of a subtask with these key groups, to restore a backend with.
    pub(in crate::state) fn part(&self, range: KeyGroupRange) -> RestoredPart<'_> {
        RestoredPart { range, states: &self.states, files: &self.files }
    }

    /// Whether the names can be those of different files in one directory.
    pub(in crate::state) fn have_plain_names(&self) -> bool {
        let is_plain = |name: &str| !matches!(name, "" | "." | "..") && !name.contains(['/', '\\', '\0']);
        let names: BTreeSet<&str> = self.files.iter().map(|file| &*file.name).collect();
        names.len() == self.files.len() && names.into_iter().all(is_plain)
    }
}

/// The state of one subtask that a backend is restored with.
#[derive(Clone, Copy, Debug)]
pub struct RestoredPart<'a> {
    /// The key groups of that subtask.
    pub range: KeyGroupRange,
    /// The states that lie in its files. What else is there is what an opening that failed has left behind, and is not
    /// restored.
    pub states: &'a [String],
    /// Its files.
    pub files: &'a [BackendFile],
}

/// Brings the files of a checkpoint to the local disk. Several threads may use it at once.
pub trait FetchFile: Sync {
    /// Writes the bytes of `file`, which are verified, to `target`, which does not exist.
    ///
    /// # Errors
    /// The file cannot be read, is damaged, or `target` cannot be written; what is there is of no use then.
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError>;
}
