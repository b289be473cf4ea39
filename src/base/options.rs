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

/// In which format the keyed state of a savepoint is written (Flink: `SavepointFormatType`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SavepointFormat {
    /// Every state backend can read it.
    #[default]
    Canonical,
    /// As its state backend keeps it: in copies of that one's files, where it has such.
    Native,
}

/// How a checkpoint is taken. The options travel with each of its barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CheckpointOptions {
    kind: CheckpointKind,
    requested: Alignment,
    format: SavepointFormat,
}

impl CheckpointOptions {
    /// A checkpoint of `kind` whose barriers are to do what `requested` says, if that kind may overtake.
    #[must_use]
    pub const fn new(kind: CheckpointKind, requested: Alignment) -> Self {
        CheckpointOptions { kind, requested, format: SavepointFormat::Canonical }
    }

    /// The same checkpoint, in this format if it is a savepoint or stops the job.
    #[must_use]
    pub const fn in_format(self, format: SavepointFormat) -> Self {
        CheckpointOptions { format, ..self }
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
        CheckpointOptions { requested: Alignment::Unaligned, ..self }
    }

    /// Whether keyed state is written in files of its backend, in a job whose checkpoints are `incremental` or not.
    #[must_use]
    pub const fn is_in_files(self, incremental: bool) -> bool {
        match self.kind {
            //= spec/coordinator.md#coord-69-savepoints-have-the-format-that-was-asked-for
            //# A savepoint, and a checkpoint that stops a job, MUST be written in the format that its request asks for.
            CheckpointKind::Savepoint | CheckpointKind::Stop => {
                matches!(self.format, SavepointFormat::Native)
            }
            CheckpointKind::Periodic | CheckpointKind::Full | CheckpointKind::Final => incremental,
        }
    }
}
