//! What lies on the disk of the server.

use crate::web_dav::Quirk;
use crate::*;
use snapline::base::*;
use snapline::publish::PointerSequence;
use snapline::store::Meaning;
use std::fs;
use std::io::Write;
use std::thread;

/// H23, H26
#[test]
fn web_dav_has_the_names_and_bytes_of_the_file_system() {
    let directory = tempfile::tempdir().unwrap();
    let files = FileSystemCheckpointStorage::open(directory.path(), JOB).unwrap();
    let (server, storage) = served();
    write_one_of_each(&files);
    write_one_of_each(&storage);
    let expected = files_under(files.directory(), files.directory());
    let on_the_server = directory_of_the_job(&server);
    fs::remove_file(on_the_server.join("conditional-put")).unwrap();
    assert_eq!(expected.len(), 7);
    assert_eq!(files_under(&on_the_server, &on_the_server), expected);
    let name = format!("{}/{JOB}/chk-7/1-3-2.state", server.url());
    assert_eq!(storage.state_name(file(7, 3)), name);
}

/// A small file is sent once and moved once.
#[test]
fn web_dav_put_is_one_request_and_a_move() {
    let (server, storage) = served();
    write(&storage, file(1, 0), b"makes the directory").unwrap();
    server.plan(|_, _| None);
    write(&storage, file(1, 1), b"some state").unwrap();
    let requests = ["PUT", "MOVE", "MKCOL", "DELETE", "COPY"].map(|method| server.requests(method));
    assert_eq!(requests, [1, 1, 0, 0, 0]);
}

/// HTTP has no uploads in parts: nothing is sent before the last byte is there, and then all at once.
#[test]
fn web_dav_large_files_are_sent_whole_and_come_back_in_pieces() {
    let (server, _) = served();
    let content = bytes(LARGE_BYTES);
    for read_bytes in [1024 * 1024, 2 * LARGE_BYTES] {
        let storage = open(&server, &ObjectStoreOptions { read_bytes, ..server.options() });
        let mut writer = storage.create_state(file(read_bytes as u64, 0)).unwrap();
        server.plan(|_, _| None);
        writer.write_all(&content).unwrap();
        assert_eq!(server.requests("PUT"), 0);
        let handle = writer.finish().unwrap();
        assert_eq!(
            (server.requests("PUT"), server.requests("MOVE")),
            (3, 1),
            "to make the directory, twice, and all"
        );
        assert_eq!((handle.bytes, handle.checksum), (LARGE_BYTES as u64, crc32c::crc32c(&content)));
        assert!(read(&storage, &handle).unwrap() == content);
        assert_eq!(server.requests("GET"), LARGE_BYTES.div_ceil(read_bytes) as u64);
    }
}

/// H08
#[test]
fn web_dav_file_that_is_not_finished_leaves_nothing() {
    let (server, storage) = served();
    for length in [1, LARGE_BYTES] {
        let mut writer = storage.create_state(file(1, 0)).unwrap();
        writer.write_all(&bytes(length)).unwrap();
        drop(writer);
        assert_eq!(files_of_the_job(&server), Vec::<String>::new());
    }
}

/// G07
#[test]
fn web_dav_file_under_a_taken_name_is_refused_and_leaves_the_first() {
    let (server, storage) = served();
    let first = write(&storage, file(1, 0), b"first").unwrap();
    for length in [5, LARGE_BYTES] {
        let refused = write(&storage, file(1, 0), &bytes(length)).unwrap_err();
        assert!(matches!(refused, StorageError::Unavailable { .. }), "{refused}");
        assert!(refused.to_string().contains("attempt numbers must be unique"), "{refused}");
    }
    assert_eq!(read(&storage, &first).unwrap(), b"first");
    assert_eq!(files_of_the_job(&server), ["chk-1/1-0-2.state"]);
}

#[test]
fn web_dav_checkpoint_that_is_deleted_leaves_no_directory() {
    let (server, storage) = served();
    write_one_of_each(&storage);
    let deep = directory_of_the_job(&server).join("chk-7/somebody's");
    fs::create_dir(&deep).unwrap();
    fs::write(deep.join("notes.txt"), b"?").unwrap();
    storage.delete_checkpoint(CheckpointId(7)).unwrap();
    assert!(!directory_of_the_job(&server).join("chk-7").exists());
    assert_eq!(storage.list().unwrap().checkpoints, [].into());
    assert_eq!(storage.list_shared().unwrap().len(), 1);
}

