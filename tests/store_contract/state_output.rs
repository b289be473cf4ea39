//! State goes into a file, or with its handle.

use super::*;

/// A threshold, and a buffer that is smaller.
const SIZES: OutputSizes = OutputSizes { inline_threshold_bytes: 100, write_buffer_bytes: 30 };

fn output(storage: &dyn CheckpointStorage, index: u16, sizes: OutputSizes) -> StateOutput<'_> {
    StateOutput::new(storage, file(1, index), sizes)
}

/// Writes `bytes` in pieces.
fn write(storage: &dyn CheckpointStorage, index: u16, bytes: &[u8], piece: usize) -> Option<StateHandle> {
    let mut output = output(storage, index, SIZES);
    bytes.chunks(piece).for_each(|piece| output.write_all(piece).expect("writes"));
    output.finish().expect("finishes")
}

fn is_inline(handle: &StateHandle) -> bool {
    handle.inline.is_some()
}

#[test]
fn output_of_nothing_is_neither_a_handle_nor_a_file() {
    with_files(|storage| {
        assert_eq!(write(storage, 0, b"", 1), None);
        assert!(!storage.directory().join("chk-1").exists());
    });
}

#[test]
fn output_up_to_the_threshold_is_inline_and_longer_output_is_a_file() {
    let bytes: Vec<u8> = (0..=255).collect();
    with_files(|storage| {
        for (length, in_file) in [(1, false), (99, false), (100, false), (101, true), (256, true)] {
            for piece in [1, 7, 30, 31, 100, 101, 256] {
                let handle = write(storage, 0, &bytes[..length], piece).expect("state");
                assert_eq!(is_inline(&handle), !in_file, "{length} bytes, in pieces of {piece}");
                assert_eq!(storage.state_path(file(1, 0)).exists(), in_file);
                assert_eq!(handle.stored_file(), in_file.then_some(file(1, 0)));
                assert_eq!(
                    (handle.bytes, handle.checksum),
                    (length as u64, crc32c::crc32c(&bytes[..length]))
                );
                assert_eq!(read_state(storage, &handle).expect("reads"), bytes[..length]);
                storage.delete_state(file(1, 0)).expect("deletes");
            }
        }
    });
}

/// H06
#[test]
fn output_with_a_threshold_of_zero_is_always_a_file() {
    with_files(|storage| {
        for write_buffer_bytes in [0, 1, 30] {
            let mut output =
                output(storage, 0, OutputSizes { inline_threshold_bytes: 0, write_buffer_bytes });
            output.write_all(&[7]).expect("writes");
            let handle = output.finish().expect("finishes").expect("state");
            assert_eq!(handle.stored_file(), Some(file(1, 0)));
            assert_eq!(read_state(storage, &handle).expect("reads"), [7]);
            storage.delete_state(file(1, 0)).expect("deletes");
        }
    });
}

#[test]
fn output_of_different_sizes_side_by_side_gives_the_right_kinds_of_handles() {
    on_all(|storage| {
        let lengths = [1_usize, 500, 100, 101, 20, 64 * 1024];
        let mut outputs: Vec<_> = (0..).zip(lengths).map(|(n, _)| output(storage, n, SIZES)).collect();
        for round in 0..16 {
            for (output, length) in outputs.iter_mut().zip(lengths) {
                let piece = length.div_ceil(16);
                let piece = piece.min(length.saturating_sub(round * piece));
                output.write_all(&vec![round as u8; piece]).expect("writes");
            }
        }
        for (output, length) in outputs.into_iter().zip(lengths) {
            let handle = output.finish().expect("finishes").expect("state");
            let may_be_inline = storage.max_inline_bytes() > 0;
            assert_eq!(is_inline(&handle), may_be_inline && length <= 100, "{length}");
            assert_eq!(handle.bytes, length as u64);
            assert_eq!(read_state(storage, &handle).expect("reads").len(), length);
        }
    });
}

