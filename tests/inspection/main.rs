//! What is told of directories of checkpoints, whole and damaged, at rest and while they change.
#![cfg(feature = "runtime")]
#![allow(clippy::disallowed_methods)]

mod diff;
mod export;
mod folder;
mod fsck;
mod operators;

use folder::{Folder, JOB, operators};
use snapline::base::{Attempt, CheckpointId, SubtaskId};
use snapline::codec::{CheckpointMetadata, encode_metadata};
use snapline::inspection::*;
use snapline::publish::{PointerKind, PointerSequence};
use snapline::store::*;
use std::fs;
use std::path::{Path, PathBuf};

fn verified(path: impl AsRef<Path>) -> Verification {
    verify(&Location::of(path).expect("holds checkpoints"), &mut |_| ())
}

fn inspected(path: impl AsRef<Path>, depth: Depth) -> Inspection {
    inspect(&Location::of(path).expect("holds checkpoints"), depth)
}

/// The text of every problem.
fn problems(verification: &Verification) -> Vec<String> {
    let job = &verification.jobs[0];
    let of_checkpoints = job.checkpoints.iter().flat_map(|checkpoint| &checkpoint.problems);
    job.problems.iter().chain(of_checkpoints).map(ToString::to_string).collect()
}

/// Names, what the newest pointer says, and what was found.
fn verdicts(verification: &Verification) -> Vec<(&str, Status, Verdict)> {
    let checkpoints = verification.jobs[0].checkpoints.iter();
    checkpoints.map(|checkpoint| (&*checkpoint.name, checkpoint.status, checkpoint.verdict)).collect()
}

const CHECKPOINT_1: Place = Place::Checkpoint(CheckpointId(1));
const CHECKPOINT_2: Place = Place::Checkpoint(CheckpointId(2));
const SAVEPOINT: Place = Place::Savepoint(CheckpointId(3), Attempt(1));

#[test]
fn inspection_tells_checkpoints_operators_states_and_who_refers_to_what() {
    let folder = Folder::with_checkpoints();
    folder.put_shared(5, b"nobody's", None);
    let inspection = inspected(folder.path(), Depth::Entries);
    let [job] = &inspection.jobs[..] else { panic!("{inspection:?}") };
    assert_eq!((&*job.job, &job.problems[..]), (&*JOB.to_string(), &[][..]));
    assert_eq!((job.newest_pointer, job.attempt, job.newest_checkpoint), (Some(3), Some(1), Some(2)));
    assert_eq!(job.retained_checkpoints, [1]);
    let found: Vec<_> =
        job.checkpoints.iter().map(|one| (&*one.name, one.status, one.shared_bytes)).collect();
    let expected = [
        ("chk-2", Status::Newest, 10),
        ("chk-1", Status::Retained, 4),
        ("savepoint-3-1", Status::Savepoint, 15),
    ];
    assert_eq!(found, expected);
    let newest = &job.checkpoints[0];
    assert_eq!(
        (newest.kind.as_deref(), newest.attempt, newest.problems.len()),
        (Some("periodic"), Some(1), 0)
    );
    let [source, count] = &newest.operators[..] else { panic!("{newest:?}") };
    assert_eq!(
        (&*count.uid, &*count.name, count.parallelism, count.max_parallelism),
        ("count-uid", "count", 2, 8)
    );

    let file = source.subtasks[0].state_file.as_ref().expect("has state");
    let positions = &file.operator_states[0];
    assert_eq!((&*positions.name, positions.mode, positions.items), ("positions", "split", 3));
    assert_eq!((&*positions.item_serializer.id, positions.item_bytes), ("u64", Some(3)));
    let captured = &file.captured_records.as_ref().expect("known")[0];
    assert_eq!((captured.side, captured.channel, captured.records, captured.bytes), ("output", 0, 1, 11));

    let ranges = count.subtasks.iter().map(|subtask| {
        let file = subtask.state_file.as_ref().expect("has state");
        (file.first_key_group, file.last_key_group)
    });
    assert!(ranges.eq([(Some(0), Some(3)), (Some(4), Some(7))]));
    let file = count.subtasks[0].state_file.as_ref().expect("has state");
    let state = &file.keyed_states[0];
    assert_eq!((&*state.name, state.kind, state.is_in_backend_files), ("count", "value", false));
    assert_eq!((&*state.value_serializer.id, state.entries), ("u64", Some(3)));
    assert!(state.key_groups.is_some_and(|groups| (1..=3).contains(&groups)), "{state:?}");
    assert!(state.entry_bytes.is_some_and(|bytes| bytes >= 9), "{state:?}");
    assert_eq!(file.backend.as_deref(), Some("files"));
    let shared = file.backend_files[0].shared_file.as_ref().expect("is shared");
    assert!(Path::new(shared).is_file(), "{shared}");

    let users: Vec<_> = job.shared_files.iter().map(|file| (file.bytes, &file.referred_to_by[..])).collect();
    let [both, second] = [["chk-2", "chk-1"].map(str::to_owned), ["chk-2", ""].map(str::to_owned)];
    let own = ["savepoint-3-1".to_owned()];
    assert_eq!(users, [(4, &both[..]), (6, &second[..1]), (8, &[]), (15, &own[..])]);
    assert!(job.shared_files.iter().all(|file| file.exists));
}

