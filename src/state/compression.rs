//! How keyed state is compressed in a snapshot: the batches of a key group each by themselves, in pieces of a bounded
//! length, so that nobody needs another group to read one, nor the memory that a damaged length asks for.

use crate::codec::{BlockReader, BlockWriter, CodecError};
use lz4_flex::block::{compress_into, decompress_into, get_maximum_output_size};
use serde::{Deserialize, Serialize};
use std::io::{self, Read, Write};

/// How the key groups of a snapshot are compressed. The order of the variants is part of the format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Compression {
    /// Not at all.
    #[default]
    None,
    /// As blocks of LZ4.
    Lz4,
}

/// The most bytes that are compressed together.
const PIECE_BYTES: usize = 64 * 1024;

/// Writes `bytes` in pieces, ended by 0.
pub(super) fn write_compressed<W: Write>(
    blocks: &mut BlockWriter<W>,
    bytes: &[u8],
) -> Result<(), CodecError> {
    let mut compressed = vec![0; get_maximum_output_size(bytes.len().min(PIECE_BYTES))];
    for piece in bytes.chunks(PIECE_BYTES) {
        let used = compress_into(piece, &mut compressed).map_err(io::Error::other)?;
        blocks.write_varint(piece.len() as u64)?;
        blocks.write_record(&compressed[..used])?;
    }
    blocks.write_varint(0)
}

/// Appends to `target` what [`write_compressed`] was given.
pub(super) fn read_compressed<R: Read>(
    blocks: &mut BlockReader<R>,
    target: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let mut compressed = Vec::new();
    while next_decompressed(blocks, &mut compressed, target)? {}
    Ok(())
}

/// Appends the next piece of it to `target`, with `compressed` to work in; says whether there was one.
pub(super) fn next_decompressed<R: Read>(
    blocks: &mut BlockReader<R>,
    compressed: &mut Vec<u8>,
    target: &mut Vec<u8>,
) -> Result<bool, CodecError> {
    let Some(length) = next_piece(blocks, compressed)? else { return Ok(false) };
    let before = target.len();
    target.resize(before + length, 0);
    match decompress_into(compressed, &mut target[before..]) {
        Ok(decompressed) if decompressed == length => Ok(true),
        _ => Err(blocks.corrupt("compressed state cannot be decompressed")),
    }
}

/// Reads over what [`write_compressed`] has written, and says how many bytes there are of it, compressed.
pub(super) fn skip_compressed<R: Read>(blocks: &mut BlockReader<R>) -> Result<u64, CodecError> {
    let (mut compressed, mut bytes) = (Vec::new(), 0);
    while next_piece(blocks, &mut compressed)?.is_some() {
        bytes += compressed.len() as u64;
    }
    Ok(bytes)
}

/// Reads a piece into `compressed` and says how long it will be; nothing at the end.
fn next_piece<R: Read>(
    blocks: &mut BlockReader<R>,
    compressed: &mut Vec<u8>,
) -> Result<Option<usize>, CodecError> {
    let length = match usize::try_from(blocks.read_varint()?) {
        Ok(0) => return Ok(None),
        Ok(length @ 1..=PIECE_BYTES) => length,
        _ => return Err(blocks.corrupt("a piece of compressed state is too long")),
    };
    compressed.clear();
    blocks.append_record_to(compressed)?;
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::FileKind;
    use proptest::prelude::*;

    /// The content of a file that `write` fills, as `read` sees it.
    fn through_a_file<T>(
        write: impl FnOnce(&mut BlockWriter<Vec<u8>>) -> Result<(), CodecError>,
        read: impl FnOnce(&mut BlockReader<io::Cursor<Vec<u8>>>) -> Result<T, CodecError>,
    ) -> Result<T, CodecError> {
        let mut writer = BlockWriter::new(Vec::new(), FileKind::State)?;
        write(&mut writer)?;
        let file = io::Cursor::new(writer.finish()?);
        let mut reader = BlockReader::new(file, FileKind::State)?;
        let content = read(&mut reader)?;
        reader.finish()?;
        Ok(content)
    }

    /// What is read of pieces, each the length that it claims and its bytes.
    fn read_pieces(pieces: &[(u64, &[u8])]) -> Result<Vec<u8>, String> {
        let write = |blocks: &mut BlockWriter<_>| {
            for (length, piece) in pieces {
                blocks.write_varint(*length)?;
                blocks.write_record(piece)?;
            }
            blocks.write_varint(0)
        };
        let mut bytes = Vec::new();
        let read = through_a_file(write, |blocks| read_compressed(blocks, &mut bytes));
        read.map(|()| bytes).map_err(|error| error.to_string())
    }

    #[test]
    fn compression_piece_that_does_not_hold_what_it_says_is_corrupt() {
        let compressed = lz4_flex::block::compress(&[7; 1000]);
        assert_eq!(read_pieces(&[(1000, &compressed), (1000, &compressed)]), Ok(vec![7; 2000]));
        let broken = Err("corrupt at byte 10: compressed state cannot be decompressed".to_owned());
        assert_eq!(read_pieces(&[(999, &compressed)]), broken);
        assert_eq!(read_pieces(&[(1001, &compressed)]), broken);
        assert_eq!(read_pieces(&[(1000, &compressed[1..])]), broken);
        assert_eq!(read_pieces(&[(1000, &[])]), broken);
    }

    /// A length is refused before anything is allocated for it.
    #[test]
    fn compression_piece_that_is_too_long_is_corrupt() {
        let compressed = lz4_flex::block::compress(&vec![7; PIECE_BYTES + 1]);
        let too_long = Err("corrupt at byte 10: a piece of compressed state is too long".to_owned());
        assert_eq!(read_pieces(&[(PIECE_BYTES as u64 + 1, &compressed)]), too_long);
        assert_eq!(read_pieces(&[(u64::MAX, &compressed)]), too_long);
        let longest = lz4_flex::block::compress(&vec![7; PIECE_BYTES]);
        assert_eq!(read_pieces(&[(PIECE_BYTES as u64, &longest)]), Ok(vec![7; PIECE_BYTES]));
    }

    proptest! {
        #[test]
        fn compression_bytes_of_any_length_come_back_or_are_skipped(
            length in prop_oneof![0..100usize, PIECE_BYTES - 2..PIECE_BYTES + 3, 0..4 * PIECE_BYTES],
            sample in proptest::collection::vec(any::<u8>(), 1..1000),
        ) {
            let bytes: Vec<u8> = sample.iter().copied().cycle().take(length).collect();
            let mut read = vec![1, 2, 3];
            through_a_file(|blocks| write_compressed(blocks, &bytes), |blocks| read_compressed(blocks, &mut read))
                .expect("intact");
            prop_assert!(read == [&[1, 2, 3], &bytes[..]].concat());
            through_a_file(|blocks| write_compressed(blocks, &bytes), skip_compressed).expect("intact");
        }

        #[test]
        fn compression_garbage_never_panics(
            pieces in proptest::collection::vec(
                (0..2 * PIECE_BYTES as u64, proptest::collection::vec(any::<u8>(), 0..300)),
                0..5,
            ),
        ) {
            let pieces: Vec<_> = pieces.iter().map(|(length, piece)| (*length, &piece[..])).collect();
            let _ = read_pieces(&pieces);
        }
    }
}
