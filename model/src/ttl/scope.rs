//! Bounds.

use super::faults::Fault;
use super::store::Slot;
use crate::check::ScopeName;
use snapline::base::Millis;
use snapline::ttl::{StateTtlConfig, StateVisibility, UpdateType};

/// What the state of a key is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// One value.
    Value,
    /// What all additions come to.
    Reduced,
    /// Elements.
    List,
    /// Two entries.
    Map,
    /// What all additions to each of two namespaces come to; the second can be merged into the first.
    Windows,
}

/// How expired values are removed that nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CleanUp {
    /// They are not.
    Nothing,
    /// One value after the other is looked at, whenever it may be.
    Values,
    /// The same in passes, as on the heap: none begins while no value can have expired.
    Passes,
    /// Compactions look at their bytes.
    Compaction {
        /// For how many entries the time is good.
        query_after: u8,
    },
}

impl Shape {
    const ALONE: [Shape; 4] = [Shape::Value, Shape::Reduced, Shape::List, Shape::Map];

    /// What the user can name.
    pub(super) fn entries(self) -> &'static [Slot] {
        if self.has_entries() { &[0, 1] } else { &[0] }
    }

    /// Whether there are two values that the user can name.
    pub(super) fn has_entries(self) -> bool {
        matches!(self, Shape::Map | Shape::Windows)
    }

    /// Where write `number` puts what it writes.
    pub(super) fn slot(self, entry: Slot, number: u8) -> Slot {
        if self == Shape::List { number } else { entry }
    }

    pub(super) fn can_write(self) -> bool {
        !matches!(self, Shape::Reduced | Shape::Windows)
    }

    pub(super) fn can_add(self) -> bool {
        matches!(self, Shape::Reduced | Shape::List | Shape::Windows)
    }
}

/// How often each thing may still happen. Reads, removals and clean-up are not limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budgets {
    /// The user writes or adds.
    pub writes: u8,
    /// The clock goes on by a millisecond.
    pub ticks: u8,
    /// It jumps forward, further than any time to live.
    pub jumps: u8,
    /// It goes back by a millisecond.
    pub backs: u8,
    /// A snapshot is taken.
    pub snapshots: u8,
    /// The state is restored from it.
    pub restores: u8,
}

impl Budgets {
    const NONE: Budgets = Budgets { writes: 3, ticks: 4, jumps: 0, backs: 0, snapshots: 0, restores: 0 };
    const BACK: Budgets = Budgets { jumps: 1, backs: 2, ..Budgets::NONE };
    const RESTORE: Budgets = Budgets { ticks: 3, jumps: 1, snapshots: 1, restores: 1, ..Budgets::NONE };
}

/// One of the states that a scope tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    /// What it is.
    pub shape: Shape,
    /// Which accesses let its values live on.
    pub update: UpdateType,
    /// Whether expired values may be seen.
    pub visibility: StateVisibility,
    /// Its time to live, and those with which it may be restored, in milliseconds; `None` is a state without one.
    pub ttls: &'static [Option<u64>],
    /// When it begins, in milliseconds.
    pub start: i64,
    /// What removes expired values.
    pub cleanup: CleanUp,
    /// What happens, all together.
    pub budgets: Budgets,
}

/// At first, longer and shorter.
const TTLS: &[Option<u64>] = &[Some(2), Some(4), Some(1)];

const SWITCHED_ON: &[Option<u64>] = &[None, Some(2)];
const SWITCHED_OFF: &[Option<u64>] = &[Some(2), None];

const UPDATES: [UpdateType; 2] = [UpdateType::OnCreateAndWrite, UpdateType::OnReadAndWrite];
const VISIBILITIES: [StateVisibility; 2] =
    [StateVisibility::NeverReturnExpired, StateVisibility::ReturnExpiredIfNotCleanedUp];

/// How far a jump of the clock goes.
pub(super) const DOWNTIME: i64 = 4;

