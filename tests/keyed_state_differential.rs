//! Keyed state beside a plain reference, and the laws of reducing and aggregating states.
#![cfg(feature = "testkit")]

use proptest::prelude::*;
use quickcheck::quickcheck;
use snapline::keygroup::MaxParallelism;
use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend};
use snapline::state::*;
use snapline::testkit::keyed_state::differential::{self, Step, run, timers, times_to_live};
use std::collections::BTreeMap;
use std::sync::Arc;

#[cfg(feature = "rocksdb")]
#[path = "support/in_memory.rs"]
mod in_memory;

fn sorted_map() -> StateBackend {
    StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new())
}

/// Objects with both kinds of snapshots, and bytes.
fn backends() -> [StateBackend; 3] {
    [StateBackend::default(), sorted_map(), StateBackend::HashMap { asynchronous_snapshots: false }]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Also over restores on other backends, at other parallelisms.
    #[test]
    fn keyed_states_agree_with_a_reference(
        steps in proptest::collection::vec(any::<[u8; 8]>().prop_map(Step::of), 1..150),
        ttl in proptest::sample::select(times_to_live()),
    ) {
        run(&backends(), ttl, &steps).expect("backends in memory do not fail");
    }

    /// Y01, Y02, Y10, Y11, Y13: likewise.
    #[test]
    fn timers_agree_with_a_set_over_restores_and_rescaling(
        steps in proptest::collection::vec(any::<[u8; 8]>().prop_map(timers::Step::of), 1..120),
        first in 0..3usize,
    ) {
        let mut backends = backends();
        backends.rotate_left(first);
        timers::run(&backends, &steps).expect("backends in memory do not fail");
    }
}

/// The same with RocksDB, which takes longer to begin.
#[cfg(feature = "rocksdb")]
mod with_rocksdb {
    use super::*;
    use differential::Tally;
    use in_memory::place_in_memory;
    use snapline::backend::rocksdb::RocksDbStateBackendFactory;

    fn backends(first: usize) -> [StateBackend; 3] {
        let mut backends = [StateBackend::default(), with_small_buffers(), sorted_map()];
        backends.rotate_left(first);
        backends
    }

    /// Small buffers, so that files are written, and compacted, while a script runs. A disk would be waited for most of the time,
    /// and there is nothing to be seen of that here.
    fn with_small_buffers() -> StateBackend {
        let place = place_in_memory();
        let place = place.to_str().expect("a name that is text");
        let options = [
            ("localdir", place),
            ("writebuffer.size", "64kb"),
            ("compaction.level.target-file-size-base", "64kb"),
        ];
        let option = |(key, value): (&str, &str)| (format!("state.backend.rocksdb.{key}"), value.to_owned());
        StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), options.map(option).into())
    }

    fn number_of(variable: &str) -> Option<u64> {
        let value = std::env::var(variable).ok()?;
        Some(value.parse().unwrap_or_else(|_| panic!("{variable} is no number: {value}")))
    }

    /// A million steps, or `SNAPLINE_DIFFERENTIAL_OPERATIONS`, in scripts of 20,000: the first is that of `SNAPLINE_SEED`, and the
    /// others follow. What fails is repeated with the seed that is printed last.
    #[test]
    fn keyed_states_agree_over_a_million_operations() {
        const A_MILLION: u64 = 1_000_000;
        const STEPS: u64 = 20_000;
        let operations = number_of("SNAPLINE_DIFFERENTIAL_OPERATIONS").unwrap_or(A_MILLION);
        let first = number_of("SNAPLINE_SEED").unwrap_or(1);
        let backends = [StateBackend::default(), with_small_buffers()];
        let ttls = times_to_live();
        let mut all = Tally::default();
        for seed in first.. {
            let steps = STEPS.min(operations - all.operations);
            if steps == 0 {
                break;
            }
            println!("SNAPLINE_SEED={seed}, {steps} operations after {all:?}");
            let ttl = ttls[seed as usize % ttls.len()];
            let script = differential::long_script(seed, steps as usize);
            all += run(&backends, ttl, &script).expect("the disk does not fail");
        }
        println!("no difference in {all:?}");
        assert_eq!(all.operations, operations);
        // Few scripts do not come by everything.
        if operations >= A_MILLION {
            assert_all_happened(&all);
        }
    }

    fn assert_all_happened(all: &Tally) {
        let lifecycle =
            [all.snapshots, all.snapshots_in_files, all.restores_from_files, all.exchanges, all.rescales];
        assert!(lifecycle.iter().all(|times| *times > 0), "{all:?}");
        assert!(all.removed.by_accesses > 0 && all.removed.by_cleanup_with_accesses > 0, "{all:?}");
        assert!(all.removed.by_compactions > 0 && all.removed.left_out_of_snapshots > 0, "{all:?}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

        #[test]
        fn keyed_states_on_rocksdb_agree_with_a_reference(
            steps in proptest::collection::vec(any::<[u8; 8]>().prop_map(Step::of), 1..150),
            ttl in proptest::sample::select(times_to_live()),
        ) {
            run(&backends(0), ttl, &steps).expect("the disk does not fail");
        }

        #[test]
        fn timers_on_rocksdb_agree_with_a_set_over_restores_and_rescaling(
            steps in proptest::collection::vec(any::<[u8; 8]>().prop_map(timers::Step::of), 1..120),
            first in 0..3usize,
        ) {
            timers::run(&backends(first), &steps).expect("the disk does not fail");
        }
    }
}

