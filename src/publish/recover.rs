//! Recovery: what an attempt starts from, as a function of what was found in the storage.
//!
//! Listings and reads may be behind: they may miss what is new and show what was deleted. Only a put tells the
//! truth about its number. So a recovery takes what it has read for a guess and lets its claims prove it.

use super::{Answer, Config, Listing, OnCorruption, Operation, Output, Pointer, PointerKind};
use super::{PointerSequence, Waiting};
use crate::base::{Attempt, CheckpointId, CompletedCheckpoint, Ownership};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Where an attempt starts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Recovered {
    /// The attempt, which has been claimed durably.
    pub attempt: Attempt,
    /// The checkpoint to start from: the newest published one, unless an [`Output::Skipping`] has told
    /// otherwise; `None` only when nothing was ever published.
    pub newest: Option<CompletedCheckpoint>,
    /// Whose the files of that checkpoint are: the job's, unless it was given another one's.
    pub ownership: Ownership,
    /// Older published checkpoints that are retained and can be read, the oldest first.
    pub older: Vec<CompletedCheckpoint>,
    /// A checkpoint id above every one that was found.
    pub next_checkpoint: CheckpointId,
    /// Every checkpoint of which anything was found.
    pub found: BTreeSet<CheckpointId>,
}

/// Something that a recovery leaves out because it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Skipped {
    /// The newest pointer is damaged. The checkpoint that it names, if it is not the one that an older pointer
    /// names, is left out: output that was committed since that one will be produced again.
    Pointer(PointerSequence),
    /// The metadata of the newest published checkpoint is damaged or missing. The attempt starts from an
    /// older one: output that was committed since that one will be produced again.
    Newest(CheckpointId),
    /// The metadata of an older retained checkpoint is damaged or missing. It is not retained any longer.
    Older(CheckpointId),
}

/// Why no attempt can begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RecoveryFailure {
    /// The storage failed too often.
    StorageUnavailable,
    /// The newest pointer is damaged, or is listed and cannot be read, and nothing may or can stand in for it.
    PointerUnreadable(PointerSequence),
    /// The newest checkpoint's metadata is damaged, missing, or another checkpoint's, and nothing may or can
    /// stand in for it.
    MetadataUnreadable(CheckpointId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) enum Step {
    List,
    ReadPointer(PointerSequence),
    ReadMetadata(CheckpointId),
    Claim(PointerSequence),
    ConfirmClaim(PointerSequence),
}

pub(super) enum Next {
    Step(Step),
    /// The storage failed, or is behind: try this step later.
    Retry(Step),
    Claimed,
    Failed(RecoveryFailure),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(super) struct Recovery {
    config: Config,
    pub(super) step: Step,
    pub(super) waiting: Waiting,
    pub(super) retries: u32,
    /// The checkpoints whose metadata could not be read at the first look.
    unreadable: BTreeSet<CheckpointId>,
    listing: Listing,
    /// The highest pointer that is known to exist. It never sinks.
    frontier: PointerSequence,
    /// The readable pointer with the highest number.
    pointer: Option<(PointerSequence, Pointer)>,
    /// Above the attempts of all pointers.
    pub(super) attempt: Attempt,
    /// Published checkpoints that are still to be read.
    unread: BTreeSet<CheckpointId>,
    /// Published checkpoints that were read, the newest first.
    read: Vec<CompletedCheckpoint>,
}

impl Recovery {
    /// `known` is the highest pointer that this process has written: a listing that is behind must not lead
    /// it to a claim of its own from an earlier attempt.
    pub(super) fn new(config: Config, known: PointerSequence, waiting: Waiting) -> Self {
        Recovery {
            config,
            step: Step::List,
            waiting,
            retries: 0,
            unreadable: BTreeSet::new(),
            listing: Listing::default(),
            frontier: known,
            pointer: None,
            //= spec/publish.md#pub-46-names-of-another-job-are-not-used-again
            //# Every attempt of a job that is given another one's checkpoint MUST be above the attempt that took it.
            attempt: config.first_attempt,
            unread: BTreeSet::new(),
            read: Vec::new(),
        }
    }

    /// What the current step asks of the storage.
    pub(super) fn operation(&self) -> Operation {
        match self.step {
            Step::List => Operation::List,
            Step::ReadPointer(number) | Step::ConfirmClaim(number) => Operation::ReadPointer(number),
            Step::ReadMetadata(checkpoint) => Operation::ReadMetadata(checkpoint),
            Step::Claim(number) => Operation::PutPointer(number, self.claim()),
        }
    }

