use super::Verdict;
use super::harness::{AtKey, counts, store};
use crate::state::backend::StateBackend;
use crate::state::{
    ListStateDescriptor, MapStateDescriptor, ReducingStateDescriptor, StateError, ValueStateDescriptor,
};

/// The same descriptor gives the same state, however often it is opened.
pub fn keyed_state_opened_twice_is_one_state(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let one = store.open(&counts())?;
    one.update(store.at(1)?, 10)?;
    let two = store.open(&counts())?;
    assert_eq!(two.get(&store)?.as_deref(), Some(&10));
    two.update(&mut store, 20)?;
    assert_eq!(one.get(&store)?.as_deref(), Some(&20));
    assert_eq!(store.count(&one)?, 1);
    Ok(())
}

/// A state that is open is not opened as another kind, of another type or with other namespaces, and stays as it is.
pub fn keyed_state_opened_as_something_else_is_refused(backend: &StateBackend) -> Verdict {
    let mut store = store::<u32>(backend)?;
    let count = store.open(&counts())?;
    count.update(store.at(1)?, 10)?;
    let refused: [Result<(), StateError>; 6] = [
        store.open(&ValueStateDescriptor::<String>::new("counts")).map(drop),
        // The same id does not make two types one.
        store.open(&ValueStateDescriptor::<i64>::new("counts").with_type_id("u64")).map(drop),
        store.open(&ListStateDescriptor::<u64>::new("counts")).map(drop),
        store.open(&MapStateDescriptor::<u64, u64>::new("counts")).map(drop),
        store.open(&ReducingStateDescriptor::<u64>::new("counts", |a, b| a + b)).map(drop),
        store.open_namespaced::<u8, _>(&counts()).map(drop),
    ];
    assert_eq!(
        refused[0].as_ref().map_err(ToString::to_string),
        Err("state `counts` holds a value of u64, it cannot be opened as a value of alloc::string::String"
            .to_owned())
    );
    for (number, refused) in refused.into_iter().enumerate() {
        assert!(matches!(refused, Err(StateError::TypeMismatch { .. })), "{number}: {refused:?}");
    }
    assert_eq!(count.get(&store)?.as_deref(), Some(&10));
    Ok(())
}

/// A handle is of use with the store that gave it.
pub fn keyed_handle_of_another_store_is_refused(backend: &StateBackend) -> Verdict {
    let (mut one, mut two) = (store::<u32>(backend)?, store::<u32>(backend)?);
    let count = one.open(&counts())?;
    two.open(&counts())?;
    assert!(matches!(count.get(two.at(1)?), Err(StateError::ForeignHandle)));
    assert!(matches!(count.update(&mut two, 1), Err(StateError::ForeignHandle)));
    assert!(matches!(two.count(&count), Err(StateError::ForeignHandle)));
    Ok(())
}
