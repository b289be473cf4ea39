//! A file system of which some operations fail.

use snapline::store::{FileFault, FileFaults, FileOperation};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// What becomes of an operation that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// It does nothing, and the system says why.
    Refused,
    /// It does nothing, but nobody can tell.
    Lost,
    /// It does what it should, but nobody can tell.
    Applied,
}

/// Operations fail from number `from` on, as many as `times`.
#[derive(Clone, Copy, Debug)]
pub struct Failing {
    pub how: How,
    pub from: u64,
    pub times: u64,
}

/// Counts operations, of which some fail.
#[derive(Debug, Default)]
pub struct FailingDisk {
    failing: Option<Failing>,
    seen: Mutex<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    /// How many operations there were of each sort.
    operations: BTreeMap<FileOperation, u64>,
    /// The last one, and how many times it was repeated.
    last: Option<(FileOperation, PathBuf)>,
    repeated: u32,
}

impl FailingDisk {
    pub fn new(failing: Failing) -> Self {
        FailingDisk { failing: Some(failing), ..FailingDisk::default() }
    }

    pub fn seen(&self) -> BTreeMap<FileOperation, u64> {
        self.seen.lock().unwrap().operations.clone()
    }

    pub fn operations(&self) -> u64 {
        self.seen().values().sum()
    }

    /// Whether the same pointer is read again and again, and cannot be.
    pub fn is_looked_at_in_vain(&self) -> bool {
        let seen = self.seen.lock().unwrap();
        let is_of_pointer = |path: &PathBuf| path.parent().is_some_and(|parent| parent.ends_with("pointers"));
        let is_read = |(last, path): &(_, _)| *last == FileOperation::Read && is_of_pointer(path);
        seen.repeated > 6 && seen.last.as_ref().is_some_and(is_read)
    }
}

impl FileFaults for FailingDisk {
    fn fault(&self, operation: FileOperation, path: &Path) -> Option<FileFault> {
        let mut seen = self.seen.lock().unwrap();
        let number: u64 = seen.operations.values().sum();
        *seen.operations.entry(operation).or_default() += 1;
        let last = seen.last.replace((operation, path.to_owned()));
        seen.repeated = if last == seen.last { seen.repeated + 1 } else { 0 };
        let Failing { how, from, times } = self.failing?;
        // Whoever is refused knows it, as with a disk that is full; anything else may mean whatever it wants.
        let kind = if how == How::Refused { ErrorKind::StorageFull } else { ErrorKind::Other };
        let error = io::Error::new(kind, format!("planned at operation {number}"));
        let is_hit = (from..from.saturating_add(times)).contains(&number);
        is_hit.then_some(FileFault { is_done: how == How::Applied, error })
    }
}
