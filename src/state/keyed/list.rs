use super::layout::Elements;
use super::open::sealed;
use super::table::Table;
use super::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::backend::heap::CopyOnWriteList;
use crate::state::serializer::ResolvedSerializer;
use crate::state::{ListStateDescriptor, StateError, StateKind, StateObject};
use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;

/// State of one list per key (Flink: `ListState`). Every access is about the store's current key. A list without
/// elements is no list.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
#[derive(Clone, Copy, Debug)]
pub struct ListState<T, N = ()> {
    id: sealed::Id,
    namespace: N,
    marker: PhantomData<fn() -> T>,
}

impl<T: StateObject, N: Namespace> ListState<T, N> {
    /// The elements, in the order in which they were added.
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = Cow<'a, T>> + use<'a, T, N, K>, StateError> {
        let table = store.table::<Table<K, N, Elements<T>>>(self.id.0)?;
        let list = table.get(store.current()?, &self.namespace);
        Ok(list.into_iter().flat_map(CopyOnWriteList::iter).map(Cow::Borrowed))
    }

    /// The number of elements.
    pub fn len<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<usize, StateError> {
        let table = store.table::<Table<K, N, Elements<T>>>(self.id.0)?;
        Ok(table.get(store.current()?, &self.namespace).map_or(0, CopyOnWriteList::len))
    }

    /// Whether there is no element.
    pub fn is_empty<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<bool, StateError> {
        Ok(self.len(store)? == 0)
    }

    /// Adds an element at the end.
    pub fn add<K: StateKey>(&self, store: &mut KeyedStateStore<K>, element: T) -> Result<(), StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Elements<T>>>(self.id.0)?;
        table.get_or_insert_with(current, &self.namespace, CopyOnWriteList::default).push(element);
        Ok(())
    }

    /// Adds elements at the end, in their order. Without any, nothing happens.
    pub fn add_all<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Elements<T>>>(self.id.0)?;
        let mut elements = elements.into_iter().peekable();
        if elements.peek().is_some() {
            let list = table.get_or_insert_with(current, &self.namespace, CopyOnWriteList::default);
            elements.for_each(|element| list.push(element));
        }
        Ok(())
    }

    /// Puts `elements` in the place of all there were. Without any, the list is cleared.
    pub fn update<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Elements<T>>>(self.id.0)?;
        let list: CopyOnWriteList<T> = elements.into_iter().collect();
        table.modify(current, &self.namespace, |_| (list.len() > 0).then_some(list));
        Ok(())
    }

    /// Removes all elements.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Elements<T>>>(self.id.0)?;
        table.remove(current, &self.namespace);
        Ok(())
    }

    /// Moves the elements of the namespaces `sources` of the current key behind those of this one. Namespaces without
    /// elements, and this one among them, change nothing.
    pub fn merge_namespaces<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        sources: impl IntoIterator<Item = N>,
    ) -> Result<(), StateError> {
        let (current, table) = store.current_and_table::<Table<K, N, Elements<T>>>(self.id.0)?;
        for source in sources.into_iter().filter(|source| *source != self.namespace) {
            if let Some(moved) = table.remove(current, &source) {
                let list = table.get_or_insert_with(current, &self.namespace, CopyOnWriteList::default);
                moved.iter().for_each(|element| list.push(element.clone()));
            }
        }
        Ok(())
    }
}

impl<T: StateObject> sealed::Sealed for ListStateDescriptor<T> {}

impl<T: StateObject> StateDescriptor for ListStateDescriptor<T> {
    type State<N: Namespace> = ListState<T, N>;
    type Layout = Elements<T>;
    const KIND: StateKind = StateKind::List;

    fn state_name(&self) -> &str {
        self.name()
    }

    fn layout(&self) -> Elements<T> {
        Elements { element: ResolvedSerializer::new(Arc::clone(self.serializer())) }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> ListState<T, N> {
        ListState { id, namespace, marker: PhantomData }
    }
}

impl<T, N> sealed::Sealed for ListState<T, N> {}

impl<T: StateObject, N: Namespace> StateHandle for ListState<T, N> {
    type Namespace = N;
    type Layout = Elements<T>;

    fn id(&self) -> sealed::Id {
        self.id
    }

    fn namespace(&self) -> &N {
        &self.namespace
    }
}