#[test]
fn inspection_of_headers_tells_states_without_their_sizes() {
    let folder = Folder::with_checkpoints();
    let headers = inspected(folder.path(), Depth::Headers);
    let count = &headers.jobs[0].checkpoints[0].operators[1].subtasks[0];
    let file = count.state_file.as_ref().expect("has state");
    assert_eq!((file.keyed_states[0].entries, &file.captured_records), (None, &None));
    assert_eq!(file.keyed_states[0].name, "count");
}

#[test]
fn inspection_of_damaged_files_says_so_and_tells_the_rest() {
    let folder = Folder::with_checkpoints();
    let state = first_file(&folder, CHECKPOINT_2, "1-0-1.state");
    fs::write(&state, b"damaged").expect("writes");
    fs::write(folder.place(CHECKPOINT_1).join("_metadata"), b"").expect("writes");
    fs::remove_file(first_file(&folder, SAVEPOINT, "1-1-1.state")).expect("deletes");
    let job = inspected(folder.path(), Depth::Headers).jobs.remove(0);
    let damaged: Vec<_> =
        job.checkpoints.iter().map(|one| (one.problems.len(), one.operators.len())).collect();
    assert_eq!(damaged, [(1, 2), (1, 0), (1, 2)], "{job:?}");
    assert_eq!(job.checkpoints[0].problems[0].object, state.display().to_string());
    assert!(job.checkpoints[0].operators[1].subtasks[1].state_file.is_some());
}

fn first_file(folder: &Folder, place: Place, name: &str) -> PathBuf {
    let path = folder.place(place).join(name);
    assert!(path.is_file(), "{}", path.display());
    path
}

