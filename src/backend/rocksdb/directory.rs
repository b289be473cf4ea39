//! The directories on a local disk in which instances work.
//!
//! Each instance has its own, with a locked file in it, and removes it at its end. Those of processes that were killed have
//! no lock any more; the next instance removes them.

#![allow(clippy::disallowed_methods)]

use super::error::RocksDbError;
use std::fs::{self, File, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

/// With this begin the names of all of them.
const PREFIX: &str = "snapline-rocksdb-";

/// Is locked as long as its directory is in use.
const LOCK: &str = "IN_USE";

/// The directory of one instance.
#[derive(Debug)]
pub(super) struct WorkingDirectory {
    path: PathBuf,
    /// Tells this instance from all others, of this process and others.
    pub(super) instance: u64,
    /// Keeps the lock.
    _lock: File,
}

impl WorkingDirectory {
    /// Makes a new one below `parent`, and removes those there that nobody uses any more.
    pub(super) fn create(parent: &Path) -> Result<Self, RocksDbError> {
        let failed = |error: io::Error| RocksDbError::new("set up its working directory", parent, error);
        fs::create_dir_all(parent).map_err(failed)?;
        remove_abandoned(parent).map_err(failed)?;
        // Every such state has other keys, of which the first were chosen by chance.
        let instance = RandomState::new().hash_one(std::process::id());
        let path = parent.join(format!("{PREFIX}{instance:016x}"));
        // Nobody takes the directory for abandoned before the lock is held: until then it has another name.
        let unfinished = parent.join(format!(".{PREFIX}{instance:016x}"));
        fs::create_dir(&unfinished).map_err(failed)?;
        let lock = File::create_new(unfinished.join(LOCK)).and_then(|lock| lock.lock().map(|()| lock));
        let lock = lock.and_then(|lock| fs::rename(&unfinished, &path).map(|()| lock));
        let lock = lock.inspect_err(|_| drop(fs::remove_dir_all(&unfinished))).map_err(failed)?;
        Ok(WorkingDirectory { path, instance, _lock: lock })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the instance itself is.
    pub(super) fn database(&self) -> PathBuf {
        self.path.join("db")
    }
}

impl Drop for WorkingDirectory {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(directory = %self.path.display(), %error, "a working directory could not be removed");
        }
    }
}

/// Removes directories whose processes are gone.
fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_one {
            continue;
        }
        // Without a lock file it is being removed by someone else.
        let Ok(lock) = File::open(entry.path().join(LOCK)) else { continue };
        match lock.try_lock() {
            Ok(()) => {
                let path = entry.path();
                match fs::remove_dir_all(&path) {
                    Ok(()) => {
                        tracing::info!(directory = %path.display(), "an abandoned working directory was removed")
                    }
                    Err(error) => {
                        tracing::warn!(directory = %path.display(), %error, "an abandoned working directory stays");
                    }
                }
            }
            Err(TryLockError::WouldBlock | TryLockError::Error(_)) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn working_directories_in_use_stay_and_abandoned_ones_are_removed() {
        let parent = tempfile::tempdir().unwrap();
        let used = WorkingDirectory::create(parent.path()).unwrap();
        let abandoned = parent.path().join(format!("{PREFIX}0123456789abcdef"));
        fs::create_dir_all(abandoned.join("db")).unwrap();
        File::create(abandoned.join(LOCK)).unwrap();
        let foreign = parent.path().join("something else");
        fs::create_dir(&foreign).unwrap();
        let another = WorkingDirectory::create(parent.path()).unwrap();
        assert!(used.path().is_dir() && another.path().is_dir() && foreign.is_dir());
        assert!(!abandoned.exists());
        assert_ne!(used.instance, another.instance);
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists(), "its instance has ended");
        assert!(another.path().is_dir());
    }

    #[test]
    fn working_directory_that_cannot_be_made_is_told_with_its_place() {
        let parent = tempfile::tempdir().unwrap();
        let file = parent.path().join("a file");
        fs::write(&file, "").unwrap();
        let told = WorkingDirectory::create(&file).map(drop).unwrap_err().to_string();
        assert!(told.contains("a file") && told.contains("set up its working directory"), "{told}");
    }
}
