//! How the state asks the core, and where the answers may be falsified.

use super::faults::Fault;
use super::store::Value;
use snapline::ttl::{CellMerge, CellRead, ListRead, OldestUpdate, StateTtlConfig};

/// The decisions of [`snapline::ttl`] at one time. Without a time to live nothing expires, and there is nothing to decide.
pub(super) struct Rules {
    pub(super) config: Option<StateTtlConfig>,
    pub(super) now: i64,
    pub(super) fault: Option<Fault>,
}

impl Rules {
    pub(super) fn plants(&self, fault: Fault) -> bool {
        self.fault == Some(fault)
    }

    /// The present that the core is told.
    fn asked_at(&self) -> i64 {
        match self.fault {
            Some(Fault::ExpiredTooLate) => self.now.saturating_sub(1),
            Some(Fault::ExpiredTooEarly) => self.now.saturating_add(1),
            _ => self.now,
        }
    }

    /// The time of a value that the core is told.
    fn updated(&self, value: &Value) -> i64 {
        let length = self.config.map_or(0, |config| config.ttl().length().0);
        let wraps = value.updated.checked_add_unsigned(length).is_none();
        if wraps && self.plants(Fault::ExpiryWraps) { i64::MIN } else { value.updated }
    }

    pub(super) fn is_expired(&self, value: &Value) -> bool {
        let updated = self.updated(value);
        self.config.is_some_and(|config| config.ttl().is_expired(updated, self.asked_at()))
    }

    pub(super) fn is_visible(&self, value: &Value) -> bool {
        let updated = self.updated(value);
        let is_visible = self.config.is_none_or(|config| config.is_visible(updated, self.asked_at()));
        is_visible || self.plants(Fault::ExpiredShown)
    }

    pub(super) fn read_cell(&self, value: &Value) -> CellRead {
        let Some(config) = self.config else { return CellRead::Keep };
        let decided = config.read_cell(self.updated(value), self.asked_at());
        match (self.fault, decided) {
            (Some(Fault::ExpiredShown), CellRead::Remove) => CellRead::LastTime,
            (Some(Fault::ExpiredHidden), CellRead::LastTime) => CellRead::Remove,
            (Some(Fault::ExpiredKept), CellRead::LastTime)
            | (Some(Fault::RefreshForgotten), CellRead::Refresh) => CellRead::Keep,
            (Some(Fault::ExpiredRefreshed), CellRead::LastTime)
            | (Some(Fault::EveryReadRefreshes), CellRead::Keep) => CellRead::Refresh,
            _ => decided,
        }
    }

    pub(super) fn read_list<'a>(&self, values: impl Iterator<Item = &'a Value>) -> ListRead {
        let Some(config) = self.config else { return ListRead::Keep };
        let looked_at = if self.plants(Fault::FirstElementDecides) { 1 } else { usize::MAX };
        let updated = values.take(looked_at).map(|value| self.updated(value));
        match (self.fault, config.read_list(updated, self.asked_at())) {
            (Some(Fault::DeadListKept), ListRead::Remove) => ListRead::Keep,
            (_, decided) => decided,
        }
    }

    pub(super) fn builds_on(&self, value: &Value) -> bool {
        match self.fault {
            Some(Fault::BuildsOnExpired) => true,
            Some(Fault::StartsAfresh) => !self.is_expired(value),
            _ => {
                let updated = self.updated(value);
                self.config.is_none_or(|config| config.builds_on(updated, self.asked_at()))
            }
        }
    }

    pub(super) fn is_cleaned_up(&self, value: &Value) -> bool {
        match self.fault {
            Some(Fault::VisibleNotCleanedUp) => !self.is_visible(value),
            _ => {
                let updated = self.updated(value);
                self.config.is_some_and(|config| config.is_cleaned_up(updated, self.asked_at()))
            }
        }
    }

    /// What becomes of a value that is moved to where another may be.
    pub(super) fn merge(&self, old: Option<&Value>, moved: &Value) -> CellMerge {
        let old_updated = old.map(|old| self.updated(old));
        let decided = self.config.map_or(CellMerge::Combine, |config| {
            config.merge_cell(old_updated, self.updated(moved), self.asked_at())
        });
        match (self.fault, decided, old) {
            (Some(Fault::ExpiredMerged), CellMerge::Drop | CellMerge::Move, Some(_)) => CellMerge::Combine,
            _ => decided,
        }
    }

    /// Whether clean-up has anything to look for, in the pass under way or in one that begins.
    pub(super) fn goes_on(&self, oldest: &mut OldestUpdate) -> bool {
        self.config.is_some_and(|config| oldest.goes_on(&config, self.asked_at()))
    }

    /// The time of a value after a read that refreshes.
    pub(super) fn refreshed(&self, value: &Value) -> i64 {
        if self.plants(Fault::RefreshedToTheLater) { self.now.max(value.updated) } else { self.now }
    }
}
