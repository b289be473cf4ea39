use super::open::sealed;
use super::single::Single;
use super::times::Times;
use super::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey};
use crate::state::serializer::ResolvedSerializer;
use crate::state::{AggregateFunction, AggregatingStateDescriptor, StateError, StateKind};
use std::fmt;
use std::sync::Arc;

/// State of one accumulator per key, which takes in what is added (Flink: `AggregatingState`). Every access is about the
/// store's current key.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct AggregatingState<A: AggregateFunction, N = ()> {
    id: sealed::Id,
    namespace: N,
    function: Arc<A>,
}

impl<A: AggregateFunction, N: Namespace> AggregatingState<A, N> {
    /// The result of all that was added, if anything was.
    #[inline]
    pub fn get<K: StateKey>(&self, store: &KeyedStateStore<K>) -> Result<Option<A::Out>, StateError> {
        let view = store.view::<N, Single<A::Accumulator>>(self.id.0)?;
        let accumulator = view.get(store.current()?, &self.namespace)?;
        Ok(accumulator.map(|accumulator| self.function.result(&accumulator)))
    }

    /// Takes `value` in.
    #[inline]
    pub fn add<K: StateKey>(&self, store: &mut KeyedStateStore<K>, value: A::In) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Single<A::Accumulator>>(self.id.0)?;
        let begin = || self.function.create_accumulator();
        view.with_mut(current, &self.namespace, begin, |accumulator| self.function.add(value, accumulator))
    }

    /// Removes the accumulator.
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        let (current, view) = store.view_mut::<N, Single<A::Accumulator>>(self.id.0)?;
        view.clear(current, &self.namespace)
    }

    /// Merges the accumulators of the namespaces `sources` of the current key into that of this one and removes them.
    /// Namespaces without one, and this one among them, change nothing.
    pub fn merge_namespaces<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        sources: impl IntoIterator<Item = N>,
    ) -> Result<(), StateError> {
        let (current, mut view) = store.view_mut::<N, Single<A::Accumulator>>(self.id.0)?;
        for source in sources.into_iter().filter(|source| *source != self.namespace) {
            if let Some(moved) = view.again().take(current, &source)? {
                view.again().modify(current, &self.namespace, |old| match old {
                    Some(mut accumulator) => {
                        self.function.merge(&mut accumulator, moved);
                        Some(accumulator)
                    }
                    None => Some(moved),
                })?;
            }
        }
        Ok(())
    }
}

impl<A: AggregateFunction, N: Clone> Clone for AggregatingState<A, N> {
    fn clone(&self) -> Self {
        let namespace = self.namespace.clone();
        AggregatingState { id: self.id, namespace, function: Arc::clone(&self.function) }
    }
}

impl<A: AggregateFunction, N: fmt::Debug> fmt::Debug for AggregatingState<A, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AggregatingState")
            .field("id", &self.id)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl<A: AggregateFunction> sealed::Sealed for AggregatingStateDescriptor<A> {}

impl<A: AggregateFunction> StateDescriptor for AggregatingStateDescriptor<A> {
    type State<N: Namespace> = AggregatingState<A, N>;
    type Layout = Single<A::Accumulator>;
    const KIND: StateKind = StateKind::Aggregating;

    fn state_name(&self) -> &str {
        self.name()
    }

    fn layout(&self, _: &Times) -> Self::Layout {
        Single { value: ResolvedSerializer::new(Arc::clone(self.serializer())), expiry: None }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> AggregatingState<A, N> {
        AggregatingState { id, namespace, function: Arc::clone(self.function()) }
    }
}

impl<A: AggregateFunction, N> sealed::Sealed for AggregatingState<A, N> {}

impl<A: AggregateFunction, N: Namespace> StateHandle for AggregatingState<A, N> {
    type Namespace = N;
    type Layout = Single<A::Accumulator>;

    fn id(&self) -> sealed::Id {
        self.id
    }

    fn namespace(&self) -> &N {
        &self.namespace
    }
}
