//! Bugs, planted between the decisions of the core and the state that they are about: the core stays as it ships.

use super::scope::{CleanUp, Shape};
use snapline::ttl::{StateVisibility, UpdateType};

/// A planted bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// A time of expiry beyond the end of time wraps around.
    ExpiryWraps,
    /// A value expires a millisecond too late.
    ExpiredTooLate,
    /// A value expires a millisecond too early.
    ExpiredTooEarly,
    /// An expired value is given out while it is removed, although it must not be seen.
    ExpiredShown,
    /// An expired value is hidden while it is removed, although it may be seen.
    ExpiredHidden,
    /// A read of an expired value does not remove it.
    ExpiredKept,
    /// A read refreshes an expired value.
    ExpiredRefreshed,
    /// A read does not refresh.
    RefreshForgotten,
    /// A read refreshes whatever the update type is.
    EveryReadRefreshes,
    /// A read never makes the time of a value earlier.
    RefreshedToTheLater,
    /// A read of a list without a live element does not remove it.
    DeadListKept,
    /// A list is removed when its first element has expired.
    FirstElementDecides,
    /// A list that is refreshed keeps the elements that have expired.
    DeadElementsRefreshed,
    /// An addition builds on a value that must not be seen.
    BuildsOnExpired,
    /// An addition does not build on an expired value that may be seen.
    StartsAfresh,
    /// An element or entry that is written refreshes the others.
    OthersRefreshed,
    /// A value that is overwritten keeps its time.
    CreationTimeKept,
    /// A map with nothing but expired entries is not empty, although they must not be seen.
    StoredTakenForVisible,
    /// Clean-up leaves alone what is visible.
    VisibleNotCleanedUp,
    /// Clean-up removes the whole state when one of its values has expired.
    WholeStateCleanedUp,
    /// Clean-up removes later what had expired when it was looked at.
    CleanedUpLater,
    /// A full snapshot leaves everything out when one of its values has expired.
    WholeSnapshotCleanedUp,
    /// A snapshot keeps what the one before it held and was removed since.
    RemovalNotInSnapshot,
    /// A snapshot stores how old values are, so that downtime does not count.
    AgesStored,
    /// A restore refreshes everything.
    RestoreRefreshes,
    /// A restored state goes on with the time to live that it was written with.
    OldTimeToLiveKept,
    /// Clean-up in passes does not hear of writes.
    WritesNotNoted,
    /// Clean-up in passes does not hear of reads that refresh.
    RefreshNotNoted,
    /// Clean-up in passes does not hear of what a pass has left.
    SurvivorsNotNoted,
    /// A pass of clean-up ends behind the first value that it has left or removed.
    PassEndedEarly,
    /// Clean-up in passes takes a restored state for an empty one.
    RestoredTakenForNothing,
    /// Clean-up in passes does not hear that a merge has moved a value.
    MergeNotNoted,
    /// A merge combines what must not be seen.
    ExpiredMerged,
    /// What a merge has combined keeps the time of one of its parts.
    MergedKeepsTime,
    /// A merge refreshes a value that it only moves.
    MovedRefreshed,
    /// A compaction removes a list when one of its elements has expired.
    WholeListCompacted,
    /// A compaction keeps elements that have expired behind one that lives.
    OnlyFirstDeadCompacted,
    /// A compaction removes what was written since it began.
    CompactedOverNewer,
    /// A compaction asks for the time once.
    CompactionTimeKept,
    /// Values that had no times count as updated at the beginning of time.
    SwitchedOnFromTheBeginning,
    /// A state that has no time to live any more is restored without what had expired.
    SwitchedOffLeavesOut,
}

