use super::{WithTtl, copied_as_its_state};
use crate::state::keyed::open::sealed;
use crate::state::keyed::single::Single;
use crate::state::keyed::times::Times;
use crate::state::keyed::{KeyedStateStore, Namespace, StateDescriptor, StateHandle, StateKey, ValueState};
use crate::state::{StateError, StateKind, StateObject, ValueStateDescriptor};
use crate::ttl::{Stamped, StateTtlConfig};
use std::borrow::Cow;

/// [`ValueState`] whose values expire.
///
/// # Errors
/// Of all methods: there is no current key, or the state was opened by another store.
pub struct TtlValueState<V, N = ()> {
    state: ValueState<Stamped<V>, N>,
    ttl: StateTtlConfig,
}

copied_as_its_state!(TtlValueState<V>);

impl<V: StateObject, N: Namespace> TtlValueState<V, N> {
    /// The value, if there is one that may be seen. A value that has expired is removed, another one is refreshed if
    /// reads do that.
    #[inline]
    pub fn get<'a, K: StateKey>(
        &self,
        store: &'a mut KeyedStateStore<K>,
    ) -> Result<Option<Cow<'a, V>>, StateError> {
        let (now, (current, view)) = store.access_view::<N, Single<Stamped<V>>>(self.id().0, &self.ttl)?;
        view.read(current, self.namespace(), &self.ttl, now)
    }

    /// Puts `value` in the place of whatever there was.
    #[inline(always)]
    pub fn update<K: StateKey>(&self, store: &mut KeyedStateStore<K>, value: V) -> Result<(), StateError> {
        let (now, (current, view)) = store.access_view::<N, Single<Stamped<V>>>(self.id().0, &self.ttl)?;
        view.update(current, self.namespace(), Stamped { updated: now, value })
    }

    /// Puts what `change` makes of the value, if there is one that may be seen, in its place; `None` clears it.
    #[inline]
    pub fn modify<K: StateKey>(
        &self,
        store: &mut KeyedStateStore<K>,
        change: impl FnOnce(Option<V>) -> Option<V>,
    ) -> Result<(), StateError> {
        let (now, (current, view)) = store.access_view::<N, Single<Stamped<V>>>(self.id().0, &self.ttl)?;
        view.build_on(current, self.namespace(), &self.ttl, now, change)
    }

    /// Changes the value in its place; if there is none that may be seen, `insert()` becomes the value first.
    #[inline]
    pub fn with_mut<K: StateKey, R>(
        &self,
        store: &mut KeyedStateStore<K>,
        insert: impl FnOnce() -> V,
        change: impl FnOnce(&mut V) -> R,
    ) -> Result<R, StateError> {
        let (now, (current, view)) = store.access_view::<N, Single<Stamped<V>>>(self.id().0, &self.ttl)?;
        view.build_in_place(current, self.namespace(), &self.ttl, now, insert, change)
    }

    /// Removes the value.
    #[inline]
    pub fn clear<K: StateKey>(&self, store: &mut KeyedStateStore<K>) -> Result<(), StateError> {
        store.access(self.id().0, &self.ttl)?;
        self.state.clear(store)
    }
}

impl<V: StateObject> StateDescriptor for WithTtl<ValueStateDescriptor<V>> {
    type State<N: Namespace> = TtlValueState<V, N>;
    type Layout = Single<Stamped<V>>;
    const KIND: StateKind = StateKind::Value;

    fn state_name(&self) -> &str {
        self.descriptor.name()
    }

    fn layout(&self, times: &Times) -> Self::Layout {
        Single { value: self.stamped(self.descriptor.serializer(), times), expiry: self.expiry() }
    }

    fn bind<N: Namespace>(&self, id: sealed::Id, namespace: N) -> TtlValueState<V, N> {
        TtlValueState { state: ValueState::new(id, namespace), ttl: self.ttl }
    }
}

impl<V, N> sealed::Sealed for TtlValueState<V, N> {}

impl<V: StateObject, N: Namespace> StateHandle for TtlValueState<V, N> {
    type Namespace = N;
    type Layout = Single<Stamped<V>>;

    fn id(&self) -> sealed::Id {
        self.state.id()
    }

    fn namespace(&self) -> &N {
        self.state.namespace()
    }
}
