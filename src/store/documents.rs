use super::names::Place;
use super::{LogId, StorageError};
use crate::base::JobId;
use crate::codec::{
    CheckpointMetadata, CodecError, Corrupt, FileKind, decode_document, decode_metadata, encode_document,
};
use crate::publish::{Pointer, PointerSequence};
use std::fmt::Display;
use std::io;

/// The bytes of a pointer file. The number goes with it, so that a file under a wrong name is recognised.
///
/// # Errors
/// None in practice: all parts of a pointer can be serialized.
pub fn encode_pointer(sequence: PointerSequence, pointer: &Pointer) -> Result<Vec<u8>, CodecError> {
    encode_document(FileKind::Pointer, &(sequence, pointer))
}

/// Reads a pointer file.
///
/// # Errors
/// The bytes are damaged, or are something else.
pub fn decode_pointer(bytes: &[u8]) -> Result<(PointerSequence, Pointer), Corrupt> {
    decode_document(FileKind::Pointer, bytes)
}

/// The bytes that stand in place of the first pointer where the log of pointers is `log`, and lies in `store`.
pub(super) fn encode_redirection(log: LogId, store: &str) -> Result<Vec<u8>, CodecError> {
    encode_document(FileKind::Redirection, &(log, store))
}

/// Reads what tells the log from others, found under the name `object`.
pub(super) fn log_id_at(object: &impl Display, bytes: &[u8]) -> Result<LogId, StorageError> {
    let id = String::from_utf8_lossy(bytes).parse();
    id.map_err(|what: String| StorageError::corrupt(object, Corrupt::at(0, what)))
}

/// What is missing was there a moment ago.
pub(super) fn log_id_is_gone(object: &impl Display) -> StorageError {
    StorageError::unavailable(object, io::Error::new(io::ErrorKind::NotFound, "it was deleted meanwhile"))
}

/// Decodes the pointer found under the name `object`, which must be number `sequence`.
pub(super) fn pointer_at(
    object: &impl Display,
    sequence: PointerSequence,
    bytes: &[u8],
) -> Result<Pointer, StorageError> {
    if let Ok((log, store)) = decode_document(FileKind::Redirection, bytes) {
        return Err(StorageError::Elsewhere { object: object.to_string(), log, store });
    }
    match decode_pointer(bytes).map_err(|corrupt| StorageError::corrupt(object, corrupt))? {
        (found, pointer) if found == sequence => Ok(pointer),
        (found, _) => {
            let what = format!("this is pointer {found} under the name of pointer {sequence}");
            Err(StorageError::corrupt(object, Corrupt::at(0, what)))
        }
    }
}

/// Decodes the metadata found under the name `object`, which must be that of the checkpoint of `job` at `place`.
pub(super) fn metadata_at(
    object: &impl Display,
    job: JobId,
    place: Place,
    bytes: &[u8],
) -> Result<CheckpointMetadata, StorageError> {
    let metadata = decode_metadata(bytes).map_err(|corrupt| StorageError::corrupt(object, corrupt))?;
    if metadata.job == job && Place::of_checkpoint(&metadata.checkpoint) == place {
        return Ok(metadata);
    }
    let what = format!("this is {} of job {}", Place::of_checkpoint(&metadata.checkpoint), metadata.job);
    Err(StorageError::corrupt(object, Corrupt::at(0, what)))
}

/// What a failure to encode `object` means: nothing was written.
pub(super) fn not_encoded(object: &impl Display, error: CodecError) -> StorageError {
    StorageError::unavailable(object, io::Error::new(io::ErrorKind::InvalidInput, error))
}
