//! What both machines are tested with.

mod incremental;
mod random;
mod registry;
mod tables;

use super::*;
use crate::base::{
    Attempt, CheckpointId, ContentId, JobId, Millis, Ownership, RestoredFiles, SharedFile, SharedObject,
    SharedState, Sharing, SubtaskId,
};
use std::collections::BTreeSet;

const JOB: JobId = JobId(7);
const FOREIGN: JobId = JobId(8);
const SUBTASK: SubtaskId = SubtaskId::new(1, 0);
const OTHER: SubtaskId = SubtaskId::new(2, 1);

fn id(checkpoint: u64) -> CheckpointId {
    CheckpointId(checkpoint)
}

fn content(digest: u128) -> ContentId {
    ContentId { digest, bytes: 10 }
}

/// A file that the first attempt of [`SUBTASK`] wrote.
fn file(digest: u128) -> SharedFile {
    SharedFile { job: JOB, subtask: SUBTASK, attempt: Attempt(1), content: content(digest) }
}

/// Its upload under that number.
fn object(digest: u128, upload: u64) -> SharedObject {
    SharedObject { file: file(digest), upload, savepoint: None }
}

fn state(
    sharing: Sharing,
    uploaded: impl IntoIterator<Item = SharedObject>,
    reused: impl IntoIterator<Item = SharedFile>,
) -> SharedState {
    SharedState { sharing, uploaded: uploaded.into_iter().collect(), reused: reused.into_iter().collect() }
}

/// The state of an incremental checkpoint.
fn increment(
    uploaded: impl IntoIterator<Item = SharedObject>,
    reused: impl IntoIterator<Item = SharedFile>,
) -> SharedState {
    state(Sharing::ForwardBackward, uploaded, reused)
}
