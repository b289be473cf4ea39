use super::{CodecError, Corrupt, append_value, append_varint, checksum, value_from_bytes, varint_bytes};
use serde::{Serialize, de::DeserializeOwned};
use std::io::{self, Read, Write};

/// The most payload of one block, and so the most that is held in memory unchecked.
pub const MAX_BLOCK_BYTES: usize = 64 * 1024;

const MAGIC_BYTES: usize = 8;
const FILE_HEADER_BYTES: usize = MAGIC_BYTES + 2;
const BLOCK_HEADER_BYTES: usize = 8;

/// What a file holds, which its first eight bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// The state of one subtask.
    State,
    /// The metadata of a checkpoint.
    Metadata,
    /// An entry of the pointer log.
    Pointer,
    /// Where the pointer log lies, if not here.
    Redirection,
}

impl FileKind {
    /// The magic number. The first byte is not text and the end tells a line-end conversion, as PNG's does.
    #[must_use]
    pub const fn magic(self) -> [u8; MAGIC_BYTES] {
        match self {
            FileKind::State => *b"\xf5SLST\r\n\x1a",
            FileKind::Metadata => *b"\xf5SLMD\r\n\x1a",
            FileKind::Pointer => *b"\xf5SLPT\r\n\x1a",
            FileKind::Redirection => *b"\xf5SLRD\r\n\x1a",
        }
    }

    /// The version that this release writes.
    #[must_use]
    pub const fn version(self) -> u16 {
        match self {
            FileKind::State => 5,
            FileKind::Metadata => 3,
            FileKind::Pointer | FileKind::Redirection => 1,
        }
    }

    fn header(self) -> [u8; FILE_HEADER_BYTES] {
        let mut header = [0; FILE_HEADER_BYTES];
        header[..MAGIC_BYTES].copy_from_slice(&self.magic());
        header[MAGIC_BYTES..].copy_from_slice(&self.version().to_le_bytes());
        header
    }

    fn name(self) -> &'static str {
        match self {
            FileKind::State => "state",
            FileKind::Metadata => "metadata",
            FileKind::Pointer => "pointer",
            FileKind::Redirection => "redirection",
        }
    }
}

/// The word that announces a block: its length with a check byte on top. Never zero, so that a zero-filled
/// tail is not a block.
fn length_word(length: usize) -> u32 {
    let length = length as u32;
    length | (u32::from(check_byte(length)) << 24)
}

fn check_byte(length: u32) -> u8 {
    let [a, b, c, _] = length.to_le_bytes();
    a ^ b ^ c ^ 0xa5
}

fn length_of_word(word: u32) -> Option<usize> {
    let length = word & 0x00ff_ffff;
    let valid = (word >> 24) as u8 == check_byte(length) && length as usize <= MAX_BLOCK_BYTES;
    valid.then_some(length as usize)
}

/// Writes a file of checksummed blocks; the bytes written to it become the payload.
///
/// Nothing is complete before [`finish`](Self::finish): a file without its end marker reads as truncated.
#[derive(Debug)]
pub struct BlockWriter<W: Write> {
    inner: W,
    /// The block being filled, behind room for its header.
    block: Vec<u8>,
    chain: u32,
    /// Where records are encoded.
    scratch: Vec<u8>,
}

impl<W: Write> BlockWriter<W> {
    /// Starts a file of `kind` on `inner`, which should pass large writes on as they are.
    ///
    /// # Errors
    /// `inner` refused the header.
    pub fn new(mut inner: W, kind: FileKind) -> io::Result<Self> {
        let header = kind.header();
        inner.write_all(&header)?;
        let mut block = Vec::with_capacity(BLOCK_HEADER_BYTES + MAX_BLOCK_BYTES);
        block.resize(BLOCK_HEADER_BYTES, 0);
        Ok(BlockWriter { inner, block, chain: checksum(0, &header), scratch: Vec::new() })
    }

