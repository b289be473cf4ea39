use super::Origin;
use std::fmt;

/// A setting that changes nothing, or will change nothing one day. The job runs nevertheless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The key.
    pub key: String,
    /// Where it was written.
    pub origin: Origin,
    /// Why someone should look.
    pub reason: Reason,
}

/// Why someone should look at a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no option of this name.
    Unknown {
        /// One whose name is much alike.
        nearest: Option<String>,
    },
    /// The option has another name by now.
    Deprecated {
        /// That name.
        current: &'static str,
    },
    /// The value has another name by now.
    DeprecatedValue {
        /// The value.
        value: String,
        /// What to write instead.
        instead: &'static str,
    },
    /// Flink has the option, Snapline does not.
    NotSupported {
        /// Why the job runs nevertheless.
        why: &'static str,
    },
    /// Other settings make it pointless.
    WithoutEffect {
        /// Which.
        why: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Warning { key, origin, reason } = self;
        match reason {
            Reason::Unknown { nearest: None } => write!(f, "there is no option `{key}`")?,
            Reason::Unknown { nearest: Some(nearest) } => {
                write!(f, "there is no option `{key}`; did you mean `{nearest}`?")?;
            }
            Reason::Deprecated { current } => {
                write!(f, "the option `{key}` is deprecated; its name is `{current}`")?;
            }
            Reason::DeprecatedValue { value, instead } => {
                write!(f, "`{value}` of the option `{key}` is deprecated; write {instead}")?;
            }
            Reason::NotSupported { why } => {
                write!(f, "the option `{key}` is not supported by Snapline: {why}")?;
            }
            Reason::WithoutEffect { why } => write!(f, "the option `{key}` has no effect: {why}")?,
        }
        write!(f, " ({origin})")
    }
}

/// The name in `known` that is most like `name`, if any is much like it.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_ascii_lowercase();
    let found = known.into_iter().map(|known| (strsim::damerau_levenshtein(&lower, known), known)).min();
    // With more than that wrong it is another word.
    found.filter(|(distance, known)| *distance <= (known.len() / 4).min(8)).map(|(_, known)| known)
}
