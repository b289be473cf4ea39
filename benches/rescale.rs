//! How long a rescale takes beside a plain restore: `cargo bench -p snapline --features rocksdb --bench rescale [-- KEYS]`.
//!
//! 10 million keys, or as many as the argument says, each with a `ValueState<u64>`, lie in a checkpoint of four subtasks, on the
//! heap and then in RocksDB. Four subtasks restore their own, and seven their share, as a job does: each on a thread of its own,
//! from files, with all checksums, until the state is open. Rounds take turns; the median of each counts.

#![allow(clippy::disallowed_methods, reason = "it measures")]

use snapline::backend::rocksdb::RocksDbStateBackendFactory;
use snapline::base::*;
use snapline::keygroup::{KeyGroupRange, KeyGroupRangeAssignment, MaxParallelism};
use snapline::state::backend::{BackendError, BackendFile, FetchFile, FilePlace, LocalFile, StateBackend};
use snapline::state::{
    KeyedSnapshot, KeyedStateStore, KeyedStateStoreBuilder, OperatorSnapshot, SnapshotImage, TaskSnapshot,
    ValueState, ValueStateDescriptor,
};
use snapline::store::*;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const JOB: JobId = JobId(1);
const BEFORE: u16 = 4;
const AFTER: u16 = 7;
const ROUNDS: usize = 3;

