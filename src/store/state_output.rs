use super::{CheckpointStorage, StateWriter, StorageError};
use crate::base::{InlineState, StateFile, StateHandle};
use crate::codec::checksum;
use std::io::{self, Write};

/// When state gets a file, and how it is written there. The defaults are Flink's: 20 KiB and 4,096 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutputSizes {
    /// The largest state, in bytes, that is inline (`execution.checkpointing.data-inline-threshold`).
    pub inline_threshold_bytes: usize,
    /// Up to how many bytes small writes to a file are collected (`execution.checkpointing.write-buffer-size`), or up to the
    /// threshold if that is more.
    pub write_buffer_bytes: usize,
}

impl OutputSizes {
    /// The largest threshold that makes sense: all metadata is held in memory (Flink: `MAX_FILE_STATE_THRESHOLD`).
    pub const MAX_INLINE_THRESHOLD_BYTES: usize = 1024 * 1024;
}

impl Default for OutputSizes {
    fn default() -> Self {
        OutputSizes { inline_threshold_bytes: 20 * 1024, write_buffer_bytes: 4096 }
    }
}

/// Where the state of a subtask is written: into a file, unless it turns out to be so small that it goes with its handle.
///
/// Dropping it without finishing it leaves nothing.
pub struct StateOutput<'a> {
    storage: &'a dyn CheckpointStorage,
    file: StateFile,
    inline_threshold_bytes: usize,
    /// When to pass on what is in the buffer.
    buffer_bytes: usize,
    buffer: Vec<u8>,
    /// Once there is more than goes into the buffer.
    writer: Option<Box<dyn StateWriter>>,
    /// A write has failed, so the content has a hole.
    has_failed: bool,
}

impl<'a> StateOutput<'a> {
    /// Begins to write the state whose file, if it gets one, is `file`. Not more is inline than the storage
    /// [allows](CheckpointStorage::max_inline_bytes).
    #[must_use]
    pub fn new(storage: &'a dyn CheckpointStorage, file: StateFile, sizes: OutputSizes) -> Self {
        let most = usize::try_from(storage.max_inline_bytes()).unwrap_or(usize::MAX);
        let inline_threshold_bytes = sizes.inline_threshold_bytes.min(most);
        let buffer_bytes = sizes.write_buffer_bytes.max(inline_threshold_bytes);
        let (buffer, writer, has_failed) = (Vec::new(), None, false);
        StateOutput { storage, file, inline_threshold_bytes, buffer_bytes, buffer, writer, has_failed }
    }

    /// Makes what was written durable, unless it is inline, and names it; `None` if it is nothing.
    ///
    /// # Errors
    /// As those of [`StateWriter::finish`], and of the writes that were put off until now.
    pub fn finish(mut self) -> Result<Option<StateHandle>, StorageError> {
        let name = self.storage.state_name(self.file);
        if self.has_failed {
            let cause = io::Error::other("an earlier write of this state has failed");
            return Err(StorageError::unavailable(name, cause));
        }
        if self.writer.is_none() && self.buffer.len() <= self.inline_threshold_bytes {
            return Ok(self.inline());
        }
        self.pass_on().map_err(|error| StorageError::from_io(name, error))?;
        self.writer.map(StateWriter::finish).transpose()
    }

    /// All that was written, if it is anything.
    fn inline(self) -> Option<StateHandle> {
        let (bytes, checksum) = (self.buffer.len() as u64, checksum(0, &self.buffer));
        let inline = (bytes > 0).then(|| InlineState::from(self.buffer))?;
        Some(StateHandle { file: self.file, bytes, checksum, inline: Some(inline) })
    }

    /// Writes what is in the buffer into the file.
    fn pass_on(&mut self) -> io::Result<&mut dyn StateWriter> {
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(self.storage.create_state(self.file).map_err(StorageError::into_io)?),
        };
        writer.write_all(&self.buffer)?;
        self.buffer.clear();
        Ok(&mut **writer)
    }

    fn take_in(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() <= self.buffer_bytes {
            self.buffer.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let most = self.buffer_bytes;
        let writer = self.pass_on()?;
        if bytes.len() > most {
            return writer.write(bytes);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for StateOutput<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.take_in(bytes);
        self.has_failed |= taken.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        taken
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
