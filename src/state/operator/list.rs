use super::held::{Held, Openable, write_record};
use super::{OperatorStateBackend, OperatorStateType, RawOperatorState, StateId};
use crate::codec::{BlockWriter, CodecError};
use crate::state::serializer::{ResolvedSerializer, StateSerializer, resolve};
use crate::state::{StateError, StateObject, StatePart};
use std::fmt;
use std::io::Write;
use std::marker::PhantomData;
use std::sync::Arc;

/// An opened list of operator state (Flink: `ListState` of an `OperatorStateStore`). Small and copied freely; it belongs
/// to the backend that opened it.
///
/// # Errors
/// Of all methods: [`StateError::ForeignHandle`], the list was opened by another backend.
pub struct OperatorListState<T> {
    id: StateId,
    marker: PhantomData<fn() -> T>,
}

impl<T> Clone for OperatorListState<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for OperatorListState<T> {}

impl<T> fmt::Debug for OperatorListState<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperatorListState").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<T: StateObject> OperatorListState<T> {
    pub(super) fn new(id: StateId) -> Self {
        OperatorListState { id, marker: PhantomData }
    }

    /// The items in their order.
    pub fn get<'a>(&self, backend: &'a OperatorStateBackend) -> Result<&'a [T], StateError> {
        Ok(&backend.held::<Items<T>>(self.id)?.items)
    }

    /// Adds an item at the end.
    pub fn add(&self, backend: &mut OperatorStateBackend, item: T) -> Result<(), StateError> {
        self.add_all(backend, [item])
    }

    /// Adds items at the end.
    pub fn add_all(
        &self,
        backend: &mut OperatorStateBackend,
        items: impl IntoIterator<Item = T>,
    ) -> Result<(), StateError> {
        let held = backend.held_mut::<Items<T>>(self.id)?;
        Arc::make_mut(&mut held.items).extend(items);
        Ok(())
    }

    /// Puts `items` in the place of all items.
    pub fn update(&self, backend: &mut OperatorStateBackend, items: Vec<T>) -> Result<(), StateError> {
        backend.held_mut::<Items<T>>(self.id)?.items = Arc::new(items);
        Ok(())
    }

    /// Removes all items.
    pub fn clear(&self, backend: &mut OperatorStateBackend) -> Result<(), StateError> {
        self.update(backend, Vec::new())
    }
}

/// Which kind of list.
#[derive(Clone, Copy)]
pub(super) enum ListKind {
    Split,
    Union,
}

/// The content of a list.
#[derive(Clone)]
pub(super) struct Items<T> {
    kind: ListKind,
    item: ResolvedSerializer<T>,
    items: Arc<Vec<T>>,
}

impl<T> Items<T> {
    pub(super) fn new(kind: ListKind, serializer: Arc<dyn StateSerializer<T>>) -> Self {
        Items { kind, item: ResolvedSerializer::new(serializer), items: Arc::default() }
    }
}

impl<T: StateObject> Held for Items<T> {
    fn state_type(&self) -> OperatorStateType {
        let item = self.item.serializer().snapshot();
        match self.kind {
            ListKind::Split => OperatorStateType::SplitList(item),
            ListKind::Union => OperatorStateType::UnionList(item),
        }
    }

    fn items(&self) -> u64 {
        self.items.len() as u64
    }

    fn write(&self, target: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError> {
        let (serializer, mut scratch) = (&**self.item.serializer(), Vec::new());
        self.items.iter().try_for_each(|item| write_record(serializer, item, &mut scratch, target))
    }

    fn share(&self) -> Box<dyn Held> {
        Box::new(self.clone())
    }
}

impl<T: StateObject> Openable for Items<T> {
    fn restored(self, name: &str, raw: &RawOperatorState) -> Result<Self, StateError> {
        let written = match (&raw.state_type, self.kind) {
            (OperatorStateType::SplitList(item), ListKind::Split)
            | (OperatorStateType::UnionList(item), ListKind::Union) => item,
            _ => return Err(StateError::mismatch(name, &raw.state_type, &self.state_type())),
        };
        let item = resolve(name, StatePart::Values, self.item.serializer(), written)?;
        let items = raw.decode(name, |[bytes]| item.read_restored(bytes))?;
        Ok(Items { kind: self.kind, item, items: Arc::new(items) })
    }
}
