use super::{WithTtl, copied_as_its_state};
use crate::state::keyed::entries::Entries;
use crate::state::keyed::open::sealed;
use crate::state::keyed::times::Times;
use crate::state::keyed::{
    KeyedStateStore, MapKey, MapState, Namespace, StateDescriptor, StateHandle, StateKey,
};
use crate::state::serializer::ResolvedSerializer;
use crate::state::{MapStateDescriptor, StateError, StateKind, StateObject};
use crate::ttl::{CellRead, Stamped, StateTtlConfig};
use std::borrow::{Borrow, Cow};
use std::hash::Hash;
use std::sync::Arc;

/// [`MapState`] whose entries expire, each for itself.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct TtlMapState<UK, UV, N = ()> {
    state: MapState<UK, Stamped<UV>, N>,
    ttl: StateTtlConfig,
}

copied_as_its_state!(TtlMapState<UK, UV>);

impl<UK: MapKey, UV: StateObject, N: Namespace> TtlMapState<UK, UV, N> {
    /// The value at `key` of the map, if there is one that may be seen. An entry that has expired is removed, another one
    /// is refreshed if reads do that.
    pub fn get<'a, K: StateKey, Q>(
        &self,
        store: &'a mut KeyedStateStore<K>,
        key: &Q,
    ) -> Result<Option<Cow<'a, UV>>, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        let now = store.access(self.id().0, &self.ttl)?;
        let Some(updated) = self.state.get(store, key)?.map(|cell| cell.updated) else { return Ok(None) };
        match self.ttl.read_cell(updated, now) {
            CellRead::Keep => {}
            CellRead::Refresh => {
                let read = self.state.get(store, key)?.map(Cow::into_owned);
                if let Some(cell) = read {
                    self.state.put(store, key.to_owned(), Stamped { updated: now, ..cell })?;
                }
            }
            CellRead::LastTime => {
                let last = self.state.remove(store, key)?;
                store.count_removed(self.id().0, 1);
                return Ok(last.map(|cell| Cow::Owned(cell.value)));
            }
            CellRead::Remove => {
                self.state.remove(store, key)?;
                store.count_removed(self.id().0, 1);
                return Ok(None);
            }
        }
        Ok(self.state.get(store, key)?.map(|cell| match cell {
            Cow::Borrowed(cell) => Cow::Borrowed(&cell.value),
            Cow::Owned(cell) => Cow::Owned(cell.value),
        }))
    }

    /// Whether the map has an entry at `key` that may be seen. This is a read, as [`get`](Self::get).
    pub fn contains<K: StateKey, Q>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: &Q,
    ) -> Result<bool, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        Ok(self.get(store, key)?.is_some())
    }

    /// Whether the map has no entry that may be seen. This is no read: it removes and refreshes nothing.
    pub fn is_empty<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<bool, StateError> {
        //= spec/ttl.md#ttl-17-a-look-at-whether-a-map-is-empty
        //# A look at whether a map is empty MUST count what is visible, and neither remove nor refresh anything.
        let now = store.now(&self.ttl);
        Ok(!self.state.entries(store)?.any(|(_, cell)| self.ttl.is_visible(cell.updated, now)))
    }

    /// All entries that may be seen, in no particular order. This reads each of them.
    pub fn entries<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = (UK, UV)> + use<K, UK, UV, N>, StateError> {
        let now = store.access(self.id().0, &self.ttl)?;
        let ttl = self.ttl;
        let seen = self.state.entries(store)?.filter(|(_, cell)| ttl.is_visible(cell.updated, now));
        let seen: Vec<_> = seen.map(|(key, cell)| (key.into_owned(), cell.into_owned().value)).collect();
        let changes =
            self.state.entries(store)?.any(|(_, cell)| ttl.read_cell(cell.updated, now) != CellRead::Keep);
        if changes {
            let mut expired = 0;
            self.state.retain(store, |_, cell| match ttl.read_cell(cell.updated, now) {
                CellRead::Keep => true,
                CellRead::Refresh => {
                    cell.updated = now;
                    true
                }
                CellRead::LastTime | CellRead::Remove => {
                    expired += 1;
                    false
                }
            })?;
            store.count_removed(self.id().0, expired);
        }
        Ok(seen.into_iter())
    }

    /// The keys of all entries that may be seen, in no particular order. This reads each of them.
    pub fn keys<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = UK> + use<K, UK, UV, N>, StateError> {
        Ok(self.entries(store)?.map(|(key, _)| key))
    }

    /// The values of all entries that may be seen, in no particular order. This reads each of them.
    pub fn values<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = UV> + use<K, UK, UV, N>, StateError> {
        Ok(self.entries(store)?.map(|(_, value)| value))
    }

    /// Puts `value` at `key` of the map, whatever was there.
    pub fn put<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        let now = store.access(self.id().0, &self.ttl)?;
        self.state.put(store, key, Stamped { updated: now, value })
    }

    /// Puts all of `entries` into the map.
    pub fn put_all<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        entries: impl IntoIterator<Item = (UK, UV)>,
    ) -> Result<(), StateError> {
        entries.into_iter().try_for_each(|(key, value)| self.put(store, key, value))
    }

    /// Changes the value at `key` of the map in its place; if there is none on which a change may build, `insert()` becomes
    /// the value first.
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
        let now = store.access(self.id().0, &self.ttl)?;
        if self.state.get(store, key)?.is_some_and(|cell| !self.ttl.builds_on(cell.updated, now)) {
            self.state.remove(store, key)?;
            store.count_removed(self.id().0, 1);
        }
        let insert = || Stamped { updated: now, value: insert() };
        self.state.with_mut(store, key, insert, |cell| {
            cell.updated = now;
            change(&mut cell.value)
        })
    }

    /// Removes the entry at `key` of the map and gives its value, if it may be seen.
    pub fn remove<K: StateKey, Q>(
        &self,
        store: &mut KeyedStateStore<K>,
        key: &Q,
    ) -> Result<Option<UV>, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        let now = store.access(self.id().0, &self.ttl)?;
        let removed = self.state.remove(store, key)?;
        Ok(removed.filter(|cell| self.ttl.is_visible(cell.updated, now)).map(|cell| cell.value))
    }

    /// Keeps the entries that may be seen and for which `keep` is true; it may change their values. Their times stay.
    pub fn retain<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        mut keep: impl FnMut(&UK, &mut UV) -> bool,
    ) -> Result<(), StateError> {
        let now = store.access(self.id().0, &self.ttl)?;
        let mut expired = 0;
        self.state.retain(store, |key, cell| match self.ttl.is_visible(cell.updated, now) {
            true => keep(key, &mut cell.value),
            false => {
                expired += 1;
                false
            }
        })?;
        store.count_removed(self.id().0, expired);
        Ok(())
    }

    /// Removes all entries.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        store.access(self.id().0, &self.ttl)?;
        self.state.clear(store)
    }
}

impl<UK: MapKey, UV: StateObject> StateDescriptor for WithTtl<MapStateDescriptor<UK, UV>> {
    type State<N: Namespace> = TtlMapState<UK, UV, N>;
    type Layout = Entries<UK, Stamped<UV>>;
    const KIND: StateKind = StateKind::Map;

    fn state_name(&self) -> &str {
        self.descriptor.name()
    }

    fn layout(&self, times: &Times) -> Self::Layout {
        Entries {
            key: ResolvedSerializer::new(Arc::clone(self.descriptor.key_serializer())),
            value: self.stamped(self.descriptor.value_serializer(), times),
            expiry: self.expiry(),
        }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> TtlMapState<UK, UV, N> {
        TtlMapState { state: MapState::new(id, namespace), ttl: self.ttl }
    }
}

impl<UK, UV, N> sealed::Sealed for TtlMapState<UK, UV, N> {}

impl<UK: MapKey, UV: StateObject, N: Namespace> StateHandle for TtlMapState<UK, UV, N> {
    type Namespace = N;
    type Layout = Entries<UK, Stamped<UV>>;

    fn id(&self) -> sealed::Id {
        self.state.id()
    }

    fn namespace(&self) -> &N {
        self.state.namespace()
    }
}
