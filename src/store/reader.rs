use super::StorageError;
use crate::base::{InlineState, StateHandle};
use crate::codec::{self, Corrupt};
use std::io::{self, Cursor, Read};

/// Reads a state file and verifies its length and checksum when the end is reached.
#[derive(Debug)]
pub(super) struct VerifyingReader<R> {
    inner: R,
    object: String,
    handle: StateHandle,
    offset: u64,
    checksum: u32,
}

impl<R: Read> VerifyingReader<R> {
    pub(super) fn new(inner: R, object: String, handle: StateHandle) -> Self {
        VerifyingReader { inner, object, handle, offset: 0, checksum: 0 }
    }

    fn corrupt(&self, what: &'static str) -> io::Error {
        StorageError::corrupt(&self.object, Corrupt::at(self.offset, what)).into_io()
    }
}

impl<R: Read> Read for VerifyingReader<R> {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if target.is_empty() {
            return Ok(0);
        }
        let read = match self.inner.read(target) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(StorageError::unavailable(&self.object, error).into_io()),
            Ok(read) => read,
        };
        self.checksum = codec::checksum(self.checksum, &target[..read]);
        self.offset += read as u64;
        if self.offset > self.handle.bytes {
            return Err(self.corrupt("the file is longer than its handle says"));
        }
        if read == 0 && self.offset < self.handle.bytes {
            return Err(self.corrupt("the file is shorter than its handle says"));
        }
        if read == 0 && self.checksum != self.handle.checksum {
            return Err(self.corrupt("the checksum of the whole file is not that of its handle"));
        }
        Ok(read)
    }
}

/// Reads state that is inline, and is called `object`.
pub(super) fn read_inline(
    object: String,
    handle: &StateHandle,
    state: &InlineState,
) -> Result<VerifyingReader<Cursor<InlineState>>, StorageError> {
    check_length(&object, state.as_ref().len() as u64, handle.bytes)?;
    Ok(VerifyingReader::new(Cursor::new(state.clone()), object, handle.clone()))
}

/// Compares the length of an existing file with the one that is known of it.
pub(super) fn check_length(object: &str, found: u64, expected: u64) -> Result<(), StorageError> {
    if found == expected {
        return Ok(());
    }
    let what = format!("the file has {found} bytes instead of {expected}");
    Err(StorageError::corrupt(object, Corrupt::at(found.min(expected), what)))
}

/// A file that somebody refers to does not exist.
pub(super) fn missing(object: &str) -> StorageError {
    StorageError::corrupt(object, Corrupt::at(0, "the file is missing"))
}
