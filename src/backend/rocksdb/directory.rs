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

/// With this begin the names of those that have no lock yet.
const BEGUN_PREFIX: &str = ".snapline-rocksdb-";

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
            if let Some(directory) = Self::begin(parent).map_err(failed)? {
                return Ok(directory);
            }
        }
    }

    /// Makes a new one, unless another instance takes it for abandoned before it is locked. Each looks for such only once, when
    /// it begins itself.
    fn begin(parent: &Path) -> io::Result<Option<Self>> {
        // Every such state has other keys, of which the first were chosen by chance.
        let instance = RandomState::new().hash_one(std::process::id());
        let path = parent.join(format!("{PREFIX}{instance:016x}"));
        // It gets its name when it is locked: one with this name and without a lock is abandoned.
        let begun = parent.join(format!("{BEGUN_PREFIX}{instance:016x}"));
        fs::create_dir(&begun)?;
        let locked = File::create_new(begun.join(LOCK)).and_then(|file| file.lock().map(|()| file));
        let renamed = locked.and_then(|file| fs::rename(&begun, &path).map(|()| file));
        match renamed {
            Ok(lock) => Ok(Some(WorkingDirectory { path, instance, _lock: lock })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => {
                // It is of no use, whether it goes or not.
                let _ = fs::remove_dir_all(&begun);
                Err(error)
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
        // As soon as the lock is gone, someone else may take it for abandoned and remove it, too.
        if let Err(error) = fs::remove_dir_all(&self.path)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(directory = %self.path.display(), %error, "a working directory could not be removed");
        }
    }
}

/// Removes directories whose processes are gone.
fn remove_abandoned(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().unwrap_or_default();
        let is_begun = name.starts_with(BEGUN_PREFIX);
        if !(is_begun || name.starts_with(PREFIX)) || !is_abandoned(&entry.path()) {
            continue;
        }
        let abandoned = if is_begun { take_over(&entry.path()) } else { Ok(entry.path()) };
        match abandoned.and_then(|path| remove(&path)) {
            Ok(()) => {
                tracing::info!(directory = %entry.path().display(), "an abandoned working directory was removed");
            }
            // Someone else has done the same, or it has got its name.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!(directory = %entry.path().display(), %error, "an abandoned working directory stays");
            }
        }
    }
    Ok(())
}

/// Removes a directory, even if its process puts its lock into it just now.
fn remove(directory: &Path) -> io::Result<()> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => fs::remove_dir_all(directory),
        removed => removed,
    }
}

/// Gives one that was begun the name of one that is abandoned, and returns its path. Its process may be about to lock it, and
/// either of the two gets it.
fn take_over(begun: &Path) -> io::Result<PathBuf> {
    let name = begun.file_name().unwrap_or_default().to_string_lossy();
    let abandoned = begun.with_file_name(format!("{}-abandoned", name.trim_start_matches('.')));
    fs::rename(begun, &abandoned)?;
    Ok(abandoned)
}

/// Whether nobody uses a directory. What cannot be found out is not the case.
fn is_abandoned(directory: &Path) -> bool {
    match File::open(directory.join(LOCK)) {
        Ok(file) => file.try_lock().is_ok(),
        // Its lock was the first to go when it was removed.
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    }
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
        let unlocked = parent.path().join(format!("{PREFIX}0000000000000000"));
        fs::create_dir(&unlocked).unwrap();
        let begun = ["1111111111111111", "2222222222222222"];
        let begun = begun.map(|instance| parent.path().join(format!("{BEGUN_PREFIX}{instance}")));
        begun.iter().for_each(|begun| fs::create_dir(begun).unwrap());
        File::create(begun[1].join(LOCK)).unwrap();
        let foreign = parent.path().join("something else");
        fs::create_dir(&foreign).unwrap();
        let another = WorkingDirectory::create(parent.path()).unwrap();
        assert!(used.path().is_dir() && another.path().is_dir() && foreign.is_dir());
        assert!(!abandoned.exists() && !unlocked.exists());
        assert_eq!(begun.map(|begun| begun.exists()), [false; 2]);
        assert_ne!(used.instance, another.instance);
        let path = used.path().to_owned();
        drop(used);
        assert!(!path.exists(), "its instance has ended");
        assert!(another.path().is_dir());
    }

    #[test]
    fn working_directories_can_be_made_while_others_come_and_go() {
        let parent = tempfile::tempdir().unwrap();
        let come_and_go = || (0..50).try_for_each(|_| WorkingDirectory::create(parent.path()).map(drop));
        std::thread::scope(|scope| {
            let all: Vec<_> = (0..8).map(|_| scope.spawn(come_and_go)).collect();
            all.into_iter().for_each(|one| one.join().unwrap().unwrap());
        });
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
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
