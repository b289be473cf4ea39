//! What can be told of a directory of checkpoints whose log of pointers lies elsewhere.

use crate::common::{World, in_files, run};
use crate::{in_directory, storage};
use snapline::inspection::{Depth, Fate, Location, Status, Verdict, diff, fsck, inspect, verify};
use snapline::publish::PointerKind;
use snapline::store::*;
use std::fs;
use std::sync::Arc;
use tempfile::TempDir;

/// The checkpoints of a job that has run, and the name of its log.
fn checkpoints() -> (TempDir, TempDir, String) {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let pointers = Arc::new(in_directory(elsewhere.path()));
    let name = pointers.name();
    run(&World::new(), 2, in_files(0), &storage(directory.path(), pointers).unwrap()).unwrap();
    (directory, elsewhere, name)
}

#[test]
fn high_availability_tools_call_nothing_safe_that_the_log_may_name() {
    let (directory, _log, name) = checkpoints();
    let job = directory.path().join(crate::JOB.to_string());
    // Of an attempt that is over, as it seems: but nobody knows here which attempt is the newest.
    fs::create_dir(job.join("chk-1")).unwrap();
    for left_over in [
        "chk-1/1-0-0.state",
        "shared/1-0-0-7-000000000000000000000000000000ff-1",
        // Of a process that has asked whether the job has a log, and waits for the answer.
        "pointers/.tmp-00000000000000000001-77-0",
    ] {
        fs::write(job.join(left_over), b"x").unwrap();
    }
    let found = fsck(&Location::of(directory.path()).unwrap()).unwrap();
    assert!(found.is_complete, "{found:?}");
    assert_eq!(found.jobs[0].pointers_in.as_ref(), Some(&name));
    assert_eq!(found.garbage().files, []);
    let fates = |fate| found.jobs[0].files.iter().filter(move |file| file.fate == fate);
    assert!(fates(Fate::LeftAlone).count() >= 5, "{found:?}");
    for file in fates(Fate::LeftAlone) {
        assert!(file.reason.contains(&format!("log of pointers lies in {name}")), "{file:?}");
    }
    // Nor by a pointer that lies beside the first one, whoever has put it there.
    let claim = snapline::publish::Pointer { attempt: snapline::base::Attempt(9), ..crate::claim(1) };
    let beside = FileSystemCheckpointStorage::for_reading(&job, crate::JOB);
    for sequence in [7, 1_000] {
        let published = snapline::publish::Pointer { kind: PointerKind::Publication, ..claim.clone() };
        beside.put_pointer(snapline::publish::PointerSequence(sequence), &published).unwrap();
    }
    let again = fsck(&Location::of(directory.path()).unwrap()).unwrap();
    assert_eq!((again.jobs[0].pointers_in.as_ref(), again.garbage().files), (Some(&name), vec![]));
    let marker: Vec<_> = fates(Fate::Needed).filter(|file| file.rule == Some("PUB-47")).collect();
    assert!(matches!(marker[..], [file] if file.file.ends_with("pointers/00000000000000000001")));
}

/// A job beside it whose log is with its files may share files with it: these are left alone, too.
#[test]
fn high_availability_tools_are_as_careful_with_jobs_beside_it() {
    let (directory, _log, name) = checkpoints();
    let other = snapline::base::JobId(8);
    let beside = FileSystemCheckpointStorage::open(directory.path(), other).unwrap();
    let claim = snapline::publish::Pointer { attempt: snapline::base::Attempt(5), ..crate::claim(1) };
    beside.put_pointer(snapline::publish::PointerSequence::FIRST, &claim).unwrap();
    let left_over = beside.directory().join("shared/1-0-1-7-000000000000000000000000000000ff-1");
    fs::write(left_over, b"x").unwrap();
    let found = fsck(&Location::of(beside.directory()).unwrap()).unwrap();
    assert_eq!(found.garbage().files, []);
    let file = found.jobs[0].files.iter().find(|file| file.file.contains("/shared/")).unwrap();
    assert!(file.fate == Fate::LeftAlone && file.reason.contains(&name), "{file:?}");
}

#[test]
fn high_availability_tools_verify_all_that_is_there_and_say_what_they_cannot_know() {
    let (directory, _log, name) = checkpoints();
    let location = Location::of(directory.path()).unwrap();
    let verification = verify(&location, &mut |_| {});
    assert!(verification.is_whole && verification.read_bytes > 0, "{verification:?}");
    let [job] = &verification.jobs[..] else { panic!("{verification:?}") };
    assert_eq!(job.pointers_in.as_ref(), Some(&name));
    assert!(job.checkpoints.iter().any(|checkpoint| checkpoint.verdict == Verdict::Whole), "{job:?}");
    assert!(job.checkpoints.iter().all(|checkpoint| checkpoint.status == Status::Unknown), "{job:?}");

    let inspected = inspect(&location, Depth::Entries);
    assert_eq!(inspected.jobs[0].pointers_in.as_ref(), Some(&name));
    assert_eq!((inspected.jobs[0].newest_pointer, &inspected.jobs[0].problems[..]), (None, &[][..]));

    let one = Location::of(directory.path().join(crate::JOB.to_string())).unwrap();
    let refused = diff(&one, &one).unwrap_err();
    assert!(refused.to_string().contains(&name) && refused.to_string().contains("chk-<n>"), "{refused}");

    // Damage is damage, whoever may need the checkpoint.
    let state = fs::read_dir(directory.path().join(crate::JOB.to_string()))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.display().to_string().contains("/chk-"))
        .and_then(|path| fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).next())
        .unwrap();
    fs::write(state, b"junk").unwrap();
    assert!(!verify(&Location::of(directory.path()).unwrap(), &mut |_| {}).is_whole);
}
