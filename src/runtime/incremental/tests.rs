use super::*;
use crate::base::{Attempt, JobId, Ownership, SubtaskId};
use crate::inspection::StoredFiles;
use crate::state::backend::FetchFile;
use crate::store::{JobManagerCheckpointStorage, StorageError};
use std::collections::BTreeSet;
use std::sync::Arc;
use tempfile::TempDir;

/// Two files that may be shared, and one that goes with each checkpoint.
struct Task {
    directory: TempDir,
    storage: Arc<dyn CheckpointStorage>,
    uploads: IncrementalUploads,
}

fn content(number: u128) -> ContentId {
    ContentId { digest: number, bytes: 3 }
}

fn task() -> Task {
    let directory = tempfile::tempdir().unwrap();
    for name in ["one", "two", "LIST"] {
        fs::write(directory.path().join(name), &name.as_bytes()[..3]).unwrap();
    }
    let config = Config { job: JobId(1), subtask: SubtaskId::new(0, 0), attempt: Attempt(1) };
    let restored = Restored { files: BTreeSet::new(), ownership: Ownership::Owned };
    let uploads = IncrementalUploads::new(config, restored, BTreeMap::new());
    Task { directory, storage: Arc::new(JobManagerCheckpointStorage::new(JobId(1))), uploads }
}

impl Task {
    fn begin(&mut self, checkpoint: u64) -> FilesToUpload {
        let file = |name: &str, content| LocalFile {
            name: name.to_owned(),
            path: self.directory.path().join(name),
            content,
        };
        let files = vec![file("one", Some(content(1))), file("two", Some(content(2))), file("LIST", None)];
        let sharing = Sharing::ForwardBackward;
        self.uploads.begin(CheckpointId(checkpoint), sharing, "runs", files).unwrap()
    }

    fn discard(&self, objects: Vec<SharedObject>) {
        objects.iter().for_each(|object| self.storage.delete_shared(object).unwrap());
    }

    fn stored(&self) -> usize {
        self.storage.list_shared().unwrap().len()
    }
}

#[test]
fn incremental_upload_is_referred_to_once_its_checkpoint_is_complete() {
    let mut task = task();
    let files = task.begin(1);
    let (ends, uploaded) = files.upload(&*task.storage, &|| false);
    uploaded.unwrap();
    let (_, described) = files.described(&ends).unwrap();
    assert_eq!(described.iter().filter_map(BackendFile::shared).count(), 2);
    let (ended, superfluous) = task.uploads.ended(CheckpointId(1), ends, true).unwrap();
    assert_eq!((ended, superfluous), (Ended::Durable, vec![]));
    let first = task.uploads.acknowledged(CheckpointId(1)).unwrap();
    assert_eq!((first.uploaded.len(), first.reused.len()), (2, 0));
    assert_eq!(task.uploads.completed(CheckpointId(1)).unwrap(), []);

    let files = task.begin(2);
    // Nobody needs to read them any more.
    fs::remove_file(task.directory.path().join("one")).unwrap();
    let (ends, uploaded) = files.upload(&*task.storage, &|| panic!("nothing is uploaded"));
    uploaded.unwrap();
    assert_eq!(files.described(&ends).unwrap().1, described);
    task.uploads.ended(CheckpointId(2), ends, true).unwrap();
    let second = task.uploads.acknowledged(CheckpointId(2)).unwrap();
    assert_eq!((second.uploaded.len(), second.reused.len()), (0, 2));
    assert_eq!(task.stored(), 2);
}

#[test]
fn incremental_upload_of_a_file_that_is_gone_says_which_and_leaves_nothing() {
    let mut task = task();
    fs::remove_file(task.directory.path().join("two")).unwrap();
    let files = task.begin(1);
    let (ends, uploaded) = files.upload(&*task.storage, &|| false);
    let error = uploaded.unwrap_err().to_string();
    assert!(error.contains("two cannot be read"), "{error}");
    assert_eq!(ends.len(), 2, "each upload has an end");
    let (ended, superfluous) = task.uploads.ended(CheckpointId(1), ends, false).unwrap();
    assert_eq!(ended, Ended::Failed);
    task.discard(superfluous);
    assert_eq!((task.stored(), task.uploads.acknowledged(CheckpointId(1))), (0, None));
}

#[test]
fn incremental_upload_beside_a_state_file_that_fails_leaves_nothing() {
    let mut task = task();
    let (ends, uploaded) = task.begin(1).upload(&*task.storage, &|| false);
    uploaded.unwrap();
    assert_eq!(task.stored(), 2);
    let (ended, superfluous) = task.uploads.ended(CheckpointId(1), ends, false).unwrap();
    assert_eq!(ended, Ended::Failed);
    task.discard(superfluous);
    assert_eq!((task.stored(), task.uploads.acknowledged(CheckpointId(1))), (0, None));
}

#[test]
fn incremental_upload_that_nobody_wants_any_more_stops_and_leaves_nothing() {
    let mut task = task();
    let asked = AtomicUsize::new(0);
    let files = task.begin(1);
    // Wanted as long as nothing was read.
    let (ends, uploaded) = files.upload(&*task.storage, &|| asked.fetch_add(1, Ordering::SeqCst) > 1);
    assert!(matches!(uploaded, Err(TaskError::Cancelled)));
    let aborted = task.uploads.aborted(CheckpointId(1)).unwrap();
    task.discard(aborted);
    let (_, superfluous) = task.uploads.ended(CheckpointId(1), ends, false).unwrap();
    assert_eq!(superfluous.len(), 2);
    task.discard(superfluous);
    assert_eq!(task.stored(), 0);
}

#[test]
fn incremental_files_that_are_damaged_or_unnamed_are_not_fetched() {
    let mut task = task();
    let files = task.begin(1);
    let (ends, _) = files.upload(&*task.storage, &|| false);
    let (_, described) = files.described(&ends).unwrap();
    let object = |number| ends.iter().find(|(object, _)| object.file.content == content(number)).unwrap().0;
    // The bytes of one file stand under the name of the other.
    let objects = BTreeMap::from([(content(1), object(2))]);
    let stored = StoredFiles { storage: Arc::clone(&task.storage), objects };
    let target = task.directory.path().join("fetched");
    let error = stored.fetch(&described[0], &target).unwrap_err();
    assert!(matches!(error.downcast_ref(), Some(StorageError::Corrupt { offset: 3, .. })), "{error}");
    let error = stored.fetch(&described[1], &target).unwrap_err().to_string();
    assert_eq!(error, "the checkpoint does not name the file `two`");
    let list = task.directory.path().join("list");
    stored.fetch(&described[2], &list).unwrap();
    assert_eq!(fs::read(list).unwrap(), b"LIS");
}
