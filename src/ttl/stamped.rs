/// A value with the time of its last update, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamped<V> {
    /// When it was updated last.
    pub updated: i64,
    /// The value.
    pub value: V,
}

impl<V> Stamped<V> {
    /// A value that is restored at `now`, as it was written: with the time of its update, or without one.
    #[must_use]
    pub fn restored(updated: Option<i64>, value: V, now: i64) -> Self {
        //= spec/ttl.md#ttl-13-time-to-live-that-is-switched-on
        //# Values that were restored without times MUST count as updated at the time of the restore.
        Stamped { updated: updated.unwrap_or(now), value }
    }

    /// The bytes of a time, which stand in front of those of the value.
    #[must_use]
    pub fn time_bytes(updated: i64) -> [u8; size_of::<i64>()] {
        updated.to_be_bytes()
    }
}

/// The time and the other bytes of a value that was written with its time; `None` when there are too few. It is all that a
/// compaction needs.
#[must_use]
pub fn split_time(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let (time, value) = bytes.split_first_chunk()?;
    Some((i64::from_be_bytes(*time), value))
}
