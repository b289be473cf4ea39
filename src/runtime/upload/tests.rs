//! What becomes of the file, of what the snapshot holds, and who is told: T22 to T26.

use super::super::incremental::IncrementalUploads;
use super::*;
use crate::base::{Attempt, ContentId, JobId, Ownership, Sharing, SubtaskId};
use crate::codec::CodecError;
use crate::keygroup::MaxParallelism;
use crate::runtime::UserError;
use crate::shared::incremental::{Config, Restored};
use crate::state::backend::LocalFile;
use crate::state::serializer::{Compatibility, SerializerSnapshot, StateSerializer};
use crate::state::{KeyedStateStore, OperatorSnapshot, ValueState, ValueStateDescriptor};
use crate::store::{FileSystemCheckpointStorage, OutputSizes};
use crossbeam_channel::{Receiver, unbounded};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

const CHECKPOINT: CheckpointId = CheckpointId(1);

/// How many values there are, each larger than a block of the file.
const VALUES: u32 = 10;
const VALUE_BYTES: usize = 100_000;

/// A value of which it can be counted how often it is held.
#[derive(Clone, Serialize, Deserialize)]
struct Held {
    #[serde(skip)]
    _value: Arc<()>,
}

type WhenWritten = dyn FnMut(u32) -> Result<(), CodecError> + Send;

/// Calls a function with the number of each value before it writes it.
struct Telling {
    written: Mutex<(u32, Box<WhenWritten>)>,
}

impl StateSerializer<Held> for Telling {
    fn serialize(&self, _: &Held, target: &mut Vec<u8>) -> Result<(), CodecError> {
        let (number, when_written) = &mut *self.written.lock().unwrap();
        *number += 1;
        target.resize(target.len() + VALUE_BYTES, 7);
        when_written(*number)
    }

    fn deserialize(&self, _: &[u8]) -> Result<Held, String> {
        Ok(Held { _value: Arc::default() })
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new("held", 0)
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<Held> {
        Compatibility::if_equal(&self.snapshot(), written)
    }
}

/// A task with state on the heap, and the ends of its upload that others hold.
struct Task {
    directory: tempfile::TempDir,
    storage: Arc<FileSystemCheckpointStorage>,
    store: KeyedStateStore<u32>,
    state: ValueState<Held>,
    value: Arc<()>,
    uploads: Arc<Mutex<Uploads>>,
    control: Receiver<Control>,
    reports: Receiver<TaskReport>,
    senders: (Sender<Control>, Sender<TaskReport>),
}

fn task(when_written: impl FnMut(u32, &Mutex<Uploads>) -> Result<(), CodecError> + Send + 'static) -> Task {
    let directory = tempfile::tempdir().unwrap();
    let storage = Arc::new(FileSystemCheckpointStorage::open(directory.path(), JobId(1)).unwrap());
    let uploads = Arc::new(Mutex::new(Uploads::default()));
    let mut when_written = when_written;
    let in_serializer = Arc::clone(&uploads);
    let tell: Box<WhenWritten> = Box::new(move |number| when_written(number, &in_serializer));
    let max = MaxParallelism::new(1).unwrap();
    let mut store = KeyedStateStore::new(max, max.all_groups()).unwrap();
    let serializer = Telling { written: Mutex::new((0, tell)) };
    let state = store.open(&ValueStateDescriptor::new("held").with_serializer(serializer)).unwrap();
    let value = Arc::new(());
    for key in 0..VALUES {
        store.set_current_key(key).unwrap();
        state.update(&mut store, Held { _value: Arc::clone(&value) }).unwrap();
    }
    let ((control_sender, control), (report_sender, reports)) = (unbounded(), unbounded());
    let senders = (control_sender, report_sender);
    Task { directory, storage, store, state, value, uploads, control, reports, senders }
}

impl Task {
    /// The upload of a snapshot of the state, after which the task has cleared all of it.
    fn upload(&mut self, durability: Option<Durability>) -> Upload {
        let snapshot = self.store.snapshot().unwrap();
        for key in 0..VALUES {
            self.store.set_current_key(key).unwrap();
            self.state.clear(&mut self.store).unwrap();
        }
        assert_eq!(self.held(), VALUES, "the snapshot holds what the task has cleared");
        Upload {
            file: StateFile {
                checkpoint: CHECKPOINT,
                subtask: SubtaskId::new(1, 0),
                attempt: Attempt(1),
                savepoint: false,
            },
            snapshot: TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default()),
            captured: Ok(ChannelState::default()),
            files: None,
            durability,
            cancellation: self.uploads.lock().unwrap().begin(CHECKPOINT),
            storage: Arc::clone(&self.storage) as Arc<dyn CheckpointStorage>,
            output_sizes: OutputSizes { inline_threshold_bytes: 0, ..OutputSizes::default() },
            control: self.senders.0.clone(),
            reports: self.senders.1.clone(),
        }
    }

