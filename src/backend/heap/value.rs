use super::table::{Table, hash_of};
use super::{CurrentKey, HeapKeyedStateBackend, StateKey, StateValue};
use std::any::Any;
use std::marker::PhantomData;

/// An opened state of one value per key. It belongs to the backend that opened it.
///
/// All methods are about the backend's current key, and panic when there is none or when the backend is not the
/// one that opened this state: both are errors of the caller, like an index out of bounds.
#[derive(Debug)]
pub struct ValueState<V> {
    backend: u64,
    index: usize,
    marker: PhantomData<fn() -> V>,
}

impl<V> Clone for ValueState<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for ValueState<V> {}

impl<V: StateValue> ValueState<V> {
    pub(super) fn new(backend: u64, index: usize) -> Self {
        ValueState { backend, index, marker: PhantomData }
    }

    /// The value, if there is one.
    ///
    /// # Panics
    /// Without a current key, and for another backend.
    #[must_use]
    pub fn get<'a, K: StateKey>(&self, backend: &'a HeapKeyedStateBackend<K>) -> Option<&'a V> {
        let current = expect_key(backend.current.as_ref());
        self.table(backend).groups[current.group].get(current.hash, |key| *key == current.key)
    }

    /// Puts `value` in the place of whatever there was.
    ///
    /// # Panics
    /// Without a current key, and for another backend.
    pub fn update<K: StateKey>(&self, backend: &mut HeapKeyedStateBackend<K>, value: V) {
        let (current, table) = self.current_and_table(backend);
        let (is, key) = (|key: &K| *key == current.key, || current.key.clone());
        table.groups[current.group].insert(current.hash, is, hash_of, key, value);
    }

    /// Puts what `change` makes of the value in its place; `None` clears it.
    ///
    /// # Panics
    /// Without a current key, and for another backend.
    pub fn modify<K: StateKey>(
        &self,
        backend: &mut HeapKeyedStateBackend<K>,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) {
        let (current, table) = self.current_and_table(backend);
        let (is, key) = (|key: &K| *key == current.key, || current.key.clone());
        table.groups[current.group].modify(current.hash, is, hash_of, key, change);
    }

    /// The value, to be changed in place; if there is none, `insert()` becomes the value first. The fastest way
    /// to read, modify and write.
    ///
    /// # Panics
    /// Without a current key, and for another backend.
    pub fn get_or_insert_with<'a, K: StateKey>(
        &self,
        backend: &'a mut HeapKeyedStateBackend<K>,
        insert: impl FnOnce() -> V,
    ) -> &'a mut V {
        let (current, table) = self.current_and_table(backend);
        let is = |key: &K| *key == current.key;
        let make = || (current.key.clone(), insert());
        table.groups[current.group].get_or_insert_with(current.hash, is, hash_of, make)
    }

    /// Removes the value.
    ///
    /// # Panics
    /// Without a current key, and for another backend.
    pub fn clear<K: StateKey>(&self, backend: &mut HeapKeyedStateBackend<K>) {
        let (current, table) = self.current_and_table(backend);
        table.groups[current.group].remove(current.hash, |key| *key == current.key);
    }

    /// The number of keys that have a value; needs no current key.
    ///
    /// # Panics
    /// For another backend.
    #[must_use]
    pub fn len<K: StateKey>(&self, backend: &HeapKeyedStateBackend<K>) -> usize {
        self.table(backend).groups.iter().map(|group| group.len()).sum()
    }

    /// Whether no key has a value; needs no current key.
    ///
    /// # Panics
    /// For another backend.
    #[must_use]
    pub fn is_empty<K: StateKey>(&self, backend: &HeapKeyedStateBackend<K>) -> bool {
        self.len(backend) == 0
    }

    /// All keys with their values, by key group, within a group in no particular order; needs no current key.
    ///
    /// # Panics
    /// For another backend.
    pub fn entries<'a, K: StateKey>(
        &self,
        backend: &'a HeapKeyedStateBackend<K>,
    ) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
        self.table(backend).groups.iter().flat_map(|group| group.iter())
    }

    fn table<'a, K: StateKey>(&self, backend: &'a HeapKeyedStateBackend<K>) -> &'a Table<K, V> {
        self.check(backend.id);
        let table: &dyn Any = &*backend.tables[self.index].table;
        table.downcast_ref().expect("the backend opened the state with this type")
    }

    fn current_and_table<'a, K: StateKey>(
        &self,
        backend: &'a mut HeapKeyedStateBackend<K>,
    ) -> (&'a CurrentKey<K>, &'a mut Table<K, V>) {
        self.check(backend.id);
        let table: &mut dyn Any = &mut *backend.tables[self.index].table;
        let table = table.downcast_mut().expect("the backend opened the state with this type");
        (expect_key(backend.current.as_ref()), table)
    }

    fn check(&self, backend: u64) {
        assert!(self.backend == backend, "a value state is used with the backend that opened it");
    }
}

fn expect_key<K>(current: Option<&CurrentKey<K>>) -> &CurrentKey<K> {
    current.expect("a current key is set before keyed state is used")
}
