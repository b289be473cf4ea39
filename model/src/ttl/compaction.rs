//! A compaction: it looks at the bytes of what was there when it began, one entry after the other, beside the user.

use super::faults::Fault;
use super::history::Present;
use super::rules::Rules;
use super::scope::Shape;
use super::store::{Slot, Store, Value};
use super::system::ExpiringState;
use super::world::World;
use snapline::ttl::{Compacted, CompactionClock, Stamped};

/// How far a compaction has come.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Compaction {
    /// What the files hold that it reads.
    pub(super) input: Store,
    /// What it looks at next.
    pub(super) cursor: Slot,
    pub(super) clock: CompactionClock,
    /// How many entries it has looked at.
    pub(super) entries: u8,
    /// When it had to ask for the time last.
    pub(super) asked_at: i64,
}

impl Compaction {
    /// What lies under the key that comes next: a value, or a list.
    pub(super) fn next_entry(&self, shape: Shape) -> Store {
        let rest = self.input.0.range(self.cursor..).map(|(slot, value)| (*slot, *value));
        let length = if shape == Shape::List { usize::MAX } else { 1 };
        Store(rest.take(length).collect())
    }
}

/// A time and a number.
const BYTES: usize = size_of::<i64>() + 1;

fn written(value: &Value) -> Vec<u8> {
    [&Stamped::<u8>::time_bytes(value.updated)[..], &[value.writes]].concat()
}

fn all_written(values: &Store) -> Vec<u8> {
    values.0.values().flat_map(written).collect()
}

fn take<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (element, rest) = bytes.split_at_checked(BYTES)?;
    *bytes = rest;
    Some(element)
}

/// What a compaction leaves of the bytes of an entry, and how many values it says have expired.
fn compact(rules: &Rules, entry: &Store, shape: Shape, now: i64) -> (Vec<u8>, usize) {
    let bytes = all_written(entry);
    let compacted = match (&rules.config, shape) {
        (None, _) => Compacted::kept(&bytes),
        (Some(config), Shape::List) => config.compact_list(&bytes, now, take),
        (Some(config), _) => config.compact_value(&bytes, now),
    };
    let Compacted { expired, left } = falsified(compacted, &bytes, rules, now);
    (left.unwrap_or_default().into_owned(), expired)
}

/// The answers of planted bugs.
fn falsified<'a>(compacted: Compacted<'a>, bytes: &'a [u8], rules: &Rules, now: i64) -> Compacted<'a> {
    match (rules.fault, rules.config) {
        (Some(Fault::WholeListCompacted), _) if compacted.expired > 0 => {
            Compacted { left: None, ..compacted }
        }
        (Some(Fault::OnlyFirstDeadCompacted), Some(config)) => {
            let is_dead = |element: &[u8]| config.compact_value(element, now).left.is_none();
            let dead = bytes.chunks(BYTES).take_while(|element| is_dead(element)).count();
            let left = &bytes[dead * BYTES..];
            Compacted { expired: dead, left: (!left.is_empty()).then_some(left.into()) }
        }
        _ => compacted,
    }
}

impl ExpiringState {
    /// A compaction begins, or looks at what comes next, or ends.
    pub(super) fn compact(&self, world: &mut World, query_after: u8) {
        let (rules, shape, working) = (self.rules(world), world.run.shape, &mut world.working);
        let Some(clock) = rules.config.and_then(|config| CompactionClock::new(&config)) else { return };
        let compaction = working.compaction.get_or_insert_with(|| Compaction {
            input: working.store.clone(),
            cursor: 0,
            clock,
            entries: 0,
            asked_at: rules.now,
        });
        let entry = compaction.next_entry(shape);
        let Some((last, _)) = entry.0.last_key_value() else {
            working.compaction = None;
            return;
        };
        compaction.cursor = last + 1;
        let is_kept = self.plants(Fault::CompactionTimeKept) && compaction.entries > 0;
        let now = if is_kept { compaction.asked_at } else { compaction.clock.now(|| rules.now) };
        if compaction.entries % query_after == 0 {
            compaction.asked_at = rules.now;
        }
        compaction.entries += 1;
        world.wrong.asked |= now != compaction.asked_at;
        self.carry_out(world, &rules, &entry, now);
    }

    /// What a compaction at `now` leaves of an entry takes its place, unless that was written since.
    fn carry_out(&self, world: &mut World, rules: &Rules, entry: &Store, now: i64) {
        let (shape, present) = (world.run.shape, Present { now, ..world.present() });
        let (left, expired) = compact(rules, entry, shape, now);
        let mut expected = entry.clone();
        expected.0.retain(|_, value| !present.is_expired(value.updated));
        world.wrong.compacted |=
            left != all_written(&expected) || expired != entry.0.len() - expected.0.len();
        let working = &mut world.working;
        let is_there = |slot: &Slot, value: &Value| working.store.0.get(slot) == Some(value);
        // A list to which something was added is another one.
        let is_as_long = shape != Shape::List || working.store.0.len() == entry.0.len();
        let is_newest = is_as_long && entry.0.iter().all(|(slot, value)| is_there(slot, value));
        if is_newest || self.plants(Fault::CompactedOverNewer) {
            let is_left = |value: &Value| left.chunks(BYTES).any(|bytes| bytes == written(value));
            for (slot, _) in entry.0.iter().filter(|(_, value)| !is_left(value)) {
                working.store.0.remove(slot);
                working.history.cleaned_up(present, *slot);
            }
        }
    }
}
