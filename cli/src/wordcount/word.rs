use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use snapline::keygroup::KeyHash;
use snapline::runtime::Collector;

/// A word, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Word(pub CompactString);

impl KeyHash for Word {
    fn key_hash(&self) -> i32 {
        self.0.as_str().key_hash()
    }
}

/// Emits the words of a line: what stands between characters that are neither letters nor digits.
pub fn words_of(line: &str, out: &mut dyn Collector<Word>) {
    for word in line.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        let is_lower = word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let word =
            if is_lower { CompactString::new(word) } else { CompactString::from_str_to_lowercase(word) };
        out.collect(Word(word));
    }
}
