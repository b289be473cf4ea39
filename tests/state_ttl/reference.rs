//! What state with a time to live must do, in plain arithmetic.

use snapline::base::{Millis, TimeDomain};
use snapline::state::{ExpiredButPresent, TtlMetrics};
use snapline::ttl::{StateTtlConfig, StateVisibility, UpdateType};

/// What is kept for a key: cells with their own times.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Shape {
    Value,
    List,
    /// Elements of different lengths.
    Texts,
    Map,
    /// Values that may be nothing.
    Options,
    Reducing,
    Aggregating,
}

pub const SHAPES: [Shape; 7] = [
    Shape::Value,
    Shape::List,
    Shape::Texts,
    Shape::Map,
    Shape::Options,
    Shape::Reducing,
    Shape::Aggregating,
];

impl Shape {
    pub fn is_list(self) -> bool {
        matches!(self, Shape::List | Shape::Texts)
    }

    pub fn is_map(self) -> bool {
        matches!(self, Shape::Map | Shape::Options)
    }

    /// The bytes of a value with its time.
    fn bytes(self, value: u64) -> usize {
        let varint = (u64::BITS - value.leading_zeros()).div_ceil(7).max(1) as usize;
        8 + match self {
            Shape::Value | Shape::Reducing | Shape::Aggregating | Shape::Map => varint,
            // The length of an element stands in front of it, that of a text too.
            Shape::List => 1 + varint,
            Shape::Texts => 2 + text_of(value).len(),
            Shape::Options if value == 0 => 1,
            Shape::Options => 1 + varint,
        }
    }
}

/// Of different lengths, so that elements do not lie at multiples of anything.
pub fn text_of(value: u64) -> String {
    format!("{value}{}", "x".repeat(value as usize % 5))
}

/// A cell as a user sees it: the key in a map, and the value.
pub type Seen = Vec<(u8, u64)>;

#[derive(Clone, Copy, Debug)]
pub struct Rules {
    pub ttl: u64,
    pub refresh: bool,
    pub lenient: bool,
    pub in_snapshots: bool,
    pub domain: TimeDomain,
}

impl Rules {
    pub fn config(self) -> StateTtlConfig {
        let update = if self.refresh { UpdateType::OnReadAndWrite } else { UpdateType::OnCreateAndWrite };
        let visibility = match self.lenient {
            true => StateVisibility::ReturnExpiredIfNotCleanedUp,
            false => StateVisibility::NeverReturnExpired,
        };
        let config =
            StateTtlConfig::new(Millis(self.ttl)).expect("in bounds").disable_cleanup_in_background();
        let config = config.with_update_type(update).with_state_visibility(visibility);
        let config = config.with_time_domain(self.domain);
        if self.in_snapshots { config.cleanup_full_snapshot() } else { config }
    }

    fn is_expired(self, updated: i64, now: i64) -> bool {
        (i128::from(updated) + i128::from(self.ttl)).min(i128::from(i64::MAX)) <= i128::from(now)
    }

    fn is_seen(self, updated: i64, now: i64) -> bool {
        self.lenient || !self.is_expired(updated, now)
    }
}

/// What there is: the key in a map, when it was updated, and the value.
type Cell = (u8, i64, u64);

/// What there is, and how much was removed because it had expired.
#[derive(Clone, Debug)]
pub struct Reference {
    pub shape: Shape,
    pub rules: Rules,
    pub cells: Vec<Cell>,
    pub removed: TtlMetrics,
}

impl Reference {
    pub fn new(shape: Shape, rules: Rules) -> Self {
        Reference { shape, rules, cells: Vec::new(), removed: TtlMetrics::default() }
    }

    /// Puts or adds a value.
    pub fn write(&mut self, now: i64, key: u8, value: u64) {
        match self.shape {
            Shape::Value => self.cells = vec![(0, now, value)],
            Shape::List | Shape::Texts => self.cells.push((0, now, value)),
            Shape::Map | Shape::Options => {
                self.cells.retain(|(other, ..)| *other != key);
                self.cells.push((key, now, value));
            }
            Shape::Reducing | Shape::Aggregating => self.build_on(now, value),
        }
    }

