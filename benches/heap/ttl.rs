//! What a time to live costs, and how long clean-up takes.

use super::{Contestant, Keys, ProcessorTime, compare, store};
use snapline::base::Millis;
use snapline::state::{KeyedStateStore, TtlValueState, ValueStateDescriptor};
use snapline::ttl::StateTtlConfig;
use std::hint::black_box;
use std::time::{Duration, Instant};

const TTL: Millis = Millis(1_000);

/// A key that nobody else has.
const EXPIRED: u64 = u64::MAX;

/// Accesses after which another value has expired, where values expire.
const EXPIRE_EVERY: usize = 10_000;

/// A state of which every value lives long enough.
struct Expiring(KeyedStateStore<u64>, TtlValueState<u64>);

impl Expiring {
    fn new(keys: &[u64], ttl: StateTtlConfig) -> Self {
        let mut store = store();
        let state = store.open(&ValueStateDescriptor::new("values").with_ttl(ttl)).expect("opens");
        store.set_processing_time(TTL);
        for &key in keys {
            store.set_current_key(key).expect("all groups");
            state.update(&mut store, 1).expect("there is a key");
        }
        Expiring(store, state)
    }

    /// Has a value that has expired, so that clean-up has something to look for.
    fn expire_one(&mut self) {
        let Expiring(store, state) = self;
        store.set_processing_time(Millis(0));
        store.set_current_key(EXPIRED).expect("all groups");
        state.update(store, 1).expect("there is a key");
        store.set_processing_time(TTL);
    }

    fn get_while_values_expire(&mut self, order: &[u64]) {
        for order in order.chunks(EXPIRE_EVERY) {
            self.expire_one();
            self.get(order);
        }
    }

    fn update_while_values_expire(&mut self, order: &[u64]) {
        for order in order.chunks(EXPIRE_EVERY) {
            self.expire_one();
            self.update(order);
        }
    }

    fn get(&mut self, order: &[u64]) {
        let Expiring(store, state) = self;
        let get = |last: u64, key: &u64| {
            store.set_current_key(*key ^ (last >> 63)).expect("all groups");
            state.get(store).expect("there is a key").map_or(0, |value| *value)
        };
        black_box(order.iter().fold(0, get));
    }

    fn update(&mut self, order: &[u64]) {
        let Expiring(store, state) = self;
        for key in order {
            store.set_current_key(*key).expect("all groups");
            state.update(store, *key >> 1).expect("there is a key");
        }
    }
}

pub fn measure(count: usize) {
    let Keys { keys, order } = Keys::new(count);
    let mut store = store();
    let state = store.open(&ValueStateDescriptor::<u64>::new("values")).expect("opens");
    for &key in &keys {
        store.set_current_key(key).expect("all groups");
        state.update(&mut store, 1).expect("there is a key");
    }
    // As large as a value with its time.
    let mut store_of_pairs = self::store();
    let pairs = store_of_pairs.open(&ValueStateDescriptor::<(u64, u64)>::new("pairs")).expect("opens");
    for &key in &keys {
        store_of_pairs.set_current_key(key).expect("all groups");
        pairs.update(&mut store_of_pairs, (1, 1)).expect("there is a key");
    }
    let config = StateTtlConfig::new(TTL).expect("positive");
    let mut expiring = Expiring::new(&keys, config);
    let mut some_expire = Expiring::new(&keys, config);
    let mut foreground = Expiring::new(&keys, config.disable_cleanup_in_background());
    compare(
        "value get, one by one",
        &order,
        vec![
            Contestant::new("without ttl", |order| {
                let get = |last: u64, key: &u64| {
                    store.set_current_key(*key ^ (last >> 63)).expect("all groups");
                    state.get(&store).expect("there is a key").map_or(0, |value| *value)
                };
                black_box(order.iter().fold(0, get));
            }),
            Contestant::new("without ttl, 16 bytes", |order| {
                let get = |last: u64, key: &u64| {
                    store_of_pairs.set_current_key(*key ^ (last >> 63)).expect("all groups");
                    pairs.get(&store_of_pairs).expect("there is a key").map_or(0, |value| value.0)
                };
                black_box(order.iter().fold(0, get));
            }),
            Contestant::new("ttl", |order| expiring.get(order)),
            Contestant::new("ttl, values expire", |order| some_expire.get_while_values_expire(order)),
            Contestant::new("ttl, no clean-up", |order| foreground.get(order)),
        ],
    );
    compare(
        "value update",
        &order,
        vec![
            Contestant::new("without ttl", |order| {
                for key in order {
                    store.set_current_key(*key).expect("all groups");
                    state.update(&mut store, *key >> 1).expect("there is a key");
                }
            }),
            Contestant::new("without ttl, 16 bytes", |order| {
                for key in order {
                    store_of_pairs.set_current_key(*key).expect("all groups");
                    pairs.update(&mut store_of_pairs, (1, *key >> 1)).expect("there is a key");
                }
            }),
            Contestant::new("ttl", |order| expiring.update(order)),
            Contestant::new("ttl, values expire", |order| some_expire.update_while_values_expire(order)),
            Contestant::new("ttl, no clean-up", |order| foreground.update(order)),
        ],
    );
    drop(some_expire);
    clean_up(expiring);
}

/// All of it has expired: how many accesses it takes until nothing is left, and how long the longest takes.
fn clean_up(Expiring(mut store, state): Expiring) {
    store.set_processing_time(Millis(2 * TTL.0));
    store.set_current_key(0).expect("all groups");
    let (began, mut accesses, mut longest) = (ProcessorTime::now(), 0u64, Duration::ZERO);
    while accesses % 64 != 0 || store.count(&state).expect("it is open") > 0 {
        let before = Instant::now();
        let _ = black_box(state.get(&mut store).expect("there is a key"));
        longest = longest.max(before.elapsed());
        accesses += 1;
    }
    println!(
        "  empty after {accesses} reads, {:.0} ms; the longest took {:.0} us",
        began.elapsed().as_secs_f64() * 1e3,
        longest.as_secs_f64() * 1e6
    );
}