/// A URL has its names encoded; those in messages and on the disk are not.
#[test]
fn web_dav_directory_with_special_characters_is_found_again() {
    let server = WebDavServer::start();
    let url = format!("{}/50%25%20of%20it", server.url());
    let storage = ObjectStoreCheckpointStorage::open(&url, JOB, &server.options()).unwrap();
    let handle = write_one_of_each(&storage);
    assert_eq!(read(&storage, &handle).unwrap(), b"some state");
    assert_eq!(storage.list().unwrap().checkpoints, [CheckpointId(7)].into());
    let directory = server.path().join(format!("50% of it/{JOB}"));
    assert_eq!(files_under(&directory, &directory).len(), 8);
    assert_eq!(fs::read_dir(server.path()).unwrap().count(), 1, "nothing lies under another name");
    storage.delete_checkpoint(CheckpointId(7)).unwrap();
    assert_eq!(storage.list().unwrap().checkpoints, [].into());
}

/// Many subtasks find that the directory of a checkpoint, and that of the job, are missing, and all make them.
#[test]
fn web_dav_directories_that_many_make_at_once_are_made() {
    for quirk in [Quirk::None, Quirk::ForbidsToMakeAgain] {
        let server = WebDavServer::with(quirk);
        for id in 0..8 {
            let job = JobId(100 + u128::from(id));
            let location = ObjectStoreLocation::open(&server.url(), &server.options()).unwrap();
            let storage = ObjectStoreCheckpointStorage::new(location, job, &server.options()).unwrap();
            // Each request is sent once.
            let once = ObjectStoreOptions { max_retries: 0, ..server.options() };
            let storages =
                [&storage, &ObjectStoreCheckpointStorage::open(&server.url(), job, &once).unwrap()];
            thread::scope(|scope| {
                for index in 0..8 {
                    let storage = storages[usize::from(index) % 2];
                    scope.spawn(move || write(storage, file(id, index), b"some state").unwrap());
                }
            });
            assert_eq!(fs::read_dir(server.path().join(format!("{job}/chk-{id}"))).unwrap().count(), 8);
        }
    }
}

/// What a process leaves that is killed between the put and the move is no object of the job, and `gc` may delete it.
#[test]
fn web_dav_temporary_names_that_are_left_are_not_listed_and_are_known_as_such() {
    let (server, _) = served();
    let storage = open(&server, &ObjectStoreOptions { max_retries: 0, ..server.options() });
    write_one_of_each(&storage);
    let before = (storage.list().unwrap(), storage.list_shared().unwrap());
    server.plan(|method, _| matches!(method, "MOVE" | "DELETE").then_some(web_dav::Fault::Closed));
    storage.put_metadata(&job().metadata(checkpoint(9))).unwrap_err();
    storage.put_pointer(PointerSequence(6), &pointer()).unwrap_err();
    write(&storage, file(7, 4), b"some state").unwrap_err();
    storage.put_shared(&SharedObject { upload: 1, ..shared(b"sst") }, &mut &b"sst"[..]).unwrap_err();
    server.plan(|_, _| None);
    assert_eq!(storage.list_shared().unwrap(), before.1);
    let mut listing = storage.list().unwrap();
    assert!(listing.checkpoints.remove(&CheckpointId(9)), "its directory is there");
    assert_eq!(listing, before.0);
    let files = FileSystemCheckpointStorage::open(server.path(), JOB).unwrap();
    let left = || {
        let found = files.files().unwrap().into_iter().map(|found| found.meaning);
        found.filter(|meaning| matches!(meaning, Meaning::Temporary(_))).collect::<Vec<_>>()
    };
    let temporary = |meaning| Meaning::Temporary(Some(Box::new(meaning)));
    let of_checkpoints = [
        temporary(Meaning::State(file(7, 4))),
        temporary(Meaning::Metadata(Place::Checkpoint(CheckpointId(9)))),
    ];
    let others = [
        temporary(Meaning::Pointer(PointerSequence(6))),
        temporary(Meaning::Shared(SharedObject { upload: 1, ..shared(b"sst") })),
    ];
    assert_eq!(left(), [&of_checkpoints[..], &others[..]].concat());
    for id in [7, 9] {
        storage.delete_checkpoint(CheckpointId(id)).unwrap();
    }
    assert_eq!(left(), others);
}
