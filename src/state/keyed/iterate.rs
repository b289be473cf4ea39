//! What concerns all keys of a state.

use super::table::Table;
use super::{KeyedStateStore, Namespace, StateHandle, StateKey};
use crate::state::{StateDescriptor, StateError};
use std::borrow::Cow;

type TableOf<K, S> = Table<K, <S as StateHandle>::Namespace, <S as StateHandle>::Layout>;

impl<K: StateKey> KeyedStateStore<K> {
    /// The number of keys and namespaces that have something in a state; needs no current key.
    ///
    /// # Errors
    /// The state was opened by another store.
    pub fn count<S: StateHandle>(&self, state: &S) -> Result<usize, StateError> {
        Ok(self.table::<TableOf<K, S>>(state.id().0)?.len())
    }

    /// The keys that have something in the state's namespace: by key group, within a group in no particular order.
    /// Needs no current key.
    ///
    /// # Errors
    /// The state was opened by another store.
    pub fn keys<S: StateHandle>(&self, state: &S) -> Result<impl Iterator<Item = Cow<'_, K>>, StateError> {
        let table = self.table::<TableOf<K, S>>(state.id().0)?;
        let here = table.iter().filter(move |(scope, _)| scope.namespace == *state.namespace());
        Ok(here.map(|(scope, _)| Cow::Borrowed(&scope.key)))
    }

    /// Every key and namespace that has something in a state, each once, by key group; needs no current key.
    ///
    /// # Errors
    /// The state was opened by another store or for another type of namespaces.
    pub fn keys_and_namespaces<N: Namespace, D: StateDescriptor>(
        &self,
        state: &super::Namespaced<D>,
    ) -> Result<impl Iterator<Item = (Cow<'_, K>, Cow<'_, N>)>, StateError> {
        let table = self.table::<Table<K, N, D::Layout>>(state.id())?;
        Ok(table.iter().map(|(scope, _)| (Cow::Borrowed(&scope.key), Cow::Borrowed(&scope.namespace))))
    }

    /// Calls `each` for every key that has something in the state's namespace, with that key as the current one. It may
    /// change and clear any state. Afterwards the current key is what it was.
    ///
    /// # Errors
    /// The state was opened by another store, or `each` failed; the keys after that were not visited.
    pub fn for_each_key<S: StateHandle, E: From<StateError>>(
        &mut self,
        state: &S,
        mut each: impl FnMut(&mut Self) -> Result<(), E>,
    ) -> Result<(), E> {
        let keys: Vec<K> = self.keys(state)?.map(Cow::into_owned).collect();
        let before = self.current.take();
        let visited = keys.into_iter().try_for_each(|key| {
            self.set_current_key(key)?;
            each(self)
        });
        self.current = before;
        visited
    }
}
