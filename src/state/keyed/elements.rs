//! States that hold a list for each key and namespace.

use super::layout::{Layout, Migrated, append_serialized};
use super::view::{View, ViewMut};
use super::{CurrentKey, Namespace, StateKey};
use crate::backend::heap::CopyOnWriteList;
use crate::codec::{append_record, take_record};
use crate::state::serializer::{
    MAX_RECORD_BYTES, ResolvedSerializer, SerializerSnapshot, refuse_beyond, resolve,
};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject, StatePart};
use std::borrow::Cow;

/// A list: one entry, whose value is the elements as records.
#[derive(Clone)]
pub struct Elements<T> {
    pub(super) element: ResolvedSerializer<T>,
}

impl<T: StateObject> Layout for Elements<T> {
    type Stored = CopyOnWriteList<T>;

    fn serializers(&self) -> (Option<SerializerSnapshot>, SerializerSnapshot) {
        (None, self.element.serializer().snapshot())
    }

    fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError> {
        Ok(Elements {
            element: resolve(&header.name, StatePart::Values, self.element.serializer(), &header.value)?,
        })
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

    fn migrate<'a>(&self, _: Option<&'a [u8]>, value: &'a [u8]) -> Result<Migrated<'a>, String> {
        if !self.element.migrates() {
            return Ok((None, Cow::Borrowed(value)));
        }
        let elements = self.elements(value, |bytes| self.element.read_restored(bytes))?;
        Ok((None, Cow::Owned(self.bytes(&elements).map_err(|error| error.to_string())?)))
    }

    fn write(
        &self,
        scope: &[u8],
        stored: &Self::Stored,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        target.entry(scope, |bytes| {
            append_record(bytes, |bytes| self.append_within(MAX_RECORD_BYTES, stored.iter(), bytes))
        })
    }
}

impl<T> Elements<T> {
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
        self.append_within(MAX_RECORD_BYTES, elements.iter(), &mut bytes)?;
        Ok(bytes)
    }

    /// Appends the records of all elements, at most `limit` bytes, which is [`MAX_RECORD_BYTES`] but for tests.
    fn append_within<'a>(
        &self,
        limit: usize,
        mut elements: impl Iterator<Item = &'a T>,
        target: &mut Vec<u8>,
    ) -> Result<(), StateError>
    where
        T: 'a,
    {
        let (serializer, before) = (self.element.serializer(), target.len());
        elements.try_for_each(|element| {
            append_serialized(target, serializer, element)?;
            let what = || format!("list of {}", serializer.snapshot().id);
            Ok(refuse_beyond(limit, target.len().saturating_sub(before), what)?)
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
                let bytes = backend.get(table.state, &table.scope(current, namespace)?);
                let bytes = bytes.map_err(|error| table.failed(error))?.unwrap_or_default();
                let layout = &table.schema.layout;
                let elements = layout.elements(&bytes, |one| layout.element.serializer().deserialize(one));
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
                let bytes = table.schema.layout.bytes(&elements)?;
                let appended = backend.append(table.state, &table.scope(current, namespace)?, &bytes);
                appended.map_err(|error| table.failed(error))
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
                let bytes = table.schema.layout.bytes(&elements)?;
                let put = backend.put(table.state, &table.scope(current, namespace)?, &bytes);
                put.map_err(|error| table.failed(error))
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
            ViewMut::Bytes(table, backend) => {
                let deleted = backend.delete(table.state, &table.scope(current, namespace)?);
                deleted.map_err(|error| table.failed(error))
            }
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
                let mut moved = || {
                    let Some(bytes) = backend.get(table.state, &from)? else { return Ok(()) };
                    backend.append(table.state, &to, &bytes)?;
                    backend.delete(table.state, &from)
                };
                moved().map_err(|error| table.failed(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::serializer::SerdeSerializer;
    use std::sync::Arc;

    /// W9: a list as a whole has the limit that each of its elements has.
    #[test]
    fn keyed_list_of_more_bytes_than_a_value_may_have_is_refused() {
        let texts = Elements {
            element: ResolvedSerializer::new(Arc::new(SerdeSerializer::<String>::with_id("text"))),
        };
        let append = |limit, elements: &[String]| {
            let mut target = b"before".to_vec();
            texts.append_within(limit, elements.iter(), &mut target).map(|()| target.len() - 6)
        };
        let elements = ["a".to_owned(), "b".to_owned(), "c".to_owned()];
        assert_eq!(append(9, &elements).expect("three bytes each"), 9);
        let refused = append(8, &elements).expect_err("nine bytes").to_string();
        assert_eq!(
            refused,
            "a value is refused: a list of text of 9 bytes is more than the 8 that one may have"
        );
    }
}
