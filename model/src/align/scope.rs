use crate::check::ScopeName;
use serde::Serialize;
use snapline::base::{Alignment, CheckpointId, CheckpointKind, CheckpointOptions, CheckpointingMode, Millis};

/// How checkpoints are taken in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Mode {
    /// Exactly once; barriers wait in line.
    Aligned,
    /// At least once.
    AtLeastOnce,
    /// Exactly once; barriers overtake.
    Unaligned,
    /// Exactly once; barriers wait in line until a deadline.
    AlignedUntil,
}

impl Mode {
    /// Every mode.
    pub const ALL: &[Mode] = &[Mode::Aligned, Mode::AtLeastOnce, Mode::Unaligned, Mode::AlignedUntil];

    /// What the gate promises.
    pub fn promise(self) -> CheckpointingMode {
        match self {
            Mode::AtLeastOnce => CheckpointingMode::AtLeastOnce,
            Mode::Aligned | Mode::Unaligned | Mode::AlignedUntil => CheckpointingMode::ExactlyOnce,
        }
    }

    /// Whether what is queued makes a difference.
    pub fn has_queues(self) -> bool {
        matches!(self, Mode::Unaligned | Mode::AlignedUntil)
    }

    /// The options with which a barrier may come at a time.
    pub fn options(self, checkpoint: CheckpointId, now: Millis) -> Vec<CheckpointOptions> {
        let deadline = Millis(checkpoint.0);
        let is_savepoint = checkpoint == CheckpointId(2);
        let alignments = match self {
            Mode::Aligned | Mode::AtLeastOnce => vec![Alignment::Aligned],
            _ if is_savepoint => vec![Alignment::Aligned],
            Mode::Unaligned => vec![Alignment::Unaligned],
            Mode::AlignedUntil if now < deadline => vec![Alignment::AlignedUntil(deadline)],
            Mode::AlignedUntil => vec![Alignment::AlignedUntil(deadline), Alignment::Unaligned],
        };
        let options = |alignment| CheckpointOptions::new(CheckpointKind::Periodic, alignment);
        alignments.into_iter().map(options).collect()
    }
}

/// The bounds of one kind of run: everything is tried within them, nothing beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Run {
    /// How checkpoints are taken.
    pub mode: Mode,
    /// Input channels of the gate.
    pub channels: u16,
    /// Checkpoints, numbered from 1.
    pub checkpoints: u64,
    /// Records on each channel.
    pub records: u8,
    /// How much a channel's queue holds, where there are queues.
    pub queue: usize,
    /// Barriers left out, cancellation markers, aborts and early ends, all together; `None` for any number.
    pub irregular: Option<u8>,
}

/// The runs that are checked together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Scope {
    /// Each of them, with its bounds.
    pub runs: &'static [Run],
}

const fn run(mode: Mode, channels: u16, records: u8, queue: usize, irregular: Option<u8>) -> Run {
    Run { mode, channels, checkpoints: 3, records, queue, irregular }
}

impl Scope {
    /// Checked in a second.
    pub const SMALL: Scope = Scope {
        runs: &[
            run(Mode::Aligned, 2, 1, 0, None),
            run(Mode::AtLeastOnce, 2, 1, 0, None),
            run(Mode::Unaligned, 2, 1, 2, Some(2)),
            run(Mode::AlignedUntil, 2, 1, 1, Some(2)),
        ],
    };
    /// Checked in a minute.
    pub const MEDIUM: Scope = Scope {
        runs: &[
            run(Mode::Aligned, 3, 2, 0, None),
            run(Mode::AtLeastOnce, 3, 1, 0, None),
            run(Mode::Unaligned, 3, 1, 1, None),
            run(Mode::Unaligned, 2, 2, 3, Some(2)),
            run(Mode::AlignedUntil, 3, 1, 1, Some(1)),
            run(Mode::AlignedUntil, 2, 1, 2, Some(2)),
        ],
    };
    /// Checked in half an hour.
    pub const LARGE: Scope = Scope {
        runs: &[
            run(Mode::Aligned, 4, 1, 0, None),
            run(Mode::AtLeastOnce, 3, 2, 0, None),
            run(Mode::Unaligned, 3, 1, 2, Some(2)),
            run(Mode::Unaligned, 2, 3, 3, Some(3)),
            run(Mode::AlignedUntil, 3, 1, 1, Some(2)),
            run(Mode::AlignedUntil, 2, 2, 3, Some(2)),
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
