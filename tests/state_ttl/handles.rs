//! What the handles of states with a time to live have in common.

use crate::subject::{Sum, bytes, heap, tell};
use snapline::base::{Millis, TimeDomain};
use snapline::keygroup::MaxParallelism;
use snapline::state::backend::StateBackend;
use snapline::state::*;
use snapline::ttl::StateTtlConfig;
use std::fmt::Debug;

fn config() -> StateTtlConfig {
    StateTtlConfig::new(Millis(10)).unwrap()
}

fn store_of(backend: &StateBackend, images: Vec<KeyedImage>) -> KeyedStateStore<u32> {
    let max = MaxParallelism::new(4).unwrap();
    let builder = KeyedStateStoreBuilder::new(max, max.all_groups()).with_backend(backend);
    let mut store = builder.restore(images).unwrap();
    tell(&mut store, TimeDomain::ProcessingTime, 0);
    store.set_current_key(1).unwrap();
    store
}

fn sums() -> AggregatingStateDescriptor<Sum> {
    AggregatingStateDescriptor::new("sums", Sum)
}

fn products() -> ReducingStateDescriptor<u64> {
    ReducingStateDescriptor::new("products", u64::wrapping_mul)
}

/// Neither the store that is given nor its own is touched.
#[test]
fn ttl_state_of_another_store_is_refused() {
    for backend in [heap(), bytes()] {
        let (mut store, mut other) = (store_of(&backend, Vec::new()), store_of(&backend, Vec::new()));
        let value = ValueStateDescriptor::<u64>::new("value").with_ttl(config());
        let (state, of_other) = (store.open(&value).unwrap(), other.open(&value).unwrap());
        state.update(&mut store, 5).unwrap();
        assert!(matches!(state.update(&mut other, 6), Err(StateError::ForeignHandle)));
        assert!(matches!(state.get(&mut other), Err(StateError::ForeignHandle)));
        assert!(matches!(state.clear(&mut other), Err(StateError::ForeignHandle)));
        assert!(matches!(other.clean_up(&state, 10), Err(StateError::ForeignHandle)));
        assert_eq!(state.get(&mut store).unwrap().as_deref(), Some(&5));
        assert_eq!(of_other.get(&mut other).unwrap(), None);
    }
}

#[test]
fn ttl_store_expires_once_a_state_does() {
    let mut store = store_of(&heap(), Vec::new());
    store.open(&ValueStateDescriptor::<u64>::new("plain")).unwrap();
    assert!(!store.expires());
    let expiring = ValueStateDescriptor::<u64>::new("expiring").with_ttl(config());
    assert_eq!(*expiring.ttl(), config());
    store.open(&expiring).unwrap();
    assert!(store.expires());
}

fn assert_shown(handle: &(impl Clone + Debug), name: &str) {
    let shown = format!("{handle:?}");
    assert!(shown.starts_with(name) && shown.contains("StateTtlConfig"), "{shown}");
    assert_eq!(format!("{:?}", handle.clone()), shown);
}

#[test]
fn ttl_handles_are_copied_and_shown_with_their_time_to_live() {
    let (mut store, ttl) = (store_of(&heap(), Vec::new()), config());
    let value = store.open(&ValueStateDescriptor::<u64>::new("value").with_ttl(ttl)).unwrap();
    assert_shown(&value, "TtlValueState");
    assert_shown(
        &store.open(&ListStateDescriptor::<u64>::new("list").with_ttl(ttl)).unwrap(),
        "TtlListState",
    );
    assert_shown(
        &store.open(&MapStateDescriptor::<u8, u8>::new("map").with_ttl(ttl)).unwrap(),
        "TtlMapState",
    );
    assert_shown(&store.open(&products().with_ttl(ttl)).unwrap(), "TtlReducingState");
    assert_shown(&store.open(&sums().with_ttl(ttl)).unwrap(), "TtlAggregatingState");
}

/// A namespace among its own sources stays what it is.
#[test]
fn ttl_state_that_is_merged_into_itself_stays() {
    for backend in [heap(), bytes()] {
        let mut store = store_of(&backend, Vec::new());
        let sums = store.open_namespaced::<u8, _>(&sums().with_ttl(config())).unwrap();
        let products = store.open_namespaced::<u8, _>(&products().with_ttl(config())).unwrap();
        let lists = ListStateDescriptor::<u64>::new("lists").with_ttl(config());
        let lists = store.open_namespaced::<u8, _>(&lists).unwrap();
        for (namespace, value) in [(1, 3), (2, 4)] {
            sums.of(namespace).add(&mut store, value).unwrap();
            products.of(namespace).add(&mut store, value).unwrap();
            lists.of(namespace).add(&mut store, value).unwrap();
        }
        sums.of(1).merge_namespaces(&mut store, [1, 2]).unwrap();
        products.of(1).merge_namespaces(&mut store, [1, 2]).unwrap();
        lists.of(1).merge_namespaces(&mut store, [1, 2]).unwrap();
        assert_eq!(sums.of(1).get(&mut store).unwrap(), Some(7));
        assert_eq!(products.of(1).get(&mut store).unwrap().as_deref(), Some(&12));
        let list: Vec<_> = lists.of(1).get(&mut store).unwrap().map(|element| *element).collect();
        assert_eq!(list, [3, 4]);
    }
}

/// The names under which they are found are those of their descriptors, with a time to live and without.
#[test]
fn ttl_of_reduced_and_aggregated_state_is_switched_on_and_off() {
    for backend in [heap(), bytes()] {
        let mut store = store_of(&backend, Vec::new());
        store.open(&products()).unwrap().add(&mut store, 3).unwrap();
        store.open(&sums()).unwrap().add(&mut store, 3).unwrap();
        for ttl in [Some(config()), None] {
            let mut file = Vec::new();
            store.snapshot().unwrap().write_to(&mut file).unwrap();
            let keyed = SnapshotImage::read_from(&file[..], None).unwrap().keyed;
            store = store_of(&backend, keyed.into_iter().collect());
            let found = match ttl {
                Some(ttl) => {
                    let product = store.open(&products().with_ttl(ttl)).unwrap();
                    let product = product.get(&mut store).unwrap().map(|product| *product);
                    let sum = store.open(&sums().with_ttl(ttl)).unwrap();
                    (product, sum.get(&mut store).unwrap())
                }
                None => {
                    let (product, sum) = (store.open(&products()).unwrap(), store.open(&sums()).unwrap());
                    (product.get(&store).unwrap().map(|product| *product), sum.get(&store).unwrap())
                }
            };
            assert_eq!(found, (Some(3), Some(3)), "{backend:?} {ttl:?}");
        }
    }
}
