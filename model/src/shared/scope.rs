//! Bounds.

use super::faults::Fault;
use crate::check::ScopeName;
use serde::Serialize;
use snapline::base::Ownership;

/// How often each thing may still go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Budgets {
    /// A checkpoint or a savepoint begins.
    pub checkpoints: u8,
    /// Tasks fail and all of them restart, in the same process.
    pub task_failures: u8,
    /// The process dies and another one recovers.
    pub crashes: u8,
    /// A checkpoint is given up, before or after everyone has acknowledged it.
    pub aborts: u8,
    /// An upload fails and leaves half a file.
    pub upload_failures: u8,
    /// A deletion fails.
    pub deletion_failures: u8,
    /// A message or a deletion arrives twice.
    pub repetitions: u8,
    /// The user takes a savepoint.
    pub savepoints: u8,
}

impl Budgets {
    /// Nothing goes wrong in three checkpoints.
    const NONE: Budgets = Budgets {
        checkpoints: 3,
        task_failures: 0,
        crashes: 0,
        aborts: 0,
        upload_failures: 0,
        deletion_failures: 0,
        repetitions: 0,
        savepoints: 0,
    };
    const TASK_FAILURE: Budgets = Budgets { task_failures: 1, ..Budgets::NONE };
    const CRASH: Budgets = Budgets { crashes: 1, ..Budgets::NONE };
    const ABORT: Budgets = Budgets { aborts: 1, ..Budgets::NONE };
    const UPLOAD_FAILURE: Budgets = Budgets { upload_failures: 1, ..Budgets::NONE };
    const DELETION_FAILURE: Budgets = Budgets { deletion_failures: 1, ..Budgets::NONE };
    const REPETITION: Budgets = Budgets { repetitions: 1, ..Budgets::NONE };
    const SAVEPOINT: Budgets = Budgets { savepoints: 1, ..Budgets::NONE };
}

/// One of the jobs that a scope tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Run {
    /// Subtasks with state.
    pub subtasks: u16,
    /// Whether the job starts from a checkpoint of another job, and then who owns that.
    pub start: Option<Ownership>,
    /// What happens in one run, all together.
    pub budgets: Budgets,
}

impl Run {
    /// One subtask that starts with nothing.
    fn of(budgets: Budgets) -> Run {
        Run { subtasks: 1, start: None, budgets }
    }

    /// The same with one more checkpoint.
    fn longer(self) -> Run {
        let checkpoints = self.budgets.checkpoints + 1;
        Run { budgets: Budgets { checkpoints, ..self.budgets }, ..self }
    }
}

/// The bounds of a run: everything is tried within them, nothing beyond.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// How many checkpoints may be under way at once.
    pub concurrent: usize,
    /// How many are retained.
    pub retained: usize,
    /// The jobs.
    pub runs: Vec<Run>,
}

impl Scope {
    fn of(runs: Vec<Run>) -> Scope {
        Scope { concurrent: 2, retained: 1, runs }
    }

    /// Checked in seconds: three checkpoints, and each thing goes wrong once, alone.
    #[must_use]
    pub fn small() -> Scope {
        let alone = [
            Budgets::TASK_FAILURE,
            Budgets::CRASH,
            Budgets::ABORT,
            Budgets::UPLOAD_FAILURE,
            Budgets::DELETION_FAILURE,
            Budgets::REPETITION,
            Budgets::SAVEPOINT,
        ];
        let mut runs: Vec<Run> = alone.into_iter().map(Run::of).collect();
        for start in [Ownership::Owned, Ownership::NotOwned] {
            runs.push(Run { start: Some(start), ..Run::of(Budgets::TASK_FAILURE) });
        }
        let two = Budgets { checkpoints: 2, ..Budgets::TASK_FAILURE };
        runs.push(Run { subtasks: 2, ..Run::of(two) });
        Scope::of(runs)
    }

    /// Checked in a minute: also four checkpoints with failed, late and repeated messages.
    #[must_use]
    pub fn medium() -> Scope {
        let mut runs = Scope::small().runs;
        for budgets in [Budgets::ABORT, Budgets::DELETION_FAILURE, Budgets::REPETITION] {
            runs.push(Run::of(budgets).longer());
        }
        Scope::of(runs)
    }

    /// Checked in up to an hour: also everything over four checkpoints, and things that go wrong together.
    #[must_use]
    pub fn large() -> Scope {
        let mut runs = Scope::medium().runs;
        for budgets in [Budgets::TASK_FAILURE, Budgets::CRASH, Budgets::UPLOAD_FAILURE, Budgets::SAVEPOINT] {
            runs.push(Run::of(budgets).longer());
        }
        for budgets in [
            Budgets { aborts: 1, ..Budgets::CRASH },
            Budgets { repetitions: 1, ..Budgets::CRASH },
            Budgets { savepoints: 1, ..Budgets::CRASH },
            Budgets { upload_failures: 1, ..Budgets::ABORT },
        ] {
            runs.push(Run::of(budgets));
        }
        runs.push(Run { subtasks: 2, ..Run::of(Budgets::NONE) });
        Scope::of(runs)
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

    /// The smallest scope that shows a planted bug.
    #[must_use]
    pub fn to_find(fault: Fault) -> Scope {
        let with = |budgets: Budgets| Scope::of(vec![Run::of(budgets)]);
        match fault {
            Fault::NameTakenForContent
            | Fault::RegisteredAfterPublication
            | Fault::AcknowledgedBeforeDurable => with(Budgets::NONE),
            Fault::AttemptLeftOut => with(Budgets::TASK_FAILURE),
            Fault::UploadLeftOut
            | Fault::AcknowledgedTakenForComplete
            | Fault::AbortDeletesAll
            | Fault::LateAcknowledgementIgnored => with(Budgets::ABORT),
            Fault::SavepointSubsumes | Fault::SavepointShares => with(Budgets::SAVEPOINT),
            Fault::DiscardForgotten => with(Budgets::UPLOAD_FAILURE),
            Fault::StaleObeyed | Fault::NeverListed => with(Budgets::CRASH),
            Fault::DeletionNotRepeated => with(Budgets::DELETION_FAILURE),
            Fault::NotOwnedTakenForOwned => {
                let start = Some(Ownership::NotOwned);
                Scope::of(vec![Run { start, ..Run::of(Budgets::NONE) }])
            }
        }
    }
}
