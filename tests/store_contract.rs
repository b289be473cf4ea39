//! What every checkpoint storage promises, run against all of them, and what only files can go through.
#![cfg(feature = "runtime")]
#![allow(clippy::disallowed_methods)]

#[cfg(feature = "s3")]
#[path = "support/s3/mod.rs"]
mod s3;

use proptest::prelude::*;
use snapline::base::*;
use snapline::codec::{CheckpointMetadata, OperatorMetadata};
use snapline::publish::{Answer, Operation, Pointer, PointerKind, PointerSequence};
use snapline::store::*;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Barrier;
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
}

/// Stores of the crate `object_store`, and a server that speaks the protocol of S3.
#[cfg(feature = "object-store")]
fn on_object_stores(body: &dyn Fn(&dyn CheckpointStorage)) {
    use object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory};
    use std::sync::Arc;

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
        let expected = StateHandle { file: file(1, 0), bytes: 10, checksum: crc32c::crc32c(b"some state") };
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
        let handle = StateHandle { file: file(1, 0), bytes: 0, checksum: 0 };
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
    let storage = JobManagerCheckpointStorage::with_max_state_bytes(JOB, 10);
    write_state(&storage, file(1, 0), &[0; 10]);
    let mut writer = storage.create_state(file(1, 1)).expect("creates");
    writer.write_all(&[0; 6]).expect("fits");
    let refused = StorageError::from_io("?", writer.write_all(&[0; 5]).expect_err("too large"));
    assert!(matches!(refused, StorageError::TooLarge { bytes: 11, limit: 10, .. }), "{refused}");
    assert!(refused.to_string().contains("execution.checkpointing.storage"), "{refused}");
    assert!(matches!(writer.finish(), Err(StorageError::TooLarge { .. })));
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

#[test]
fn store_files_have_flinks_layout_and_no_temporary_names() {
    with_files(|storage| {
        write_state(storage, file(7, 3), b"x");
        storage.put_metadata(&metadata(7)).expect("puts");
        storage.put_metadata(&metadata(7)).expect("puts again");
        storage.put_pointer(PointerSequence(5), &pointer(1)).expect("puts");
        storage.put_pointer(PointerSequence(5), &pointer(1)).expect("puts again");
        let expected = ["chk-7/1-3-2.state", "chk-7/_metadata", "pointers/00000000000000000005"];
        assert_eq!(files_under(storage.directory()), expected);
        assert!(storage.directory().ends_with("00000000000000000000000000000abc"));
        for name in ["shared", "taskowned"] {
            assert!(storage.directory().join(name).is_dir(), "{name}");
        }
    });
}

#[test]
fn store_file_with_any_flipped_bit_or_truncated_is_corrupt() {
    with_files(|storage| {
        let handle = write_state(storage, file(1, 0), b"some state");
        storage.put_metadata(&metadata(1)).expect("puts");
        storage.put_pointer(PointerSequence(1), &pointer(1)).expect("puts");
        let read_all: [(_, &dyn Fn() -> Option<StorageError>); 3] = [
            (storage.state_path(file(1, 0)), &|| read_state(storage, &handle).err()),
            (storage.metadata_path(CheckpointId(1)), &|| storage.read_metadata(CheckpointId(1)).err()),
            (storage.pointer_path(PointerSequence(1)), &|| storage.read_pointer(PointerSequence(1)).err()),
        ];
        for (path, read) in read_all {
            let intact = fs::read(&path).expect("reads");
            assert!(read().is_none());
            let is_corrupt = |bytes: &[u8], what: String| {
                fs::write(&path, bytes).expect("writes");
                let error = read().unwrap_or_else(|| panic!("{what} of {} passed", path.display()));
                assert!(matches!(error, StorageError::Corrupt { .. }), "{what}: {error}");
                assert_eq!(error.object(), path.display().to_string());
            };
            for bit in 0..intact.len() * 8 {
                let mut damaged = intact.clone();
                damaged[bit / 8] ^= 1 << (bit % 8);
                is_corrupt(&damaged, format!("bit {bit}"));
            }
            for length in 0..intact.len() {
                is_corrupt(&intact[..length], format!("length {length}"));
            }
            is_corrupt(&[&intact[..], &[0]].concat(), "a tail".to_owned());
        }
    });
}

