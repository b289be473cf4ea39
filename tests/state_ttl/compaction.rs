//! A backend of bytes that compacts: what it asks of `ttl`, and what its users see of it.

use snapline::base::Millis;
use snapline::codec::take_record;
use snapline::keygroup::{KeyGroupRange, KeyGroupRangeAssignment, MaxParallelism};
use snapline::state::backend::*;
use snapline::state::*;
use snapline::ttl::StateTtlConfig;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

const TTL: u64 = 10;

/// Sorted maps that a compaction, which knows nothing of stores, may change.
#[derive(Clone, Default)]
struct Compacting(Arc<Mutex<SortedMapStateBackend>>);

impl StateBackendFactory for Compacting {
    fn name(&self) -> &str {
        "compacting"
    }

    fn create(&self, _: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        Ok(Box::new(self.clone()))
    }
}

impl KeyedStateBackend for Compacting {
    fn create_state(&mut self, description: &StateDescription) -> Result<StateNumber, BackendError> {
        self.0.lock().unwrap().create_state(description)
    }

    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        self.0.lock().unwrap().get(state, key)
    }

    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.0.lock().unwrap().put(state, key, value)
    }

    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError> {
        self.0.lock().unwrap().delete(state, key)
    }

    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        Box::new(self.0.lock().unwrap().scan(state, prefix).collect::<Vec<_>>().into_iter())
    }

    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError> {
        self.0.lock().unwrap().snapshot()
    }
}

impl Compacting {
    /// Goes over a state's entries as a compaction does.
    fn compact(&self, state: StateNumber, is_list: bool, now: i64) {
        let (mut backend, ttl) = (self.0.lock().unwrap(), config());
        let entries: Vec<Entry> = backend.scan(state, &[]).map(Result::unwrap).collect();
        for (key, value) in entries {
            let compacted = match is_list {
                true => ttl.compact_list(&value, now, take_record),
                false => ttl.compact_value(&value, now),
            };
            match compacted.left {
                None => backend.delete(state, &key).unwrap(),
                Some(left) => backend.put(state, &key, &left).unwrap(),
            }
        }
    }
}

fn config() -> StateTtlConfig {
    StateTtlConfig::new(Millis(TTL)).unwrap()
}

/// A store with a value, a list and a map, and what keeps them.
struct Job {
    store: KeyedStateStore<u32>,
    backend: Compacting,
    value: TtlValueState<u64>,
    list: TtlListState<u64>,
    map: TtlMapState<u8, u64>,
}

const KEYS: u32 = 20;

impl Job {
    fn new(range: KeyGroupRange, now: u64, images: Vec<KeyedImage>) -> Self {
        let backend = Compacting::default();
        let custom = StateBackend::Custom(Arc::new(backend.clone()), BTreeMap::new());
        let builder = KeyedStateStoreBuilder::new(max(), range).with_backend(&custom);
        let mut store = builder.restore(images).unwrap();
        store.set_processing_time(Millis(now));
        let value = store.open(&ValueStateDescriptor::new("value").with_ttl(config())).unwrap();
        let list = store.open(&ListStateDescriptor::new("list").with_ttl(config())).unwrap();
        let map = store.open(&MapStateDescriptor::new("map").with_ttl(config())).unwrap();
        Job { store, backend, value, list, map }
    }

    /// Even keys at 0, odd ones at 5; in lists and maps something at both.
    fn fill(&mut self) {
        for (now, parity) in [(0, 0), (5, 1)] {
            self.store.set_processing_time(Millis(now));
            for key in 0..KEYS {
                self.store.set_current_key(key).unwrap();
                if key % 2 == parity {
                    self.value.update(&mut self.store, u64::from(key)).unwrap();
                }
                self.list.add(&mut self.store, now).unwrap();
                self.map.put(&mut self.store, parity as u8, now).unwrap();
            }
        }
    }

