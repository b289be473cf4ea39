//! What files ask of the system, and what is left when that fails.

use super::*;
use std::sync::{Mutex, PoisonError};

/// Takes note of all operations, or has one kind of them fail.
#[derive(Debug)]
pub struct Watched {
    broken: Option<FileOperation>,
    operations: Mutex<Vec<FileOperation>>,
    /// How long a file is when more is written to it.
    lengths: Mutex<Vec<u64>>,
}

impl Watched {
    pub fn new() -> Arc<Self> {
        Arc::new(Watched { broken: None, operations: Mutex::default(), lengths: Mutex::default() })
    }

    pub fn breaking(operation: FileOperation) -> Arc<Self> {
        Arc::new(Watched { broken: Some(operation), operations: Mutex::default(), lengths: Mutex::default() })
    }

    pub fn lengths(&self) -> Vec<u64> {
        self.lengths.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, operation: FileOperation) -> usize {
        let operations = self.operations.lock().unwrap_or_else(PoisonError::into_inner);
        operations.iter().filter(|other| **other == operation).count()
    }
}

impl FileFaults for Watched {
    fn fault(&self, operation: FileOperation, path: &Path) -> Option<FileFault> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner).push(operation);
        if operation == FileOperation::Write {
            let length = fs::metadata(path).expect("a file").len();
            self.lengths.lock().unwrap_or_else(PoisonError::into_inner).push(length);
        }
        let is_hit = self.broken == Some(operation);
        is_hit.then(|| FileFault { is_done: false, error: std::io::Error::other("the disk is full") })
    }
}

pub fn on_watched(watched: &Arc<Watched>, body: impl Fn(&FileSystemCheckpointStorage)) {
    with_files(|storage| body(&storage.clone().with_faults(Arc::clone(watched) as Arc<dyn FileFaults>)));
}

/// H27: those of the job are made when the storage is opened.
#[test]
fn store_makes_one_directory_for_each_checkpoint_and_no_other() {
    let watched = Watched::new();
    on_watched(&watched, |storage| {
        for id in 1..=3 {
            for index in 0..4 {
                write_state(storage, file(id, index), b"some state");
            }
            storage.put_metadata(&metadata(id)).expect("puts");
            storage.put_pointer(PointerSequence(id), &pointer(id)).expect("puts");
            assert_eq!(watched.count(FileOperation::CreateDirectory) as u64, id);
        }
    });
}

/// H31: neither it nor its temporary name is there.
#[test]
fn store_metadata_that_cannot_be_put_leaves_no_file() {
    for broken in [FileOperation::Create, FileOperation::Write, FileOperation::Sync, FileOperation::Link] {
        on_watched(&Watched::breaking(broken), |storage| {
            let refused = storage.put_metadata(&metadata(1)).expect_err("the disk is full");
            assert!(refused.to_string().contains("chk-1/_metadata"), "{refused}");
            assert!(refused.to_string().contains("the disk is full"), "{refused}");
            let savepoint = CompletedCheckpoint { kind: CheckpointKind::Savepoint, ..checkpoint(3, 2) };
            storage.put_metadata(&job().metadata(savepoint)).expect_err("the disk is full");
            assert_eq!(files_under(storage.directory()), Vec::<String>::new(), "{broken:?}");
            assert!(
                !storage.directory().join("savepoint-3-2").exists(),
                "nor is its directory, if it is a savepoint's"
            );
        });
    }
}
