use super::*;
use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, ContentId, JobId, SharedFile, SharedObject,
    StateFile, StateHandle, SubtaskId,
};
use proptest::prelude::*;
use std::io::{ErrorKind, Read, Write};

fn sample() -> CheckpointMetadata {
    let subtask = |index| SubtaskId::new(1, index);
    let (checkpoint, attempt) = (CheckpointId(7), Attempt(3));
    let file = StateFile { checkpoint, subtask: subtask(0), attempt, savepoint: false };
    let content = ContentId { digest: 0xd1_6e57, bytes: 99 };
    let shared = SharedFile { job: JobId(0xfeed), subtask: subtask(0), attempt: Attempt(2), content };
    let object = SharedObject { file: shared, upload: 5, savepoint: None };
    let inline_file = StateFile { subtask: subtask(2), ..file };
    let (state, inline_checksum) = (b"little".to_vec(), checksum(0, b"little"));
    let inline =
        StateHandle { file: inline_file, bytes: 6, checksum: inline_checksum, inline: Some(state.into()) };
    let handle = StateHandle { file, bytes: 4711, checksum: 0xdead_beef, inline: None };
    CheckpointMetadata {
        job: JobId(0xfeed),
        operators: vec![OperatorMetadata {
            uid: String::new(),
            name: "count".to_owned(),
            parallelism: 3,
            max_parallelism: 128,
        }],
        checkpoint: CompletedCheckpoint {
            id: CheckpointId(7),
            attempt: Attempt(3),
            kind: CheckpointKind::Periodic,
            states: [(subtask(0), Some(handle)), (subtask(1), None), (subtask(2), Some(inline))].into(),
            shared: [(subtask(0), [object].into())].into(),
        },
    }
}

/// A file of several blocks, with records that cross their borders.
fn large() -> Vec<u8> {
    let mut writer = BlockWriter::new(Vec::new(), FileKind::State).expect("memory");
    for n in 0..20_000u32 {
        writer.write_value(&(n, "some text")).expect("memory");
    }
    writer.write_record(&[7; 3 * MAX_BLOCK_BYTES]).expect("memory");
    writer.finish().expect("memory")
}

fn read_large(bytes: &[u8]) -> Result<(), CodecError> {
    let mut reader = BlockReader::new(bytes, FileKind::State)?;
    for n in 0..20_000u32 {
        assert_eq!(reader.read_value::<(u32, String)>()?, (n, "some text".to_owned()));
    }
    let mut record = Vec::new();
    reader.append_record_to(&mut record)?;
    assert_eq!(record, [7; 3 * MAX_BLOCK_BYTES]);
    reader.finish()
}

#[test]
fn codec_metadata_round_trips() {
    let bytes = encode_metadata(&sample()).expect("encodes");
    assert_eq!(decode_metadata(&bytes), Ok(sample()));
}

/// Who had finished has no entry, not even one without state, in a checkpoint as in a savepoint.
#[test]
fn codec_metadata_of_checkpoints_and_savepoints_tells_who_had_finished() {
    for kind in [CheckpointKind::Periodic, CheckpointKind::Savepoint] {
        let mut metadata = sample();
        metadata.checkpoint.kind = kind;
        metadata.checkpoint.states.remove(&SubtaskId::new(1, 0));
        let decoded = decode_metadata(&encode_metadata(&metadata).expect("encodes")).expect("decodes");
        assert_eq!(decoded, metadata);
        let had_finished = [0, 1].map(|index| decoded.checkpoint.had_finished(SubtaskId::new(1, index)));
        assert_eq!(had_finished, [true, false], "{kind}");
    }
}

#[test]
fn codec_metadata_bytes_are_those_of_version_3() {
    let bytes = encode_metadata(&sample()).expect("encodes");
    let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, include_str!("fixtures/metadata_v3.hex").trim());
}

/// The sample as it was when all state lay in files.
fn sample_in_files() -> CheckpointMetadata {
    let mut sample = sample();
    sample.operators[0].parallelism = 2;
    sample.checkpoint.states.remove(&SubtaskId::new(1, 2));
    sample
}

fn from_hex(hex: &str) -> Vec<u8> {
    let hex = hex.trim();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hex")).collect()
}

#[test]
fn codec_metadata_of_version_2_is_read_as_one_without_inline_state() {
    let bytes = from_hex(include_str!("fixtures/metadata_v2.hex"));
    assert_eq!(decode_metadata(&bytes), Ok(sample_in_files()));
}

#[test]
fn codec_metadata_of_version_1_is_read_as_one_without_shared_files() {
    let bytes = from_hex(include_str!("fixtures/metadata_v1.hex"));
    let mut expected = sample_in_files();
    expected.checkpoint.shared.clear();
    assert_eq!(decode_metadata(&bytes), Ok(expected));
}

#[test]
fn codec_metadata_with_any_flipped_bit_is_corrupt() {
    let bytes = encode_metadata(&sample()).expect("encodes");
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let corrupt = decode_metadata(&damaged).expect_err("the flip of one bit");
        // One version may become another, which the first block does not go with.
        let at = if (8..10).contains(&(bit / 8)) { 10 } else { bit / 8 };
        assert!(corrupt.offset <= at as u64, "bit {bit}: {corrupt}");
    }
}

