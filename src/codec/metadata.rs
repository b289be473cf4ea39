mod version_1;
mod version_2;

use super::{CodecError, Corrupt, FileKind, decode_with, encode_document};
use crate::base::{CompletedCheckpoint, JobId};
use serde::{Deserialize, Serialize};

/// What a checkpoint remembers about one operator, so that a restore can be checked against the new job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OperatorMetadata {
    /// The identity that the job's author gave to the operator; empty when there is none.
    pub uid: String,
    /// The operator's name, for people; may be empty.
    pub name: String,
    /// The number of its subtasks when the checkpoint was taken.
    pub parallelism: u16,
    /// The number of its key groups.
    pub max_parallelism: u16,
}

/// The content of `_metadata`: all that is needed to start a job from a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointMetadata {
    /// The job that took the checkpoint.
    pub job: JobId,
    /// The job's operators; the number of an operator is its place here.
    pub operators: Vec<OperatorMetadata>,
    /// The checkpoint. Its files are named relative to the job's directory, so that it can be moved.
    pub checkpoint: CompletedCheckpoint,
}

/// The bytes of a `_metadata` file.
///
/// # Errors
/// None in practice: all parts of the metadata can be serialized.
pub fn encode_metadata(metadata: &CheckpointMetadata) -> Result<Vec<u8>, CodecError> {
    encode_document(FileKind::Metadata, metadata)
}

/// Reads a `_metadata` file of any version.
///
/// # Errors
/// The bytes are damaged, or are something else.
pub fn decode_metadata(bytes: &[u8]) -> Result<CheckpointMetadata, Corrupt> {
    decode_with(FileKind::Metadata, bytes, |reader| match reader.version() {
        1 => reader.read_value().map(version_1::Metadata::into_current),
        2 => reader.read_value().map(version_2::Metadata::into_current),
        _ => reader.read_value(),
    })
}
