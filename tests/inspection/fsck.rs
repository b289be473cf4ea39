//! What refers to what, what nobody needs, and what is missing.

use super::folder::{ATTEMPT, Folder, JOB};
use super::{CHECKPOINT_1, CHECKPOINT_2, SAVEPOINT, verified};
use snapline::base::{Attempt, CheckpointId, CheckpointKind, Incarnation, JobId, SharedObject, SubtaskId};
use snapline::codec::encode_metadata;
use snapline::inspection::*;
use snapline::publish::{Config, Pointer, PointerKind, PointerSequence};
use snapline::store::*;
use std::fs;
use std::path::Path;

fn checked(path: impl AsRef<Path>) -> Fsck {
    fsck(&Location::of(path).expect("holds checkpoints")).expect("is no single checkpoint")
}

/// What is told of the only file whose name ends like this.
#[track_caller]
fn fate(found: &Fsck, ending: &str) -> (Fate, Option<&'static str>) {
    let files = found.jobs.iter().flat_map(|job| &job.files);
    let files: Vec<_> = files.filter(|file| file.file.ends_with(ending)).collect();
    let [file] = files[..] else { panic!("{ending}: {files:?}") };
    (file.fate, file.rule)
}

/// Deletes all that is safe to delete.
fn delete(found: &Fsck) -> u64 {
    let garbage = found.garbage();
    for file in &garbage.files {
        let path = Path::new(&file.file);
        if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }.expect("deletes");
    }
    garbage.files.len() as u64
}

/// Attempt 2 has claimed what attempt 1 has left.
fn claimed_again(folder: &Folder) {
    let pointer = Pointer {
        kind: PointerKind::Claim,
        attempt: Attempt(2),
        incarnation: Incarnation(2),
        newest: Some(CheckpointId(2)),
        older: [CheckpointId(1)].into(),
    };
    folder.storage.put_pointer(PointerSequence(4), &pointer).expect("writes");
}

#[test]
fn fsck_of_what_a_job_needs_finds_nothing_else() {
    let folder = Folder::with_checkpoints();
    let before = folder.files();
    for directory in [folder.path(), folder.storage.directory()] {
        let found = checked(directory);
        assert!(found.is_complete && found.garbage().files.is_empty(), "{found:?}");
        let [job] = &found.jobs[..] else { panic!("{found:?}") };
        assert_eq!((&*job.job, job.newest_pointer, job.attempt), (&*JOB.to_string(), Some(3), Some(1)));
        let checkpoints = job.checkpoints.iter().map(|one| (&*one.name, one.state_files, one.shared_files));
        assert!(checkpoints.eq([("chk-1", 3, 1), ("chk-2", 3, 2), ("savepoint-3-1", 3, 1)]));
        let files: Vec<_> = job.files.iter().map(|file| Path::new(&file.file)).collect();
        assert!(files.iter().eq(before.keys()), "every file, and none twice: {files:?}");
        assert!(job.files.iter().all(|file| file.fate == Fate::Needed), "{job:?}");
    }
    let found = checked(folder.path());
    let shared = found.jobs[0].files.iter().filter(|file| file.rule == Some("SHARED-11"));
    let by: Vec<_> = shared.map(|file| file.referred_to_by.join(" ")).collect();
    assert_eq!(by, ["chk-1 chk-2", "chk-2"]);
    assert!(folder.files() == before, "nothing is written");
}

#[test]
fn fsck_of_one_checkpoint_is_refused() {
    let folder = Folder::with_checkpoints();
    for place in [CHECKPOINT_2, SAVEPOINT] {
        let location = Location::of(folder.place(place)).expect("holds a checkpoint");
        let error = fsck(&location).expect_err("is a single one").to_string();
        assert!(error.contains(&place.to_string()) && error.contains("directory of its job"), "{error}");
    }
}

