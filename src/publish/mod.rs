//! The order of durable steps that makes a checkpoint visible exactly once, and recovery from what is found.
//!
//! A checkpoint becomes visible through one durable step: a *pointer* with the next number of the job's log of
//! pointers, written only if that number is free. Before it the state files and the metadata are durable;
//! nothing before it matters, nothing after it is missing. An attempt begins by writing a *claim* with the
//! next number, so every older attempt finds its own next number taken: it is fenced. A second claim begins a new
//! segment of the log, which proves that the first one was not written into a gap.
//!
//! # How to drive it
//!
//! A [`Coordinator`](crate::coordinator::Coordinator) drives its own; what follows is for those who need this part alone.
//!
//! 1. Report [`Input::RecoveryRequested`] and wait for [`Output::Recovered`]: the attempt that it names has begun. On
//!    [`Output::RecoveryFailed`] nothing has, and a recovery may be asked for again.
//! 2. When all state of a checkpoint is durable, report [`Input::PublicationRequested`], one at a time. Only after
//!    [`Output::Published`] may anybody be told that the checkpoint is complete. After
//!    [`Output::PublicationFailed`] it never will be.
//! 3. Carry out each [`Output::Perform`] and report [`Input::Answered`] with its ticket. [`Answer::Stored`] means durable,
//!    [`Answer::Failed`] that certainly nothing was written; whatever is in between is [`Answer::Unknown`]. A put
//!    never replaces anything, also against other processes: of several writers of one name one gets
//!    [`Answer::Stored`].
//! 4. When [`Publisher::deadline`] has come, report [`Input::Tick`].
//! 5. On [`Output::Fenced`] stop everything and delete nothing: the files belong to somebody else now. Until then carry
//!    out each [`Output::DeletePointer`] at leisure.
//!
//! Specification: `spec/publish.md`.

mod objects;
mod recover;

pub use objects::{Answer, Listing, Operation, Pointer, PointerKind, PointerSequence, Ticket};
pub use recover::{Recovered, RecoveryFailure, Skipped};

use crate::base::{Attempt, CheckpointId, CompletedCheckpoint, Incarnation, Millis, Misuse, Violation};
use recover::Recovery;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::num::NonZeroU64;

const MACHINE: &str = "publish";

/// Settings of a [`Publisher`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The process that publishes; no other process of the job ever has the same.
    pub incarnation: Incarnation,
    /// How long to wait before a failed or uncertain operation is repeated.
    pub retry_pause: Millis,
    /// How often a failing read or claim is repeated during a recovery before the recovery fails.
    pub recovery_retries: u32,
    /// How many numbers a segment of the log of pointers has: the same in every process of the job, for ever.
    pub segment: NonZeroU64,
    /// No attempt of the job has a lower number: 1, unless it starts from the checkpoint of another job, whose transactions
    /// and files have the attempts of that one in their names.
    pub first_attempt: Attempt,
    /// What a recovery does when the newest checkpoint cannot be read.
    pub on_corruption: OnCorruption,
}

impl Config {
    /// The length of a segment in the storages of Snapline: at most twice as many pointers exist at a time, besides
    /// claims and the first one of each segment.
    pub const SEGMENT: NonZeroU64 = NonZeroU64::new(256).unwrap();

    /// What suits most storages: a failed operation is repeated after 200 ms, by a recovery 25 times at most, and a
    /// newest checkpoint that cannot be read ends the job. `incarnation` is drawn at random for each process.
    #[must_use]
    pub fn new(incarnation: Incarnation) -> Config {
        Config {
            incarnation,
            retry_pause: Millis(200),
            recovery_retries: 25,
            segment: Config::SEGMENT,
            first_attempt: Attempt(1),
            on_corruption: OnCorruption::Fail,
        }
    }
}

