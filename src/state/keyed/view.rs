use super::bytes::BytesTable;
use super::layout::Layout;
use super::objects::ObjectTable;
use super::{CurrentKey, KeyedStateStore, Namespace, StateId, StateKey};
use crate::state::StateError;
use crate::state::backend::KeyedStateBackend;
use std::any::Any;

/// A state to be read.
pub(super) enum View<'a, K, N, L: Layout> {
    Objects(&'a ObjectTable<K, N, L>),
    Bytes(&'a BytesTable<K, N, L>, &'a dyn KeyedStateBackend),
}

impl<'a, K: StateKey, N: Namespace, L: Layout> View<'a, K, N, L> {
    pub(super) fn layout(&self) -> &'a L {
        match self {
            View::Objects(table) => table.layout(),
            View::Bytes(table, _) => &table.schema.layout,
        }
    }
}

/// The current key, and a state to be changed.
pub(super) type CurrentAndView<'a, K, N, L> = (&'a CurrentKey<K>, ViewMut<'a, K, N, L>);

/// A state to be changed.
pub(super) enum ViewMut<'a, K, N, L: Layout> {
    Objects(&'a mut ObjectTable<K, N, L>),
    Bytes(&'a BytesTable<K, N, L>, &'a mut dyn KeyedStateBackend),
}

impl<K: StateKey, N: Namespace, L: Layout> ViewMut<'_, K, N, L> {
    pub(super) fn layout(&self) -> &L {
        self.as_view().layout()
    }

    /// The same to be read.
    pub(super) fn as_view(&self) -> View<'_, K, N, L> {
        match self {
            ViewMut::Objects(table) => View::Objects(table),
            ViewMut::Bytes(table, backend) => View::Bytes(table, &**backend),
        }
    }
}

impl<K: StateKey> KeyedStateStore<K> {
    /// A state of the type that its handle knows.
    #[inline]
    pub(super) fn view<N: Namespace, L: Layout>(&self, id: StateId) -> Result<View<'_, K, N, L>, StateError> {
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        let table: &dyn Any = &*self.states[id.index].table;
        let view = match &self.backend {
            None => table.downcast_ref().map(View::Objects),
            Some(backend) => table.downcast_ref().map(|table| View::Bytes(table, &**backend)),
        };
        view.ok_or_else(|| StateError::ForeignHandle)
    }

    /// The current key, and a state of the type that its handle knows, to be changed.
    #[inline]
    pub(super) fn view_mut<N: Namespace, L: Layout>(
        &mut self,
        id: StateId,
    ) -> Result<CurrentAndView<'_, K, N, L>, StateError> {
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        self.view_own(id)
    }

    /// As [`view_mut`](Self::view_mut) of a state that was opened here.
    #[inline(always)]
    pub(super) fn view_own<N: Namespace, L: Layout>(
        &mut self,
        id: StateId,
    ) -> Result<CurrentAndView<'_, K, N, L>, StateError> {
        let Some(current) = &self.current else { return Err(StateError::NoCurrentKey) };
        let table: &mut dyn Any = &mut *self.states[id.index].table;
        let view = match &mut self.backend {
            None => table.downcast_mut().map(ViewMut::Objects),
            Some(backend) => table.downcast_ref().map(|table| ViewMut::Bytes(table, &mut **backend)),
        };
        // An error that is made before it is needed must be dropped when it is not: that costs as much as the access.
        view.map(|view| (current, view)).ok_or_else(|| StateError::ForeignHandle)
    }

    #[inline]
    pub(super) fn current(&self) -> Result<&CurrentKey<K>, StateError> {
        self.current.as_ref().ok_or_else(|| StateError::NoCurrentKey)
    }
}
