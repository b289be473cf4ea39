//! Bounds.

use super::faults::Fault;
use crate::check::ScopeName;
use serde::Serialize;

/// How often each thing may still happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Budgets {
    /// A checkpoint begins.
    pub checkpoints: u8,
    /// A checkpoint is aborted.
    pub aborts: u8,
    /// A notice is lost.
    pub losses: u8,
    /// A commit has an unknown outcome.
    pub uncertain: u8,
    /// The attempt fails.
    pub crashes: u8,
}

impl Budgets {
    const CALM: Budgets = Budgets { checkpoints: 2, aborts: 0, losses: 0, uncertain: 0, crashes: 0 };
    const ABORT: Budgets = Budgets { checkpoints: 3, aborts: 1, ..Budgets::CALM };
    const LOSS: Budgets = Budgets { checkpoints: 3, losses: 1, ..Budgets::CALM };
    const UNCERTAIN: Budgets = Budgets { uncertain: 1, ..Budgets::CALM };
    const CRASH: Budgets = Budgets { crashes: 1, ..Budgets::CALM };
}

/// One of the sinks that a scope tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Run {
    /// How many subtasks the sink has in each attempt; the last number stays.
    pub parallelisms: &'static [u16],
    /// Records in each partition.
    pub records: u8,
    /// What happens in one run, all together.
    pub budgets: Budgets,
}

impl Run {
    const fn of(parallelisms: &'static [u16], budgets: Budgets) -> Run {
        Run { parallelisms, records: 2, budgets }
    }
}

/// The bounds of a model: everything is tried within them, nothing beyond.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// The sinks.
    pub runs: Vec<Run>,
}

impl Scope {
    /// Checked in seconds: one thing goes wrong, or the recovery from a crash crashes.
    #[must_use]
    pub fn small() -> Scope {
        let mut runs: Vec<Run> = [Budgets::ABORT, Budgets::LOSS, Budgets::UNCERTAIN, Budgets::CRASH]
            .map(|budgets| Run::of(&[1], budgets))
            .into();
        runs.extend(
            [&[2_u16][..], &[2, 1], &[1, 2]].map(|parallelisms| Run::of(parallelisms, Budgets::CRASH)),
        );
        runs.push(Run::of(&[1], Budgets { checkpoints: 1, crashes: 2, ..Budgets::CALM }));
        Scope { runs }
    }

    /// Checked in a minute: also two things together.
    #[must_use]
    pub fn medium() -> Scope {
        let mut runs = Scope::small().runs;
        let twice = Budgets { crashes: 2, ..Budgets::CALM };
        for parallelisms in [&[1_u16][..], &[2, 1], &[1, 2, 1]] {
            runs.push(Run::of(parallelisms, twice));
            runs.push(Run::of(parallelisms, Budgets { uncertain: 1, ..Budgets::CRASH }));
        }
        for budgets in [Budgets::ABORT, Budgets::LOSS] {
            runs.push(Run::of(&[1], Budgets { crashes: 1, ..budgets }));
            runs.push(Run::of(&[1], Budgets { uncertain: 1, ..budgets }));
        }
        Scope { runs }
    }

    /// Checked in up to an hour: three things together.
    #[must_use]
    pub fn large() -> Scope {
        let mut runs = Scope::medium().runs;
        for parallelisms in [&[2_u16][..], &[2, 1], &[1, 2]] {
            for budgets in [Budgets::ABORT, Budgets::LOSS] {
                runs.push(Run::of(parallelisms, Budgets { crashes: 1, uncertain: 1, ..budgets }));
            }
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
        let run = match fault {
            Fault::UncertainTakenForDone | Fault::UncertainRolledBack | Fault::CommittedTwice => {
                Run::of(&[1], Budgets::UNCERTAIN)
            }
            Fault::EndedWithoutCheckpoint
            | Fault::TransactionAfterTheEnd
            | Fault::FixedIdAtTheEnd
            | Fault::CompletionAssumed => Run::of(&[1], Budgets::CALM),
            Fault::AbortRollsBack => Run::of(&[1], Budgets::ABORT),
            Fault::OneTransactionRestored | Fault::EmptyCheckpointWithoutPosition => {
                Run::of(&[1], Budgets { crashes: 1, ..Budgets::ABORT })
            }
            Fault::OthersNotRestored => Run::of(&[2, 1], Budgets::CRASH),
            Fault::OlderCheckpointRestored
            | Fault::NamesRepeated
            | Fault::PositionOfTheMoment
            | Fault::NothingRolledBack => Run::of(&[1], Budgets::CRASH),
        };
        Scope { runs: vec![run] }
    }
}