    /// Writes a number as a varint.
    ///
    /// # Errors
    /// The underlying writer failed.
    pub fn write_varint(&mut self, value: u64) -> Result<(), CodecError> {
        let mut bytes = [0; 10];
        let used = varint_bytes(&mut bytes, value);
        Ok(self.write_all(&bytes[..used])?)
    }

    /// Writes `bytes` as one record.
    ///
    /// # Errors
    /// The underlying writer failed.
    pub fn write_record(&mut self, bytes: &[u8]) -> Result<(), CodecError> {
        self.write_varint(bytes.len() as u64)?;
        Ok(self.write_all(bytes)?)
    }

    /// Writes `value` as one record.
    ///
    /// # Errors
    /// The value refuses to be serialized, or the underlying writer failed.
    pub fn write_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), CodecError> {
        let mut encoded = std::mem::take(&mut self.scratch);
        encoded.clear();
        append_value(&mut encoded, value)?;
        self.write_varint(encoded.len() as u64)?;
        self.scratch = encoded;
        self.write_scratch()
    }

    /// Completes the file and gives the underlying writer back, without flushing it.
    ///
    /// # Errors
    /// The underlying writer failed; the file is not complete.
    pub fn finish(mut self) -> Result<W, CodecError> {
        if self.block.len() > BLOCK_HEADER_BYTES {
            self.write_block()?;
        }
        self.write_block()?;
        Ok(self.inner)
    }

    fn write_scratch(&mut self) -> Result<(), CodecError> {
        let scratch = std::mem::take(&mut self.scratch);
        let written = self.write_all(&scratch);
        self.scratch = scratch;
        Ok(written?)
    }

    /// Writes the block as it is; without payload it is the end marker.
    fn write_block(&mut self) -> io::Result<()> {
        let word = length_word(self.block.len() - BLOCK_HEADER_BYTES).to_le_bytes();
        self.chain = checksum(self.chain, &word);
        self.chain = checksum(self.chain, &self.block[BLOCK_HEADER_BYTES..]);
        self.block[..4].copy_from_slice(&word);
        self.block[4..BLOCK_HEADER_BYTES].copy_from_slice(&self.chain.to_le_bytes());
        let written = self.inner.write_all(&self.block);
        self.block.truncate(BLOCK_HEADER_BYTES);
        written
    }
}

impl<W: Write> Write for BlockWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK_HEADER_BYTES + MAX_BLOCK_BYTES - self.block.len();
        let taken = room.min(bytes.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if taken == room {
            self.write_block()?;
        }
        Ok(taken)
    }

    /// Flushes what is complete: a block that is not full stays, because blocks end only where they must.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Reads what a [`BlockWriter`] wrote.
///
/// No byte is handed out before the checksum of its block has been verified, and never more than one block
/// plus one record is held. A single flipped bit and a truncation are always detected; other damage, with the
/// certainty of a 32-bit checksum. What is behind the end marker is damage too, hence [`finish`](Self::finish).
#[derive(Debug)]
pub struct BlockReader<R: Read> {
    inner: R,
    version: u16,
    block: Vec<u8>,
    /// How much of `block` has been handed out.
    used: usize,
    /// Where the header of `block` stands in the file.
    block_offset: u64,
    /// How many bytes of the file have been used.
    offset: u64,
    /// What was read of the header behind `block`, together with that.
    ahead: [u8; BLOCK_HEADER_BYTES],
    ahead_bytes: usize,
    chain: u32,
    ended: bool,
    scratch: Vec<u8>,
}

