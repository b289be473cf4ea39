use super::{RemovedBy, WithTtl, copied_as_its_state};
use crate::backend::heap::{CopyOnWriteList, Visit, Visited};
use crate::state::keyed::elements::Elements;
use crate::state::keyed::layout::Layout;
use crate::state::keyed::open::sealed;
use crate::state::keyed::times::Times;
use crate::state::keyed::view::ViewMut;
use crate::state::keyed::{
    CurrentKey, KeyedStateStore, ListState, Namespace, StateDescriptor, StateHandle, StateKey,
};
use crate::state::{ListStateDescriptor, StateError, StateKind, StateObject};
use crate::ttl::{ListRead, Stamped, StateTtlConfig};
use std::borrow::Cow;

/// [`ListState`] whose elements expire, each for itself.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct TtlListState<T, N = ()> {
    state: ListState<Stamped<T>, N>,
    ttl: StateTtlConfig,
}

copied_as_its_state!(TtlListState<T>);

impl<T: StateObject, N: Namespace> TtlListState<T, N> {
    /// The elements that may be seen, in the order in which they were added. A list of which all elements have expired is
    /// removed; another one is rewritten without those, and refreshed, if reads do that.
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<impl Iterator<Item = Cow<'a, T>> + use<'a, T, N, K>, StateError> {
        let now = store.access(self.id().0, &self.ttl)?;
        let ttl = self.ttl;
        let is_visible = move |element: &&Stamped<T>| ttl.is_visible(element.updated, now);
        let owned = move |elements: &CopyOnWriteList<Stamped<T>>| -> Vec<T> {
            elements.iter().filter(is_visible).map(|element| element.value.clone()).collect()
        };
        let (current, view) = store.view_mut::<N, Elements<Stamped<T>>>(self.id().0)?;
        let (objects, copied) = match view {
            ViewMut::Objects(table) => {
                let decide =
                    |list: &CopyOnWriteList<_>, layout: &_| match self.decide(|| list.iter(), layout, now) {
                        ListRead::Keep => Visit::Keep,
                        ListRead::Refresh => Visit::Change,
                        ListRead::Remove => Visit::Remove,
                    };
                match table.visit(current, self.namespace(), decide) {
                    None => (None, Vec::new()),
                    Some(Visited::Kept(list)) => (Some(list), Vec::new()),
                    Some(Visited::Changed(list)) => {
                        let seen = owned(list);
                        *list = self.refreshed(list.iter(), now).collect();
                        (None, seen)
                    }
                    Some(Visited::Removed(list)) => (None, owned(&list)),
                }
            }
            bytes @ ViewMut::Bytes(..) => (None, self.get_bytes(bytes, current, now)?),
        };
        let objects = objects.into_iter().flat_map(CopyOnWriteList::iter).filter(is_visible);
        let objects = objects.map(|element| Cow::Borrowed(&element.value));
        Ok(objects.chain(copied.into_iter().map(Cow::Owned)))
    }

    fn get_bytes<K: StateKey>(
        &self,
        view: ViewMut<'_, K, N, Elements<Stamped<T>>>,
        current: &CurrentKey<K>,
        now: i64,
    ) -> Result<Vec<T>, StateError> {
        let list = view.as_view().get(current, self.namespace())?.1;
        match self.decide(|| list.iter(), view.layout(), now) {
            ListRead::Keep => {}
            ListRead::Refresh => {
                view.update(current, self.namespace(), self.refreshed(list.iter(), now).collect())?;
            }
            ListRead::Remove if list.is_empty() => {}
            ListRead::Remove => view.clear(current, self.namespace())?,
        }
        let seen = list.into_iter().filter(|element| self.ttl.is_visible(element.updated, now));
        Ok(seen.map(|element| element.value).collect())
    }

    /// What becomes of a list that is read; what does not stay is counted.
    fn decide<'a, I: Iterator<Item = &'a Stamped<T>>>(
        &self,
        list: impl Fn() -> I,
        layout: &Elements<Stamped<T>>,
        now: i64,
    ) -> ListRead {
        let read = self.ttl.read_list(list().map(|element| element.updated), now);
        if read != ListRead::Keep {
            let expired = list().filter(|element| self.ttl.ttl().is_expired(element.updated, now)).count();
            layout.count_removed(RemovedBy::Access, expired);
        }
        read
    }

    /// The elements that live, with a new time.
    fn refreshed<'a>(
        &'a self,
        list: impl Iterator<Item = &'a Stamped<T>> + 'a,
        now: i64,
    ) -> impl Iterator<Item = Stamped<T>> + 'a {
        let live = list.filter(move |element| !self.ttl.ttl().is_expired(element.updated, now));
        live.map(move |element| Stamped { updated: now, value: element.value.clone() })
    }

    /// Adds an element at the end; the others keep their times.
    pub fn add<K: StateKey>(&self, store: &mut KeyedStateStore<K>, element: T) -> Result<(), StateError> {
        let now = store.access(self.id().0, &self.ttl)?;
        self.state.add(store, Stamped { updated: now, value: element })
    }

    /// Adds elements at the end, in their order. Without any, nothing happens.
    pub fn add_all<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let now = store.access(self.id().0, &self.ttl)?;
        self.state.add_all(store, elements.into_iter().map(|value| Stamped { updated: now, value }))
    }

    /// Puts `elements` in the place of all there were. Without any, the list is cleared.
    pub fn update<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        elements: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let now = store.access(self.id().0, &self.ttl)?;
        self.state.update(store, elements.into_iter().map(|value| Stamped { updated: now, value }))
    }

    /// Removes all elements.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        store.access(self.id().0, &self.ttl)?;
        self.state.clear(store)
    }

    /// Moves the elements of the namespaces `sources` of the current key behind those of this one, with their times.
    pub fn merge_namespaces<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        sources: impl IntoIterator<Item = N>,
    ) -> Result<(), StateError> {
        store.access_to_merge(self.id().0, &self.ttl)?;
        self.state.merge_namespaces(store, sources)
    }
}

impl<T: StateObject> StateDescriptor for WithTtl<ListStateDescriptor<T>> {
    type State<N: Namespace> = TtlListState<T, N>;
    type Layout = Elements<Stamped<T>>;
    const KIND: StateKind = StateKind::List;

    fn state_name(&self) -> &str {
        self.descriptor.name()
    }

    fn layout(&self, times: &Times) -> Self::Layout {
        Elements {
            element: self.stamped(self.descriptor.serializer(), times),
            max_bytes: self.descriptor.max_list_bytes(),
            expiry: self.expiry(),
        }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> TtlListState<T, N> {
        TtlListState { state: ListState::new(id, namespace), ttl: self.ttl }
    }
}

impl<T, N> sealed::Sealed for TtlListState<T, N> {}

impl<T: StateObject, N: Namespace> StateHandle for TtlListState<T, N> {
    type Namespace = N;
    type Layout = Elements<Stamped<T>>;

    fn id(&self) -> sealed::Id {
        self.state.id()
    }

    fn namespace(&self) -> &N {
        self.state.namespace()
    }
}
