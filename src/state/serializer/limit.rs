use super::StateSerializer;
use crate::codec::CodecError;

/// The most bytes that one key, value or list of state may have, 2^31 - 1 as in Flink, on every backend. What could not be
/// taken to another backend is refused when it is written, not found out later; the heap, where nothing has bytes before,
/// refuses it in a snapshot.
pub const MAX_RECORD_BYTES: usize = i32::MAX as usize;

/// Appends the bytes of `value` to `target`, at most `limit` of them, which is [`MAX_RECORD_BYTES`] but for tests.
///
/// # Errors
/// The value cannot be written, or [`CodecError::Refused`] if it has more bytes than that. What `target` holds is of
/// no use then.
#[inline]
pub fn serialize_within<T>(
    limit: usize,
    serializer: &dyn StateSerializer<T>,
    value: &T,
    target: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let before = target.len();
    serializer.serialize(value, target)?;
    refuse_beyond(limit, target.len().saturating_sub(before), || serializer.snapshot().id)
}

/// Refuses `what` if it has more than `limit` bytes.
#[inline]
pub(in crate::state) fn refuse_beyond(
    limit: usize,
    bytes: usize,
    what: impl FnOnce() -> String,
) -> Result<(), CodecError> {
    if bytes <= limit {
        return Ok(());
    }
    Err(too_large(&what(), bytes, limit))
}

#[cold]
fn too_large(what: &str, bytes: usize, limit: usize) -> CodecError {
    CodecError::Refused(format!("a {what} of {bytes} bytes is more than the {limit} that one may have"))
}