#[test]
fn verification_takes_every_kind_of_directory_and_changes_nothing() {
    let folder = Folder::with_checkpoints();
    let before = folder.files();
    let all = verified(folder.path());
    let expected = [
        ("chk-2", Status::Newest, Verdict::Whole),
        ("chk-1", Status::Retained, Verdict::Whole),
        ("savepoint-3-1", Status::Savepoint, Verdict::Whole),
    ];
    assert!(all.is_whole && all.jobs[0].problems.is_empty(), "{all:?}");
    assert_eq!(verdicts(&all), expected);
    assert_eq!(verdicts(&verified(folder.storage.directory())), expected);
    for (place, verdict) in [CHECKPOINT_2, CHECKPOINT_1, SAVEPOINT].into_iter().zip(expected) {
        let one = verified(folder.place(place));
        assert!(one.is_whole, "{one:?}");
        assert_eq!(verdicts(&one), [verdict]);
    }
    inspected(folder.path(), Depth::Entries);
    assert!(folder.files() == before);
    // A savepoint is the user's, who may put it anywhere.
    let moved = folder.path().join("elsewhere").join(SAVEPOINT.to_string());
    fs::create_dir(moved.parent().expect("has one")).expect("creates");
    fs::rename(folder.place(SAVEPOINT), &moved).expect("moves");
    assert!(verified(&moved).is_whole);
    assert_eq!(inspected(&moved, Depth::Headers).jobs[0].job, JOB.to_string());
    // What a shared file is counts once, and every file is read to its end.
    let read = before.iter().filter(|(path, _)| {
        let path = path.display().to_string();
        !path.contains("pointers") && !path.contains("_metadata")
    });
    assert_eq!(all.read_bytes, read.map(|(_, bytes)| bytes.len() as u64).sum::<u64>());
}

#[test]
fn verification_of_what_holds_no_checkpoints_says_what_is_expected() {
    let folder = Folder::with_checkpoints();
    let lonely = folder.path().join("chk-1");
    fs::create_dir(&lonely).expect("creates");
    for path in [lonely.join(".."), folder.storage.directory().join("..")] {
        assert!(verified(path).is_whole, "a path that ends with `..` has a name");
    }
    let file = folder.place(CHECKPOINT_1).join("_metadata");
    for path in [lonely, folder.storage.directory().join("shared"), file] {
        let error = Location::of(&path).expect_err("holds no checkpoints").to_string();
        assert!(error.starts_with(&path.display().to_string()), "{error}");
        assert!(error.contains("chk-<n>") && error.contains("savepoint-<n>-<attempt>"), "{error}");
    }
    let missing = Location::of(folder.path().join("missing")).expect_err("is missing");
    assert!(matches!(missing, LocationError::Unreadable { .. }), "{missing}");
}

#[test]
fn verification_finds_any_changed_byte_in_any_file() {
    let folder = Folder::with_checkpoints();
    let mut kinds = [0; 4];
    for (path, bytes) in folder.files() {
        let name = path.display().to_string();
        let kind = ["pointers", "_metadata", ".state", ""].iter().position(|kind| name.contains(kind));
        kinds[kind.expect("one of them")] += 1;
        for offset in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[offset] ^= 1 << (offset % 8);
            fs::write(&path, damaged).expect("writes");
            assert_found(&folder, &name, offset);
        }
        for length in (0..bytes.len()).step_by(7) {
            fs::write(&path, &bytes[..length]).expect("writes");
            assert_found(&folder, &name, length);
        }
        fs::write(&path, [&bytes[..], b"more"].concat()).expect("writes");
        assert_found(&folder, &name, bytes.len());
        fs::write(&path, bytes).expect("writes");
    }
    assert_eq!(kinds, [3, 3, 9, 3]);
    assert!(verified(folder.path()).is_whole);
}

#[track_caller]
fn assert_found(folder: &Folder, name: &str, offset: usize) {
    let verification = verified(folder.path());
    let found = problems(&verification);
    assert!(!verification.is_whole, "{name} at {offset}");
    assert!(found.iter().any(|problem| problem.starts_with(name)), "{name} at {offset}: {found:?}");
}

/// But for the newest pointer and the metadata of a savepoint, without which they have never been.
#[test]
fn verification_finds_any_missing_file_that_is_referred_to() {
    let folder = Folder::with_checkpoints();
    for (path, bytes) in folder.files() {
        let name = path.display().to_string();
        fs::remove_file(&path).expect("deletes");
        let verification = verified(folder.path());
        let is_known = name.contains("pointers") || name.ends_with("savepoint-3-1/_metadata");
        assert_eq!(verification.is_whole, is_known, "{name}: {verification:?}");
        let found = problems(&verification);
        assert!(is_known || found.iter().any(|problem| problem.starts_with(&name)), "{name}: {found:?}");
        fs::write(&path, bytes).expect("writes");
    }
}