impl Fault {
    /// Every planted bug.
    pub const ALL: [Fault; 41] = [
        Fault::ExpiryWraps,
        Fault::ExpiredTooLate,
        Fault::ExpiredTooEarly,
        Fault::ExpiredShown,
        Fault::ExpiredHidden,
        Fault::ExpiredKept,
        Fault::ExpiredRefreshed,
        Fault::RefreshForgotten,
        Fault::EveryReadRefreshes,
        Fault::RefreshedToTheLater,
        Fault::DeadListKept,
        Fault::FirstElementDecides,
        Fault::DeadElementsRefreshed,
        Fault::BuildsOnExpired,
        Fault::StartsAfresh,
        Fault::OthersRefreshed,
        Fault::CreationTimeKept,
        Fault::StoredTakenForVisible,
        Fault::VisibleNotCleanedUp,
        Fault::WholeStateCleanedUp,
        Fault::CleanedUpLater,
        Fault::WholeSnapshotCleanedUp,
        Fault::RemovalNotInSnapshot,
        Fault::AgesStored,
        Fault::RestoreRefreshes,
        Fault::OldTimeToLiveKept,
        Fault::WritesNotNoted,
        Fault::RefreshNotNoted,
        Fault::SurvivorsNotNoted,
        Fault::PassEndedEarly,
        Fault::RestoredTakenForNothing,
        Fault::MergeNotNoted,
        Fault::ExpiredMerged,
        Fault::MergedKeepsTime,
        Fault::MovedRefreshed,
        Fault::WholeListCompacted,
        Fault::OnlyFirstDeadCompacted,
        Fault::CompactedOverNewer,
        Fault::CompactionTimeKept,
        Fault::SwitchedOnFromTheBeginning,
        Fault::SwitchedOffLeavesOut,
    ];

