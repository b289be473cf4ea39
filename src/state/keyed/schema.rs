use super::layout::{Expiring, Layout};
use super::times::{CleanUp, Times};
use super::ttl::RemovedBy;
use crate::state::backend::BackendSnapshot;
use crate::state::serializer::{ResolvedSerializer, StateSerializer, has_times, resolve};
use crate::state::{KeyedStateHeader, KeyedStateWriter, StateError, StateKind, StatePart};
use crate::ttl::OldestUpdate;
use std::any::Any;
use std::sync::Arc;

/// How the scopes and the content of a state become bytes.
pub(super) struct Schema<K, N, L> {
    pub(super) kind: StateKind,
    pub(super) key: Arc<dyn StateSerializer<K>>,
    pub(super) namespace: ResolvedSerializer<N>,
    pub(super) layout: L,
}

impl<K, N: 'static, L: Layout> Schema<K, N, L> {
    pub(super) fn header(&self, name: &str) -> KeyedStateHeader {
        let (user_key, value) = self.layout.serializers();
        let namespace = self.namespace.serializer().snapshot();
        KeyedStateHeader { name: name.to_owned(), kind: self.kind, namespace, user_key, value }
    }

    /// Whether values that were written under `header` had times and the present ones have none, or the other way round.
    pub(super) fn changes_times(&self, header: &KeyedStateHeader) -> bool {
        has_times(&header.value) != has_times(&self.layout.serializers().1)
    }

    /// The time of a snapshot, if something may have expired then.
    pub(super) fn snapshot_time(&self, times: &Times) -> Option<SnapshotTime> {
        let ttl = &self.layout.expiring()?.ttl;
        let leaves_out = ttl.cleanup().in_full_snapshots;
        Some(SnapshotTime { now: times.now(ttl.time_domain()), leaves_out })
    }

    /// The schema that reads what was written under `header`.
    pub(super) fn after(self, header: &KeyedStateHeader) -> Result<Self, StateError> {
        let namespace = self.namespace.serializer();
        let namespace = resolve(&header.name, StatePart::Namespaces, namespace, &header.namespace)?;
        Ok(Schema { namespace, layout: self.layout.after(header)?, ..self })
    }
}

impl<K, N: 'static, L: Layout> Clone for Schema<K, N, L> {
    fn clone(&self) -> Self {
        Schema {
            kind: self.kind,
            key: Arc::clone(&self.key),
            namespace: self.namespace.clone(),
            layout: self.layout.clone(),
        }
    }
}

/// When a snapshot was taken of a state with a time to live.
#[derive(Clone, Copy)]
pub(super) struct SnapshotTime {
    pub(super) now: i64,
    /// Whether it leaves out what had expired then.
    pub(super) leaves_out: bool,
}

/// A state of a store, of which only the key type is known.
pub(super) trait AnyTable<K>: Any + Send {
    /// Its part in a snapshot of the store that is being taken.
    fn share(&mut self, times: &Times) -> Box<dyn TableSnapshot>;

    /// Its time to live, and what was removed by it.
    fn expiring(&self) -> Option<&Expiring>;

    /// Looks at some more entries and removes what has expired of them, and counts it. `None` says that nothing is to be
    /// cleaned up here, since it is bytes.
    fn clean_up(
        &mut self,
        _times: &Times,
        _entries: usize,
        _by: RemovedBy,
        _oldest: &mut OldestUpdate,
    ) -> Option<CleanUp> {
        None
    }
}

/// The content of a state at one moment: its own, or in the snapshot of the backend that keeps it.
pub(super) trait TableSnapshot: Send {
    /// What the snapshot says about it.
    fn header(&self) -> KeyedStateHeader;

    /// What a snapshot says that consists of files of the backend, where different serializers may have written the entries.
    fn headers_in_files(&self) -> Vec<KeyedStateHeader> {
        vec![self.header()]
    }

    /// Whether there is nothing, as far as that can be known.
    fn is_empty(&self, backend: Option<&dyn BackendSnapshot>) -> bool;

    fn write(
        &self,
        backend: Option<&dyn BackendSnapshot>,
        target: &mut KeyedStateWriter<'_>,
    ) -> Result<(), StateError>;
}