    /// Takes in the answer to the current step and says what follows.
    pub(super) fn advance(&mut self, answer: Answer, out: &mut Vec<Output>) -> Next {
        match (self.step, answer) {
            (Step::List, Answer::Listed(listing)) => Next::Step(self.listed(listing)),
            (Step::ReadPointer(number), Answer::Pointer(Some(pointer))) => self.pointer_read(number, pointer),
            // The listing or the read is behind.
            (Step::ReadPointer(_), Answer::Pointer(None)) => Next::Retry(Step::List),
            (Step::ReadPointer(number), Answer::Corrupt) => self.pointer_unreadable(number, out),
            (Step::ReadMetadata(id), Answer::Metadata(Some(checkpoint))) if checkpoint.id == id => {
                self.read.push(checkpoint);
                Next::Step(self.read_or_claim())
            }
            (Step::ReadMetadata(id), Answer::Metadata(_) | Answer::Corrupt) => {
                self.metadata_unreadable(id, out)
            }
            //= spec/publish.md#pub-20-a-claim-begins-a-segment
            //# A recovery MUST end with a claim that begins a segment of the log.
            (Step::Claim(number), Answer::Stored) => self.claimed(number),
            (Step::Claim(number), Answer::Exists) => Next::Step(Step::ConfirmClaim(number)),
            (Step::Claim(number), Answer::Unknown) => Next::Retry(Step::ConfirmClaim(number)),
            (Step::ConfirmClaim(number), Answer::Pointer(Some(found))) => self.confirmed(number, found),
            (Step::ConfirmClaim(number), Answer::Pointer(None)) => Next::Retry(Step::Claim(number)),
            (Step::ConfirmClaim(number), Answer::Corrupt) => {
                self.frontier = number;
                Next::Retry(Step::List)
            }
            (step, _) => Next::Retry(step),
        }
    }

    fn listed(&mut self, listing: Listing) -> Step {
        //= spec/publish.md#pub-12-the-highest-pointer-is-the-truth
        //# A recovery MUST start from the checkpoint that the pointer with the highest number names.
        self.frontier = listing.pointers.last().map_or(self.frontier, |last| self.frontier.max(*last));
        self.listing = listing;
        match self.frontier {
            PointerSequence(0) => Step::Claim(PointerSequence::FIRST),
            frontier => Step::ReadPointer(frontier),
        }
    }

    fn pointer_read(&mut self, number: PointerSequence, pointer: Pointer) -> Next {
        //= spec/publish.md#pub-22-nothing-comes-only-from-nothing
        //# A recovery MUST start from nothing only if no pointer that it knows of may name a checkpoint.
        if number < self.frontier && pointer.newest.is_none() {
            return Next::Failed(RecoveryFailure::PointerUnreadable(self.frontier));
        }
        // Each pointer between the two may stand for one more attempt.
        let unreadable = u32::try_from(self.frontier.0 - number.0).unwrap_or(u32::MAX);
        let next = Attempt(pointer.attempt.0.saturating_add(unreadable).saturating_add(1));
        //= spec/publish.md#pub-46-names-of-another-job-are-not-used-again
        //# Every attempt of a job that is given another one's checkpoint MUST be above the attempt that took it.
        self.attempt = next.max(self.config.first_attempt);
        self.unread = pointer.checkpoints().collect();
        self.read.clear();
        self.pointer = Some((number, pointer));
        Next::Step(self.read_or_claim())
    }

    fn read_or_claim(&mut self) -> Step {
        match self.unread.pop_last() {
            Some(id) => Step::ReadMetadata(id),
            None => Step::Claim(self.frontier.next()),
        }
    }

    /// Nobody knows which checkpoint a damaged pointer names. With consent, the next lower one stands in for it.
    //= spec/publish.md#pub-13-a-recovery-never-goes-back-by-itself
    //# A recovery MUST fail when the newest pointer or its metadata cannot be read, unless told to fall back.
    fn pointer_unreadable(&mut self, number: PointerSequence, out: &mut Vec<Output>) -> Next {
        let lower = self.listing.pointers.range(..number).next_back();
        match (self.config.on_corruption, lower) {
            (OnCorruption::FallBack, Some(lower)) => {
                out.push(Output::Skipping(Skipped::Pointer(number)));
                Next::Step(Step::ReadPointer(*lower))
            }
            _ => Next::Failed(RecoveryFailure::PointerUnreadable(self.frontier)),
        }
    }

