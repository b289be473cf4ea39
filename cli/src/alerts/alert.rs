use super::rule::Rule;
use crate::input::Name;
use serde::{Deserialize, Serialize};
use std::io::Write;

/// Payments of an account match a rule.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    /// When the last of them was made, in milliseconds since the epoch.
    pub timestamp: i64,
    /// The account.
    pub account: Name,
    /// The name of the rule.
    pub name: Name,
    /// The rule as it was then.
    pub rule: Rule,
    /// What the payments came to.
    pub measured: u64,
}

impl Alert {
    /// Appends the time, the account, the name of the rule, and what was measured, with tabs between them.
    pub fn write_to(&self, line: &mut Vec<u8>) {
        let Alert { timestamp, account, name, rule, measured } = self;
        // Writing into memory cannot fail.
        let _ = write!(line, "{timestamp}\t{account}\t{name}\t{} {measured}", rule.measure());
    }
}
