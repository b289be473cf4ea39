use super::{StateTtlConfig, StateVisibility, UpdateType};

/// What becomes of a value that is read: a single one, an accumulator, or an entry of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellRead {
    /// The reader gets it, and it stays as it is.
    Keep,
    /// The reader gets it, and the present becomes the time of its last update.
    Refresh,
    /// The reader gets it for the last time: it is removed.
    LastTime,
    /// It is removed, and the reader gets nothing.
    Remove,
}

/// What becomes of a list that is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListRead {
    /// It stays as it is.
    Keep,
    /// Only the elements stay that have not expired, and the present becomes the time of their last update.
    Refresh,
    /// It is removed.
    Remove,
}

/// What becomes of a value that is moved to where there may be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CellMerge {
    /// It is dropped, and what is there stays as it is.
    Drop,
    /// It takes the place of what is there, and keeps its time.
    Move,
    /// Both become one value, and the present becomes the time of its last update.
    Combine,
}

impl StateTtlConfig {
    /// Whether a value that was updated at `updated` may be seen at `now`.
    #[must_use]
    #[inline]
    pub fn is_visible(&self, updated: i64, now: i64) -> bool {
        //= spec/ttl.md#ttl-4-what-is-never-returned
        //# Under `NeverReturnExpired` an expired value MUST NOT be visible.
        //= spec/ttl.md#ttl-5-what-may-be-returned
        //# Under `ReturnExpiredIfNotCleanedUp` an expired value that is still there MUST be visible.
        self.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp || !self.ttl.is_expired(updated, now)
    }

    /// What becomes of a value that was updated at `updated` and is read at `now`.
    #[must_use]
    #[inline]
    pub fn read_cell(&self, updated: i64, now: i64) -> CellRead {
        //= spec/ttl.md#ttl-6-a-read-removes-what-has-expired
        //# A read of a cell that has expired MUST remove it.
        match (self.ttl.is_expired(updated, now), self.visibility, self.update) {
            (true, StateVisibility::NeverReturnExpired, _) => CellRead::Remove,
            (true, StateVisibility::ReturnExpiredIfNotCleanedUp, _) => CellRead::LastTime,
            (false, _, UpdateType::OnCreateAndWrite) => CellRead::Keep,
            //= spec/ttl.md#ttl-7-a-read-that-refreshes
            //# Under `OnReadAndWrite` a read of a cell that has not expired MUST make the present its time, even if the clock has gone back.
            (false, _, UpdateType::OnReadAndWrite) => CellRead::Refresh,
        }
    }

    /// What becomes of a list that is read at `now` and whose elements were updated at `updated`. The reader gets those
    /// elements that [`is_visible`](Self::is_visible) says, as they were before.
    #[must_use]
    pub fn read_list(&self, updated: impl IntoIterator<Item = i64>, now: i64) -> ListRead {
        let lives = updated.into_iter().any(|updated| !self.ttl.is_expired(updated, now));
        match (lives, self.update) {
            //= spec/ttl.md#ttl-8-a-list-without-a-live-element
            //# A read of a list of which every element has expired MUST remove it.
            (false, _) => ListRead::Remove,
            (true, UpdateType::OnCreateAndWrite) => ListRead::Keep,
            //= spec/ttl.md#ttl-9-a-list-that-is-refreshed
            //# Under `OnReadAndWrite` a read of a list with a live element MUST keep its live elements alone and make the present their time.
            (true, UpdateType::OnReadAndWrite) => ListRead::Refresh,
        }
    }

    /// Whether an addition at `now` to a reduced value or an accumulator that was updated at `updated` builds on it,
    /// and does not start afresh. The present becomes the time of the result.
    #[must_use]
    #[inline]
    pub fn builds_on(&self, updated: i64, now: i64) -> bool {
        //= spec/ttl.md#ttl-10-an-addition-builds-on-what-is-visible
        //# An addition MUST build on the value that is there exactly if that is visible.
        self.is_visible(updated, now)
    }

    /// What becomes of a value that was updated at `moved` and goes at `now` to where there is one that was updated at
    /// `there`, if there is any. The elements of a list keep their times and are not asked about.
    #[must_use]
    pub fn merge_cell(&self, there: Option<i64>, moved: i64, now: i64) -> CellMerge {
        //= spec/ttl.md#ttl-15-merging
        //# A merge MUST combine the values that are visible, and make the present the time of what several became.
        match (self.is_visible(moved, now), there.is_some_and(|there| self.is_visible(there, now))) {
            (false, _) => CellMerge::Drop,
            (true, false) => CellMerge::Move,
            (true, true) => CellMerge::Combine,
        }
    }

    /// Whether clean-up at `now` removes a value that was updated at `updated`.
    #[must_use]
    #[inline]
    pub fn is_cleaned_up(&self, updated: i64, now: i64) -> bool {
        //= spec/ttl.md#ttl-11-clean-up-removes-what-has-expired
        //# Clean-up MUST remove a value that it looks at exactly if that has expired.
        self.ttl.is_expired(updated, now)
    }
}
