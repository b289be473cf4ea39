use super::Verdict;
use super::harness::{AtKey, builder, counts, images, restored, store, written};
use crate::state::backend::StateBackend;
use crate::state::{
    ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, StateError, StatePart,
    ValueStateDescriptor,
};
use std::borrow::Cow;
use std::fmt::Debug;

fn assert_incompatible<T: Debug>(opened: Result<T, StateError>, expected: StatePart) {
    match opened {
        Err(StateError::IncompatibleSerializer { part, .. }) if part == expected => {}
        other => panic!("the serializer of the {expected} was not refused: {other:?}"),
    }
}

/// Q54, R14: keys that were written by another serializer fail the restore.
pub fn keyed_restore_with_another_key_serializer_is_refused(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let count = filled.open(&counts())?;
    count.update(filled.at(1)?, 1)?;
    let refused = builder::<String>(backend).restore(images(&written(&mut filled)?, None)?);
    assert_incompatible(refused, StatePart::Keys);
    Ok(())
}

/// Q55, R03: a value is not opened with another serializer than it was written with; it stays, and the right one opens it.
pub fn keyed_restored_value_of_another_type_is_refused_and_kept(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let count = filled.open(&counts())?;
    count.update(filled.at(1)?, 10)?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    assert_incompatible(store.open(&ValueStateDescriptor::<String>::new("counts")), StatePart::Values);
    let mut store = restored::<u32>(backend, &written(&mut store)?)?;
    assert_incompatible(store.open(&ValueStateDescriptor::<String>::new("counts")), StatePart::Values);
    let count = store.open(&counts())?;
    assert_eq!(count.get(store.at(1)?)?.as_deref(), Some(&10));
    Ok(())
}

/// Q55: a type that claims the id of another one is found out when the state is opened, or when it is read.
pub fn keyed_restored_value_of_a_disguised_type_is_undecodable(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let count = filled.open(&counts())?;
    count.update(filled.at(1)?, 10)?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let disguised = ValueStateDescriptor::<(u64, u64)>::new("counts").with_type_id("u64");
    let read = store.open(&disguised).and_then(|state| state.get(store.at(1)?).map(|_| ()));
    let undecodable = read.expect_err("one number is not two");
    let StateError::Undecodable { state, key_group: Some(_), .. } = &undecodable else {
        panic!("{undecodable}");
    };
    assert_eq!(state, "counts");
    Ok(())
}

/// Q56, R06: so it is with the elements of a list.
pub fn keyed_restored_list_of_another_type_is_refused_and_kept(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let list = filled.open(&ListStateDescriptor::<u64>::new("list"))?;
    list.add_all(filled.at(1)?, [1, 2])?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    assert_incompatible(store.open(&ListStateDescriptor::<String>::new("list")), StatePart::Values);
    let list = store.open(&ListStateDescriptor::<u64>::new("list"))?;
    assert_eq!(list.get(store.at(1)?)?.map(Cow::into_owned).collect::<Vec<_>>(), [1, 2]);
    Ok(())
}

/// Q57: and with what is reduced.
pub fn keyed_restored_reducing_state_of_another_type_is_refused_and_kept(backend: &StateBackend) -> Verdict {
    let sums = || ReducingStateDescriptor::<u64>::new("sum", |a, b| a + b);
    let mut filled = store::<u32>(backend)?;
    let sum = filled.open(&sums())?;
    sum.add(filled.at(1)?, 1)?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let texts = ReducingStateDescriptor::<String>::new("sum", |a, b| a + &b);
    assert_incompatible(store.open(&texts), StatePart::Values);
    let sum = store.open(&sums())?;
    assert_eq!(sum.get(store.at(1)?)?.as_deref(), Some(&1));
    Ok(())
}

/// Q58, R10: and with the keys and the values of a map.
pub fn keyed_restored_map_of_other_types_is_refused_and_kept(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let map = filled.open(&MapStateDescriptor::<u8, u64>::new("map"))?;
    map.put(filled.at(1)?, 3, 4)?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    assert_incompatible(store.open(&MapStateDescriptor::<String, u64>::new("map")), StatePart::UserKeys);
    assert_incompatible(store.open(&MapStateDescriptor::<u8, String>::new("map")), StatePart::Values);
    let map = store.open(&MapStateDescriptor::<u8, u64>::new("map"))?;
    assert_eq!(map.get(store.at(1)?, &3)?.as_deref(), Some(&4));
    Ok(())
}

/// R17: and with namespaces.
pub fn keyed_restored_state_with_other_namespaces_is_refused_and_kept(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let count = filled.open_namespaced::<u8, _>(&counts())?;
    count.of(5u8).update(filled.at(1)?, 10)?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    assert_incompatible(store.open_namespaced::<u16, _>(&counts()), StatePart::Namespaces);
    assert_incompatible(store.open(&counts()), StatePart::Namespaces);
    let count = store.open_namespaced::<u8, _>(&counts())?;
    assert_eq!(count.of(5u8).get(store.at(1)?)?.as_deref(), Some(&10));
    Ok(())
}

/// What was restored is not opened as another kind of state, though the types are the same.
pub fn keyed_restored_state_of_another_kind_is_refused_and_kept(backend: &StateBackend) -> Verdict {
    let mut filled = store::<u32>(backend)?;
    let count = filled.open(&counts())?;
    count.update(filled.at(1)?, 10)?;
    let mut store = restored::<u32>(backend, &written(&mut filled)?)?;
    let list = store.open(&ListStateDescriptor::<u64>::new("counts"));
    assert!(matches!(list, Err(StateError::TypeMismatch { .. })));
    let reducing = store.open(&ReducingStateDescriptor::<u64>::new("counts", |a, b| a + b));
    assert!(matches!(reducing, Err(StateError::TypeMismatch { .. })));
    let count = store.open(&counts())?;
    assert_eq!(count.get(store.at(1)?)?.as_deref(), Some(&10));
    Ok(())
}

/// Q59: states are found again by name, in whatever order they are opened.
pub fn keyed_states_are_restored_in_any_order_of_opening(backend: &StateBackend) -> Verdict {
    let descriptors = ["c", "a", "b"].map(ValueStateDescriptor::<u64>::new);
    let mut filled = store::<u32>(backend)?;
    filled.set_current_key(1)?;
    for (number, descriptor) in (0..).zip(&descriptors) {
        filled.open(descriptor)?.update(&mut filled, number)?;
    }
    let file = written(&mut filled)?;
    for order in [[0, 1, 2], [2, 1, 0], [1, 0, 2]] {
        let mut store = restored::<u32>(backend, &file)?;
        store.set_current_key(1)?;
        for place in order {
            let state = store.open(&descriptors[place])?;
            assert_eq!(state.get(&store)?.as_deref(), Some(&(place as u64)), "{order:?}");
        }
    }
    Ok(())
}