/// Near the end of time.
const LATE: i64 = i64::MAX - 4;

impl Run {
    /// The configuration with the time to live of that index.
    ///
    /// # Panics
    /// There is none.
    pub(super) fn config(&self, ttl: u8) -> Option<StateTtlConfig> {
        let config = StateTtlConfig::new(Millis(self.ttls[usize::from(ttl)]?)).expect("it is positive");
        let config = config.with_update_type(self.update).with_state_visibility(self.visibility);
        let CleanUp::Compaction { query_after } = self.cleanup else { return Some(config) };
        Some(config.cleanup_in_compaction(query_after.into()).expect("it is positive"))
    }

    fn of_each_kind(start: i64, budgets: Budgets) -> Vec<Run> {
        let mut runs = Vec::new();
        for shape in Shape::ALONE {
            for update in UPDATES {
                for visibility in VISIBILITIES {
                    let (ttls, cleanup) = (TTLS, CleanUp::Values);
                    runs.push(Run { shape, update, visibility, ttls, start, cleanup, budgets });
                }
            }
        }
        runs
    }

    /// The same, cleaned up in another way. A pass goes by times alone, so it does not matter to it who sees what has
    /// expired; to a compaction it does not matter what reads refresh.
    fn cleaned_up_by(cleanup: CleanUp, shapes: &[Shape], budgets: Budgets) -> impl Iterator<Item = Run> {
        let matters = move |run: &Run| match cleanup {
            CleanUp::Passes => run.visibility == StateVisibility::NeverReturnExpired,
            _ => run.update == UpdateType::OnCreateAndWrite,
        };
        let runs = Run::of_each_kind(0, budgets).into_iter().filter(|run| shapes.contains(&run.shape));
        runs.filter(matters).map(move |run| Run { cleanup, ..run })
    }

    /// States that get a time to live at a restore, or lose it.
    fn switched(budgets: Budgets) -> impl Iterator<Item = Run> {
        let switched =
            move |ttls| Run::of_each_kind(0, budgets).into_iter().map(move |run| Run { ttls, ..run });
        [SWITCHED_ON, SWITCHED_OFF].into_iter().flat_map(switched)
    }

    /// States that are merged. Where clean-up can be seen, there is none: it would be seen in the times of what is merged.
    fn merged(budgets: Budgets) -> impl Iterator<Item = Run> {
        let visible = [CleanUp::Nothing, CleanUp::Passes];
        UPDATES.into_iter().flat_map(move |update| {
            visible.into_iter().zip(VISIBILITIES.into_iter().rev()).map(move |(cleanup, visibility)| {
                let (shape, start) = (Shape::Windows, 0);
                Run { shape, update, visibility, ttls: &TTLS[..1], start, cleanup, budgets }
            })
        })
    }
}

/// The bounds of a model: everything is tried within them, nothing beyond.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The states.
    pub runs: Vec<Run>,
}

impl Scope {
    /// Checked in seconds: the clock goes back, the state is restored, also to begin or end to expire, is merged or
    /// compacted, or time ends, each alone.
    #[must_use]
    pub fn small() -> Scope {
        let mut runs = Run::of_each_kind(0, Budgets { writes: 2, ..Budgets::BACK });
        runs.extend(Run::of_each_kind(0, Budgets { writes: 2, ..Budgets::RESTORE }));
        runs.extend(Run::of_each_kind(LATE, Budgets { writes: 2, ..Budgets::NONE }));
        let once = Budgets { writes: 1, jumps: 0, ..Budgets::RESTORE };
        runs.extend(Run::switched(once));
        runs.extend(Run::cleaned_up_by(CleanUp::Passes, &[Shape::Value], once));
        runs.extend(Run::cleaned_up_by(
            CleanUp::Passes,
            &[Shape::Map],
            Budgets { writes: 2, ..Budgets::NONE },
        ));
        runs.extend(Run::merged(Budgets { writes: 2, ..Budgets::NONE }));
        let out_of_order = Budgets { writes: 2, ticks: 3, backs: 1, ..Budgets::NONE };
        for query_after in 1..=2 {
            let compaction = CleanUp::Compaction { query_after };
            runs.extend(Run::cleaned_up_by(compaction, &[Shape::List, Shape::Map], out_of_order));
        }
        Scope { runs }
    }

