//! What the tables of the heap backend cost beside a raw `hashbrown::HashMap` with the same hasher.
//!
//! `cargo bench -p snapline --bench heap [-- KEYS.. PARTS..]`; without arguments 1 and 10 million keys, and all parts:
//! `values`, `maps`, `lists`, `ttl` and `snapshots`. All that is compared is measured in one run, in rounds that take turns; the tables show the fastest round of each, because whatever else
//! the machine does only ever adds to it. `ROUNDS` changes how many there are.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod snapshots;
mod ttl;

use foldhash::fast::FixedState;
use hashbrown::HashMap;
use snapline::backend::heap::{CopyOnWriteList, CopyOnWriteMap, SegmentedMap, hash_of};
use snapline::keygroup::{KeyHash, MaxParallelism, key_group_of};
use snapline::state::{
    KeyedStateStore, ListStateDescriptor, MapStateDescriptor, ValueState, ValueStateDescriptor,
};
use std::hint::black_box;
use std::time::{Duration, Instant};

/// Operations of one round.
const OPERATIONS: usize = 500_000;

type Raw<V> = HashMap<u64, V, FixedState>;
type Persistent = imbl::GenericHashMap<u64, u64, FixedState, imbl::shared_ptr::DefaultSharedPtr>;

fn main() {
    // `cargo bench` passes the first, `cargo test --benches` the second: there is nothing to measure then.
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if arguments.iter().any(|argument| argument == "--test") {
        return;
    }
    let mut sizes: Vec<usize> = arguments.iter().filter_map(|argument| argument.parse().ok()).collect();
    if sizes.is_empty() {
        sizes = vec![1_000_000, 10_000_000];
    }
    let parts: Vec<_> = arguments.iter().filter(|argument| argument.parse::<usize>().is_err()).collect();
    let is_chosen = |part| parts.is_empty() || parts.iter().any(|chosen| *chosen == part);
    for keys in sizes {
        println!("{keys} keys");
        if is_chosen("values") {
            values(keys);
        }
        // Of the large ones there are fewer, so that all of them fit into the memory.
        for (keys, size) in [(keys, 4), (keys / 16, 64)] {
            if is_chosen("maps") {
                maps(keys, size);
            }
            if is_chosen("lists") {
                lists(keys, size);
            }
        }
        if is_chosen("ttl") {
            ttl::measure(keys);
        }
        if is_chosen("snapshots") {
            snapshots::measure(keys);
        }
        println!();
    }
}

fn rounds() -> usize {
    std::env::var("ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(15)
}

/// A reproducible sequence of numbers (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// Keys without any pattern, and the order in which they are used.
struct Keys {
    keys: Vec<u64>,
    order: Vec<u64>,
}

impl Keys {
    fn new(count: usize) -> Keys {
        let count = count.max(1);
        let mut random = Random(88_172_645_463_325_252);
        let keys: Vec<u64> = (0..count).map(|_| random.next()).collect();
        let operations = OPERATIONS.min(10 * count);
        let order = (0..operations).map(|_| keys[random.next() as usize % count]).collect();
        Keys { keys, order }
    }
}

fn hasher() -> FixedState {
    FixedState::with_seed(0x534e_4150_4c49_4e45)
}

/// One state of a subtask that has all key groups.
struct Table<V> {
    max_parallelism: MaxParallelism,
    groups: Vec<SegmentedMap<u64, V>>,
}

impl<V: Clone> Table<V> {
    fn new() -> Self {
        let max_parallelism = MaxParallelism::default_for(1).expect("1 is in bounds");
        let groups = (0..max_parallelism.get()).map(|_| SegmentedMap::default()).collect();
        Table { max_parallelism, groups }
    }

    /// What the store does whenever the current key changes.
    #[inline]
    fn locate(&self, key: u64) -> (u64, usize) {
        let group = key_group_of(key.key_hash(), self.max_parallelism);
        (hash_of(&key), usize::from(group.0))
    }

    #[inline]
    fn get(&self, key: u64) -> Option<&V> {
        let (hash, group) = self.locate(key);
        self.groups[group].get(hash, |other| *other == key)
    }

    #[inline]
    fn update(&mut self, key: u64, value: V) {
        let (hash, group) = self.locate(key);
        self.groups[group].insert(hash, |other| *other == key, hash_of, || key, value);
    }

    #[inline]
    fn get_or_insert_with(&mut self, key: u64, make: impl FnOnce() -> V) -> &mut V {
        let (hash, group) = self.locate(key);
        self.groups[group].get_or_insert_with(hash, |other| *other == key, hash_of, || (key, make()))
    }

    #[inline]
    fn modify(&mut self, key: u64, change: impl FnOnce(Option<V>) -> Option<V>) {
        let (hash, group) = self.locate(key);
        self.groups[group].modify(hash, |other| *other == key, hash_of, || key, change);
    }
}

/// The time for which this thread has had a processor, so that other processes count as little as can be. Where Linux
/// does not tell, it is the time of the day.
struct ProcessorTime {
    used_nanos: Option<u64>,
    at: Instant,
}

impl ProcessorTime {
    fn now() -> Self {
        // The kernel brings the figure up to date when it looks for another thread to run.
        std::thread::yield_now();
        let used = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
        let used_nanos = used.and_then(|line| line.split_whitespace().next()?.parse().ok());
        ProcessorTime { used_nanos, at: Instant::now() }
    }

    fn elapsed(&self) -> Duration {
        let now = ProcessorTime::now();
        match (self.used_nanos, now.used_nanos) {
            (Some(began), Some(ended)) => Duration::from_nanos(ended - began),
            _ => now.at - self.at,
        }
    }
}

type Round<'a> = Box<dyn FnMut(&[u64]) + 'a>;

/// One thing that is measured: it does all operations of a round.
struct Contestant<'a> {
    name: &'static str,
    round: Round<'a>,
    best_nanos: f64,
}

