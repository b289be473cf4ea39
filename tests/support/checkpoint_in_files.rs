//! Checkpoints of one subtask that consist of files of a backend, in memory.

pub use snapline::testkit::keyed_state::Checkpoint;

use snapline::state::{KeyedImage, KeyedStateStore, SnapshotImage};

pub fn image(state: &[u8]) -> KeyedImage {
    SnapshotImage::read_from(state, None).expect("intact").keyed.expect("keyed state")
}

/// A snapshot that consists of files of `backend`.
pub fn in_files_of(backend: &str, store: &mut KeyedStateStore<u32>) -> Checkpoint {
    let snapshot = store.snapshot_in_files().expect("taken");
    let checkpoint = Checkpoint::of(snapshot, backend).expect("written");
    assert!(image(&checkpoint.state).files.is_some(), "the backend has files");
    checkpoint
}

/// The names of the states that lie there, without the marks of their serializers.
pub fn states_in_files(checkpoint: &Checkpoint) -> Vec<String> {
    let versions = image(&checkpoint.state).files.expect("it has files").states;
    versions.iter().map(|version| version.rsplit_once('@').expect("a mark").0.to_owned()).collect()
}
