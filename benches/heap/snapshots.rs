//! Snapshots of a store while it is written to, and the store that is restored from one.

use super::{Keys, Raw, hasher, store};
use snapline::base::{Attempt, CheckpointId, JobId, StateFile, StateHandle, SubtaskId};
use snapline::state::{KeyedStateSnapshot, KeyedStateStore, SnapshotImage, ValueState, ValueStateDescriptor};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::fs::File;
use std::hint::black_box;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const ROUNDS: u64 = 3;

pub fn measure(count: usize) {
    let Keys { keys, order } = Keys::new(count);
    let mut store = store();
    let state = store.open(&descriptor()).expect("opens");
    for &key in &keys {
        store.set_current_key(key).expect("all groups");
        state.update(&mut store, 1).expect("there is a key");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let storage = FileSystemCheckpointStorage::open(directory.path(), JobId(1)).expect("opens");
    let mut newest = None;
    for round in 0..ROUNDS {
        let bytes = newest.map_or(15 * count as u64, |handle: StateHandle| handle.bytes);
        let file = directory.path().join(format!("sequential-{round}"));
        let (sequential, writes) = beside(&mut store, &state, &order, || write_sequentially(&file, bytes));
        writes.print("a file is written");
        let began = Instant::now();
        let snapshot = store.snapshot().expect("a snapshot");
        let synchronous = began.elapsed();
        let write = || write_snapshot(&storage, snapshot, CheckpointId(round + 1));
        let ((handle, took), writes) = beside(&mut store, &state, &order, write);
        writes.print("a snapshot is written");
        println!("  snapshot {round}: synchronous part {:.3} ms", synchronous.as_secs_f64() * 1e3);
        print_rates("beside writes", rate(handle.bytes, took), rate(bytes, sequential.1));
        newest = Some(handle);
    }
    let newest = newest.expect("some rounds");
    let snapshot = store.snapshot().expect("a snapshot");
    let began = Instant::now();
    write_sequentially(&directory.path().join("sequential"), newest.bytes);
    let sequential = began.elapsed();
    let began = Instant::now();
    let handle = write_snapshot(&storage, snapshot, CheckpointId(ROUNDS + 1));
    print_rates("nothing else goes on", rate(handle.bytes, began.elapsed()), rate(newest.bytes, sequential));
    drop(store);
    restore(&storage, handle, &keys);
}

fn write_snapshot(
    storage: &FileSystemCheckpointStorage,
    snapshot: KeyedStateSnapshot,
    checkpoint: CheckpointId,
) -> StateHandle {
    let (subtask, attempt) = (SubtaskId::new(0, 0), Attempt(1));
    let file = StateFile { checkpoint, subtask, attempt, savepoint: false };
    let mut writer = storage.create_state(file).expect("creates");
    snapshot.write_to(&mut writer).expect("writes");
    writer.finish().expect("finishes")
}

/// Bytes per second.
fn rate(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / took.as_secs_f64()
}

fn print_rates(when: &str, written: f64, raw: f64) {
    let (megabytes, raw_megabytes) = (written / 1e6, raw / 1e6);
    println!("    {when}: {megabytes:.0} MB/s, a file {raw_megabytes:.0} MB/s, {:.2} x", written / raw);
}

fn descriptor() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("values")
}

/// Writes so many bytes to a file that is not there, as a storage does with a state. To write over one costs more.
fn write_sequentially(path: &Path, bytes: u64) {
    let block: Vec<u8> =
        (0..64 * 1024_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let mut file = File::create_new(path).expect("creates");
    for begin in (0..bytes).step_by(block.len()) {
        let length = block.len().min((bytes - begin) as usize);
        file.write_all(&block[..length]).expect("writes");
    }
    file.sync_all().expect("syncs");
}

/// Restores a store, and builds the map with the same content from memory.
fn restore(storage: &FileSystemCheckpointStorage, handle: StateHandle, keys: &[u64]) {
    let (mut restoring, mut building) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        let began = Instant::now();
        let mut raw: Raw<u64> = Raw::with_hasher(hasher());
        keys.iter().for_each(|&key| _ = raw.insert(key, 1));
        building = building.min(began.elapsed());
        drop(black_box(raw));
        let began = Instant::now();
        let reader = storage.read_state(&handle).expect("opens");
        let image = SnapshotImage::read_from(reader, None).expect("reads").keyed.expect("keyed state");
        let (max_parallelism, range) = (image.header.max_parallelism, image.header.range);
        let mut store: KeyedStateStore<u64> =
            KeyedStateStore::restore(max_parallelism, range, vec![image]).expect("restores");
        let state = store.open(&descriptor()).expect("opens");
        restoring = restoring.min(began.elapsed());
        store.set_current_key(keys[0]).expect("all groups");
        assert!(state.get(&store).expect("there is a key").is_some());
    }
    println!(
        "  restore {:.0} ms, building a map {:.0} ms, {:.2} x",
        restoring.as_secs_f64() * 1e3,
        building.as_secs_f64() * 1e3,
        restoring.as_secs_f64() / building.as_secs_f64()
    );
}

/// Does something on another thread, and says how long that took; meanwhile the store is written to.
fn beside<T: Send>(
    store: &mut KeyedStateStore<u64>,
    state: &ValueState<u64>,
    order: &[u64],
    work: impl FnOnce() -> T + Send,
) -> ((T, Duration), Latencies) {
    let finished = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let began = Instant::now();
            let result = work();
            finished.store(true, Ordering::Release);
            (result, began.elapsed())
        });
        let writes = write_until(store, state, order, || finished.load(Ordering::Acquire));
        (working.join().expect("works"), writes)
    })
}

/// Writes until `done` says so, and measures each write.
fn write_until(
    store: &mut KeyedStateStore<u64>,
    state: &ValueState<u64>,
    order: &[u64],
    done: impl Fn() -> bool,
) -> Latencies {
    let mut nanos = Vec::with_capacity(100_000_000);
    let began = Instant::now();
    let mut before = began;
    for key in order.iter().cycle() {
        store.set_current_key(*key).expect("all groups");
        state.with_mut(store, || 0, |value| *value += 1).expect("there is a key");
        let now = Instant::now();
        nanos.push((now - before).as_nanos() as u32);
        before = now;
        if nanos.len() % 1_024 == 0 && done() {
            break;
        }
    }
    Latencies { nanos, elapsed: began.elapsed() }
}

/// The time of each of the writes of one phase.
struct Latencies {
    nanos: Vec<u32>,
    elapsed: Duration,
}

impl Latencies {
    fn print(mut self, phase: &str) {
        let writes = self.nanos.len();
        self.nanos.sort_unstable();
        let at = |part: f64| f64::from(self.nanos[((writes - 1) as f64 * part) as usize]) / 1e3;
        println!(
            "  writes while {phase:24} {:6.2} million/s; p50 {:.2} us, p99 {:.2}, p99.9 {:.2}, p99.99 {:.1}, max {:.1}",
            writes as f64 / self.elapsed.as_secs_f64() / 1e6,
            at(0.5),
            at(0.99),
            at(0.999),
            at(0.9999),
            at(1.0),
        );
    }
}
