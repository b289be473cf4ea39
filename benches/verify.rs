//! How fast checkpoints are verified, beside `cat` of the same files: `cargo bench -p snapline --bench verify`.
//!
//! A checkpoint of four subtasks on the heap, half of whose entries have 8 bytes and half 200, and as many bytes of shared files;
//! 2 GiB together, or as many as the first argument says, in MiB. Rounds take turns, with files that the system has in
//! memory and with files that it was told to forget (`dd iflag=nocache`).

#![allow(clippy::disallowed_methods, reason = "it measures")]

use snapline::base::*;
use snapline::codec::{CheckpointMetadata, OperatorMetadata};
use snapline::inspection::{Location, verify};
use snapline::keygroup::{KeyGroupRangeAssignment, MaxParallelism};
use snapline::publish::{Pointer, PointerKind, PointerSequence};
use snapline::state::backend::{BackendFile, FilePlace};
use snapline::state::{KeyedStateStore, OperatorSnapshot, TaskSnapshot, ValueStateDescriptor};
use snapline::store::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufWriter, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const JOB: JobId = JobId(1);
const SUBTASKS: u16 = 4;
const ROUNDS: usize = 5;
/// The bytes of a shared file: as many as those of RocksDB have.
const SHARED_BYTES: u64 = 64 << 20;

fn main() {
    let mib = std::env::args().filter_map(|argument| argument.parse().ok()).next().unwrap_or(2048_u64);
    let folder = tempfile::tempdir().unwrap();
    let files = write(folder.path(), mib << 20);
    let bytes: u64 = files.iter().map(|file| file.metadata().unwrap().len()).sum();
    println!("{} files, {} MiB", files.len(), bytes >> 20);
    for (what, is_cold) in [("in memory", false), ("forgotten", true)] {
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (number, times) in times.iter_mut().enumerate() {
                if is_cold {
                    forget(&files)
                } else {
                    cat(&files)
                }
                let start = Instant::now();
                if number == 0 {
                    cat(&files)
                } else {
                    verify_all(folder.path())
                }
                times.push(start.elapsed());
            }
        }
        let [cat, verified] = times.map(|times| bytes as f64 / median(times).as_secs_f64() / 1e6);
        println!("{what}: cat {cat:.0} MB/s, verify {verified:.0} MB/s, {:.2}", verified / cat);
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn cat(files: &[PathBuf]) {
    assert!(Command::new("cat").args(files).stdout(Stdio::null()).status().unwrap().success());
}

/// Has the system forget what it has read of the files.
fn forget(files: &[PathBuf]) {
    for file in files {
        let mut input = std::ffi::OsString::from("if=");
        input.push(file);
        let mut dd = Command::new("dd");
        dd.arg(input).args(["iflag=nocache", "count=0", "status=none"]);
        assert!(dd.status().unwrap().success());
    }
}

fn verify_all(directory: &Path) {
    let verification = verify(&Location::of(directory).unwrap(), &mut |_| ());
    assert!(verification.is_whole, "{verification:?}");
}

/// Writes a checkpoint with about as many bytes, and gives its files.
fn write(directory: &Path, bytes: u64) -> Vec<PathBuf> {
    let storage = FileSystemCheckpointStorage::open(directory, JOB).unwrap();
    let (id, attempt) = (CheckpointId(1), Attempt(1));
    let assignment = KeyGroupRangeAssignment::new(MaxParallelism::new(128).unwrap(), SUBTASKS).unwrap();
    let (mut states, mut shared, mut files) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for index in 0..SUBTASKS {
        let subtask = SubtaskId::new(0, index);
        let mut backend_files = Vec::new();
        let mut objects = BTreeSet::new();
        for number in 0..bytes / 2 / u64::from(SUBTASKS) / SHARED_BYTES {
            let content = ContentId { digest: number.into(), bytes: SHARED_BYTES };
            let file = SharedFile { job: JOB, subtask, attempt, content };
            let object = SharedObject { file, upload: number, savepoint: None };
            let mut mixed = Mixed { state: number, checksum: 0, left: SHARED_BYTES };
            storage.put_shared(&object, &mut mixed).unwrap();
            let place = FilePlace::Shared { content, checksum: mixed.checksum };
            backend_files.push(BackendFile { name: format!("{number}.sst"), place });
            files.push(storage.shared_path(&object));
            objects.insert(object);
        }
        let range = assignment.range_of(index).unwrap();
        let mut store = KeyedStateStore::<u64>::new(assignment.max_parallelism(), range).unwrap();
        let small = store.open(&ValueStateDescriptor::<u64>::new("small")).unwrap();
        let large = store.open(&ValueStateDescriptor::<String>::new("large")).unwrap();
        let keys = (0_u64..).filter(|key| assignment.owner_of_key(key) == index);
        // A pair of entries has some 230 bytes.
        for key in keys.take((bytes / 2 / u64::from(SUBTASKS) / 230) as usize) {
            store.set_current_key(key).unwrap();
            small.update(&mut store, key << 40).unwrap();
            large.update(&mut store, format!("{key:0200}")).unwrap();
        }
        let file = StateFile { checkpoint: id, subtask, attempt, savepoint: false };
        let snapshot =
            TaskSnapshot::new(Some(Box::new(store.snapshot().unwrap())), OperatorSnapshot::default());
        let mut writer = BufWriter::with_capacity(1 << 20, storage.create_state(file).unwrap());
        snapshot.with_files("none", backend_files).write_to(&mut writer).unwrap();
        let handle = writer.into_inner().map_err(|error| error.to_string()).unwrap().finish().unwrap();
        states.insert(subtask, Some(handle));
        shared.insert(subtask, objects);
        files.push(storage.state_path(file));
    }
    let checkpoint = CompletedCheckpoint { id, attempt, kind: CheckpointKind::Periodic, states, shared };
    let operator =
        OperatorMetadata { uid: "u".into(), name: "u".into(), parallelism: SUBTASKS, max_parallelism: 128 };
    storage.put_metadata(&CheckpointMetadata { job: JOB, operators: vec![operator], checkpoint }).unwrap();
    let (kind, incarnation, older) = (PointerKind::Publication, Incarnation(1), BTreeSet::new());
    let pointer = Pointer { kind, attempt, incarnation, newest: Some(id), older };
    storage.put_pointer(PointerSequence(1), &pointer).unwrap();
    files
}

/// Bytes that look like chance.
struct Mixed {
    state: u64,
    checksum: u32,
    left: u64,
}

impl Read for Mixed {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        let length = target.len().min(self.left as usize);
        for bytes in target[..length].chunks_mut(8) {
            self.state =
                self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            bytes.copy_from_slice(&self.state.to_le_bytes()[..bytes.len()]);
        }
        self.left -= length as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, &target[..length]);
        Ok(length)
    }
}
