use super::elements::Elements;
use super::open::{copied_as_its_namespace, sealed};
use super::times::Times;
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
/// The elements of a list together may have [`MAX_RECORD_BYTES`](crate::state::serializer::MAX_RECORD_BYTES), with their
/// lengths. Where state is kept as bytes, what would make it longer is refused and the list stays as it is; where it is
/// kept as objects, whose bytes nobody has counted, the snapshot is refused.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct ListState<T, N = ()> {
    id: sealed::Id,
    namespace: N,
    marker: PhantomData<fn() -> T>,
}

impl<T, N> ListState<T, N> {
    pub(super) fn new(id: sealed::Id, namespace: N) -> Self {
        ListState { id, namespace, marker: PhantomData }
    }
}

impl<T: StateObject, N: Namespace> ListState<T, N> {
    /// The elements, in the order in which they were added.
    #[inline]
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = Cow<'a, T>> + use<'a, T, N, K>, StateError> {
        let view = store.view::<N, Elements<T>>(self.id.0)?;
        let (objects, decoded) = view.get(store.current()?, &self.namespace)?;
        let objects = objects.into_iter().flat_map(CopyOnWriteList::iter).map(Cow::Borrowed);
        Ok(objects.chain(decoded.into_iter().map(Cow::Owned)))
    }

    /// The number of elements.
    #[inline]
    pub fn len<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<usize, StateError> {
        let view = store.view::<N, Elements<T>>(self.id.0)?;
        let (objects, decoded) = view.get(store.current()?, &self.namespace)?;
        Ok(objects.map_or(decoded.len(), CopyOnWriteList::len))
    }

    /// Whether there is no element.
    pub fn is_empty<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<bool, StateError> {
        Ok(self.len(store)? == 0)
    }

    /// Adds an element at the end.
    #[inline]
    pub fn add<K: StateKey>(&self, store: &mut KeyedStateStore<K>, element: T) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Elements<T>>(self.id.0)?;
        view.add(current, &self.namespace, element)
    }

    /// Adds elements at the end, in their order. Without any, nothing happens.
    pub fn add_all<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Elements<T>>(self.id.0)?;
        let elements: Vec<T> = elements.into_iter().collect();
        match elements.is_empty() {
            true => Ok(()),
            false => view.add_all(current, &self.namespace, elements),
        }
    }

    /// Puts `elements` in the place of all there were. Without any, the list is cleared.
    pub fn update<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Elements<T>>(self.id.0)?;
        let elements: Vec<T> = elements.into_iter().collect();
        match elements.is_empty() {
            true => view.clear(current, &self.namespace),
            false => view.update(current, &self.namespace, elements),
        }
    }

    /// Removes all elements.
    #[inline]
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Elements<T>>(self.id.0)?;
        view.clear(current, &self.namespace)
    }

    /// Moves the elements of the namespaces `sources` of the current key behind those of this one. Namespaces without
    /// elements, and this one among them, change nothing.
    pub fn merge_namespaces<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        sources: impl IntoIterator<Item = N>,
    ) -> Result<(), StateError> {
        let (current, mut view) = store.view_mut::<N, Elements<T>>(self.id.0)?;
        let mut sources = sources.into_iter().filter(|source| *source != self.namespace);
        sources.try_for_each(|source| view.move_all(current, &source, &self.namespace))
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

    fn layout(&self, _: &Times) -> Elements<T> {
        let element = ResolvedSerializer::new(Arc::clone(self.serializer()));
        Elements { element, max_bytes: self.max_list_bytes(), expiry: None }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> ListState<T, N> {
        ListState::new(id, namespace)
    }
}

copied_as_its_namespace!(ListState<T>);

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