    /// How many values live in state and snapshots.
    fn held(&self) -> u32 {
        Arc::strong_count(&self.value) as u32 - 1
    }

    fn files(&self) -> usize {
        files_under(self.directory.path())
    }

    /// What the task is told, and whether people are told of trouble.
    fn told(&self) -> (Vec<Control>, Vec<String>) {
        let trouble = |report: TaskReport| match report.report {
            Report::Trouble(CHECKPOINT, what) => what,
            other => panic!("{other:?}"),
        };
        (self.control.try_iter().collect(), self.reports.try_iter().map(trouble).collect())
    }
}

fn files_under(path: &Path) -> usize {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files_under(&path) } else { 1 }).sum()
}

#[test]
fn upload_that_is_written_names_its_file_and_frees_the_snapshot() {
    let mut task = task(|_, _| Ok(()));
    task.upload(Some(Box::new(|| Ok(())))).run();
    let (mut control, trouble) = task.told();
    let Some(Control::Uploaded(CHECKPOINT, written)) = control.pop() else { panic!("{control:?}") };
    assert!(matches!(control[..], [Control::MadeDurable(CHECKPOINT, Ok(()))]), "{control:?}");
    let (handle, ends) = written.take();
    assert!(handle.is_some_and(|handle| handle.bytes > u64::from(VALUES) * VALUE_BYTES as u64));
    assert_eq!((task.files(), task.held(), trouble.len(), ends), (1, 0, 0, Vec::new()));
}

#[test]
fn upload_that_fails_says_why_and_leaves_nothing() {
    let mut task = task(|number, _| match number {
        5 => Err(CodecError::Refused("not this one".into())),
        _ => Ok(()),
    });
    task.upload(None).run();
    let (control, trouble) = task.told();
    assert!(matches!(control[..], [Control::UploadFailed(CHECKPOINT, _)]), "{control:?}");
    assert_eq!(trouble, ["state `held` cannot be written: a value is refused: not this one"]);
    assert_eq!((task.files(), task.held()), (0, 0));
}

#[test]
fn upload_that_panics_says_so_and_leaves_nothing() {
    let mut task = task(|number, _| if number == 5 { panic!("on purpose") } else { Ok(()) });
    task.upload(None).run();
    let (control, trouble) = task.told();
    assert!(matches!(control[..], [Control::UploadFailed(CHECKPOINT, _)]), "{control:?}");
    assert!(trouble[..] == [TaskError::Panicked("on purpose".into()).to_string()], "{trouble:?}");
    assert_eq!((task.files(), task.held()), (0, 0));
}

/// Without transactions that are durable there is no state to write.
#[test]
fn upload_whose_transactions_fail_writes_nothing() {
    let mut task = task(|_, _| panic!("nothing is written"));
    task.upload(Some(Box::new(|| Err(UserError::from("no"))))).run();
    let (control, trouble) = task.told();
    assert!(matches!(control[..], [Control::MadeDurable(CHECKPOINT, Err(_))]), "{control:?}");
    assert_eq!((task.files(), task.held(), trouble.len()), (0, 0, 0));
}

