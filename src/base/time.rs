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

/// A point in event time, in milliseconds since the Unix epoch: when something happened, as a record says itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EventTime(pub i64);

impl EventTime {
    /// Before everything: what is known of event time at the beginning.
    pub const MIN: EventTime = EventTime(i64::MIN);
    /// After everything: a watermark at the end of the data.
    pub const MAX: EventTime = EventTime(i64::MAX);

    /// The later time, unless it is not in the range.
    #[must_use]
    pub fn checked_add(self, length: Millis) -> Option<EventTime> {
        self.0.checked_add_unsigned(length.0).map(EventTime)
    }

    /// The earlier time, unless it is not in the range.
    #[must_use]
    pub fn checked_sub(self, length: Millis) -> Option<EventTime> {
        self.0.checked_sub_unsigned(length.0).map(EventTime)
    }

    /// The later time, [`EventTime::MAX`] at most.
    #[must_use]
    pub fn saturating_add(self, length: Millis) -> EventTime {
        EventTime(self.0.saturating_add_unsigned(length.0))
    }

    /// The earlier time, [`EventTime::MIN`] at least.
    #[must_use]
    pub fn saturating_sub(self, length: Millis) -> EventTime {
        EventTime(self.0.saturating_sub_unsigned(length.0))
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            EventTime::MIN => f.write_str("before all event time"),
            EventTime::MAX => f.write_str("after all event time"),
            EventTime(millis) => write!(f, "{millis} ms since the epoch"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{EventTime, Millis};

    #[test]
    fn time_of_events_is_checked_or_saturates_at_both_ends() {
        assert_eq!(EventTime(-3).checked_add(Millis(5)), Some(EventTime(2)));
        assert_eq!(EventTime(2).checked_sub(Millis(5)), Some(EventTime(-3)));
        assert_eq!(EventTime::MIN.checked_add(Millis(u64::MAX)), Some(EventTime::MAX));
        assert_eq!(EventTime(0).checked_add(Millis(u64::MAX)), None);
        assert_eq!(EventTime::MIN.checked_sub(Millis(1)), None);
        assert_eq!(EventTime(0).saturating_add(Millis(u64::MAX)), EventTime::MAX);
        assert_eq!(EventTime(0).saturating_sub(Millis(u64::MAX)), EventTime::MIN);
    }

    #[test]
    fn time_near_its_end_saturates_instead_of_wrapping() {
        assert_eq!(Millis(u64::MAX) + Millis(1), Millis(u64::MAX));
        assert_eq!(Millis(3).since(Millis(5)), Millis(0));
        assert_eq!(Millis(5).since(Millis(3)), Millis(2));
    }
}
