//! What a storage in files asks of the system, each of which tests can have fail.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
#[cfg(feature = "testkit")]
use std::{fmt::Debug, sync::Arc};

/// What the system is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileOperation {
    /// Creates a directory.
    CreateDirectory,
    /// Creates a file that must not exist.
    Create,
    /// Writes some bytes.
    Write,
    /// Makes the content of a file durable.
    Sync,
    /// Gives a file another name.
    Link,
    /// Makes the names in a directory durable.
    SyncDirectory,
    /// Opens a file, and tells its length.
    Open,
    /// Reads some bytes, or all of a small file.
    Read,
    /// Lists the names in a directory.
    List,
    /// Removes a file.
    Remove,
    /// Removes a directory, with all that is in it.
    RemoveDirectory,
}

/// How an operation fails.
#[cfg(feature = "testkit")]
#[derive(Debug)]
pub struct FileFault {
    /// Whether it does what it should all the same.
    pub is_done: bool,
    /// What the system says.
    pub error: io::Error,
}

/// Decides which operations of a storage in files fail, for tests of what uses it.
#[cfg(feature = "testkit")]
pub trait FileFaults: Send + Sync + Debug {
    /// Is told of every operation before it begins, and says how it fails, if it does.
    fn fault(&self, operation: FileOperation, path: &Path) -> Option<FileFault>;
}

/// The file system.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    #[cfg(feature = "testkit")]
    faults: Option<Arc<dyn FileFaults>>,
}

impl Disk {
    #[cfg(feature = "testkit")]
    pub(super) fn with_faults(faults: Arc<dyn FileFaults>) -> Self {
        Disk { faults: Some(faults) }
    }

    fn perform<T>(
        &self,
        operation: FileOperation,
        path: &Path,
        work: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        #[cfg(feature = "testkit")]
        if let Some(fault) = self.faults.as_ref().and_then(|faults| faults.fault(operation, path)) {
            if fault.is_done {
                work()?;
            }
            return Err(fault.error);
        }
        // Only faults are told.
        let _ = (operation, path);
        work()
    }

    pub(super) fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.perform(FileOperation::CreateDirectory, path, || fs::create_dir(path))
    }

    /// Creates a file to be written, which must not exist.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        let create = || OpenOptions::new().write(true).create_new(true).open(path);
        self.perform(FileOperation::Create, path, create)
    }

    /// Carries out a write to the file at `path`.
    pub(super) fn write(&self, path: &Path, write: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
        self.perform(FileOperation::Write, path, write)
    }

    /// Makes the content of the file at `path` durable.
    pub(super) fn sync(&self, path: &Path, file: &File) -> io::Result<()> {
        self.perform(FileOperation::Sync, path, || file.sync_all())
    }

    /// Gives a file a second name, unless that exists.
    pub(super) fn link(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.perform(FileOperation::Link, name, || fs::hard_link(file, name))
    }

    /// Makes the entries of a directory durable.
    pub(super) fn sync_directory(&self, path: &Path) -> io::Result<()> {
        self.perform(FileOperation::SyncDirectory, path, || File::open(path)?.sync_all())
    }

    /// Opens a file to be read, and tells its length.
    pub(super) fn open(&self, path: &Path) -> io::Result<(OpenFile, u64)> {
        let open = || File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = self.perform(FileOperation::Open, path, open)?;
        Ok((OpenFile { file, path: path.to_owned(), disk: self.clone() }, bytes))
    }

    /// Reads the whole of a small file.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.perform(FileOperation::Read, path, || fs::read(path))
    }

    /// The names in a directory that are text.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = || fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_string().ok())).collect();
        let names: Vec<Option<String>> = self.perform(FileOperation::List, path, names)?;
        Ok(names.into_iter().flatten().collect())
    }

    pub(super) fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.perform(FileOperation::Remove, path, || fs::remove_file(path))
    }

    /// Removes a directory, which must be empty.
    pub(super) fn remove_empty_directory(&self, path: &Path) -> io::Result<()> {
        self.perform(FileOperation::RemoveDirectory, path, || fs::remove_dir(path))
    }

    /// Removes a directory and all that is in it.
    pub(super) fn remove_directory(&self, path: &Path) -> io::Result<()> {
        self.perform(FileOperation::RemoveDirectory, path, || fs::remove_dir_all(path))
    }
}

/// A file that is read.
#[derive(Debug)]
pub(super) struct OpenFile {
    file: File,
    path: PathBuf,
    disk: Disk,
}

impl Read for OpenFile {
    fn read(&mut self, target: &mut [u8]) -> io::Result<usize> {
        let OpenFile { file, path, disk } = self;
        disk.perform(FileOperation::Read, path, || file.read(target))
    }
}
