//! Files that are larger than the buffer of their writer.

use crate::{LARGE_BYTES, bytes, file, objects_of_the_job, open, read, served, shared, write};
use snapline::base::SharedObject;
use snapline::store::*;
use std::io::{Read, Write};

#[test]
fn object_store_large_files_go_in_parts_and_come_back_in_pieces() {
    let (server, _) = served();
    let content = bytes(LARGE_BYTES);
    for read_bytes in [1024 * 1024, LARGE_BYTES, 2 * LARGE_BYTES] {
        let storage = open(&server, &ObjectStoreOptions { read_bytes, ..server.options() });
        let checkpoint = read_bytes as u64;
        server.plan(|_, _| None);
        let handle = write(&storage, file(checkpoint, 0), &content).unwrap();
        assert_eq!(
            (server.requests("POST"), server.requests("PUT")),
            (2, 3),
            "begun, three parts, completed"
        );
        assert_eq!((handle.bytes, handle.checksum), (LARGE_BYTES as u64, crc32c::crc32c(&content)));
        assert!(read(&storage, &handle).unwrap() == content);
        assert_eq!(server.requests("GET"), LARGE_BYTES.div_ceil(read_bytes) as u64);
        let object = SharedObject { upload: checkpoint, ..shared(&content) };
        storage.put_shared(&object, &mut &content[..]).unwrap();
        let mut found = Vec::new();
        storage.read_shared(&object).unwrap().read_to_end(&mut found).unwrap();
        assert!(found == content);
    }
    assert_eq!(server.bucket.open_uploads(), 0);
}

/// What fits into the buffer exactly is one request, and one byte more is an upload in parts.
#[test]
fn object_store_file_that_fits_into_the_buffer_is_written_at_once() {
    let (server, storage) = served();
    let most = ObjectStoreOptions::MIN_WRITE_BUFFER_BYTES;
    for (checkpoint, length, uploads) in [(1, 0, 0), (2, most, 0), (3, most + 1, 1)] {
        let content = bytes(length);
        let handle = write(&storage, file(checkpoint, 0), &content).unwrap();
        assert!(read(&storage, &handle).unwrap() == content);
        assert_eq!(server.bucket.uploads_begun(), uploads, "for {length} bytes");
    }
}

/// H08
#[test]
fn object_store_upload_that_is_not_finished_leaves_nothing() {
    let (server, storage) = served();
    for length in [1, LARGE_BYTES] {
        let mut writer = storage.create_state(file(1, 0)).unwrap();
        writer.write_all(&bytes(length)).unwrap();
        assert_eq!(objects_of_the_job(&server.bucket), Vec::<String>::new());
        drop(writer);
    }
    let content = bytes(LARGE_BYTES);
    // The content ends too early, is too long, or fails on the way.
    for wrong in [&content[1..], &[&content[..], b"x"].concat()] {
        storage.put_shared(&shared(&content), &mut &wrong[..]).unwrap_err();
    }
    let mut failing = content[1..].chain(Failing);
    let error = storage.put_shared(&shared(&content), &mut failing).unwrap_err();
    assert!(error.to_string().contains("planned"), "{error}");
    assert_eq!(objects_of_the_job(&server.bucket), Vec::<String>::new());
    assert_eq!((server.bucket.uploads_begun(), server.bucket.open_uploads()), (4, 0));
}

struct Failing;

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("planned"))
    }
}

/// G07
#[test]
fn object_store_upload_under_a_taken_name_is_refused_and_leaves_the_first() {
    let (server, storage) = served();
    let first = write(&storage, file(1, 0), b"first").unwrap();
    for length in [5, LARGE_BYTES] {
        let refused = write(&storage, file(1, 0), &bytes(length)).unwrap_err();
        assert!(matches!(refused, StorageError::Unavailable { .. }), "{refused}");
        assert!(refused.to_string().contains("attempt numbers must be unique"), "{refused}");
    }
    assert_eq!(read(&storage, &first).unwrap(), b"first");
    assert_eq!((server.bucket.uploads_begun(), server.bucket.open_uploads()), (1, 0));
}
