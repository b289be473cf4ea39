//! What `_metadata` held before state could be in it.

use super::{CheckpointMetadata, OperatorMetadata};
use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, JobId, SharedObject, StateFile, StateHandle,
    SubtaskId,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

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
    shared: BTreeMap<SubtaskId, BTreeSet<SharedObject>>,
}

#[derive(Deserialize)]
struct Handle {
    file: StateFile,
    bytes: u64,
    checksum: u32,
}

impl Metadata {
    pub(super) fn into_current(self) -> CheckpointMetadata {
        let Metadata { job, operators, checkpoint: Checkpoint { id, attempt, kind, states, shared } } = self;
        let states = states.into_iter().map(|(subtask, handle)| (subtask, handle.map(Handle::into_current)));
        let states = states.collect();
        CheckpointMetadata {
            job,
            operators,
            checkpoint: CompletedCheckpoint { id, attempt, kind, states, shared },
        }
    }
}

impl Handle {
    fn into_current(self) -> StateHandle {
        let Handle { file, bytes, checksum } = self;
        StateHandle { file, bytes, checksum, inline: None }
    }
}
