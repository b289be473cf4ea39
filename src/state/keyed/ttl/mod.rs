//! Keyed state that expires. The values of a state with a time to live have the time of their last update beside them; what
//! an access does to them, [`crate::ttl`] decides.
//!
//! A read may remove or refresh what it reads, so it needs the store to be mutable, other than that of state without a time
//! to live: that is why there are handles of their own.

mod aggregating;
mod cell;
mod list;
mod map;
mod metrics;
mod reducing;
mod value;

pub use aggregating::TtlAggregatingState;
pub use list::TtlListState;
pub use map::TtlMapState;
pub use metrics::{ExpiredButPresent, TtlMetrics};
pub(super) use metrics::{Removals, RemovedBy};
pub use reducing::TtlReducingState;
pub use value::TtlValueState;

use super::layout::Expiry;
use super::layout::Layout;
use super::open::sealed;
use super::times::{CleanUp, Times};
use super::view::CurrentAndView;
use super::{KeyedStateStore, Namespace, OpenState, StateHandle, StateId, StateKey};
use crate::state::StateError;
use crate::state::serializer::{ResolvedSerializer, StampedSerializer, StateSerializer};
use crate::ttl::{IncrementalCleanup, Stamped, StateTtlConfig};
use std::sync::Arc;

/// A descriptor of keyed state with a time to live: made by `with_ttl` of every descriptor.
///
/// Opening a state again that was restored without a time to live gives all its values the time of the restore; the
/// other way round all of them stay. Another length counts from the times that were restored.
#[derive(Clone, Debug)]
pub struct WithTtl<D> {
    descriptor: D,
    ttl: StateTtlConfig,
}

impl<D> WithTtl<D> {
    pub(in crate::state) fn new(descriptor: D, ttl: StateTtlConfig) -> Self {
        WithTtl { descriptor, ttl }
    }

    /// The time to live.
    #[must_use]
    pub fn ttl(&self) -> &StateTtlConfig {
        &self.ttl
    }

    fn expiry<V>(&self) -> Option<Expiry<Stamped<V>>> {
        Some(Expiry::new(self.ttl))
    }

    /// Writes values with their times; those that were restored without count as updated now.
    fn stamped<V: 'static>(
        &self,
        serializer: &Arc<dyn StateSerializer<V>>,
        times: &Times,
    ) -> ResolvedSerializer<Stamped<V>> {
        let now = times.now(self.ttl.time_domain());
        ResolvedSerializer::new(Arc::new(StampedSerializer::new(Arc::clone(serializer), now)))
    }
}

impl<D> sealed::Sealed for WithTtl<D> {}

/// Copies a handle that has another one in it, whatever its values are.
macro_rules! copied_as_its_state {
    ($handle:ident<$($value:ident),+>) => {
        impl<$($value,)+ N: Clone> Clone for $handle<$($value,)+ N> {
            fn clone(&self) -> Self {
                $handle { state: self.state.clone(), ttl: self.ttl }
            }
        }

        impl<$($value,)+ N: Copy> Copy for $handle<$($value,)+ N> {}

        impl<$($value,)+ N: std::fmt::Debug> std::fmt::Debug for $handle<$($value,)+ N> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut debug = f.debug_struct(stringify!($handle));
                debug.field("state", &self.state).field("ttl", &self.ttl).finish()
            }
        }
    };
}
use copied_as_its_state;

/// So many entries are looked at together, for several accesses: to begin costs more than to look at some more.
const CLEAN_UP_BATCH: usize = 256;

impl<K: StateKey> OpenState<K> {
    fn clean_up(&mut self, times: &Times, entries: usize, by: RemovedBy) -> Option<CleanUp> {
        self.table.clean_up(times, entries, by, &mut self.oldest)
    }
}

impl<K: StateKey> KeyedStateStore<K> {
    /// The present for an access to a state, with which goes some clean-up.
    #[inline]
    fn access(&mut self, id: StateId, ttl: &StateTtlConfig) -> Result<i64, StateError> {
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        Ok(self.access_own(id, ttl))
    }

