//! The task side: which files of a snapshot are uploaded, and which were uploaded before.
//!
//! # How to drive it
//!
//! 1. Take the immutable local files in the synchronous part and report them as [`Input::SnapshotBegan`].
//! 2. Carry out each [`Output::Upload`] in the asynchronous part and report how it ended, also after an
//!    [`Output::CancelUpload`].
//! 3. Put the state of [`Output::Ready`] into the acknowledgement; decline on [`Output::Failed`].
//! 4. Pass on every notice of a completed or aborted checkpoint, and report an asynchronous part that fails elsewhere as
//!    aborted too.
//! 5. Carry out each [`Output::Discard`] at leisure.
//!
//! Whatever becomes of the task, it needs to remember nothing: a new attempt begins with what it is restored from.

use crate::base::{
    Attempt, CheckpointId, ContentId, JobId, Millis, Misuse, Ownership, SharedFile, SharedObject,
    SharedState, Sharing, SubtaskId, Violation,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

const MACHINE: &str = "incremental snapshots";

/// Who uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The job.
    pub job: JobId,
    /// The subtask.
    pub subtask: SubtaskId,
    /// The attempt of the subtask.
    pub attempt: Attempt,
}

/// What a subtask is restored from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Restored {
    /// The shared files that lie unchanged on the local disk.
    pub files: BTreeSet<SharedFile>,
    /// Whether the job may go on referring to them.
    pub ownership: Ownership,
}

/// What happened in the task.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The synchronous part has fixed the files of a snapshot.
    SnapshotBegan {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What it may share with others.
        sharing: Sharing,
        /// Every immutable file of the snapshot.
        files: BTreeSet<ContentId>,
    },
    /// An upload is durable.
    UploadFinished(SharedObject),
    /// An upload has ended without being durable; part of it may be there.
    UploadFailed(SharedObject),
    /// The coordinator says that a checkpoint is complete.
    CheckpointCompleted {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The coordinator, or the task itself, has given a checkpoint up.
    CheckpointAborted {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
}

/// What the task must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Write the file with that content under the name of the object, make it durable, and report.
    Upload(SharedObject),
    /// Nobody waits for this upload any more: stop it if that is possible, and report that it has ended.
    CancelUpload(SharedObject),
    /// Delete an object that nobody refers to; failing to is harmless.
    Discard(SharedObject),
    /// Every file of the snapshot is durable: acknowledge with this state.
    Ready {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// What it consists of.
        state: SharedState,
    },
    /// The snapshot cannot be made durable: decline.
    Failed {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
}

/// A snapshot of which the task does not know whether its checkpoint is complete.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Snapshot {
    pub(super) uploading: BTreeSet<SharedObject>,
    pub(super) state: SharedState,
    /// Of its files, those that every later snapshot contains too.
    pub(super) lasting: BTreeSet<ContentId>,
}

impl Snapshot {
    fn is_ready(&self) -> bool {
        self.uploading.is_empty()
    }
}

/// The incremental snapshots of one subtask in one attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IncrementalSnapshots {
    config: Config,
    pub(super) next_upload: u64,
    newest: Option<CheckpointId>,
    /// What the next incremental snapshot refers to instead of uploading it.
    base: BTreeMap<ContentId, SharedFile>,
    pub(super) snapshots: BTreeMap<CheckpointId, Snapshot>,
    /// Uploads of snapshots that were given up; they are discarded when they have ended.
    pub(super) abandoned: BTreeSet<SharedObject>,
}

impl IncrementalSnapshots {
    /// The snapshots of an attempt that starts with the `restored` files, or with none.
    #[must_use]
    pub fn new(config: Config, restored: Option<Restored>) -> Self {
        //= spec/shared.md#shared-7-files-that-are-not-owned-are-no-base
        //# A task restored from a checkpoint that its job does not own MUST NOT refer to any of its files.
        let owned = restored.filter(|restored| restored.ownership == Ownership::Owned);
        let files = owned.into_iter().flat_map(|restored| restored.files);
        IncrementalSnapshots {
            config,
            next_upload: 0,
            newest: None,
            base: files.map(|file| (file.content, file)).collect(),
            snapshots: BTreeMap::new(),
            abandoned: BTreeSet::new(),
        }
    }

