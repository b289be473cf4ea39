use super::Click;
use crate::input::{Chance, Crowd, Deed, Generator, Name};
use compact_str::{CompactString, format_compact};
use serde::{Deserialize, Serialize};

const ACTIONS: [&str; 6] = ["login", "view", "search", "cart", "pay", "logout"];

/// Clicks of users who come and go, so that there are sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClickGenerator {
    users: Crowd,
}

impl ClickGenerator {
    /// Clicks of `users`.
    pub fn new(users: Crowd) -> Self {
        ClickGenerator { users }
    }
}

impl Generator for ClickGenerator {
    type Out = Click;

    fn event(&self, number: u64) -> Click {
        let Deed { timestamp, member, chance } = self.users.deed(number);
        Click { timestamp, user: Name(format_compact!("user-{member}")), action: action(chance) }
    }

    fn earliest_from(&self, number: u64) -> i64 {
        self.users.earliest_from(number)
    }
}

fn action(chance: Chance) -> CompactString {
    CompactString::const_new(ACTIONS[chance.below(ACTIONS.len() as u64) as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clicks_of_one_seed_are_the_same_in_any_order_and_those_of_another_differ() {
        let clicks = |seed| ClickGenerator::new(Crowd::new(seed, 100, 500));
        let forwards: Vec<_> = (0..1000).map(|number| clicks(7).event(number)).collect();
        let mut backwards: Vec<_> = (0..1000).rev().map(|number| clicks(7).event(number)).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
        assert_ne!(forwards, (0..1000).map(|number| clicks(8).event(number)).collect::<Vec<_>>());
    }
}
