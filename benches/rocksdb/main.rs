//! What state in RocksDB costs beside the raw crate with the same options, keys and values.
//!
//! `cargo bench -p snapline --features rocksdb --bench rocksdb [-- KEYS.. PARTS..]`; without arguments 1 million keys and all of
//! `values`, `maps`, `lists`, `checkpoints`. What is compared is
//! measured in one run, in rounds that take turns; the table shows the fastest round of each. `ROUNDS` changes how many there
//! are, and `OPTIONS=writebuffer.size=8mb,..` adds options to those of the store.
//!
//! `cargo bench .. -- memory MINUTES` shows how much memory is resident while two subtasks with a budget of 256 MiB work on
//! several gigabytes.

#![allow(clippy::disallowed_methods)]

mod checkpoints;
mod memory;

use rocksdb::{
    BlockBasedOptions, Cache, DB, DBCompressionType, MergeOperands, Options, ReadOptions, WriteOptions,
};
use snapline::backend::rocksdb::RocksDbStateBackendFactory;
use snapline::keygroup::{KeyGroupRange, KeyHash, MaxParallelism, key_group_of};
use snapline::state::backend::StateBackend;
use snapline::state::{
    KeyedStateStore, KeyedStateStoreBuilder, ListState, ListStateDescriptor, MapState, MapStateDescriptor,
    ValueState, ValueStateDescriptor,
};
use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Operations of one round.
const OPERATIONS: u64 = 200_000;
/// Entries of each map.
const ENTRIES: u32 = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let mut sizes: Vec<u64> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if arguments.iter().any(|argument| argument == "memory") {
        return memory::measure(sizes.first().copied().unwrap_or(10));
    }
    if sizes.is_empty() {
        sizes = vec![1_000_000];
    }
    for keys in sizes {
        println!("{keys} keys: nanoseconds of an operation");
        println!("{:<28}{:>10}{:>10}{:>8}", "", "raw", "store", "ratio");
        let parts: [(&str, &dyn Fn()); 4] = [
            ("values", &|| values(keys)),
            ("maps", &|| maps(keys / u64::from(ENTRIES))),
            ("lists", &|| lists(keys)),
            ("checkpoints", &|| checkpoints::measure(keys)),
        ];
        let is_chosen = |name| {
            let mut names = arguments.iter().filter(|argument| argument.parse::<u64>().is_err()).peekable();
            names.peek().is_none() || names.any(|chosen| chosen == name)
        };
        parts.iter().filter(|(name, _)| is_chosen(*name)).for_each(|(_, measure)| measure());
    }
}

fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(5)
}

/// The fastest round of each, in nanoseconds for each of `operations`.
fn compare(name: &str, operations: u64, mut raw: impl FnMut(), mut store: impl FnMut()) {
    let (mut best_raw, mut best_store) = (Duration::MAX, Duration::MAX);
    for _ in 0..rounds() {
        for (best, work) in [(&mut best_raw, &mut raw as &mut dyn FnMut()), (&mut best_store, &mut store)] {
            let start = Instant::now();
            work();
            *best = (*best).min(start.elapsed());
        }
    }
    let nanoseconds = |time: Duration| time.as_nanos() as f64 / operations as f64;
    let (raw, store) = (nanoseconds(best_raw), nanoseconds(best_store));
    println!("{name:<28}{raw:>10.0}{store:>10.0}{:>8.2}", store / raw);
}

/// Keys in an order in which none is near the one before.
fn scattered(keys: u64, round: u64) -> impl Iterator<Item = u64> {
    (0..OPERATIONS)
        .map(move |number| (number + round * OPERATIONS).wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys)
}

fn max() -> MaxParallelism {
    MaxParallelism::new(128).expect("valid")
}

/// Unmanaged memory, so that both have the same and each its own.
fn with_backend(max: MaxParallelism) -> KeyedStateStoreBuilder<u64> {
    with_backend_of(max, max.all_groups())
}

