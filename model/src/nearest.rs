//! The nearest violation of a property.
//!
//! stateright searches breadth first too, but looks at what it has found only after each block of 1,500 states, and by
//! then a later violation has taken the place of the first one. Here the first one ends the search, so that the path to
//! it is the shortest one there is.

use stateright::{Model, Property};
use std::collections::{BTreeSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A state that breaks a property.
pub(crate) struct Violation<A> {
    pub(crate) property: &'static str,
    /// A shortest way to it.
    pub(crate) actions: Vec<A>,
}

/// How far a search has come.
#[derive(Clone, Copy)]
pub(crate) struct Reached {
    pub(crate) states: usize,
    pub(crate) unique_states: usize,
    pub(crate) depth: usize,
}

/// States, each with how it was reached first.
struct Search<M: Model> {
    /// The step that led to each state, and the number of the state that it was taken in; none for the first states.
    steps: Vec<Option<(usize, M::Action)>>,
    /// The fingerprints of the states.
    seen: BTreeSet<u64>,
    /// The states whose successors are not known yet, each with its number and its depth.
    queue: VecDeque<(usize, usize, M::State)>,
}

impl<M: Model> Search<M>
where
    M::State: Hash,
    M::Action: Clone,
{
    fn reach(&mut self, state: M::State, depth: usize, step: Option<(usize, M::Action)>) {
        let mut fingerprint = DefaultHasher::new();
        state.hash(&mut fingerprint);
        if self.seen.insert(fingerprint.finish()) {
            self.queue.push_back((self.steps.len(), depth, state));
            self.steps.push(step);
        }
    }

    fn actions_to(&self, mut number: usize) -> Vec<M::Action> {
        let mut actions = Vec::new();
        while let Some((before, action)) = &self.steps[number] {
            actions.push(action.clone());
            number = *before;
        }
        actions.reverse();
        actions
    }
}

/// The nearest state in which one of the properties does not hold, among the first `limit` states.
pub(crate) fn nearest<M>(
    model: &M,
    properties: &[Property<M>],
    limit: usize,
    progress: &mut dyn FnMut(Reached),
) -> (Option<Violation<M::Action>>, Reached)
where
    M: Model,
    M::State: Hash,
    M::Action: Clone,
{
    let mut search: Search<M> = Search { steps: Vec::new(), seen: BTreeSet::new(), queue: VecDeque::new() };
    let mut reached = Reached { states: 0, unique_states: 0, depth: 0 };
    for state in model.init_states() {
        search.reach(state, 0, None);
        reached.states += 1;
    }
    while let Some((number, depth, state)) = search.queue.pop_front() {
        reached = Reached { unique_states: search.steps.len(), depth, ..reached };
        if let Some(broken) = properties.iter().find(|property| !(property.condition)(model, &state)) {
            let actions = search.actions_to(number);
            return (Some(Violation { property: broken.name, actions }), reached);
        }
        if reached.states >= limit {
            break;
        }
        progress(reached);
        let mut actions = Vec::new();
        model.actions(&state, &mut actions);
        for action in actions {
            let next = model.next_state(&state, action.clone());
            if let Some(next) = next.filter(|next| model.within_boundary(next)) {
                reached.states += 1;
                search.reach(next, depth + 1, Some((number, action)));
            }
        }
    }
    (None, reached)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two counters of a byte each, of which one is counted up in every step.
    struct Counters;

    impl Model for Counters {
        type State = (u8, u8);
        type Action = bool;

        fn init_states(&self) -> Vec<(u8, u8)> {
            vec![(0, 0)]
        }

        fn actions(&self, _: &(u8, u8), actions: &mut Vec<bool>) {
            actions.extend([false, true]);
        }

        fn next_state(&self, (left, right): &(u8, u8), is_right: bool) -> Option<(u8, u8)> {
            let (left, right) = if is_right { (*left, right + 1) } else { (left + 1, *right) };
            (left <= 40 && right <= 40).then_some((left, right))
        }

        fn properties(&self) -> Vec<Property<Self>> {
            vec![
                Property::always("the right one stays below 20", |_, (_, right)| *right < 20),
                Property::always("they stay close", |_, (left, right): &(u8, u8)| left.abs_diff(*right) < 10),
            ]
        }
    }

    /// There are hundreds of violations among the first 1,500 states.
    #[test]
    fn nearest_violation_is_found_by_a_shortest_path() {
        let (found, reached) = nearest(&Counters, &Counters.properties(), usize::MAX, &mut |_| {});
        let found = found.expect("both properties are broken");
        assert_eq!(found.property, "they stay close");
        assert_eq!(found.actions, [false; 10]);
        assert_eq!((reached.depth, reached.unique_states), (10, 66));
    }

    #[test]
    fn nearest_violation_beyond_the_limit_is_not_found() {
        let (found, reached) = nearest(&Counters, &Counters.properties(), 50, &mut |_| {});
        assert!(found.is_none());
        assert!(reached.states < 55);
    }
}
