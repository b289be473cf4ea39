use crate::input::{Event, Name, timestamp};
use serde::{Deserialize, Serialize};
use snapline::base::EventTime;
use std::fmt;
use std::str::FromStr;

/// Somebody paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// When, in milliseconds since the epoch.
    pub timestamp: i64,
    /// From which account.
    pub account: Name,
    /// How much, in the smallest unit of the money.
    pub amount: u64,
}

impl Event for Payment {
    fn event_time(&self) -> EventTime {
        EventTime(self.timestamp)
    }
}

impl fmt::Display for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\t{}\t{}", self.timestamp, self.account, self.amount)
    }
}

impl FromStr for Payment {
    type Err = String;

    /// Reads a time, an account and an amount, with white space between them.
    fn from_str(line: &str) -> Result<Self, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [time, account, amount] = words[..] else {
            return Err(format!("a payment has a time, an account and an amount, not {} words", words.len()));
        };
        let amount = amount.parse().map_err(|_| format!("`{amount}` is no amount: write a whole number"))?;
        Ok(Payment { timestamp: timestamp(time)?, account: account.into(), amount })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payments_are_read_with_either_form_of_time() {
        let expected = Payment { timestamp: 1_767_268_800_000, account: "ann".into(), amount: 950 };
        assert_eq!("2026-01-01T12:00:00Z  ann 950".parse(), Ok(expected.clone()));
        assert_eq!(expected.to_string().parse(), Ok(expected));
    }

    #[test]
    fn payments_that_cannot_be_read_say_why() {
        let problem = |line: &str| line.parse::<Payment>().expect_err(line);
        assert!(problem("1 ann").contains("not 2 words"));
        assert!(problem("yesterday ann 1").contains("`yesterday` is no time"));
        for amount in ["-1", "1.5", "much"] {
            assert!(problem(&format!("1 ann {amount}")).contains(amount), "{amount}");
        }
    }
}