fn with_backend_of(max: MaxParallelism, range: KeyGroupRange) -> KeyedStateStoreBuilder<u64> {
    let more = std::env::var("OPTIONS").unwrap_or_default();
    let more = more.split(',').filter_map(|option| option.split_once('='));
    let options = [("memory.managed", "false"), ("block.cache-size", "256mb")].into_iter().chain(more);
    let named = |(key, value): (&str, &str)| (format!("state.backend.rocksdb.{key}"), value.to_owned());
    let options = BTreeMap::from_iter(options.map(named));
    let backend = StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), options);
    KeyedStateStoreBuilder::new(max, range).with_backend(&backend)
}

fn store() -> KeyedStateStore<u64> {
    with_backend(max()).restore(Vec::new()).expect("empty")
}

struct Raw {
    db: DB,
    read: ReadOptions,
    write: WriteOptions,
    _directory: tempfile::TempDir,
}

impl Raw {
    fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut options = Options::default();
        options.create_if_missing(true);
        options.set_max_background_jobs(2);
        options.set_compression_type(DBCompressionType::Snappy);
        options.set_arena_block_size(1 << 20);
        options.set_merge_operator("append", concatenated, |_, _, all: &MergeOperands| {
            concatenated(&[], None, all)
        });
        let mut table = BlockBasedOptions::default();
        table.set_block_cache(&Cache::new_lru_cache(256 << 20));
        options.set_block_based_table_factory(&table);
        let mut write = WriteOptions::default();
        write.disable_wal(true);
        let db = DB::open(&options, directory.path()).expect("opens");
        Raw { db, read: ReadOptions::default(), write, _directory: directory }
    }

    fn get(&self, key: &[u8]) -> Option<u64> {
        let value = self.db.get_pinned_opt(key, &self.read).expect("reads")?;
        postcard::from_bytes(&value).ok()
    }

    fn put(&self, key: &[u8], value: u64) {
        let bytes = postcard::to_stdvec(&value).expect("serializes");
        self.db.put_opt(key, bytes, &self.write).expect("writes");
    }
}

fn concatenated(_: &[u8], value: Option<&[u8]>, appended: &MergeOperands) -> Option<Vec<u8>> {
    Some(value.into_iter().chain(appended.iter()).flatten().copied().collect())
}

/// The bytes of a key as the store has them: group, record of the key, no namespace.
fn bytes_of(key: u64) -> Vec<u8> {
    let mut bytes = key_group_of(key.key_hash(), max()).0.to_be_bytes().to_vec();
    let encoded = postcard::to_stdvec(&key).expect("serializes");
    bytes.push(encoded.len() as u8);
    bytes.extend(encoded);
    bytes.push(0);
    bytes
}

fn values(keys: u64) {
    let (raw, mut store) = (Raw::new(), store());
    let state: ValueState<u64> = store.open(&ValueStateDescriptor::new("values")).expect("opens");
    for key in 0..keys {
        raw.put(&bytes_of(key), key);
        store.set_current_key(key).expect("all groups");
        state.update(&mut store, key).expect("a key");
    }
    let store = std::cell::RefCell::new(store);
    let (mut round, mut other) = (0, 0);
    let mut each = |name: &str, one: &dyn Fn(u64), two: &dyn Fn(&mut KeyedStateStore<u64>)| {
        compare(
            name,
            OPERATIONS,
            || {
                round += 1;
                scattered(keys, round).for_each(one);
            },
            || {
                other += 1;
                let mut store = store.borrow_mut();
                for key in scattered(keys, other) {
                    store.set_current_key(key).expect("all groups");
                    two(&mut store);
                }
            },
        );
    };
    each("value: get", &|key| _ = black_box(raw.get(&bytes_of(key))), &|store| {
        black_box(state.get(store).expect("a key"));
    });
    each("value: update", &|key| raw.put(&bytes_of(key), key + 1), &|store| {
        state.update(store, 1).expect("a key");
    });
    each(
        "value: read-modify-write",
        &|key| {
            let bytes = bytes_of(key);
            raw.put(&bytes, raw.get(&bytes).unwrap_or_default() + 1);
        },
        &|store| {
            let value = state.get(store).expect("a key").map_or(0, |value| *value);
            state.update(store, value + 1).expect("a key");
        },
    );
}

