use super::chance::Chance;
use super::{Click, User};
use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

/// 2026-01-01, in milliseconds since the epoch: when the first click happens.
const BEGINNING: i64 = 1_767_225_600_000;
/// The time from one click to the next, before they get out of order.
const MILLIS_BETWEEN_CLICKS: i64 = 10;
/// For so long a user stays, or stays away.
const MILLIS_OF_A_VISIT: i64 = 60_000;
/// One of so many users is there at a time.
const USERS_PER_VISITOR: u64 = 8;
const ACTIONS: [&str; 6] = ["login", "view", "search", "cart", "pay", "logout"];

/// Clicks, each of which depends on nothing but the seed and its number: whoever knows the number can go on from there.
///
/// Users come and go, so that there are sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickGenerator {
    chance: Chance,
    users: u64,
    disorder_millis: u64,
}

impl ClickGenerator {
    /// Clicks of `users` users, at least one, which arrive up to `disorder_millis` after a later one.
    pub fn new(seed: u64, users: u64, disorder_millis: u64) -> Self {
        ClickGenerator { chance: Chance::new(seed), users: users.max(1), disorder_millis }
    }

    /// The click with this number.
    pub fn click(&self, number: u64) -> Click {
        let chance = self.chance.of(number);
        let delay = chance.of(0).below(self.disorder_millis.saturating_add(1));
        let timestamp = in_order(number).saturating_sub_unsigned(delay);
        Click { timestamp, user: self.user(chance.of(1), timestamp), action: action(chance.of(2)) }
    }

    /// No click from this number on is earlier.
    pub fn earliest_from(&self, number: u64) -> i64 {
        in_order(number).saturating_sub_unsigned(self.disorder_millis)
    }

    /// Somebody who is there at the time: a few are asked, and if none of them is, the last one comes in.
    fn user(&self, chance: Chance, timestamp: i64) -> User {
        let visit = (timestamp - BEGINNING).div_euclid(MILLIS_OF_A_VISIT) as u64;
        let mut asked = (0..8 * USERS_PER_VISITOR).map(|attempt| chance.of(attempt).below(self.users));
        let is_there = |user: &u64| self.chance.of(*user).of(visit).below(USERS_PER_VISITOR) == 0;
        let user = asked.find(is_there).unwrap_or_else(|| chance.below(self.users));
        User(format_compact!("user-{user}"))
    }
}

/// When the click with this number happens, unless it gets out of order.
fn in_order(number: u64) -> i64 {
    BEGINNING.saturating_add(i64::try_from(number).unwrap_or(i64::MAX).saturating_mul(MILLIS_BETWEEN_CLICKS))
}

fn action(chance: Chance) -> CompactString {
    CompactString::const_new(ACTIONS[chance.below(ACTIONS.len() as u64) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn clicks_of_one_seed_are_the_same_in_any_order_and_those_of_another_differ() {
        let clicks = |seed| ClickGenerator::new(seed, 100, 500);
        let forwards: Vec<_> = (0..1000).map(|number| clicks(7).click(number)).collect();
        let mut backwards: Vec<_> = (0..1000).rev().map(|number| clicks(7).click(number)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_ne!(forwards, (0..1000).map(|number| clicks(8).click(number)).collect::<Vec<_>>());
    }

    #[test]
    fn clicks_are_out_of_order_within_their_bound() {
        let generator = ClickGenerator::new(1, 100, 500);
        let (mut newest, mut latest) = (i64::MIN, 0);
        for number in 0..10_000 {
            let timestamp = generator.click(number).timestamp;
            assert!(timestamp >= generator.earliest_from(number));
            newest = newest.max(timestamp);
            latest = latest.max(newest - timestamp);
        }
        assert!((400..=500).contains(&latest), "{latest}");
        let ordered = ClickGenerator::new(1, 100, 0);
        assert!((0..1000).all(|n| ordered.click(n).timestamp < ordered.click(n + 1).timestamp));
    }

    #[test]
    fn clicks_come_in_sessions_of_users_who_go_away_again() {
        let generator = ClickGenerator::new(3, 200, 0);
        let mut visits: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        for click in (0..60_000).map(|number| generator.click(number)) {
            let visit = (click.timestamp - BEGINNING) / MILLIS_OF_A_VISIT;
            visits.entry(click.user).or_default().insert(visit);
        }
        assert!(visits.len() > 100, "{}", visits.len());
        let away = visits.values().filter(|visits| visits.len() < 8).count();
        assert!(away > visits.len() / 2, "{away} of {}", visits.len());
    }

    #[test]
    fn clicks_beyond_the_end_of_time_stand_still() {
        let click = ClickGenerator::new(1, 1, u64::MAX).click(u64::MAX);
        assert_eq!(click.user.0, "user-0");
        assert_eq!(click.timestamp, ClickGenerator::new(1, 1, u64::MAX).click(u64::MAX).timestamp);
    }
}