fn main() {
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let keys = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(10_000_000);
    let working = tempfile::tempdir().unwrap();
    let localdir = working.path().to_str().unwrap();
    let options = [("localdir", localdir), ("memory.managed", "false"), ("block.cache-size", "256mb")];
    let named = |(key, value): (&str, &str)| (format!("state.backend.rocksdb.{key}"), value.to_owned());
    let rocksdb =
        StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), options.into_iter().map(named).collect());
    for backend in [StateBackend::default(), rocksdb] {
        let checkpoint = Checkpoint::of(keys, &backend);
        let bytes = checkpoint.bytes();
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (times, subtasks) in times.iter_mut().zip([BEFORE, AFTER]) {
                times.push(checkpoint.restore(subtasks, &backend));
            }
        }
        let [plain, rescaled] = times.map(|times| median(times).as_secs_f64());
        println!(
            "{}: {keys} keys, {:.0} MB in {BEFORE} subtasks; restored {plain:.2} s, rescaled to {AFTER} {rescaled:.2} s, {:.2}",
            backend.name(),
            bytes as f64 / 1e6,
            rescaled / plain
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn assignment(subtasks: u16) -> KeyGroupRangeAssignment {
    KeyGroupRangeAssignment::new(MaxParallelism::new(128).unwrap(), subtasks).unwrap()
}

fn builder(range: KeyGroupRange, backend: &StateBackend) -> KeyedStateStoreBuilder<u64> {
    KeyedStateStoreBuilder::new(assignment(1).max_parallelism(), range).with_backend(backend)
}

fn open(store: &mut KeyedStateStore<u64>) -> ValueState<u64> {
    store.open(&ValueStateDescriptor::new("values")).unwrap()
}

/// A checkpoint in files.
struct Checkpoint {
    storage: FileSystemCheckpointStorage,
    directory: TempDir,
    /// The state files of the subtasks, with the key groups that each has.
    states: Vec<(KeyGroupRange, StateHandle)>,
    shared: BTreeMap<ContentId, SharedObject>,
    keys: u64,
}

impl Checkpoint {
    fn of(keys: u64, backend: &StateBackend) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = FileSystemCheckpointStorage::open(directory.path(), JOB).unwrap();
        let mut checkpoint =
            Checkpoint { storage, directory, states: Vec::new(), shared: BTreeMap::new(), keys };
        (0..BEFORE).for_each(|index| checkpoint.take(index, backend));
        checkpoint
    }

    /// Fills a subtask, and adds what it has.
    fn take(&mut self, index: u16, backend: &StateBackend) {
        let (subtask, range) = (SubtaskId::new(0, index), assignment(BEFORE).range_of(index).unwrap());
        let mut store = builder(range, backend).restore(Vec::new()).unwrap();
        let state = open(&mut store);
        for key in (0..self.keys).filter(|key| assignment(BEFORE).owner_of_key(key) == index) {
            store.set_current_key(key).unwrap();
            state.update(&mut store, key).unwrap();
        }
        let is_in_files = *backend != StateBackend::default();
        let snapshot = if is_in_files { store.snapshot_in_files() } else { store.snapshot() }.unwrap();
        let files = snapshot.files().unwrap_or_default().iter();
        let files: Vec<BackendFile> = files.map(|file| self.upload(subtask, file)).collect();
        let file = StateFile { checkpoint: CheckpointId(1), subtask, attempt: Attempt(1), savepoint: false };
        let mut task = TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default());
        if is_in_files {
            task = task.with_files(backend.name(), files);
        }
        let mut writer = BufWriter::with_capacity(1 << 20, self.storage.create_state(file).unwrap());
        task.write_to(&mut writer).unwrap();
        let handle = writer.into_inner().map_err(|error| error.to_string()).unwrap().finish().unwrap();
        self.states.push((range, handle));
    }

    fn upload(&mut self, subtask: SubtaskId, LocalFile { name, path, content }: &LocalFile) -> BackendFile {
        let bytes = fs::read(path).unwrap();
        let place = match *content {
            None => FilePlace::Private(bytes),
            Some(content) => {
                let file = SharedFile { job: JOB, subtask, attempt: Attempt(1), content };
                let upload = self.shared.len() as u64;
                let object = SharedObject { file, upload, savepoint: None };
                self.storage.put_shared(&object, &mut &bytes[..]).unwrap();
                self.shared.insert(content, object);
                FilePlace::Shared { content, checksum: crc32c::crc32c(&bytes) }
            }
        };
        BackendFile { name: name.clone(), place }
    }

    /// The bytes of all its files.
    fn bytes(&self) -> u64 {
        let shared: u64 = self.shared.keys().map(|content| content.bytes).sum();
        shared + self.states.iter().map(|(_, handle)| handle.bytes).sum::<u64>()
    }

    /// How long it takes until all subtasks have their state.
    fn restore(&self, subtasks: u16, backend: &StateBackend) -> Duration {
        assert!(self.directory.path().exists());
        let assignment = assignment(subtasks);
        let began = Instant::now();
        let mut stores: Vec<_> = std::thread::scope(|scope| {
            let restore = |index| {
                scope.spawn(move || self.restore_subtask(assignment.range_of(index).unwrap(), backend))
            };
            let threads: Vec<_> = (0..subtasks).map(restore).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let took = began.elapsed();
        for key in (0..self.keys).step_by(self.keys as usize / 1_000 + 1) {
            let (store, state) = &mut stores[usize::from(assignment.owner_of_key(&key))];
            store.set_current_key(key).unwrap();
            assert_eq!(state.get(store).unwrap().as_deref(), Some(&key));
        }
        took
    }

    /// Does what a task does: reads the files of all who had key groups of this one, of its own file everything.
    fn restore_subtask(
        &self,
        range: KeyGroupRange,
        backend: &StateBackend,
    ) -> (KeyedStateStore<u64>, ValueState<u64>) {
        let mut images = Vec::new();
        for (old, handle) in &self.states {
            if old.groups().any(|group| range.contains(group)) {
                let wanted = (*old != range).then_some(range);
                let reader = self.storage.read_state(handle).unwrap();
                images.extend(SnapshotImage::read_from(reader, wanted).unwrap().keyed);
            }
        }
        let mut store = builder(range, backend).restore_with(images, self).unwrap();
        let state = open(&mut store);
        (store, state)
    }
}

impl FetchFile for Checkpoint {
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError> {
        let (content, expected) = match &file.place {
            FilePlace::Private(bytes) => return Ok(fs::write(target, bytes)?),
            FilePlace::Shared { content, checksum } => (content, *checksum),
        };
        let mut reader = self.storage.read_shared(&self.shared[content])?;
        let (mut target, mut piece, mut checksum) = (File::create_new(target)?, vec![0; 8 * 1024], 0);
        loop {
            let read = reader.read(&mut piece)?;
            if read == 0 {
                break;
            }
            checksum = crc32c::crc32c_append(checksum, &piece[..read]);
            target.write_all(&piece[..read])?;
        }
        assert_eq!(checksum, expected, "{}", file.name);
        Ok(())
    }
}
