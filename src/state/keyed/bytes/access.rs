//! Entries of a state, whichever serializers have written them.

use super::{BytesTable, OlderVersion};
use crate::state::StateError;
use crate::state::backend::{
    BackendError, BackendSnapshot, EachEntry, Entries, Entry, KeyedStateBackend, StateNumber,
};
use crate::state::keyed::layout::Layout;
use crate::state::keyed::{Namespace, StateKey};
use std::iter::Peekable;
use std::ops::ControlFlow;

/// What entries can be read of: a backend as it is, or a snapshot.
pub trait Readable {
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a>;
    fn visit(&self, state: StateNumber, prefix: &[u8], each: &mut EachEntry<'_>) -> Result<(), BackendError>;
}

impl Readable for dyn KeyedStateBackend + '_ {
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        KeyedStateBackend::scan(self, state, prefix)
    }

    fn visit(&self, state: StateNumber, prefix: &[u8], each: &mut EachEntry<'_>) -> Result<(), BackendError> {
        KeyedStateBackend::visit(self, state, prefix, each)
    }
}

impl Readable for dyn BackendSnapshot + '_ {
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        BackendSnapshot::scan(self, state, prefix)
    }

    fn visit(&self, state: StateNumber, prefix: &[u8], each: &mut EachEntry<'_>) -> Result<(), BackendError> {
        BackendSnapshot::visit(self, state, prefix, each)
    }
}

