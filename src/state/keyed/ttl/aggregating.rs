use super::WithTtl;
use crate::state::keyed::open::sealed;
use crate::state::keyed::single::Single;
use crate::state::keyed::times::Times;
use crate::state::keyed::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::state::{AggregateFunction, AggregatingStateDescriptor, StateError, StateKind};
use crate::ttl::{Stamped, StateTtlConfig};
use std::fmt;
use std::sync::Arc;

/// [`AggregatingState`](crate::state::AggregatingState) whose accumulators expire.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct TtlAggregatingState<A: AggregateFunction, N = ()> {
    id: sealed::Id,
    namespace: N,
    function: Arc<A>,
    ttl: StateTtlConfig,
}

impl<A: AggregateFunction, N: Namespace> TtlAggregatingState<A, N> {
    /// The result of all that was added, if anything was that may be seen. What has expired is removed, another
    /// accumulator is refreshed if reads do that.
    pub fn get<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<Option<A::Out>, StateError> {
        let (now, (current, view)) =
            store.access_view::<N, Single<Stamped<A::Accumulator>>>(self.id.0, &self.ttl)?;
        let accumulator = view.read(current, &self.namespace, &self.ttl, now)?;
        Ok(accumulator.map(|accumulator| self.function.result(&accumulator)))
    }

    /// Takes `value` into what is there, if that may be seen; the accumulator lives from now on.
    pub fn add<K: StateKey>(&self, store: &mut KeyedStateStore<K>, value: A::In) -> Result<(), StateError> {
        let (now, (current, view)) =
            store.access_view::<N, Single<Stamped<A::Accumulator>>>(self.id.0, &self.ttl)?;
        let begin = || self.function.create_accumulator();
        let add = |accumulator: &mut _| self.function.add(value, accumulator);
        view.build_in_place(current, &self.namespace, &self.ttl, now, begin, add)
    }

    /// Removes the accumulator.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        store.access(self.id.0, &self.ttl)?;
        let (current, view) = store.view_mut::<N, Single<Stamped<A::Accumulator>>>(self.id.0)?;
        view.clear(current, &self.namespace)
    }

    /// Merges the accumulators of the namespaces `sources` of the current key into that of this one and removes them: those
    /// that may be seen. What becomes of one alone keeps its time, what becomes of several lives from now on.
    pub fn merge_namespaces<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        sources: impl IntoIterator<Item = N>,
    ) -> Result<(), StateError> {
        let now = store.access_to_merge(self.id.0, &self.ttl)?;
        let (current, mut view) = store.view_mut::<N, Single<Stamped<A::Accumulator>>>(self.id.0)?;
        let sources = sources.into_iter().filter(|source| *source != self.namespace);
        view.merge(current, &self.namespace, sources, &self.ttl, now, |mut old, moved| {
            self.function.merge(&mut old, moved);
            old
        })
    }
}

impl<A: AggregateFunction, N: Clone> Clone for TtlAggregatingState<A, N> {
    fn clone(&self) -> Self {
        let (id, namespace, function) = (self.id, self.namespace.clone(), Arc::clone(&self.function));
        TtlAggregatingState { id, namespace, function, ttl: self.ttl }
    }
}

impl<A: AggregateFunction, N: fmt::Debug> fmt::Debug for TtlAggregatingState<A, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TtlAggregatingState { id, namespace, ttl, .. } = self;
        let mut debug = f.debug_struct("TtlAggregatingState");
        debug.field("id", id).field("namespace", namespace).field("ttl", ttl).finish_non_exhaustive()
    }
}

impl<A: AggregateFunction> StateDescriptor for WithTtl<AggregatingStateDescriptor<A>> {
    type State<N: Namespace> = TtlAggregatingState<A, N>;
    type Layout = Single<Stamped<A::Accumulator>>;
    const KIND: StateKind = StateKind::Aggregating;

    fn state_name(&self) -> &str {
        self.descriptor.name()
    }

    fn layout(&self, times: &Times) -> Self::Layout {
        Single { value: self.stamped(self.descriptor.serializer(), times), expiry: self.expiry() }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> TtlAggregatingState<A, N> {
        let function = Arc::clone(self.descriptor.function());
        TtlAggregatingState { id, namespace, function, ttl: self.ttl }
    }
}

impl<A: AggregateFunction, N> sealed::Sealed for TtlAggregatingState<A, N> {}

impl<A: AggregateFunction, N: Namespace> StateHandle for TtlAggregatingState<A, N> {
    type Namespace = N;
    type Layout = Single<Stamped<A::Accumulator>>;

    fn id(&self) -> sealed::Id {
        self.id
    }

    fn namespace(&self) -> &N {
        &self.namespace
    }
}