#[test]
fn store_state_of_another_length_is_refused_before_it_is_read() {
    on_all(|storage| {
        let handle = write_state(storage, file(1, 0), b"some state");
        for bytes in [9, 11] {
            let refused = storage.read_state(&StateHandle { bytes, ..handle }).err().expect("another length");
            assert!(matches!(refused, StorageError::Corrupt { .. }), "{refused}");
        }
    });
}

#[test]
fn store_object_under_a_wrong_name_is_corrupt() {
    with_files(|storage| {
        storage.put_pointer(PointerSequence(1), &pointer(1)).expect("puts");
        let wrong = PointerSequence(2);
        fs::copy(storage.pointer_path(PointerSequence(1)), storage.pointer_path(wrong)).expect("copies");
        let error = storage.read_pointer(wrong).expect_err("misdirected").to_string();
        assert!(error.contains("this is pointer 1 under the name of pointer 2"), "{error}");

        storage.put_metadata(&metadata(1)).expect("puts");
        storage.put_metadata(&metadata(2)).expect("puts");
        let (one, two) = (CheckpointId(1), CheckpointId(2));
        fs::copy(storage.metadata_path(one), storage.metadata_path(two)).expect("copies");
        assert!(matches!(storage.read_metadata(two), Err(StorageError::Corrupt { .. })));
    });
}

#[test]
fn store_leftovers_of_a_kill_are_ignored_and_go_with_what_they_belong_to() {
    with_files(|storage| {
        let (pointers, chk) = (storage.directory().join("pointers"), storage.directory().join("chk-1"));
        write_state(storage, file(1, 0), b"x");
        let pid = std::process::id();
        for count in 0..2000 {
            // The process before had the same id, as is usual in containers.
            fs::write(pointers.join(format!(".tmp-{:020}-{pid}-{count}", 1)), b"half").expect("writes");
        }
        fs::write(pointers.join(format!(".tmp-{:020}-{pid}-0", 2)), b"half").expect("writes");
        fs::write(chk.join(format!(".tmp-_metadata-{pid}-0")), b"half").expect("writes");
        for foreign in ["notes.txt", "pointers/17", "pointers/0000000000000000000x", "chk-x", "chk-01"] {
            fs::write(storage.directory().join(foreign), b"?").expect("writes");
        }
        let listing = storage.list().expect("lists");
        assert_eq!((listing.pointers.len(), listing.checkpoints), (0, [CheckpointId(1)].into()));
        assert_eq!(storage.put_pointer(PointerSequence(1), &pointer(1)).expect("puts"), Put::Stored);
        assert_eq!(storage.put_metadata(&metadata(1)).expect("puts"), Put::Stored);

        storage.delete_checkpoint(CheckpointId(1)).expect("deletes");
        storage.delete_pointer(PointerSequence(1)).expect("deletes");
        let left = [
            "chk-01".to_owned(),
            "chk-x".to_owned(),
            "notes.txt".to_owned(),
            format!("pointers/.tmp-{:020}-{pid}-0", 2),
            "pointers/0000000000000000000x".to_owned(),
            "pointers/17".to_owned(),
        ];
        assert_eq!(files_under(storage.directory()), left);
    });
}

#[test]
fn store_half_deleted_checkpoint_has_no_metadata_and_can_be_deleted_again() {
    with_files(|storage| {
        write_state(storage, file(1, 0), b"x");
        storage.put_metadata(&metadata(1)).expect("puts");
        // What a kill between the two steps of a deletion leaves.
        fs::remove_file(storage.metadata_path(CheckpointId(1))).expect("removes");
        assert_eq!(storage.list().expect("lists").checkpoints, [CheckpointId(1)].into());
        assert_eq!(storage.read_metadata(CheckpointId(1)).expect("reads"), None);
        storage.delete_checkpoint(CheckpointId(1)).expect("deletes");
        assert_eq!(storage.list().expect("lists").checkpoints.len(), 0);
    });
}