#[test]
fn codec_metadata_of_any_other_length_is_corrupt() {
    let bytes = encode_metadata(&sample()).expect("encodes");
    for length in 0..bytes.len() {
        let corrupt = decode_metadata(&bytes[..length]).expect_err("truncated");
        assert_eq!(corrupt.offset, length as u64, "{corrupt}");
    }
    for tail in [&[0][..], &[0; 100], &bytes.clone()] {
        let longer = [&bytes[..], tail].concat();
        let corrupt = decode_metadata(&longer).expect_err("a tail");
        assert_eq!(corrupt, Corrupt::at(bytes.len() as u64, "there are bytes behind the end marker"));
    }
    let mut zeroed = bytes.clone();
    for from in (0..bytes.len()).rev().filter(|&from| bytes[from] != 0) {
        zeroed[from..].fill(0);
        assert!(decode_metadata(&zeroed).is_err(), "zero-filled from {from}");
    }
}

#[test]
fn codec_file_of_several_blocks_round_trips_and_detects_damage_anywhere() {
    let bytes = large();
    assert!(bytes.len() > 6 * MAX_BLOCK_BYTES);
    read_large(&bytes).expect("intact");
    for at in (0..bytes.len()).step_by(997) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert!(matches!(read_large(&damaged), Err(CodecError::Corrupt(c)) if c.offset <= at as u64), "{at}");
        assert!(matches!(read_large(&bytes[..at]), Err(CodecError::Corrupt(c)) if c.offset == at as u64));
    }
}

#[test]
fn codec_blocks_exchanged_or_dropped_are_corrupt() {
    // Blocks of equal length and, but for their place, equal standing.
    let mut writer = BlockWriter::new(Vec::new(), FileKind::State).expect("memory");
    for fill in 1..=3u8 {
        writer.write_all(&[fill; MAX_BLOCK_BYTES]).expect("memory");
    }
    let bytes = writer.finish().expect("memory");
    let read = |bytes: &[u8]| {
        let mut reader = BlockReader::new(bytes, FileKind::State).expect("header");
        reader.read_to_end(&mut Vec::new())
    };
    assert_eq!(read(&bytes).expect("intact"), 3 * MAX_BLOCK_BYTES);
    let block = |n: usize| &bytes[10 + n * (MAX_BLOCK_BYTES + 8)..][..MAX_BLOCK_BYTES + 8];
    let (header, end) = (&bytes[..10], &bytes[bytes.len() - 8..]);
    for wrong in [
        [header, block(1), block(0), block(2), end].concat(),
        [header, block(0), block(2), end].concat(),
        [header, block(0), block(1), block(1), block(2), end].concat(),
        [header, block(0), block(1), end].concat(),
    ] {
        assert_eq!(read(&wrong).expect_err("blocks out of place").kind(), ErrorKind::InvalidData);
    }
}

#[test]
fn codec_file_of_another_kind_is_refused_by_name() {
    let bytes = encode_document(FileKind::Pointer, &1u8).expect("encodes");
    let corrupt = decode_metadata(&bytes).expect_err("a pointer");
    assert_eq!(corrupt.to_string(), "corrupt at byte 0: this is not a Snapline metadata file");
    let mut newer = bytes;
    newer[8] = 2;
    let corrupt = decode_document::<u8>(FileKind::Pointer, &newer).expect_err("version 2");
    assert!(corrupt.to_string().contains("version 2, this release reads 1"), "{corrupt}");
}

#[test]
fn codec_record_that_claims_to_be_huge_allocates_only_what_is_there() {
    let mut writer = BlockWriter::new(Vec::new(), FileKind::State).expect("memory");
    writer.write_varint(u64::MAX).expect("memory");
    writer.write_all(b"little").expect("memory");
    let bytes = writer.finish().expect("memory");
    let mut reader = BlockReader::new(&bytes[..], FileKind::State).expect("header");
    let mut record = Vec::new();
    assert!(matches!(reader.append_record_to(&mut record), Err(CodecError::Corrupt(_))));
    assert!(record.capacity() <= MAX_BLOCK_BYTES, "{}", record.capacity());
}

proptest! {
    #[test]
    fn codec_random_bytes_are_corrupt(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(decode_metadata(&bytes).is_err());
    }

    /// A valid frame around random content: the checksums are right, the value is not.
    #[test]
    fn codec_random_content_in_a_valid_frame_never_panics(
        content in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let mut writer = BlockWriter::new(Vec::new(), FileKind::Metadata).expect("memory");
        writer.write_record(&content).expect("memory");
        let bytes = writer.finish().expect("memory");
        if let Ok(metadata) = decode_metadata(&bytes) {
            let again = encode_metadata(&metadata).expect("encodes");
            prop_assert_eq!(decode_metadata(&again), Ok(metadata));
        }
    }

    #[test]
    fn codec_varint_round_trips(value: u64, tail: u8) {
        let mut bytes = Vec::new();
        append_varint(&mut bytes, value);
        bytes.push(tail);
        let mut rest = &bytes[..];
        prop_assert_eq!(take_varint(&mut rest), Some(value));
        prop_assert_eq!(rest, &[tail][..]);
    }
}
