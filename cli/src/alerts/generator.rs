use super::payment::Payment;
use super::rule::{Rule, RuleChange};
use crate::input::{Chance, Crowd, Deed, Generator, Name, in_order};
use compact_str::format_compact;
use serde::{Deserialize, Serialize};
use snapline::base::Millis;

/// Once in so many payments, a rule is changed.
const PAYMENTS_PER_RULE_CHANGE: u64 = 500;
/// How many rules there are at most, and of how many kinds.
const RULES: u64 = 6;
const KINDS: u64 = 3;
/// One of so many changes removes a rule.
const CHANGES_PER_REMOVAL: u64 = 5;
/// No payment is as high.
const AMOUNTS: u64 = 1_000;

/// Payments from accounts that are busy at times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentGenerator {
    accounts: Crowd,
}

impl PaymentGenerator {
    /// Payments from `accounts`.
    pub fn new(accounts: Crowd) -> Self {
        PaymentGenerator { accounts }
    }
}

impl Generator for PaymentGenerator {
    type Out = Payment;

    fn event(&self, number: u64) -> Payment {
        let Deed { timestamp, member, chance } = self.accounts.deed(number);
        let account = Name(format_compact!("account-{member}"));
        Payment { timestamp, account, amount: 1 + chance.below(AMOUNTS - 1) }
    }

    fn earliest_from(&self, number: u64) -> i64 {
        self.accounts.earliest_from(number)
    }
}

/// Changes of rules, in order and spread over the time of the payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleGenerator {
    chance: Chance,
}

impl RuleGenerator {
    /// The changes with this seed.
    pub fn new(seed: u64) -> Self {
        RuleGenerator { chance: Chance::new(seed) }
    }

    /// How many changes there are in the time of so many payments.
    pub fn changes_among(payments: u64) -> u64 {
        payments.div_ceil(PAYMENTS_PER_RULE_CHANGE)
    }
}

impl Generator for RuleGenerator {
    type Out = RuleChange;

    fn event(&self, number: u64) -> RuleChange {
        let chance = self.chance.of(number);
        let which = chance.of(0).below(RULES);
        let is_removed = chance.of(1).below(CHANGES_PER_REMOVAL) == 0;
        let (kind, rule) = match which % KINDS {
            0 => ("high", Rule::Amount { at_least: AMOUNTS - 1 - chance.of(2).below(10) }),
            1 => {
                let (at_least, seconds) = (4 + chance.of(2).below(4), 1 + chance.of(3).below(3));
                ("often", Rule::Count { at_least, within: Millis(seconds * 1_000) })
            }
            _ => {
                let (at_least, seconds) = (6 + chance.of(2).below(6), 1 + chance.of(3).below(10));
                ("much", Rule::Sum { at_least: at_least * AMOUNTS, within: Millis(seconds * 1_000) })
            }
        };
        RuleChange {
            timestamp: self.earliest_from(number),
            name: Name(format_compact!("{kind}-{}", which / KINDS)),
            rule: (!is_removed).then_some(rule),
        }
    }

    fn earliest_from(&self, number: u64) -> i64 {
        in_order(number.saturating_mul(PAYMENTS_PER_RULE_CHANGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn rules(seed: u64) -> Vec<RuleChange> {
        (0..100).map(|number| RuleGenerator::new(seed).event(number)).collect()
    }

    #[test]
    fn payments_and_rules_of_a_seed_are_those_of_no_other() {
        let payments = |seed| {
            let generator = PaymentGenerator::new(Crowd::new(seed, 50, 100));
            (0..100).map(|number| generator.event(number)).collect::<Vec<_>>()
        };
        assert_eq!((payments(7), rules(7)), (payments(7), rules(7)));
        assert_ne!(payments(7), payments(8));
        assert_ne!(rules(7), rules(8));
    }

    #[test]
    fn rules_that_are_generated_can_be_written_and_read() {
        for change in rules(1) {
            assert_eq!(change.to_string().parse(), Ok(change));
        }
    }

    #[test]
    fn rules_of_each_kind_are_set_and_removed_in_the_time_of_the_payments() {
        let changes = rules(1);
        let kinds: BTreeSet<_> = changes.iter().filter_map(|change| change.rule.map(Rule::measure)).collect();
        assert_eq!(kinds.len(), 3);
        assert!(changes.iter().any(|change| change.rule.is_none()));
        let names: BTreeSet<_> = changes.iter().map(|change| &change.name).collect();
        assert_eq!(names.len() as u64, RULES);
        assert!(changes.is_sorted_by(|earlier, later| earlier.timestamp < later.timestamp));
        let payments = PaymentGenerator::new(Crowd::new(1, 50, 0));
        let last = RuleGenerator::changes_among(10_000) - 1;
        assert_eq!(changes[0].timestamp, payments.event(0).timestamp);
        assert!(RuleGenerator::new(1).earliest_from(last) <= payments.event(9_999).timestamp);
    }
}
