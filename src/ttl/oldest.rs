use super::StateTtlConfig;

/// A time before which no value was updated last: as long as nothing from then can have expired, clean-up has nothing to
/// look for.
///
/// It is told of the present of every access, which may write, of merges, and of everything that a pass of clean-up leaves.
/// It says when a pass goes on or begins; where that looks is for whoever carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OldestUpdate {
    /// Of the values that were there when the last pass began or, if it is over, that it has left.
    before: i64,
    /// Of those that were written since then.
    written: i64,
    /// Of those that the pass under way has left.
    left: i64,
    is_under_way: bool,
}

impl OldestUpdate {
    /// Of a state without values.
    #[must_use]
    pub const fn of_nothing() -> Self {
        OldestUpdate { before: i64::MAX, written: i64::MAX, left: i64::MAX, is_under_way: false }
    }

    /// Of a state of whose values nothing is known.
    #[must_use]
    pub const fn unknown() -> Self {
        OldestUpdate { before: i64::MIN, ..OldestUpdate::of_nothing() }
    }

    /// A value may have been updated at `now`.
    #[inline]
    pub fn accessed(&mut self, now: i64) {
        self.written = self.written.min(now);
    }

    /// Values may have changed their places and kept their times: the pass under way may not see them any more.
    pub fn moved(&mut self) {
        self.written = self.written.min(self.before);
    }

    /// Whether clean-up has anything to look for at `now`: for the rest of the pass under way, or for one that begins with
    /// this, unless no value can have expired.
    pub fn goes_on(&mut self, ttl: &StateTtlConfig, now: i64) -> bool {
        //= spec/ttl.md#ttl-23-clean-up-that-is-left-out
        //# A pass of incremental clean-up MUST begin when it is due, unless no value can have expired.
        if !self.is_under_way && self.may_have_expired(ttl, now) {
            let before = self.before.min(self.written);
            *self = OldestUpdate { before, is_under_way: true, ..OldestUpdate::of_nothing() };
        }
        self.is_under_way
    }

    /// The pass under way has left a value that was updated at `updated`.
    #[inline]
    pub fn left(&mut self, updated: i64) {
        self.left = self.left.min(updated);
    }

    /// The pass is over: what is there was left by it, or written since it began.
    pub fn passed(&mut self) {
        *self = OldestUpdate { before: self.left.min(self.written), ..OldestUpdate::of_nothing() };
    }

    /// Whether a value may have expired at `now`.
    #[must_use]
    pub(super) fn may_have_expired(&self, ttl: &StateTtlConfig, now: i64) -> bool {
        ttl.is_cleaned_up(self.before.min(self.written), now)
    }
}