#[test]
fn verification_finds_files_that_were_exchanged() {
    let folder = Folder::with_checkpoints();
    let pointer = |number| folder.storage.pointer_path(PointerSequence(number));
    let in_place = |place: Place, name: &str| folder.place(place).join(name);
    let pairs = [
        [in_place(CHECKPOINT_1, "1-0-1.state"), in_place(CHECKPOINT_1, "1-1-1.state")],
        [in_place(CHECKPOINT_1, "1-0-1.state"), in_place(CHECKPOINT_2, "1-0-1.state")],
        [in_place(CHECKPOINT_1, "_metadata"), in_place(CHECKPOINT_2, "_metadata")],
        [in_place(CHECKPOINT_2, "_metadata"), in_place(SAVEPOINT, "_metadata")],
        [in_place(CHECKPOINT_2, "_metadata"), in_place(CHECKPOINT_2, "0-0-1.state")],
        [pointer(2), pointer(3)],
    ];
    for [one, other] in pairs {
        let [of_one, of_other] = [&one, &other].map(|path| fs::read(path).expect("reads"));
        fs::write(&one, &of_other).expect("writes");
        fs::write(&other, &of_one).expect("writes");
        let verification = verified(folder.path());
        assert!(!verification.is_whole, "{} and {}", one.display(), other.display());
        fs::write(&one, of_one).expect("writes");
        fs::write(&other, of_other).expect("writes");
    }
    assert!(verified(folder.path()).is_whole);
}

/// What no checksum tells.
#[test]
fn verification_finds_metadata_that_does_not_agree_with_state_files() {
    let expect = |change: &dyn Fn(&mut CheckpointMetadata), expected: &str| {
        let folder = Folder::with_checkpoints();
        let mut metadata = folder.storage.metadata_of(CHECKPOINT_2).expect("intact").expect("there");
        change(&mut metadata);
        let bytes = encode_metadata(&metadata).expect("encodes");
        fs::write(folder.place(CHECKPOINT_2).join("_metadata"), bytes).expect("writes");
        let verification = verified(folder.path());
        let found = problems(&verification);
        assert!(
            !verification.is_whole && found.iter().any(|problem| problem.ends_with(expected)),
            "{found:?}"
        );
        let inspected = inspected(folder.path(), Depth::Headers);
        let told: Vec<_> =
            inspected.jobs[0].checkpoints[0].problems.iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|problem| problem.ends_with(expected)), "{told:?}");
    };
    let first = SubtaskId::new(1, 0);
    expect(
        &|metadata| metadata.operators[1].max_parallelism = 16,
        "its maximum parallelism is 8, that of the operator 16",
    );
    expect(
        &|metadata| metadata.operators[1].parallelism = 4,
        "its key groups are [4, 7], those of the subtask [2, 3]",
    );
    expect(
        &|metadata| metadata.operators[1].parallelism = 1,
        "it has subtask 1-1 of an operator with parallelism 1",
    );
    expect(
        &|metadata| drop(metadata.operators.pop()),
        "it has subtask 1-0 of an operator that it does not have",
    );
    expect(
        &|metadata| {
            let other = metadata.checkpoint.states[&SubtaskId::new(1, 1)].clone();
            metadata.checkpoint.states.insert(first, other);
        },
        "subtask 1-0 has the file of subtask 1-1, checkpoint 2, attempt 1",
    );
    expect(
        &|metadata| drop(metadata.checkpoint.shared.remove(&first)),
        "it refers to a shared file that `_metadata` does not have, with digest 0000000000000000000000000000004d",
    );
    expect(
        &|metadata| {
            let shared = metadata.checkpoint.shared[&first].clone();
            metadata.checkpoint.shared.insert(SubtaskId::new(1, 1), shared);
        },
        "it does not refer to a shared file that `_metadata` has, with digest 0000000000000000000000000000004d",
    );
    assert_eq!(operators().len(), 2);
}