#[test]
fn store_directory_that_cannot_be_written_is_refused_when_opened() {
    let directory = tempfile::tempdir().expect("a directory");
    let blocked = directory.path().join("file");
    fs::write(&blocked, b"").expect("writes");
    let error = FileSystemCheckpointStorage::open(&blocked, JOB).expect_err("a file is in the way");
    assert!(matches!(error, StorageError::Unavailable { .. }));
    assert!(error.object().starts_with(blocked.to_str().expect("text")), "{error}");
}

#[test]
fn store_jobs_are_listed_and_do_not_see_each_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let base = directory.path().join("not/there/yet");
    assert_eq!(FileSystemCheckpointStorage::jobs(&base).expect("lists"), []);
    let two = FileSystemCheckpointStorage::open(&base, JobId(2)).expect("opens");
    let one = FileSystemCheckpointStorage::open(&base, JobId(1)).expect("opens");
    fs::write(base.join("README"), b"").expect("writes");
    assert_eq!(FileSystemCheckpointStorage::jobs(&base).expect("lists"), [JobId(1), JobId(2)]);
    // H17: the same checkpoint id in two jobs.
    let of = |job| JobDescription { job, operators: vec![] }.metadata(checkpoint(1, 1));
    assert_eq!(one.put_metadata(&of(JobId(1))).expect("puts"), Put::Stored);
    assert_eq!(two.put_metadata(&of(JobId(2))).expect("puts"), Put::Stored);
}

/// Upload number `upload` of `content` by a subtask of a job in an attempt.
fn object(job: u128, attempt: u32, upload: u64, content: &[u8]) -> SharedObject {
    let content = ContentId { digest: u128::MAX - upload as u128, bytes: content.len() as u64 };
    let file =
        SharedFile { job: JobId(job), subtask: SubtaskId::new(1, 30), attempt: Attempt(attempt), content };
    SharedObject { file, upload, savepoint: None }
}

fn read_shared(storage: &dyn CheckpointStorage, object: &SharedObject) -> Result<Vec<u8>, StorageError> {
    let mut bytes = Vec::new();
    storage.read_shared(object)?.read_to_end(&mut bytes).expect("reads");
    Ok(bytes)
}

//= spec/publish.md#pub-42-a-savepoint-lies-by-itself
//= type=test
//# Everything of a savepoint MUST lie where no listing shows it and no deletion of a checkpoint reaches it.
#[test]
fn store_savepoint_is_not_listed_and_survives_the_deletion_of_a_checkpoint_of_its_number() {
    on_all(|storage| {
        let state = write_state(storage, StateFile { savepoint: true, ..file(3, 0) }, b"of the savepoint");
        let files = SharedObject { savepoint: Some(CheckpointId(3)), ..object(JOB.0, 2, 0, b"sst") };
        storage.put_shared(&files, &mut &b"sst"[..]).expect("puts");
        let savepoint = CompletedCheckpoint { kind: CheckpointKind::Savepoint, ..checkpoint(3, 2) };
        let savepoint = job().metadata(savepoint);
        assert_eq!(storage.put_metadata(&savepoint).expect("puts"), Put::Stored);
        assert_eq!(storage.list().expect("lists"), Default::default());
        assert_eq!(storage.list_shared().expect("lists"), [].into());

        let other = write_state(storage, file(3, 0), b"of the checkpoint");
        assert_eq!(storage.put_metadata(&metadata(3)).expect("puts"), Put::Stored, "the next attempt's");
        storage.delete_checkpoint(CheckpointId(3)).expect("deletes");
        assert!(read_state(storage, &other).is_err());
        assert_eq!(storage.read_metadata(CheckpointId(3)).expect("reads"), None);
        let found = storage.read_savepoint(CheckpointId(3), Attempt(2)).expect("reads");
        assert_eq!(found, Some(savepoint));
        assert_eq!(read_state(storage, &state).expect("reads"), b"of the savepoint");
        assert_eq!(read_shared(storage, &files).expect("reads"), b"sst");

        write_state(storage, file(3, 0), b"of the next checkpoint");
        storage.delete_savepoint(CheckpointId(3), Attempt(1)).expect("there is none");
        assert_eq!(read_state(storage, &state).expect("reads"), b"of the savepoint");
        for _ in 0..2 {
            storage.delete_savepoint(CheckpointId(3), Attempt(2)).expect("deletes");
            assert_eq!(storage.read_savepoint(CheckpointId(3), Attempt(2)).expect("reads"), None);
            assert!(read_state(storage, &state).is_err() && read_shared(storage, &files).is_err());
        }
        assert_eq!(storage.list().expect("lists").checkpoints, [CheckpointId(3)].into());
    });
}

