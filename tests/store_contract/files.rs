//! What is promised of files: their names, damage, leftovers.

use super::*;

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
            let refused =
                storage.read_state(&StateHandle { bytes, ..handle.clone() }).err().expect("another length");
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
