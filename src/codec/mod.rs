//! The framing of every file Snapline writes, and the content of `_metadata`.
//!
//! A file is a magic number, a version and a sequence of checksummed blocks up to an end marker. Whatever
//! happened to its bytes, reading it back gives either what was written or an error with an offset: see
//! [`BlockReader`] for what is promised.
//!
//! ```text
//! file    := magic (8 bytes) version (u16) block* end
//! block   := word (u32) checksum (u32) payload (1 ..= 65536 bytes)
//! end     := word (u32) checksum (u32)                                   length 0
//! word    := length in the low 24 bits; above them the xor of the three length bytes and 0xA5
//! checksum:= CRC-32C of everything before the block except earlier checksums, its word and its payload
//! ```
//!
//! All integers are little-endian. The check byte in the word lets a length be believed before the payload has
//! been read; the checksums form a chain, so that blocks cannot be dropped, repeated or exchanged unnoticed.
//! Inside the payload stand records: a length as a varint, then that many bytes, usually a value in
//! [postcard](https://postcard.jamesmunns.com/wire-format)'s encoding.

mod block;
mod checksum;
mod metadata;
#[cfg(test)]
mod tests;

pub use block::{BlockReader, BlockWriter, FileKind, MAX_BLOCK_BYTES};
pub use checksum::checksum;
pub use metadata::{CheckpointMetadata, OperatorMetadata, decode_metadata, encode_metadata};

use crate::base::WithCauses;
use postcard::ser_flavors::Flavor;
use serde::{Serialize, de::DeserializeOwned};
use std::borrow::Cow;
use std::io;

/// Bytes are not what was written. Nothing may be done with the object but to replace it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corrupt at byte {offset}: {what}")]
pub struct Corrupt {
    /// What was found.
    pub what: Cow<'static, str>,
    /// Where, in bytes from the start of the file: the start of the block that holds the damage, or the end of
    /// the file when something is missing.
    pub offset: u64,
}

impl Corrupt {
    /// Damage at `offset`, described by `what`.
    pub fn at(offset: u64, what: impl Into<Cow<'static, str>>) -> Self {
        Corrupt { what: what.into(), offset }
    }
}

/// Why a file could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// The bytes are damaged.
    #[error(transparent)]
    Corrupt(#[from] Corrupt),
    /// The underlying reader or writer failed.
    #[error("reading or writing failed: {}", WithCauses(.0))]
    Io(io::Error),
    /// A value's `Serialize` implementation refused to serialize it. The author of the type must act.
    #[error("a value of type {type_name} cannot be serialized: {cause}")]
    Encode {
        /// The type of the value.
        type_name: &'static str,
        /// Postcard's reason.
        cause: postcard::Error,
    },
    /// A value may not be written. The author of its type or of its serializer must act.
    #[error("a value is refused: {0}")]
    Refused(String),
}

impl From<io::Error> for CodecError {
    fn from(error: io::Error) -> Self {
        CodecError::Io(error)
    }
}

/// Writes one value as a whole file of `kind`.
///
/// # Errors
/// [`CodecError::Encode`] when the value refuses to be serialized.
pub fn encode_document<T: Serialize>(kind: FileKind, value: &T) -> Result<Vec<u8>, CodecError> {
    let mut writer = BlockWriter::new(Vec::new(), kind)?;
    writer.write_value(value)?;
    writer.finish()
}

/// Reads what [`encode_document`] wrote.
///
/// # Errors
/// The bytes are damaged, are of another kind, or hold something else than one `T`.
pub fn decode_document<T: DeserializeOwned>(kind: FileKind, bytes: &[u8]) -> Result<T, Corrupt> {
    decode_with(kind, bytes, BlockReader::read_value)
}

/// Reads a file of `kind` whose content is what `read` takes in.
fn decode_with<'a, T>(
    kind: FileKind,
    bytes: &'a [u8],
    read: impl FnOnce(&mut BlockReader<&'a [u8]>) -> Result<T, CodecError>,
) -> Result<T, Corrupt> {
    let decoded = || -> Result<T, CodecError> {
        let mut reader = BlockReader::new(bytes, kind)?;
        let value = read(&mut reader)?;
        reader.finish()?;
        Ok(value)
    };
    decoded().map_err(|error| match error {
        CodecError::Corrupt(corrupt) => corrupt,
        // Reading from a slice cannot fail, and nothing is encoded.
        other => Corrupt::at(0, other.to_string()),
    })
}

/// Appends the postcard encoding of `value` to `buffer`.
///
/// # Errors
/// [`CodecError::Encode`] when the value refuses to be serialized; what the buffer holds is of no use then.
#[inline]
pub fn append_value<T: Serialize + ?Sized>(buffer: &mut Vec<u8>, value: &T) -> Result<(), CodecError> {
    // `postcard::serialize_with_flavor` is the same, but is not inlined: for a number the calls cost more than its bytes.
    value
        .serialize(&mut postcard::Serializer { output: Appending(buffer) })
        .map_err(|cause| CodecError::Encode { type_name: std::any::type_name::<T>(), cause })
}

/// Where postcard writes. Its own flavor for this takes the bytes one by one.
struct Appending<'a>(&'a mut Vec<u8>);

impl Flavor for Appending<'_> {
    type Output = ();

    #[inline]
    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    #[inline]
    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    #[inline]
    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

/// Decodes `bytes` as exactly one `T`; `None` when they are anything else.
#[must_use]
pub fn value_from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Some(value),
        _ => None,
    }
}

/// Takes the value at the front of `bytes`; `None`, and `bytes` as they were, if there is none.
pub fn value_at_front<T: DeserializeOwned>(bytes: &mut &[u8]) -> Option<T> {
    let (value, rest) = postcard::take_from_bytes(bytes).ok()?;
    *bytes = rest;
    Some(value)
}

/// Appends `value` as a varint: seven bits to a byte, the lowest first.
pub fn append_varint(buffer: &mut Vec<u8>, value: u64) {
    let mut bytes = [0; 10];
    let used = varint_bytes(&mut bytes, value);
    buffer.extend_from_slice(&bytes[..used]);
}

/// Puts `value` at the front of `bytes` as a varint and gives the number of bytes used.
fn varint_bytes(bytes: &mut [u8; 10], mut value: u64) -> usize {
    let mut used = 0;
    while value >= 0x80 {
        bytes[used] = value as u8 | 0x80;
        value >>= 7;
        used += 1;
    }
    bytes[used] = value as u8;
    used + 1
}

/// Appends what `write` appends as one record: its length, then the bytes.
///
/// # Errors
/// That of `write`; what the buffer holds is of no use then.
// Every entry of a snapshot comes through here. A call would cost as much as the bytes of a number.
#[inline(always)]
pub fn append_record<E>(
    buffer: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = buffer.len();
    // Most records are short, their length is one byte.
    buffer.push(0);
    write(buffer)?;
    match buffer.len() - start - 1 {
        short @ ..0x80 => buffer[start] = short as u8,
        long => insert_length(buffer, start, long),
    }
    Ok(())
}

#[cold]
fn insert_length(buffer: &mut Vec<u8>, start: usize, length: usize) {
    let mut bytes = [0; 10];
    let used = varint_bytes(&mut bytes, length as u64);
    buffer.splice(start..=start, bytes[..used].iter().copied());
}

/// Takes a varint off the front of `bytes`; `None` when there is none.
#[must_use]
pub fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            return None;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Takes a record, a length and that many bytes, off the front of `bytes`; `None` when there is none.
#[must_use]
pub fn take_record<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_varint(bytes)?).ok()?;
    let (record, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(record)
}
