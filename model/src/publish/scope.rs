//! How much trouble there may be.

use crate::check::ScopeName;
use serde::Serialize;
use snapline::base::{Attempt, Incarnation, Millis};
use snapline::publish::{Config, OnCorruption};
use std::num::NonZeroU64;

/// What may still happen in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Budgets {
    /// Publications that are asked for.
    pub checkpoints: u8,
    /// Coordinators that start beside the first one.
    pub coordinators: u8,
    /// Coordinators that are killed and start again.
    pub crashes: u8,
    /// Attempts that start again in the same process.
    pub restarts: u8,
    /// Operations that fail and change nothing.
    pub refusals: u8,
    /// Puts whose answer is lost.
    pub losses: u8,
    /// Reads and listings that are behind.
    pub lies: u8,
    /// Objects that rot.
    pub damages: u8,
}

impl Budgets {
    /// Publications and no trouble.
    pub const CALM: Budgets = Budgets {
        checkpoints: 3,
        coordinators: 0,
        crashes: 0,
        restarts: 0,
        refusals: 0,
        losses: 0,
        lies: 0,
        damages: 0,
    };
}

/// The bounds of a run: everything is tried within each of the budgets, nothing beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// Where runs begin.
    pub budgets: &'static [Budgets],
}

const DUEL: Budgets = Budgets { coordinators: 1, ..Budgets::CALM };

impl Scope {
    /// Checked in seconds.
    pub const SMALL: Scope = Scope {
        budgets: &[
            Budgets { losses: 1, ..DUEL },
            Budgets { lies: 1, ..DUEL },
            Budgets { restarts: 1, ..DUEL },
            Budgets { crashes: 3, ..Budgets::CALM },
            Budgets { crashes: 1, losses: 1, lies: 1, ..Budgets::CALM },
            Budgets { crashes: 1, damages: 1, ..Budgets::CALM },
        ],
    };

    /// Checked in a minute.
    pub const MEDIUM: Scope = Scope {
        budgets: &[
            Budgets { crashes: 1, ..DUEL },
            Budgets { losses: 1, lies: 1, ..DUEL },
            Budgets { losses: 1, refusals: 1, ..DUEL },
            Budgets { lies: 1, restarts: 1, ..DUEL },
            Budgets { damages: 1, lies: 1, ..DUEL },
            Budgets { crashes: 3, losses: 1, ..Budgets::CALM },
            Budgets { crashes: 3, lies: 1, ..Budgets::CALM },
            Budgets { crashes: 2, damages: 1, lies: 1, ..Budgets::CALM },
        ],
    };

    /// Checked in an hour.
    pub const LARGE: Scope = Scope {
        budgets: &[
            Budgets { crashes: 1, losses: 1, ..DUEL },
            Budgets { crashes: 1, lies: 1, ..DUEL },
            Budgets { crashes: 1, damages: 1, ..DUEL },
            Budgets { losses: 1, lies: 1, refusals: 1, ..DUEL },
            Budgets { crashes: 3, losses: 1, lies: 1, ..Budgets::CALM },
        ],
    };

    /// The scope of that name.
    pub fn named(name: ScopeName) -> Scope {
        match name {
            ScopeName::Small => Scope::SMALL,
            ScopeName::Medium => Scope::MEDIUM,
            ScopeName::Large => Scope::LARGE,
        }
    }
}

/// Two pointers to a segment: pointers 1, 3, 5 and so on begin one.
pub const SEGMENT: NonZeroU64 = NonZeroU64::MIN.saturating_add(1);

/// The configuration of the coordinator's process of that number.
pub(super) fn config(incarnation: u64, on_corruption: OnCorruption) -> Config {
    Config {
        incarnation: Incarnation(incarnation),
        retry_pause: Millis(0),
        // More than the budgets can make necessary: whoever gives up then goes round in circles.
        recovery_retries: 12,
        segment: SEGMENT,
        first_attempt: Attempt(1),
        on_corruption,
    }
}