fn maps(keys: u64) {
    let (raw, mut store) = (Raw::new(), store());
    let state: MapState<u32, u64> = store.open(&MapStateDescriptor::new("maps")).expect("opens");
    for key in 0..keys {
        store.set_current_key(key).expect("all groups");
        for entry in 0..ENTRIES {
            let mut bytes = bytes_of(key);
            let encoded = postcard::to_stdvec(&entry).expect("serializes");
            bytes.push(encoded.len() as u8);
            bytes.extend(encoded);
            raw.put(&bytes, key);
            state.put(&mut store, entry, key).expect("a key");
        }
    }
    let maps = || (0..1_000u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15) % keys);
    let scan = || {
        for key in maps() {
            let prefix = bytes_of(key);
            let mut options = ReadOptions::default();
            options.set_iterate_upper_bound({
                let mut end = prefix.clone();
                *end.last_mut().expect("not empty") += 1;
                end
            });
            let mut entries = raw.db.raw_iterator_opt(options);
            entries.seek(&prefix);
            let mut decoded: Vec<(u32, u64)> = Vec::new();
            while let Some((key, value)) = entries.item() {
                let user_key = postcard::from_bytes(&key[prefix.len() + 1..]).expect("an entry");
                decoded.push((user_key, postcard::from_bytes(value).expect("a value")));
                entries.next();
            }
            assert_eq!(black_box(decoded).len(), ENTRIES as usize);
        }
    };
    compare("map: entry of an iteration", 1_000 * u64::from(ENTRIES), scan, || {
        for key in maps() {
            store.set_current_key(key).expect("all groups");
            assert_eq!(black_box(state.entries(&store).expect("a key")).count(), ENTRIES as usize);
        }
    });
}

/// Also an entry for each element, which is the other way to append without reading.
fn lists(keys: u64) {
    let (raw, mut store) = (Raw::new(), store());
    let state: ListState<u64> = store.open(&ListStateDescriptor::new("lists")).expect("opens");
    let keys = keys / 100;
    let element = |value: u64| {
        let encoded = postcard::to_stdvec(&value).expect("serializes");
        [&[encoded.len() as u8][..], &encoded].concat()
    };
    let store = std::cell::RefCell::new(&mut store);
    let (mut round, mut other) = (0, 0);
    compare(
        "list: add",
        OPERATIONS,
        || {
            round += 1;
            for key in scattered(keys, round) {
                raw.db.merge_opt(bytes_of(key), element(key), &raw.write).expect("appends");
            }
        },
        || {
            other += 1;
            let mut store = store.borrow_mut();
            for key in scattered(keys, other) {
                store.set_current_key(key).expect("all groups");
                state.add(&mut store, key).expect("a key");
            }
        },
    );
    let read = || scattered(keys, 0).take(2_000);
    compare(
        "list: read, 2,000 of them",
        2_000,
        || {
            read().for_each(|key| {
                drop(black_box(raw.db.get_pinned_opt(bytes_of(key), &raw.read).expect("reads")))
            })
        },
        || {
            let mut store = store.borrow_mut();
            for key in read() {
                store.set_current_key(key).expect("all groups");
                black_box(state.get(&store).expect("a key").count());
            }
        },
    );
    let (merged, elements) = (Raw::new(), Raw::new());
    let mut number = 0u64;
    compare(
        "add: merge (raw), entry each",
        OPERATIONS,
        || {
            scattered(keys, 1).for_each(|key| {
                merged.db.merge_opt(bytes_of(key), element(key), &merged.write).expect("appends")
            })
        },
        || {
            for key in scattered(keys, 1) {
                number += 1;
                let at = [&bytes_of(key)[..], &number.to_be_bytes()].concat();
                elements.db.put_opt(at, element(key), &elements.write).expect("writes");
            }
        },
    );
    compare(
        "read: merge (raw), entry each",
        2_000,
        || {
            read().for_each(|key| {
                drop(black_box(merged.db.get_pinned_opt(bytes_of(key), &merged.read).expect("reads")))
            })
        },
        || {
            for key in read() {
                let prefix = bytes_of(key);
                let mut entries = elements.db.raw_iterator();
                entries.seek(&prefix);
                let mut all = Vec::new();
                while let Some((_, value)) = entries.item().filter(|(key, _)| key.starts_with(&prefix)) {
                    all.extend_from_slice(value);
                    entries.next();
                }
                black_box(all);
            }
        },
    );
}
