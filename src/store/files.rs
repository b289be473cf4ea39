//! What is done with files: they are written as a whole or not at all, and are durable when they are there.

use super::disk::{Disk, OpenFile};
use super::job_manager::already_written;
use super::reader::{check_length, missing};
use super::temporary::{PREFIX, TemporaryFile, absent_is_ok};
use super::{Put, StorageError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

impl Disk {
    /// Does once in `directory` what every put needs: create, link and remove.
    pub(super) fn probe(&self, directory: &Path) -> io::Result<()> {
        let file = TemporaryFile::beside(&directory.join("probe"), self)?;
        let link = directory.join(format!("{PREFIX}probe-link-{}", std::process::id()));
        absent_is_ok(self.remove_file(&link))?;
        match file.link_to(&link) {
            // Another thread or process of the same number is probing: links work.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked.and_then(|()| absent_is_ok(self.remove_file(&link))),
        }
    }

    /// Writes a small object under `path`, unless that exists.
    pub(super) fn put(&self, path: &Path, bytes: &[u8]) -> Result<Put, StorageError> {
        let unavailable = |error| StorageError::unavailable(path.display(), error);
        let mut file = TemporaryFile::beside(path, self).map_err(unavailable)?;
        file.write_all(bytes).and_then(|()| file.sync()).map_err(unavailable)?;
        publish(&file, path)
    }

    /// Makes the name of a file durable, and that of the directory it is in.
    fn sync_parents(&self, path: &Path) -> io::Result<()> {
        path.ancestors().skip(1).take(2).try_for_each(|directory| self.sync_directory(directory))
    }

    /// Creates a directory and whatever is missing above it, and makes all the new names durable.
    pub(super) fn create_durably(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        self.create_durably(parent)?;
        match self.create_directory(path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            // Something else than a directory is in the way.
            Err(error) if !path.is_dir() => return Err(error),
            _ => {}
        }
        self.sync_directory(parent)
    }

    /// The names in a directory that are text; none when it does not exist.
    pub(super) fn names_in(&self, directory: &Path) -> Result<Vec<String>, StorageError> {
        match self.list(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            names => names.map_err(|error| StorageError::unavailable(directory.display(), error)),
        }
    }

    pub(super) fn read_if_present(&self, path: &Path) -> Result<Option<Vec<u8>>, StorageError> {
        match self.read(path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(StorageError::unavailable(path.display(), error)),
        }
    }

    /// Opens a file that somebody refers to, which must have this length.
    pub(super) fn open_referred(&self, path: &Path, bytes: u64) -> Result<OpenFile, StorageError> {
        let object = path.display().to_string();
        let (file, found) = self.open(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(&object),
            _ => StorageError::unavailable(&object, error),
        })?;
        check_length(&object, found, bytes)?;
        Ok(file)
    }

    /// Removes a file and makes that durable; a file or directory that is absent is fine.
    pub(super) fn remove_durably(&self, path: &Path) -> io::Result<()> {
        absent_is_ok(self.remove_file(path))?;
        path.parent().map_or(Ok(()), |parent| absent_is_ok(self.sync_directory(parent)))
    }
}

/// Links a synced file to `path` and makes the name durable. On `Exists` the name of the other is durable too.
fn publish(file: &TemporaryFile, path: &Path) -> Result<Put, StorageError> {
    let put = match file.link_to(path) {
        Ok(()) => Put::Stored,
        Err(error) => match error.kind() {
            io::ErrorKind::AlreadyExists => Put::Exists,
            // The system has looked and has refused; anything else may have happened on the way back.
            io::ErrorKind::NotFound
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
            | io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::Unsupported => return Err(StorageError::unavailable(path.display(), error)),
            _ => return Err(StorageError::uncertain(path.display(), error)),
        },
    };
    match (file.disk.sync_parents(path), put) {
        (Ok(()), put) => Ok(put),
        (Err(error), Put::Stored) => Err(StorageError::uncertain(path.display(), error)),
        (Err(error), Put::Exists) => Err(StorageError::unavailable(path.display(), error)),
    }
}

/// Links a synced file to a name that was never used.
pub(super) fn publish_new(file: &TemporaryFile, path: &Path) -> Result<(), StorageError> {
    let unavailable = |error| StorageError::unavailable(path.display(), error);
    match publish(file, path) {
        Ok(Put::Stored) => Ok(()),
        Ok(Put::Exists) => Err(unavailable(already_written())),
        // Nobody knows the file yet: without it the caller may simply write it again.
        Err(StorageError::Uncertain { cause, .. }) => {
            let _ = file.disk.remove_file(path);
            Err(unavailable(cause))
        }
        Err(error) => Err(error),
    }
}

/// The name of a directory for somebody who may be in another one.
pub(super) fn full_name(path: PathBuf) -> String {
    std::path::absolute(&path).unwrap_or(path).display().to_string()
}
