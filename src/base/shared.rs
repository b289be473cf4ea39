use super::{Attempt, CheckpointId, JobId, SubtaskId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a file holds: files of one subtask with the same id hold the same bytes.
///
/// The digest is one over all bytes, or an id that the writer of the file drew and put into it. A local name does not
/// identify a content, nor does a length: after a restart the same name stands for other bytes (FLINK-24611).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ContentId {
    /// Tells the bytes from all others.
    pub digest: u128,
    /// The length in bytes.
    pub bytes: u64,
}

/// An immutable file that several checkpoints may refer to, by what it holds and by who wrote it.
//= spec/shared.md#shared-1-a-file-is-its-content-and-its-writer
//# The identity of a shared file MUST consist of its content and of the job, subtask and attempt that
//# wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SharedFile {
    /// The job that wrote it, which need not be the one that reads it.
    pub job: JobId,
    /// The subtask that wrote it.
    pub subtask: SubtaskId,
    /// The attempt that wrote it.
    pub attempt: Attempt,
    /// What it holds.
    pub content: ContentId,
}

/// One upload of a shared file, under a name of its own in the storage.
///
/// A name is never used again, so a deletion may come late and be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SharedObject {
    /// The file.
    pub file: SharedFile,
    /// The number of the upload among those of the subtask in its attempt, from 0.
    pub upload: u64,
    /// The savepoint in whose directory it lies; all others lie in the directory for shared files.
    pub savepoint: Option<CheckpointId>,
}

/// Which files the checkpoints before and after a snapshot may have in common with it (Flink:
/// `SnapshotType.SharingFilesStrategy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Sharing {
    /// An incremental checkpoint: it refers to earlier files, and later ones refer to its own.
    ForwardBackward,
    /// A full checkpoint: it refers to no earlier file, but later ones refer to its own.
    Forward,
    /// A savepoint: its files belong to it alone.
    NoSharing,
}

/// The shared files of one subtask in one checkpoint, as its acknowledgement names them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SharedState {
    /// What may be shared.
    pub sharing: Sharing,
    /// Files that were uploaded for this checkpoint.
    pub uploaded: BTreeSet<SharedObject>,
    /// Files that were uploaded before; the coordinator knows under which name.
    pub reused: BTreeSet<SharedFile>,
}

impl SharedState {
    /// The bytes that this checkpoint has added to the storage (Flink: checkpointed size).
    #[must_use]
    pub fn checkpointed_bytes(&self) -> u64 {
        self.uploaded.iter().map(|object| object.file.content.bytes).sum()
    }

    /// The bytes that a restore has to read (Flink: full state size).
    #[must_use]
    pub fn full_bytes(&self) -> u64 {
        self.checkpointed_bytes() + self.reused.iter().map(|file| file.content.bytes).sum::<u64>()
    }
}

/// Who may delete the files of a checkpoint from which a job was restored (Flink: `RecoveryClaimMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ownership {
    /// The job: it took the checkpoint itself, or claimed it (`CLAIM`).
    Owned,
    /// Somebody else (`NO_CLAIM`).
    NotOwned,
}

/// A checkpoint that a recovery has found, with its shared files.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RestoredFiles {
    /// The checkpoint.
    pub checkpoint: CheckpointId,
    /// Who may delete it.
    pub ownership: Ownership,
    /// Everything that it refers to.
    pub objects: BTreeSet<SharedObject>,
}
