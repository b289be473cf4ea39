//! States that hold a list for each key and namespace.

use super::bytes::BytesTable;
use super::layout::{Expired, Expiring, Expiry, Layout, append_serialized, expired};
use super::ttl::{ExpiredButPresent, RemovedBy};
use super::view::{View, ViewMut};
use super::{CurrentKey, Namespace, StateKey};
use crate::backend::heap::CopyOnWriteList;
use crate::codec::{CodecError, append_record, take_record};
use crate::state::backend::KeyedStateBackend;
use crate::state::serializer::{ResolvedSerializer, SerializerSnapshot, resolve};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject, StatePart};
use crate::ttl::Compacted;
use std::borrow::Cow;

/// A list: one entry, whose value is the elements as records.
#[derive(Clone)]
pub struct Elements<T> {
    pub(super) element: ResolvedSerializer<T>,
    /// The most bytes that a list may have.
    pub(super) max_bytes: usize,
    pub(super) expiry: Option<Expiry<T>>,
}

impl<T: StateObject> Layout for Elements<T> {
    type Stored = CopyOnWriteList<T>;

    fn serializers(&self) -> (Option<SerializerSnapshot>, SerializerSnapshot) {
        (None, self.element.serializer().snapshot())
    }

    fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError> {
        let element = resolve(&header.name, StatePart::Values, self.element.serializer(), &header.value)?;
        Ok(Elements { element, ..self })
    }

    fn read(
        &self,
        stored: Option<&mut Self::Stored>,
        _: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Option<Self::Stored>, String> {
        if stored.is_some() {
            return Err("one key has two lists".to_owned());
        }
        let list = self.elements(value, |bytes| self.element.read_restored(bytes))?.into_iter().collect();
        Ok(Some(list))
    }

    fn migrates(&self) -> bool {
        self.element.migrates()
    }

    fn migrate_value<'a>(&self, value: &'a [u8]) -> Result<Cow<'a, [u8]>, String> {
        if !self.element.migrates() {
            return Ok(Cow::Borrowed(value));
        }
        let elements = self.elements(value, |bytes| self.element.read_restored(bytes))?;
        let mut migrated = Vec::new();
        // A list that is too long now may be read all the same; nothing can be added to it.
        let mut append = |element| append_serialized(&mut migrated, self.element.serializer(), element);
        elements.iter().try_for_each(&mut append).map_err(|error| error.to_string())?;
        Ok(Cow::Owned(migrated))
    }

    fn expiring(&self) -> Option<&Expiring> {
        self.expiry.as_ref().map(|expiry| &*expiry.of)
    }

    fn values(&self, stored: &Self::Stored) -> usize {
        stored.len()
    }

    fn expired(&self, stored: &Self::Stored, now: i64) -> Expired {
        expired(self.expiry.as_ref(), stored.iter(), now)
    }

    fn purge(&self, stored: &mut Self::Stored, now: i64) -> i64 {
        let live = stored.iter().filter(|element| !self.has_expired(element, now));
        *stored = live.cloned().collect();
        self.expiry.as_ref().map_or(i64::MAX, |expiry| expiry.oldest(stored.iter()))
    }

    fn measure_expired(&self, stored: &Self::Stored, now: i64) -> Result<ExpiredButPresent, StateError> {
        let expired: Vec<_> = stored.iter().filter(|element| self.has_expired(element, now)).collect();
        let mut bytes = Vec::new();
        expired.iter().try_for_each(|one| append_serialized(&mut bytes, self.element.serializer(), one))?;
        Ok(ExpiredButPresent { values: expired.len() as u64, bytes: bytes.len() as u64 })
    }

    fn compact<'a>(&self, value: &'a [u8], now: i64) -> Compacted<'a> {
        match self.expiring() {
            None => Compacted::kept(value),
            Some(expiring) => expiring.ttl.compact_list(value, now, take_record),
        }
    }

    fn write(
        &self,
        append_scope: impl Fn(&mut Vec<u8>) -> Result<(), StateError>,
        stored: &Self::Stored,
        now: Option<i64>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        let has_expired = |element: &T| now.is_some_and(|now| self.has_expired(element, now));
        let expired = now.map_or(0, |_| stored.iter().filter(|element| has_expired(element)).count());
        if expired > 0 {
            self.count_removed(RemovedBy::Snapshot, expired);
            if expired == stored.len() {
                return Ok(());
            }
        }
        let live = stored.iter().filter(|element| !has_expired(element));
        target.entry(|bytes| {
            append_scope(bytes)?;
            append_record(bytes, |bytes| self.append_elements(bytes, live))
        })
    }
}

impl<T> Elements<T> {
    fn has_expired(&self, element: &T, now: i64) -> bool {
        self.expiry.as_ref().is_some_and(|expiry| expiry.has_expired(element, now))
    }

    /// The elements in the bytes of a list.
    fn elements(
        &self,
        mut bytes: &[u8],
        read: impl Fn(&[u8]) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        let mut elements = Vec::new();
        while !bytes.is_empty() {
            elements.push(read(take_record(&mut bytes).ok_or("the list ends within an element")?)?);
        }
        Ok(elements)
    }

