//! What is promised of names, listings and damage.

use crate::*;
use snapline::base::*;
use snapline::publish::PointerSequence;
use snapline::store::*;

/// H23, H26
#[test]
fn object_store_has_the_names_and_bytes_of_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let files = FileSystemCheckpointStorage::open(directory.path(), JOB).unwrap();
    let (server, objects) = served();
    write_one_of_each(&files);
    write_one_of_each(&objects);
    let expected = files_under(files.directory(), files.directory());
    let content = |name| {
        let content = server.bucket.get(&format!("some/directory/{JOB}/{name}")).unwrap();
        (name, content)
    };
    let found: Vec<_> = objects_of_the_job(&server.bucket).into_iter().map(content).collect();
    assert_eq!(expected.len(), 7);
    assert_eq!(found, expected);
    let name = format!("s3://checkpoints/some/directory/{JOB}/chk-7/1-3-2.state");
    assert_eq!(objects.state_name(file(7, 3)), name);
}

#[test]
fn object_store_lists_and_deletes_more_than_a_page() {
    let (server, storage) = served();
    for id in 1..=10 {
        write(&storage, file(id, 0), b"x").unwrap();
        storage.put_pointer(PointerSequence(id), &pointer()).unwrap();
    }
    for index in 1..10 {
        write(&storage, file(5, index), b"x").unwrap();
    }
    let uploads = (0..10).map(|upload| SharedObject { upload, ..shared(b"sst") });
    for object in uploads.clone() {
        storage.put_shared(&object, &mut &b"sst"[..]).unwrap();
    }
    let before = server.bucket.pages();
    let listing = storage.list().unwrap();
    assert!(server.bucket.pages() > before + 2, "the server gives a few names at a time");
    assert_eq!(listing.checkpoints, (1..=10).map(CheckpointId).collect());
    assert_eq!(listing.pointers, (1..=10).map(PointerSequence).collect());
    assert_eq!(storage.list_shared().unwrap(), uploads.collect());
    storage.delete_checkpoint(CheckpointId(5)).unwrap();
    let left = objects_of_the_job(&server.bucket);
    assert!(!left.iter().any(|name| name.starts_with("chk-5/")), "{left:?}");
    assert_eq!(left.len(), 10 + 9 + 10);
}

#[test]
fn object_store_foreign_names_are_ignored() {
    let (server, storage) = served();
    write_one_of_each(&storage);
    let before = (storage.list().unwrap(), storage.list_shared().unwrap());
    for foreign in ["notes.txt", "chk-x/_metadata", "chk-01/x", "pointers/17", "shared/notes.txt", "chk-9"] {
        server.bucket.put(&format!("some/directory/{JOB}/{foreign}"), b"?");
    }
    // The job whose name begins like that of this one.
    server.bucket.put(&format!("some/directory/{JOB}0/chk-1/_metadata"), b"?");
    assert_eq!((storage.list().unwrap(), storage.list_shared().unwrap()), before);
}

#[test]
fn object_store_object_with_a_flipped_bit_or_truncated_is_corrupt() {
    let (server, storage) = served();
    let handle = write_one_of_each(&storage);
    type Reading<'a> = &'a dyn Fn() -> Option<StorageError>;
    let all: [(&str, Reading<'_>); 3] = [
        ("chk-7/1-3-2.state", &|| read(&storage, &handle).err()),
        ("chk-7/_metadata", &|| storage.read_metadata(CheckpointId(7)).err()),
        ("pointers/00000000000000000005", &|| storage.read_pointer(PointerSequence(5)).err()),
    ];
    for (name, reading) in all {
        let key = format!("some/directory/{JOB}/{name}");
        let intact = server.bucket.get(&key).unwrap();
        assert!(reading().is_none());
        let is_corrupt = |damaged: &[u8]| {
            server.bucket.put(&key, damaged);
            let error = reading().unwrap_or_else(|| panic!("{damaged:?} passed for {name}"));
            assert!(matches!(error, StorageError::Corrupt { .. }), "{name}: {error}");
            assert_eq!(error.object(), format!("s3://checkpoints/{key}"));
        };
        for at in 0..intact.len() {
            let mut damaged = intact.clone();
            damaged[at] ^= 1 << (at % 8);
            is_corrupt(&damaged);
            is_corrupt(&intact[..at]);
        }
        is_corrupt(&[&intact[..], &[0]].concat());
    }
}

/// Callers that must not wait for a runtime, since they are in one, are answered all the same.
#[test]
fn object_store_may_be_used_and_dropped_by_asynchronous_callers() {
    let server = S3Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let storage = open(&server, &server.options());
        let handle = write_one_of_each(&storage);
        let mut unfinished = storage.create_state(file(9, 0)).unwrap();
        std::io::Write::write_all(&mut unfinished, &bytes(LARGE_BYTES)).unwrap();
        assert_eq!(read(&storage, &handle).unwrap(), b"some state");
    });
    assert_eq!(server.bucket.open_uploads(), 0);
}
