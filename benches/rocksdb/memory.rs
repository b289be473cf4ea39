//! How much memory state in RocksDB takes: two subtasks with a budget together, and much more state than that.

use super::max;
use snapline::backend::rocksdb::{RocksDbStateBackendFactory, metrics};
use snapline::base::Millis;
use snapline::keygroup::{KeyGroup, KeyGroupRange};
use snapline::state::backend::StateBackend;
use snapline::state::{
    KeyedStateStore, KeyedStateStoreBuilder, ListStateDescriptor, MapState, MapStateDescriptor, TtlListState,
    TtlValueState, ValueState, ValueStateDescriptor,
};
use snapline::ttl::StateTtlConfig;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const BUDGET_MEBIBYTES: u64 = 256;
/// Of each subtask. All of its states together are some 500 bytes of a key.
const KEYS: u64 = 4_000_000;
const BETWEEN_SNAPSHOTS: Duration = Duration::from_secs(20);
const BETWEEN_SAMPLES: Duration = Duration::from_millis(500);

pub fn measure(minutes: u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let (is_over, operations) = (AtomicBool::new(false), AtomicU64::new(0));
    let baseline = resident_bytes();
    println!("baseline {:.0} MiB, budget {BUDGET_MEBIBYTES} MiB, {minutes} min", mebibytes(baseline));
    let samples = thread::scope(|scope| {
        for subtask in 0..2 {
            let (directory, is_over, operations) = (directory.path(), &is_over, &operations);
            scope.spawn(move || Subtask::new(subtask, directory).run(is_over, operations));
        }
        let samples = sample(Duration::from_secs(60 * minutes), baseline, &operations, directory.path());
        is_over.store(true, Ordering::Relaxed);
        samples
    });
    tell("in all", baseline, samples, &operations);
    println!("at the end, without any instance: {:.0} MiB", mebibytes(resident_bytes()));
}

/// What is resident, again and again for so long.
fn sample(duration: Duration, baseline: u64, operations: &AtomicU64, directory: &Path) -> Vec<u64> {
    let (mut samples, began) = (Vec::new(), Instant::now());
    let a_minute = (60_000 / BETWEEN_SAMPLES.as_millis()) as usize;
    while began.elapsed() < duration {
        thread::sleep(BETWEEN_SAMPLES);
        samples.push(resident_bytes());
        if samples.len().is_multiple_of(a_minute) {
            let name =
                format!("after {} min, {:.1} GB", samples.len() / a_minute, bytes_in(directory) as f64 / 1e9);
            tell(&name, baseline, samples[samples.len() - a_minute..].to_vec(), operations);
            println!("    RocksDB itself says: {}", accounted());
        }
    }
    samples
}

fn tell(name: &str, baseline: u64, mut samples: Vec<u64>, operations: &AtomicU64) {
    samples.sort_unstable();
    let (maximum, p99) = (samples[samples.len() - 1], samples[(samples.len() - 1) * 99 / 100]);
    println!(
        "{name}: {} million operations; resident: median {:.0} MiB, p99 {:.0} MiB, maximum {:.0} MiB; \
         (maximum - baseline) / budget {:.2}",
        operations.load(Ordering::Relaxed) / 1_000_000,
        mebibytes(samples[samples.len() / 2]),
        mebibytes(p99),
        mebibytes(maximum),
        mebibytes(maximum.saturating_sub(baseline)) / BUDGET_MEBIBYTES as f64
    );
}

/// What RocksDB knows of: the cache, which holds what write buffers take too, and what it keeps for each open file.
fn accounted() -> String {
    let metrics = metrics::collect();
    let of = |name| metrics.iter().filter(move |metric| metric.name == name).map(|metric| metric.value);
    format!(
        "cache {:.0} MiB, of this write buffers {:.0} MiB; readers of tables {:.1} MiB",
        // Each state has the same one.
        mebibytes(of("rocksdb.block-cache-usage").max().unwrap_or(0)),
        mebibytes(of("rocksdb.size-all-mem-tables").sum()),
        mebibytes(of("rocksdb.estimate-table-readers-mem").sum())
    )
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

fn resident_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it is always there");
    let kibibytes = line.trim().trim_end_matches("kB").trim();
    kibibytes.parse::<u64>().expect("a number") << 10
}

