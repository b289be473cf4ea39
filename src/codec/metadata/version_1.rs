//! What `_metadata` held before checkpoints had shared files and savepoints a directory of their own.

use super::{CheckpointMetadata, OperatorMetadata};
use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, JobId, StateFile, StateHandle, SubtaskId,
};
use serde::Deserialize;
use std::collections::BTreeMap;

#[derive(Deserialize)]
pub(super) struct Metadata {
    job: JobId,
    operators: Vec<OperatorMetadata>,
    checkpoint: Checkpoint,
}

#[derive(Deserialize)]
struct Checkpoint {
    id: CheckpointId,
    attempt: Attempt,
    kind: CheckpointKind,
    states: BTreeMap<SubtaskId, Option<Handle>>,
}

#[derive(Deserialize)]
struct Handle {
    file: File,
    bytes: u64,
    checksum: u32,
}

#[derive(Deserialize)]
struct File {
    checkpoint: CheckpointId,
    subtask: SubtaskId,
    attempt: Attempt,
}

impl Metadata {
    pub(super) fn into_current(self) -> CheckpointMetadata {
        let Metadata { job, operators, checkpoint: Checkpoint { id, attempt, kind, states } } = self;
        let states = states.into_iter().map(|(subtask, handle)| (subtask, handle.map(Handle::into_current)));
        let (states, shared) = (states.collect(), BTreeMap::new());
        CheckpointMetadata {
            job,
            operators,
            checkpoint: CompletedCheckpoint { id, attempt, kind, states, shared },
        }
    }
}

impl Handle {
    fn into_current(self) -> StateHandle {
        let Handle { file: File { checkpoint, subtask, attempt }, bytes, checksum } = self;
        let file = StateFile { checkpoint, subtask, attempt, savepoint: false };
        StateHandle { file, bytes, checksum, inline: None }
    }
}
