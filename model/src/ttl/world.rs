//! What there is.

use super::history::{History, Present};
use super::scope::{Budgets, Run};
use super::store::{Slot, Store};

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
    /// The user adds to the reduced value or to the list.
    Add,
    /// The user reads the value, an entry or the list.
    Read(u8),
    /// The user looks whether the map is empty.
    Look,
    /// The user removes it.
    Remove(u8),
    /// The clock goes on.
    Tick,
    /// The clock jumps forward.
    Jump,
    /// The clock goes back.
    Back,
    /// Clean-up looks at one value.
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
    /// Whether every value in either copy has the time that the history says.
    pub(super) fn times_agree(&self) -> bool {
        let mut values = self.store.0.iter().chain(&self.untouched.0);
        values.all(|(slot, value)| self.history.0.get(slot).is_none_or(|life| life.last == value.updated))
    }
}