/// Any of them, also one of another length.
#[test]
fn fsck_tells_what_is_referred_to_and_missing() {
    let folder = Folder::with_checkpoints();
    let mut missing = 0;
    for (path, bytes) in folder.files() {
        let name = path.display().to_string();
        if name.contains("pointers") || name.ends_with("savepoint-3-1/_metadata") {
            continue;
        }
        fs::remove_file(&path).expect("deletes");
        let found = checked(folder.path());
        let dangling = &found.jobs[0].dangling;
        assert!(!found.is_complete && !dangling.is_empty(), "{name}");
        assert!(dangling.iter().all(|dangling| dangling.problem.object == name), "{name}: {dangling:?}");
        missing += dangling.len();
        if name.ends_with("_metadata") {
            fs::write(&path, bytes).expect("writes");
            continue;
        }
        fs::write(&path, &bytes[1..]).expect("writes");
        assert_eq!(checked(folder.path()).jobs[0].dangling.len(), dangling.len(), "{name}");
        fs::write(&path, bytes).expect("writes");
    }
    // Two of metadata, nine of state files, and four of shared files, one of which two checkpoints refer to.
    assert_eq!(missing, 2 + 9 + 4);
    assert!(checked(folder.path()).is_complete);
}

#[test]
fn fsck_calls_safe_what_earlier_attempts_have_left() {
    let folder = Folder::with_checkpoints();
    let orphan = folder.put_shared(7, b"given up", None);
    let names = [
        "shared/.tmp-1-0-1-8-00000000000000000000000000000055-4-77-0",
        "chk-2/.tmp-0-0-1.state-77-1",
        "chk-2/0-1-1.state",
        "chk-9/0-0-1.state",
        "chk-9/.tmp-1-0-1.state-77-2",
        "pointers/.tmp-00000000000000000003-77-3",
    ];
    fs::create_dir(folder.storage.directory().join("chk-9")).expect("creates");
    for name in names {
        fs::write(folder.storage.directory().join(name), b"half").expect("writes");
    }
    let orphan = folder.storage.shared_name(&orphan);
    // The attempt may go on, and may be about to refer to them.
    let found = checked(folder.path());
    for name in [&*orphan, names[0], names[3], names[4]] {
        assert_eq!(fate(&found, name).0, Fate::LeftAlone, "{name}");
    }
    for name in [names[1], names[2], names[5]] {
        assert_eq!(fate(&found, name).0, Fate::SafeToDelete, "{name}: nobody can refer to it any more");
    }
    claimed_again(&folder);
    let found = checked(folder.path());
    let rules = ["SHARED-19", "PUB-2", "PUB-2", "PUB-4", "PUB-4", "PUB-6"];
    for (name, rule) in names.into_iter().zip(rules) {
        assert_eq!(fate(&found, name), (Fate::SafeToDelete, Some(rule)), "{name}");
    }
    assert_eq!(fate(&found, &orphan), (Fate::SafeToDelete, Some("SHARED-19")));
    assert_eq!(delete(&found), 7);
    assert!(verified(folder.path()).is_whole);
    let empty = checked(folder.path());
    assert_eq!(fate(&empty, "chk-9"), (Fate::LeftAlone, Some("PUB-2")), "the attempt may begin it");
    assert!(empty.is_complete && empty.garbage().files.is_empty(), "{empty:?}");
}

#[test]
fn fsck_leaves_alone_what_may_be_being_written_and_what_is_not_the_formats() {
    let folder = Folder::with_checkpoints();
    claimed_again(&folder);
    let names = [
        ("chk-9/0-0-2.state", Some("PUB-4")),
        ("chk-9/.tmp-_metadata-77-0", Some("PUB-2")),
        ("pointers/.tmp-00000000000000000005-77-1", Some("PUB-6")),
        ("shared/1-0-2-0-00000000000000000000000000000055-4", Some("SHARED-19")),
        ("savepoint-3-1/.tmp-_metadata-77-2", Some("COORD-65")),
        ("savepoint-3-1/0-7-1.state", Some("COORD-65")),
        ("savepoint-4-1/0-0-1.state", Some("COORD-65")),
        (".tmp-probe-77-3", None),
        ("notes.txt", None),
        ("shared/1-0-2", None),
        ("chk-2/0-0.state", None),
        ("taskowned/log", None),
        ("pointers/3", None),
    ];
    for (name, _) in names {
        let path = folder.storage.directory().join(name);
        fs::create_dir_all(path.parent().expect("has one")).expect("creates");
        fs::write(path, b"half").expect("writes");
    }
    fs::create_dir(folder.storage.directory().join("chk-x")).expect("creates");
    let found = checked(folder.path());
    for (name, rule) in names {
        assert_eq!(fate(&found, name), (Fate::LeftAlone, rule), "{name}");
    }
    assert_eq!(fate(&found, "chk-x"), (Fate::LeftAlone, None));
    assert!(found.is_complete && found.garbage().files.is_empty(), "{found:?}");
    assert_eq!(found.garbage().left_alone_files, 14);
}

