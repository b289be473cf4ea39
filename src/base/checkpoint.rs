use super::{Attempt, CheckpointId, SharedObject, Sharing, SubtaskId};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// What a checkpoint is for, which decides what the tasks write and what they do once it is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CheckpointKind {
    /// An ordinary checkpoint, taken by the clock or on request; the job goes on.
    Periodic,
    /// Taken after every source reached its end; the tasks finish when it is complete.
    Final,
    /// Taken to stop the job: sources hold after the barrier; the tasks finish when it is complete.
    Stop,
    /// An ordinary checkpoint that refers to no file of an older one.
    Full,
    /// Belongs to the user: nothing is committed with it, no recovery starts from it by itself, and nobody but the
    /// user deletes it. The job goes on.
    Savepoint,
}

impl CheckpointKind {
    /// Whether the tasks finish once a checkpoint of this kind is complete.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, CheckpointKind::Final | CheckpointKind::Stop)
    }

    /// Whether this is a savepoint that the job goes on after.
    #[must_use]
    pub fn is_savepoint(self) -> bool {
        self == CheckpointKind::Savepoint
    }

    /// Which files a checkpoint of this kind may have in common with others. What a user or another job may take over
    /// stands alone, and so does the last checkpoint of a job.
    #[must_use]
    pub fn sharing(self) -> Sharing {
        match self {
            CheckpointKind::Periodic => Sharing::ForwardBackward,
            CheckpointKind::Full | CheckpointKind::Final | CheckpointKind::Stop => Sharing::Forward,
            CheckpointKind::Savepoint => Sharing::NoSharing,
        }
    }
}

impl fmt::Display for CheckpointKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            CheckpointKind::Periodic => "periodic",
            CheckpointKind::Final => "final",
            CheckpointKind::Stop => "stop",
            CheckpointKind::Full => "full",
            CheckpointKind::Savepoint => "savepoint",
        })
    }
}

/// Names one file of private state: whose it is, of which checkpoint, written by which attempt.
///
/// The attempt is part of the identity so that a file written by a task that is long gone can never be
/// taken for that of its successor (PUB-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateFile {
    /// The checkpoint the file belongs to.
    pub checkpoint: CheckpointId,
    /// The subtask whose state it holds.
    pub subtask: SubtaskId,
    /// The attempt that wrote it.
    //= spec/publish.md#pub-9-a-state-file-belongs-to-one-attempt
    //# The identity of a state file MUST include the attempt that writes it.
    pub attempt: Attempt,
    /// Whether the checkpoint is a savepoint, whose files lie in a directory of their own.
    pub savepoint: bool,
}

/// Where a subtask's state lies, and how to know that it is whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StateHandle {
    /// The file, or what would be the file if the state were not inline.
    pub file: StateFile,
    /// Its length in bytes.
    pub bytes: u64,
    /// The CRC-32C of all its bytes.
    pub checksum: u32,
    /// The bytes themselves, when they are so few that there is no file.
    pub inline: Option<InlineState>,
}

impl StateHandle {
    /// The file in the storage, which state that is inline does not have.
    #[must_use]
    pub fn stored_file(&self) -> Option<StateFile> {
        self.inline.is_none().then_some(self.file)
    }
}

/// The bytes of a state that goes with its handle, and so into `_metadata` (Flink: `ByteStreamStateHandle`).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct InlineState(Arc<[u8]>);

impl From<Vec<u8>> for InlineState {
    fn from(bytes: Vec<u8>) -> Self {
        InlineState(bytes.into())
    }
}

impl AsRef<[u8]> for InlineState {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for InlineState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of what users keep in their state nothing belongs into logs.
        write!(f, "InlineState({} bytes)", self.0.len())
    }
}

/// Everything that is needed to start a job from a checkpoint: the content of `_metadata`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CompletedCheckpoint {
    /// The checkpoint's number.
    pub id: CheckpointId,
    /// The attempt that took it.
    pub attempt: Attempt,
    /// Why it was taken.
    pub kind: CheckpointKind,
    /// The state of every subtask that had not finished when the checkpoint was triggered; `None` for one without
    /// state.
    pub states: BTreeMap<SubtaskId, Option<StateHandle>>,
    /// The shared files that it refers to, for every subtask that has any.
    pub shared: BTreeMap<SubtaskId, BTreeSet<SharedObject>>,
}

impl CompletedCheckpoint {
    /// Whether a subtask of the job that took the checkpoint had finished before: it needs no restore, and must not
    /// process anything again.
    #[must_use]
    pub fn had_finished(&self, subtask: SubtaskId) -> bool {
        !self.states.contains_key(&subtask)
    }

    /// The bytes of all its files together, shared ones included: what a restore reads.
    #[must_use]
    pub fn state_bytes(&self) -> u64 {
        let private = self.states.values().flatten().map(|handle| handle.bytes);
        let shared = self.shared.values().flatten().map(|object| object.file.content.bytes);
        // Nobody has compared the lengths with anything yet.
        private.chain(shared).fold(0, u64::saturating_add)
    }
}

/// Why a task could not take part in a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum DeclineReason {
    /// The synchronous part failed (Flink: `CHECKPOINT_DECLINED`).
    SyncPartFailed,
    /// The asynchronous part failed (Flink: `CHECKPOINT_ASYNC_EXCEPTION`).
    AsyncPartFailed,
    /// A cancellation marker arrived (Flink: `CHECKPOINT_DECLINED_ON_CANCELLATION_BARRIER`).
    OnCancellationBarrier,
    /// A newer barrier arrived during the alignment (Flink: `CHECKPOINT_DECLINED_SUBSUMED`).
    Subsumed,
}

impl DeclineReason {
    /// Whether the decline counts towards the tolerable failures (`spec/coordinator.md`, COORD-9).
    #[must_use]
    pub fn counts_as_failure(self) -> bool {
        matches!(self, DeclineReason::SyncPartFailed | DeclineReason::AsyncPartFailed)
    }
}
