use crate::base::{Attempt, CheckpointId, CompletedCheckpoint, Incarnation};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU64;

/// The number of a pointer, from 1. Pointers are a log: the highest number is the truth.
///
/// The log is cut into segments of equal length. The first pointer of a segment stays for ever, so whoever can
/// write it knows that the segment did not exist; and nothing is deleted from the newest segment, so whoever can
/// write a number there knows that nothing follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PointerSequence(pub u64);

impl PointerSequence {
    /// The first pointer of a job.
    pub const FIRST: PointerSequence = PointerSequence(1);

    /// The number after this one.
    #[must_use]
    pub fn next(self) -> PointerSequence {
        PointerSequence(self.0 + 1)
    }

    /// Whether this number begins a segment of the log.
    #[must_use]
    pub fn begins_segment(self, length: NonZeroU64) -> bool {
        self == self.segment(length)
    }

    /// The number with which the segment of this one begins.
    #[must_use]
    pub fn segment(self, length: NonZeroU64) -> PointerSequence {
        let offset = self.0.saturating_sub(1) % length;
        PointerSequence(self.0 - offset)
    }

    /// The number with which the segment after this one's begins.
    #[must_use]
    pub fn next_segment(self, length: NonZeroU64) -> PointerSequence {
        PointerSequence(self.segment(length).0 + length.get())
    }
}

impl fmt::Display for PointerSequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a pointer was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PointerKind {
    /// An attempt began. Never deleted, so that an older attempt can never write this number again (PUB-5).
    Claim,
    /// A checkpoint became visible.
    Publication,
}

/// One durable entry that says which checkpoint is the newest, and who may write the next entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Pointer {
    /// What the pointer was written for.
    pub kind: PointerKind,
    /// The attempt that wrote it.
    pub attempt: Attempt,
    /// The process that wrote it.
    pub incarnation: Incarnation,
    /// The newest published checkpoint; `None` when nothing was ever published.
    pub newest: Option<CheckpointId>,
    /// Older published checkpoints that are retained beside it. Beside no checkpoint: the highest id that a job had
    /// given away when it retired, which no later checkpoint may have.
    pub older: BTreeSet<CheckpointId>,
}

impl Pointer {
    /// The published checkpoints that it names: the newest, and the older ones that are retained.
    pub fn checkpoints(&self) -> impl Iterator<Item = CheckpointId> {
        // Beside no newest one stands an id that was given away.
        let names_any = self.newest.is_some();
        self.newest.iter().chain(&self.older).filter(move |_| names_any).copied()
    }

    /// Whether nobody needs this pointer, which has the number `own`, beside those of all `pointers` of the log.
    //= spec/publish.md#pub-11-pointers-go-with-their-segment
    //# A pointer MUST be deleted only if it is a publication, begins no segment, and two pointers follow
    //# that belong to later segments.
    #[must_use]
    pub fn is_superfluous(
        &self,
        own: PointerSequence,
        pointers: &BTreeSet<PointerSequence>,
        segment: NonZeroU64,
    ) -> bool {
        let later = pointers.range(own.next_segment(segment)..);
        self.kind == PointerKind::Publication && !own.begins_segment(segment) && later.take(2).count() == 2
    }
}

/// What a storage was seen to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Listing {
    /// The numbers of all pointers.
    pub pointers: BTreeSet<PointerSequence>,
    /// The ids of all checkpoints of which anything exists, published or not.
    pub checkpoints: BTreeSet<CheckpointId>,
}

/// Pairs a request to the storage with its answer. A machine never uses one twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Ticket(pub u32);

/// Something the storage must do, durably, before it answers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Operation {
    /// List pointers and checkpoints.
    List,
    /// Read one pointer.
    ReadPointer(PointerSequence),
    /// Read the metadata of one checkpoint.
    ReadMetadata(CheckpointId),
    /// Write the metadata of a checkpoint, unless it exists.
    PutMetadata(CompletedCheckpoint),
    /// Write a pointer, unless its number is taken.
    PutPointer(PointerSequence, Pointer),
}

/// How an [`Operation`] ended.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Answer {
    /// The answer to [`Operation::List`].
    Listed(Listing),
    /// The answer to [`Operation::ReadPointer`]; `None` when there is no such pointer.
    Pointer(Option<Pointer>),
    /// The answer to [`Operation::ReadMetadata`]; `None` when there is no such checkpoint.
    Metadata(Option<CompletedCheckpoint>),
    /// The put is durable.
    Stored,
    /// The put changed nothing: something has that name already.
    Exists,
    /// The operation has failed and has changed nothing; trying again may help.
    Failed,
    /// The put may or may not have been applied (F24, FS5).
    Unknown,
    /// What was read is damaged; the driver keeps the details for the error message.
    Corrupt,
}
