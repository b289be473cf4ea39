//! What there is.

use super::compaction::Compaction;
use super::history::{History, Present};
use super::scope::{Budgets, CleanUp, Run};
use super::store::{Slot, Store};
use snapline::ttl::OldestUpdate;

/// The state, twice, and what was done to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Working {
    /// The index of its time to live.
    pub(super) ttl: u8,
    /// What is cleaned up, incrementally and in snapshots.
    pub(super) store: Store,
    /// What is never cleaned up.
    pub(super) untouched: Store,
    pub(super) history: History,
    /// The clock has gone back or the time to live has become longer, so that what had expired may live again.
    pub(super) may_revive: bool,
    /// What clean-up looks at next.
    pub(super) cursor: Slot,
    /// What clean-up wants to remove, where a planted bug makes it wait.
    pub(super) found: Option<Slot>,
    /// What clean-up in passes knows of times.
    pub(super) oldest: OldestUpdate,
    /// The compaction under way.
    pub(super) compaction: Option<Compaction>,
}

/// What has gone wrong. Each is a property.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Wrong {
    /// An expired value was seen that must never be.
    pub(super) expired_seen: bool,
    /// A value was not seen that has never been expired.
    pub(super) lost: bool,
    /// A value was not seen that nothing has removed.
    pub(super) hidden: bool,
    /// A value was seen that had been removed.
    pub(super) came_back: bool,
    /// A read of what was cleaned up and of what was not have differed.
    pub(super) cleanup_seen: bool,
    /// A read has given a wrong time to a value.
    pub(super) refreshed: bool,
    /// A write has given a wrong time to a value.
    pub(super) written: bool,
    /// A restored value has another time than when the snapshot was taken.
    pub(super) restored: bool,
    /// Clean-up has removed too much or too little.
    pub(super) cleaned_up: bool,
    /// A pass of clean-up was left out that would have removed something.
    pub(super) left_out: bool,
    /// A compaction has removed too much or too little, or told a wrong number.
    pub(super) compacted: bool,
    /// A compaction has not gone by the present when it had to.
    pub(super) asked: bool,
    /// A merge has given a wrong time to a value.
    pub(super) merged: bool,
    /// A restore has dropped values of a state that has no time to live any more.
    pub(super) switched_off: bool,
    /// A restore has given wrong times to values that had none.
    pub(super) switched_on: bool,
}

/// One state of the system.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub(super) run: Run,
    pub(super) now: i64,
    /// How many writes there were.
    pub(super) written: u8,
    pub(super) working: Working,
    pub(super) snapshot: Option<Working>,
    pub(super) left: Budgets,
    pub(super) wrong: Wrong,
}

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The user writes the value, an entry, or a list of one element.
    Write(u8),
    /// The user adds to a reduced value or to the list.
    Add(u8),
    /// The user reads the value, an entry or the list.
    Read(u8),
    /// The user looks whether the map is empty.
    Look,
    /// The user removes it.
    Remove(u8),
    /// The user merges the second value into the first.
    Merge,
    /// The clock goes on.
    Tick,
    /// The clock jumps forward.
    Jump,
    /// The clock goes back.
    Back,
    /// Clean-up or a compaction looks at what is next.
    CleanUp,
    /// A snapshot is taken; whether it leaves out what has expired.
    Snapshot(bool),
    /// The state is restored, with the time to live of that index.
    Restore(u8),
}

impl World {
    pub(super) fn new(run: Run) -> World {
        let working = Working {
            ttl: 0,
            store: Store::default(),
            untouched: Store::default(),
            history: History::default(),
            may_revive: false,
            cursor: 0,
            found: None,
            oldest: OldestUpdate::of_nothing(),
            compaction: None,
        };
        World {
            run,
            now: run.start,
            written: 0,
            working,
            snapshot: None,
            left: run.budgets,
            wrong: Wrong::default(),
        }
    }

    pub(super) fn present(&self) -> Present {
        let Run { shape, update, visibility, ttls, .. } = self.run;
        Present { shape, update, visibility, ttl: ttls[usize::from(self.working.ttl)], now: self.now }
    }
}

impl Working {
    /// The user has accessed it.
    pub(super) fn accessed(&mut self, run: &Run, now: i64) {
        if run.cleanup == CleanUp::Passes {
            self.oldest.accessed(now);
        }
    }

    /// Whether every value in either copy has the time that the history says.
    pub(super) fn times_agree(&self) -> bool {
        let mut values = self.store.0.iter().chain(&self.untouched.0);
        values.all(|(slot, value)| self.history.0.get(slot).is_none_or(|life| life.last == value.updated))
    }
}