impl<R: Read> BlockReader<R> {
    /// Opens a file that must be of `kind`, on `inner`, of which whole blocks are read at a time.
    ///
    /// # Errors
    /// The file is of another kind or of a version that this release does not know, or `inner` failed.
    pub fn new(inner: R, kind: FileKind) -> Result<Self, CodecError> {
        let mut reader = BlockReader {
            inner,
            version: 0,
            block: Vec::new(),
            used: 0,
            block_offset: 0,
            offset: 0,
            ahead: [0; BLOCK_HEADER_BYTES],
            ahead_bytes: 0,
            chain: 0,
            ended: false,
            scratch: Vec::new(),
        };
        let mut header = [0; FILE_HEADER_BYTES];
        reader.fill(&mut header, "the file ends within its header")?;
        if header[..MAGIC_BYTES] != kind.magic() {
            return Err(Corrupt::at(0, format!("this is not a Snapline {} file", kind.name())).into());
        }
        let version = u16::from_le_bytes([header[MAGIC_BYTES], header[MAGIC_BYTES + 1]]);
        if version == 0 || version > kind.version() {
            let what = format!(
                "the {} format has version {version}, this release reads {}: \
                 the file is damaged or a newer Snapline wrote it",
                kind.name(),
                kind.version()
            );
            return Err(Corrupt::at(MAGIC_BYTES as u64, what).into());
        }
        reader.version = version;
        reader.chain = checksum(0, &header);
        Ok(reader)
    }

