use super::bytes::{BytesTable, RestoredVersion};
use super::layout::{Expiring, Layout};
use super::objects::ObjectTable;
use super::schema::{AnyTable, Schema};
use super::times::{SharedTimes, Times};
use super::{KeyedStateStore, Namespace, OpenState, StateId, StateKey};
use crate::state::backend::{mark_of_serializers, state_name};
use crate::state::serializer::{ResolvedSerializer, SerdeSerializer};
use crate::state::{KeyedStateHeader, RawKeyedState, StateError, StateKind};
use crate::ttl::OldestUpdate;
use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// A description with which keyed state is opened: one of the five descriptors.
pub trait StateDescriptor: Clone + sealed::Sealed {
    /// The handle of the state in a namespace; `()` stands for no namespace.
    type State<N: Namespace>;
    #[doc(hidden)]
    type Layout: Layout;
    #[doc(hidden)]
    const KIND: StateKind;

    #[doc(hidden)]
    fn state_name(&self) -> &str;
    #[doc(hidden)]
    fn layout(&self, times: &Times) -> Self::Layout;
    #[doc(hidden)]
    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> Self::State<N>;
}

/// A handle of keyed state: what may be asked of any of them by [`KeyedStateStore`].
pub trait StateHandle: sealed::Sealed {
    /// What its states are told apart by beside the key.
    type Namespace: Namespace;
    #[doc(hidden)]
    type Layout: Layout;

    #[doc(hidden)]
    fn id(&self) -> sealed::Id;
    /// The namespace it is about.
    fn namespace(&self) -> &Self::Namespace;
}

/// A handle is copied and shown as its namespace can be. A derive would ask the same of the types of the state, of which a
/// handle holds nothing.
macro_rules! copied_as_its_namespace {
    ($handle:ident<$($value:ident),+>) => {
        impl<$($value,)+ N: Clone> Clone for $handle<$($value,)+ N> {
            fn clone(&self) -> Self {
                $handle { id: self.id, namespace: self.namespace.clone(), marker: PhantomData }
            }
        }

        impl<$($value,)+ N: Copy> Copy for $handle<$($value,)+ N> {}

        impl<$($value,)+ N: std::fmt::Debug> std::fmt::Debug for $handle<$($value,)+ N> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut debug = f.debug_struct(stringify!($handle));
                debug.field("id", &self.id).field("namespace", &self.namespace).finish_non_exhaustive()
            }
        }
    };
}
pub(super) use copied_as_its_namespace;

pub(super) mod sealed {
    /// What cannot be implemented outside.
    pub trait Sealed {}

    /// What cannot be made outside.
    #[derive(Clone, Copy, Debug)]
    pub struct Id(pub(in crate::state::keyed) super::StateId);
}

/// A state that was opened for all its namespaces.
pub struct Namespaced<D, N> {
    descriptor: D,
    id: sealed::Id,
    marker: PhantomData<fn() -> N>,
}

impl<D: Clone, N> Clone for Namespaced<D, N> {
    fn clone(&self) -> Self {
        Namespaced { descriptor: self.descriptor.clone(), id: self.id, marker: PhantomData }
    }
}

impl<D: fmt::Debug, N> fmt::Debug for Namespaced<D, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Namespaced").field("descriptor", &self.descriptor).finish_non_exhaustive()
    }
}

impl<D: StateDescriptor, N: Namespace> Namespaced<D, N> {
    /// The state in one namespace.
    #[must_use]
    pub fn of(&self, namespace: N) -> D::State<N> {
        self.descriptor.bind(self.id, namespace)
    }

    pub(super) fn id(&self) -> StateId {
        self.id.0
    }
}

impl<K: StateKey> KeyedStateStore<K> {
    /// Opens a state; the same descriptor gives the same state. A restored state is decoded now, and migrated when its
    /// serializer asks for it; a backend of bytes migrates a value when it is written for the first time.
    ///
    /// # Errors
    /// The name is in use with another descriptor, was restored with an incompatible one, or an entry cannot be
    /// decoded. The store has not changed then.
    pub fn open<D: StateDescriptor>(&mut self, descriptor: &D) -> Result<D::State<()>, StateError> {
        let id = self.open_table::<(), D>(descriptor, SerdeSerializer::new())?;
        Ok(descriptor.bind(id, ()))
    }

