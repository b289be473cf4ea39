use super::{ConfigOption, Origin};
use std::collections::BTreeMap;

/// Texts by their keys, each with where it was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Configuration {
    entries: BTreeMap<String, Entry>,
}

/// What was written under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The text.
    pub value: String,
    /// Where.
    pub origin: Origin,
}

impl Configuration {
    /// Nothing is set.
    #[must_use]
    pub fn new() -> Self {
        Configuration::default()
    }

    /// Sets a value, unless one is there whose [`Origin`] goes before this one: the order in which a program reads its file
    /// and its command line does not matter.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>, origin: Origin) {
        let (key, entry) = (key.into(), Entry { value: value.into(), origin });
        if self.get(&key).is_none_or(|there| there.origin.precedence() <= entry.origin.precedence()) {
            self.entries.insert(key, entry);
        }
    }

    /// The same with a value that is set in code.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.set(key, value, Origin::Code);
        self
    }

    /// Sets all that `other` has, as [`set`](Self::set) does.
    pub fn extend(&mut self, other: Configuration) {
        for (key, Entry { value, origin }) in other.entries {
            self.set(key, value, origin);
        }
    }

    /// What was written under exactly this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// What is set for an option, and under which of its keys. Of two keys the one counts whose [`Origin`] goes before, and
    /// otherwise the current one.
    #[must_use]
    pub fn find(&self, option: &ConfigOption) -> Option<(&'static str, &Entry)> {
        let set = option.keys().filter_map(|key| Some((key, self.get(key)?)));
        set.reduce(
            |best, other| {
                if other.1.origin.precedence() > best.1.origin.precedence() { other } else { best }
            },
        )
    }

    /// All keys with what was written under them, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Entry)> {
        self.entries.iter().map(|(key, entry)| (key.as_str(), entry))
    }
}
