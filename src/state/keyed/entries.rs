//! States that hold a map for each key and namespace.

use super::bytes::BytesTable;
use super::layout::{Expired, Expiring, Expiry, Layout, append_serialized, expired, migrate};
use super::map::MapKey;
use super::ttl::{ExpiredButPresent, RemovedBy};
use super::view::{View, ViewMut};
use super::{CurrentKey, Namespace, StateKey};
use crate::backend::heap::CopyOnWriteMap;
use crate::codec::take_record;
use crate::state::backend::KeyedStateBackend;
use crate::state::serializer::{ResolvedSerializer, SerializerSnapshot, resolve};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject, StatePart};
use crate::ttl::Compacted;
use std::borrow::{Borrow, Cow};
use std::hash::Hash;
use std::ops::ControlFlow;

/// A map: an entry for each of its own.
pub struct Entries<UK, UV> {
    pub(super) key: ResolvedSerializer<UK>,
    pub(super) value: ResolvedSerializer<UV>,
    pub(super) expiry: Option<Expiry<UV>>,
}

impl<UK, UV> Clone for Entries<UK, UV> {
    fn clone(&self) -> Self {
        Entries { key: self.key.clone(), value: self.value.clone(), expiry: self.expiry.clone() }
    }
}

impl<UK: StateObject + Eq + Hash, UV: StateObject> Layout for Entries<UK, UV> {
    type Stored = CopyOnWriteMap<UK, UV>;

    fn serializers(&self) -> (Option<SerializerSnapshot>, SerializerSnapshot) {
        (Some(self.key.serializer().snapshot()), self.value.serializer().snapshot())
    }

    fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError> {
        let written = header.user_key.as_ref().ok_or_else(|| StateError::IncompatibleSerializer {
            state: header.name.clone(),
            part: StatePart::UserKeys,
            what: "none was written".to_owned(),
        })?;
        Ok(Entries {
            key: resolve(&header.name, StatePart::UserKeys, self.key.serializer(), written)?,
            value: resolve(&header.name, StatePart::Values, self.value.serializer(), &header.value)?,
            expiry: self.expiry,
        })
    }

    fn read(
        &self,
        stored: Option<&mut Self::Stored>,
        user_key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Option<Self::Stored>, String> {
        let key = self.key.read_restored(user_key.ok_or("an entry has no key of the map")?)?;
        let value = self.value.read_restored(value)?;
        let mut begun = CopyOnWriteMap::default();
        let is_new = stored.is_none();
        if stored.unwrap_or(&mut begun).insert(key, value).is_some() {
            return Err("a map has one key twice".to_owned());
        }
        Ok(is_new.then_some(begun))
    }

    fn migrates(&self) -> bool {
        self.key.migrates() || self.value.migrates()
    }

    fn migrates_user_keys(&self) -> bool {
        self.key.migrates()
    }

    fn migrate_user_key<'a>(&self, user_key: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        migrate(&self.key, user_key)
    }

    fn migrate_value<'a>(&self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        migrate(&self.value, value)
    }

    fn expiring(&self) -> Option<&Expiring> {
        self.expiry.as_ref().map(|expiry| &*expiry.of)
    }

    fn values(&self, stored: &Self::Stored) -> usize {
        stored.len()
    }

    fn expired(&self, stored: &Self::Stored, now: i64) -> Expired {
        expired(self.expiry.as_ref(), stored.iter().map(|(_, value)| value), now)
    }

    fn purge(&self, stored: &mut Self::Stored, now: i64) -> i64 {
        stored.retain(|_, value| !self.has_expired(value, now));
        self.expiry.as_ref().map_or(i64::MAX, |expiry| expiry.oldest(stored.iter().map(|(_, value)| value)))
    }

    fn measure_expired(&self, stored: &Self::Stored, now: i64) -> Result<ExpiredButPresent, StateError> {
        let expired = stored.iter().map(|(_, value)| value).filter(|value| self.has_expired(value, now));
        ExpiredButPresent::of(&**self.value.serializer(), expired)
    }

    fn compact<'a>(&self, value: &'a [u8], now: i64) -> Compacted<'a> {
        self.expiring().map_or(Compacted::kept(value), |expiring| expiring.ttl.compact_value(value, now))
    }

    fn write(
        &self,
        append_scope: impl Fn(&mut Vec<u8>) -> Result<(), StateError>,
        stored: &Self::Stored,
        now: Option<i64>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        let has_expired = |value: &UV| now.is_some_and(|now| self.has_expired(value, now));
        let mut scope = Vec::new();
        append_scope(&mut scope)?;
        stored.iter().try_for_each(|(key, value)| {
            if has_expired(value) {
                self.count_removed(RemovedBy::Snapshot, 1);
                return Ok(());
            }
            target.entry(|bytes| {
                bytes.extend_from_slice(&scope);
                append_serialized(bytes, self.key.serializer(), key)?;
                append_serialized(bytes, self.value.serializer(), value)
            })
        })
    }
}

