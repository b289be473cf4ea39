//! Checkpoints in memory, also of backends that leave their state in files.

#![allow(clippy::disallowed_methods)]

use super::harness::{File, file_of_task};
use crate::base::ContentId;
use crate::state::backend::{BackendError, BackendFile, FetchFile, FilePlace, LocalFile};
use crate::state::{KeyedStateSnapshot, OperatorSnapshot, StateError, TaskSnapshot};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// A checkpoint of one subtask: its state file, and the shared files beside it.
#[derive(Clone, Debug, Default)]
pub struct Checkpoint {
    /// The bytes of the state file.
    pub state: File,
    /// The shared files.
    pub shared: BTreeMap<ContentId, Vec<u8>>,
}

impl Checkpoint {
    /// What a snapshot of a store on `backend` becomes: its entries, or, if it consists of files, these.
    ///
    /// # Errors
    /// The snapshot cannot be written, or its files cannot be read.
    pub fn of(snapshot: KeyedStateSnapshot, backend: &str) -> Result<Self, StateError> {
        let snapshot = TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default());
        let mut shared = BTreeMap::new();
        let files = snapshot.files().map(|files| {
            let upload = |file| upload(file, &mut shared);
            let failed =
                |cause: io::Error| StateError::Backend { state: backend.to_owned(), cause: cause.into() };
            files.iter().map(upload).collect::<Result<Vec<_>, _>>().map_err(failed)
        });
        let snapshot = match files.transpose()? {
            Some(files) => snapshot.with_files(backend, files),
            None => snapshot,
        };
        Ok(Checkpoint { state: file_of_task(snapshot)?, shared })
    }

    /// The shared files of several checkpoints, to restore from them.
    #[must_use]
    pub fn files_of(checkpoints: &[Checkpoint]) -> Self {
        let shared = checkpoints.iter().flat_map(|one| one.shared.clone()).collect();
        Checkpoint { state: File::new(), shared }
    }
}

fn upload(file: &LocalFile, shared: &mut BTreeMap<ContentId, Vec<u8>>) -> io::Result<BackendFile> {
    let bytes = fs::read(&file.path)?;
    let place = match file.content {
        Some(content) => {
            assert_eq!(content.bytes, bytes.len() as u64, "the length of {}", file.name);
            shared.insert(content, bytes);
            FilePlace::Shared { content, checksum: 0 }
        }
        None => FilePlace::Private(bytes),
    };
    Ok(BackendFile { name: file.name.clone(), place })
}

impl FetchFile for Checkpoint {
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError> {
        let bytes = match &file.place {
            FilePlace::Private(bytes) => bytes,
            FilePlace::Shared { content, .. } => self.shared.get(content).ok_or("no such file")?,
        };
        Ok(fs::write(target, bytes)?)
    }
}
