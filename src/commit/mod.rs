//! A participant of two-phase commit: output becomes visible exactly when the checkpoint that covers it completes.
//!
//! Records go into an open transaction. At a barrier the transaction is pre-committed: closed, remembered in the
//! snapshot and, in its asynchronous part, made durable, still invisible. When that checkpoint, or a later one,
//! completes, it is committed.
//! After a failure the snapshot says which transactions were pre-committed: they are committed, all
//! others are rolled back.
//!
//! # How to drive it
//!
//! 1. Make a [`Committer`] from the transactions of the restored snapshot, and report [`Input::Started`] with every
//!    transaction of the subtask that is found outside and not committed, before any record is written.
//! 2. When there is a record and no [open](Committer::open) transaction, report [`Input::TransactionNeeded`]; write the
//!    record into the transaction that is open then.
//! 3. In the synchronous part of a snapshot report [`Input::SnapshotBegan`], carry out the outputs, and then put
//!    [`Committer::snapshot`] into the snapshot: in this order, or the newest transaction is missing in it.
//! 4. Carry out [`Output::MakeDurable`] in the asynchronous part, and report its end as [`Input::BecameDurable`] or
//!    [`Input::DurabilityFailed`] *before* the end of the upload: a checkpoint that is acknowledged may complete at once.
//! 5. When the subtask is told of a completed checkpoint, report [`Input::CheckpointCompleted`]. An aborted one is no
//!    business of the committer: its transactions wait for the next checkpoint that completes.
//! 6. Carry out [`Output::Commit`] and [`Output::RollBack`] so that doing them again changes nothing, and report each
//!    commit as [`Input::Committed`].
//! 7. On [`Output::Fail`] fail the attempt: going on would lose the records.
//!
//! Specification: `spec/commit.md`. Flink: `TwoPhaseCommitSinkFunction`.

use crate::base::{Attempt, CheckpointId, Millis, Misuse, SubtaskId, Violation};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

const MACHINE: &str = "commit";

/// Names a transaction, uniquely over all attempts of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TransactionId {
    /// The subtask that opened it.
    pub subtask: SubtaskId,
    /// The attempt in which it was opened.
    pub attempt: Attempt,
    /// Its number within that attempt, from 0.
    pub sequence: u32,
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.subtask.index, self.attempt, self.sequence)
    }
}

