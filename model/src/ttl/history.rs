//! What may be seen of the past, worked out from writes, reads and the clock in plain arithmetic.
//!
//! Nothing here asks the core. The history does without clean-up, so it knows exactly what a copy of the state holds that is
//! never cleaned up. Of a copy that is cleaned up at any time it knows what must be there, because it has never
//! been expired, and what cannot be there any more.

use super::scope::Shape;
use super::store::{Slot, Writes};
use snapline::ttl::{StateVisibility, UpdateType};
use std::collections::BTreeMap;

/// What is said about a state, in plain words, at one time.
#[derive(Clone, Copy)]
pub(super) struct Present {
    pub(super) shape: Shape,
    pub(super) update: UpdateType,
    pub(super) visibility: StateVisibility,
    /// `None` is for ever.
    pub(super) ttl: Option<u64>,
    pub(super) now: i64,
}

impl Present {
    pub(super) fn is_expired(&self, last: i64) -> bool {
        let end = |ttl| (i128::from(last) + i128::from(ttl)).min(i128::from(i64::MAX));
        self.ttl.is_some_and(|ttl: u64| i128::from(self.now) >= end(ttl))
    }

    fn is_visible(&self, last: i64) -> bool {
        self.is_lenient() || !self.is_expired(last)
    }

    /// Whether an expired value may be seen.
    fn is_lenient(&self) -> bool {
        self.visibility == StateVisibility::ReturnExpiredIfNotCleanedUp
    }
}

/// What is known of one value that no read has removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Life {
    /// The last write, or read that refreshed it.
    pub(super) last: i64,
    /// What it consists of if nothing is ever cleaned up.
    pub(super) whole: Writes,
    /// What it consists of at least: nothing as soon as it has been expired.
    pub(super) least: Writes,
    /// What it consists of at most: nothing when it was cleaned up.
    pub(super) most: Writes,
}

/// The values that there were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct History(pub(super) BTreeMap<Slot, Life>);

/// What a read may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bounds {
    /// Values that have expired.
    pub(super) expired: Writes,
    /// What must be seen without any clean-up.
    pub(super) visible: Writes,
    /// What there is without any clean-up.
    pub(super) whole: Writes,
    /// What must be seen in any case.
    pub(super) least: Writes,
    /// What may be left with clean-up.
    pub(super) most: Writes,
}

impl History {
    pub(super) fn write(&mut self, present: Present, entry: Slot, number: u8) {
        self.remove(present.shape, entry);
        self.begin(present, present.shape.slot(entry, number), number);
    }

    fn begin(&mut self, present: Present, slot: Slot, number: u8) {
        let one = 1 << number;
        self.0.insert(slot, Life { last: present.now, whole: one, least: one, most: one });
    }

    pub(super) fn add(&mut self, present: Present, entry: Slot, number: u8) {
        let slot = present.shape.slot(entry, number);
        let known = self.0.get_mut(&slot);
        match known.filter(|life| present.is_visible(life.last)) {
            None => self.begin(present, slot, number),
            Some(life) => {
                life.last = present.now;
                for writes in [&mut life.whole, &mut life.least, &mut life.most] {
                    *writes |= 1 << number;
                }
            }
        }
    }

    /// What a read of `entry`, or of the list, may see.
    pub(super) fn bounds(&self, present: Present, entry: Slot) -> Bounds {
        let mut bounds = Bounds::default();
        let is_read = |slot: &Slot| present.shape == Shape::List || *slot == entry;
        for (_, life) in self.0.iter().filter(|(slot, _)| is_read(slot)) {
            let is_expired = present.is_expired(life.last);
            bounds.whole |= life.whole;
            bounds.least |= life.least;
            bounds.most |= life.most;
            bounds.expired |= if is_expired { life.whole } else { 0 };
            bounds.visible |= if present.is_visible(life.last) { life.whole } else { 0 };
        }
        bounds
    }

    /// A cell ends with the first read after its expiry, a list with the first one after that of all its elements.
    pub(super) fn read(&mut self, present: Present, entry: Slot) {
        let is_read = |slot: &Slot| present.shape == Shape::List || *slot == entry;
        let mut read = self.0.iter().filter(|(slot, _)| is_read(slot));
        let is_dead = read.all(|(_, life)| present.is_expired(life.last));
        if is_dead {
            self.0.retain(|slot, _| !is_read(slot));
        } else if present.ttl.is_some() && present.update == UpdateType::OnReadAndWrite {
            self.0.retain(|slot, life| !is_read(slot) || !present.is_expired(life.last));
            let read = self.0.iter_mut().filter(|(slot, _)| is_read(slot));
            read.for_each(|(_, life)| life.last = present.now);
        }
    }

    pub(super) fn remove(&mut self, shape: Shape, entry: Slot) {
        self.0.retain(|slot, _| shape.has_entries() && *slot != entry);
    }

    /// The second value goes where the first is.
    pub(super) fn merge(&mut self, present: Present) {
        let Some(mut moved) = self.0.remove(&1).filter(|moved| present.is_visible(moved.last)) else {
            return;
        };
        if let Some(old) = self.0.get(&0).filter(|old| present.is_visible(old.last)) {
            moved.last = present.now;
            moved.whole |= old.whole;
            moved.least |= old.least;
            moved.most |= old.most;
        }
        self.0.insert(0, moved);
    }

    /// The state is restored from where values had no times: they begin to live.
    pub(super) fn begin_to_expire(&mut self, present: Present) {
        self.0.values_mut().for_each(|life| life.last = present.now);
    }

    /// From now on what has expired may be gone, even if the clock goes back.
    pub(super) fn clock_moved(&mut self, present: Present) {
        let expired = self.0.values_mut().filter(|life| present.is_expired(life.last));
        expired.for_each(|life| life.least = 0);
    }

    /// Whether clean-up must remove the value of a slot.
    pub(super) fn is_expired(&self, present: Present, slot: Slot) -> bool {
        self.0.get(&slot).is_some_and(|life| present.is_expired(life.last))
    }

    /// Clean-up has looked at a slot.
    pub(super) fn cleaned_up(&mut self, present: Present, slot: Slot) {
        let looked_at = self.0.get_mut(&slot).filter(|life| present.is_expired(life.last));
        looked_at.into_iter().for_each(|life| life.most = 0);
    }
}