/// What a recovery does when the newest pointer, or the metadata that it names, cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum OnCorruption {
    /// It fails, so that a person decides.
    #[default]
    Fail,
    /// It goes back to an older retained checkpoint, and says so. Output that was committed since then is
    /// committed again: at least once instead of exactly once.
    FallBack,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// An attempt is to begin: find the newest checkpoint and fence everyone else.
    RecoveryRequested,
    /// All state of a checkpoint is durable: make it visible.
    PublicationRequested {
        /// The checkpoint.
        checkpoint: CompletedCheckpoint,
        /// The older published checkpoints that stay beside it. Others may be deleted once it is visible.
        older: BTreeSet<CheckpointId>,
    },
    /// The job has ended and nothing of it is needed any more: claim the right to delete it.
    RetirementRequested {
        /// The highest checkpoint id that the job has given away.
        highest: CheckpointId,
    },
    /// An operation has ended.
    Answered {
        /// The ticket of the operation.
        ticket: Ticket,
        /// How it ended.
        answer: Answer,
    },
    /// Time has passed.
    Tick,
}

/// What must be done.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Carry out an operation on the storage and report its answer.
    Perform {
        /// Identifies the operation.
        ticket: Ticket,
        /// What to do.
        operation: Operation,
    },
    /// Tell people that something cannot be read and is left out.
    Skipping(Skipped),
    /// The attempt has begun, durably.
    Recovered(Recovered),
    /// The attempt cannot begin.
    RecoveryFailed(RecoveryFailure),
    /// The checkpoint is visible, durably.
    Published(CheckpointId),
    /// The checkpoint is not visible and never will be.
    PublicationFailed {
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        cause: PublicationFailure,
    },
    /// The request to retire has been answered.
    RetirementEnded {
        /// Whether the log certainly ends with this process's claim, which names no checkpoint.
        is_ours: bool,
    },
    /// Another attempt of the job has begun: this one must stop, and must delete nothing.
    Fenced,
    /// Delete a pointer that nobody needs; failing to is harmless.
    DeletePointer(PointerSequence),
}

/// Why a checkpoint did not become visible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PublicationFailure {
    /// The storage did not take it.
    StorageFailed,
    /// An older attempt, not yet aware of this one, has written metadata under the same id.
    IdTaken,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Phase {
    Idle,
    Recovering(Recovery),
    Ready,
    Publishing(Publication),
    Retiring(Ticket),
    Fenced,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct Publication {
    checkpoint: CompletedCheckpoint,
    older: BTreeSet<CheckpointId>,
    step: PublicationStep,
    waiting: Waiting,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum PublicationStep {
    Metadata,
    /// `uncertain` once a put of the pointer may have been applied: from then on only the pointer itself tells.
    Pointer {
        uncertain: bool,
    },
    /// Reading the pointer back to learn whose it is.
    Confirm {
        uncertain: bool,
    },
}

/// What a phase waits for: an answer, or the time to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Waiting {
    Answer(Ticket),
    Until(Millis),
}

/// The publication of the checkpoints of one job by one process.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Publisher {
    config: Config,
    attempt: Attempt,
    /// The highest pointer known.
    newest: PointerSequence,
    /// Pointers of publications that are not deleted yet, except those that begin a segment.
    superfluous: BTreeSet<PointerSequence>,
    next_ticket: Ticket,
    phase: Phase,
}

