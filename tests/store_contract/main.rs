//! What every checkpoint storage promises, run against all of them, and what only files can go through.
#![cfg(feature = "runtime")]
#![allow(clippy::disallowed_methods)]

#[cfg(feature = "testkit")]
mod disk;
#[cfg(feature = "etcd")]
#[path = "../support/etcd/mod.rs"]
mod etcd;
mod files;
#[cfg(feature = "s3")]
#[path = "../support/s3/mod.rs"]
mod s3;
mod savepoints_and_shared_files;
mod state_output;
#[cfg(feature = "http")]
#[path = "../support/web_dav/mod.rs"]
mod web_dav;

use proptest::prelude::*;
use snapline::base::*;
use snapline::codec::{CheckpointMetadata, OperatorMetadata, encode_metadata};
use snapline::publish::{Answer, Operation, Pointer, PointerKind, PointerSequence};
use snapline::store::*;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::{Arc, Barrier};
use std::thread;

const JOB: JobId = JobId(0xabc);

fn file(checkpoint: u64, index: u16) -> StateFile {
    let (checkpoint, subtask) = (CheckpointId(checkpoint), SubtaskId::new(1, index));
    StateFile { checkpoint, subtask, attempt: Attempt(2), savepoint: false }
}

fn job() -> JobDescription {
    let operator =
        OperatorMetadata { uid: "u".into(), name: "n".into(), parallelism: 1, max_parallelism: 128 };
    JobDescription { job: JOB, operators: vec![operator] }
}

fn checkpoint(id: u64, attempt: u32) -> CompletedCheckpoint {
    CompletedCheckpoint {
        id: CheckpointId(id),
        attempt: Attempt(attempt),
        kind: CheckpointKind::Periodic,
        states: [(SubtaskId::new(1, 0), None)].into(),
        shared: [].into(),
    }
}

fn metadata(id: u64) -> CheckpointMetadata {
    job().metadata(checkpoint(id, 2))
}

fn pointer(incarnation: u64) -> Pointer {
    let kind = PointerKind::Claim;
    Pointer {
        kind,
        attempt: Attempt(1),
        incarnation: Incarnation(incarnation),
        newest: None,
        older: [CheckpointId(7)].into(),
    }
}

fn write_state(storage: &dyn CheckpointStorage, file: StateFile, bytes: &[u8]) -> StateHandle {
    let mut writer = storage.create_state(file).expect("creates");
    writer.write_all(bytes).expect("writes");
    writer.finish().expect("finishes")
}

fn read_state(storage: &dyn CheckpointStorage, handle: &StateHandle) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    let read = storage.read_state(handle)?.read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| StorageError::from_io("?", error))
}

fn on_all(body: impl Fn(&dyn CheckpointStorage)) {
    with_files(|storage| body(storage));
    body(&JobManagerCheckpointStorage::new(JOB));
    #[cfg(feature = "object-store")]
    on_object_stores(&body);
    on_high_availability_stores(&|pointers| {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Arc::new(FileSystemCheckpointStorage::open(directory.path(), JOB).expect("opens"));
        body(&HighlyAvailableCheckpointStorage::open(files, pointers).expect("opens"));
    });
}

/// All stores for the log of pointers, empty ones.
fn on_high_availability_stores(body: &dyn Fn(Arc<dyn HighAvailabilityStore>)) {
    let (directory, cluster) = (tempfile::tempdir().expect("a directory"), ClusterId::default());
    let files = FileSystemHighAvailabilityStore::open(directory.path(), &cluster, JOB);
    body(Arc::new(files.expect("opens")));
    #[cfg(feature = "object-store")]
    {
        let store = Arc::new(object_store::memory::InMemory::new());
        let location = ObjectStoreLocation::new(store, "some/directory").expect("a name");
        let options = ObjectStoreOptions::default();
        let store = ObjectStoreHighAvailabilityStore::new(location, &cluster, JOB, &options);
        body(Arc::new(store.expect("opens")));
    }
    #[cfg(feature = "http")]
    {
        let server = web_dav::WebDavServer::start();
        let store = ObjectStoreHighAvailabilityStore::open(&server.url(), &cluster, JOB, &server.options());
        body(Arc::new(store.expect("opens")));
    }
    #[cfg(feature = "etcd")]
    {
        let server = etcd::shared();
        let options = EtcdOptions { root: etcd::new_root(), ..server.options() };
        body(Arc::new(EtcdHighAvailabilityStore::open(&options, &cluster, JOB).expect("opens")));
    }
}

