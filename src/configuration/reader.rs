use super::option::OFF;
use super::value::{between, is_same_name, millis, one_of, size, truth};
use super::{ConfigOption, Configuration, ConfigurationError, Entry, Kind, Origin, Problem, WrongOption};
use crate::base::Millis;

/// Reads the values of options, and keeps what is wrong with them. Of what is wrong or not set there is no value.
#[derive(Debug)]
pub struct Reader<'a> {
    configuration: &'a Configuration,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    /// Reads from `configuration`.
    #[must_use]
    pub fn new(configuration: &'a Configuration) -> Self {
        Reader { configuration, problems: Vec::new() }
    }

    /// What `parse` makes of the text of an option that can be its value.
    pub fn parsed<T>(
        &mut self,
        option: &ConfigOption,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (key, Entry { value, origin }) = self.configuration.find(option)?;
        match option.kind.check(value).and_then(|()| parse(value)) {
            Ok(parsed) => Some(parsed),
            Err(what) => {
                self.push(key, value, what, origin.clone());
                None
            }
        }
    }

    /// Whether anything is set for an option.
    #[must_use]
    pub fn is_set(&self, option: &ConfigOption) -> bool {
        self.configuration.find(option).is_some()
    }

    /// The text of an option.
    pub fn text(&mut self, option: &ConfigOption) -> Option<&'a str> {
        self.parsed(option, |_| Ok(()))?;
        self.configuration.find(option).map(|(_, entry)| entry.value.trim())
    }

    /// `true` or `false`.
    pub fn truth(&mut self, option: &ConfigOption) -> Option<bool> {
        self.parsed(option, truth)
    }

    /// A whole number that fits in `N`.
    pub fn number<N: TryFrom<u64>>(&mut self, option: &ConfigOption) -> Option<N> {
        let most = match option.kind {
            Kind::Number { most, .. } => most,
            _ => u64::MAX,
        };
        self.parsed(option, |text| {
            N::try_from(between(0, most, text)?).map_err(|_| "it is too large".to_owned())
        })
    }

    /// A duration.
    pub fn millis(&mut self, option: &ConfigOption) -> Option<Millis> {
        self.parsed(option, |text| millis(text).map(Millis))
    }

    /// A duration, or `off`.
    pub fn millis_or_off(&mut self, option: &ConfigOption) -> Option<Option<Millis>> {
        self.parsed(option, |text| {
            if is_same_name(OFF, text) { Ok(None) } else { millis(text).map(|found| Some(Millis(found))) }
        })
    }

    /// A number of bytes.
    pub fn bytes(&mut self, option: &ConfigOption) -> Option<u64> {
        self.parsed(option, size)
    }

    /// What one of several names stands for.
    pub fn one_of<T: Copy>(&mut self, option: &ConfigOption, all: &[(&str, T)]) -> Option<T> {
        self.parsed(option, |text| one_of(all, text))
    }

    /// An option cannot be what it is, for a reason that lies outside of it.
    pub fn refuse(&mut self, option: &ConfigOption, what: impl Into<String>) {
        match self.configuration.find(option) {
            Some((key, entry)) => self.push(key, &entry.value, what.into(), entry.origin.clone()),
            None => self.push(option.key, option.default, what.into(), Origin::Default),
        }
    }

    /// What is written under `key` cannot be.
    pub fn refuse_key(&mut self, key: &str, what: impl Into<String>) {
        if let Some(Entry { value, origin }) = self.configuration.get(key) {
            self.push(key, value, what.into(), origin.clone());
        }
    }

    /// What somebody else has found wrong, be it that something is missing.
    pub fn refuse_wrong(&mut self, option: WrongOption) {
        let entry = self.configuration.get(&option.key);
        let origin = entry.map_or(Origin::Default, |entry| entry.origin.clone());
        self.problems.push(Problem { option, origin });
    }

    fn push(&mut self, key: &str, value: &str, what: String, origin: Origin) {
        let option = WrongOption { key: key.to_owned(), value: value.to_owned(), what };
        self.problems.push(Problem { option, origin });
    }

    /// `read`, unless something was wrong.
    ///
    /// # Errors
    /// All that was wrong.
    pub fn finish<T>(self, read: T) -> Result<T, ConfigurationError> {
        if self.problems.is_empty() { Ok(read) } else { Err(ConfigurationError { problems: self.problems }) }
    }
}
