//! All states at one moment in files: a checkpoint of RocksDB, which consists of links to the files that there are, after what
//! was only in memory has been written to some more.

#![allow(clippy::disallowed_methods)]

use super::database::Database;
use super::error::RocksDbError;
use crate::base::ContentId;
use crate::state::backend::{LocalFile, SnapshotInFiles};
use rocksdb::checkpoint::Checkpoint;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Names of files that never change end so.
const TABLE: &str = ".sst";

/// What is in the files of an instance. A file is never written again under the same name, so that the instance and the name
/// tell its content from all others.
#[derive(Debug, Default)]
pub(super) struct Contents {
    known: BTreeMap<String, ContentId>,
    snapshots: u64,
}

impl Contents {
    /// Those of files with which the instance was restored.
    pub(super) fn restored(known: BTreeMap<String, ContentId>) -> Self {
        Contents { known, snapshots: 0 }
    }

    /// Captures all states.
    pub(super) fn snapshot(&mut self, database: &Arc<Database>) -> Result<SnapshotInFiles, RocksDbError> {
        self.snapshots += 1;
        let directory = database.directory.path().join(format!("snapshot-{}", self.snapshots));
        let hold = Links { directory, _database: Arc::clone(database) };
        let checkpoint = Checkpoint::new(&database.db).map_err(database.failed("begin a checkpoint"))?;
        checkpoint.create_checkpoint(&hold.directory).map_err(database.failed("write a checkpoint"))?;
        let failed = |error| RocksDbError::new("list the files of a checkpoint", &hold.directory, error);
        let files = self.files_in(&hold.directory, database.directory.instance).map_err(failed)?;
        Ok(SnapshotInFiles { files, hold: Box::new(hold) })
    }

    fn files_in(&mut self, directory: &Path, instance: u64) -> io::Result<Vec<LocalFile>> {
        let (mut files, mut present) = (Vec::new(), BTreeMap::new());
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let name =
                entry.file_name().into_string().map_err(|_| io::Error::other("a name that is no text"))?;
            let bytes = entry.metadata()?.len();
            let content = match name.strip_suffix(TABLE) {
                // The log of what is not in tables yet, of which there is nothing.
                None if name.ends_with(".log") => continue,
                None => None,
                Some(number) => {
                    let number: u64 =
                        number.parse().map_err(|_| io::Error::other(format!("a table named {name}")))?;
                    let digest = u128::from(instance) << 64 | u128::from(number);
                    let content = self.known.get(&name).copied().unwrap_or(ContentId { digest, bytes });
                    present.insert(name.clone(), content);
                    Some(content)
                }
            };
            files.push(LocalFile { name, path: entry.path(), content });
        }
        self.known = present;
        files.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(files)
    }
}

/// The links of one snapshot.
struct Links {
    directory: PathBuf,
    /// Keeps the directory in which they lie.
    _database: Arc<Database>,
}

impl Drop for Links {
    fn drop(&mut self) {
        if self.directory.exists()
            && let Err(error) = fs::remove_dir_all(&self.directory)
        {
            tracing::warn!(directory = %self.directory.display(), %error, "links of a snapshot could not be removed");
        }
    }
}