/// With their directory, and with what only they refer to.
#[test]
fn fsck_calls_safe_checkpoints_that_are_subsumed_and_those_of_attempts_that_are_over() {
    let folder = Folder::with_checkpoints();
    let shared = folder.put_shared(5, b"third", None);
    folder.put_checkpoint(6, &[(shared, b"third")]);
    // It may be in publication.
    let found = checked(folder.path());
    assert_eq!(found.garbage().files, [], "{found:?}");
    assert_eq!(fate(&found, &folder.storage.shared_name(&shared)), (Fate::Needed, Some("SHARED-11")));
    claimed_again(&folder);
    let found = checked(folder.path());
    assert_eq!(fate(&found, "chk-6/_metadata"), (Fate::SafeToDelete, Some("PUB-4")));
    assert_eq!(fate(&found, &folder.storage.shared_name(&shared)).0, Fate::SafeToDelete);
    assert_eq!(found.garbage().files.len(), 5, "metadata, three state files and a shared file");
    folder.put_checkpoint(8, &[]);
    folder.put_pointer(5, PointerKind::Publication, Some(8), &[2]);
    let found = checked(folder.path());
    for name in ["chk-1/_metadata", "chk-1/1-1-1.state", "chk-6/_metadata"] {
        assert_eq!(fate(&found, name), (Fate::SafeToDelete, Some("COORD-8")), "{name}");
    }
    assert_eq!(delete(&found), 4 + 4, "that pointer is of attempt 1, which may refer to shared files");
    let empty = checked(folder.path());
    assert_eq!(fate(&empty, "chk-1"), (Fate::SafeToDelete, Some("COORD-8")));
    assert_eq!(delete(&empty), 2);
    assert!(verified(folder.path()).is_whole && checked(folder.path()).is_complete);
}

#[test]
fn fsck_calls_safe_pointers_whose_segment_is_over() {
    let folder = Folder::with_checkpoints();
    let second = Config::SEGMENT.get() + 1;
    folder.put_pointer(4, PointerKind::Claim, Some(2), &[1]);
    folder.put_pointer(second, PointerKind::Claim, Some(2), &[1]);
    assert_eq!(checked(folder.path()).garbage().files, [], "one may turn out damaged");
    folder.put_pointer(second + 1, PointerKind::Publication, Some(2), &[1]);
    let found = checked(folder.path());
    let names: Vec<_> = found.garbage().files.iter().map(|file| file.file.clone()).collect();
    let superfluous = [2, 3].map(|number| folder.storage.pointer_path(PointerSequence(number)));
    assert_eq!(names, superfluous.map(|path| path.display().to_string()));
    assert_eq!(delete(&found), 2);
    assert!(verified(folder.path()).is_whole);
}

/// SHARED-21
#[test]
fn fsck_of_what_cannot_be_read_calls_nothing_safe_that_depends_on_it() {
    let damages = [
        ("pointers/00000000000000000004", 0),
        ("chk-1/_metadata", 0),
        ("chk-2/_metadata", 0),
        // All that a savepoint refers to lies with it.
        ("savepoint-3-1/_metadata", 5),
    ];
    for (name, safe) in damages {
        let folder = Folder::with_checkpoints();
        let shared = folder.put_shared(7, b"given up", None);
        folder.put_checkpoint(6, &[(shared, b"given up")]);
        claimed_again(&folder);
        assert_eq!(checked(folder.path()).garbage().files.len(), 5);
        fs::write(folder.storage.directory().join(name), b"damaged").expect("writes");
        let found = checked(folder.path());
        let problems: Vec<_> = found.jobs[0].problems.iter().map(ToString::to_string).collect();
        assert!(!found.is_complete && problems[0].contains(name), "{name}: {problems:?}");
        assert_eq!(found.garbage().files.len(), safe, "{name}: {found:?}");
    }
    let folder = Folder::with_checkpoints();
    folder.put_shared(7, b"given up", None);
    fs::remove_dir_all(folder.storage.directory().join("pointers")).expect("deletes");
    let found = checked(folder.path());
    assert_eq!(found.garbage().files, [], "nobody knows which attempt is over");
}

