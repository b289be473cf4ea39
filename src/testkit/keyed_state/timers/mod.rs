//! Timers are entries of keyed state, so the backend keeps them, and their order is made anew from what it lists.

mod firing;
mod restoring;

pub use firing::*;
pub use restoring::*;

use super::harness::{AtKey, File, Operator, restored, store, written};
use crate::base::TimeDomain;
use crate::keygroup::{KeyGroupRangeAssignment, MaxParallelism};
use crate::state::backend::StateBackend;
use crate::state::{KeyedStateStore, StateError, TimerService};

pub(super) const DOMAINS: [TimeDomain; 2] = [TimeDomain::EventTime, TimeDomain::ProcessingTime];

type Service = TimerService<u32, char>;

/// The key, the namespace and the time of a timer.
pub(super) type At = (u32, char, i64);

/// A store with timers in it.
pub(super) struct Timed {
    store: KeyedStateStore<u32>,
    pub(super) timers: Service,
}

impl Timed {
    /// Opens the timers of a store.
    fn of(mut store: KeyedStateStore<u32>) -> Result<Timed, StateError> {
        let timers = Service::open(&mut store, "test", i64::MIN)?;
        Ok(Timed { store, timers })
    }

    /// No timers, of all key groups.
    fn new(backend: &StateBackend) -> Result<Timed, StateError> {
        Timed::of(store(backend)?)
    }

    /// The timers of a file, of all key groups.
    fn restored(backend: &StateBackend, file: &File) -> Result<Timed, StateError> {
        Timed::of(restored(backend, file)?)
    }

    fn file(&mut self) -> Result<File, StateError> {
        written(&mut self.store)
    }

    pub(super) fn register(
        &mut self,
        domain: TimeDomain,
        (key, namespace, time): At,
    ) -> Result<bool, StateError> {
        self.timers.register(self.store.at(key)?, domain, &namespace, time)
    }

    pub(super) fn delete(
        &mut self,
        domain: TimeDomain,
        (key, namespace, time): At,
    ) -> Result<bool, StateError> {
        self.timers.delete(self.store.at(key)?, domain, &namespace, time)
    }

    /// The next timer that is due. Its key is the current one then.
    fn next(&mut self, domain: TimeDomain, now: i64) -> Result<Option<At>, StateError> {
        //= spec/timers.md#timer-5-a-timer-fires-for-its-key
        //= type=test
        //# A timer MUST fire with its own key as the current one and its own namespace.
        let Some(timer) = self.timers.advance(&mut self.store, domain, now)? else { return Ok(None) };
        assert_eq!((self.store.current_key(), timer.domain), (Some(&timer.key), domain));
        Ok(Some((timer.key, timer.namespace, timer.time)))
    }

    /// All that are due, in the order in which they fire.
    pub(super) fn fired(&mut self, domain: TimeDomain, now: i64) -> Result<Vec<At>, StateError> {
        let mut fired = Vec::new();
        while let Some(timer) = self.next(domain, now)? {
            fired.push(timer);
        }
        Ok(fired)
    }

    /// All of both domains.
    fn all_fired(&mut self) -> Result<Vec<Vec<At>>, StateError> {
        DOMAINS.into_iter().map(|domain| self.fired(domain, i64::MAX)).collect()
    }
}

/// The subtasks of one operator, each with the timers of its own key groups.
pub(super) struct TimedOperator {
    assignment: KeyGroupRangeAssignment,
    pub(super) subtasks: Vec<Timed>,
}

impl TimedOperator {
    /// As [`Operator::restored`].
    pub(super) fn restored(
        backend: &StateBackend,
        max_parallelism: MaxParallelism,
        parallelism: u16,
        files: &[File],
    ) -> Result<TimedOperator, StateError> {
        let Operator { assignment, stores } =
            Operator::restored(backend, max_parallelism, parallelism, files)?;
        let subtasks = stores.into_iter().map(Timed::of).collect::<Result<_, _>>()?;
        Ok(TimedOperator { assignment, subtasks })
    }

    /// The subtask that has a key.
    pub(super) fn of_key(&mut self, key: u32) -> &mut Timed {
        &mut self.subtasks[usize::from(self.assignment.owner_of_key(&key))]
    }

    /// The files of a snapshot of all subtasks.
    pub(super) fn files(&mut self) -> Result<Vec<File>, StateError> {
        self.subtasks.iter_mut().map(Timed::file).collect()
    }
}

fn sorted(mut timers: Vec<At>) -> Vec<At> {
    timers.sort_unstable();
    timers
}
