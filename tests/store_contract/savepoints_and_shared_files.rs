//! Savepoints and shared files, which are not deleted with a checkpoint.

use super::*;

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
    let storage = JobManagerCheckpointStorage::with_limits(
        JOB,
        JobManagerLimits { max_state_bytes: 3, ..JobManagerLimits::default() },
    );
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
