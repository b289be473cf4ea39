use super::{
    BackendContext, BackendError, BackendSnapshot, Entries, KeyedStateBackend, StateBackendFactory,
    StateDescription, StateNumber,
};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

type State = BTreeMap<Vec<u8>, Vec<u8>>;

/// Bytes in sorted maps in memory: the simplest backend that keeps the contract, to read before writing one and to test
/// others against. A snapshot is cheap; the first write to a state while one lives copies all of it.
#[derive(Debug, Default)]
pub struct SortedMapStateBackend {
    states: Vec<Arc<State>>,
}

/// Makes [`SortedMapStateBackend`]s, under the name `sorted-map`.
#[derive(Clone, Copy, Debug, Default)]
pub struct SortedMapStateBackendFactory;

impl StateBackendFactory for SortedMapStateBackendFactory {
    fn name(&self) -> &str {
        "sorted-map"
    }

    fn create(&self, _: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        Ok(Box::new(SortedMapStateBackend::default()))
    }
}

impl KeyedStateBackend for SortedMapStateBackend {
    fn create_state(&mut self, _: &StateDescription) -> Result<StateNumber, BackendError> {
        self.states.push(Arc::default());
        Ok(StateNumber(self.states.len() - 1))
    }

    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        Ok(self.states[state.0].get(key).cloned())
    }

    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        Arc::make_mut(&mut self.states[state.0]).insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    fn read(
        &self,
        state: StateNumber,
        key: &[u8],
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, BackendError> {
        let value = self.states[state.0].get(key);
        if let Some(value) = value {
            read(value);
        }
        Ok(value.is_some())
    }

    fn append(&mut self, state: StateNumber, key: &[u8], bytes: &[u8]) -> Result<(), BackendError> {
        Arc::make_mut(&mut self.states[state.0]).entry(key.to_vec()).or_default().extend_from_slice(bytes);
        Ok(())
    }

    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError> {
        Arc::make_mut(&mut self.states[state.0]).remove(key);
        Ok(())
    }

    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        scan(&self.states[state.0], prefix)
    }

    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError> {
        Ok(Box::new(Snapshot(self.states.clone())))
    }
}

struct Snapshot(Vec<Arc<State>>);

impl BackendSnapshot for Snapshot {
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        scan(&self.0[state.0], prefix)
    }
}

fn scan<'a>(state: &'a State, prefix: &'a [u8]) -> Entries<'a> {
    let from = state.range::<[u8], _>((Bound::Included(prefix), Bound::Unbounded));
    let matching = from.take_while(move |(key, _)| key.starts_with(prefix));
    Box::new(matching.map(|(key, value)| Ok((key.clone(), value.clone()))))
}