    /// What the next incremental snapshot would refer to.
    pub fn base(&self) -> impl Iterator<Item = SharedFile> + '_ {
        self.base.values().copied()
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when a snapshot is not newer than all before it; nothing has changed.
    pub fn on(&mut self, _now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::SnapshotBegan { checkpoint, sharing, files } => {
                if self.newest >= Some(checkpoint) {
                    let newest = self.newest;
                    return Err(Misuse::new(MACHINE, format!("snapshot {checkpoint} follows {newest:?}")));
                }
                self.newest = Some(checkpoint);
                self.begin(checkpoint, sharing, &files, out);
            }
            Input::UploadFinished(object) => self.upload_finished(object, out),
            Input::UploadFailed(object) => self.upload_failed(object, out),
            Input::CheckpointCompleted { checkpoint } => self.completed(checkpoint, out),
            Input::CheckpointAborted { checkpoint } => self.give_up(checkpoint, out),
        }
        Ok(())
    }

    /// When time alone can change something: never.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        None
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let held = self.snapshots.values().flat_map(|snapshot| &snapshot.state.uploaded);
        let under_way = self.snapshots.values().flat_map(|snapshot| &snapshot.uploading);
        let mut names: Vec<u64> =
            held.chain(under_way).chain(&self.abandoned).map(|object| object.upload).collect();
        let uploads = names.len();
        names.sort_unstable();
        names.dedup();
        let unique = names.len() == uploads && names.last().is_none_or(|last| *last < self.next_upload);
        Violation::unless(unique, MACHINE, "SHARED-2", || "two uploads have one name".into())?;
        let mut states = self.snapshots.values().map(|snapshot| &snapshot.state);
        let apart = states.all(|state| state.sharing == Sharing::ForwardBackward || state.reused.is_empty());
        Violation::unless(apart, MACHINE, "SHARED-5", || "a full snapshot refers to earlier files".into())
    }

    fn begin(
        &mut self,
        checkpoint: CheckpointId,
        sharing: Sharing,
        files: &BTreeSet<ContentId>,
        out: &mut Vec<Output>,
    ) {
        self.forget_all_but(files);
        if sharing == Sharing::Forward {
            self.forget_earlier_attempts();
        }
        let mut snapshot = Snapshot {
            uploading: BTreeSet::new(),
            state: SharedState { sharing, uploaded: BTreeSet::new(), reused: BTreeSet::new() },
            lasting: files.clone(),
        };
        let savepoint = Some(checkpoint).filter(|_| sharing == Sharing::NoSharing);
        for content in files {
            match self.base.get(content) {
                //= spec/shared.md#shared-5-a-full-snapshot-refers-to-nothing
                //# A full checkpoint or a savepoint MUST NOT refer to a file that was uploaded before it.
                Some(file) if sharing == Sharing::ForwardBackward => {
                    snapshot.state.reused.insert(*file);
                }
                _ => {
                    snapshot.uploading.insert(self.name_upload(*content, savepoint));
                }
            }
        }
        out.extend(snapshot.uploading.iter().copied().map(Output::Upload));
        self.snapshots.insert(checkpoint, snapshot);
        self.report_if_ready(checkpoint, out);
    }

    /// The coordinator may have dropped what a newer checkpoint does not contain, so if the same
    /// content ever appears again, it is uploaded again.
    //= spec/shared.md#shared-4-what-has-gone-is-uploaded-again
    //# A file that is missing in one snapshot MUST NOT be referred to by a later one as uploaded before
    //# that.
    fn forget_all_but(&mut self, files: &BTreeSet<ContentId>) {
        self.base.retain(|content, _| files.contains(content));
        for snapshot in self.snapshots.values_mut() {
            snapshot.lasting.retain(|content| files.contains(content));
        }
    }

    /// Once a full checkpoint is complete nobody refers to what was restored, and what the task uploads has other names.
    //= spec/shared.md#shared-22-after-a-full-checkpoint-nothing-restored-is-referred-to
    //# After a full checkpoint a task MUST NOT refer to a file that an earlier attempt uploaded.
    fn forget_earlier_attempts(&mut self) {
        let attempt = self.config.attempt;
        self.base.retain(|_, file| file.attempt == attempt);
        for Snapshot { state, lasting, .. } in self.snapshots.values_mut() {
            // Should its completion be heard of after this, they do not come back.
            let restored = state.reused.iter().filter(|file| file.attempt != attempt);
            restored.for_each(|file| _ = lasting.remove(&file.content));
        }
    }

    fn name_upload(&mut self, content: ContentId, savepoint: Option<CheckpointId>) -> SharedObject {
        let Config { job, subtask, attempt } = self.config;
        //= spec/shared.md#shared-2-an-object-is-written-once
        //# Every upload MUST have a name that no other upload ever has.
        let upload = self.next_upload;
        self.next_upload += 1;
        SharedObject { file: SharedFile { job, subtask, attempt, content }, upload, savepoint }
    }

    fn upload_finished(&mut self, object: SharedObject, out: &mut Vec<Output>) {
        if self.abandoned.remove(&object) {
            out.push(Output::Discard(object));
        } else if let Some(checkpoint) = self.snapshot_uploading(object) {
            if let Some(snapshot) = self.snapshots.get_mut(&checkpoint) {
                snapshot.uploading.remove(&object);
                snapshot.state.uploaded.insert(object);
            }
            self.report_if_ready(checkpoint, out);
        }
    }

    fn upload_failed(&mut self, object: SharedObject, out: &mut Vec<Output>) {
        if self.abandoned.remove(&object) {
            out.push(Output::Discard(object));
        } else if let Some(checkpoint) = self.snapshot_uploading(object) {
            if let Some(snapshot) = self.snapshots.get_mut(&checkpoint) {
                snapshot.uploading.remove(&object);
                // Part of it may be there.
                out.push(Output::Discard(object));
            }
            self.abandon(checkpoint, out);
            out.push(Output::Failed { checkpoint });
        }
    }

    fn snapshot_uploading(&self, object: SharedObject) -> Option<CheckpointId> {
        let uploads = |snapshot: &Snapshot| snapshot.uploading.contains(&object);
        self.snapshots.iter().find(|(_, snapshot)| uploads(snapshot)).map(|(checkpoint, _)| *checkpoint)
    }

    fn report_if_ready(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        let Some(snapshot) = self.snapshots.get(&checkpoint).filter(|snapshot| snapshot.is_ready()) else {
            return;
        };
        let state = snapshot.state.clone();
        //= spec/shared.md#shared-6-a-savepoint-is-no-base
        //# The completion of a savepoint MUST NOT change what later snapshots refer to.
        if state.sharing == Sharing::NoSharing {
            self.snapshots.remove(&checkpoint);
        }
        out.push(Output::Ready { checkpoint, state });
    }

    //= spec/shared.md#shared-9-only-news-change-the-base
    //# A notice of a checkpoint that is not newer than the newest known to be complete MUST change nothing.
    fn completed(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        if !self.snapshots.get(&checkpoint).is_some_and(Snapshot::is_ready) {
            return;
        }
        let Some(Snapshot { state, lasting, .. }) = self.snapshots.remove(&checkpoint) else { return };
        //= spec/shared.md#shared-3-only-complete-checkpoints-are-referred-to
        //# An incremental snapshot MUST refer only to files of the newest checkpoint that its task knows to be
        //# complete.
        let files = state.uploaded.into_iter().map(|object| object.file).chain(state.reused);
        let lasting = files.filter(|file| lasting.contains(&file.content));
        self.base = lasting.map(|file| (file.content, file)).collect();
        let subsumed: Vec<CheckpointId> = self
            .snapshots
            .range(..checkpoint)
            .filter(|(_, snapshot)| snapshot.state.sharing != Sharing::NoSharing)
            .map(|(older, _)| *older)
            .collect();
        for older in subsumed {
            self.give_up(older, out);
        }
    }

    /// Forgets a snapshot; after it was ready its uploads belong to the coordinator.
    fn give_up(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        if self.snapshots.get(&checkpoint).is_some_and(Snapshot::is_ready) {
            self.snapshots.remove(&checkpoint);
        } else {
            self.abandon(checkpoint, out);
        }
    }

    //= spec/shared.md#shared-8-a-snapshot-that-was-not-ready-leaves-nothing
    //# A task MUST discard every upload of a snapshot that ends before it is ready.
    fn abandon(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        let Some(Snapshot { uploading, state, .. }) = self.snapshots.remove(&checkpoint) else { return };
        out.extend(state.uploaded.into_iter().map(Output::Discard));
        out.extend(uploading.iter().copied().map(Output::CancelUpload));
        self.abandoned.extend(uploading);
    }
}