fn store(backend: &StateBackend) -> KeyedStateStore<u32> {
    let max = MaxParallelism::new(8).expect("valid");
    let builder = KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(backend);
    let mut store = builder.restore(Vec::new()).expect("empty");
    store.set_current_key(1).expect("all groups");
    store
}

/// Associative, and neither commutative nor idempotent.
fn texts() -> ReducingStateDescriptor<String> {
    ReducingStateDescriptor::new("texts", |a: String, b: String| a + &b)
}

/// Counts, adds and finds the bounds.
struct Statistics;

impl AggregateFunction for Statistics {
    type In = u32;
    type Accumulator = Vec<u32>;
    type Out = (usize, u64, Option<u32>, Option<u32>);

    fn create_accumulator(&self) -> Vec<u32> {
        Vec::new()
    }

    fn add(&self, value: u32, accumulator: &mut Vec<u32>) {
        accumulator.push(value);
    }

    fn result(&self, all: &Vec<u32>) -> Self::Out {
        let sum = all.iter().copied().map(u64::from).sum();
        (all.len(), sum, all.iter().min().copied(), all.iter().max().copied())
    }

    fn merge(&self, accumulator: &mut Vec<u32>, other: Vec<u32>) {
        accumulator.extend(other);
    }
}

quickcheck! {
    fn keyed_reducing_state_is_the_reduction_of_all_that_was_added(added: Vec<String>) -> bool {
        backends().iter().all(|backend| {
            let mut store = store(backend);
            let text = store.open(&texts()).expect("opens");
            for one in &added {
                text.add(&mut store, one.clone()).expect("a key");
            }
            let expected = added.iter().cloned().reduce(|a, b| a + &b);
            text.get(&store).expect("a key").as_deref() == expected.as_ref()
        })
    }

    /// For associative functions the namespaces may be merged in any grouping that keeps their order.
    fn keyed_reducing_namespaces_merged_step_by_step_or_at_once_are_the_same(added: Vec<(u8, String)>) -> bool {
        backends().iter().all(|backend| {
            let merged = |steps: &[(u8, &[u8])]| {
                let mut store = store(backend);
                let text = store.open_namespaced::<u8, _>(&texts()).expect("opens");
                for (namespace, one) in &added {
                    text.of(namespace % 4).add(&mut store, one.clone()).expect("a key");
                }
                for (target, sources) in steps {
                    text.of(*target).merge_namespaces(&mut store, sources.iter().copied()).expect("a key");
                }
                assert!(store.count(&text.of(0u8)).expect("opened") <= 1);
                text.of(0u8).get(&store).expect("a key").map(|text| text.into_owned())
            };
            let in_order = |namespace: u8| added.iter().filter(move |(n, _)| n % 4 == namespace);
            let expected = (0..4).flat_map(in_order).map(|(_, one)| one.clone()).reduce(|a, b| a + &b);
            let at_once = merged(&[(0, &[1, 2, 3])]);
            let from_behind = merged(&[(2, &[3]), (1, &[2]), (0, &[1])]);
            let in_pairs = merged(&[(0, &[1]), (2, &[3]), (0, &[2])]);
            at_once == expected && from_behind == expected && in_pairs == expected
        })
    }

    /// For functions that are also commutative they may be merged in any order.
    fn keyed_aggregating_namespaces_merged_in_any_order_are_all_that_was_added(
        added: Vec<(u8, u32)>,
        first: u8,
        second: u8
    ) -> bool {
        backends().iter().all(|backend| {
            let mut store = store(backend);
            let descriptor = AggregatingStateDescriptor::new("statistics", Statistics);
            let state = store.open_namespaced::<u8, _>(&descriptor).expect("opens");
            for (namespace, one) in &added {
                state.of(namespace % 4).add(&mut store, *one).expect("a key");
            }
            state.of(first % 4).merge_namespaces(&mut store, [second % 4, 3]).expect("a key");
            state.of(second % 4).merge_namespaces(&mut store, (0..4).rev()).expect("a key");
            let all: Vec<u32> = added.iter().map(|(_, one)| *one).collect();
            let expected = Some(Statistics.result(&all)).filter(|_| !all.is_empty());
            state.of(second % 4).get(&store).expect("a key") == expected
        })
    }

    fn keyed_lists_merged_between_namespaces_lose_nothing(added: Vec<(u8, u32)>) -> bool {
        backends().iter().all(|backend| {
            let mut store = store(backend);
            let list = store.open_namespaced::<u8, _>(&ListStateDescriptor::<u32>::new("list")).expect("opens");
            for (namespace, one) in &added {
                list.of(namespace % 4).add(&mut store, *one).expect("a key");
            }
            list.of(9u8).merge_namespaces(&mut store, 0..4).expect("a key");
            let in_order = |namespace: u8| added.iter().filter(move |(n, _)| n % 4 == namespace);
            let expected: Vec<u32> = (0..4).flat_map(in_order).map(|(_, one)| *one).collect();
            let found: Vec<u32> = list.of(9u8).get(&store).expect("a key").map(|one| *one).collect();
            found == expected
        })
    }
}