#[test]
fn verification_tells_leftovers_and_does_not_fail_for_them() {
    let folder = Folder::with_checkpoints();
    // One is being written, one was given up, and one waits to be deleted and has lost a file.
    let writing = folder.storage.directory().join("chk-9");
    fs::create_dir(&writing).expect("creates");
    fs::write(writing.join(".tmp-0-0-1.state-1-1"), b"half").expect("writes");
    fs::write(folder.storage.directory().join("notes.txt"), b"somebody's").expect("writes");
    folder.put_checkpoint(7, &[]);
    fs::remove_file(folder.place(Place::Checkpoint(CheckpointId(7))).join("1-0-1.state")).expect("deletes");
    let verification = verified(folder.path());
    assert!(verification.is_whole, "{verification:?}");
    let expected = [
        ("chk-9", Status::Unpublished, Verdict::Unfinished),
        ("chk-7", Status::Unpublished, Verdict::Damaged),
        ("chk-2", Status::Newest, Verdict::Whole),
    ];
    assert_eq!(verdicts(&verification)[..3], expected);
    assert_eq!(problems(&verification).len(), 1, "{verification:?}");
    // Who asks for one of them wants it whole.
    for name in ["chk-9", "chk-7"] {
        let one = verified(folder.storage.directory().join(name));
        assert!(!one.is_whole && one.jobs[0].checkpoints[0].verdict == Verdict::Damaged, "{one:?}");
    }
}

#[test]
fn verification_without_pointers_wants_everything_complete_whole() {
    let folder = Folder::with_checkpoints();
    fs::remove_dir_all(folder.storage.directory().join("pointers")).expect("deletes");
    let whole = verified(folder.path());
    assert!(whole.is_whole && whole.jobs[0].checkpoints[0].status == Status::Unknown, "{whole:?}");
    fs::write(folder.place(CHECKPOINT_1).join("1-0-1.state"), b"damaged").expect("writes");
    assert!(!verified(folder.path()).is_whole);
}

/// The job goes on meanwhile: what is verified is the checkpoint that is the newest then.
#[test]
fn verification_of_checkpoints_that_are_deleted_meanwhile_reads_the_newer_one() {
    let folder = Folder::with_checkpoints();
    let location = Location::of(folder.path()).expect("holds checkpoints");
    let mut is_first = true;
    let verification = verify(&location, &mut |_| {
        if std::mem::take(&mut is_first) {
            folder.put_checkpoint(4, &[]);
            folder.put_pointer(4, PointerKind::Publication, Some(4), &[]);
            folder.storage.delete_checkpoint(CheckpointId(2)).expect("deletes");
            // The deletion of the other one has only begun.
            fs::remove_file(folder.place(CHECKPOINT_1).join("0-0-1.state")).expect("deletes");
        }
    });
    assert!(verification.is_whole, "{verification:?}");
    let expected = [
        ("chk-2", Status::Unpublished, Verdict::Deleted),
        ("chk-1", Status::Unpublished, Verdict::Damaged),
        ("savepoint-3-1", Status::Savepoint, Verdict::Whole),
        ("chk-4", Status::Newest, Verdict::Whole),
    ];
    assert_eq!(verdicts(&verification), expected);
}

#[test]
fn verification_of_a_job_that_has_retired_wants_nothing() {
    let folder = Folder::with_checkpoints();
    folder.put_pointer(4, PointerKind::Claim, None, &[2]);
    folder.storage.delete_checkpoint(CheckpointId(2)).expect("deletes");
    fs::remove_file(folder.place(CHECKPOINT_1).join("0-0-1.state")).expect("deletes");
    let verification = verified(folder.path());
    assert!(verification.is_whole, "{verification:?}");
    let named = inspected(folder.path(), Depth::Headers).jobs.remove(0);
    assert_eq!((named.newest_checkpoint, &named.retained_checkpoints[..]), (None, &[][..]));
}