/// Stores of the crate `object_store`, a server that speaks the protocol of S3, and one that speaks WebDAV.
#[cfg(feature = "object-store")]
fn on_object_stores(body: &dyn Fn(&dyn CheckpointStorage)) {
    use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};

    let directory = tempfile::tempdir().expect("a directory");
    let files = LocalFileSystem::new_with_prefix(directory.path()).expect("opens");
    let files = files.with_fsync(true).with_automatic_cleanup(true);
    let stores: [Arc<dyn ObjectStore>; 2] = [Arc::new(InMemory::new()), Arc::new(files)];
    let options = ObjectStoreOptions::default();
    for store in stores {
        let location = ObjectStoreLocation::new(store, "some/directory").expect("a name");
        body(&ObjectStoreCheckpointStorage::new(location, JOB, &options).expect("opens"));
    }
    #[cfg(feature = "s3")]
    {
        let server = s3::S3Server::start();
        body(&ObjectStoreCheckpointStorage::open(&server.url(), JOB, &server.options()).expect("opens"));
    }
    #[cfg(feature = "http")]
    {
        let server = web_dav::WebDavServer::start();
        body(&ObjectStoreCheckpointStorage::open(&server.url(), JOB, &server.options()).expect("opens"));
    }
}

fn with_files(body: impl Fn(&FileSystemCheckpointStorage)) {
    let directory = tempfile::tempdir().expect("a directory");
    body(&FileSystemCheckpointStorage::open(directory.path(), JOB).expect("opens"));
}

/// All files under `path`, relative to it.
fn files_under(path: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(path).expect("a directory").map(|entry| entry.expect("an entry")) {
        let name = entry.file_name().into_string().expect("text");
        match entry.file_type().expect("a type").is_dir() {
            true => found.extend(files_under(&entry.path()).iter().map(|inner| format!("{name}/{inner}"))),
            false => found.push(name),
        }
    }
    found.sort();
    found
}

#[test]
fn store_state_round_trips_with_length_and_checksum() {
    on_all(|storage| {
        let handle = write_state(storage, file(1, 0), b"some state");
        let expected = StateHandle {
            file: file(1, 0),
            bytes: 10,
            checksum: crc32c::crc32c(b"some state"),
            inline: None,
        };
        assert_eq!(handle, expected);
        assert_eq!(read_state(storage, &handle).expect("reads"), b"some state");
        let empty = write_state(storage, file(1, 1), b"");
        assert_eq!(read_state(storage, &empty).expect("reads"), b"");
    });
}

#[test]
fn store_state_unfinished_is_not_visible_and_leaves_nothing() {
    with_files(|storage| {
        let mut writer = storage.create_state(file(1, 0)).expect("creates");
        writer.write_all(b"part").expect("writes");
        assert!(!storage.state_path(file(1, 0)).exists());
        drop(writer);
        assert_eq!(files_under(storage.directory()), Vec::<String>::new());
        assert!(storage.directory().join("chk-1").is_dir(), "H12: the directory stays");
    });
    on_all(|storage| {
        drop(storage.create_state(file(1, 0)).expect("creates"));
        let handle = StateHandle { file: file(1, 0), bytes: 0, checksum: 0, inline: None };
        let missing = read_state(storage, &handle).expect_err("missing");
        assert!(matches!(missing, StorageError::Corrupt { offset: 0, .. }), "{missing}");
        assert!(missing.to_string().contains("/chk-1/1-0-2.state"), "{missing}");
    });
}

#[test]
fn store_state_written_twice_keeps_the_first() {
    on_all(|storage| {
        let first = write_state(storage, file(1, 0), b"first");
        let mut again = storage.create_state(file(1, 0)).expect("creates");
        again.write_all(b"other").expect("writes");
        assert!(matches!(again.finish(), Err(StorageError::Unavailable { .. })));
        assert_eq!(read_state(storage, &first).expect("reads"), b"first");
    });
}

