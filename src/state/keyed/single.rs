//! States that hold one value for each key and namespace.

use super::bytes::BytesTable;
use super::layout::{Expired, Expiring, Expiry, Layout, append_serialized, expired, migrate};
use super::objects::{ObjectTable, Scope};
use super::ttl::{ExpiredButPresent, RemovedBy};
use super::view::{View, ViewMut};
use super::{CurrentKey, Namespace, StateKey};
use crate::state::backend::{Entry, KeyedStateBackend};
use crate::state::serializer::{ResolvedSerializer, SerializerSnapshot, resolve};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject, StatePart};
use crate::ttl::Compacted;
use std::borrow::Cow;

/// One value.
#[derive(Clone)]
pub struct Single<V> {
    pub(super) value: ResolvedSerializer<V>,
    pub(super) expiry: Option<Expiry<V>>,
}

impl<V: StateObject> Layout for Single<V> {
    type Stored = V;

    fn serializers(&self) -> (Option<SerializerSnapshot>, SerializerSnapshot) {
        (None, self.value.serializer().snapshot())
    }

    fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError> {
        let value = resolve(&header.name, StatePart::Values, self.value.serializer(), &header.value)?;
        Ok(Single { value, ..self })
    }

    fn read(&self, stored: Option<&mut V>, _: Option<&[u8]>, value: &[u8]) -> Result<Option<V>, String> {
        match stored {
            Some(_) => Err("one key has two values".to_owned()),
            None => self.value.read_restored(value).map(Some),
        }
    }

    fn migrates(&self) -> bool {
        self.value.migrates()
    }

    fn migrate_value<'a>(&self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        migrate(&self.value, value)
    }

    fn expiring(&self) -> Option<&Expiring> {
        self.expiry.as_ref().map(|expiry| &*expiry.of)
    }

    fn values(&self, _: &V) -> usize {
        1
    }

    fn expired(&self, stored: &V, now: i64) -> Expired {
        expired(self.expiry.as_ref(), std::iter::once(stored), now)
    }

    fn purge(&self, stored: &mut V, _: i64) -> i64 {
        self.expiry.as_ref().map_or(i64::MAX, |expiry| expiry.oldest(std::iter::once(&*stored)))
    }

    fn measure_expired(&self, stored: &V, now: i64) -> Result<ExpiredButPresent, StateError> {
        match self.expired(stored, now) {
            Expired::All => ExpiredButPresent::of(&**self.value.serializer(), std::iter::once(stored)),
            Expired::Some | Expired::Nothing { .. } => Ok(ExpiredButPresent::default()),
        }
    }

    fn compact<'a>(&self, value: &'a [u8], now: i64) -> Compacted<'a> {
        self.expiring().map_or(Compacted::kept(value), |expiring| expiring.ttl.compact_value(value, now))
    }

    // As `append_record`.
    #[inline(always)]
    fn write(
        &self,
        append_scope: impl Fn(&mut Vec<u8>) -> Result<(), StateError>,
        stored: &V,
        now: Option<i64>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        if now.is_some_and(|now| self.expired(stored, now) == Expired::All) {
            self.count_removed(RemovedBy::Snapshot, 1);
            return Ok(());
        }
        target.entry(|bytes| {
            append_scope(bytes)?;
            append_serialized(bytes, self.value.serializer(), stored)
        })
    }
}

/// The value of a key and namespace in a backend of bytes. What the heap does is inlined everywhere, this is not.
impl<K: StateKey, N: Namespace, V: StateObject> BytesTable<K, N, Single<V>> {
    #[inline(never)]
    pub(super) fn get(
        &self,
        backend: &dyn KeyedStateBackend,
        current: &CurrentKey<K>,
        namespace: &N,
    ) -> Result<Option<V>, StateError> {
        let mut value = None;
        let mut read = |bytes: &[u8]| value = Some(self.schema.layout.value.serializer().deserialize(bytes));
        self.read_at(backend, &self.scope(current, namespace)?, &mut read)?;
        value.transpose().map_err(|what| self.undecodable(Some(current), what))
    }

    #[inline(never)]
    pub(super) fn put(
        &self,
        backend: &mut dyn KeyedStateBackend,
        current: &CurrentKey<K>,
        namespace: &N,
        value: &V,
    ) -> Result<(), StateError> {
        let bytes = self.bytes_of(self.schema.layout.value.serializer(), value)?;
        self.put_at(backend, &self.scope(current, namespace)?, &bytes)
    }