impl<UK, UV> Entries<UK, UV> {
    fn has_expired(&self, value: &UV, now: i64) -> bool {
        self.expiry.as_ref().is_some_and(|expiry| expiry.has_expired(value, now))
    }
}

/// The bytes of the map of a key and namespace, in a backend that keeps an entry for each entry of the map.
impl<K: StateKey, N: Namespace, UK: MapKey, UV: StateObject> BytesTable<K, N, Entries<UK, UV>> {
    fn entry_key(&self, current: &CurrentKey<K>, namespace: &N, key: &UK) -> Result<Vec<u8>, StateError> {
        let mut bytes = self.scope(current, namespace)?;
        append_serialized(&mut bytes, self.schema.layout.key.serializer(), key)
            .map_err(|error| self.refused(error))?;
        Ok(bytes)
    }

    fn value(&self, current: &CurrentKey<K>, bytes: &[u8]) -> Result<UV, StateError> {
        let value = self.schema.layout.value.serializer().deserialize(bytes);
        value.map_err(|what| self.undecodable(Some(current), what))
    }

    #[inline(never)]
    fn get(
        &self,
        backend: &dyn KeyedStateBackend,
        current: &CurrentKey<K>,
        namespace: &N,
        key: &UK,
    ) -> Result<Option<UV>, StateError> {
        let mut value = None;
        let at = self.entry_key(current, namespace, key)?;
        self.read_at(backend, &at, &mut |bytes| value = Some(self.value(current, bytes)))?;
        value.transpose()
    }

    #[inline(never)]
    fn put(
        &self,
        backend: &mut dyn KeyedStateBackend,
        current: &CurrentKey<K>,
        namespace: &N,
        key: &UK,
        value: &UV,
    ) -> Result<(), StateError> {
        let at = self.entry_key(current, namespace, key)?;
        let bytes = self.bytes_of(self.schema.layout.value.serializer(), value)?;
        self.put_at(backend, &at, &bytes)
    }

    /// The entries of the map, each with what `at` makes of the key at which the backend has it.
    fn entries<A>(
        &self,
        backend: &dyn KeyedStateBackend,
        current: &CurrentKey<K>,
        namespace: &N,
        at: impl Fn(&[u8]) -> A,
    ) -> Result<Vec<(A, UK, UV)>, StateError> {
        let scope = self.scope(current, namespace)?;
        let decode = |key: &[u8], value: &[u8]| {
            let user_key = take_record(&mut &key[scope.len()..]).ok_or("a key ends early".to_owned());
            let user_key = user_key.and_then(|bytes| self.schema.layout.key.serializer().deserialize(bytes));
            let user_key = user_key.map_err(|what| self.undecodable(Some(current), what))?;
            Ok((at(key), user_key, self.value(current, value)?))
        };
        let (mut entries, mut decoded) = (Vec::new(), Ok(()));
        self.visit(backend, &scope, &mut |key, value| match decode(key, value) {
            Ok(entry) => {
                entries.push(entry);
                ControlFlow::Continue(())
            }
            Err(error) => {
                decoded = Err(error);
                ControlFlow::Break(())
            }
        })?;
        decoded.map(|()| entries)
    }
}

/// The entries of a map: those that are kept as objects, and those that were decoded. One of both is empty.
pub(super) type MapEntries<'a, UK, UV> = (Option<&'a CopyOnWriteMap<UK, UV>>, Vec<(UK, UV)>);

