//! What there is: tasks, the coordinator's registry, messages under way, and the store.

use serde::Serialize;
use snapline::base::{
    Attempt, CheckpointId, JobId, Ownership, RestoredFiles, SharedObject, SharedState, Sharing, SubtaskId,
};
use snapline::shared::{IncrementalSnapshots, SharedStateRegistry};
use std::collections::{BTreeMap, BTreeSet};

use super::scope::Budgets;

pub(super) const JOB: JobId = JobId(1);
pub(super) const FOREIGN_JOB: JobId = JobId(2);

/// What a file really holds, whatever its name says.
pub(super) type Content = u128;

/// What a failed upload leaves behind.
pub(super) const HALF_A_FILE: Content = 0;

/// The state of one subtask in one checkpoint, as an observer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Part {
    /// What the local files held when the snapshot was taken.
    pub meant: BTreeSet<Content>,
    /// Where the metadata says that it lies.
    pub objects: BTreeSet<SharedObject>,
}

/// A whole checkpoint, complete.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Complete {
    pub parts: BTreeMap<SubtaskId, Part>,
}

impl Complete {
    pub(super) fn objects(&self) -> impl Iterator<Item = &SharedObject> {
        self.parts.values().flat_map(|part| &part.objects)
    }
}

/// A checkpoint that was triggered and is undecided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Pending {
    pub is_savepoint: bool,
    /// What each snapshot holds that was taken.
    pub meant: BTreeMap<SubtaskId, BTreeSet<Content>>,
    /// Where the metadata will say that it lies.
    pub acknowledged: BTreeMap<SubtaskId, BTreeSet<SharedObject>>,
    /// Acknowledgements that the registry was not told of: only a planted bug holds any back.
    pub held_back: Vec<(SubtaskId, SharedState)>,
}

impl Pending {
    pub(super) fn complete(self) -> Complete {
        let Pending { meant, mut acknowledged, .. } = self;
        let part = |(subtask, meant)| {
            (subtask, Part { meant, objects: acknowledged.remove(&subtask).unwrap_or_default() })
        };
        Complete { parts: meant.into_iter().map(part).collect() }
    }
}

/// What is under way between tasks and coordinator.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Message {
    /// The state of a subtask is durable.
    Acknowledge(Attempt, CheckpointId, SubtaskId, SharedState),
    /// A checkpoint is complete.
    Completed(CheckpointId, SubtaskId),
    /// A checkpoint was given up.
    Aborted(CheckpointId, SubtaskId),
}

impl Message {
    pub(super) fn is_acknowledgement(&self) -> bool {
        matches!(self, Message::Acknowledge(..))
    }
}

/// One subtask of the current attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Task {
    pub machine: IncrementalSnapshots,
    /// The local files: a name, which is used again when its file is gone, and what it holds.
    pub local: BTreeMap<u8, Content>,
    /// How many files were written in this attempt.
    pub written: u8,
    /// The newest snapshot that was taken.
    pub newest: Option<CheckpointId>,
    pub uploads: BTreeMap<SharedObject, Content>,
}

/// Where the job starts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Start {
    pub ownership: Ownership,
    pub checkpoint: CheckpointId,
    pub complete: Complete,
}

impl Start {
    pub(super) fn restored(&self) -> RestoredFiles {
        let objects = self.complete.objects().copied().collect();
        RestoredFiles { checkpoint: self.checkpoint, ownership: self.ownership, objects }
    }
}

/// What an observer has seen and must never see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Wrong {
    /// A restored task did not find its files.
    pub lost: bool,
    /// A task referred to what is gone.
    pub refused: bool,
    /// An object was written twice.
    pub overwritten: bool,
    /// A checkpoint was published after a newer one.
    pub order: bool,
}

/// One state of the whole.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct World {
    pub(super) subtasks: u16,
    pub(super) attempt: Attempt,
    pub(super) next_checkpoint: CheckpointId,
    pub(super) registry: SharedStateRegistry,
    pub(super) tasks: BTreeMap<SubtaskId, Task>,
    pub(super) pending: BTreeMap<CheckpointId, Pending>,
    /// The retained checkpoints. A recovery starts from the newest.
    pub(super) published: BTreeMap<CheckpointId, Complete>,
    /// Savepoints that are complete and that their owner has not deleted.
    pub(super) savepoints: BTreeMap<CheckpointId, Complete>,
    /// A checkpoint that is not owned, or one that is owned and was not replaced yet.
    pub(super) start: Option<Start>,
    pub(super) messages: BTreeSet<Message>,
    pub(super) store: BTreeMap<SharedObject, Content>,
    /// Deletions under way, whoever has ordered them.
    pub(super) deletions: BTreeSet<SharedObject>,
    /// Uploads of dead attempts, which may still succeed.
    pub(super) orphans: BTreeMap<SharedObject, Content>,
    /// Whether the storage was listed in this attempt.
    pub(super) listed: bool,
    /// Whether it was listed for the last time.
    pub(super) ended: bool,
    pub(super) left: Budgets,
    pub(super) wrong: Wrong,
}

/// What happens next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A checkpoint begins.
    Trigger(Sharing),
    /// A task takes its next snapshot; before it, a compaction may have removed its oldest file.
    Snapshot(SubtaskId, CheckpointId, bool),
    /// An upload succeeds.
    Upload(SubtaskId, SharedObject),
    /// An upload fails.
    UploadFails(SubtaskId, SharedObject),
    /// An upload of a dead attempt succeeds.
    OrphanedUpload(SharedObject),
    /// A message arrives.
    Deliver(Message),
    /// A message arrives, and will once more.
    DeliverTwice(Message),
    /// A fully acknowledged checkpoint becomes durable.
    Publish(CheckpointId),
    /// A checkpoint is given up.
    Abort(CheckpointId),
    /// A deletion is carried out.
    Delete(SharedObject),
    /// A deletion is carried out, and will be once more.
    DeleteTwice(SharedObject),
    /// A deletion fails.
    DeletionFails(SharedObject),
    /// Failed deletions are repeated.
    Tick,
    /// All tasks fail.
    FailTasks,
    /// The process dies.
    Crash,
    /// The storage is listed.
    List,
    /// Whoever owns a savepoint, or the checkpoint that the job started from, deletes it.
    OwnerDeletes,
}