impl<'a> Contestant<'a> {
    fn new(name: &'static str, round: impl FnMut(&[u64]) + 'a) -> Self {
        Contestant { name, round: Box::new(round), best_nanos: f64::INFINITY }
    }
}

/// Lets the contestants take turns and prints their best; the first is what the others are compared with.
fn compare(operation: &str, order: &[u64], mut contestants: Vec<Contestant<'_>>) {
    for _ in 0..rounds() {
        for contestant in &mut contestants {
            let began = ProcessorTime::now();
            (contestant.round)(order);
            let nanos = began.elapsed().as_secs_f64() * 1e9 / order.len() as f64;
            contestant.best_nanos = contestant.best_nanos.min(nanos);
        }
    }
    let base = contestants[0].best_nanos;
    for Contestant { name, best_nanos, .. } in contestants {
        println!("  {operation:24} {name:20} {best_nanos:8.1} ns  {:5.2} x", best_nanos / base);
    }
}

/// The key for an operation. With `ONE_BY_ONE` it depends on the result of the one before, which is never so large that
/// it changes anything: the operation cannot begin before that one has ended. Without, the processor may overlap them.
#[inline]
fn key_after<const ONE_BY_ONE: bool>(result: u64, key: u64) -> u64 {
    if ONE_BY_ONE { key ^ (result >> 63) } else { key }
}

fn store() -> KeyedStateStore<u64> {
    let max_parallelism = MaxParallelism::default_for(1).expect("1 is in bounds");
    KeyedStateStore::new(max_parallelism, max_parallelism.all_groups()).expect("all groups exist")
}

/// One value per key, in everything that is compared.
struct Values {
    raw: Raw<u64>,
    table: Table<u64>,
    store: KeyedStateStore<u64>,
    state: ValueState<u64>,
    persistent: Persistent,
}

impl Values {
    fn new(keys: &[u64]) -> Values {
        let resident = ResidentMemory::now();
        let mut raw: Raw<u64> = HashMap::with_hasher(hasher());
        keys.iter().for_each(|&key| _ = raw.insert(key, 1));
        let raw_bytes = resident.grown();
        let resident = ResidentMemory::now();
        let mut table: Table<u64> = Table::new();
        keys.iter().for_each(|&key| table.update(key, 1));
        let table_bytes = resident.grown();
        let mut persistent: Persistent = imbl::GenericHashMap::with_hasher(hasher());
        keys.iter().for_each(|&key| _ = persistent.insert(key, 1));
        let mut store = store();
        let state = store.open(&ValueStateDescriptor::<u64>::new("values")).expect("opens");
        for &key in keys {
            store.set_current_key(key).expect("all groups");
            state.update(&mut store, 1).expect("there is a key");
        }
        let per_key = |bytes: u64| bytes as f64 / keys.len() as f64;
        println!(
            "  bytes per key: raw {:.1}, table {:.1}, {:.2} x",
            per_key(raw_bytes),
            per_key(table_bytes),
            table_bytes as f64 / raw_bytes as f64
        );
        Values { raw, table, store, state, persistent }
    }