    /// Makes something of what there is: adds to a single value, adds two elements to a list, puts two entries.
    pub fn change(&mut self, now: i64, key: u8, value: u64) {
        match self.shape {
            Shape::Value => self.build_on(now, value),
            Shape::Reducing | Shape::Aggregating => self.write(now, key, value),
            Shape::List | Shape::Texts | Shape::Map | Shape::Options => {
                self.write(now, key, value);
                self.write(now, key + 1, value + 1);
            }
        }
    }

    fn build_on(&mut self, now: i64, value: u64) {
        let rules = self.rules;
        self.take_away(|(_, updated, _)| !rules.is_seen(*updated, now));
        let old = self.cells.first().map_or(0, |(.., old)| *old);
        self.cells = vec![(0, now, old.wrapping_add(value))];
    }

    /// Puts values in the place of all elements of a list, or of the single value.
    pub fn replace(&mut self, now: i64, values: &[u64]) {
        if self.shape.is_list() {
            self.cells = values.iter().map(|value| (0, now, *value)).collect();
        }
    }

    /// Reads everything.
    pub fn read(&mut self, now: i64) -> Seen {
        let rules = self.rules;
        let seen = self.cells.iter().filter(|(_, updated, _)| rules.is_seen(*updated, now));
        let mut seen: Seen = seen.map(|(key, _, value)| (*key, *value)).collect();
        let lives = self.cells.iter().any(|(_, updated, _)| !rules.is_expired(*updated, now));
        if !self.shape.is_list() || !lives || rules.refresh {
            self.take_away(|(_, updated, _)| rules.is_expired(*updated, now));
        }
        if rules.refresh {
            self.cells.iter_mut().for_each(|(_, updated, _)| *updated = now);
        }
        if !self.shape.is_list() {
            seen.sort_unstable();
        }
        seen
    }

    /// Reads an entry of a map.
    pub fn read_entry(&mut self, now: i64, key: u8) -> Option<u64> {
        let rules = self.rules;
        let (_, updated, value) = self.cells.iter_mut().find(|(other, ..)| *other == key)?;
        let (seen, value) = (rules.is_seen(*updated, now), *value);
        if rules.refresh && !rules.is_expired(*updated, now) {
            *updated = now;
        }
        self.take_away(|(other, updated, _)| *other == key && rules.is_expired(*updated, now));
        seen.then_some(value)
    }

    /// Removes an entry of a map.
    pub fn remove(&mut self, now: i64, key: u8) -> Option<u64> {
        let removed = self.cells.iter().position(|(other, ..)| *other == key)?;
        let (_, updated, value) = self.cells.remove(removed);
        self.rules.is_seen(updated, now).then_some(value)
    }

    /// Removes an entry of a map, and what may not be seen.
    pub fn retain_others(&mut self, now: i64, key: u8) {
        let rules = self.rules;
        self.take_away(|(_, updated, _)| !rules.is_seen(*updated, now));
        self.cells.retain(|(other, ..)| *other != key);
    }

    /// Removes what an access has found expired.
    fn take_away(&mut self, is_taken: impl Fn(&Cell) -> bool) {
        let before = self.cells.len();
        self.cells.retain(|cell| !is_taken(cell));
        self.removed.by_accesses += (before - self.cells.len()) as u64;
    }

    pub fn clean_up(&mut self, now: i64) {
        self.removed.by_cleanup_on_request += self.expired(now).values;
        self.drop_expired(now);
    }

    /// What is left when a snapshot is restored.
    pub fn restore(&mut self, now: i64) {
        if self.rules.in_snapshots {
            self.removed.left_out_of_snapshots += self.expired(now).values;
            self.drop_expired(now);
        }
    }

    fn drop_expired(&mut self, now: i64) {
        self.cells.retain(|(_, updated, _)| !self.rules.is_expired(*updated, now));
    }

    pub fn expired(&self, now: i64) -> ExpiredButPresent {
        let expired = self.cells.iter().filter(|(_, updated, _)| self.rules.is_expired(*updated, now));
        let bytes = expired.map(|(.., value)| self.shape.bytes(*value) as u64);
        bytes.fold(ExpiredButPresent::default(), |found, bytes| ExpiredButPresent {
            values: found.values + 1,
            bytes: found.bytes + bytes,
        })
    }

    /// Whether a map has no entry that may be seen.
    pub fn is_empty(&self, now: i64) -> bool {
        !self.cells.iter().any(|(_, updated, _)| self.rules.is_seen(*updated, now))
    }
}
