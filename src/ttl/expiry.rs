use super::TtlError;
use crate::base::Millis;

/// How long a value lives after its last update: at least 1 ms, at most `i64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimeToLive(i64);

impl TimeToLive {
    /// A time to live of `ttl`.
    ///
    /// # Errors
    /// [`TtlError::TimeToLive`] when it is 0 or longer than the longest one.
    pub fn new(ttl: Millis) -> Result<Self, TtlError> {
        //= spec/ttl.md#ttl-1-a-time-to-live-is-positive
        //# A time to live MUST be at least 1 and at most 2^63 - 1 milliseconds.
        let millis = i64::try_from(ttl.0).ok().filter(|millis| *millis > 0);
        millis.map(TimeToLive).ok_or(TtlError::TimeToLive(ttl))
    }

    /// Its length.
    #[must_use]
    pub fn length(self) -> Millis {
        Millis(self.0.unsigned_abs())
    }

    /// When a value expires that was updated at `updated`.
    #[must_use]
    #[inline]
    pub fn expiry(self, updated: i64) -> i64 {
        //= spec/ttl.md#ttl-2-the-time-of-expiry
        //# The time of expiry MUST be the time of the last update plus the time to live, and the end of time if that would be later.
        updated.saturating_add(self.0)
    }

    /// Whether a value that was updated at `updated` has expired at `now`.
    #[must_use]
    #[inline]
    pub fn is_expired(self, updated: i64, now: i64) -> bool {
        //= spec/ttl.md#ttl-3-the-instant-of-expiry
        //# A value MUST be expired exactly when its time of expiry is not later than the present.
        self.expiry(updated) <= now
    }
}