    /// Opens a state that each key has once for every namespace. The id of their type is the name that Rust gives to it.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_namespaced<N: Namespace, D: StateDescriptor>(
        &mut self,
        descriptor: &D,
    ) -> Result<Namespaced<D, N>, StateError> {
        self.open_namespaced_by(descriptor, SerdeSerializer::new())
    }

    /// As [`open_namespaced`](Self::open_namespaced), with an id of its own for the type of the namespaces, under which it
    /// is found again when it has been renamed or moved.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_namespaced_with_type_id<N: Namespace, D: StateDescriptor>(
        &mut self,
        descriptor: &D,
        type_id: impl Into<String>,
    ) -> Result<Namespaced<D, N>, StateError> {
        self.open_namespaced_by(descriptor, SerdeSerializer::with_id(type_id))
    }

    fn open_namespaced_by<N: Namespace, D: StateDescriptor>(
        &mut self,
        descriptor: &D,
        namespaces: SerdeSerializer<N>,
    ) -> Result<Namespaced<D, N>, StateError> {
        let id = self.open_table(descriptor, namespaces)?;
        Ok(Namespaced { descriptor: descriptor.clone(), id, marker: PhantomData })
    }

    fn open_table<N: Namespace, D: StateDescriptor>(
        &mut self,
        descriptor: &D,
        namespaces: SerdeSerializer<N>,
    ) -> Result<sealed::Id, StateError> {
        let name = descriptor.state_name();
        if mark_of_serializers(name).is_some() {
            return Err(StateError::ReservedName(name.to_owned()));
        }
        let schema = Schema::<K, N, D::Layout> {
            kind: D::KIND,
            key: Arc::clone(&self.key_serializer),
            namespace: ResolvedSerializer::new(Arc::new(namespaces)),
            layout: descriptor.layout(&self.times),
        };
        let requested = schema.header(name);
        let mismatch = |existing| StateError::mismatch(name, existing, &requested);
        if let Some(index) = self.states.iter().position(|open| open.requested.name == name) {
            let OpenState { requested: existing, table, .. } = &self.states[index];
            let any: &dyn Any = &**table;
            if *existing != requested || !has_type::<K, N, D::Layout>(any) {
                return Err(mismatch(existing));
            }
            let ttl = |expiring: &Expiring| expiring.ttl;
            return match (table.expiring().map(ttl), schema.layout.expiring().map(ttl)) {
                (existing, requested) if existing == requested => {
                    Ok(sealed::Id(StateId { store: self.id, index }))
                }
                (existing, requested) => Err(StateError::TypeMismatch {
                    state: name.to_owned(),
                    existing: format!("values with {existing:?}"),
                    requested: format!("values with {requested:?}"),
                }),
            };
        }
        let restored = self.unclaimed.iter().filter(|(version, _)| state_name(version) == name);
        let restored: Vec<_> = restored.collect();
        let written = |raw: &RawKeyedState| KeyedStateHeader { name: name.to_owned(), ..raw.header.clone() };
        let mut schema = schema;
        for (_, raw) in &restored {
            if raw.header.kind != D::KIND {
                return Err(mismatch(&raw.header));
            }
            // Each may reconfigure it.
            schema = schema.after(&written(raw))?;
        }
        let mut versions = Vec::new();
        for (version, raw) in restored {
            let (state, schema) =
                (self.in_backend.get(version).copied(), schema.clone().after(&written(raw))?);
            versions.push(RestoredVersion { raw, state, schema });
        }
        if versions.iter().any(|restored| restored.schema.header(name) != schema.header(name)) {
            let what = format!("what is restored of state `{name}` asks for different serializers");
            return Err(StateError::Incompatible(what));
        }
        let expiry = self.backend.as_ref().and_then(|_| schema.layout.expiring());
        if expiry.is_some() && self.shared_times.is_none() {
            self.shared_times = Some(Arc::new(SharedTimes::new(&self.times)));
        }
        let expiry = self.shared_times.as_ref().and_then(|times| schema.layout.compaction_filter(times));
        let table: Box<dyn AnyTable<K>> = match &mut self.backend {
            None => {
                let mut table = ObjectTable::new(name, self.range, schema);
                for RestoredVersion { raw, schema, .. } in &versions {
                    table.fill_from(raw, schema, self.max_parallelism)?;
                }
                Box::new(table)
            }
            Some(backend) => {
                let (range, max) = (self.range, self.max_parallelism);
                Box::new(BytesTable::open(name, range, max, schema, &versions, expiry, &mut **backend)?)
            }
        };
        let oldest = match versions[..] {
            [] => OldestUpdate::of_nothing(),
            _ => OldestUpdate::unknown(),
        };
        self.in_backend.retain(|version, _| state_name(version) != name);
        self.unclaimed.retain(|version, _| state_name(version) != name);
        self.expires |= table.expiring().is_some();
        self.states.push(OpenState { requested, table, clean_up_credit: 0, oldest });
        Ok(sealed::Id(StateId { store: self.id, index: self.states.len() - 1 }))
    }
}

fn has_type<K: StateKey, N: Namespace, L: Layout>(table: &dyn Any) -> bool {
    table.is::<ObjectTable<K, N, L>>() || table.is::<BytesTable<K, N, L>>()
}
