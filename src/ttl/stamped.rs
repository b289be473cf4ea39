/// A value with the time of its last update, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamped<V> {
    /// When it was updated last.
    pub updated: i64,
    /// The value.
    pub value: V,
}

impl<V> Stamped<V> {
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
