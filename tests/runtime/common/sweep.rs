//! Somebody deletes whatever is said to be safe to delete, at any moment.

use snapline::inspection::{Dangling, JobFiles, Location, fsck};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Deletes what is safe to delete in a directory of checkpoints, while jobs may go on there, and says how many files that was.
/// Nothing is missing, and what is deleted is not referred to.
pub fn sweep(directory: &Path) -> u64 {
    // Before the first job there is nothing.
    let Ok(location) = Location::of(directory) else { return 0 };
    let found = fsck(&location).unwrap();
    // A job that has claimed the checkpoint of an earlier one deletes it, and first some of its files.
    let may_be_claimed = |job: &JobFiles, dangling: &Dangling| {
        let is_of_checkpoint = ["pointer ", "chk-"].iter().any(|by| dangling.referred_to_by.starts_with(by));
        job.job != found.jobs[found.jobs.len() - 1].job && is_of_checkpoint
    };
    for job in &found.jobs {
        let mut dangling = job.dangling.iter().filter(|dangling| !may_be_claimed(job, dangling));
        assert_eq!((dangling.next(), &job.problems[..]), (None, &[][..]));
    }
    let mut deleted = 0;
    let referred = referred_to(directory);
    for file in found.garbage().files {
        let path = PathBuf::from(&file.file);
        assert!(!referred.contains(&path), "{file:?} is referred to");
        let result = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        match result.map_err(|error| error.kind()) {
            Ok(()) => deleted += 1,
            // The job has deleted it, too, or written something more into a directory.
            Err(ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {}
            Err(error) => panic!("{file:?}: {error}"),
        }
    }
    deleted
}

/// The files to which the newest pointers and all savepoints refer.
fn referred_to(directory: &Path) -> BTreeSet<PathBuf> {
    let mut referred = BTreeSet::new();
    for job in FileSystemCheckpointStorage::jobs(directory).unwrap() {
        let storage = FileSystemCheckpointStorage::for_reading(directory.join(job.to_string()), job);
        let newest = storage.list().unwrap().pointers.last().copied();
        let pointer = newest.and_then(|newest| storage.read_pointer(newest).unwrap());
        referred.extend(newest.map(|newest| storage.pointer_path(newest)));
        let named = pointer.iter().flat_map(|pointer| pointer.checkpoints());
        let named = named.map(snapline::store::Place::Checkpoint).collect::<Vec<_>>();
        for place in named.into_iter().chain(storage.savepoints().unwrap()) {
            let Some(metadata) = storage.metadata_of(place).unwrap() else { continue };
            referred.insert(storage.path_of(place).join("_metadata"));
            let states = metadata.checkpoint.states.values().flatten();
            referred.extend(states.map(|handle| storage.state_path(handle.file)));
            let shared = metadata.checkpoint.shared.values().flatten();
            referred.extend(shared.map(|object| storage.shared_path(object)));
        }
    }
    referred
}
