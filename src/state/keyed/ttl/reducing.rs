use super::WithTtl;
use crate::state::keyed::open::sealed;
use crate::state::keyed::single::Single;
use crate::state::keyed::times::Times;
use crate::state::keyed::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::state::{ReduceFunction, ReducingStateDescriptor, StateError, StateKind, StateObject};
use crate::ttl::{Stamped, StateTtlConfig};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// [`ReducingState`](crate::state::ReducingState) whose values expire.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
#[derive(Clone)]
pub struct TtlReducingState<T, N = ()> {
    id: sealed::Id,
    namespace: N,
    function: ReduceFunction<T>,
    ttl: StateTtlConfig,
}

impl<T: StateObject, N: Namespace> TtlReducingState<T, N> {
    /// What all that was added has been reduced to, if anything was that may be seen. What has expired is removed,
    /// another value is refreshed if reads do that.
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<Option<Cow<'a, T>>, StateError> {
        let (now, (current, view)) = store.access_view::<N, Single<Stamped<T>>>(self.id.0, &self.ttl)?;
        view.read(current, &self.namespace, &self.ttl, now)
    }

    /// Reduces what is there, if it may be seen, and `value` to one, which lives from now on.
    pub fn add<K: StateKey>(&self, store: &mut KeyedStateStore<K>, value: T) -> Result<(), StateError> {
        let (now, (current, view)) = store.access_view::<N, Single<Stamped<T>>>(self.id.0, &self.ttl)?;
        view.build_on(current, &self.namespace, &self.ttl, now, |old| {
            Some(match old {
                Some(old) => (self.function)(old, value),
                None => value,
            })
        })
    }

    /// Removes the value.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        store.access(self.id.0, &self.ttl)?;
        let (current, view) = store.view_mut::<N, Single<Stamped<T>>>(self.id.0)?;
        view.clear(current, &self.namespace)
    }

    /// Reduces the values of the namespaces `sources` of the current key into that of this one and removes them: those
    /// that may be seen. What becomes of one alone keeps its time, what becomes of several lives from now on.
    pub fn merge_namespaces<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        sources: impl IntoIterator<Item = N>,
    ) -> Result<(), StateError> {
        let now = store.access_to_merge(self.id.0, &self.ttl)?;
        let (current, mut view) = store.view_mut::<N, Single<Stamped<T>>>(self.id.0)?;
        let sources = sources.into_iter().filter(|source| *source != self.namespace);
        view.merge(current, &self.namespace, sources, &self.ttl, now, |old, moved| {
            (self.function)(old, moved)
        })
    }
}

impl<T, N: fmt::Debug> fmt::Debug for TtlReducingState<T, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TtlReducingState { id, namespace, ttl, .. } = self;
        let mut debug = f.debug_struct("TtlReducingState");
        debug.field("id", id).field("namespace", namespace).field("ttl", ttl).finish_non_exhaustive()
    }
}

impl<T: StateObject> StateDescriptor for WithTtl<ReducingStateDescriptor<T>> {
    type State<N: Namespace> = TtlReducingState<T, N>;
    type Layout = Single<Stamped<T>>;
    const KIND: StateKind = StateKind::Reducing;

    fn state_name(&self) -> &str {
        self.descriptor.name()
    }

    fn layout(&self, times: &Times) -> Self::Layout {
        Single { value: self.stamped(self.descriptor.serializer(), times), expiry: self.expiry() }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> TtlReducingState<T, N> {
        let function = Arc::clone(self.descriptor.function());
        TtlReducingState { id, namespace, function, ttl: self.ttl }
    }
}

impl<T, N> sealed::Sealed for TtlReducingState<T, N> {}

impl<T: StateObject, N: Namespace> StateHandle for TtlReducingState<T, N> {
    type Namespace = N;
    type Layout = Single<Stamped<T>>;

    fn id(&self) -> sealed::Id {
        self.id
    }

    fn namespace(&self) -> &N {
        &self.namespace
    }
}
