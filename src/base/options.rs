use super::{CheckpointKind, Millis};
use serde::{Deserialize, Serialize};

/// What a gate promises about the records around a barrier (Flink: `CheckpointingMode`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CheckpointingMode {
    /// After a recovery every record has affected the state once.
    #[default]
    ExactlyOnce,
    /// After a recovery every record has affected the state, some of them twice. No channel ever waits.
    AtLeastOnce,
}

/// What a barrier does about the records that are queued ahead of it (Flink: `AlignmentType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Alignment {
    /// It waits in line, and its channel waits for the other channels.
    #[default]
    Aligned,
    /// As `Aligned` before this time, and as `Unaligned` from then on.
    AlignedUntil(Millis),
    /// It overtakes them, and they become part of the checkpoint.
    Unaligned,
}

/// How a checkpoint is taken. The options travel with each of its barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointOptions {
    kind: CheckpointKind,
    requested: Alignment,
}

impl CheckpointOptions {
    /// A checkpoint of `kind` whose barriers are to do what `requested` says, if that kind may overtake.
    #[must_use]
    pub const fn new(kind: CheckpointKind, requested: Alignment) -> Self {
        CheckpointOptions { kind, requested }
    }

    /// A checkpoint of `kind` whose barriers wait in line.
    #[must_use]
    pub const fn aligned(kind: CheckpointKind) -> Self {
        CheckpointOptions::new(kind, Alignment::Aligned)
    }

    /// Why the checkpoint is taken.
    #[must_use]
    pub const fn kind(self) -> CheckpointKind {
        self.kind
    }

    /// What its barriers do.
    #[must_use]
    pub const fn alignment(self) -> Alignment {
        //= spec/alignment.md#align-15-savepoints-and-last-checkpoints-are-aligned
        //# A savepoint, or a checkpoint after which tasks finish, MUST be aligned whatever its barriers ask for.
        match self.kind {
            CheckpointKind::Periodic | CheckpointKind::Full => self.requested,
            CheckpointKind::Final | CheckpointKind::Stop | CheckpointKind::Savepoint => Alignment::Aligned,
        }
    }

    /// The same checkpoint after its barrier has overtaken something: everyone downstream overtakes as well.
    #[must_use]
    pub const fn overtaking(self) -> Self {
        CheckpointOptions::new(self.kind, Alignment::Unaligned)
    }
}