impl Publisher {
    /// A publisher that has not looked at the storage yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Publisher {
            config,
            attempt: Attempt(0),
            newest: PointerSequence(0),
            superfluous: BTreeSet::new(),
            next_ticket: Ticket(0),
            phase: Phase::Idle,
        }
    }

    /// Whether a publication or recovery is under way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        matches!(self.phase, Phase::Publishing(_) | Phase::Recovering(_) | Phase::Retiring(_))
    }

    /// The checkpoint that is being published.
    #[must_use]
    pub fn publishing(&self) -> Option<CheckpointId> {
        match &self.phase {
            Phase::Publishing(publication) => Some(publication.checkpoint.id),
            Phase::Idle | Phase::Recovering(_) | Phase::Ready | Phase::Retiring(_) | Phase::Fenced => None,
        }
    }

    /// Whether another attempt has taken over.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.phase == Phase::Fenced
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when a recovery or publication is requested while another is under way, or a publication
    /// or retirement before a recovery; nothing has changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match input {
            Input::RecoveryRequested => {
                if self.is_busy() {
                    return Err(Misuse::new(MACHINE, "a recovery was requested while the publisher is busy"));
                }
                if self.phase == Phase::Fenced {
                    out.push(Output::Fenced);
                    return Ok(());
                }
                let waiting = self.perform(Operation::List, out);
                self.phase = Phase::Recovering(Recovery::new(self.config, self.newest, waiting));
            }
            Input::PublicationRequested { checkpoint, older } => self.begin(checkpoint, older, out)?,
            Input::RetirementRequested { highest } => self.retire(highest, out)?,
            Input::Answered { ticket, answer } => self.answered(now, ticket, answer, out),
            Input::Tick => self.tick(now, out),
        }
        Ok(())
    }

    /// The next time at which a tick can change anything.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        match self.waiting() {
            Some(Waiting::Until(time)) => Some(time),
            Some(Waiting::Answer(_)) | None => None,
        }
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        if let Phase::Publishing(publication) = &self.phase {
            let attempt = publication.checkpoint.attempt;
            Violation::unless(attempt == self.attempt, MACHINE, "PUB-4", || {
                format!("attempt {} publishes a checkpoint of attempt {attempt}", self.attempt)
            })?;
        }
        let issued = match self.waiting() {
            Some(Waiting::Answer(ticket)) => ticket < self.next_ticket,
            _ => true,
        };
        Violation::unless(issued, MACHINE, "PUB-10", || {
            "an answer is awaited that was never asked for".into()
        })
    }

    fn waiting(&self) -> Option<Waiting> {
        match &self.phase {
            Phase::Recovering(recovery) => Some(recovery.waiting),
            Phase::Publishing(publication) => Some(publication.waiting),
            Phase::Retiring(ticket) => Some(Waiting::Answer(*ticket)),
            Phase::Idle | Phase::Ready | Phase::Fenced => None,
        }
    }

    fn perform(&mut self, operation: Operation, out: &mut Vec<Output>) -> Waiting {
        let ticket = self.next_ticket;
        self.next_ticket = Ticket(ticket.0.wrapping_add(1));
        out.push(Output::Perform { ticket, operation });
        Waiting::Answer(ticket)
    }

    fn begin(
        &mut self,
        checkpoint: CompletedCheckpoint,
        older: BTreeSet<CheckpointId>,
        out: &mut Vec<Output>,
    ) -> Result<(), Misuse> {
        match self.phase {
            Phase::Ready => {}
            Phase::Fenced => {
                out.push(Output::Fenced);
                return Ok(());
            }
            _ => {
                return Err(Misuse::new(
                    MACHINE,
                    format!("checkpoint {} cannot be published now", checkpoint.id),
                ));
            }
        }
        //= spec/publish.md#pub-4-an-attempt-publishes-its-own-checkpoints
        //# A publisher MUST publish only checkpoints of its own attempt.
        if checkpoint.attempt != self.attempt {
            let what = format!("attempt {} publishes for attempt {}", self.attempt, checkpoint.attempt);
            return Err(Misuse::new(MACHINE, what));
        }
        let waiting = self.perform(Operation::PutMetadata(checkpoint.clone()), out);
        let step = PublicationStep::Metadata;
        self.phase = Phase::Publishing(Publication { checkpoint, older, step, waiting });
        Ok(())
    }

    fn retire(&mut self, highest: CheckpointId, out: &mut Vec<Output>) -> Result<(), Misuse> {
        match self.phase {
            Phase::Ready => {}
            Phase::Fenced => {
                out.push(Output::Fenced);
                return Ok(());
            }
            _ => return Err(Misuse::new(MACHINE, "the job cannot retire now")),
        }
        //= spec/publish.md#pub-41-a-job-retires-by-a-claim
        //# A job MUST retire by writing a claim that names no checkpoint.
        let last = Pointer {
            kind: PointerKind::Claim,
            attempt: self.attempt.next(),
            incarnation: self.config.incarnation,
            newest: None,
            //= spec/publish.md#pub-44-a-retired-job-keeps-its-ids
            //# The claim that retires a job MUST name the highest checkpoint id that the job has given away.
            older: [highest].into(),
        };
        let ticket = self.next_ticket;
        self.perform(Operation::PutPointer(self.newest.next(), last), out);
        self.phase = Phase::Retiring(ticket);
        Ok(())
    }

    fn answered(&mut self, now: Millis, ticket: Ticket, answer: Answer, out: &mut Vec<Output>) {
        //= spec/publish.md#pub-10-answers-need-their-tickets
        //# An answer MUST be taken in only if it carries the ticket that is awaited.
        if self.waiting() != Some(Waiting::Answer(ticket)) {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Recovering(recovery) => self.recovery_answered(now, recovery, answer, out),
            Phase::Publishing(publication) => self.publication_answered(now, publication, answer, out),
            // One answer is enough: whoever is not sure deletes nothing.
            Phase::Retiring(_) => out.push(Output::RetirementEnded { is_ours: answer == Answer::Stored }),
            other => self.phase = other,
        }
    }

    fn tick(&mut self, now: Millis, out: &mut Vec<Output>) {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        match std::mem::replace(&mut self.phase, Phase::Idle) {
            Phase::Recovering(recovery) => self.enter(recovery, out),
            Phase::Publishing(publication) => self.step(publication, out),
            other => self.phase = other,
        }
    }

    fn publication_pointer(&self, publication: &Publication) -> Pointer {
        Pointer {
            kind: PointerKind::Publication,
            attempt: self.attempt,
            incarnation: self.config.incarnation,
            newest: Some(publication.checkpoint.id),
            older: publication.older.clone(),
        }
    }

    /// Asks the storage for what the publication's step needs.
    fn step(&mut self, mut publication: Publication, out: &mut Vec<Output>) {
        let operation = match publication.step {
            PublicationStep::Metadata => Operation::PutMetadata(publication.checkpoint.clone()),
            PublicationStep::Pointer { .. } => {
                Operation::PutPointer(self.newest.next(), self.publication_pointer(&publication))
            }
            PublicationStep::Confirm { .. } => Operation::ReadPointer(self.newest.next()),
        };
        publication.waiting = self.perform(operation, out);
        self.phase = Phase::Publishing(publication);
    }

    fn publication_answered(
        &mut self,
        now: Millis,
        mut publication: Publication,
        answer: Answer,
        out: &mut Vec<Output>,
    ) {
        use PublicationStep::{Confirm, Metadata, Pointer};
        let id = publication.checkpoint.id;
        match (publication.step, answer) {
            //= spec/publish.md#pub-2-metadata-comes-before-the-pointer
            //# A pointer to a checkpoint MUST NOT be written before the metadata is durable.
            //= spec/publish.md#pub-3-nothing-is-missing
            //# Everything that the newest published checkpoint refers to MUST exist.
            //= spec/publish.md#pub-40-a-savepoint-has-no-pointer
            //# A savepoint MUST be published without a pointer.
            (Metadata, Answer::Stored) if publication.checkpoint.kind.is_savepoint() => {
                self.phase = Phase::Ready;
                out.push(Output::Published(id));
            }
            (Metadata, Answer::Stored) => {
                publication.step = Pointer { uncertain: false };
                self.step(publication, out);
            }
            //= spec/publish.md#pub-8-a-failed-publication-is-certain
            //# A publication MUST be reported as failed only if its pointer was certainly not written.
            (Metadata, answer) | (Pointer { uncertain: false }, answer @ Answer::Failed) => {
                //= spec/publish.md#pub-18-a-taken-id-is-no-fault-of-the-storage
                //# A publication that finds metadata under its id MUST be reported as failed for a taken id.
                let cause = match answer {
                    Answer::Exists => PublicationFailure::IdTaken,
                    _ => PublicationFailure::StorageFailed,
                };
                self.phase = Phase::Ready;
                out.push(Output::PublicationFailed { checkpoint: id, cause });
            }
            (Pointer { .. }, Answer::Stored) => self.published(id, out),
            (Pointer { uncertain }, Answer::Exists) => {
                publication.step = Confirm { uncertain };
                self.step(publication, out);
            }
            //= spec/publish.md#pub-7-only-the-pointer-tells-what-happened-to-it
            //# The uncertain put of a pointer MUST be settled by reading that pointer back.
            (Pointer { .. }, _) => {
                publication.step = Confirm { uncertain: true };
                publication.waiting = Waiting::Until(now + self.config.retry_pause);
                self.phase = Phase::Publishing(publication);
            }
            //= spec/publish.md#pub-6-a-foreign-pointer-fences
            //# A publisher that finds another pointer under its next number MUST stop as fenced.
            (Confirm { .. }, Answer::Pointer(Some(found))) => {
                if found == self.publication_pointer(&publication) {
                    self.published(id, out);
                } else {
                    self.phase = Phase::Fenced;
                    out.push(Output::Fenced);
                }
            }
            (Confirm { .. }, Answer::Corrupt) => {
                self.phase = Phase::Fenced;
                out.push(Output::Fenced);
            }
            // Either the put was lost, or the read is behind and the next put will say so again: not at once.
            (Confirm { uncertain }, Answer::Pointer(None)) => {
                publication.step = Pointer { uncertain };
                publication.waiting = Waiting::Until(now + self.config.retry_pause);
                self.phase = Phase::Publishing(publication);
            }
            (Confirm { .. }, _) => {
                publication.waiting = Waiting::Until(now + self.config.retry_pause);
                self.phase = Phase::Publishing(publication);
            }
        }
    }

    fn published(&mut self, id: CheckpointId, out: &mut Vec<Output>) {
        let segment = self.newest.segment(self.config.segment);
        self.newest = self.newest.next();
        self.phase = Phase::Ready;
        out.push(Output::Published(id));
        //= spec/publish.md#pub-11-pointers-go-with-their-segment
        //# A pointer MUST be deleted only if it is a publication, begins no segment, and two pointers follow
        //# that belong to later segments.
        let needed = self.superfluous.split_off(&segment);
        out.extend(std::mem::replace(&mut self.superfluous, needed).into_iter().map(Output::DeletePointer));
        if !self.newest.begins_segment(self.config.segment) {
            self.superfluous.insert(self.newest);
        }
    }

    /// Asks the storage for what the recovery's step needs.
    fn enter(&mut self, mut recovery: Recovery, out: &mut Vec<Output>) {
        recovery.waiting = self.perform(recovery.operation(), out);
        self.phase = Phase::Recovering(recovery);
    }

    fn recovery_answered(
        &mut self,
        now: Millis,
        mut recovery: Recovery,
        answer: Answer,
        out: &mut Vec<Output>,
    ) {
        match recovery.advance(answer, out) {
            recover::Next::Step(step) => {
                recovery.step = step;
                self.enter(recovery, out);
            }
            recover::Next::Retry(step) => {
                recovery.step = step;
                recovery.retries += 1;
                //= spec/publish.md#pub-16-a-recovery-has-patience-but-not-for-ever
                //# A recovery MUST fail as unavailable instead of repeating more steps than configured.
                if recovery.retries > self.config.recovery_retries {
                    out.push(Output::RecoveryFailed(RecoveryFailure::StorageUnavailable));
                    return;
                }
                recovery.waiting = Waiting::Until(now + self.config.retry_pause);
                self.phase = Phase::Recovering(recovery);
            }
            //= spec/publish.md#pub-15-a-recovery-claims-before-it-answers
            //# A recovery MUST claim its attempt durably before it reports what it has found.
            recover::Next::Claimed => {
                self.attempt = recovery.attempt;
                self.newest = recovery.claimed_at();
                self.superfluous = recovery.superfluous();
                self.phase = Phase::Ready;
                out.push(Output::Recovered(recovery.into_recovered()));
            }
            recover::Next::Failed(failure) => out.push(Output::RecoveryFailed(failure)),
        }
    }
}

#[cfg(test)]
mod tests;
