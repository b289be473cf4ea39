use super::layout::Layout;
use crate::state::backend::BackendSnapshot;
use crate::state::serializer::{ResolvedSerializer, StateSerializer, resolve};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateKind, StatePart};
use std::any::Any;
use std::sync::Arc;

/// How the scopes and the content of a state become bytes.
pub(super) struct Schema<K, N, L> {
    pub(super) kind: StateKind,
    pub(super) key: Arc<dyn StateSerializer<K>>,
    pub(super) namespace: ResolvedSerializer<N>,
    pub(super) layout: L,
}

impl<K, N, L: Layout> Schema<K, N, L> {
    pub(super) fn header(&self, name: &str) -> KeyedStateHeader {
        let (user_key, value) = self.layout.serializers();
        let namespace = self.namespace.serializer().snapshot();
        KeyedStateHeader { name: name.to_owned(), kind: self.kind, namespace, user_key, value }
    }

    /// The schema that reads what was written under `header`.
    pub(super) fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError> {
        let namespace = self.namespace.serializer();
        let namespace = resolve(&header.name, StatePart::Namespaces, namespace, &header.namespace)?;
        Ok(Schema { namespace, layout: self.layout.after(header)?, ..self })
    }
}

/// A state of a store, of which only the key type is known.
pub(super) trait AnyTable<K>: Any + Send {
    /// Its part in a snapshot of the store that is being taken.
    fn share(&mut self) -> Box<dyn TableSnapshot>;
}

/// The content of a state at one moment: its own, or in the snapshot of the backend that keeps it.
pub(super) trait TableSnapshot: Send {
    /// What the snapshot says about it.
    fn header(&self) -> KeyedStateHeader;

    /// Whether there is nothing, as far as that can be known.
    fn is_empty(&self, backend: Option<&dyn BackendSnapshot>) -> bool;

    fn write(
        &self,
        backend: Option<&dyn BackendSnapshot>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError>;
}