//= spec/publish.md#pub-43-the-name-of-a-savepoint-holds-its-attempt
//= type=test
//# The name of a savepoint MUST include the attempt that takes it.
#[test]
fn store_savepoints_of_two_attempts_under_one_number_are_both_there() {
    on_all(|storage| {
        for attempt in [1, 2] {
            let kind = CheckpointKind::Savepoint;
            let savepoint = job().metadata(CompletedCheckpoint { kind, ..checkpoint(3, attempt) });
            assert_eq!(storage.put_metadata(&savepoint).expect("puts"), Put::Stored);
            assert_eq!(storage.put_metadata(&savepoint).expect("puts"), Put::Exists);
        }
        for attempt in [1, 2].map(Attempt) {
            let found = storage.read_savepoint(CheckpointId(3), attempt).expect("reads").expect("there");
            assert_eq!(found.checkpoint.attempt, attempt);
            assert!(
                storage.savepoint_name(CheckpointId(3), attempt).ends_with(&format!("savepoint-3-{attempt}"))
            );
        }
        assert_eq!(storage.read_savepoint(CheckpointId(3), Attempt(9)).expect("reads"), None);
    });
}

#[test]
fn store_names_of_directories_are_full_wherever_somebody_is() {
    let storage = FileSystemCheckpointStorage::for_reading("checkpoints", JOB);
    let here = std::env::current_dir().expect("somewhere").join("checkpoints");
    let name = |name: &str| here.join(name).display().to_string();
    assert_eq!(storage.savepoint_name(CheckpointId(3), Attempt(2)), name("savepoint-3-2"));
    assert_eq!(storage.checkpoint_name(CheckpointId(3)), name("chk-3"));
}

#[test]
fn store_savepoint_goes_where_its_directory_is_and_the_directory_with_its_last_file() {
    let (checkpoints, savepoints) = (tempfile::tempdir().expect("one"), tempfile::tempdir().expect("two"));
    let storage = FileSystemCheckpointStorage::open(checkpoints.path(), JOB).expect("opens");
    let storage = storage.with_savepoints_in(savepoints.path());
    let files = [0, 1].map(|index| StateFile { savepoint: true, ..file(3, index) });
    let handles = files.map(|file| write_state(&storage, file, b"x"));
    assert_eq!(files_under(storage.directory()), Vec::<String>::new());
    let directory = savepoints.path().join(JOB.to_string()).join("savepoint-3-2");
    assert_eq!(storage.savepoint_name(CheckpointId(3), Attempt(2)), directory.display().to_string());
    assert_eq!(files_under(&directory), ["1-0-2.state", "1-1-2.state"]);
    storage.delete_state(files[0]).expect("deletes");
    assert_eq!(read_state(&storage, &handles[1]).expect("reads"), b"x");
    storage.delete_state(files[1]).expect("deletes");
    assert!(!directory.exists(), "nothing is left of a savepoint that was aborted");

    write_state(&storage, files[0], b"x");
    let object = SharedObject { savepoint: Some(CheckpointId(3)), ..object(JOB.0, 2, 0, b"sst") };
    storage.put_shared(&object, &mut &b"sst"[..]).expect("puts");
    let savepoint = CompletedCheckpoint { kind: CheckpointKind::Savepoint, ..checkpoint(3, 2) };
    storage.put_metadata(&job().metadata(savepoint)).expect("puts");
    let shared = storage.shared_path(&object);
    let shared = shared.file_name().and_then(|name| name.to_str()).expect("text");
    assert_eq!(files_under(&directory), ["1-0-2.state", shared, "_metadata"]);
}

