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

/// The current key, and a state to be changed.
pub(super) type CurrentAndView<'a, K, N, L> = (&'a CurrentKey<K>, ViewMut<'a, K, N, L>);

/// A state to be changed.
pub(super) enum ViewMut<'a, K, N, L: Layout> {
    Objects(&'a mut ObjectTable<K, N, L>),
    Bytes(&'a BytesTable<K, N, L>, &'a mut dyn KeyedStateBackend),
}

impl<K: StateKey> KeyedStateStore<K> {
    /// A state of the type that its handle knows.
    #[inline]
    pub(super) fn view<N: Namespace, L: Layout>(&self, id: StateId) -> Result<View<'_, K, N, L>, StateError> {
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        let table: &dyn Any = &*self.states[id.index].table;
        match (table.downcast_ref(), &self.backend) {
            (Some(table), _) => Ok(View::Objects(table)),
            (None, Some(backend)) => match table.downcast_ref() {
                Some(table) => Ok(View::Bytes(table, &**backend)),
                None => Err(StateError::ForeignHandle),
            },
            (None, None) => Err(StateError::ForeignHandle),
        }
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
        let current = self.current.as_ref().ok_or(StateError::NoCurrentKey)?;
        let table: &mut dyn Any = &mut *self.states[id.index].table;
        if table.is::<ObjectTable<K, N, L>>() {
            let table = table.downcast_mut().ok_or(StateError::ForeignHandle)?;
            return Ok((current, ViewMut::Objects(table)));
        }
        match (table.downcast_ref(), &mut self.backend) {
            (Some(table), Some(backend)) => Ok((current, ViewMut::Bytes(table, &mut **backend))),
            _ => Err(StateError::ForeignHandle),
        }
    }

    #[inline]
    pub(super) fn current(&self) -> Result<&CurrentKey<K>, StateError> {
        self.current.as_ref().ok_or(StateError::NoCurrentKey)
    }
}
