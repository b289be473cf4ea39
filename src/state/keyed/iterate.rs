//! What concerns all keys of a state.

use super::layout::Layout;
use super::objects::{ObjectTable, Scope};
use super::view::View;
use super::{KeyedStateStore, Namespace, Namespaced, StateDescriptor, StateHandle, StateId, StateKey};
use crate::state::StateError;
use std::borrow::Cow;

impl<K: StateKey> KeyedStateStore<K> {
    /// The number of keys and namespaces that have something in a state; needs no current key.
    ///
    /// # Errors
    /// The state was opened by another store, or cannot be read.
    pub fn count<S: StateHandle>(&self, state: &S) -> Result<usize, StateError> {
        match self.view::<S::Namespace, S::Layout>(state.id().0)? {
            View::Objects(table) => Ok(table.len()),
            View::Bytes(table, backend) => {
                table.scopes(backend).try_fold(0, |count, scope| scope.map(|_| count + 1))
            }
        }
    }

    /// The keys that have something in the state's namespace, each once: by key group, within a group in no particular
    /// order. Needs no current key.
    ///
    /// # Errors
    /// The state was opened by another store, or cannot be read.
    pub fn keys<S: StateHandle>(&self, state: &S) -> Result<impl Iterator<Item = Cow<'_, K>>, StateError> {
        let scopes = self.scopes::<S::Namespace, S::Layout>(state.id().0)?;
        let here = scopes.filter(move |(_, namespace)| **namespace == *state.namespace());
        Ok(here.map(|(key, _)| key))
    }

    /// Every key and namespace that has something in a state, each once, by key group; needs no current key.
    ///
    /// # Errors
    /// The state was opened by another store, or cannot be read.
    pub fn keys_and_namespaces<N: Namespace, D: StateDescriptor>(
        &self,
        state: &Namespaced<D, N>,
    ) -> Result<impl Iterator<Item = (Cow<'_, K>, Cow<'_, N>)>, StateError> {
        self.scopes::<N, D::Layout>(state.id())
    }

    /// Calls `each` for every key that has something in the state's namespace, with that key as the current one. It may
    /// change and clear any state. Afterwards the current key is what it was.
    ///
    /// # Errors
    /// The state was opened by another store or cannot be read, or `each` failed; the keys after that were not visited.
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

    /// The scopes: those that are kept as objects, and behind them those that were decoded. One of both is empty.
    fn scopes<N: Namespace, L: Layout>(
        &self,
        id: StateId,
    ) -> Result<impl Iterator<Item = (Cow<'_, K>, Cow<'_, N>)>, StateError> {
        let (objects, decoded) = match self.view::<N, L>(id)? {
            View::Objects(table) => (Some(table), Vec::new()),
            View::Bytes(table, backend) => (None, table.scopes(backend).collect::<Result<_, _>>()?),
        };
        let objects = objects.into_iter().flat_map(ObjectTable::iter);
        let objects = objects.map(|(scope, _)| (Cow::Borrowed(&scope.key), Cow::Borrowed(&scope.namespace)));
        let own = |Scope { key, namespace }| (Cow::Owned(key), Cow::Owned(namespace));
        Ok(objects.chain(decoded.into_iter().map(own)))
    }
}