    /// Checked in half a minute: also three writes, or the clock goes back around a restore.
    #[must_use]
    pub fn medium() -> Scope {
        let mut runs = Run::of_each_kind(0, Budgets::BACK);
        runs.extend(Run::of_each_kind(0, Budgets { writes: 2, backs: 1, ..Budgets::RESTORE }));
        runs.extend(Run::of_each_kind(LATE, Budgets { backs: 1, ..Budgets::NONE }));
        let restored = Budgets { writes: 2, jumps: 0, ..Budgets::RESTORE };
        runs.extend(Run::switched(restored));
        runs.extend(Run::cleaned_up_by(CleanUp::Passes, &[Shape::Value, Shape::List, Shape::Map], restored));
        let back = Budgets { writes: 2, backs: 1, ..Budgets::NONE };
        runs.extend(Run::cleaned_up_by(CleanUp::Passes, &Shape::ALONE, back));
        runs.extend(Run::merged(Budgets::NONE));
        for query_after in 1..=2 {
            runs.extend(Run::cleaned_up_by(CleanUp::Compaction { query_after }, &Shape::ALONE, back));
        }
        Scope { runs }
    }

    /// Checked in up to an hour: also everything together, with two snapshots.
    #[must_use]
    pub fn large() -> Scope {
        let twice = Budgets { writes: 2, backs: 1, snapshots: 2, restores: 2, ..Budgets::RESTORE };
        let mut runs = Scope::medium().runs;
        runs.extend(Run::of_each_kind(0, Budgets { backs: 1, ..Budgets::RESTORE }));
        runs.extend(Run::of_each_kind(0, twice));
        runs.extend(Run::switched(twice));
        for cleanup in [CleanUp::Passes, CleanUp::Compaction { query_after: 2 }] {
            runs.extend(Run::cleaned_up_by(cleanup, &Shape::ALONE, Budgets { backs: 1, ..Budgets::RESTORE }));
        }
        Scope { runs }
    }

    /// The scope of that name.
    #[must_use]
    pub fn named(name: ScopeName) -> Scope {
        match name {
            ScopeName::Small => Scope::small(),
            ScopeName::Medium => Scope::medium(),
            ScopeName::Large => Scope::large(),
        }
    }

    /// A small scope that shows a planted bug.
    #[must_use]
    pub fn to_find(fault: Fault) -> Scope {
        let (shape, update, visibility) = fault.place();
        let start = if fault == Fault::ExpiryWraps { LATE } else { 0 };
        let budgets = match fault {
            Fault::RefreshedToTheLater | Fault::RefreshNotNoted | Fault::OnlyFirstDeadCompacted => {
                Budgets::BACK
            }
            Fault::RemovalNotInSnapshot => Budgets { snapshots: 2, ..Budgets::RESTORE },
            Fault::WholeSnapshotCleanedUp
            | Fault::AgesStored
            | Fault::RestoreRefreshes
            | Fault::OldTimeToLiveKept
            | Fault::RestoredTakenForNothing
            | Fault::SwitchedOnFromTheBeginning
            | Fault::SwitchedOffLeavesOut => Budgets::RESTORE,
            _ => Budgets::NONE,
        };
        let ttls = match fault {
            Fault::SwitchedOnFromTheBeginning => SWITCHED_ON,
            Fault::SwitchedOffLeavesOut => SWITCHED_OFF,
            _ => TTLS,
        };
        Scope {
            runs: vec![Run { shape, update, visibility, ttls, start, cleanup: fault.cleanup(), budgets }],
        }
    }
}
