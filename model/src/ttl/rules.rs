//! How the state asks the core, and where the answers may be falsified.

use super::faults::Fault;
use super::store::Value;
use snapline::ttl::{CellRead, ListRead, StateTtlConfig};

/// The decisions of [`snapline::ttl`] at one time.
pub(super) struct Rules {
    pub(super) config: StateTtlConfig,
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
        let length = self.config.ttl().length().0;
        let wraps = value.updated.checked_add_unsigned(length).is_none();
        if wraps && self.plants(Fault::ExpiryWraps) { i64::MIN } else { value.updated }
    }

    pub(super) fn is_expired(&self, value: &Value) -> bool {
        self.config.ttl().is_expired(self.updated(value), self.asked_at())
    }

    pub(super) fn is_visible(&self, value: &Value) -> bool {
        self.config.is_visible(self.updated(value), self.asked_at()) || self.plants(Fault::ExpiredShown)
    }

    pub(super) fn read_cell(&self, value: &Value) -> CellRead {
        let decided = self.config.read_cell(self.updated(value), self.asked_at());
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
        let looked_at = if self.plants(Fault::FirstElementDecides) { 1 } else { usize::MAX };
        let updated = values.take(looked_at).map(|value| self.updated(value));
        match (self.fault, self.config.read_list(updated, self.asked_at())) {
            (Some(Fault::DeadListKept), ListRead::Remove) => ListRead::Keep,
            (_, decided) => decided,
        }
    }

    pub(super) fn builds_on(&self, value: &Value) -> bool {
        match self.fault {
            Some(Fault::BuildsOnExpired) => true,
            Some(Fault::StartsAfresh) => !self.is_expired(value),
            _ => self.config.builds_on(self.updated(value), self.asked_at()),
        }
    }

    pub(super) fn is_cleaned_up(&self, value: &Value) -> bool {
        match self.fault {
            Some(Fault::VisibleNotCleanedUp) => !self.is_visible(value),
            _ => self.config.is_cleaned_up(self.updated(value), self.asked_at()),
        }
    }

    /// The time of a value after a read that refreshes.
    pub(super) fn refreshed(&self, value: &Value) -> i64 {
        if self.plants(Fault::RefreshedToTheLater) { self.now.max(value.updated) } else { self.now }
    }
}
