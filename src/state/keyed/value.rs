use super::objects::ObjectTable;
use super::open::{copied_as_its_namespace, sealed};
use super::single::Single;
use super::times::Times;
use super::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::state::serializer::ResolvedSerializer;
use crate::state::{StateError, StateKind, StateObject, ValueStateDescriptor};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

/// State of one value per key (Flink: `ValueState`). Every access is about the store's current key.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct ValueState<V, N = ()> {
    id: sealed::Id,
    namespace: N,
    marker: PhantomData<fn() -> V>,
}

impl<V, N> ValueState<V, N> {
    pub(super) fn new(id: sealed::Id, namespace: N) -> Self {
        ValueState { id, namespace, marker: PhantomData }
    }
}

impl<V: StateObject, N: Namespace> ValueState<V, N> {
    /// The value, if there is one.
    #[inline]
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<Option<Cow<'a, V>>, StateError> {
        store.view::<N, Single<V>>(self.id.0)?.get(store.current()?, &self.namespace)
    }

    /// Puts `value` in the place of whatever there was.
    #[inline]
    pub fn update<K: StateKey>(&self, store: &mut KeyedStateStore<K>, value: V) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Single<V>>(self.id.0)?;
        view.update(current, &self.namespace, value)
    }

    /// Puts what `change` makes of the value in its place; `None` clears it.
    #[inline]
    pub fn modify<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Single<V>>(self.id.0)?;
        view.modify(current, &self.namespace, change)
    }

    /// Changes the value in its place; if there is none, `insert()` becomes the value first. The fastest way to read,
    /// modify and write.
    #[inline]
    pub fn with_mut<K: StateKey, R>(
        &self,
        store: &mut KeyedStateStore<K>,
        insert: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        let (current, view) = store.view_mut::<N, Single<V>>(self.id.0)?;
        view.with_mut(current, &self.namespace, insert, change)
    }

    /// Removes the value.
    #[inline]
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Single<V>>(self.id.0)?;
        view.clear(current, &self.namespace)
    }

    /// All keys that have a value in this namespace, with it: by key group, within a group in no particular order.
    /// Needs no current key.
    pub fn entries<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = (Cow<'a, K>, Cow<'a, V>)>, StateError> {
        let (objects, decoded) = store.view::<N, Single<V>>(self.id.0)?.all()?;
        let objects = objects.into_iter().flat_map(ObjectTable::iter);
        let objects = objects.filter(|(scope, _)| scope.namespace == self.namespace);
        let objects = objects.map(|(scope, value)| (Cow::Borrowed(&scope.key), Cow::Borrowed(value)));
        let decoded = decoded.into_iter().filter(|(scope, _)| scope.namespace == self.namespace);
        Ok(objects.chain(decoded.map(|(scope, value)| (Cow::Owned(scope.key), Cow::Owned(value)))))
    }
}

impl<V: StateObject> sealed::Sealed for ValueStateDescriptor<V> {}

impl<V: StateObject> StateDescriptor for ValueStateDescriptor<V> {
    type State<N: Namespace> = ValueState<V, N>;
    type Layout = Single<V>;
    const KIND: StateKind = StateKind::Value;

    fn state_name(&self) -> &str {
        self.name()
    }

    fn layout(&self, _: &Times) -> Single<V> {
        Single { value: ResolvedSerializer::new(Arc::clone(self.serializer())), expiry: None }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> ValueState<V, N> {
        ValueState::new(id, namespace)
    }
}

copied_as_its_namespace!(ValueState<V>);

impl<V, N> sealed::Sealed for ValueState<V, N> {}

impl<V: StateObject, N: Namespace> StateHandle for ValueState<V, N> {
    type Namespace = N;
    type Layout = Single<V>;

    fn id(&self) -> sealed::Id {
        self.id
    }

    fn namespace(&self) -> &N {
        &self.namespace
    }
}