    fn gets<const ONE_BY_ONE: bool>(&mut self, order: &[u64]) {
        let Values { raw, table, store, state, persistent } = self;
        let name = if ONE_BY_ONE { "value get, one by one" } else { "value get" };
        compare(
            name,
            order,
            vec![
                Contestant::new("raw", |order| {
                    let get =
                        |last, key: &u64| raw.get(&key_after::<ONE_BY_ONE>(last, *key)).copied().unwrap_or(0);
                    black_box(order.iter().fold(0, get));
                }),
                Contestant::new("table", |order| {
                    let get = |last, key: &u64| {
                        table.get(key_after::<ONE_BY_ONE>(last, *key)).copied().unwrap_or(0)
                    };
                    black_box(order.iter().fold(0, get));
                }),
                Contestant::new("store", |order| {
                    let get = |last, key: &u64| {
                        store.set_current_key(key_after::<ONE_BY_ONE>(last, *key)).expect("all groups");
                        state.get(store).expect("there is a key").map_or(0, |value| *value)
                    };
                    black_box(order.iter().fold(0, get));
                }),
                Contestant::new("imbl", |order| {
                    let get = |last, key: &u64| {
                        persistent.get(&key_after::<ONE_BY_ONE>(last, *key)).copied().unwrap_or(0)
                    };
                    black_box(order.iter().fold(0, get));
                }),
            ],
        );
    }

    fn updates(&mut self, order: &[u64]) {
        let Values { raw, table, store, state, persistent } = self;
        compare(
            "value update",
            order,
            vec![
                Contestant::new("raw", |order| order.iter().for_each(|key| _ = raw.insert(*key, *key >> 1))),
                Contestant::new("table", |order| order.iter().for_each(|key| table.update(*key, *key >> 1))),
                Contestant::new("store", |order| {
                    for key in order {
                        store.set_current_key(*key).expect("all groups");
                        state.update(store, *key >> 1).expect("there is a key");
                    }
                }),
                Contestant::new("imbl", |order| {
                    order.iter().for_each(|key| _ = persistent.insert(*key, *key >> 1));
                }),
            ],
        );
    }

    fn changes(&mut self, order: &[u64]) {
        let Values { raw, table, store, state, persistent } = self;
        compare(
            "value read-modify-write",
            order,
            vec![
                Contestant::new("raw", |order| {
                    order.iter().for_each(|key| *raw.entry(*key).or_insert(0) += 1)
                }),
                Contestant::new("table", |order| {
                    order.iter().for_each(|key| *table.get_or_insert_with(*key, || 0) += 1);
                }),
                Contestant::new("store", |order| {
                    for key in order {
                        store.set_current_key(*key).expect("all groups");
                        state.with_mut(store, || 0, |value| *value += 1).expect("there is a key");
                    }
                }),
                Contestant::new("imbl", |order| {
                    order.iter().for_each(|key| *persistent.entry(*key).or_insert(0) += 1);
                }),
            ],
        );
    }

    /// The same, by values that are taken out and put back.
    fn modifications(&mut self, order: &[u64]) {
        let Values { raw, table, store, state, .. } = self;
        compare(
            "value modify",
            order,
            vec![
                Contestant::new("raw", |order| {
                    order.iter().for_each(|key| *raw.entry(*key).or_insert(0) += 1)
                }),
                Contestant::new("table", |order| {
                    order.iter().for_each(|key| table.modify(*key, |value| Some(value.unwrap_or(0) + 1)));
                }),
                Contestant::new("store", |order| {
                    for key in order {
                        store.set_current_key(*key).expect("all groups");
                        state.modify(store, |value| Some(value.unwrap_or(0) + 1)).expect("there is a key");
                    }
                }),
            ],
        );
    }
}

fn values(count: usize) {
    let Keys { keys, order } = Keys::new(count);
    let mut values = Values::new(&keys);
    values.gets::<false>(&order);
    values.gets::<true>(&order);
    values.updates(&order);
    values.changes(&order);
    values.modifications(&order);
}