impl<K: StateKey, N: Namespace, L: Layout> BytesTable<K, N, L> {
    /// Gives the bytes at `key` to `read`, as the present serializers have them.
    pub(in crate::state::keyed) fn read_at(
        &self,
        backend: &dyn KeyedStateBackend,
        key: &[u8],
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StateError> {
        if backend.read(self.state, key, read).map_err(|error| self.failed(error))? {
            return Ok(());
        }
        for older in &self.older {
            if let Some(bytes) = self.migrated_at(older, backend, key)? {
                read(&bytes);
                break;
            }
        }
        Ok(())
    }

    /// Puts bytes at `key`, whatever was there.
    pub(in crate::state::keyed) fn put_at(
        &self,
        backend: &mut dyn KeyedStateBackend,
        key: &[u8],
        bytes: &[u8],
    ) -> Result<(), StateError> {
        backend.put(self.state, key, bytes).map_err(|error| self.failed(error))?;
        self.delete_older(backend, key)
    }

    /// Appends bytes to those at `key`, after `check` has seen how many there are then: exactly, or more as long as they are not
    /// more than `enough`.
    pub(in crate::state::keyed) fn append_at(
        &self,
        backend: &mut dyn KeyedStateBackend,
        key: &[u8],
        bytes: &[u8],
        enough: usize,
        check: impl FnOnce(usize) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        // What is appended to is touched.
        for older in &self.older {
            if let Some(bytes) = self.migrated_at(older, &*backend, key)? {
                self.put_at(backend, key, &bytes)?;
                break;
            }
        }
        let enough = enough.saturating_sub(bytes.len());
        let before = backend.value_bytes(self.state, key, enough).map_err(|error| self.failed(error))?;
        check(before.saturating_add(bytes.len()))?;
        backend.append(self.state, key, bytes).map_err(|error| self.failed(error))
    }

    /// Removes what is at `key`.
    pub(in crate::state::keyed) fn delete_at(
        &self,
        backend: &mut dyn KeyedStateBackend,
        key: &[u8],
    ) -> Result<(), StateError> {
        backend.delete(self.state, key).map_err(|error| self.failed(error))?;
        self.delete_older(backend, key)
    }

    fn delete_older(&self, backend: &mut dyn KeyedStateBackend, key: &[u8]) -> Result<(), StateError> {
        let mut older = self.older.iter();
        older.try_for_each(|older| backend.delete(older.state, key)).map_err(|error| self.failed(error))
    }

    fn migrated_at(
        &self,
        older: &OlderVersion<L>,
        backend: &dyn KeyedStateBackend,
        key: &[u8],
    ) -> Result<Option<Vec<u8>>, StateError> {
        let mut migrated = None;
        let mut migrate = |bytes: &[u8]| {
            migrated = Some(older.layout.migrate_value(bytes).map(std::borrow::Cow::into_owned));
        };
        backend.read(older.state, key, &mut migrate).map_err(|error| self.failed(error))?;
        migrated.transpose().map_err(|what| self.undecodable_at(key, what))
    }

    /// All entries whose keys begin with `prefix`, in the order of their keys, as the present serializers have them.
    pub(in crate::state::keyed) fn scan<'a>(
        &'a self,
        from: &'a (impl Readable + ?Sized),
        prefix: &'a [u8],
    ) -> impl Iterator<Item = Result<Entry, StateError>> + 'a {
        let present = from.scan(self.state, prefix).map(|entry| entry.map_err(|error| self.failed(error)));
        let older = self.older.iter().map(move |older| -> StateEntries<'a> {
            let entries = from.scan(older.state, prefix);
            Box::new(entries.map(move |entry| {
                let (key, value) = entry.map_err(|error| self.failed(error))?;
                let migrated = older.layout.migrate_value(&value).map(std::borrow::Cow::into_owned);
                let value = migrated.map_err(|what| self.undecodable_at(&key, what))?;
                Ok((key, value))
            }))
        });
        let mut versions: Vec<Peekable<StateEntries<'a>>> =
            vec![(Box::new(present) as StateEntries<'a>).peekable()];
        versions.extend(older.map(Iterator::peekable));
        std::iter::from_fn(move || next_of(&mut versions))
    }

    /// Gives all entries whose keys begin with `prefix` to `each`, in the order of their keys, until it breaks off.
    pub(in crate::state::keyed) fn visit(
        &self,
        from: &(impl Readable + ?Sized),
        prefix: &[u8],
        each: &mut EachEntry<'_>,
    ) -> Result<(), StateError> {
        if self.older.is_empty() {
            return from.visit(self.state, prefix, each).map_err(|error| self.failed(error));
        }
        for entry in self.scan(from, prefix) {
            let (key, value) = entry?;
            if each(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Whether there is nothing, as far as it can be read.
    pub(super) fn has_no_entry(&self, from: &(impl Readable + ?Sized)) -> bool {
        let mut states = std::iter::once(self.state).chain(self.older.iter().map(|older| older.state));
        states.all(|state| has_no_entry(from, state))
    }
}

type StateEntries<'a> = Box<dyn Iterator<Item = Result<Entry, StateError>> + 'a>;

/// The entry with the lowest key; what cannot be read comes before all.
fn next_of(versions: &mut [Peekable<StateEntries<'_>>]) -> Option<Result<Entry, StateError>> {
    let lowest = |versions: &mut [Peekable<StateEntries<'_>>]| -> Option<usize> {
        let keys = versions.iter_mut().enumerate().filter_map(|(number, entries)| {
            let key = entries.peek()?.as_ref().ok().map(|(key, _)| &key[..]);
            Some((key, number))
        });
        keys.min().map(|(_, number)| number)
    };
    let lowest = lowest(versions)?;
    let next = versions[lowest].next();
    if let Some(Ok((key, _))) = &next {
        // The newest counts, as where a key is looked up: to write may have failed before the older one was removed.
        let is_old = |entry: &Result<Entry, StateError>| entry.as_ref().is_ok_and(|(other, _)| other == key);
        versions[lowest + 1..].iter_mut().for_each(|entries| while entries.next_if(is_old).is_some() {});
    }
    next
}

/// Whether there is nothing in a state, as far as it can be read: what cannot be is told when it is written.
pub(super) fn has_no_entry(from: &(impl Readable + ?Sized), state: StateNumber) -> bool {
    let mut has_none = true;
    let visited = from.visit(state, &[], &mut |_, _| {
        has_none = false;
        ControlFlow::Break(())
    });
    has_none && visited.is_ok()
}