#[test]
fn store_puts_apply_once_and_what_was_put_is_read() {
    on_all(|storage| {
        assert_eq!(storage.read_metadata(CheckpointId(1)).expect("reads"), None);
        assert_eq!(storage.put_metadata(&metadata(1)).expect("puts"), Put::Stored);
        let other = job().metadata(checkpoint(1, 9));
        assert_eq!(storage.put_metadata(&other).expect("puts"), Put::Exists, "H18");
        assert_eq!(storage.read_metadata(CheckpointId(1)).expect("reads"), Some(metadata(1)));

        let sequence = PointerSequence(3);
        assert_eq!(storage.read_pointer(sequence).expect("reads"), None);
        assert_eq!(storage.put_pointer(sequence, &pointer(1)).expect("puts"), Put::Stored);
        assert_eq!(storage.put_pointer(sequence, &pointer(2)).expect("puts"), Put::Exists);
        assert_eq!(storage.read_pointer(sequence).expect("reads"), Some(pointer(1)));
    });
}

#[test]
fn store_list_shows_everything_also_checkpoints_without_metadata() {
    on_all(|storage| {
        assert_eq!(storage.list().expect("lists"), Default::default());
        write_state(storage, file(12, 0), b"x");
        storage.put_metadata(&metadata(4)).expect("puts");
        for sequence in [1, 2, 10_000_000_000] {
            storage.put_pointer(PointerSequence(sequence), &pointer(1)).expect("puts");
        }
        let listing = storage.list().expect("lists");
        assert_eq!(listing.checkpoints, [4, 12].map(CheckpointId).into());
        assert_eq!(listing.pointers, [1, 2, 10_000_000_000].map(PointerSequence).into());
    });
}

#[test]
fn store_deletes_are_complete_and_repeatable() {
    on_all(|storage| {
        let handle = write_state(storage, file(1, 0), b"x");
        let kept = write_state(storage, file(2, 0), b"y");
        let single = write_state(storage, file(2, 1), b"z");
        storage.put_metadata(&metadata(1)).expect("puts");
        storage.put_pointer(PointerSequence(1), &pointer(1)).expect("puts");
        for _again in 0..2 {
            storage.delete_checkpoint(CheckpointId(1)).expect("deletes");
            storage.delete_pointer(PointerSequence(1)).expect("deletes");
            storage.delete_state(file(2, 1)).expect("deletes");
            storage.delete_state(file(77, 1)).expect("deletes what never was");
        }
        assert_eq!(storage.read_metadata(CheckpointId(1)).expect("reads"), None);
        assert!(read_state(storage, &handle).is_err() && read_state(storage, &single).is_err());
        assert_eq!(read_state(storage, &kept).expect("reads"), b"y");
        let listing = storage.list().expect("lists");
        assert_eq!((listing.pointers.len(), listing.checkpoints), (0, [CheckpointId(2)].into()));
    });
}