/// `count` maps of `size` entries, beside a map of maps.
fn maps(count: usize, size: usize) {
    let Keys { keys, order } = Keys::new(count);
    let mut raw: Raw<Raw<u64>> = HashMap::with_hasher(hasher());
    let mut table: Table<CopyOnWriteMap<u64, u64>> = Table::new();
    let mut store = store();
    let state = store.open(&MapStateDescriptor::<u64, u64>::new("maps")).expect("opens");
    for entry in 0..size as u64 {
        for &key in &keys {
            raw.entry(key).or_insert_with(|| HashMap::with_hasher(hasher())).insert(key ^ entry, 1);
            table.get_or_insert_with(key, CopyOnWriteMap::default).insert(key ^ entry, 1);
            store.set_current_key(key).expect("all groups");
            state.put(&mut store, key ^ entry, 1).expect("there is a key");
        }
    }
    // Which entry of the map: the same for all who are compared.
    let entry = |key: u64| key ^ ((key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) % size as u64);
    compare(
        &format!("map get, {size} entries"),
        &order,
        vec![
            Contestant::new("raw", |order| {
                order
                    .iter()
                    .for_each(|&key| _ = black_box(raw.get(&key).and_then(|map| map.get(&entry(key)))));
            }),
            Contestant::new("table", |order| {
                order
                    .iter()
                    .for_each(|&key| _ = black_box(table.get(key).and_then(|map| map.get(&entry(key)))));
            }),
            Contestant::new("store", |order| {
                for &key in order {
                    store.set_current_key(key).expect("all groups");
                    black_box(state.get(&store, &entry(key)).expect("there is a key").map(|value| *value));
                }
            }),
        ],
    );
    compare(
        &format!("map put, {size} entries"),
        &order,
        vec![
            Contestant::new("raw", |order| {
                for &key in order {
                    raw.entry(key).or_insert_with(|| HashMap::with_hasher(hasher())).insert(entry(key), key);
                }
            }),
            Contestant::new("table", |order| {
                for &key in order {
                    table.get_or_insert_with(key, CopyOnWriteMap::default).insert(entry(key), key);
                }
            }),
            Contestant::new("store", |order| {
                for &key in order {
                    store.set_current_key(key).expect("all groups");
                    state.put(&mut store, entry(key), key).expect("there is a key");
                }
            }),
        ],
    );
}

/// Additions to `count` lists that had `size` elements, beside a map of vectors.
fn lists(count: usize, size: usize) {
    let Keys { keys, order } = Keys::new(count);
    let mut raw: Raw<Vec<u64>> = HashMap::with_hasher(hasher());
    let mut table: Table<CopyOnWriteList<u64>> = Table::new();
    let mut store = store();
    let state = store.open(&ListStateDescriptor::<u64>::new("lists")).expect("opens");
    for element in 0..size as u64 {
        for &key in &keys {
            raw.entry(key).or_default().push(element);
            table.get_or_insert_with(key, CopyOnWriteList::default).push(element);
            store.set_current_key(key).expect("all groups");
            state.add(&mut store, element).expect("there is a key");
        }
    }
    compare(
        &format!("list add, {size} elements"),
        &order,
        vec![
            Contestant::new("raw", |order| {
                order.iter().for_each(|key| raw.entry(*key).or_default().push(*key))
            }),
            Contestant::new("table", |order| {
                order
                    .iter()
                    .for_each(|key| table.get_or_insert_with(*key, CopyOnWriteList::default).push(*key));
            }),
            Contestant::new("store", |order| {
                for key in order {
                    store.set_current_key(*key).expect("all groups");
                    state.add(&mut store, *key).expect("there is a key");
                }
            }),
        ],
    );
}

/// How much memory of this process is in use; nothing where there is no `/proc`.
struct ResidentMemory(u64);

impl ResidentMemory {
    fn now() -> Self {
        const PAGE_BYTES: u64 = 4_096;
        let pages = std::fs::read_to_string("/proc/self/statm").ok();
        let pages = pages.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        ResidentMemory(pages.unwrap_or(0) * PAGE_BYTES)
    }

    fn grown(&self) -> u64 {
        ResidentMemory::now().0.saturating_sub(self.0)
    }
}
