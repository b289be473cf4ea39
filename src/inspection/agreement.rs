//! Whether the metadata of a checkpoint and its state files agree.

use crate::base::{ContentId, SubtaskId};
use crate::codec::CheckpointMetadata;
use crate::keygroup::{KeyGroupError, KeyGroupRange, KeyGroupRangeAssignment, MaxParallelism};
use crate::state::StateFileSummary;
use crate::state::backend::{BackendFile, BackendFiles};
use std::collections::BTreeSet;

/// What is wrong with the metadata alone.
pub(super) fn within_metadata(metadata: &CheckpointMetadata) -> Vec<String> {
    let CheckpointMetadata { operators, checkpoint, .. } = metadata;
    let mut found = Vec::new();
    let subtasks: BTreeSet<SubtaskId> =
        checkpoint.states.keys().chain(checkpoint.shared.keys()).copied().collect();
    for subtask in subtasks {
        match operators.get(usize::from(subtask.operator)) {
            None => found.push(format!("it has subtask {subtask} of an operator that it does not have")),
            Some(operator) if subtask.index >= operator.parallelism => found.push(format!(
                "it has subtask {subtask} of an operator with parallelism {}",
                operator.parallelism
            )),
            Some(_) => {}
        }
    }
    for (subtask, handle) in &checkpoint.states {
        let Some(file) = handle.as_ref().map(|handle| handle.file) else { continue };
        let is_own = file.checkpoint == checkpoint.id && file.attempt == checkpoint.attempt;
        if !is_own || file.subtask != *subtask {
            found.push(format!(
                "subtask {subtask} has the file of subtask {}, checkpoint {}, attempt {}",
                file.subtask, file.checkpoint, file.attempt
            ));
        }
    }
    found
}

/// What the metadata and the state file of a subtask say differently.
pub(super) fn with_state_file(
    metadata: &CheckpointMetadata,
    subtask: SubtaskId,
    file: &StateFileSummary,
) -> Vec<String> {
    let mut found = Vec::new();
    if let (Some(keyed), Some(operator)) =
        (&file.keyed, metadata.operators.get(usize::from(subtask.operator)))
    {
        let (groups, max_parallelism) = (keyed.max_parallelism.get(), operator.max_parallelism);
        if groups != max_parallelism {
            found
                .push(format!("its maximum parallelism is {groups}, that of the operator {max_parallelism}"));
        }
        // The assignment gives every key group to exactly one subtask.
        match assigned(operator.max_parallelism, operator.parallelism, subtask.index) {
            Ok(range) if range == keyed.range => {}
            Ok(range) => {
                found.push(format!("its key groups are {}, those of the subtask {range}", keyed.range))
            }
            Err(error) => found.push(error.to_string()),
        }
    }
    let in_files = shared_contents(file.files.as_ref());
    let in_metadata: BTreeSet<ContentId> = metadata
        .checkpoint
        .shared
        .get(&subtask)
        .into_iter()
        .flatten()
        .map(|object| object.file.content)
        .collect();
    for content in in_files.difference(&in_metadata) {
        let digest = content.digest;
        found.push(format!(
            "it refers to a shared file that `_metadata` does not have, with digest {digest:032x}"
        ));
    }
    for content in in_metadata.difference(&in_files) {
        let digest = content.digest;
        found.push(format!(
            "it does not refer to a shared file that `_metadata` has, with digest {digest:032x}"
        ));
    }
    found
}

fn assigned(max_parallelism: u16, parallelism: u16, subtask: u16) -> Result<KeyGroupRange, KeyGroupError> {
    KeyGroupRangeAssignment::new(MaxParallelism::new(max_parallelism)?, parallelism)?.range_of(subtask)
}

fn shared_contents(files: Option<&BackendFiles>) -> BTreeSet<ContentId> {
    let files = files.into_iter().flat_map(|files| &files.files);
    files.filter_map(BackendFile::shared).map(|(content, _)| content).collect()
}
