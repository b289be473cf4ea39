use super::rule::{Rule, RuleChange};
use serde::{Deserialize, Serialize};
use snapline::base::EventTime;
use snapline::runtime::Unrecoverable;
use std::collections::BTreeMap;

/// All that a rule has ever been: a payment that is judged later than another one may have happened before it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    changes: BTreeMap<i64, Option<Rule>>,
}

impl History {
    /// The rule that holds at `time`, and since when.
    pub fn at(&self, time: i64) -> Option<(i64, Rule)> {
        let (since, rule) = self.changes.range(..=time).next_back()?;
        rule.map(|rule| (*since, rule))
    }

    /// Takes in a change of the rule; payments up to the watermark may have been judged without it. A change that it
    /// knows changes nothing.
    pub fn change(&mut self, change: &RuleChange, watermark: EventTime) -> Result<(), Unrecoverable> {
        let RuleChange { timestamp, name, rule } = change;
        match self.changes.get(timestamp) {
            Some(known) if known == rule => Ok(()),
            Some(_) => Err(Unrecoverable(format!("rule `{name}` is changed twice at {timestamp}"))),
            None if EventTime(*timestamp) <= watermark => Err(Unrecoverable(format!(
                "rule `{name}` at {timestamp} comes when payments up to {} have been judged; put the rules in \
                 the order of their times, or allow for more --disorder",
                watermark.0
            ))),
            None => {
                self.changes.insert(*timestamp, *rule);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BIG: Option<Rule> = Some(Rule::Amount { at_least: 5 });
    const BIGGER: Option<Rule> = Some(Rule::Amount { at_least: 6 });

    fn change(timestamp: i64, rule: Option<Rule>) -> RuleChange {
        RuleChange { timestamp, name: "big".into(), rule }
    }

    #[test]
    fn history_has_the_rule_that_holds_at_a_time_in_whatever_order_the_changes_came() {
        let mut history = History::default();
        for change in [change(30, None), change(10, BIG), change(20, BIGGER), change(40, BIG)] {
            history.change(&change, EventTime(9)).unwrap();
        }
        let held = [9, 10, 19, 20, 29, 30, 40].map(|time| history.at(time).map(|(since, _)| since));
        assert_eq!(held, [None, Some(10), Some(10), Some(20), Some(20), None, Some(40)]);
        assert_eq!(history.at(i64::MAX), BIG.map(|rule| (40, rule)));
    }

    #[test]
    fn history_takes_no_change_for_payments_that_may_have_been_judged() {
        let mut history = History::default();
        let refused = history.change(&change(10, BIG), EventTime(10)).unwrap_err();
        assert!(refused.0.contains("rule `big` at 10") && refused.0.contains("--disorder"), "{refused}");
        assert_eq!(history, History::default());
    }

    #[test]
    fn history_knows_a_change_again_and_takes_no_other_for_the_same_time() {
        let mut history = History::default();
        history.change(&change(10, BIG), EventTime(9)).unwrap();
        // At least once, a rule may come again after payments were judged by it.
        history.change(&change(10, BIG), EventTime(11)).unwrap();
        for rule in [BIGGER, None] {
            let refused = history.change(&change(10, rule), EventTime(9)).unwrap_err();
            assert!(refused.0.contains("changed twice at 10"), "{refused}");
        }
        assert_eq!(history.at(10), BIG.map(|rule| (10, rule)));
    }
}