#[test]
fn output_into_the_memory_of_the_job_manager_meets_its_limit_however_small_it_is() {
    let storage = JobManagerCheckpointStorage::with_limits(
        JOB,
        JobManagerLimits { max_state_bytes: 10, ..JobManagerLimits::default() },
    );
    let mut output = output(&storage, 0, SIZES);
    output.write_all(&[1; 11]).expect("fits into the buffer");
    let refused = output.finish().expect_err("11 bytes");
    assert!(matches!(refused, StorageError::TooLarge { bytes: 11, limit: 10, .. }), "{refused}");
}

#[test]
fn output_that_is_dropped_leaves_nothing() {
    with_files(|storage| {
        for length in [10, 1000] {
            let mut output = output(storage, 0, SIZES);
            output.write_all(&vec![1; length]).expect("writes");
            drop(output);
            assert_eq!(files_under(storage.directory()), Vec::<String>::new());
        }
    });
}

#[test]
fn output_that_is_inline_is_compared_with_its_handle_when_it_is_read() {
    on_all(|storage| {
        let handle = StateHandle {
            file: file(1, 0),
            bytes: 6,
            checksum: crc32c::crc32c(b"little"),
            inline: Some(b"little".to_vec().into()),
        };
        assert_eq!(read_state(storage, &handle).expect("reads"), b"little");
        for wrong in [
            StateHandle { bytes: 5, ..handle.clone() },
            StateHandle { checksum: 1, ..handle.clone() },
            StateHandle { inline: Some(b"litt1e".to_vec().into()), ..handle.clone() },
        ] {
            let refused = read_state(storage, &wrong).expect_err("another one");
            assert!(matches!(refused, StorageError::Corrupt { .. }), "{refused}");
            assert!(refused.to_string().contains("1-0-2.state (inline in the metadata)"), "{refused}");
        }
    });
}

#[cfg(feature = "testkit")]
mod on_disk {
    use super::*;
    use crate::disk::{Watched, on_watched};

    #[test]
    fn output_is_written_in_pieces_of_the_buffer() {
        let lengths = |write_buffer_bytes| {
            let watched = Watched::new();
            on_watched(&watched, |storage| {
                let mut output =
                    output(storage, 0, OutputSizes { inline_threshold_bytes: 20, write_buffer_bytes });
                (0..100).for_each(|_| output.write_all(&[7; 10]).expect("writes"));
                output.write_all(&[7; 1000]).expect("writes");
                output.write_all(&[7; 10]).expect("writes");
                assert_eq!(output.finish().expect("finishes").expect("state").bytes, 2010);
            });
            watched.lengths()
        };
        assert_eq!(lengths(400), [0, 400, 800, 1000, 2000]);
        assert_eq!(lengths(0)[..3], [0, 20, 40], "the threshold is more");
        assert_eq!(lengths(5000), [0]);
    }

    #[test]
    fn output_of_which_a_write_has_failed_is_never_finished() {
        for broken in [FileOperation::Create, FileOperation::Write] {
            let watched = Watched::breaking(broken);
            on_watched(&watched, |storage| {
                for length in [50, 1000] {
                    let mut output = output(storage, 0, SIZES);
                    output.write_all(&[1; 100]).expect("fits into the buffer");
                    let error = output.write_all(&vec![1; length]).expect_err("the storage refuses");
                    let error = StorageError::from_io("", error).to_string();
                    assert!(error.contains("the disk is full") && error.contains("1-0-2.state"), "{error}");
                    let refused = output.finish().expect_err("there is a hole").to_string();
                    assert!(refused.contains("an earlier write of this"), "{refused}");
                }
                let mut output = output(storage, 0, OutputSizes { inline_threshold_bytes: 0, ..SIZES });
                output.write_all(&[1; 5]).expect("fits into the buffer");
                let refused = output.finish().expect_err("the storage refuses").to_string();
                assert!(refused.contains("the disk is full"), "{refused}");
            });
        }
    }
}
