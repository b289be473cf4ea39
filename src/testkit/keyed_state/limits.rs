use super::Verdict;
use super::harness::{AtKey, file_of_task, max_parallelism, restored, store, written};
use crate::codec::CodecError;
use crate::state::backend::StateBackend;
use crate::state::serializer::{
    Compatibility, MAX_RECORD_BYTES, SerdeSerializer, SerializerSnapshot, StateSerializer,
};
use crate::state::{
    KeyedStateStore, KeyedStateStoreBuilder, ListState, ListStateDescriptor, MapStateDescriptor,
    OperatorStateBackend, StateError, StateKey, TaskSnapshot, ValueStateDescriptor,
};
use std::borrow::Cow;

/// Writes a number as that many bytes more than there may be, all zero, and 0 as a single one.
///
/// The memory is asked for but not touched, so that it costs nothing.
struct Huge;

impl StateSerializer<u32> for Huge {
    fn serialize(&self, value: &u32, target: &mut Vec<u8>) -> Result<(), CodecError> {
        if *value == 0 {
            target.push(0);
            return Ok(());
        }
        let mut bytes = vec![0; target.len() + MAX_RECORD_BYTES + *value as usize];
        bytes[..target.len()].copy_from_slice(target);
        *target = bytes;
        Ok(())
    }

