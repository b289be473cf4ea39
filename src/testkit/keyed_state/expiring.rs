use super::Verdict;
use super::harness::{AtKey, builder, images, store, written};
use crate::base::Millis;
use crate::state::backend::StateBackend;
use crate::state::{
    KeyedSnapshot, KeyedStateStore, ListStateDescriptor, MapStateDescriptor, StateError, ValueStateDescriptor,
};
use crate::ttl::StateTtlConfig;

fn ttl(millis: u64) -> StateTtlConfig {
    StateTtlConfig::new(Millis(millis)).expect("in bounds").disable_cleanup_in_background()
}

/// A store whose clock shows `now`, with a current key.
fn store_at(now: u64, backend: &StateBackend) -> Result<KeyedStateStore<u32>, StateError> {
    let mut store = store::<u32>(backend)?;
    store.set_processing_time(Millis(now));
    store.at(1)?;
    Ok(store)
}

/// The same with what `old` holds.
fn restored_at(
    now: u64,
    backend: &StateBackend,
    old: &mut KeyedStateStore<u32>,
) -> Result<KeyedStateStore<u32>, StateError> {
    let mut store = builder::<u32>(backend).restore(images(&written(old)?, None)?)?;
    store.set_processing_time(Millis(now));
    store.at(1)?;
    Ok(store)
}

fn value() -> ValueStateDescriptor<u64> {
    ValueStateDescriptor::new("value")
}

fn list() -> ListStateDescriptor<u64> {
    ListStateDescriptor::new("list")
}

fn map() -> MapStateDescriptor<u8, u64> {
    MapStateDescriptor::new("map")
}

/// Q07: a value with a time to live is there until it expires, which an update puts off and a restore does not.
pub fn ttl_value_is_there_until_it_expires(backend: &StateBackend) -> Verdict {
    let mut store = store_at(0, backend)?;
    let state = store.open(&value().with_ttl(ttl(10)))?;
    assert_eq!(state.get(&mut store)?, None);
    state.update(&mut store, 1)?;
    store.set_processing_time(Millis(5));
    state.update(&mut store, 2)?;
    let mut restored = restored_at(5, backend, &mut store)?;
    let in_restored = restored.open(&value().with_ttl(ttl(10)))?;
    for (mut store, state) in [(store, state), (restored, in_restored)] {
        for (now, expected) in [(14, Some(2)), (15, None), (16, None)] {
            store.set_processing_time(Millis(now));
            assert_eq!(state.get(&mut store)?.map(|value| *value), expected, "at {now}");
        }
        assert!(store.snapshot()?.is_empty(), "what has expired was removed when it was read");
        state.update(&mut store, 3)?;
        assert_eq!(state.get(&mut store)?.as_deref(), Some(&3));
        state.clear(&mut store)?;
        assert_eq!(state.get(&mut store)?, None);
    }
    Ok(())
}

/// R27: a time to live that is switched on over a restore counts from there.
//= spec/ttl.md#ttl-13-time-to-live-that-is-switched-on
//= type=test
//# Values that were restored without times MUST count as updated at the time of the restore.
pub fn ttl_switched_on_counts_from_the_restore(backend: &StateBackend) -> Verdict {
    let mut old = store_at(0, backend)?;
    old.open(&value())?.update(&mut old, 5)?;
    old.open(&list())?.add_all(&mut old, [1, 2])?;
    old.open(&map())?.put(&mut old, 7, 8)?;
    let mut store = restored_at(1_000, backend, &mut old)?;
    let single = store.open(&value().with_ttl(ttl(10)))?;
    let elements = store.open(&list().with_ttl(ttl(10)))?;
    let entries = store.open(&map().with_ttl(ttl(10)))?;
    for (now, is_there) in [(1_000, true), (1_009, true), (1_010, false)] {
        store.set_processing_time(Millis(now));
        assert_eq!(single.get(&mut store)?.is_some(), is_there, "at {now}");
        assert_eq!(elements.get(&mut store)?.count(), 2 * usize::from(is_there), "at {now}");
        assert_eq!(entries.entries(&mut store)?.count(), usize::from(is_there), "at {now}");
    }
    Ok(())
}

/// R26, V14: a time to live may be switched off over a restore, which Flink's heap refuses.
//= spec/ttl.md#ttl-14-time-to-live-that-is-switched-off
//= type=test
//# Values that were restored with times by a state without a time to live MUST stay, expired or not.
pub fn ttl_switched_off_keeps_what_has_expired(backend: &StateBackend) -> Verdict {
    let mut old = store_at(0, backend)?;
    old.open(&value().with_ttl(ttl(10)))?.update(&mut old, 5)?;
    old.open(&list().with_ttl(ttl(10)))?.add_all(&mut old, [1, 2])?;
    old.open(&map().with_ttl(ttl(10)))?.put(&mut old, 7, 8)?;
    let mut store = restored_at(1_000, backend, &mut old)?;
    let (single, elements, entries) = (store.open(&value())?, store.open(&list())?, store.open(&map())?);
    assert_eq!(single.get(&store)?.as_deref(), Some(&5));
    assert_eq!(elements.get(&store)?.map(|one| *one).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(entries.get(&store, &7)?.as_deref(), Some(&8));
    // Another snapshot is one of plain values.
    let mut store = restored_at(1_000, backend, &mut store)?;
    let single = store.open(&value())?;
    assert_eq!(single.get(&store)?.as_deref(), Some(&5));
    Ok(())
}

/// R25, V13: the stored times count, and need no migration.
pub fn ttl_of_another_length_counts_from_the_stored_times(backend: &StateBackend) -> Verdict {
    let mut old = store_at(100, backend)?;
    let state = old.open(&value().with_ttl(ttl(10)))?;
    state.update(&mut old, 5)?;
    let mut longer = restored_at(149, backend, &mut old)?;
    state.update(&mut old, 6)?;
    let state = longer.open(&value().with_ttl(ttl(50)))?;
    let found = state.get(&mut longer)?;
    assert_eq!(found.as_deref(), Some(&5), "the update after the snapshot is not in it");
    let mut shorter = restored_at(105, backend, &mut longer)?;
    let state = shorter.open(&value().with_ttl(ttl(5)))?;
    assert_eq!(state.get(&mut shorter)?, None);
    Ok(())
}
