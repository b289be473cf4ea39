//! How the state of one key and namespace is kept in memory, and how it becomes entries of a snapshot.

use crate::backend::heap::{CopyOnWriteList, CopyOnWriteMap};
use crate::codec::{append_record, take_record};
use crate::state::serializer::{ResolvedSerializer, SerializerSnapshot, StateSerializer, resolve};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateObject, StatePart};
use std::hash::Hash;
use std::sync::Arc;

/// Appends a value as a record.
pub(super) fn append_serialized<T>(
    target: &mut Vec<u8>,
    serializer: &Arc<dyn StateSerializer<T>>,
    value: &T,
) -> Result<(), StateError> {
    append_record(target, |bytes| Ok(serializer.serialize(value, bytes)?))
}

/// What one kind of state keeps for each key and namespace.
pub trait Layout: Clone + Send + Sync + 'static {
    /// The content, cheap to clone where it can be large.
    type Stored: StateObject;

    /// The serializers of the user's keys, for maps, and of values.
    fn serializers(&self) -> (Option<SerializerSnapshot>, SerializerSnapshot);

    /// The layout that reads what was written under `header`.
    fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError>;

    /// Adds an entry of a snapshot to what the entries before it have made.
    fn read(
        &self,
        stored: Option<&mut Self::Stored>,
        user_key: Option<&[u8]>,
        value: &[u8],
    ) -> Result<Option<Self::Stored>, String>;

    /// Writes the entries; `scope` holds the records of key and namespace.
    fn write(
        &self,
        scope: &[u8],
        stored: &Self::Stored,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError>;
}

/// One value.
#[derive(Clone)]
pub struct Single<V> {
    pub(super) value: ResolvedSerializer<V>,
}

impl<V: StateObject> Layout for Single<V> {
    type Stored = V;

    fn serializers(&self) -> (Option<SerializerSnapshot>, SerializerSnapshot) {
        (None, self.value.serializer().snapshot())
    }

    fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError> {
        Ok(Single {
            value: resolve(&header.name, StatePart::Values, self.value.serializer(), &header.value)?,
        })
    }

    fn read(&self, stored: Option<&mut V>, _: Option<&[u8]>, value: &[u8]) -> Result<Option<V>, String> {
        match stored {
            Some(_) => Err("one key has two values".to_owned()),
            None => self.value.read_restored(value).map(Some),
        }
    }

    fn write(&self, scope: &[u8], stored: &V, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError> {
        target.entry(scope, |bytes| append_serialized(bytes, self.value.serializer(), stored))
    }
}

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
        mut value: &[u8],
    ) -> Result<Option<Self::Stored>, String> {
        if stored.is_some() {
            return Err("one key has two lists".to_owned());
        }
        let mut list = CopyOnWriteList::default();
        while !value.is_empty() {
            let element = take_record(&mut value).ok_or("the list ends within an element")?;
            list.push(self.element.read_restored(element)?);
        }
        Ok(Some(list))
    }

    fn write(
        &self,
        scope: &[u8],
        stored: &Self::Stored,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        target.entry(scope, |bytes| {
            let elements = |bytes: &mut Vec<u8>| {
                stored.iter().try_for_each(|one| append_serialized(bytes, self.element.serializer(), one))
            };
            append_record(bytes, elements)
        })
    }
}

/// A map: an entry for each of its own.
pub struct Entries<UK, UV> {
    pub(super) key: ResolvedSerializer<UK>,
    pub(super) value: ResolvedSerializer<UV>,
}

impl<UK, UV> Clone for Entries<UK, UV> {
    fn clone(&self) -> Self {
        Entries { key: self.key.clone(), value: self.value.clone() }
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

    fn write(
        &self,
        scope: &[u8],
        stored: &Self::Stored,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError> {
        stored.iter().try_for_each(|(key, value)| {
            target.entry(scope, |bytes| {
                append_serialized(bytes, self.key.serializer(), key)?;
                append_serialized(bytes, self.value.serializer(), value)
            })
        })
    }
}