/// What is written after the cancellation is what was under way, not the rest.
#[test]
fn upload_that_is_cancelled_while_it_writes_stops_and_leaves_nothing() {
    let mut task = task(|number, uploads| {
        assert!(number <= 3, "value {number} is written in vain");
        if number == 2 {
            uploads.lock().unwrap().cancel(CHECKPOINT);
        }
        Ok(())
    });
    task.upload(None).run();
    let (control, trouble) = task.told();
    assert!(matches!(control[..], [Control::UploadFailed(CHECKPOINT, _)]), "{control:?}");
    assert_eq!((task.files(), task.held(), trouble.len()), (0, 0, 0));
}

#[test]
fn upload_whose_task_ends_while_it_writes_stops_and_leaves_nothing() {
    let mut task = task(|number, uploads| {
        assert!(number <= 3, "value {number} is written in vain");
        if number == 2 {
            drop(std::mem::take(&mut *uploads.lock().unwrap()));
        }
        Ok(())
    });
    let upload = task.upload(None);
    upload.run();
    assert_eq!((task.files(), task.held(), task.told().1.len()), (0, 0, 0));
}

/// The task has ended too late for the cancellation, so that nobody hears of the file.
#[test]
fn upload_whose_task_is_gone_when_it_is_written_deletes_its_file() {
    let mut task = task(|_, _| Ok(()));
    let upload = task.upload(None);
    task.control = unbounded().1;
    upload.run();
    assert_eq!((task.files(), task.held(), task.told().1.len()), (0, 0, 0));
}

/// The task was told, and has ended before it has listened.
#[test]
fn upload_that_the_task_has_not_taken_in_when_it_ends_leaves_nothing() {
    let mut task = task(|_, _| Ok(()));
    task.upload(None).run();
    assert_eq!(task.files(), 1);
    task.control = unbounded().1;
    assert_eq!((task.files(), task.held(), task.told().1.len()), (0, 0, 0));
}

/// Neither does anybody hear of the files that are shared, of an upload that has failed after them as well.
#[test]
fn upload_whose_task_is_gone_deletes_the_files_that_it_has_uploaded() {
    for (fails, ends_before) in [(false, true), (false, false), (true, true), (true, false)] {
        let mut task = task(move |_, _| if fails { Err(CodecError::Refused("no".into())) } else { Ok(()) });
        let mut upload = task.upload(None);
        let StateFile { subtask, attempt, .. } = upload.file;
        let restored = Restored { files: BTreeSet::new(), ownership: Ownership::Owned };
        let config = Config { job: JobId(1), subtask, attempt };
        let mut incremental = IncrementalUploads::new(config, restored, BTreeMap::new());
        let path = task.directory.path().join("local");
        std::fs::write(&path, b"one").unwrap();
        let content = Some(ContentId { digest: 1, bytes: 3 });
        let files = vec![LocalFile { name: "local".to_owned(), path, content }];
        upload.files = Some(incremental.begin(CHECKPOINT, Sharing::ForwardBackward, "runs", files).unwrap());
        if ends_before {
            task.control = unbounded().1;
        }
        upload.run();
        task.control = unbounded().1;
        assert_eq!(task.files(), 1, "the local file is still there");
    }
}

#[test]
fn upload_that_is_cancelled_before_it_starts_writes_nothing() {
    let mut task = task(|_, _| panic!("nothing is written"));
    let upload = task.upload(None);
    task.uploads.lock().unwrap().cancel(CHECKPOINT);
    upload.run();
    let (control, trouble) = task.told();
    assert!(matches!(control[..], [Control::UploadFailed(CHECKPOINT, _)]), "{control:?}");
    assert_eq!((task.files(), task.held(), trouble.len()), (0, 0, 0));
}

/// An upload that has ended is no longer there to be cancelled, and another one under its number is another one.
#[test]
fn upload_that_has_ended_is_not_cancelled() {
    let mut uploads = Uploads::default();
    let first = uploads.begin(CHECKPOINT);
    uploads.ended(CHECKPOINT);
    uploads.cancel(CHECKPOINT);
    let second = uploads.begin(CHECKPOINT);
    drop(uploads);
    assert!(!first.is_requested() && second.is_requested());
}
