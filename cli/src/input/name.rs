use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use snapline::keygroup::KeyHash;
use std::fmt;

/// Whom or what something is about; the key of streams.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name(pub CompactString);

impl KeyHash for Name {
    fn key_hash(&self) -> i32 {
        self.0.as_str().key_hash()
    }
}

impl From<&str> for Name {
    fn from(name: &str) -> Self {
        Name(name.into())
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