impl<'a, K: StateKey, N: Namespace, UK: MapKey, UV: StateObject> View<'a, K, N, Entries<UK, UV>> {
    #[inline]
    pub(super) fn get<Q>(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        key: &Q,
    ) -> Result<Option<Cow<'a, UV>>, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        match self {
            View::Objects(table) => {
                Ok(table.get(current, namespace).and_then(|map| map.get(key)).map(Cow::Borrowed))
            }
            View::Bytes(table, backend) => {
                Ok(table.get(backend, current, namespace, &key.to_owned())?.map(Cow::Owned))
            }
        }
    }

    pub(super) fn entries(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
    ) -> Result<MapEntries<'a, UK, UV>, StateError> {
        match self {
            View::Objects(table) => Ok((table.get(current, namespace), Vec::new())),
            View::Bytes(table, backend) => {
                let entries = table.entries(backend, current, namespace, |_| ())?;
                Ok((None, entries.into_iter().map(|((), key, value)| (key, value)).collect()))
            }
        }
    }

    /// Whether there is no entry.
    pub(super) fn has_none(self, current: &CurrentKey<K>, namespace: &N) -> Result<bool, StateError> {
        match self {
            View::Objects(table) => Ok(table.get(current, namespace).is_none_or(CopyOnWriteMap::is_empty)),
            View::Bytes(table, backend) => {
                let scope = table.scope(current, namespace)?;
                let mut has_none = true;
                table.visit(backend, &scope, &mut |_, _| {
                    has_none = false;
                    ControlFlow::Break(())
                })?;
                Ok(has_none)
            }
        }
    }
}

impl<K: StateKey, N: Namespace, UK: MapKey, UV: StateObject> ViewMut<'_, K, N, Entries<UK, UV>> {
    #[inline]
    pub(super) fn put(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        key: UK,
        value: UV,
    ) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                table.get_or_insert_with(current, namespace, CopyOnWriteMap::default).insert(key, value);
                Ok(())
            }
            ViewMut::Bytes(table, backend) => table.put(backend, current, namespace, &key, &value),
        }
    }

    /// Changes the value at `key`, which is `insert()` if there was none.
    #[inline]
    pub(super) fn with_mut<Q, R>(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        key: &Q,
        insert: impl FnOnce() -> UV,
        change: impl FnOnce(&mut UV) -> R,
    ) -> Result<R, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        match self {
            ViewMut::Objects(table) => {
                if let Some(map) = table.get_mut(current, namespace) {
                    return Ok(map.with_mut(key, insert, change));
                }
                // Should the user's code panic, no map without entries is left behind.
                let mut map = CopyOnWriteMap::default();
                let result = map.with_mut(key, insert, change);
                table.get_or_insert_with(current, namespace, || map);
                Ok(result)
            }
            ViewMut::Bytes(table, backend) => {
                let key = key.to_owned();
                let mut value = table.get(&*backend, current, namespace, &key)?.unwrap_or_else(insert);
                let result = change(&mut value);
                table.put(backend, current, namespace, &key, &value)?;
                Ok(result)
            }
        }
    }

    /// Removes the entry at `key` and gives its value.
    pub(super) fn remove<Q>(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        key: &Q,
    ) -> Result<Option<UV>, StateError>
    where
        UK: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = UK> + ?Sized,
    {
        match self {
            ViewMut::Objects(table) => {
                // A map that stays as it is need not be copied for a snapshot.
                if !table.get(current, namespace).is_some_and(|map| map.contains(key)) {
                    return Ok(None);
                }
                let Some(map) = table.get_mut(current, namespace) else { return Ok(None) };
                let removed = map.remove(key);
                if map.is_empty() {
                    table.remove(current, namespace);
                }
                Ok(removed)
            }
            ViewMut::Bytes(table, backend) => {
                let key = key.to_owned();
                let removed = table.get(&*backend, current, namespace, &key)?;
                if removed.is_some() {
                    let at = table.entry_key(current, namespace, &key)?;
                    table.delete_at(backend, &at)?;
                }
                Ok(removed)
            }
        }
    }

    /// Keeps the entries for which `keep` is true; it may change their values.
    pub(super) fn retain(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        mut keep: impl FnMut(&UK, &mut UV) -> bool,
    ) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                if let Some(map) = table.get_mut(current, namespace) {
                    map.retain(keep);
                    if map.is_empty() {
                        table.remove(current, namespace);
                    }
                }
                Ok(())
            }
            ViewMut::Bytes(table, backend) => {
                for (at, key, mut value) in table.entries(&*backend, current, namespace, <[u8]>::to_vec)? {
                    match keep(&key, &mut value) {
                        false => table.delete_at(backend, &at)?,
                        true => {
                            let bytes = table.bytes_of(table.schema.layout.value.serializer(), &value)?;
                            table.put_at(backend, &at, &bytes)?;
                        }
                    }
                }
                Ok(())
            }
        }
    }

    /// Removes all entries.
    pub(super) fn clear(self, current: &CurrentKey<K>, namespace: &N) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                table.remove(current, namespace);
                Ok(())
            }
            bytes @ ViewMut::Bytes(..) => bytes.retain(current, namespace, |_, _| false),
        }
    }
}