    fn compact(&mut self, now: u64) {
        self.store.set_processing_time(Millis(now));
        for (state, is_list) in [false, true, false].into_iter().enumerate() {
            self.backend.compact(StateNumber(state), is_list, now as i64);
        }
    }

    /// How many values have expired and are still there, and how many keys there are: of value, list and map.
    fn counts(&self) -> [(u64, usize); 3] {
        let Job { store, value, list, map, .. } = self;
        let expired = |expired: Result<ExpiredButPresent, StateError>| expired.unwrap().values;
        [
            (expired(store.expired_but_present(value)), store.count(value).unwrap()),
            (expired(store.expired_but_present(list)), store.count(list).unwrap()),
            (expired(store.expired_but_present(map)), store.count(map).unwrap()),
        ]
    }

    fn images(&mut self) -> Vec<KeyedImage> {
        let mut file = Vec::new();
        self.store.snapshot().unwrap().write_to(&mut file).unwrap();
        SnapshotImage::read_from(&file[..], None).unwrap().keyed.into_iter().collect()
    }

    /// What was written at 5 is there, and nothing else.
    #[track_caller]
    fn assert_later_half_lives(&mut self) {
        for key in 0..KEYS {
            // Another subtask may have the key.
            if self.store.set_current_key(key).is_err() {
                continue;
            }
            let (value, store) = ((key % 2 == 1).then_some(u64::from(key)), &mut self.store);
            assert_eq!(self.value.get(store).unwrap().map(|value| *value), value);
            assert_eq!(self.list.get(store).unwrap().map(|element| *element).collect::<Vec<_>>(), [5]);
            assert_eq!(self.map.entries(store).unwrap().collect::<Vec<_>>(), [(1, 5)]);
        }
        assert_eq!(
            self.store.ttl_metrics_of_all(),
            TtlMetrics::default(),
            "no read has found anything expired"
        );
    }
}

fn max() -> MaxParallelism {
    MaxParallelism::new(4).unwrap()
}

const ALL: u64 = KEYS as u64;
const HALF: usize = KEYS as usize / 2;
const WHOLE: usize = KEYS as usize;

/// V17.
#[test]
fn ttl_compaction_of_a_backend_removes_what_has_expired() {
    let mut job = Job::new(max().all_groups(), 0, Vec::new());
    job.fill();
    job.compact(9);
    assert_eq!(job.counts(), [(0, WHOLE), (0, WHOLE), (0, WHOLE)], "nothing has expired");
    job.store.set_processing_time(Millis(12));
    assert_eq!(job.counts(), [(ALL / 2, WHOLE), (ALL, WHOLE), (ALL, WHOLE)]);
    job.compact(12);
    assert_eq!(job.counts(), [(0, HALF), (0, WHOLE), (0, WHOLE)]);
    job.assert_later_half_lives();
    job.compact(15);
    assert_eq!(job.counts(), [(0, 0); 3]);
}

/// V18, V19: the times are absolute and stand in the snapshot.
#[test]
fn ttl_compaction_after_a_restore_and_a_rescale_goes_by_the_times_of_the_snapshot() {
    let mut before = Job::new(max().all_groups(), 0, Vec::new());
    before.fill();
    for parallelism in [1, 2] {
        let assignment = KeyGroupRangeAssignment::new(max(), parallelism).unwrap();
        let mut keys = 0;
        for subtask in 0..parallelism {
            let range = assignment.range_of(subtask).unwrap();
            let mut job = Job::new(range, 12, before.images());
            assert!(job.counts().iter().all(|(expired, _)| *expired > 0));
            job.compact(12);
            assert!(job.counts().iter().all(|(expired, _)| *expired == 0));
            job.assert_later_half_lives();
            keys += job.store.count(&job.list).unwrap();
            job.compact(15);
            assert_eq!(job.counts(), [(0, 0); 3]);
        }
        assert_eq!(keys, WHOLE);
    }
}
