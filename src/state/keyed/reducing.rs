use super::open::sealed;
use super::single::Single;
use super::times::Times;
use super::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::state::serializer::ResolvedSerializer;
use crate::state::{ReduceFunction, ReducingStateDescriptor, StateError, StateKind, StateObject};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// State of one value per key, into which what is added is reduced (Flink: `ReducingState`). Every access is about the
/// store's current key.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
#[derive(Clone)]
pub struct ReducingState<T, N = ()> {
    id: sealed::Id,
    namespace: N,
    function: ReduceFunction<T>,
}

impl<T: StateObject, N: Namespace> ReducingState<T, N> {
    /// What all that was added has been reduced to, if anything was.
    #[inline]
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<Option<Cow<'a, T>>, StateError> {
        store.view::<N, Single<T>>(self.id.0)?.get(store.current()?, &self.namespace)
    }

    /// Reduces what is there and `value` to one.
    #[inline]
    pub fn add<K: StateKey>(&self, store: &mut KeyedStateStore<K>, value: T) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Single<T>>(self.id.0)?;
        view.modify(current, &self.namespace, |old| Some(self.reduced(old, value)))
    }

    /// Removes the value.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Single<T>>(self.id.0)?;
        view.clear(current, &self.namespace)
    }

    /// Reduces the values of the namespaces `sources` of the current key into that of this one and removes them.
    /// Namespaces without a value, and this one among them, change nothing.
    pub fn merge_namespaces<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        sources: impl IntoIterator<Item = N>,
    ) -> Result<(), StateError> {
        let (current, mut view) = store.view_mut::<N, Single<T>>(self.id.0)?;
        for source in sources.into_iter().filter(|source| *source != self.namespace) {
            if let Some(moved) = view.again().take(current, &source)? {
                view.again().modify(current, &self.namespace, |old| Some(self.reduced(old, moved)))?;
            }
        }
        Ok(())
    }

    fn reduced(&self, old: Option<T>, value: T) -> T {
        match old {
            Some(old) => (self.function)(old, value),
            None => value,
        }
    }
}

impl<T, N: fmt::Debug> fmt::Debug for ReducingState<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReducingState")
            .field("id", &self.id)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl<T: StateObject> sealed::Sealed for ReducingStateDescriptor<T> {}

impl<T: StateObject> StateDescriptor for ReducingStateDescriptor<T> {
    type State<N: Namespace> = ReducingState<T, N>;
    type Layout = Single<T>;
    const KIND: StateKind = StateKind::Reducing;

    fn state_name(&self) -> &str {
        self.name()
    }

    fn layout(&self, _: &Times) -> Single<T> {
        Single { value: ResolvedSerializer::new(Arc::clone(self.serializer())), expiry: None }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> ReducingState<T, N> {
        ReducingState { id, namespace, function: Arc::clone(self.function()) }
    }
}

impl<T, N> sealed::Sealed for ReducingState<T, N> {}

impl<T: StateObject, N: Namespace> StateHandle for ReducingState<T, N> {
    type Namespace = N;
    type Layout = Single<T>;

    fn id(&self) -> sealed::Id {
        self.id
    }

    fn namespace(&self) -> &N {
        &self.namespace
    }
}