//= spec/shared.md#shared-2-an-object-is-written-once
//= type=test
//# Every upload MUST have a name that no other upload ever has.
#[test]
fn store_shared_file_is_written_once_read_listed_and_deleted_again_and_again() {
    on_all(|storage| {
        let [one, two] = [object(JOB.0, 1, 7, b"one"), object(JOB.0, 1, 8, b"one")];
        for object in [one, two] {
            storage.put_shared(&object, &mut &b"one"[..]).expect("puts");
            let again = storage.put_shared(&object, &mut &b"two"[..]);
            assert!(matches!(again, Err(StorageError::Unavailable { .. })), "a name is used once");
            assert_eq!(read_shared(storage, &object).expect("reads"), b"one");
        }
        assert_eq!(storage.list_shared().expect("lists"), [one, two].into());
        assert_eq!(storage.list().expect("lists"), Default::default());
        for _again in 0..2 {
            storage.delete_shared(&one).expect("deletes");
            storage.delete_checkpoint(CheckpointId(1)).expect("deletes");
        }
        assert!(matches!(read_shared(storage, &one), Err(StorageError::Corrupt { .. })));
        assert_eq!(storage.list_shared().expect("lists"), [two].into());
        assert_eq!(read_shared(storage, &two).expect("reads"), b"one");
    });
}

#[test]
fn store_shared_file_of_another_length_than_its_name_is_refused() {
    on_all(|storage| {
        let object = object(JOB.0, 1, 0, b"four");
        for wrong in [&b"thr"[..], b"fiver"] {
            assert!(storage.put_shared(&object, &mut &wrong[..]).is_err());
            assert_eq!(storage.list_shared().expect("lists"), [].into());
        }
        storage.put_shared(&object, &mut &b"four"[..]).expect("puts");
    });
    with_files(|storage| {
        let object = object(JOB.0, 1, 0, b"four");
        storage.put_shared(&object, &mut &b"four"[..]).expect("puts");
        fs::write(storage.shared_path(&object), b"fou").expect("writes");
        let error = read_shared(storage, &object).expect_err("damaged");
        assert!(matches!(error, StorageError::Corrupt { offset: 3, .. }), "{error}");
    });
    let storage = JobManagerCheckpointStorage::with_max_state_bytes(JOB, 3);
    let refused = storage.put_shared(&object(JOB.0, 1, 0, b"four"), &mut &b"four"[..]);
    assert!(matches!(refused, Err(StorageError::TooLarge { bytes: 4, limit: 3, .. })), "{refused:?}");
}

#[test]
fn store_shared_files_lie_with_the_job_that_wrote_them_and_other_names_are_ignored() {
    with_files(|storage| {
        let (own, other) = (object(JOB.0, 4, 5, b"x"), object(0xdef, 4, 5, b"x"));
        for object in [own, other] {
            storage.put_shared(&object, &mut &b"x"[..]).expect("puts");
        }
        let name = format!("shared/1-30-4-5-{:032x}-1", u128::MAX - 5);
        assert_eq!(files_under(storage.directory()), [name]);
        assert!(storage.shared_path(&other).to_str().expect("text").contains("0def/shared/1-30-4-5-"));
        for foreign in [
            "notes.txt",
            ".tmp-1-30-4-5-00-1-0",
            "1-30-4-5-00-1",
            "01-30-4-5-00000000000000000000000000000000-1",
        ] {
            fs::write(storage.directory().join("shared").join(foreign), b"?").expect("writes");
        }
        assert_eq!(storage.list_shared().expect("lists"), [own].into());
    });
}

proptest! {
    #[test]
    fn store_pointer_of_random_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(decode_pointer(&bytes).is_err());
    }
}
