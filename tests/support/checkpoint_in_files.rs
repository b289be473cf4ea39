//! Checkpoints whose keyed state lies in files of its backend, in memory.

#![allow(clippy::disallowed_methods)]

use snapline::base::ContentId;
use snapline::state::backend::{BackendError, BackendFile, FetchFile, FilePlace};
use snapline::state::{KeyedImage, KeyedStateStore, OperatorSnapshot, SnapshotImage, TaskSnapshot};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// A checkpoint of one subtask: its state file, and the shared files beside it.
#[derive(Default, Clone)]
pub struct Checkpoint {
    pub state: Vec<u8>,
    pub shared: BTreeMap<ContentId, Vec<u8>>,
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

/// The files of several checkpoints.
pub fn merged(checkpoints: &[Checkpoint]) -> Checkpoint {
    let shared = checkpoints.iter().flat_map(|one| one.shared.clone()).collect();
    Checkpoint { state: Vec::new(), shared }
}

pub fn image(state: &[u8]) -> KeyedImage {
    SnapshotImage::read_from(state, None).expect("intact").keyed.expect("keyed state")
}

/// A snapshot that consists of files of `backend`.
pub fn in_files_of(backend: &str, store: &mut KeyedStateStore<u32>) -> Checkpoint {
    let keyed = store.snapshot_in_files().expect("taken");
    let snapshot = TaskSnapshot::new(Some(Box::new(keyed)), OperatorSnapshot::default());
    let mut checkpoint = Checkpoint::default();
    let mut files = Vec::new();
    for file in snapshot.files().expect("the backend has files") {
        let bytes = fs::read(&file.path).expect("it lies there");
        let place = match file.content {
            Some(content) => {
                assert_eq!(content.bytes, bytes.len() as u64);
                checkpoint.shared.insert(content, bytes);
                FilePlace::Shared { content, checksum: 0 }
            }
            None => FilePlace::Private(bytes),
        };
        files.push(BackendFile { name: file.name.clone(), place });
    }
    snapshot.with_files(backend, files).write_to(&mut checkpoint.state).expect("in memory");
    checkpoint
}

/// The names of the states that lie there, without the marks of their serializers.
pub fn states_in_files(checkpoint: &Checkpoint) -> Vec<String> {
    let versions = image(&checkpoint.state).files.expect("it has files").states;
    versions.iter().map(|version| version.rsplit_once('@').expect("a mark").0.to_owned()).collect()
}
