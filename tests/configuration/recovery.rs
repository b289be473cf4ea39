//! What a job starts from.

use super::{problems, read};
use snapline::base::{Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, JobId};
use snapline::coordinator::ClaimMode;
use snapline::runtime::{GivenCheckpoint, JobOptions};
use snapline::store::{
    CheckpointStorage, FileSystemCheckpointStorage, JobDescription, JobManagerCheckpointStorage,
};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const PATH: &str = "execution.state-recovery.path";
const MODE: &str = "execution.state-recovery.claim-mode";

/// The path of a savepoint of a job without state, below `folder`.
pub(super) fn savepoint(folder: &Path) -> String {
    let storage = FileSystemCheckpointStorage::open(folder, JobId(1)).unwrap();
    let checkpoint = CompletedCheckpoint {
        id: CheckpointId(4),
        attempt: Attempt(2),
        kind: CheckpointKind::Savepoint,
        states: BTreeMap::new(),
        shared: BTreeMap::new(),
    };
    let name = storage.savepoint_name(checkpoint.id, checkpoint.attempt);
    storage.put_metadata(&JobDescription { job: JobId(1), operators: vec![] }.metadata(checkpoint)).unwrap();
    name
}

#[test]
fn recovery_path_and_claim_mode_say_what_a_job_starts_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = savepoint(folder.path());
    let metadata = format!("{path}/_metadata");
    let url = format!("file://{path}");
    for (entries, mode) in [
        (vec![(PATH, path.as_str())], ClaimMode::NoClaim),
        (vec![(PATH, &metadata), (MODE, "claim")], ClaimMode::Claim),
        (vec![(PATH, &url), (MODE, "NO_CLAIM")], ClaimMode::NoClaim),
    ] {
        let options = read(&entries).unwrap().options;
        assert_eq!(options.restore, Some(GivenCheckpoint::open(&path, mode).unwrap()), "{entries:?}");
        let written = options.to_configuration().unwrap();
        assert_eq!(JobOptions::from_configuration(&written).unwrap().restore, options.restore, "{entries:?}");
    }
    assert_eq!(read(&[(MODE, "CLAIM")]).unwrap().options.restore, None);
}

#[test]
fn recovery_path_that_leads_to_no_checkpoint_is_refused_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = savepoint(folder.path());
    let missing = format!("{path}-missing");
    for (entries, key, what) in [
        (
            [(PATH, missing.as_str()), (MODE, "CLAIM")],
            PATH,
            "-missing cannot be read: No such file or directory",
        ),
        (
            [(PATH, folder.path().to_str().unwrap()), (MODE, "CLAIM")],
            PATH,
            "is no single checkpoint: name one",
        ),
        ([(PATH, "s3://bucket/savepoint"), (MODE, "CLAIM")], PATH, "it must lie in the file system"),
        ([(PATH, &path), (MODE, "LEGACY")], MODE, "it must be one of NO_CLAIM, CLAIM"),
    ] {
        let told = problems(&entries);
        assert!(matches!(&told[..], [one] if one.contains(key) && one.contains(what)), "{told:?}");
    }
}

#[test]
fn recovery_from_what_has_no_path_cannot_be_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let opened = GivenCheckpoint::open(savepoint(folder.path()), ClaimMode::Claim).unwrap();
    let storage = Arc::new(JobManagerCheckpointStorage::new(JobId(1)));
    let nameless = GivenCheckpoint::new(storage, opened.metadata().clone(), opened.mode());
    let told =
        JobOptions { restore: Some(nameless), ..JobOptions::default() }.to_configuration().unwrap_err();
    assert!(told.to_string().contains(PATH), "{told}");
}
