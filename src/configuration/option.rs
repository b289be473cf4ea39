use super::value::{between, is_same_name, millis, size, truth};
use std::fmt;

/// An option: a key and what can be said under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfigOption {
    /// Its key.
    pub key: &'static str,
    /// Earlier names, which still work.
    pub deprecated_keys: &'static [&'static str],
    /// What its values are.
    pub kind: Kind,
    /// What holds if nothing is said, as it would be written; empty if there is nothing.
    pub default: &'static str,
    /// What it says, in a sentence.
    pub description: &'static str,
}

/// What the values of an option are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A whole number.
    Number {
        /// From here on.
        least: u64,
        /// To here.
        most: u64,
    },
    /// A duration, such as `10 min`.
    Duration {
        /// From this number of milliseconds on.
        least_millis: u64,
    },
    /// A duration, or `off`.
    DurationOrOff,
    /// A number of bytes, such as `5 mb`.
    MemorySize {
        /// To this number of bytes.
        most_bytes: u64,
    },
    /// One of these names, in any case.
    OneOf(&'static [&'static str]),
    /// A directory, as a path or as a URL.
    Directory,
    /// The name of something that can be added in code; these are built in.
    Name(&'static [&'static str]),
    /// A file, as a path.
    File,
    /// Any text.
    Text,
}

/// How a duration is written that there is not.
pub(super) const OFF: &str = "off";

impl ConfigOption {
    /// An option without earlier names.
    #[must_use]
    pub const fn new(
        key: &'static str,
        kind: Kind,
        default: &'static str,
        description: &'static str,
    ) -> Self {
        ConfigOption { key, deprecated_keys: &[], kind, default, description }
    }

    /// The same, with earlier names.
    #[must_use]
    pub const fn formerly(self, deprecated_keys: &'static [&'static str]) -> Self {
        ConfigOption { deprecated_keys, ..self }
    }

    /// All its keys, the current one first.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.key).chain(self.deprecated_keys.iter().copied())
    }
}

impl Kind {
    /// Whether `text` can be a value.
    ///
    /// # Errors
    /// What is allowed instead.
    pub fn check(self, text: &str) -> Result<(), String> {
        match self {
            Kind::Boolean => truth(text).map(drop),
            Kind::Number { least, most } => between(least, most, text).map(drop),
            Kind::Duration { least_millis } => match millis(text)? {
                millis if millis < least_millis => {
                    Err(format!("it must be a duration of {least_millis} ms at least"))
                }
                _ => Ok(()),
            },
            Kind::DurationOrOff if is_same_name(OFF, text) => Ok(()),
            Kind::DurationOrOff => match millis(text) {
                Ok(0) => Err("it must be a duration of 1 ms at least, or off".to_owned()),
                Ok(_) => Ok(()),
                Err(what) => Err(format!("{what}, or off")),
            },
            Kind::MemorySize { most_bytes } => match size(text)? {
                bytes if bytes > most_bytes => {
                    Err(format!("it must be a size of {most_bytes} bytes at most"))
                }
                _ => Ok(()),
            },
            Kind::OneOf(names) if names.iter().any(|name| is_same_name(name, text)) => Ok(()),
            Kind::OneOf(names) => Err(format!("it must be one of {}", names.join(", "))),
            Kind::Directory | Kind::Name(_) | Kind::File | Kind::Text if text.trim().is_empty() => {
                Err("it must not be empty".to_owned())
            }
            Kind::Directory | Kind::Name(_) | Kind::File | Kind::Text => Ok(()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Kind::Boolean => f.write_str("`true`, `false`"),
            Kind::Number { least, most } if most >= u64::from(u32::MAX) => {
                write!(f, "number from {least}")
            }
            Kind::Number { least, most } => write!(f, "number from {least} to {most}"),
            Kind::Duration { least_millis: 0 } => f.write_str("duration"),
            Kind::Duration { least_millis } => write!(f, "duration from {least_millis} ms"),
            Kind::DurationOrOff => write!(f, "duration from 1 ms, or `{OFF}`"),
            Kind::MemorySize { most_bytes: u64::MAX } => f.write_str("size"),
            Kind::MemorySize { most_bytes } => write!(f, "size to {most_bytes} bytes"),
            Kind::OneOf(names) => write!(f, "`{}`", names.join("`, `")),
            Kind::Directory => f.write_str("directory"),
            Kind::File => f.write_str("file"),
            Kind::Text => f.write_str("text"),
            Kind::Name(names) => write!(f, "`{}`, or a name that was added", names.join("`, `")),
        }
    }
}
