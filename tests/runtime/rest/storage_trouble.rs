//! What is told of a job whose storage stays away.

use super::*;
use snapline::store::{FileFault, FileFaults, FileOperation};
use std::sync::atomic::{AtomicBool, Ordering};

/// While the log of pointers is away, it takes in what is written without saying so, and cannot be read.
#[derive(Debug, Default)]
struct PointersAway(AtomicBool);

impl FileFaults for PointersAway {
    fn fault(&self, operation: FileOperation, path: &Path) -> Option<FileFault> {
        let is_pointer = path.parent().is_some_and(|parent| parent.ends_with("pointers"));
        let is_told = matches!(operation, FileOperation::Link | FileOperation::Open | FileOperation::Read);
        let is_away = is_pointer && is_told && self.0.load(Ordering::SeqCst);
        let is_done = operation == FileOperation::Link;
        is_away.then(|| FileFault { is_done, error: std::io::Error::other("the disk is away") })
    }
}

#[test]
fn rest_job_whose_storage_stays_away_says_so_and_goes_on_when_it_comes_back() {
    let (folder, faults) = (TempDir::new().unwrap(), Arc::new(PointersAway::default()));
    let storage = FileSystemCheckpointStorage::open(folder.path(), JOB).unwrap();
    let storage = storage.with_faults(Arc::clone(&faults) as Arc<dyn FileFaults>);
    let world = World::new();
    world.hold_from(Some(0));
    let options = JobOptions { checkpoint_interval: Some(Millis(20)), ..options(0) };
    let served = Served::start(world, options, Arc::new(storage));
    let completed = || served.handle.progress().completed;
    wait_until(&served.handle, || completed() > 0);
    let details = || served.client.get(&format!("/jobs/{JOB}"));
    assert_eq!(details()["storage-trouble"], Value::Null);

    faults.0.store(true, Ordering::SeqCst);
    wait_until(&served.handle, || served.handle.watch().storage_trouble().is_some());
    let trouble = details()["storage-trouble"].take();
    let error = trouble["error"].as_str().unwrap();
    assert!(error.contains("/pointers/") && error.contains("the disk is away"), "{error}");
    let (since, now) = (trouble["since"].as_u64().unwrap(), details()["now"].as_u64().unwrap());
    assert!(details()["start-time"].as_u64().unwrap() <= since && since <= now, "{since}");
    assert_eq!(details()["state"], "RUNNING");

    faults.0.store(false, Ordering::SeqCst);
    let before = completed();
    wait_until(&served.handle, || completed() > before + 1);
    assert_eq!(details()["storage-trouble"], Value::Null);
    served.handle.control().cancel();
    assert_eq!(served.end(), JobEnd::Cancelled);
}