#[test]
fn store_put_race_has_exactly_one_winner_whose_bytes_stay() {
    on_all(|storage| {
        for round in 1..=20 {
            let start = Barrier::new(8);
            let puts: Vec<(Put, Put)> = thread::scope(|scope| {
                let put = |writer: u64| {
                    start.wait();
                    let at = PointerSequence(round);
                    let first = storage.put_pointer(at, &pointer(writer)).expect("puts");
                    let second = storage.put_metadata(&job().metadata(checkpoint(round, writer as u32)));
                    (first, second.expect("puts"))
                };
                let threads: Vec<_> = (0..8).map(|writer| scope.spawn(move || put(writer))).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            let winners: Vec<_> = (0..8).filter(|&w| puts[w].0 == Put::Stored).collect();
            assert_eq!(winners.len(), 1);
            let found = storage.read_pointer(PointerSequence(round)).expect("reads").expect("there");
            assert_eq!(found, pointer(winners[0] as u64));
            let winners: Vec<_> = (0..8).filter(|&w| puts[w].1 == Put::Stored).collect();
            assert_eq!(winners.len(), 1);
            let found = storage.read_metadata(CheckpointId(round)).expect("reads").expect("there");
            assert_eq!(found.checkpoint.attempt, Attempt(winners[0] as u32));
        }
    });
}

#[test]
fn store_state_above_the_memory_limit_is_refused_with_advice() {
    let storage = JobManagerCheckpointStorage::with_limits(
        JOB,
        JobManagerLimits { max_state_bytes: 10, ..JobManagerLimits::default() },
    );
    write_state(&storage, file(1, 0), &[0; 10]);
    let mut writer = storage.create_state(file(1, 1)).expect("creates");
    writer.write_all(&[0; 6]).expect("fits");
    let refused = StorageError::from_io("?", writer.write_all(&[0; 5]).expect_err("too large"));
    assert!(matches!(refused, StorageError::TooLarge { bytes: 11, limit: 10, .. }), "{refused}");
    assert!(refused.to_string().contains("execution.checkpointing.storage"), "{refused}");
    assert!(matches!(writer.finish(), Err(StorageError::TooLarge { .. })));
}

#[test]
fn store_in_memory_that_is_full_takes_nothing_more_until_something_is_deleted() {
    let limits = JobManagerLimits { max_total_bytes: 1000, ..JobManagerLimits::default() };
    let storage = JobManagerCheckpointStorage::with_limits(JOB, limits);
    write_state(&storage, file(1, 0), &[0; 600]);
    write_state(&storage, file(2, 0), &[0; 400]);
    let is_full = |refused: StorageError, size: u64| {
        let is_told =
            matches!(refused, StorageError::Full { bytes, taken: 1000, limit: 1000, .. } if bytes == size);
        assert!(is_told && refused.to_string().contains("execution.checkpointing.storage"), "{refused}");
    };
    let mut writer = storage.create_state(file(2, 1)).expect("creates");
    writer.write_all(&[0; 1]).expect("it may become smaller meanwhile");
    is_full(writer.finish().expect_err("there is no room"), 1);
    let (answer, error) = perform(&storage, &job(), Operation::PutMetadata(checkpoint(2, 2)));
    assert_eq!(answer, Answer::Failed, "nothing was written");
    is_full(error.expect("there is no room"), encode_metadata(&metadata(2)).expect("encodes").len() as u64);
    assert_eq!(storage.read_metadata(CheckpointId(2)).expect("reads"), None);
    let content = ContentId { digest: 1, bytes: 3 };
    let shared = SharedFile { job: JOB, subtask: SubtaskId::new(1, 0), attempt: Attempt(2), content };
    let object = SharedObject { file: shared, upload: 0, savepoint: None };
    is_full(storage.put_shared(&object, &mut &b"abc"[..]).expect_err("there is no room"), 3);
    storage.delete_checkpoint(CheckpointId(1)).expect("deletes");
    assert_eq!(storage.put_metadata(&metadata(2)).expect("there is room"), Put::Stored);
    storage.put_shared(&object, &mut &b"abc"[..]).expect("there is room");
    write_state(&storage, file(2, 1), &[0; 1]);
}

#[test]
fn store_perform_answers_every_operation() {
    on_all(|storage| {
        let answer = |operation| match perform(storage, &job(), operation) {
            (answer, None) => answer,
            (_, Some(error)) => panic!("{error}"),
        };
        assert_eq!(answer(Operation::List), Answer::Listed(Default::default()));
        assert_eq!(answer(Operation::PutMetadata(checkpoint(1, 1))), Answer::Stored);
        assert_eq!(answer(Operation::PutMetadata(checkpoint(1, 1))), Answer::Exists);
        assert_eq!(
            answer(Operation::ReadMetadata(CheckpointId(1))),
            Answer::Metadata(Some(checkpoint(1, 1)))
        );
        assert_eq!(answer(Operation::PutPointer(PointerSequence(1), pointer(5))), Answer::Stored);
        assert_eq!(answer(Operation::ReadPointer(PointerSequence(1))), Answer::Pointer(Some(pointer(5))));
        assert_eq!(answer(Operation::ReadPointer(PointerSequence(2))), Answer::Pointer(None));
    });
}

#[test]
fn store_perform_tells_damage_from_absence_and_from_failure() {
    with_files(|storage| {
        storage.put_pointer(PointerSequence(1), &pointer(1)).expect("puts");
        fs::write(storage.pointer_path(PointerSequence(1)), b"junk").expect("writes");
        let (answer, error) = perform(storage, &job(), Operation::ReadPointer(PointerSequence(1)));
        assert_eq!(answer, Answer::Corrupt);
        let error = error.expect("details").to_string();
        assert!(error.contains("/pointers/00000000000000000001 is corrupt at byte"), "{error}");

        fs::remove_dir_all(storage.directory()).expect("removes");
        let (answer, _) = perform(storage, &job(), Operation::PutPointer(PointerSequence(2), pointer(1)));
        assert_eq!(answer, Answer::Failed);
    });
}
