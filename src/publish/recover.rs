//! Recovery: what an attempt starts from, as a function of what was found in the storage.

use super::{Answer, Listing, Pointer, PointerKind, PointerSequence, Waiting};
use crate::base::{Attempt, CheckpointId, CompletedCheckpoint};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where an attempt starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Recovered {
    /// The attempt, which has been claimed durably.
    pub attempt: Attempt,
    /// The newest published checkpoint; `None` only when nothing was ever published.
    pub newest: Option<CompletedCheckpoint>,
    /// A checkpoint id above every one that was found.
    pub next_checkpoint: CheckpointId,
    /// Every checkpoint of which anything was found.
    pub found: BTreeSet<CheckpointId>,
}

/// Why no attempt can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecoveryFailure {
    /// The storage failed too often.
    StorageUnavailable,
    /// The newest pointer is damaged, or is listed and cannot be read.
    PointerUnreadable(PointerSequence),
    /// The newest checkpoint's metadata is damaged, missing, or another checkpoint's.
    MetadataUnreadable(CheckpointId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Step {
    List,
    ReadPointer,
    ReadMetadata(CheckpointId),
    Claim,
    ConfirmClaim,
}

pub(super) enum Next {
    Step(Step),
    /// The storage failed: try this step later.
    Retry(Step),
    Claimed,
    Failed(RecoveryFailure),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Recovery {
    pub(super) step: Step,
    pub(super) waiting: Waiting,
    pub(super) retries: u32,
    /// Whether the listing was repeated because the metadata it led to could not be read.
    looked_twice: bool,
    found: BTreeSet<CheckpointId>,
    pub(super) newest_pointer: PointerSequence,
    newest_kind: Option<PointerKind>,
    pub(super) previous_attempt: Attempt,
    pub(super) newest: Option<CompletedCheckpoint>,
}

impl Recovery {
    pub(super) fn new(waiting: Waiting) -> Self {
        Recovery {
            step: Step::List,
            waiting,
            retries: 0,
            looked_twice: false,
            found: BTreeSet::new(),
            newest_pointer: PointerSequence(0),
            newest_kind: None,
            previous_attempt: Attempt(0),
            newest: None,
        }
    }

    /// Takes in the answer to the current step and says what follows.
    pub(super) fn advance(&mut self, answer: Answer, claim: impl FnOnce(&Recovery) -> Pointer) -> Next {
        match (self.step, answer) {
            (Step::List, Answer::Listed(listing)) => Next::Step(self.listed(listing)),
            (Step::ReadPointer, Answer::Pointer(Some(pointer))) => Next::Step(self.pointer_read(pointer)),
            // A newer pointer was written and this one removed since the listing.
            (Step::ReadPointer, Answer::Pointer(None)) => Next::Retry(Step::List),
            (Step::ReadPointer, Answer::Corrupt) => {
                //= spec/publish.md#pub-13-a-recovery-never-goes-back
                //# A recovery MUST fail when the newest pointer or its metadata cannot be read.
                Next::Failed(RecoveryFailure::PointerUnreadable(self.newest_pointer))
            }
            (Step::ReadMetadata(id), Answer::Metadata(Some(checkpoint))) if checkpoint.id == id => {
                self.newest = Some(checkpoint);
                Next::Step(Step::Claim)
            }
            (Step::ReadMetadata(id), Answer::Metadata(_) | Answer::Corrupt) => self.metadata_unreadable(id),
            (Step::Claim, Answer::Stored) => Next::Claimed,
            (Step::Claim, Answer::Exists) => Next::Step(Step::ConfirmClaim),
            (Step::Claim, Answer::Unknown) => Next::Retry(Step::ConfirmClaim),
            (Step::ConfirmClaim, Answer::Pointer(Some(found))) if found == claim(self) => Next::Claimed,
            // Someone else was faster. Looking again at once could go on for ever over a listing that is behind.
            (Step::ConfirmClaim, Answer::Pointer(Some(_)) | Answer::Corrupt) => Next::Retry(Step::List),
            (Step::ConfirmClaim, Answer::Pointer(None)) => Next::Step(Step::Claim),
            (step, _) => Next::Retry(step),
        }
    }

    fn listed(&mut self, listing: Listing) -> Step {
        self.found = listing.checkpoints;
        self.newest = None;
        self.newest_kind = None;
        self.previous_attempt = Attempt(0);
        //= spec/publish.md#pub-12-the-highest-pointer-is-the-truth
        //# A recovery MUST start from the checkpoint that the pointer with the highest number names.
        match listing.pointers.last() {
            Some(newest) => {
                self.newest_pointer = *newest;
                Step::ReadPointer
            }
            None => {
                self.newest_pointer = PointerSequence(0);
                Step::Claim
            }
        }
    }

    fn pointer_read(&mut self, pointer: Pointer) -> Step {
        self.previous_attempt = pointer.attempt;
        self.newest_kind = Some(pointer.kind);
        match pointer.newest {
            Some(checkpoint) => Step::ReadMetadata(checkpoint),
            None => Step::Claim,
        }
    }

    /// A checkpoint may have been replaced by a newer one between the two reads: only a second look tells.
    //= spec/publish.md#pub-13-a-recovery-never-goes-back
    //# A recovery MUST fail when the newest pointer or its metadata cannot be read.
    //= spec/publish.md#pub-14-a-recovery-looks-twice
    //# A recovery MUST list again before it fails for metadata that is missing or damaged.
    fn metadata_unreadable(&mut self, id: CheckpointId) -> Next {
        if std::mem::replace(&mut self.looked_twice, true) {
            Next::Failed(RecoveryFailure::MetadataUnreadable(id))
        } else {
            Next::Retry(Step::List)
        }
    }

    /// The newest pointer, when the next publication may delete it.
    pub(super) fn superfluous(&self) -> Option<PointerSequence> {
        (self.newest_kind == Some(PointerKind::Publication)).then_some(self.newest_pointer)
    }

    pub(super) fn into_recovered(self, attempt: Attempt) -> Recovered {
        let highest_found = self.found.last().copied();
        let highest_published = self.newest.as_ref().map(|checkpoint| checkpoint.id);
        //= spec/publish.md#pub-17-new-ids-are-above-everything-found
        //# The next checkpoint id of an attempt MUST be above every checkpoint of which anything was found.
        let next_checkpoint =
            highest_found.max(highest_published).map_or(CheckpointId::FIRST, CheckpointId::next);
        Recovered { attempt, newest: self.newest, next_checkpoint, found: self.found }
    }
}
