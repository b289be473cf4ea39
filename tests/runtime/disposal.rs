//! Savepoints are deleted by their user, and nothing else is.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

use crate::common::{JOB, World, job, options, wait_until};
use snapline::base::{CheckpointKind, Millis, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::inspection::{Location, verify};
use snapline::runtime::{Disposal, DisposalError, JobOptions, dispose_savepoint};
use snapline::store::FileSystemCheckpointStorage;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

/// A job that has taken a savepoint and was stopped: the directories of both.
fn stopped_job(directory: &Path) -> [PathBuf; 2] {
    let world = World::new();
    world.hold_from(Some(0));
    let storage = FileSystemCheckpointStorage::open(directory, JOB).unwrap();
    let options = JobOptions { checkpoint_interval: Some(Millis(20)), ..options(0) };
    let handle = job(&world, 2).start(options, Arc::new(storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 0);
    let control = handle.control();
    let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait_for_checkpoint().unwrap();
    let stop = control
        .stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native)
        .wait_for_checkpoint()
        .unwrap();
    handle.wait().unwrap();
    [savepoint, stop].map(|checkpoint| checkpoint.external_path.into())
}

fn is_whole(directory: &Path) -> bool {
    verify(&Location::of(directory).unwrap(), &mut |_| ()).is_whole
}

#[test]
fn disposal_deletes_a_savepoint_wherever_it_is_and_is_fine_with_one_that_is_gone() {
    let (folder, elsewhere) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let [savepoint, _] = stopped_job(folder.path());
    let copy = elsewhere.path().join(savepoint.file_name().unwrap());
    fs::create_dir(&copy).unwrap();
    for entry in fs::read_dir(&savepoint).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    assert_eq!(dispose_savepoint(&savepoint).unwrap(), Disposal::Deleted);
    assert_eq!(dispose_savepoint(&savepoint).unwrap(), Disposal::Absent);
    assert!(!savepoint.exists() && copy.exists());
    assert!(is_whole(folder.path()), "the job has lost nothing");
    assert_eq!(dispose_savepoint(copy.join("_metadata")).unwrap(), Disposal::Deleted);
    assert_eq!(dispose_savepoint(copy.join("_metadata")).unwrap(), Disposal::Absent);
    assert!(!copy.exists());
}

#[test]
fn disposal_of_anything_else_is_refused_and_says_what_was_found() {
    let folder = TempDir::new().unwrap();
    let [savepoint, stop] = stopped_job(folder.path());
    let error = dispose_savepoint(&stop).unwrap_err();
    assert!(matches!(error, DisposalError::Checkpoint { kind: CheckpointKind::Stop, .. }), "{error}");
    assert!(error.to_string().contains("(stop), which belongs to its job"), "{error}");
    let told = |path: &Path| dispose_savepoint(path).unwrap_err().to_string();
    let job = stop.parent().unwrap();
    assert!(told(job).contains("is no single checkpoint"), "{}", told(job));
    assert!(told(folder.path()).contains("is no single checkpoint"), "{}", told(folder.path()));
    let foreign = folder.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("letter"), "dear").unwrap();
    assert!(told(&foreign).contains("holds no checkpoints"), "{}", told(&foreign));
    assert!(told(&folder.path().join("nothing")).contains("does not exist"));
    // Where the savepoints of a job would be there is nothing either, so this is another place.
    for elsewhere in [folder.path().join("misspelt/savepoint-3-1"), "s3://bucket/savepoint-3-1".into()] {
        assert!(told(&elsewhere).contains("cannot be read"), "{}", told(&elsewhere));
    }
    // The metadata of a checkpoint does not make a savepoint of its directory.
    let disguised = job.join("savepoint-99-1");
    fs::create_dir(&disguised).unwrap();
    fs::copy(stop.join("_metadata"), disguised.join("_metadata")).unwrap();
    dispose_savepoint(&disguised).unwrap_err();
    assert!(disguised.join("_metadata").exists());
    // It may be one that is being written.
    fs::remove_file(disguised.join("_metadata")).unwrap();
    assert!(told(&disguised).contains("has no _metadata"), "{}", told(&disguised));
    fs::write(disguised.join("_metadata"), "damaged").unwrap();
    assert!(told(&disguised).contains("savepoint-99-1"), "{}", told(&disguised));
    for kept in [&savepoint, &stop, &foreign.join("letter"), &disguised] {
        assert!(kept.exists(), "{}", kept.display());
    }
}