    fn deserialize(&self, _: &[u8]) -> Result<u32, String> {
        Ok(0)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new("huge", 0)
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<u32> {
        Compatibility::if_equal(&self.snapshot(), written)
    }
}

/// What is too large is refused when it is written: at once where state is kept as bytes, and at the latest by the snapshot.
fn assert_refused<K: StateKey>(
    store: &mut KeyedStateStore<K>,
    name: &str,
    write: impl FnOnce(&mut KeyedStateStore<K>) -> Verdict,
) {
    let refused = write(store).and_then(|()| written(store).map(drop));
    assert!(is_refused(&refused, name), "{refused:?}");
}

/// Whether the error says of which state something is refused.
fn is_refused(result: &Verdict, name: &str) -> bool {
    matches!(result, Err(StateError::Refused { state, cause: CodecError::Refused(_) }) if state == name)
}

/// W9: a value, an element of a list, a key or a value of a map over 2^31 - 1 bytes is refused when it is written.
pub fn keyed_values_beyond_the_limit_are_refused(backend: &StateBackend) -> Verdict {
    let value = |store: &mut KeyedStateStore<u32>| {
        let state = store.open(&ValueStateDescriptor::<u32>::new("value").with_serializer(Huge))?;
        state.update(store.at(1)?, 1)
    };
    assert_refused(&mut store(backend)?, "value", value);
    let element = |store: &mut KeyedStateStore<u32>| {
        let state = store.open(&ListStateDescriptor::<u32>::new("list").with_serializer(Huge))?;
        state.add(store.at(1)?, 1)
    };
    assert_refused(&mut store(backend)?, "list", element);
    let map_key = |store: &mut KeyedStateStore<u32>| {
        let state = store.open(&MapStateDescriptor::<u32, u32>::new("map").with_key_serializer(Huge))?;
        state.put(store.at(1)?, 1, 0)
    };
    assert_refused(&mut store(backend)?, "map", map_key);
    let map_value = |store: &mut KeyedStateStore<u32>| {
        let state = store.open(&MapStateDescriptor::<u32, u32>::new("map").with_value_serializer(Huge))?;
        state.put(store.at(1)?, 0, 1)
    };
    assert_refused(&mut store(backend)?, "map", map_value);
    Ok(())
}

/// W9: so is a key.
pub fn keyed_keys_beyond_the_limit_are_refused(backend: &StateBackend) -> Verdict {
    let all = max_parallelism().all_groups();
    let builder = KeyedStateStoreBuilder::with_key_serializer(max_parallelism(), all, Huge);
    let mut store = builder.with_backend(backend).restore(Vec::new())?;
    assert_refused(&mut store, "value", |store| {
        let state = store.open(&ValueStateDescriptor::<u32>::new("value"))?;
        state.update(store.at(1)?, 1)
    });
    Ok(())
}

/// W9: so are an item of a list, a key and a value of a map of operator state.
pub fn operator_values_beyond_the_limit_are_refused(backend: &StateBackend) -> Verdict {
    type Put = fn(&mut OperatorStateBackend) -> Verdict;
    let ways: [(&str, Put); 3] = [
        ("list", |operator| {
            let state =
                operator.list_state(&ListStateDescriptor::<u32>::new("list").with_serializer(Huge))?;
            state.add(operator, 1)
        }),
        ("map", |operator| {
            let map = MapStateDescriptor::<u32, u32>::new("map").with_key_serializer(Huge);
            operator.broadcast_state(&map)?.put(operator, 1, 0).map(drop)
        }),
        ("map", |operator| {
            let map = MapStateDescriptor::<u32, u32>::new("map").with_value_serializer(Huge);
            operator.broadcast_state(&map)?.put(operator, 0, 1).map(drop)
        }),
    ];
    for (name, put) in ways {
        let (mut keyed, mut operator) = (store::<u32>(backend)?, OperatorStateBackend::new());
        put(&mut operator)?;
        let snapshot = TaskSnapshot::new(Some(Box::new(keyed.snapshot()?)), operator.snapshot());
        let refused = file_of_task(snapshot).map(drop);
        assert!(is_refused(&refused, name), "{refused:?}");
    }
    Ok(())
}

/// W9: a list may be as long as its limit. What would make it longer is refused and changes nothing where state is kept as
/// bytes; of objects the snapshot is refused.
pub fn keyed_lists_beyond_the_limit_are_refused(backend: &StateBackend) -> Verdict {
    // An element of one byte has two, with its length.
    let lists = ListStateDescriptor::<u8>::new("list").with_max_list_bytes(6);
    let keeps_objects = matches!(backend, StateBackend::HashMap { .. });
    type Grow = fn(&ListState<u8, u8>, &mut KeyedStateStore<u32>) -> Verdict;
    let ways: [Grow; 4] = [
        |list, store| list.add(store, 4),
        |list, store| list.add_all(store, [4, 5]),
        |list, store| list.update(store, [1, 2, 3, 4]),
        |list, store| list.merge_namespaces(store, [2]),
    ];
    for (way, grow) in ways.into_iter().enumerate() {
        let mut store = store::<u32>(backend)?;
        let all = store.open_namespaced::<u8, _>(&lists)?;
        let (list, other) = (all.of(1), all.of(2));
        list.add_all(store.at(1)?, [1, 2])?;
        list.add(&mut store, 3)?;
        other.add(&mut store, 9)?;
        written(&mut store)?;
        let grown = grow(&list, &mut store);
        if keeps_objects {
            grown?;
            let refused = written(&mut store).map(drop);
            assert!(is_refused(&refused, "list"), "way {way}: {refused:?}");
            continue;
        }
        assert!(is_refused(&grown, "list"), "way {way}: {grown:?}");
        let elements =
            |list: &ListState<u8, u8>, store: &KeyedStateStore<u32>| -> Result<Vec<u8>, StateError> {
                Ok(list.get(store)?.map(Cow::into_owned).collect())
            };
        assert_eq!(elements(&list, &store)?, [1, 2, 3], "way {way}");
        assert_eq!(elements(&other, &store)?, [9], "way {way}");
        written(&mut store)?;
    }
    Ok(())
}

/// W9: values of many blocks are below the limit, and whole.
pub fn keyed_values_of_many_blocks_are_whole(backend: &StateBackend) -> Verdict {
    let texts = || ValueStateDescriptor::<Vec<u32>>::new("text").with_serializer(SerdeSerializer::new());
    let numbers: Vec<u32> = (0..300_000).collect();
    let mut filled = store::<u32>(backend)?;
    let text = filled.open(&texts())?;
    text.update(filled.at(1)?, numbers.clone())?;
    text.update(filled.at(2)?, Vec::new())?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let text = store.open(&texts())?;
    assert_eq!(text.get(store.at(1)?)?.as_deref(), Some(&numbers));
    assert_eq!(text.get(store.at(2)?)?.as_deref(), Some(&Vec::new()));
    Ok(())
}