/// A job that has claimed the checkpoint of another one refers to its files, also when only that one is looked at.
#[test]
fn fsck_keeps_what_other_jobs_refer_to() {
    let folder = Folder::with_checkpoints();
    let orphan = folder.put_shared(7, b"claimed", None);
    claimed_again(&folder);
    let other = JobId(0xdef);
    let storage = FileSystemCheckpointStorage::open(folder.path(), other).expect("opens");
    let checkpoint = |shared: &[(SharedObject, &[u8])]| {
        let mut metadata = folder.metadata(7, CheckpointKind::Periodic, shared);
        metadata.job = other;
        metadata
    };
    let own = checkpoint(&[(orphan, b"claimed")]);
    fs::create_dir_all(storage.path_of(Place::Checkpoint(CheckpointId(7)))).expect("creates");
    for entry in fs::read_dir(folder.place(Place::Checkpoint(CheckpointId(7)))).expect("reads") {
        let path = entry.expect("reads").path();
        let target = storage.path_of(Place::Checkpoint(CheckpointId(7)));
        fs::rename(&path, target.join(path.file_name().expect("has one"))).expect("moves");
    }
    fs::remove_dir(folder.place(Place::Checkpoint(CheckpointId(7)))).expect("deletes");
    storage.put_metadata(&own).expect("writes");
    let pointer = Pointer {
        kind: PointerKind::Publication,
        attempt: ATTEMPT,
        incarnation: Incarnation(3),
        newest: Some(CheckpointId(7)),
        older: [].into(),
    };
    storage.put_pointer(PointerSequence(1), &pointer).expect("writes");
    let name = folder.storage.shared_name(&orphan);
    for directory in [folder.path(), folder.storage.directory()] {
        let found = checked(directory);
        assert!(found.is_complete, "{found:?}");
        assert_eq!(fate(&found, &name), (Fate::Needed, Some("SHARED-11")));
        let files = found.jobs.iter().flat_map(|job| &job.files);
        let by = files.filter(|file| file.file == name).flat_map(|file| &file.referred_to_by);
        assert!(by.eq([&format!("{other}/chk-7")]));
    }
    // Nobody knows any more what that job refers to.
    fs::write(storage.metadata_path(CheckpointId(7)), b"damaged").expect("writes");
    let found = checked(folder.storage.directory());
    assert_eq!(fate(&found, &name), (Fate::LeftAlone, Some("SHARED-21")));
    // Without it the file is nobody's.
    let mut without = own;
    without.checkpoint.shared.remove(&SubtaskId::new(1, 0));
    let bytes = encode_metadata(&without).expect("encodes");
    fs::write(storage.metadata_path(CheckpointId(7)), bytes).expect("writes");
    let found = checked(folder.storage.directory());
    assert_eq!(fate(&found, &name), (Fate::SafeToDelete, Some("SHARED-19")));
}

#[test]
fn fsck_of_a_job_that_has_retired_calls_everything_safe_but_savepoints_and_claims() {
    let folder = Folder::with_checkpoints();
    let last = Pointer {
        kind: PointerKind::Claim,
        attempt: Attempt(2),
        incarnation: Incarnation(1),
        newest: None,
        older: [CheckpointId(3)].into(),
    };
    folder.storage.put_pointer(PointerSequence(4), &last).expect("writes");
    let found = checked(folder.path());
    assert!(found.is_complete, "{found:?}");
    assert_eq!(delete(&found), 8 + 2, "of two checkpoints, and what they share");
    assert_eq!(checked(folder.path()).jobs[0].checkpoints.len(), 1);
    assert!(verified(folder.path()).is_whole);
    assert_eq!(fate(&checked(folder.path()), &CHECKPOINT_1.to_string()).0, Fate::LeftAlone);
}
