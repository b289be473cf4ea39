//! A directory of checkpoints that was written through the storage, as a job writes it.

use snapline::base::*;
use snapline::codec::{CheckpointMetadata, OperatorMetadata};
use snapline::keygroup::{KeyGroupRangeAssignment, MaxParallelism};
use snapline::publish::{Pointer, PointerKind, PointerSequence};
use snapline::state::backend::{BackendFile, FilePlace};
use snapline::state::{
    ChannelSide, ChannelState, KeyedStateStore, ListStateDescriptor, OperatorSnapshot, OperatorStateBackend,
    TaskSnapshot, ValueStateDescriptor,
};
use snapline::store::*;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub const JOB: JobId = JobId(0xabc);
pub const ATTEMPT: Attempt = Attempt(1);

/// The operator `count` has two subtasks with a value for each of three keys, the operator `source` has one, with its
/// positions.
pub fn operators() -> Vec<OperatorMetadata> {
    let operator = |name: &str, parallelism| OperatorMetadata {
        uid: format!("{name}-uid"),
        name: name.to_owned(),
        parallelism,
        max_parallelism: 8,
    };
    vec![operator("source", 1), operator("count", 2)]
}

pub struct Folder {
    folder: TempDir,
    pub storage: FileSystemCheckpointStorage,
}

impl Folder {
    /// A job that has claimed its first attempt.
    pub fn new() -> Self {
        let folder = TempDir::new().expect("temporary");
        let storage = FileSystemCheckpointStorage::open(folder.path(), JOB).expect("opens");
        let folder = Folder { folder, storage };
        folder.put_pointer(1, PointerKind::Claim, None, &[]);
        folder
    }

    /// A job with checkpoints 1 and 2, which share a file, and savepoint 3.
    pub fn with_checkpoints() -> Self {
        let folder = Folder::new();
        let shared = folder.put_shared(0, b"both", None);
        let only_second = folder.put_shared(1, b"second", None);
        folder.put_checkpoint(1, &[(shared, b"both")]);
        folder.put_pointer(2, PointerKind::Publication, Some(1), &[]);
        folder.put_checkpoint(2, &[(shared, b"both"), (only_second, b"second")]);
        folder.put_pointer(3, PointerKind::Publication, Some(2), &[1]);
        folder.put_savepoint(3);
        folder
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn put_pointer(&self, sequence: u64, kind: PointerKind, newest: Option<u64>, older: &[u64]) {
        let pointer = Pointer {
            kind,
            attempt: ATTEMPT,
            incarnation: Incarnation(1),
            newest: newest.map(CheckpointId),
            older: older.iter().copied().map(CheckpointId).collect(),
        };
        self.storage.put_pointer(PointerSequence(sequence), &pointer).expect("writes");
    }

    /// Writes a shared file of the first subtask of `count`.
    pub fn put_shared(&self, upload: u64, bytes: &[u8], savepoint: Option<CheckpointId>) -> SharedObject {
        let content = ContentId { digest: u128::from(upload) + 77, bytes: bytes.len() as u64 };
        let file = SharedFile { job: JOB, subtask: SubtaskId::new(1, 0), attempt: ATTEMPT, content };
        let object = SharedObject { file, upload, savepoint };
        self.storage.put_shared(&object, &mut { bytes }).expect("writes");
        object
    }

    pub fn put_checkpoint(&self, id: u64, shared: &[(SharedObject, &[u8])]) {
        self.storage.put_metadata(&self.metadata(id, CheckpointKind::Periodic, shared)).expect("writes");
    }

    pub fn put_savepoint(&self, id: u64) {
        let own = self.put_shared(9, b"savepoint's own", Some(CheckpointId(id)));
        let shared: &[(_, &[u8])] = &[(own, b"savepoint's own")];
        self.storage.put_metadata(&self.metadata(id, CheckpointKind::Savepoint, shared)).expect("writes");
    }

    /// The metadata of a checkpoint whose state files have been written.
    pub fn metadata(
        &self,
        id: u64,
        kind: CheckpointKind,
        shared: &[(SharedObject, &[u8])],
    ) -> CheckpointMetadata {
        let file = |subtask| StateFile {
            checkpoint: CheckpointId(id),
            subtask,
            attempt: ATTEMPT,
            savepoint: kind.is_savepoint(),
        };
        let mut states = BTreeMap::new();
        let source = SubtaskId::new(0, 0);
        states.insert(source, Some(self.put_state(file(source), source_state())));
        for index in 0..2 {
            let subtask = SubtaskId::new(1, index);
            let files = if index == 0 { shared } else { &[] };
            states.insert(subtask, Some(self.put_state(file(subtask), count_state(index, files))));
        }
        let objects: BTreeSet<_> = shared.iter().map(|(object, _)| *object).collect();
        let shared = [(SubtaskId::new(1, 0), objects)].into_iter().filter(|(_, objects)| !objects.is_empty());
        let shared = shared.collect();
        let checkpoint = CompletedCheckpoint { id: CheckpointId(id), attempt: ATTEMPT, kind, states, shared };
        CheckpointMetadata { job: JOB, operators: operators(), checkpoint }
    }

    fn put_state(&self, file: StateFile, snapshot: TaskSnapshot) -> StateHandle {
        let mut bytes = Vec::new();
        snapshot.write_to(&mut bytes).expect("memory");
        let mut writer = self.storage.create_state(file).expect("creates");
        writer.write_all(&bytes).expect("writes");
        writer.finish().expect("finishes")
    }

    pub fn place(&self, place: Place) -> PathBuf {
        self.storage.path_of(place)
    }

    /// Every file under the directory.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let (mut found, mut folders) = (BTreeMap::new(), vec![self.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("reads") {
                let path = entry.expect("reads").path();
                match path.is_dir() {
                    true => folders.push(path),
                    false => drop(found.insert(path.clone(), fs::read(path).expect("reads"))),
                }
            }
        }
        found
    }
}

fn source_state() -> TaskSnapshot {
    let mut operator = OperatorStateBackend::new();
    let positions = operator.list_state(&ListStateDescriptor::<u64>::new("positions")).expect("opens");
    positions.add_all(&mut operator, [1, 2, 3]).expect("adds");
    let mut channels = ChannelState::default();
    channels.append(ChannelSide::Output, Channel(0), &["on its way".to_owned()]).expect("serializes");
    TaskSnapshot::new(None, operator.snapshot()).with_channels(channels)
}

fn count_state(index: u16, files: &[(SharedObject, &[u8])]) -> TaskSnapshot {
    let assignment = KeyGroupRangeAssignment::new(MaxParallelism::new(8).expect("valid"), 2).expect("valid");
    let range = assignment.range_of(index).expect("exists");
    let mut store = KeyedStateStore::<u64>::new(assignment.max_parallelism(), range).expect("valid");
    let count = store.open(&ValueStateDescriptor::<u64>::new("count")).expect("opens");
    let keys = (0_u64..).filter(|key| assignment.owner_of_key(key) == index).take(3);
    for key in keys {
        store.set_current_key(key).expect("owns");
        count.update(&mut store, 1000 + key).expect("fits");
    }
    let keyed = Box::new(store.snapshot().expect("memory"));
    let snapshot = TaskSnapshot::new(Some(keyed), OperatorSnapshot::default());
    if files.is_empty() {
        return snapshot;
    }
    let describe = |(object, bytes): &(SharedObject, &[u8])| BackendFile {
        name: format!("{}.sst", object.upload),
        place: FilePlace::Shared { content: object.file.content, checksum: crc32c::crc32c(bytes) },
    };
    snapshot.with_files("files", files.iter().map(describe).collect())
}