    fn bytes(&self, elements: &[T]) -> Result<Vec<u8>, StateError> {
        let mut bytes = Vec::new();
        self.append_elements(&mut bytes, elements.iter())?;
        Ok(bytes)
    }

    /// Appends the elements of a list, and stops when it has become too long.
    fn append_elements<'a>(
        &self,
        target: &mut Vec<u8>,
        mut elements: impl Iterator<Item = &'a T>,
    ) -> Result<(), StateError>
    where
        T: 'a,
    {
        let before = target.len();
        elements.try_for_each(|element| {
            append_serialized(target, self.element.serializer(), element)?;
            self.check_length(target.len() - before)
        })
    }

    fn check_length(&self, bytes: usize) -> Result<(), StateError> {
        if bytes <= self.max_bytes {
            return Ok(());
        }
        let (id, limit) = (self.element.serializer().snapshot().id, self.max_bytes);
        let refused = format!("a list of {id} of {bytes} bytes is more than the {limit} that one may have");
        Err(CodecError::Refused(refused).into())
    }
}

/// The bytes of the list of a key and namespace, in a backend that keeps them as one value.
impl<K: StateKey, N: Namespace, T: StateObject> BytesTable<K, N, Elements<T>> {
    fn append(
        &self,
        backend: &mut dyn KeyedStateBackend,
        scope: &[u8],
        bytes: &[u8],
    ) -> Result<(), StateError> {
        let layout = &self.schema.layout;
        self.append_at(backend, scope, bytes, layout.max_bytes, |length| {
            layout.check_length(length).map_err(|error| self.refused(error))
        })
    }
}

impl<'a, K: StateKey, N: Namespace, T: StateObject> View<'a, K, N, Elements<T>> {
    /// The elements: those that are kept as objects, and behind them those that were decoded. One of both is empty.
    pub(super) fn get(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
    ) -> Result<(Option<&'a CopyOnWriteList<T>>, Vec<T>), StateError> {
        match self {
            View::Objects(table) => Ok((table.get(current, namespace), Vec::new())),
            View::Bytes(table, backend) => {
                let (layout, mut elements) = (&table.schema.layout, Ok(Vec::new()));
                let mut read = |bytes: &[u8]| {
                    elements = layout.elements(bytes, |one| layout.element.serializer().deserialize(one));
                };
                table.read_at(backend, &table.scope(current, namespace)?, &mut read)?;
                Ok((None, elements.map_err(|what| table.undecodable(Some(current), what))?))
            }
        }
    }
}

impl<K: StateKey, N: Namespace, T: StateObject> ViewMut<'_, K, N, Elements<T>> {
    /// Adds an element at the end.
    #[inline]
    pub(super) fn add(self, current: &CurrentKey<K>, namespace: &N, element: T) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                table.get_or_insert_with(current, namespace, CopyOnWriteList::default).push(element);
                Ok(())
            }
            bytes @ ViewMut::Bytes(..) => bytes.add_all(current, namespace, vec![element]),
        }
    }

    /// Adds elements at the end, which are some.
    #[inline(never)]
    pub(super) fn add_all(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        elements: Vec<T>,
    ) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                let list = table.get_or_insert_with(current, namespace, CopyOnWriteList::default);
                elements.into_iter().for_each(|element| list.push(element));
                Ok(())
            }
            ViewMut::Bytes(table, backend) => {
                let bytes = table.schema.layout.bytes(&elements).map_err(|error| table.refused(error))?;
                table.append(backend, &table.scope(current, namespace)?, &bytes)
            }
        }
    }

    /// Puts elements, which are some, in the place of all there were.
    pub(super) fn update(
        self,
        current: &CurrentKey<K>,
        namespace: &N,
        elements: Vec<T>,
    ) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                table.modify(current, namespace, |_| Some(elements.into_iter().collect()));
                Ok(())
            }
            ViewMut::Bytes(table, backend) => {
                let bytes = table.schema.layout.bytes(&elements).map_err(|error| table.refused(error))?;
                table.put_at(backend, &table.scope(current, namespace)?, &bytes)
            }
        }
    }

    /// Removes all elements.
    pub(super) fn clear(self, current: &CurrentKey<K>, namespace: &N) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                table.remove(current, namespace);
                Ok(())
            }
            ViewMut::Bytes(table, backend) => table.delete_at(backend, &table.scope(current, namespace)?),
        }
    }

    /// Moves the elements of `source` behind those of `target`.
    pub(super) fn move_all(
        &mut self,
        current: &CurrentKey<K>,
        source: &N,
        target: &N,
    ) -> Result<(), StateError> {
        match self {
            ViewMut::Objects(table) => {
                if let Some(moved) = table.remove(current, source) {
                    let list = table.get_or_insert_with(current, target, CopyOnWriteList::default);
                    moved.iter().for_each(|element| list.push(element.clone()));
                }
                Ok(())
            }
            ViewMut::Bytes(table, backend) => {
                let (from, to) = (table.scope(current, source)?, table.scope(current, target)?);
                let mut moved = None;
                table.read_at(&**backend, &from, &mut |bytes| moved = Some(bytes.to_vec()))?;
                let Some(bytes) = moved else { return Ok(()) };
                table.append(&mut **backend, &to, &bytes)?;
                table.delete_at(&mut **backend, &from)
            }
        }
    }
}
