use crate::input::{Event, Name, timestamp};
use crate::run::duration;
use serde::{Deserialize, Serialize};
use snapline::base::{EventTime, Millis};
use std::fmt;
use std::str::FromStr;

/// The longest span of a rule: what accounts have paid is kept for so long.
pub const LONGEST_SPAN: Millis = Millis(30 * 24 * 3_600 * 1_000);

/// What makes payments of one account conspicuous.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// One of so much or more.
    Amount { at_least: u64 },
    /// So many in less than a span of time.
    Count { at_least: u64, within: Millis },
    /// Some that come to so much together, in less than a span of time.
    Sum { at_least: u64, within: Millis },
}

/// From a time on there is a rule with this name, instead of the one that had it, or none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleChange {
    /// The first time at which it holds, in milliseconds since the epoch.
    pub timestamp: i64,
    /// What the rule is called.
    pub name: Name,
    /// `None` removes it.
    pub rule: Option<Rule>,
}

impl Rule {
    /// For how long a payment is counted together with those that follow; `None` where each stands alone.
    pub fn within(self) -> Option<Millis> {
        match self {
            Rule::Amount { .. } => None,
            Rule::Count { within, .. } | Rule::Sum { within, .. } => Some(within),
        }
    }

    /// What payments of these amounts come to, if that is enough for an alert.
    pub fn matched(self, amounts: impl Iterator<Item = u64>) -> Option<u64> {
        let (measured, at_least) = match self {
            Rule::Count { at_least, .. } => (amounts.count() as u64, at_least),
            Rule::Amount { at_least } | Rule::Sum { at_least, .. } => {
                (amounts.fold(0, u64::saturating_add), at_least)
            }
        };
        (measured >= at_least).then_some(measured)
    }

    /// The word for what it measures.
    pub fn measure(self) -> &'static str {
        match self {
            Rule::Amount { .. } => "amount",
            Rule::Count { .. } => "count",
            Rule::Sum { .. } => "sum",
        }
    }
}

impl Event for RuleChange {
    fn event_time(&self) -> EventTime {
        EventTime(self.timestamp)
    }
}

impl fmt::Display for RuleChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t", self.timestamp, self.name)?;
        match self.rule {
            None => f.write_str("remove"),
            Some(Rule::Amount { at_least }) => write!(f, "amount {at_least}"),
            Some(rule @ (Rule::Count { at_least, within } | Rule::Sum { at_least, within })) => {
                write!(f, "{} {at_least} within {}ms", rule.measure(), within.0)
            }
        }
    }
}

impl FromStr for RuleChange {
    type Err = String;

    /// Reads a time, a name, and `amount N`, `count N within SPAN`, `sum N within SPAN` or `remove`.
    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (timestamp, name) = match words[..] {
            [time, name, ..] => (timestamp(time)?, name.into()),
            _ => return Err("a rule has a time and a name, and what it asks".into()),
        };
        let rule = match words[2..] {
            ["remove"] => None,
            ["amount", least] => Some(Rule::Amount { at_least: at_least(least)? }),
            ["count", least, "within", span] => {
                Some(Rule::Count { at_least: at_least(least)?, within: within(span)? })
            }
            ["sum", least, "within", span] => {
                Some(Rule::Sum { at_least: at_least(least)?, within: within(span)? })
            }
            _ => {
                let found = words[2..].join(" ");
                return Err(format!(
                    "`{found}` is no rule: write `amount N`, `count N within 10s`, `sum N within 10s` or `remove`"
                ));
            }
        };
        Ok(RuleChange { timestamp, name, rule })
    }
}

fn at_least(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err(format!("`{text}` is no bound: write a whole number, at least 1")),
        Ok(number) => Ok(number),
    }
}

fn within(text: &str) -> Result<Millis, String> {
    match duration(text).map_err(|what| format!("`{text}` is no span: {what}"))? {
        Millis(0) => Err("a span must be at least 1ms: within none there is no payment".into()),
        span if span > LONGEST_SPAN => {
            Err(format!("`{text}` is longer than 30 days, for which payments are kept"))
        }
        millis => Ok(millis),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_written() {
        let read = |line: &str| line.parse::<RuleChange>().unwrap();
        let (at_least, within) = (5, Millis(90_000));
        for (text, rule) in [
            ("amount 5", Some(Rule::Amount { at_least })),
            ("count 5 within 90s", Some(Rule::Count { at_least, within })),
            ("sum 5 within 1m30s", Some(Rule::Sum { at_least, within })),
            ("remove", None),
        ] {
            let expected = RuleChange { timestamp: 7, name: "big".into(), rule };
            assert_eq!(read(&format!("1970-01-01T00:00:00.007Z big\t{text}")), expected);
            assert_eq!(read(&expected.to_string()), expected);
        }
    }

    #[test]
    fn rules_that_cannot_be_read_say_why() {
        let problem = |line: &str| line.parse::<RuleChange>().expect_err(line);
        assert!(problem("7").contains("a time and a name"));
        assert!(problem("soon big amount 5").contains("`soon` is no time"));
        for rule in ["", "amount", "amount 5 within 1s", "count 5", "count 5 in 1s", "remove it"] {
            assert!(problem(&format!("7 big {rule}")).contains(&format!("`{rule}` is no rule")), "{rule}");
        }
        assert!(problem("7 big amount 0").contains("`0` is no bound"));
        assert!(problem("7 big count -1 within 1s").contains("`-1` is no bound"));
        assert!(problem("7 big sum 5 within 10").contains("`10` is no span"));
        assert!(problem("7 big sum 5 within 0ms").contains("at least 1ms"));
    }

    #[test]
    fn rules_match_what_comes_to_their_bound() {
        let within = Millis(1);
        let matched = |rule: Rule, amounts: &[u64]| rule.matched(amounts.iter().copied());
        let amount = Rule::Amount { at_least: 5 };
        assert_eq!((matched(amount, &[4]), matched(amount, &[5])), (None, Some(5)));
        let count = Rule::Count { at_least: 2, within };
        assert_eq!((matched(count, &[9]), matched(count, &[9, 9])), (None, Some(2)));
        let sum = Rule::Sum { at_least: 5, within };
        assert_eq!((matched(sum, &[1, 3]), matched(sum, &[1, 3, 2])), (None, Some(6)));
        assert_eq!(matched(sum, &[u64::MAX, u64::MAX]), Some(u64::MAX));
    }
}