/// What happened to the participant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The attempt starts; these unfinished transactions of this subtask were found outside.
    Started {
        /// Every transaction that exists outside and is not committed.
        found: BTreeSet<TransactionId>,
    },
    /// A record is to be written and no transaction is open.
    TransactionNeeded,
    /// The synchronous part of a snapshot has begun.
    SnapshotBegan {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// [`Output::MakeDurable`] of this checkpoint has been carried out.
    BecameDurable {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// A transaction could not be closed, or [`Output::MakeDurable`] of this checkpoint has failed.
    DurabilityFailed {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// A checkpoint is complete and durable.
    CheckpointCompleted {
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// [`Output::Commit`] has been carried out.
    Committed(TransactionId),
}

/// What the participant must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Output {
    /// Open a transaction for the records that follow.
    Begin(TransactionId),
    /// Close the transaction: nothing more is written to it.
    PreCommit(TransactionId),
    /// Make these transactions durable but not visible; only then may the snapshot be acknowledged. One that is
    /// durable already stays as it is. Report the end.
    MakeDurable {
        /// The checkpoint whose snapshot holds them.
        checkpoint: CheckpointId,
        /// The transactions, in the order in which they were opened.
        transactions: Vec<TransactionId>,
    },
    /// Fail the attempt: records are in no transaction that can ever be committed.
    Fail,
    /// Make it visible; doing so again changes nothing. Report when it is done.
    Commit(TransactionId),
    /// Remove it; nobody refers to it.
    RollBack(TransactionId),
}

/// The transactions of one sink subtask in one attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Committer {
    subtask: SubtaskId,
    attempt: Attempt,
    started: bool,
    next_sequence: u32,
    open: Option<TransactionId>,
    /// Pre-committed and waiting for the checkpoint (or a later one) that covers them.
    prepared: BTreeMap<TransactionId, Option<CheckpointId>>,
    /// Everything pre-committed for this checkpoint and older ones is durable.
    durable_up_to: Option<CheckpointId>,
    /// Asked to be committed, not yet reported as done.
    committing: BTreeSet<TransactionId>,
}

impl Committer {
    /// The participant of `subtask`, with the transactions of the snapshot that it is restored from.
    #[must_use]
    pub fn new(subtask: SubtaskId, attempt: Attempt, restored: BTreeSet<TransactionId>) -> Self {
        Committer {
            subtask,
            attempt,
            started: false,
            next_sequence: 0,
            open: None,
            prepared: restored.into_iter().map(|transaction| (transaction, None)).collect(),
            durable_up_to: None,
            committing: BTreeSet::new(),
        }
    }

    /// The transaction that records go to. Asked once per buffer, so it is cheap.
    #[must_use]
    pub fn open(&self) -> Option<TransactionId> {
        self.open
    }

    /// What a snapshot must hold: every transaction that is pre-committed and not known to be committed.
    #[must_use]
    pub fn snapshot(&self) -> BTreeSet<TransactionId> {
        //= spec/commit.md#commit-6-the-snapshot-knows-what-is-pre-committed
        //# A snapshot MUST hold every transaction that is pre-committed and not known to be committed.
        self.prepared.keys().chain(&self.committing).copied().collect()
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when the participant was not started, was started twice, has an open transaction
    /// already, never asked for the commit that is reported, or is told of the completion of a checkpoint
    /// whose transactions are not durable; nothing has changed.
    pub fn on(&mut self, _now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
        if self.started == matches!(input, Input::Started { .. }) {
            return Err(Misuse::new(MACHINE, format!("{input:?} while started is {}", self.started)));
        }
        match input {
            Input::Started { found } => self.start(found, out),
            Input::TransactionNeeded => self.begin(out)?,
            Input::SnapshotBegan { checkpoint } => self.pre_commit(checkpoint, out),
            Input::BecameDurable { checkpoint } => {
                self.durable_up_to = self.durable_up_to.max(Some(checkpoint));
            }
            //= spec/commit.md#commit-11-a-transaction-that-cannot-become-durable-fails-the-attempt
            //# A transaction that cannot be made durable MUST fail the attempt.
            Input::DurabilityFailed { .. } => out.push(Output::Fail),
            //= spec/output.md#out-1-committed-output-is-a-prefix
            //# Committed output MUST always be a prefix of the output without any failure.
            Input::CheckpointCompleted { checkpoint } => self.commit_up_to(checkpoint, out)?,
            Input::Committed(transaction) => {
                if !self.committing.remove(&transaction) {
                    return Err(Misuse::new(
                        MACHINE,
                        format!("the commit of {transaction} was never asked for"),
                    ));
                }
            }
        }
        Ok(())
    }

    /// When time alone can change something: never.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        None
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let open_elsewhere =
            self.open.filter(|open| self.prepared.contains_key(open) || self.committing.contains(open));
        Violation::unless(open_elsewhere.is_none(), MACHINE, "COMMIT-1", || {
            format!("{open_elsewhere:?} is open and pre-committed at once")
        })?;
        let twice = self.committing.iter().find(|transaction| self.prepared.contains_key(transaction));
        Violation::unless(twice.is_none(), MACHINE, "COMMIT-2", || {
            format!("{twice:?} is being committed and still waits for a checkpoint")
        })
    }

    fn start(&mut self, found: BTreeSet<TransactionId>, out: &mut Vec<Output>) {
        self.started = true;
        let restored = std::mem::take(&mut self.prepared);
        //= spec/commit.md#commit-8-all-others-are-rolled-back
        //# A participant that starts MUST roll back every unfinished transaction not in its snapshot.
        out.extend(found.into_iter().filter(|t| !restored.contains_key(t)).map(Output::RollBack));
        //= spec/commit.md#commit-7-restored-transactions-are-committed
        //# A participant that starts MUST commit every transaction of its restored snapshot.
        //= spec/output.md#out-2-committed-output-is-complete-at-the-end
        //# When nothing more can happen, all of the output without any failure MUST be committed.
        for transaction in restored.into_keys() {
            self.commit(transaction, out);
        }
    }

    fn begin(&mut self, out: &mut Vec<Output>) -> Result<(), Misuse> {
        if let Some(open) = self.open {
            return Err(Misuse::new(MACHINE, format!("{open} is open already")));
        }
        let transaction =
            //= spec/commit.md#commit-9-names-are-unique
            //# The name of a transaction MUST differ from all others of its subtask over all attempts.
            TransactionId { subtask: self.subtask, attempt: self.attempt, sequence: self.next_sequence };
        self.next_sequence += 1;
        self.open = Some(transaction);
        out.push(Output::Begin(transaction));
        Ok(())
    }

    fn pre_commit(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        //= spec/commit.md#commit-1-open-or-pre-committed
        //# A transaction MUST NOT be open and pre-committed at once.
        //= spec/commit.md#commit-3-the-barrier-closes-the-transaction
        //# The beginning of a snapshot MUST pre-commit the open transaction.
        if let Some(transaction) = self.open.take() {
            self.prepared.insert(transaction, Some(checkpoint));
            out.push(Output::PreCommit(transaction));
        }
        //= spec/commit.md#commit-10-a-snapshot-waits-for-its-transactions
        //# A snapshot MUST NOT be acknowledged before every transaction that it holds is durable.
        let transactions: Vec<TransactionId> = self.undurable().collect();
        if !transactions.is_empty() {
            out.push(Output::MakeDurable { checkpoint, transactions });
        }
    }

    /// What was pre-committed and is not known to be durable, by earlier checkpoints too.
    fn undurable(&self) -> impl Iterator<Item = TransactionId> + '_ {
        let undurable = |by: Option<CheckpointId>| by.is_some() && by > self.durable_up_to;
        self.prepared.iter().filter(move |(_, by)| undurable(**by)).map(|(transaction, _)| *transaction)
    }

    fn commit_up_to(&mut self, checkpoint: CheckpointId, out: &mut Vec<Output>) -> Result<(), Misuse> {
        let covered: Vec<TransactionId> = self
            .prepared
            .iter()
            //= spec/commit.md#commit-4-commit-follows-completion
            //# A transaction MUST be committed only after a checkpoint that covers it is complete.
            //= spec/commit.md#commit-5-completion-covers-older-checkpoints
            //# The completion of a checkpoint MUST commit all that was pre-committed for it or for older
            //# ones.
            .filter(|(_, by)| by.is_none_or(|by| by <= checkpoint))
            .map(|(transaction, _)| *transaction)
            .collect();
        if let Some(early) = self.undurable().find(|transaction| covered.contains(transaction)) {
            let what = format!("checkpoint {checkpoint} is complete, but {early} is not durable");
            return Err(Misuse::new(MACHINE, what));
        }
        for transaction in covered {
            //= spec/commit.md#commit-2-a-transaction-is-committed-or-waits
            //# A transaction that is being committed MUST NOT wait for a checkpoint.
            self.prepared.remove(&transaction);
            self.commit(transaction, out);
        }
        Ok(())
    }

    fn commit(&mut self, transaction: TransactionId, out: &mut Vec<Output>) {
        self.committing.insert(transaction);
        out.push(Output::Commit(transaction));
    }
}

#[cfg(test)]
mod tests;
