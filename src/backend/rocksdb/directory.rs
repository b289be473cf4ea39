//! The directories on a local disk in which instances work.
//!
//! Each instance has its own, with a locked file in it, and removes it at its end. Those of processes that were killed have
//! no lock any more; the next instance removes them.

#![allow(clippy::disallowed_methods)]

use super::error::RocksDbError;
use std::fs::{self, File};
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
        loop {
            // Every such state has other keys, of which the first were chosen by chance.
            let instance = RandomState::new().hash_one(std::process::id());
            let path = parent.join(format!("{PREFIX}{instance:016x}"));
            fs::create_dir(&path).map_err(failed)?;
            // Before there was a lock, someone may have taken it for abandoned.
            if let Some(lock) = lock(&path).filter(|_| path.join(LOCK).exists()) {
                return Ok(WorkingDirectory { path, instance, _lock: lock });
            }
            if path.is_dir() {
                fs::remove_dir_all(&path).map_err(failed)?;
            }
        }
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

/// Locks a directory, if nobody else has it.
fn lock(directory: &Path) -> Option<File> {
    let file = File::options().create(true).truncate(false).write(true).open(directory.join(LOCK)).ok()?;
    file.try_lock().ok().map(|()| file)
}

/// Removes directories whose processes are gone.
fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !is_one {
            continue;
        }
        let path = entry.path();
        // It is kept until everything is gone.
        let Some(_lock) = lock(&path) else { continue };
        match fs::remove_dir_all(&path) {
            Ok(()) => {
                tracing::info!(directory = %path.display(), "an abandoned working directory was removed")
            }
            Err(error) => {
                tracing::warn!(directory = %path.display(), %error, "an abandoned working directory stays");
            }
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
        let begun = parent.path().join(format!("{PREFIX}0000000000000000"));
        fs::create_dir(&begun).unwrap();
        let foreign = parent.path().join("something else");
        fs::create_dir(&foreign).unwrap();
        let another = WorkingDirectory::create(parent.path()).unwrap();
        assert!(used.path().is_dir() && another.path().is_dir() && foreign.is_dir());
        assert!(!abandoned.exists() && !begun.exists());
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