/// Files that go while they are looked for do not count.
fn bytes_in(directory: &Path) -> u64 {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let bytes = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_in(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(bytes).sum()
}

struct Subtask {
    store: KeyedStateStore<u64>,
    value: ValueState<Vec<u8>>,
    map: MapState<u32, Vec<u8>>,
    list: TtlListState<u64>,
    expires: TtlValueState<u64>,
    chance: u64,
}

impl Subtask {
    fn new(number: u16, directory: &Path) -> Self {
        let range = KeyGroupRange::new(KeyGroup(number * 64), KeyGroup(number * 64 + 63)).expect("valid");
        let option = |key: &str, value: &str| (format!("state.backend.rocksdb.{key}"), value.to_owned());
        let options = BTreeMap::from([
            option("memory.fixed-per-tm", &format!("{BUDGET_MEBIBYTES}mb")),
            option("metrics.block-cache-usage", "true"),
            option("metrics.estimate-table-readers-mem", "true"),
            option("metrics.size-all-mem-tables", "true"),
            option("localdir", directory.to_str().expect("text")),
        ]);
        let backend = StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), options);
        let builder = KeyedStateStoreBuilder::new(max(), range).with_backend(&backend);
        let mut store = builder.restore(Vec::new()).expect("empty");
        let ttl = |seconds: u64| StateTtlConfig::new(Millis(1_000 * seconds)).expect("valid");
        let expires = ValueStateDescriptor::new("expires").with_ttl(ttl(60));
        let list = ListStateDescriptor::new("list").with_ttl(ttl(120));
        Subtask {
            value: store.open(&ValueStateDescriptor::new("value")).expect("opens"),
            map: store.open(&MapStateDescriptor::new("map")).expect("opens"),
            list: store.open(&list).expect("opens"),
            expires: store.open(&expires).expect("opens"),
            store,
            chance: 0x9e37_79b9_7f4a_7c15 + u64::from(number),
        }
    }

    /// Splitmix.
    fn number(&mut self) -> u64 {
        self.chance = self.chance.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.chance ^ (self.chance >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Bytes that cannot be compressed.
    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length.div_ceil(8)).flat_map(|_| self.number().to_ne_bytes()).take(length).collect()
    }

    /// A key of this subtask.
    fn choose_key(&mut self) {
        loop {
            let key = self.number() % (2 * KEYS);
            if self.store.set_current_key(key).is_ok() {
                return;
            }
        }
    }

    fn run(mut self, is_over: &AtomicBool, operations: &AtomicU64) {
        let (mut last, mut snapshots) = (Instant::now(), Vec::new());
        while !is_over.load(Ordering::Relaxed) {
            for _ in 0..1_000 {
                self.step();
            }
            operations.fetch_add(1_000, Ordering::Relaxed);
            if last.elapsed() > BETWEEN_SNAPSHOTS {
                // The one before is as good as uploaded.
                snapshots.clear();
                snapshots.push(self.store.snapshot_in_files().expect("a checkpoint"));
                last = Instant::now();
            }
        }
    }

    fn step(&mut self) {
        self.choose_key();
        let number = self.number();
        match number % 16 {
            0..4 => {
                let bytes = self.bytes(300);
                self.value.update(&mut self.store, bytes).expect("a key");
            }
            4..7 => drop(self.value.get(&self.store).expect("a key")),
            7..10 => {
                let bytes = self.bytes(60);
                self.map.put(&mut self.store, number as u32 >> 28, bytes).expect("a key");
            }
            10 => assert!(self.map.entries(&self.store).expect("a key").count() <= 16),
            11..13 => self.list.add(&mut self.store, number).expect("a key"),
            13 => drop(self.list.get(&mut self.store).expect("a key").count()),
            14 => self.expires.update(&mut self.store, number).expect("a key"),
            _ => drop(self.expires.get(&mut self.store).expect("a key")),
        }
    }
}