    /// Where a bug of this kind happened, or what looks for it there.
    pub fn source(self) -> &'static str {
        match self {
            Fault::ExpiryWraps => "Flink, testExpirationTimestampOverflow",
            Fault::ExpiredTooLate
            | Fault::ExpiredTooEarly
            | Fault::ExpiredShown
            | Fault::EveryReadRefreshes
            | Fault::CreationTimeKept => "Flink, testExactExpirationOnWrite",
            Fault::ExpiredHidden | Fault::ExpiredKept => "Flink, testRelaxedExpirationOnWrite",
            Fault::ExpiredRefreshed => "Flink, testRelaxedExpirationOnRead",
            Fault::RefreshForgotten | Fault::DeadElementsRefreshed => "Flink, testExactExpirationOnRead",
            Fault::RefreshedToTheLater => "a clock that goes back",
            Fault::DeadListKept => "FLINK-21413",
            Fault::FirstElementDecides | Fault::WholeStateCleanedUp => "Flink, testCompactFilter",
            Fault::BuildsOnExpired | Fault::StartsAfresh => "an addition to what has expired",
            Fault::OthersRefreshed => "Flink, testMultipleKeys",
            Fault::StoredTakenForVisible => "Flink, TtlMapState.isEmpty",
            Fault::VisibleNotCleanedUp => "Flink, testIncrementalCleanupWholeState",
            Fault::CleanedUpLater => "Flink, testIncrementalCleanup",
            Fault::WholeSnapshotCleanedUp => "Flink, testMultipleKeysWithSnapshotCleanup",
            Fault::RemovalNotInSnapshot | Fault::RestoreRefreshes => "Flink, testSnapshotChangeRestore",
            Fault::AgesStored => "Flink #6186, downtime left out",
            Fault::OldTimeToLiveKept => "Flink, testStateMigrationAfterChangingTTL",
            Fault::WritesNotNoted | Fault::SurvivorsNotNoted | Fault::RestoredTakenForNothing => {
                "clean-up that is left out"
            }
            Fault::RefreshNotNoted => "a clock that goes back",
            Fault::PassEndedEarly => "Flink, testIncrementalCleanupWholeState",
            Fault::MergeNotNoted => "a merge beside a pass of clean-up",
            Fault::ExpiredMerged | Fault::MergedKeepsTime | Fault::MovedRefreshed => {
                "Flink, testMergeNamespaces"
            }
            Fault::WholeListCompacted => "Flink, testCompactFilter",
            Fault::OnlyFirstDeadCompacted => "Flink, ListElementFilter",
            Fault::CompactedOverNewer => "a compaction beside writes",
            Fault::CompactionTimeKept => "Flink, queryTimeAfterNumEntries",
            Fault::SwitchedOnFromTheBeginning => {
                "Flink, testStateMigrationAfterChangingTTLFromDisablingToEnabling"
            }
            Fault::SwitchedOffLeavesOut => "Flink, testStateMigrationAfterChangingTTLFromEnablingToDisabling",
        }
    }

    /// The state in which it is looked for.
    pub(super) fn place(self) -> (Shape, UpdateType, StateVisibility) {
        use Shape::{List, Map, Reduced, Value, Windows};
        use StateVisibility::{NeverReturnExpired as Never, ReturnExpiredIfNotCleanedUp as Lenient};
        use UpdateType::{OnCreateAndWrite as OnWrite, OnReadAndWrite as OnRead};
        match self {
            Fault::ExpiryWraps
            | Fault::ExpiredTooLate
            | Fault::ExpiredTooEarly
            | Fault::ExpiredShown
            | Fault::EveryReadRefreshes
            | Fault::CreationTimeKept
            | Fault::CleanedUpLater
            | Fault::AgesStored
            | Fault::RestoreRefreshes
            | Fault::OldTimeToLiveKept => (Value, OnWrite, Never),
            Fault::ExpiredHidden | Fault::ExpiredKept | Fault::VisibleNotCleanedUp => {
                (Value, OnWrite, Lenient)
            }
            Fault::RemovalNotInSnapshot => (Value, OnWrite, Lenient),
            Fault::ExpiredRefreshed => (Value, OnRead, Lenient),
            Fault::RefreshForgotten | Fault::RefreshedToTheLater => (Value, OnRead, Never),
            Fault::DeadListKept => (List, OnWrite, Lenient),
            Fault::FirstElementDecides => (List, OnWrite, Never),
            Fault::DeadElementsRefreshed => (List, OnRead, Never),
            Fault::BuildsOnExpired => (Reduced, OnWrite, Never),
            Fault::StartsAfresh => (Reduced, OnWrite, Lenient),
            Fault::OthersRefreshed
            | Fault::StoredTakenForVisible
            | Fault::WholeStateCleanedUp
            | Fault::WholeSnapshotCleanedUp => (Map, OnWrite, Never),
            Fault::WritesNotNoted
            | Fault::RestoredTakenForNothing
            | Fault::SwitchedOnFromTheBeginning
            | Fault::SwitchedOffLeavesOut => (Value, OnWrite, Never),
            Fault::RefreshNotNoted => (Value, OnRead, Never),
            Fault::SurvivorsNotNoted
            | Fault::PassEndedEarly
            | Fault::CompactedOverNewer
            | Fault::CompactionTimeKept => (Map, OnWrite, Never),
            Fault::MergeNotNoted | Fault::ExpiredMerged | Fault::MergedKeepsTime | Fault::MovedRefreshed => {
                (Windows, OnWrite, Never)
            }
            Fault::WholeListCompacted | Fault::OnlyFirstDeadCompacted => (List, OnWrite, Never),
        }
    }

    /// What cleans up there.
    pub(super) fn cleanup(self) -> CleanUp {
        match self {
            Fault::WritesNotNoted
            | Fault::RefreshNotNoted
            | Fault::SurvivorsNotNoted
            | Fault::PassEndedEarly
            | Fault::RestoredTakenForNothing
            | Fault::MergeNotNoted
            | Fault::ExpiredMerged
            | Fault::MergedKeepsTime
            | Fault::MovedRefreshed => CleanUp::Passes,
            Fault::WholeListCompacted
            | Fault::OnlyFirstDeadCompacted
            | Fault::CompactedOverNewer
            | Fault::CompactionTimeKept => CleanUp::Compaction { query_after: 1 },
            _ => CleanUp::Values,
        }
    }
}
