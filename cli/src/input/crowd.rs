use super::chance::Chance;
use serde::{Deserialize, Serialize};

/// 2026-01-01, in milliseconds since the epoch: when the first deed is done.
const BEGINNING: i64 = 1_767_225_600_000;
/// The time from one deed to the next, before they get out of order.
const MILLIS_BETWEEN_DEEDS: i64 = 10;
/// For so long a member stays, or stays away.
const MILLIS_OF_A_VISIT: i64 = 60_000;
/// One of so many members is there at a time.
const MEMBERS_PER_VISITOR: u64 = 8;

/// Some who do things, each of which depends on nothing but the seed and its number.
///
/// They come and go, so that many of the deeds of one member are close to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowd {
    chance: Chance,
    members: u64,
    disorder_millis: u64,
}

/// A member does something.
pub struct Deed {
    /// When, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The number of the member.
    pub member: u64,
    /// Decides what.
    pub chance: Chance,
}

impl Crowd {
    /// A crowd of `members`, at least one, whose deeds arrive up to `disorder_millis` after a later one.
    pub fn new(seed: u64, members: u64, disorder_millis: u64) -> Self {
        Crowd { chance: Chance::new(seed), members: members.max(1), disorder_millis }
    }

    /// The deed with this number.
    pub fn deed(&self, number: u64) -> Deed {
        let chance = self.chance.of(number);
        let delay = chance.of(0).below(self.disorder_millis.saturating_add(1));
        let timestamp = in_order(number).saturating_sub_unsigned(delay);
        Deed { timestamp, member: self.member(chance.of(1), timestamp), chance: chance.of(2) }
    }

    /// No deed from this number on is earlier.
    pub fn earliest_from(&self, number: u64) -> i64 {
        in_order(number).saturating_sub_unsigned(self.disorder_millis)
    }

    /// Somebody who is there at the time: a few are asked, and if none of them is, the last one comes in.
    fn member(&self, chance: Chance, timestamp: i64) -> u64 {
        let visit = (timestamp - BEGINNING).div_euclid(MILLIS_OF_A_VISIT) as u64;
        let mut asked = (0..8 * MEMBERS_PER_VISITOR).map(|attempt| chance.of(attempt).below(self.members));
        let is_there = |member: &u64| self.chance.of(*member).of(visit).below(MEMBERS_PER_VISITOR) == 0;
        asked.find(is_there).unwrap_or_else(|| chance.below(self.members))
    }
}

/// When the deed with this number is done, unless it gets out of order.
pub fn in_order(number: u64) -> i64 {
    BEGINNING.saturating_add(i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(MILLIS_BETWEEN_DEEDS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn deeds_are_out_of_order_within_their_bound() {
        let crowd = Crowd::new(1, 100, 500);
        let (mut newest, mut latest) = (i64::MIN, 0);
        for number in 0..10_000 {
            let timestamp = crowd.deed(number).timestamp;
            assert!(timestamp >= crowd.earliest_from(number));
            newest = newest.max(timestamp);
            latest = latest.max(newest - timestamp);
        }
        assert!((400..=500).contains(&latest), "{latest}");
        let ordered = Crowd::new(1, 100, 0);
        assert!((0..1000).all(|n| ordered.deed(n).timestamp < ordered.deed(n + 1).timestamp));
    }

    #[test]
    fn deeds_are_of_members_who_go_away_and_come_again() {
        let crowd = Crowd::new(3, 200, 0);
        let mut deeds: BTreeMap<_, u32> = BTreeMap::new();
        for deed in (0..60_000).map(|number| crowd.deed(number)) {
            let visit = (deed.timestamp - BEGINNING) / MILLIS_OF_A_VISIT;
            *deeds.entry((deed.member, visit)).or_default() += 1;
        }
        // Who does little has only come in because none of the visitors was asked.
        let mut visits: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for ((member, visit), _) in deeds.into_iter().filter(|(_, number)| *number > 50) {
            visits.entry(member).or_default().insert(visit);
        }
        assert!(visits.len() > 100, "{}", visits.len());
        assert!(visits.values().any(|visits| visits.len() > 1));
        assert!(visits.values().all(|visits| visits.len() < 8));
    }

    #[test]
    fn deeds_beyond_the_end_of_time_stand_still() {
        let crowd = Crowd::new(1, 1, u64::MAX);
        let (one, again) = (crowd.deed(u64::MAX), crowd.deed(u64::MAX));
        assert_eq!((one.member, one.timestamp), (0, again.timestamp));
    }
}
