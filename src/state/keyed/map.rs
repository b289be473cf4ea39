use super::layout::Entries;
use super::open::sealed;
use super::table::Table;
use super::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::backend::heap::CopyOnWriteMap;
use crate::state::serializer::ResolvedSerializer;
use crate::state::{MapStateDescriptor, StateError, StateKind, StateObject};
use std::borrow::Cow;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::Arc;

/// What a type needs to be a key of a [`MapState`].
pub trait MapKey: StateObject + Eq + Hash {}

impl<UK: StateObject + Eq + Hash> MapKey for UK {}

/// State of one map per key (Flink: `MapState`). Every access is about the store's current key. A map without entries is
/// no map.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
#[derive(Clone, Copy, Debug)]
pub struct MapState<UK, UV, N = ()> {
    id: sealed::Id,
    namespace: N,
    marker: PhantomData<fn() -> (UK, UV)>,
}

impl<UK: MapKey, UV: StateObject, N: Namespace> MapState<UK, UV, N> {
    fn read<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<Option<&'a CopyOnWriteMap<UK, UV>>, StateError> {
        let table = store.table::<Table<K, N, Entries<UK, UV>>>(self.id.0)?;
        Ok(table.get(store.current()?, &self.namespace))
    }

    /// The value at `key` of the map, if there is one.
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
        key: &UK,
    ) -> Result<Option<Cow<'a, UV>>, StateError> {
        Ok(self.read(store)?.and_then(|map| map.get(key)).map(Cow::Borrowed))
    }

    /// Whether the map has an entry at `key`.
    pub fn contains<K: StateKey>(&self, store: &KeyedStateStore<K>, key: &UK) -> Result<bool, StateError> {
        Ok(self.read(store)?.is_some_and(|map| map.contains(key)))
    }

    /// The number of entries.
    pub fn len<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<usize, StateError> {
        Ok(self.read(store)?.map_or(0, CopyOnWriteMap::len))
    }

    /// Whether the map has no entry.
    pub fn is_empty<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<bool, StateError> {
        Ok(self.len(store)? == 0)
    }

    /// All entries, in no particular order.
    pub fn entries<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = (Cow<'a, UK>, Cow<'a, UV>)> + use<'a, UK, UV, N, K>, StateError> {
        let entries = self.read(store)?.into_iter().flat_map(CopyOnWriteMap::iter);
        Ok(entries.map(|(key, value)| (Cow::Borrowed(key), Cow::Borrowed(value))))
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

    /// Puts `value` at `key` of the map and gives what was there.
    pub fn put<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: UK,
        value: UV,
    ) -> Result<Option<UV>, StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Entries<UK, UV>>>(self.id.0)?;
        Ok(table.get_or_insert_with(current, &self.namespace, CopyOnWriteMap::default).insert(key, value))
    }

    /// Puts all of `entries` into the map.
    pub fn put_all<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        entries.into_iter().try_for_each(|(key, value)| self.put(store, key, value).map(drop))
    }

    /// Removes the entry at `key` of the map and gives its value.
    pub fn remove<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: &UK,
    ) -> Result<Option<UV>, StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Entries<UK, UV>>>(self.id.0)?;
        // A map that stays as it is need not be copied for a snapshot.
        if !table.get(current, &self.namespace).is_some_and(|map| map.contains(key)) {
            return Ok(None);
        }
        let map = table.get_or_insert_with(current, &self.namespace, CopyOnWriteMap::default);
        let removed = map.remove(key);
        if map.is_empty() {
            table.remove(current, &self.namespace);
        }
        Ok(removed)
    }

    /// Keeps the entries for which `keep` is true; it may change their values.
    pub fn retain<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        keep: impl FnMut(&UK, &mut UV) -> bool,
    ) -> Result<(), StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Entries<UK, UV>>>(self.id.0)?;
        if let Some(map) = table.get_mut(current, &self.namespace) {
            map.retain(keep);
            if map.is_empty() {
                table.remove(current, &self.namespace);
            }
        }
        Ok(())
    }

    /// Removes all entries.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Entries<UK, UV>>>(self.id.0)?;
        table.remove(current, &self.namespace);
        Ok(())
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

    fn layout(&self) -> Entries<UK, UV> {
        Entries {
            key: ResolvedSerializer::new(Arc::clone(self.key_serializer())),
            value: ResolvedSerializer::new(Arc::clone(self.value_serializer())),
        }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> MapState<UK, UV, N> {
        MapState { id, namespace, marker: PhantomData }
    }
}

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