    #[inline(never)]
    pub(super) fn delete(
        &self,
        backend: &mut dyn KeyedStateBackend,
        current: &CurrentKey<K>,
        namespace: &N,
    ) -> Result<(), StateError> {
        self.delete_at(backend, &self.scope(current, namespace)?)
    }
}

impl<'a, K: StateKey, N: Namespace, V: StateObject> View<'a, K, N, Single<V>> {
    /// The value, if there is one.
    #[inline]
    pub(super) fn get(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
    ) -> Result<Option<Cow<'a, V>>, StateError> {
        match self {
            View::Objects(table) => Ok(table.get(current, namespace).map(Cow::Borrowed)),
            View::Bytes(table, backend) => Ok(table.get(backend, current, namespace)?.map(Cow::Owned)),
        }
    }
}

/// Scopes with their values: those that are kept as objects, and those that were decoded. One of both is empty.
pub(super) type AllValues<'a, K, N, V> = (Option<&'a ObjectTable<K, N, Single<V>>>, Vec<(Scope<K, N>, V)>);

impl<'a, K: StateKey, N: Namespace, V: StateObject> View<'a, K, N, Single<V>> {
    /// All scopes with their values.
    pub(super) fn all(self) -> Result<AllValues<'a, K, N, V>, StateError> {
        match self {
            View::Objects(table) => Ok((Some(table), Vec::new())),
            View::Bytes(table, backend) => {
                let decode = |(key, value): Entry| {
                    let (scope, _) = table.read_scope(&key)?;
                    let value = table.schema.layout.value.serializer().deserialize(&value);
                    Ok((scope, value.map_err(|what| table.undecodable(None, what))?))
                };
                let decoded = table.scan(backend, &[]).map(|entry| entry.and_then(decode));
                Ok((None, decoded.collect::<Result<_, _>>()?))
            }
        }
    }
}

impl<K: StateKey, N: Namespace, V: StateObject> ViewMut<'_, K, N, Single<V>> {
    /// Puts `value` in the place of whatever there was.
    // As `ObjectTable::get_mut`.
    #[inline(always)]
    pub(super) fn update(self, current: &CurrentKey<K>, namespace: &N, value: V) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                match table.get_mut(current, namespace) {
                    Some(stored) => *stored = value,
                    None => table.insert(current, namespace, value),
                }
                Ok(())
            }
            ViewMut::Bytes(table, backend) => table.put(backend, current, namespace, &value),
        }
    }

    /// Puts what `change` makes of the value in its place.
    #[inline]
    pub(super) fn modify(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                table.modify(current, namespace, change);
                Ok(())
            }
            ViewMut::Bytes(table, backend) => {
                let old = table.get(&*backend, current, namespace)?;
                let existed = old.is_some();
                match change(old) {
                    Some(value) => table.put(backend, current, namespace, &value),
                    None if existed => table.delete(backend, current, namespace),
                    None => Ok(()),
                }
            }
        }
    }

    /// Changes the value, which is `insert()` if there was none.
    #[inline]
    pub(super) fn with_mut<R>(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        insert: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        match self {
            ViewMut::Objects(table) => Ok(change(table.get_or_insert_with(current, namespace, insert))),
            ViewMut::Bytes(table, backend) => {
                let mut value = table.get(&*backend, current, namespace)?.unwrap_or_else(insert);
                let result = change(&mut value);
                table.put(backend, current, namespace, &value)?;
                Ok(result)
            }
        }
    }

    /// Removes the value and gives it.
    pub(super) fn take(self, current: &CurrentKey<K>, namespace: &N) -> Result<Option<V>, StateError> {
        match self {
            ViewMut::Objects(table) => Ok(table.remove(current, namespace)),
            ViewMut::Bytes(table, backend) => {
                let value = table.get(&*backend, current, namespace)?;
                table.delete(backend, current, namespace)?;
                Ok(value)
            }
        }
    }

    /// Removes the value.
    #[inline]
    pub(super) fn clear(self, current: &CurrentKey<K>, namespace: &N) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                table.remove(current, namespace);
                Ok(())
            }
            ViewMut::Bytes(table, backend) => table.delete(backend, current, namespace),
        }
    }

    /// The same view once more.
    pub(super) fn again(&mut self) -> ViewMut<'_, K, N, Single<V>> {
        match self {
            ViewMut::Objects(table) => ViewMut::Objects(table),
            ViewMut::Bytes(table, backend) => ViewMut::Bytes(table, &mut **backend),
        }
    }
}