    /// A checkpoint may have been replaced by a newer one between the two reads: only a second look tells.
    //= spec/publish.md#pub-13-a-recovery-never-goes-back-by-itself
    //# A recovery MUST fail when the newest pointer or its metadata cannot be read, unless told to fall back.
    //= spec/publish.md#pub-14-a-recovery-looks-twice
    //# A recovery MUST list again before it gives up metadata that is missing or damaged.
    fn metadata_unreadable(&mut self, id: CheckpointId, out: &mut Vec<Output>) -> Next {
        if self.unreadable.insert(id) {
            return Next::Retry(Step::List);
        }
        let skipped = if !self.read.is_empty() {
            Skipped::Older(id)
        } else if self.config.on_corruption == OnCorruption::FallBack && !self.unread.is_empty() {
            Skipped::Newest(id)
        } else {
            let newest = self.pointer.as_ref().and_then(|(_, pointer)| pointer.newest);
            return Next::Failed(RecoveryFailure::MetadataUnreadable(newest.unwrap_or(id)));
        };
        //= spec/publish.md#pub-19-falling-back-is-said-before-it-is-done
        //# A recovery MUST report whatever it leaves out because it cannot be read before it claims.
        out.push(Output::Skipping(skipped));
        Next::Step(self.read_or_claim())
    }

    /// The claim that this recovery writes.
    //= spec/publish.md#pub-5-claims-stay-and-attempts-increase
    //# A claim MUST stay in the log for ever, with an attempt above those of all pointers before it.
    fn claim(&self) -> Pointer {
        let mut ids = self.read.iter().map(|checkpoint| checkpoint.id);
        let newest = ids.next();
        //= spec/publish.md#pub-44-a-retired-job-keeps-its-ids
        //# The claim that retires a job MUST name the highest checkpoint id that the job has given away.
        let given_away = self.pointer.iter().filter(|_| newest.is_none()).flat_map(|(_, last)| &last.older);
        Pointer {
            kind: PointerKind::Claim,
            attempt: self.attempt,
            incarnation: self.config.incarnation,
            newest,
            older: ids.chain(given_away.copied()).collect(),
        }
    }

    /// The first claim ends the newest segment of the log, if that is what it is; only the one that begins a segment
    /// proves it.
    fn claimed(&mut self, number: PointerSequence) -> Next {
        let last = self.claimed_at();
        if number == last { Next::Claimed } else { Next::Step(Step::Claim(last)) }
    }

    fn confirmed(&mut self, number: PointerSequence, found: Pointer) -> Next {
        if found == self.claim() {
            return self.claimed(number);
        }
        self.frontier = number;
        match found.kind {
            // The listing was behind: the log goes on here.
            PointerKind::Publication => self.pointer_read(number, found),
            // Another recovery was faster; the two must not chase each other.
            PointerKind::Claim => Next::Retry(Step::List),
        }
    }

    /// The number of the claim that ends the recovery.
    pub(super) fn claimed_at(&self) -> PointerSequence {
        let first = self.frontier.next();
        if first.begins_segment(self.config.segment) {
            first
        } else {
            first.next_segment(self.config.segment)
        }
    }

    /// The pointers of publications that are not needed once a later segment has begun.
    pub(super) fn superfluous(&self) -> BTreeSet<PointerSequence> {
        match &self.pointer {
            // In the newest segment a publication is behind no claim but the one that begins the segment.
            Some((newest, pointer))
                if pointer.kind == PointerKind::Publication && *newest == self.frontier =>
            {
                let first = newest.segment(self.config.segment).next();
                self.listing
                    .pointers
                    .iter()
                    .copied()
                    .filter(|number| (first..=*newest).contains(number))
                    .collect()
            }
            _ => BTreeSet::new(),
        }
    }

    pub(super) fn into_recovered(self) -> Recovered {
        let named =
            self.pointer.iter().flat_map(|(_, pointer)| pointer.newest.iter().chain(&pointer.older).copied());
        let highest = self.listing.checkpoints.iter().copied().chain(named).max();
        //= spec/publish.md#pub-17-new-ids-are-above-everything-found
        //# The next checkpoint id of an attempt MUST be above every checkpoint of which anything was found.
        let next_checkpoint = highest.map_or(CheckpointId::FIRST, CheckpointId::next);
        let (attempt, found) = (self.attempt, self.listing.checkpoints);
        let mut read = self.read.into_iter();
        let newest = read.next();
        let older = read.rev().collect();
        Recovered { attempt, newest, ownership: Ownership::Owned, older, next_checkpoint, found }
    }
}
