//! Configuration files: YAML, whose keys may be nested, written with dots, or both (Flink's `config.yaml` and `flink-conf.yaml`).

use super::unsupported::Unsupported;
use super::{Configuration, Entry, Origin, options};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Why a configuration file cannot be used. Whoever wrote it must act.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be read.
    #[error("cannot read the configuration {}: {cause}", path.display())]
    Unreadable {
        /// Its path.
        path: PathBuf,
        /// What the system said.
        cause: io::Error,
    },
    /// It is no YAML, or not a mapping.
    #[error("the configuration {} is not a mapping in YAML: {what}", path.display())]
    Malformed {
        /// Its path.
        path: PathBuf,
        /// What was found, and where.
        what: String,
    },
    /// There is something under a key that is no text.
    #[error("{}, line {line}: `{key}` {what}", path.display())]
    WrongEntry {
        /// The path of the file.
        path: PathBuf,
        /// The line, the first one being 1.
        line: u64,
        /// The key.
        key: String,
        /// What is wrong.
        what: String,
    },
}

impl Configuration {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// It cannot be read, or is no mapping of keys to texts.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path)
            .map_err(|cause| FileError::Unreadable { path: path.to_owned(), cause })?;
        Configuration::from_yaml(&text, path)
    }

    /// Reads the text of a configuration file. Elements of lists are joined by `;`.
    ///
    /// # Errors
    /// It is no mapping of keys to texts.
    pub fn from_yaml(text: &str, path: impl Into<PathBuf>) -> Result<Self, FileError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut file = File { path: path.into(), text, configuration: Configuration::new() };
        let settings = serde_saphyr::options! {
            strict_booleans: true,
            with_snippet: false,
        };
        let root = serde_saphyr::from_str_with_options(text, settings);
        match root.map_err(|error| file.malformed(&error.to_string()))? {
            Node::Map(entries) => file.add_all("", entries)?,
            Node::Nothing => {}
            Node::Text(_) | Node::Number(_) | Node::List(_) => {
                return Err(file.malformed("there are no keys in it"));
            }
        }
        file.check_prefixes()?;
        Ok(file.configuration)
    }
}

/// A file that is being read.
struct File<'a> {
    path: PathBuf,
    text: &'a str,
    configuration: Configuration,
}

impl File<'_> {
    fn add_all(&mut self, prefix: &str, entries: Vec<Pair>) -> Result<(), FileError> {
        for (name, node) in entries {
            let line = name.referenced.line();
            let key = format!("{prefix}{}", name.value);
            let (value, otherwise) = match node.value {
                Node::Map(entries) if !entries.is_empty() => {
                    self.add_all(&format!("{key}."), entries)?;
                    continue;
                }
                Node::Map(_) | Node::Nothing => (None, "has no value"),
                Node::List(elements) => (self.joined(&elements), "is a list of something else than texts"),
                Node::Text(_) | Node::Number(_) => (self.scalar(&node), ""),
            };
            match value {
                Some(value) => self.add(key, value, line)?,
                None => return Err(self.wrong(line, key, otherwise)),
            }
        }
        Ok(())
    }

    /// The elements of a list, if there are any and all of them are texts.
    fn joined(&self, elements: &[Spanned<Node>]) -> Option<String> {
        let texts: Option<Vec<_>> = elements.iter().map(|element| self.scalar(element)).collect();
        texts.filter(|texts| !texts.is_empty()).map(|texts| texts.join(";"))
    }

    /// The text of a scalar. Of a number it is what stands in the file, which may have been a name.
    fn scalar(&self, node: &Spanned<Node>) -> Option<String> {
        match &node.value {
            Node::Text(text) => Some(text.clone()),
            Node::Number(number) => {
                let span = node.defined.span();
                let written = span.byte_offset().zip(span.byte_len()).and_then(|(start, length)| {
                    let start = usize::try_from(start).ok()?;
                    self.text.get(start..start.checked_add(usize::try_from(length).ok()?)?)
                });
                Some(written.unwrap_or(number).trim().to_owned())
            }
            Node::Nothing | Node::List(_) | Node::Map(_) => None,
        }
    }

    fn add(&mut self, key: String, value: String, line: u64) -> Result<(), FileError> {
        if key.split('.').any(str::is_empty) {
            return Err(self.wrong(line, key, "is no key: a name in it is empty"));
        }
        if let Some(first) = self.configuration.get(&key) {
            let what = format!("is there twice, first in line {}", line_of(first));
            return Err(self.wrong(line, key, &what));
        }
        self.configuration.set(key, value, Origin::File { path: self.path.clone(), line });
        Ok(())
    }

    /// No key has a value and goes on behind it, as a nested file could not have it, but for those that did in Flink.
    fn check_prefixes(&self) -> Result<(), FileError> {
        let is_both_in_flink =
            |key: &str| options::with_key(key).is_some() || Unsupported::with_key(key).is_some();
        for (key, entry) in self.configuration.iter().filter(|(key, _)| !is_both_in_flink(key)) {
            let longer = format!("{key}.");
            if let Some((other, _)) = self.configuration.iter().find(|(other, _)| other.starts_with(&longer))
            {
                let what = format!("has a value, and is the beginning of `{other}`");
                return Err(self.wrong(line_of(entry), key.to_owned(), &what));
            }
        }
        Ok(())
    }

    fn wrong(&self, line: u64, key: String, what: &str) -> FileError {
        FileError::WrongEntry { path: self.path.clone(), line, key, what: what.to_owned() }
    }

    fn malformed(&self, what: &str) -> FileError {
        FileError::Malformed { path: self.path.clone(), what: what.to_owned() }
    }
}

fn line_of(entry: &Entry) -> u64 {
    match entry.origin {
        Origin::File { line, .. } => line,
        _ => 0,
    }
}

/// A part of a file.
enum Node {
    Nothing,
    Text(String),
    /// What YAML takes for a number.
    Number(String),
    List(Vec<Spanned<Node>>),
    Map(Vec<Pair>),
}

type Pair = (Spanned<String>, Spanned<Node>);

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a list or a mapping")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Text(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_i128<E>(self, value: i128) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_none<E>(self) -> Result<Node, E> {
        Ok(Node::Nothing)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        Node::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = list.next_element()? {
            elements.push(element);
        }
        Ok(Node::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Map(entries))
    }
}

#[cfg(test)]
mod tests;
