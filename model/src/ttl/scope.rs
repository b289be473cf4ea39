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
}

impl Shape {
    const ALL: [Shape; 4] = [Shape::Value, Shape::Reduced, Shape::List, Shape::Map];

    /// What the user can name.
    pub(super) fn entries(self) -> &'static [Slot] {
        if self == Shape::Map { &[0, 1] } else { &[0] }
    }

    /// Where write `number` puts what it writes.
    pub(super) fn slot(self, entry: Slot, number: u8) -> Slot {
        if self == Shape::List { number } else { entry }
    }

    pub(super) fn can_write(self) -> bool {
        self != Shape::Reduced
    }

    pub(super) fn can_add(self) -> bool {
        matches!(self, Shape::Reduced | Shape::List)
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
    /// Its time to live, and those with which it may be restored, in milliseconds.
    pub ttls: &'static [u64],
    /// When it begins, in milliseconds.
    pub start: i64,
    /// What happens, all together.
    pub budgets: Budgets,
}

/// At first, longer and shorter.
const TTLS: &[u64] = &[2, 4, 1];

/// How far a jump of the clock goes.
pub(super) const DOWNTIME: i64 = 4;

/// Near the end of time.
const LATE: i64 = i64::MAX - 4;

impl Run {
    /// The configuration with the time to live of that index.
    ///
    /// # Panics
    /// There is none.
    pub(super) fn config(&self, ttl: u8) -> StateTtlConfig {
        let config = StateTtlConfig::new(Millis(self.ttls[usize::from(ttl)])).expect("it is positive");
        config.with_update_type(self.update).with_state_visibility(self.visibility)
    }

    fn of_each_kind(start: i64, budgets: impl Fn(Shape) -> Budgets) -> Vec<Run> {
        let mut runs = Vec::new();
        for shape in Shape::ALL {
            for update in [UpdateType::OnCreateAndWrite, UpdateType::OnReadAndWrite] {
                for visibility in
                    [StateVisibility::NeverReturnExpired, StateVisibility::ReturnExpiredIfNotCleanedUp]
                {
                    let budgets = budgets(shape);
                    runs.push(Run { shape, update, visibility, ttls: TTLS, start, budgets });
                }
            }
        }
        runs
    }
}

/// The bounds of a model: everything is tried within them, nothing beyond.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Scope {
    /// The states.
    pub runs: Vec<Run>,
}

impl Scope {
    /// Checked in seconds: the clock goes back, the state is restored, or time ends, each alone.
    #[must_use]
    pub fn small() -> Scope {
        let mut runs = Run::of_each_kind(0, |_| Budgets { writes: 2, ..Budgets::BACK });
        runs.extend(Run::of_each_kind(0, |_| Budgets { writes: 2, ..Budgets::RESTORE }));
        runs.extend(Run::of_each_kind(LATE, |_| Budgets { writes: 2, ..Budgets::NONE }));
        Scope { runs }
    }

    /// Checked in half a minute: also three writes, or the clock goes back around a restore.
    #[must_use]
    pub fn medium() -> Scope {
        let mut runs = Run::of_each_kind(0, |_| Budgets::BACK);
        runs.extend(Run::of_each_kind(0, |_| Budgets { writes: 2, backs: 1, ..Budgets::RESTORE }));
        runs.extend(Run::of_each_kind(LATE, |_| Budgets { backs: 1, ..Budgets::NONE }));
        Scope { runs }
    }

    /// Checked in up to an hour: also everything together, with two snapshots.
    #[must_use]
    pub fn large() -> Scope {
        let mut runs = Scope::medium().runs;
        runs.extend(Run::of_each_kind(0, |_| Budgets { backs: 1, ..Budgets::RESTORE }));
        runs.extend(Run::of_each_kind(0, |_| Budgets {
            writes: 2,
            backs: 1,
            snapshots: 2,
            restores: 2,
            ..Budgets::RESTORE
        }));
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
            Fault::RefreshedToTheLater => Budgets::BACK,
            Fault::RemovalNotInSnapshot => Budgets { snapshots: 2, ..Budgets::RESTORE },
            Fault::WholeSnapshotCleanedUp
            | Fault::AgesStored
            | Fault::RestoreRefreshes
            | Fault::OldTimeToLiveKept => Budgets::RESTORE,
            _ => Budgets::NONE,
        };
        Scope { runs: vec![Run { shape, update, visibility, ttls: TTLS, start, budgets }] }
    }
}
