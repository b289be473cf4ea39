use super::Origin;
use std::fmt;

/// An option has no meaning, or none with this value. Whoever configures the job must act.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the option `{key}` cannot be `{value}`: {what}")]
pub struct WrongOption {
    /// Its name.
    pub key: String,
    /// Its value.
    pub value: String,
    /// What is wrong.
    pub what: String,
}

/// What is wrong with one option, and where that was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{option} ({origin})")]
pub struct Problem {
    /// What is wrong.
    pub option: WrongOption,
    /// Where the value was written.
    pub origin: Origin,
}

/// Everything that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigurationError {
    /// One problem or more, in the order in which options were read.
    pub problems: Vec<Problem>,
}

impl std::error::Error for ConfigurationError {}

impl fmt::Display for ConfigurationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problems: Vec<_> = self.problems.iter().map(Problem::to_string).collect();
        f.write_str(&problems.join("\n"))
    }
}
