//! Reading one checkpoint: the same way for whoever only looks and for whoever verifies.

use super::Problem;
use super::agreement::with_state_file;
use crate::base::{StateHandle, SubtaskId};
use crate::codec::CheckpointMetadata;
use crate::state::{StateError, StateFileSummary};
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage, Place};
use std::io::Read;

/// The full name of the metadata of a checkpoint.
pub(super) fn metadata_name(storage: &FileSystemCheckpointStorage, place: Place) -> String {
    storage.path_of(place).join("_metadata").display().to_string()
}

/// Reads the state file of a subtask with `read`, and compares it with the metadata.
pub(super) fn read_state<T>(
    storage: &FileSystemCheckpointStorage,
    metadata: &CheckpointMetadata,
    (subtask, handle): (SubtaskId, &StateHandle),
    read: impl FnOnce(Box<dyn Read + Send>) -> Result<T, StateError>,
    summary: impl FnOnce(&T) -> &StateFileSummary,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let object = storage.handle_name(handle);
    let opened = storage.read_state(handle).map_err(Problem::from);
    match opened.and_then(|reader| read(reader).map_err(|error| Problem::of_state(&object, error))) {
        Ok(found) => {
            let differences = with_state_file(metadata, subtask, summary(&found));
            problems.extend(differences.into_iter().map(|what| Problem::new(&object, what)));
            Some(found)
        }
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}
