use serde::{Deserialize, Serialize};
use std::fmt;
use std::ops::Add;

/// A point in logical time, or a length of it, in milliseconds. The driver of a machine owns the clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Millis(pub u64);

impl Add for Millis {
    type Output = Millis;

    /// The later time; it stops at the end of time instead of wrapping.
    fn add(self, length: Millis) -> Millis {
        Millis(self.0.saturating_add(length.0))
    }
}

impl Millis {
    /// The time from `earlier` to `self`, zero when the clock went back.
    #[must_use]
    pub fn since(self, earlier: Millis) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Millis;

    #[test]
    fn time_near_its_end_saturates_instead_of_wrapping() {
        assert_eq!(Millis(u64::MAX) + Millis(1), Millis(u64::MAX));
        assert_eq!(Millis(3).since(Millis(5)), Millis(0));
        assert_eq!(Millis(5).since(Millis(3)), Millis(2));
    }
}