    /// The version of the file, at most that of this release.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.version
    }

    /// Where in the file the block stands from which the last byte was handed out.
    #[must_use]
    pub fn block_offset(&self) -> u64 {
        self.block_offset
    }

    /// An error for content that makes no sense although its checksum is right.
    #[must_use]
    pub fn corrupt(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> CodecError {
        Corrupt::at(self.block_offset, what).into()
    }

    /// Reads a number that was written as a varint.
    ///
    /// # Errors
    /// The file is damaged or the underlying reader failed.
    pub fn read_varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.read_byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(self.corrupt("a number does not fit 64 bits"))
    }

    /// Appends the bytes of the next record to `target`, without believing its length: `target` grows only by
    /// what is really there.
    ///
    /// # Errors
    /// The file is damaged or the underlying reader failed; `target` then holds a part of the record.
    pub fn append_record_to(&mut self, target: &mut Vec<u8>) -> Result<(), CodecError> {
        let length = self.read_varint()?;
        self.append_bytes_to(target, length)
    }

    /// As [`append_record_to`](Self::append_record_to), with the record's length in front, so that `target`
    /// holds records itself.
    ///
    /// # Errors
    /// The file is damaged or the underlying reader failed; `target` then holds a part of the record.
    pub fn append_framed_record_to(&mut self, target: &mut Vec<u8>) -> Result<(), CodecError> {
        let length = self.read_varint()?;
        append_varint(target, length);
        self.append_bytes_to(target, length)
    }

    /// Reads over the next record, and says how many bytes it has. Nothing of it is held.
    ///
    /// # Errors
    /// The file is damaged or the underlying reader failed.
    pub fn skip_record(&mut self) -> Result<u64, CodecError> {
        let length = self.read_varint()?;
        self.take_bytes(length, |_| ())?;
        Ok(length)
    }

    fn append_bytes_to(&mut self, target: &mut Vec<u8>, length: u64) -> Result<(), CodecError> {
        self.take_bytes(length, |bytes| target.extend_from_slice(bytes))
    }

    /// Hands the next bytes to `take`, block by block.
    fn take_bytes(&mut self, mut missing: u64, mut take: impl FnMut(&[u8])) -> Result<(), CodecError> {
        while missing > 0 {
            self.ensure_block()?;
            let available = &self.block[self.used..];
            let taken = available.len().min(usize::try_from(missing).unwrap_or(usize::MAX));
            take(&available[..taken]);
            self.used += taken;
            missing -= taken as u64;
        }
        Ok(())
    }

    /// Reads the next record as one value.
    ///
    /// # Errors
    /// The file is damaged, the record is not exactly one `T`, or the underlying reader failed.
    pub fn read_value<T: DeserializeOwned>(&mut self) -> Result<T, CodecError> {
        let mut record = std::mem::take(&mut self.scratch);
        record.clear();
        self.append_record_to(&mut record)?;
        let value = value_from_bytes(&record);
        self.scratch = record;
        value.ok_or_else(|| self.corrupt(format!("a record is not a {}", std::any::type_name::<T>())))
    }

    /// Verifies that everything has been read and that the file ends where its end marker says.
    ///
    /// # Errors
    /// There is more payload, or something behind the end marker, or the end marker is missing.
    pub fn finish(mut self) -> Result<(), CodecError> {
        if self.used < self.block.len() || self.next_block()? {
            return Err(self.corrupt("the file holds more than was expected"));
        }
        let end = self.offset;
        match read_some(&mut self.inner, &mut [0])? {
            0 => Ok(()),
            _ => Err(Corrupt::at(end, "there are bytes behind the end marker").into()),
        }
    }

    fn read_byte(&mut self) -> Result<u8, CodecError> {
        self.ensure_block()?;
        let byte = self.block[self.used];
        self.used += 1;
        Ok(byte)
    }

    /// Makes sure that there is at least one byte to hand out.
    fn ensure_block(&mut self) -> Result<(), CodecError> {
        if self.used < self.block.len() || self.next_block()? {
            Ok(())
        } else {
            Err(self.corrupt("the content ends too early"))
        }
    }

    /// Reads and verifies the next block; false at the end marker.
    fn next_block(&mut self) -> Result<bool, CodecError> {
        if self.ended {
            return Ok(false);
        }
        self.block_offset = self.offset;
        self.used = 0;
        // What an error leaves has nothing to hand out.
        let mut block = std::mem::take(&mut self.block);
        let mut header = self.ahead;
        let ahead = std::mem::take(&mut self.ahead_bytes);
        self.offset += ahead as u64;
        self.fill(&mut header[ahead..], "the file is truncated between blocks")?;
        let [a, b, c, d, e, f, g, h] = header;
        let length = length_of_word(u32::from_le_bytes([a, b, c, d]))
            .ok_or_else(|| Corrupt::at(self.block_offset, "the length of a block is damaged"))?;
        self.fill_block(&mut block, length)?;
        self.chain = checksum(self.chain, &header[..4]);
        self.chain = checksum(self.chain, &block);
        if self.chain != u32::from_le_bytes([e, f, g, h]) {
            return Err(Corrupt::at(self.block_offset, "the checksum of a block does not match").into());
        }
        self.block = block;
        self.ended = length == 0;
        Ok(!self.ended)
    }

    /// Reads `length` bytes, and as much of the header behind them as comes with them: a file is read once for each block.
    fn fill_block(&mut self, block: &mut Vec<u8>, length: usize) -> Result<(), CodecError> {
        let behind = if length == 0 { 0 } else { BLOCK_HEADER_BYTES };
        block.resize(length + behind, 0);
        let mut filled = 0;
        while filled < length {
            match read_some(&mut self.inner, &mut block[filled..])? {
                0 => {
                    let end = self.offset + filled as u64;
                    return Err(Corrupt::at(end, "the file is truncated within a block").into());
                }
                read => filled += read,
            }
        }
        self.ahead_bytes = filled - length;
        self.ahead[..self.ahead_bytes].copy_from_slice(&block[length..filled]);
        block.truncate(length);
        self.offset += length as u64;
        Ok(())
    }

    fn fill(&mut self, mut target: &mut [u8], truncated: &'static str) -> Result<(), CodecError> {
        while !target.is_empty() {
            match read_some(&mut self.inner, target)? {
                0 => return Err(Corrupt::at(self.offset, truncated).into()),
                read => {
                    self.offset += read as u64;
                    target = &mut target[read..];
                }
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for BlockReader<R> {
    /// Hands out payload; damage is an error of kind `InvalidData` that wraps a [`Corrupt`].
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        if target.is_empty() {
            return Ok(0);
        }
        if self.used == self.block.len() {
            match self.next_block() {
                Ok(true) => {}
                Ok(false) => return Ok(0),
                Err(CodecError::Io(error)) => return Err(error),
                Err(other) => return Err(io::Error::new(io::ErrorKind::InvalidData, other)),
            }
        }
        let taken = target.len().min(self.block.len() - self.used);
        target[..taken].copy_from_slice(&self.block[self.used..self.used + taken]);
        self.used += taken;
        Ok(taken)
    }
}

fn read_some(reader: &mut impl Read, target: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(target) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
