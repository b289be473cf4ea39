use super::TimeToLive;
use crate::base::{Millis, TimeDomain};
use std::fmt;
use std::num::NonZeroUsize;

/// Which accesses make a value live for another time to live (Flink: `StateTtlConfig.UpdateType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum UpdateType {
    /// Every write.
    #[default]
    OnCreateAndWrite,
    /// Every write, and every read of a value that has not expired.
    OnReadAndWrite,
}

/// Whether expired values may be seen (Flink: `StateTtlConfig.StateVisibility`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StateVisibility {
    /// An expired value is as good as removed.
    #[default]
    NeverReturnExpired,
    /// An expired value that is still there is given out.
    ReturnExpiredIfNotCleanedUp,
}

/// When expired values are removed that nobody accesses (Flink: `StateTtlConfig.CleanupStrategies`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CleanupStrategies {
    /// Whether full snapshots leave expired values out. The state itself keeps them.
    pub in_full_snapshots: bool,
    /// On the heap: with accesses to the state.
    pub incremental: Option<IncrementalCleanup>,
    /// On backends that compact: how many values may be processed before the time is asked for again.
    pub compaction_query_after_entries: Option<NonZeroUsize>,
}

/// Some entries are looked at with each access.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IncrementalCleanup {
    /// How many.
    pub entries_per_access: NonZeroUsize,
    /// Whether they are looked at for every record, also if it accesses no state.
    pub for_every_record: bool,
}

impl CleanupStrategies {
    /// What happens in the background unless something else is said: five entries are looked at with each access, and
    /// a compaction asks for the time after 1,000 values.
    pub const IN_BACKGROUND: CleanupStrategies = CleanupStrategies {
        in_full_snapshots: false,
        incremental: Some(IncrementalCleanup {
            entries_per_access: NonZeroUsize::new(5).unwrap(),
            for_every_record: false,
        }),
        compaction_query_after_entries: NonZeroUsize::new(1_000),
    };

    /// Nothing is removed but by accesses.
    pub const NONE: CleanupStrategies = CleanupStrategies {
        in_full_snapshots: false,
        incremental: None,
        compaction_query_after_entries: None,
    };
}

/// The time to live of a state's values (Flink: `StateTtlConfig`). Lists have one for each element, maps for each entry.
///
/// ```
/// use snapline::base::Millis;
/// use snapline::ttl::{StateTtlConfig, StateVisibility, UpdateType};
///
/// let config = StateTtlConfig::new(Millis(3_600_000))?
///     .with_update_type(UpdateType::OnReadAndWrite)
///     .with_state_visibility(StateVisibility::ReturnExpiredIfNotCleanedUp)
///     .cleanup_full_snapshot();
/// # Ok::<(), snapline::ttl::TtlError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct StateTtlConfig {
    pub(super) ttl: TimeToLive,
    pub(super) update: UpdateType,
    pub(super) visibility: StateVisibility,
    domain: TimeDomain,
    cleanup: CleanupStrategies,
}

impl StateTtlConfig {
    /// Values live for `ttl` of processing time after each write, are never seen afterwards, and are cleaned up in the
    /// background.
    ///
    /// # Errors
    /// [`TtlError::TimeToLive`] when `ttl` is 0 or longer than the longest one.
    pub fn new(ttl: Millis) -> Result<Self, TtlError> {
        Ok(StateTtlConfig {
            ttl: TimeToLive::new(ttl)?,
            update: UpdateType::default(),
            visibility: StateVisibility::default(),
            domain: TimeDomain::ProcessingTime,
            cleanup: CleanupStrategies::IN_BACKGROUND,
        })
    }

    /// The same with other accesses that let a value live on.
    #[must_use]
    pub fn with_update_type(self, update: UpdateType) -> Self {
        StateTtlConfig { update, ..self }
    }

    /// The same with another visibility.
    #[must_use]
    pub fn with_state_visibility(self, visibility: StateVisibility) -> Self {
        StateTtlConfig { visibility, ..self }
    }

    /// The same by another clock: processing time, or the watermark.
    #[must_use]
    pub fn with_time_domain(self, domain: TimeDomain) -> Self {
        StateTtlConfig { domain, ..self }
    }

    /// The same where full snapshots leave expired values out, too.
    #[must_use]
    pub fn cleanup_full_snapshot(mut self) -> Self {
        self.cleanup.in_full_snapshots = true;
        self
    }

    /// The same where each access to state on the heap looks at so many entries, and with `for_every_record` each record.
    ///
    /// # Errors
    /// [`TtlError::CleanupSize`] when that is none.
    pub fn cleanup_incrementally(
        mut self,
        entries_per_access: usize,
        for_every_record: bool,
    ) -> Result<Self, TtlError> {
        let entries_per_access = NonZeroUsize::new(entries_per_access).ok_or(TtlError::CleanupSize)?;
        self.cleanup.incremental = Some(IncrementalCleanup { entries_per_access, for_every_record });
        Ok(self)
    }

    /// The same where a compaction asks for the time after so many values.
    ///
    /// # Errors
    /// [`TtlError::CleanupSize`] when that is none.
    pub fn cleanup_in_compaction(mut self, query_after_entries: usize) -> Result<Self, TtlError> {
        let entries = NonZeroUsize::new(query_after_entries).ok_or(TtlError::CleanupSize)?;
        self.cleanup.compaction_query_after_entries = Some(entries);
        Ok(self)
    }

    /// The same without anything that happens in the background.
    #[must_use]
    pub fn disable_cleanup_in_background(mut self) -> Self {
        self.cleanup = CleanupStrategies {
            in_full_snapshots: self.cleanup.in_full_snapshots,
            ..CleanupStrategies::NONE
        };
        self
    }

    /// The time to live.
    #[must_use]
    pub fn ttl(&self) -> TimeToLive {
        self.ttl
    }

    /// Which accesses let a value live on.
    #[must_use]
    pub fn update_type(&self) -> UpdateType {
        self.update
    }

    /// Whether expired values may be seen.
    #[must_use]
    pub fn state_visibility(&self) -> StateVisibility {
        self.visibility
    }

    /// Whose time it is.
    #[must_use]
    pub fn time_domain(&self) -> TimeDomain {
        self.domain
    }

    /// When expired values are removed that nobody accesses.
    #[must_use]
    pub fn cleanup(&self) -> &CleanupStrategies {
        &self.cleanup
    }
}

/// Why there cannot be such a time to live. The author of the job must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TtlError {
    /// It is 0, or longer than the longest one.
    TimeToLive(Millis),
    /// A clean-up of no entries.
    CleanupSize,
}

impl fmt::Display for TtlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TtlError::TimeToLive(ttl) => {
                write!(f, "a time to live of {ttl}: it must be from 1 to {} ms", i64::MAX)
            }
            TtlError::CleanupSize => f.write_str("a clean-up must look at one entry at least"),
        }
    }
}

impl std::error::Error for TtlError {}
