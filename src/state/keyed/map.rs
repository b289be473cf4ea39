use super::entries::Entries;
use super::open::{copied_as_its_namespace, sealed};
use super::times::Times;
use super::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::backend::heap::CopyOnWriteMap;
use crate::state::serializer::ResolvedSerializer;
use crate::state::{MapStateDescriptor, StateError, StateKind, StateObject};
use std::borrow::{Borrow, Cow};
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a type needs to be a key of a [`MapState`].
pub trait MapKey: StateObject + Eq + Hash {}

impl<UK: StateObject + Eq + Hash> MapKey for UK {}

/// State of one map per key (Flink: `MapState`). Every access is about the store's current key. A map without entries is
/// no map.
///
/// Entries are looked up by a key of the map or by what it is borrowed as: those of a `MapState<String, _>` by a `&str`. A
/// backend that keeps bytes makes a key of that first, because bytes are known of keys alone: nothing says that the
/// serializer of the keys would write the same for what they are borrowed as.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct MapState<UK, UV, N = ()> {
    id: sealed::Id,
    namespace: N,
    marker: PhantomData<fn() -> (UK, UV)>,
}

impl<UK, UV, N> MapState<UK, UV, N> {
    pub(super) fn new(id: sealed::Id, namespace: N) -> Self {
        MapState { id, namespace, marker: PhantomData }
    }
}

impl<UK: MapKey, UV: StateObject, N: Namespace> MapState<UK, UV, N> {
    /// The value at `key` of the map, if there is one.
    #[inline]
    pub fn get<'a, K: StateKey, Q>(
        &self,
        store: &'a KeyedStateStore<K>,
        key: &Q,
    ) -> Result<Option<Cow<'a, UV>>, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        store.view::<N, Entries<UK, UV>>(self.id.0)?.get(store.current()?, &self.namespace, key)
    }

    /// Whether the map has an entry at `key`.
    #[inline]
    pub fn contains<K: StateKey, Q>(&self, store: &KeyedStateStore<K>, key: &Q) -> Result<bool, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        Ok(self.get(store, key)?.is_some())
    }

    /// The number of entries.
    pub fn len<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<usize, StateError> {
        let view = store.view::<N, Entries<UK, UV>>(self.id.0)?;
        let (objects, decoded) = view.entries(store.current()?, &self.namespace)?;
        Ok(objects.map_or(decoded.len(), CopyOnWriteMap::len))
    }

    /// Whether the map has no entry.
    pub fn is_empty<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<bool, StateError> {
        store.view::<N, Entries<UK, UV>>(self.id.0)?.has_none(store.current()?, &self.namespace)
    }

    /// All entries, in no particular order.
    pub fn entries<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = (Cow<'a, UK>, Cow<'a, UV>)> + use<'a, UK, UV, N, K>, StateError> {
        let view = store.view::<N, Entries<UK, UV>>(self.id.0)?;
        let (objects, decoded) = view.entries(store.current()?, &self.namespace)?;
        let objects = objects.into_iter().flat_map(CopyOnWriteMap::iter);
        let objects = objects.map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value)));
        Ok(objects.chain(decoded.into_iter().map(|(key, value)| (Cow::Owned(key), Cow::Owned(value)))))
    }

    /// The keys of all entries, in no particular order.
    pub fn keys<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = Cow<'a, UK>> + use<'a, UK, UV, N, K>, StateError> {
        Ok(self.entries(store)?.map(|(key, _)| key))
    }

    /// The values of all entries, in no particular order.
    pub fn values<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = Cow<'a, UV>> + use<'a, UK, UV, N, K>, StateError> {
        Ok(self.entries(store)?.map(|(_, value)| value))
    }

    /// Puts `value` at `key` of the map, whatever was there.
    #[inline]
    pub fn put<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Entries<UK, UV>>(self.id.0)?;
        view.put(current, &self.namespace, key, value)
    }

    /// Puts all of `entries` into the map.
    pub fn put_all<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        entries.into_iter().try_for_each(|(key, value)| self.put(store, key, value))
    }

    /// Changes the value at `key` of the map in its place; if there is none, `insert()` becomes the value first.
    #[inline]
    pub fn with_mut<K: StateKey, Q, R>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: &Q,
        insert: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        let (current, view) = store.view_mut::<N, Entries<UK, UV>>(self.id.0)?;
        view.with_mut(current, &self.namespace, key, insert, change)
    }

    /// Removes the entry at `key` of the map and gives its value.
    #[inline]
    pub fn remove<K: StateKey, Q>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: &Q,
    ) -> Result<Option<UV>, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        let (current, view) = store.view_mut::<N, Entries<UK, UV>>(self.id.0)?;
        view.remove(current, &self.namespace, key)
    }

    /// Keeps the entries for which `keep` is true; it may change their values.
    pub fn retain<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        keep: impl FnMut(&UK, &mut UV) -> bool,
    ) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Entries<UK, UV>>(self.id.0)?;
        view.retain(current, &self.namespace, keep)
    }

    /// Removes all entries.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Entries<UK, UV>>(self.id.0)?;
        view.clear(current, &self.namespace)
    }
}

impl<UK: MapKey, UV: StateObject> sealed::Sealed for MapStateDescriptor<UK, UV> {}

impl<UK: MapKey, UV: StateObject> StateDescriptor for MapStateDescriptor<UK, UV> {
    type State<N: Namespace> = MapState<UK, UV, N>;
    type Layout = Entries<UK, UV>;
    const KIND: StateKind = StateKind::Map;

    fn state_name(&self) -> &str {
        self.name()
    }

    fn layout(&self, _: &Times) -> Entries<UK, UV> {
        Entries {
            key: ResolvedSerializer::new(Arc::clone(self.key_serializer())),
            value: ResolvedSerializer::new(Arc::clone(self.value_serializer())),
            expiry: None,
        }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> MapState<UK, UV, N> {
        MapState::new(id, namespace)
    }
}

copied_as_its_namespace!(MapState<UK, UV>);

impl<UK, UV, N> sealed::Sealed for MapState<UK, UV, N> {}

impl<UK: MapKey, UV: StateObject, N: Namespace> StateHandle for MapState<UK, UV, N> {
    type Namespace = N;
    type Layout = Entries<UK, UV>;

    fn id(&self) -> sealed::Id {
        self.id
    }

    fn namespace(&self) -> &N {
        &self.namespace
    }
}
