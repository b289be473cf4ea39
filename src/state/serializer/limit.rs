use super::StateSerializer;
use crate::codec::CodecError;

/// The most bytes that one key or value of state may have, 2^31 - 1 as in Flink, on every backend. What could not be
/// taken to another backend is refused when it is written, not found out later. A list is one value.
pub const MAX_RECORD_BYTES: usize = i32::MAX as usize;

/// Appends the bytes of `value` to `target`, at most `limit` of them, which is [`MAX_RECORD_BYTES`] but for tests.
///
/// # Errors
/// The value cannot be written, or [`CodecError::Refused`] if it has more bytes than that. What `target` holds is of
/// no use then.
// As `append_record`.
#[inline(always)]
pub fn serialize_within<T>(
    limit: usize,
    serializer: &dyn StateSerializer<T>,
    value: &T,
    target: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let before = target.len();
    serializer.serialize(value, target)?;
    let bytes = target.len().saturating_sub(before);
    if bytes <= limit {
        return Ok(());
    }
    Err(too_large(&serializer.snapshot().id, bytes, limit))
}

#[cold]
fn too_large(id: &str, bytes: usize, limit: usize) -> CodecError {
    CodecError::Refused(format!("a {id} of {bytes} bytes is more than the {limit} that one may have"))
}
