use std::error::Error;
use std::fmt;

/// An error of someone else and its causes, without those that the text in front of them has told already.
pub(crate) struct WithCauses<'a>(pub(crate) &'a (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = self.0.to_string();
        let mut next = self.0.source();
        while let Some(error) = next {
            let cause = error.to_string();
            if !told.contains(&cause) {
                told.push_str(": ");
                told.push_str(&cause);
            }
            next = error.source();
        }
        f.write_str(&told)
    }
}