    /// As [`access`](Self::access), with the current key and the state. What both ask is asked once: where many keys are
    /// accessed one after the other, instructions count.
    #[inline(always)]
    fn access_view<N: Namespace, L: Layout>(
        &mut self,
        id: StateId,
        ttl: &StateTtlConfig,
    ) -> Result<(i64, CurrentAndView<'_, K, N, L>), StateError> {
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        let now = self.access_own(id, ttl);
        Ok((now, self.view_own(id)?))
    }

    /// As [`access`](Self::access) to a state that was opened here.
    #[inline(always)]
    fn access_own(&mut self, id: StateId, ttl: &StateTtlConfig) -> i64 {
        let now = self.now(ttl);
        let open = &mut self.states[id.index];
        open.oldest.accessed(now);
        if let Some(incremental) = &ttl.cleanup().incremental {
            open.clean_up_credit += incremental.entries_per_access.get();
            if open.clean_up_credit >= CLEAN_UP_BATCH {
                self.clean_up_with_access(id);
            }
        }
        now
    }

    // What accesses seldom do is kept out of their way: it would cost all of them registers and the inlining.
    #[cold]
    #[inline(never)]
    fn clean_up_with_access(&mut self, id: StateId) {
        let open = &mut self.states[id.index];
        let entries = std::mem::take(&mut open.clean_up_credit);
        open.clean_up(&self.times, entries, RemovedBy::CleanUpWithAccess);
    }

    /// The present for a merge, which moves values with their times.
    fn access_to_merge(&mut self, id: StateId, ttl: &StateTtlConfig) -> Result<i64, StateError> {
        let now = self.access(id, ttl)?;
        self.states[id.index].oldest.moved();
        Ok(now)
    }

    /// Counts values that an access has removed because they had expired.
    #[cold]
    fn count_removed(&self, id: StateId, values: usize) {
        if let Some(expiring) = self.states[id.index].table.expiring() {
            expiring.removals.count(RemovedBy::Access, values);
        }
    }

    #[inline]
    fn now(&self, ttl: &StateTtlConfig) -> i64 {
        self.times.now(ttl.time_domain())
    }

    /// Looks at about `entries` more entries of a state with a time to live and removes what has expired of them. It
    /// goes on where the clean-up before has ended; an access to the state does the same, unless its clean-up in the
    /// background is disabled. Where a backend compacts, nothing is done here and every pass is over at once.
    ///
    /// # Errors
    /// The state was opened by another store.
    pub fn clean_up<S: StateHandle>(&mut self, state: &S, entries: usize) -> Result<CleanUp, StateError> {
        let id = state.id().0;
        if id.store != self.id {
            return Err(StateError::ForeignHandle);
        }
        let done = self.states[id.index].clean_up(&self.times, entries, RemovedBy::CleanUpOnRequest);
        Ok(done.unwrap_or(CleanUp { removed: 0, is_pass_over: true }))
    }

    /// Whether any state has a time to live, so that the store must be told what time it is.
    #[must_use]
    pub fn expires(&self) -> bool {
        self.expires
    }

    /// Does the clean-up of those states that want it for every record.
    pub fn clean_up_for_record(&mut self) {
        if !self.expires {
            return;
        }
        self.clean_up_in_background(RemovedBy::CleanUpWithRecord, |incremental| {
            if incremental.for_every_record { incremental.entries_per_access.get() } else { 0 }
        });
    }

    /// Looks at about `entries` more entries of each state that is cleaned up incrementally, so that it shrinks also while
    /// nobody accesses it.
    pub fn clean_up_while_idle(&mut self, entries: usize) {
        self.clean_up_in_background(RemovedBy::CleanUpWhileIdle, |_| entries);
    }

    fn clean_up_in_background(&mut self, by: RemovedBy, entries: impl Fn(&IncrementalCleanup) -> usize) {
        for open in &mut self.states {
            let incremental = open.table.expiring().and_then(|expiring| expiring.ttl.cleanup().incremental);
            if let Some(incremental) = incremental {
                open.clean_up(&self.times, entries(&incremental), by);
            }
        }
    }
}
