//! State that carries out what the core decides.

use super::faults::Fault;
use super::rules::Rules;
use super::scope::Shape;
use snapline::ttl::{CellMerge, CellRead, ListRead, Stamped};
use std::collections::BTreeMap;

/// Which writes a value comes from: one, or all that a reduced value is made of. One bit for each.
pub(super) type Writes = u8;

/// Where a value is: the number of an entry of a map, or the number of the write that has added a list's element.
pub(super) type Slot = u8;

/// A value with the time of its last update.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Value {
    pub(super) writes: Writes,
    pub(super) updated: i64,
}

/// The state of one key: a cell, the entries of a map or the elements of a list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Store(pub(super) BTreeMap<Slot, Value>);

impl Store {
    /// Write `number` replaces the value, an entry or the whole list.
    pub(super) fn write(&mut self, shape: Shape, rules: &Rules, entry: Slot, number: u8) {
        if shape == Shape::List {
            self.0.clear();
        }
        let before = self.0.get(&entry).filter(|_| rules.plants(Fault::CreationTimeKept));
        let updated = before.map_or(rules.now, |before| before.updated);
        self.put(rules, shape.slot(entry, number), Value { writes: 1 << number, updated });
    }

    /// Write `number` is added to a reduced value or to the list.
    pub(super) fn add(&mut self, shape: Shape, rules: &Rules, entry: Slot, number: u8) {
        let slot = shape.slot(entry, number);
        let base = self.0.get(&slot).filter(|value| rules.builds_on(value));
        let writes = base.map_or(0, |value| value.writes) | (1 << number);
        self.put(rules, slot, Value { writes, updated: rules.now });
    }

    fn put(&mut self, rules: &Rules, slot: Slot, value: Value) {
        if rules.plants(Fault::OthersRefreshed) {
            self.0.values_mut().for_each(|other| other.updated = rules.now);
        }
        self.0.insert(slot, value);
    }

    /// What a read of an entry or of the list gives.
    pub(super) fn read(&mut self, shape: Shape, rules: &Rules, entry: Slot) -> Writes {
        if shape == Shape::List { self.read_list(rules) } else { self.read_cell(rules, entry) }
    }

    fn read_cell(&mut self, rules: &Rules, entry: Slot) -> Writes {
        let Some(value) = self.0.get_mut(&entry) else { return 0 };
        let writes = value.writes;
        match rules.read_cell(value) {
            CellRead::Keep => writes,
            CellRead::Refresh => {
                value.updated = rules.refreshed(value);
                writes
            }
            CellRead::LastTime => {
                self.0.remove(&entry);
                writes
            }
            CellRead::Remove => {
                self.0.remove(&entry);
                0
            }
        }
    }

    fn read_list(&mut self, rules: &Rules) -> Writes {
        let visible = self.0.values().filter(|value| rules.is_visible(value));
        let seen = visible.fold(0, |seen, value| seen | value.writes);
        match rules.read_list(self.0.values()) {
            ListRead::Keep => {}
            ListRead::Refresh => {
                self.0.retain(|_, value| {
                    rules.plants(Fault::DeadElementsRefreshed) || !rules.is_expired(value)
                });
                self.0.values_mut().for_each(|value| value.updated = rules.refreshed(value));
            }
            ListRead::Remove => self.0.clear(),
        }
        seen
    }

    /// Whether nothing can be seen. This is a look, not a read.
    pub(super) fn is_empty(&self, rules: &Rules) -> bool {
        !self.0.values().any(|value| rules.is_visible(value) || rules.plants(Fault::StoredTakenForVisible))
    }

    /// The user removes an entry, the value or the list.
    pub(super) fn remove(&mut self, shape: Shape, entry: Slot) {
        if shape.has_entries() {
            self.0.remove(&entry);
        } else {
            self.0.clear();
        }
    }

    /// The second value is merged into the first.
    pub(super) fn merge(&mut self, rules: &Rules) {
        let Some(moved) = self.0.remove(&1) else { return };
        let old = self.0.get(&0).copied();
        let merged = match (rules.merge(old.as_ref(), &moved), old) {
            (CellMerge::Drop, _) => return,
            (CellMerge::Combine, Some(old)) => {
                let keeps = rules.plants(Fault::MergedKeepsTime);
                let updated = if keeps { moved.updated } else { rules.now };
                Value { writes: old.writes | moved.writes, updated }
            }
            (CellMerge::Move | CellMerge::Combine, _) if rules.plants(Fault::MovedRefreshed) => {
                Value { updated: rules.now, ..moved }
            }
            (CellMerge::Move | CellMerge::Combine, _) => moved,
        };
        self.0.insert(0, merged);
    }

    /// The state is restored from where values had no times.
    pub(super) fn begin_to_expire(&mut self, rules: &Rules) {
        for value in self.0.values_mut() {
            let without_time = rules.plants(Fault::SwitchedOnFromTheBeginning);
            let now = if without_time { 0 } else { rules.now };
            value.updated = Stamped::restored(None, (), now).updated;
        }
    }

    /// The first slot from `cursor` on, and around.
    pub(super) fn next_slot(&self, cursor: Slot) -> Option<Slot> {
        self.0.range(cursor..).chain(&self.0).next().map(|(slot, _)| *slot)
    }

    /// Incremental clean-up looks at one slot. What it only wants to remove later is the answer of a planted bug.
    pub(super) fn clean_up(&mut self, rules: &Rules, slot: Slot) -> Option<Slot> {
        if !self.0.get(&slot).is_some_and(|value| rules.is_cleaned_up(value)) {
            return None;
        }
        match rules.fault {
            Some(Fault::CleanedUpLater) => return Some(slot),
            Some(Fault::WholeStateCleanedUp) => self.0.clear(),
            _ => {}
        }
        self.0.remove(&slot);
        None
    }

    /// What a full snapshot that cleans up holds.
    pub(super) fn cleaned_up(mut self, rules: &Rules) -> Store {
        let whole = rules.plants(Fault::WholeSnapshotCleanedUp)
            && self.0.values().any(|value| rules.is_cleaned_up(value));
        self.0.retain(|_, value| !whole && !rules.is_cleaned_up(value));
        self
    }
}
