use super::disk::Disk;
use std::fs::File;
#[cfg(feature = "http")]
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How the names of files begin that are not complete.
pub(super) const PREFIX: &str = ".tmp-";

/// A file under a name of its own that no listing shows, until it is linked to its real name.
///
/// Dropping it removes the temporary name, and with it the content unless it has been linked.
#[derive(Debug)]
pub(super) struct TemporaryFile {
    file: File,
    path: PathBuf,
    pub(super) disk: Disk,
}

impl TemporaryFile {
    /// Creates a file beside `target`. The name holds the process id and a counter; a name that another
    /// process left behind is passed over.
    pub(super) fn beside(target: &Path, disk: &Disk) -> io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        loop {
            let count = COUNTER.fetch_add(1, Ordering::Relaxed);
            let path = target.with_file_name(format!("{PREFIX}{name}-{}-{count}", std::process::id()));
            match disk.create(&path) {
                Ok(file) => return Ok(TemporaryFile { file, path, disk: disk.clone() }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes the content durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.disk.sync(&self.path, &self.file)
    }

    /// Gives the content the name `target` as well, unless that exists. The content must be synced before, and
    /// the directory after.
    pub(super) fn link_to(&self, target: &Path) -> io::Result<()> {
        self.disk.link(&self.path, target)
    }
}

/// A temporary name for `target` that nobody else has on any machine.
#[cfg(feature = "http")]
pub(super) fn drawn_name(target: &str) -> String {
    let process = std::process::id();
    let drawn = RandomState::new().hash_one(process);
    format!("{PREFIX}{target}-{process}-{drawn}")
}

/// The name that a temporary file of this name is to get, if it is one.
pub(super) fn target_of(name: &str) -> Option<&str> {
    let (target, _count) = name.strip_prefix(PREFIX)?.rsplit_once('-')?;
    target.rsplit_once('-').map(|(target, _process)| target)
}

impl Write for TemporaryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let TemporaryFile { file, path, disk } = self;
        disk.write(path, || file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        // What cannot be removed is never listed, and goes with its checkpoint or its pointer.
        let _ = self.disk.remove_file(&self.path);
    }
}

/// Turns "there is no such file" into success.
pub(super) fn absent_is_ok(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
