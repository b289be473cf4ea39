use crate::state::{
    AggregateFunction, AggregatingStateDescriptor, KeyedStateStore, ListStateDescriptor, Namespaced,
    ReducingStateDescriptor, StateDescriptor, StateError, StateKey, StateObject,
};
use crate::window::TimeWindow;
use std::borrow::Cow;

/// What is kept for a window until it fires: the descriptor says it.
///
/// - [`ListStateDescriptor`]: all elements, in the order in which they came.
/// - [`ReducingStateDescriptor`]: what they have been reduced to.
/// - [`AggregatingStateDescriptor`]: an accumulator, of which the result is emitted.
///
/// # Errors
/// Of all functions: there is no current key, or the state was opened by another store.
pub trait WindowContents<K>: StateDescriptor {
    /// What is added. It is copied if it belongs to several windows, which only sliding ones let it; that they do is known
    /// when the job runs, and not by their type.
    type In: Clone;
    /// What is emitted.
    type Out;

    /// Adds an element to the state of a window.
    fn add(
        state: &Namespaced<Self, TimeWindow>,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
        element: Self::In,
    ) -> Result<(), StateError>;

    /// What the window emits; `None` when nothing was added.
    fn get(
        state: &Namespaced<Self, TimeWindow>,
        store: &KeyedStateStore<K>,
        window: TimeWindow,
    ) -> Result<Option<Self::Out>, StateError>;

    /// Removes the state of a window.
    fn clear(
        state: &Namespaced<Self, TimeWindow>,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
    ) -> Result<(), StateError>;

    /// Moves the state of windows into that of another one.
    fn merge(
        state: &Namespaced<Self, TimeWindow>,
        store: &mut KeyedStateStore<K>,
        target: TimeWindow,
        sources: Vec<TimeWindow>,
    ) -> Result<(), StateError>;
}

/// What does not depend on the kind of the state.
macro_rules! clear_and_merge {
    () => {
        fn clear(
            state: &Namespaced<Self, TimeWindow>,
            store: &mut KeyedStateStore<K>,
            window: TimeWindow,
        ) -> Result<(), StateError> {
            state.of(window).clear(store)
        }

        fn merge(
            state: &Namespaced<Self, TimeWindow>,
            store: &mut KeyedStateStore<K>,
            target: TimeWindow,
            sources: Vec<TimeWindow>,
        ) -> Result<(), StateError> {
            state.of(target).merge_namespaces(store, sources)
        }
    };
}

impl<K: StateKey, T: StateObject> WindowContents<K> for ListStateDescriptor<T> {
    type In = T;
    type Out = Vec<T>;

    fn add(
        state: &Namespaced<Self, TimeWindow>,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
        element: T,
    ) -> Result<(), StateError> {
        state.of(window).add(store, element)
    }

    fn get(
        state: &Namespaced<Self, TimeWindow>,
        store: &KeyedStateStore<K>,
        window: TimeWindow,
    ) -> Result<Option<Vec<T>>, StateError> {
        let elements: Vec<T> = state.of(window).get(store)?.map(Cow::into_owned).collect();
        Ok((!elements.is_empty()).then_some(elements))
    }

    clear_and_merge!();
}

impl<K: StateKey, T: StateObject> WindowContents<K> for ReducingStateDescriptor<T> {
    type In = T;
    type Out = T;

    fn add(
        state: &Namespaced<Self, TimeWindow>,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
        element: T,
    ) -> Result<(), StateError> {
        state.of(window).add(store, element)
    }

    fn get(
        state: &Namespaced<Self, TimeWindow>,
        store: &KeyedStateStore<K>,
        window: TimeWindow,
    ) -> Result<Option<T>, StateError> {
        Ok(state.of(window).get(store)?.map(Cow::into_owned))
    }

    clear_and_merge!();
}

impl<K: StateKey, A: AggregateFunction<In: Clone>> WindowContents<K> for AggregatingStateDescriptor<A> {
    type In = A::In;
    type Out = A::Out;

    fn add(
        state: &Namespaced<Self, TimeWindow>,
        store: &mut KeyedStateStore<K>,
        window: TimeWindow,
        element: A::In,
    ) -> Result<(), StateError> {
        state.of(window).add(store, element)
    }

    fn get(
        state: &Namespaced<Self, TimeWindow>,
        store: &KeyedStateStore<K>,
        window: TimeWindow,
    ) -> Result<Option<A::Out>, StateError> {
        state.of(window).get(store)
    }

    clear_and_merge!();
}
