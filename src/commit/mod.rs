//! A participant of two-phase commit: output becomes visible exactly when the checkpoint that covers it completes.
//!
//! Records go into an open transaction. At a barrier the transaction is pre-committed: closed, remembered in the
//! snapshot and, in its asynchronous part, made durable, still invisible. When that checkpoint, or a later one,
//! completes, it is committed. A commit that fails, or of which nobody knows what became, is repeated after a pause.
//! After a failure the snapshots say which transactions were pre-committed: they are committed, all
//! others are rolled back, each by one participant, however many there are now.
//!
//! The driver begins with [`Input::Started`], asks for a transaction when a record comes and none is
//! [open](Committer::open), takes [what the snapshot holds](Committer::snapshot) right after [`Input::SnapshotBegan`], and
//! acknowledges when [`Output::MakeDurable`], if there was one, has been carried out. It answers each
//! [`Output::Commit`] once, and serves [`Input::Tick`] at the [deadline](Committer::deadline).
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

impl TransactionId {
    /// What tells it from others of its sink, whose number among the operators may have been another one then.
    fn name(&self) -> (u16, Attempt, u32) {
        (self.subtask.index, self.attempt, self.sequence)
    }
}

impl fmt::Display for TransactionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.subtask.index, self.attempt, self.sequence)
    }
}

/// What happened to the participant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Input {
    /// The attempt starts; these unfinished transactions were found outside.
    Started {
        /// Transactions that exist outside and are not committed: all that fall to this participant, and maybe others.
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
    /// [`Output::Commit`] has failed, or nobody knows what became of it.
    CommitUncertain(TransactionId),
    /// Time has passed.
    Tick,
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
    /// Make it visible; doing so again changes nothing. Report what became of it.
    Commit(TransactionId),
    /// Remove it; nobody refers to it.
    RollBack(TransactionId),
}

/// Which participant this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Config {
    /// The sink's subtask; its index is below the parallelism.
    pub subtask: SubtaskId,
    /// How many subtasks the sink has in this attempt.
    pub parallelism: u16,
    /// The attempt.
    pub attempt: Attempt,
    /// How long a commit waits that did not certainly succeed, before it is repeated.
    pub retry_pause: Millis,
}

impl Config {
    //= spec/commit.md#commit-13-each-transaction-falls-to-one-participant
    //# A participant MUST take care of exactly the transactions whose subtask index is its own, modulo the
    //# parallelism.
    fn cares_for(&self, transaction: &TransactionId) -> bool {
        transaction.subtask.index % self.parallelism == self.subtask.index
    }
}

/// The transactions of one sink subtask in one attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Committer {
    config: Config,
    started: bool,
    next_sequence: u32,
    open: Option<TransactionId>,
    /// Pre-committed and waiting for the checkpoint (or a later one) that covers them.
    prepared: BTreeMap<TransactionId, Option<CheckpointId>>,
    /// Everything pre-committed for this checkpoint and older ones is durable.
    durable_up_to: Option<CheckpointId>,
    /// To be committed and not reported as done: under way, or to be repeated at this time.
    committing: BTreeMap<TransactionId, Option<Millis>>,
}

impl Committer {
    /// A participant, with the transactions of the snapshots that its sink is restored from. Those that fall to other
    /// participants may be among them.
    ///
    /// # Panics
    /// The index of the subtask is not below the parallelism.
    #[must_use]
    pub fn new(config: Config, restored: BTreeSet<TransactionId>) -> Self {
        assert!(config.subtask.index < config.parallelism, "{config:?} is no participant");
        Committer {
            config,
            started: false,
            next_sequence: 0,
            open: None,
            prepared: restored.into_iter().map(|transaction| (transaction, None)).collect(),
            durable_up_to: None,
            committing: BTreeMap::new(),
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
        self.prepared.keys().chain(self.committing.keys()).copied().collect()
    }

    /// Takes in what happened and appends what must be done, in order.
    ///
    /// # Errors
    /// [`Misuse`] when the participant was not started, was started twice, has an open transaction
    /// already, has no commit under way that could be reported, or is told of the completion of a checkpoint
    /// whose transactions are not durable; nothing has changed.
    pub fn on(&mut self, now: Millis, input: Input, out: &mut Vec<Output>) -> Result<(), Misuse> {
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
                self.under_way(transaction)?;
                self.committing.remove(&transaction);
            }
            //= spec/commit.md#commit-12-an-uncertain-commit-is-repeated
            //# A commit that did not certainly succeed MUST be repeated after the pause until it does.
            Input::CommitUncertain(transaction) => {
                *self.under_way(transaction)? = Some(now + self.config.retry_pause);
            }
            Input::Tick => self.repeat(now, out),
        }
        Ok(())
    }

    /// When a tick changes something next: when a commit is to be repeated.
    #[must_use]
    pub fn deadline(&self) -> Option<Millis> {
        self.committing.values().copied().flatten().min()
    }

    /// Its invariants.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn check(&self) -> Result<(), Violation> {
        let open_elsewhere =
            self.open.filter(|open| self.prepared.contains_key(open) || self.committing.contains_key(open));
        Violation::unless(open_elsewhere.is_none(), MACHINE, "COMMIT-1", || {
            format!("{open_elsewhere:?} is open and pre-committed at once")
        })?;
        let twice = self.committing.keys().find(|transaction| self.prepared.contains_key(transaction));
        Violation::unless(twice.is_none(), MACHINE, "COMMIT-2", || {
            format!("{twice:?} is being committed and still waits for a checkpoint")
        })
    }

    fn start(&mut self, found: BTreeSet<TransactionId>, out: &mut Vec<Output>) {
        self.started = true;
        let restored = std::mem::take(&mut self.prepared);
        //= spec/commit.md#commit-8-all-others-are-rolled-back
        //# A participant that starts MUST roll back every unfinished transaction of earlier attempts that falls to it
        //# and was not restored.
        //= spec/commit.md#commit-14-only-earlier-attempts-are-rolled-back
        //# A participant MUST NOT roll back a transaction of its own attempt or of a later one.
        let restored_names: BTreeSet<_> = restored.keys().map(TransactionId::name).collect();
        let is_left_over = |transaction: &TransactionId| {
            transaction.attempt < self.config.attempt
                && self.config.cares_for(transaction)
                && !restored_names.contains(&transaction.name())
        };
        out.extend(found.into_iter().filter(is_left_over).map(Output::RollBack));
        //= spec/commit.md#commit-7-restored-transactions-are-committed
        //# A participant that starts MUST commit every restored transaction that falls to it.
        //= spec/output.md#out-2-committed-output-is-complete-at-the-end
        //# When nothing more can happen, all of the output without any failure MUST be committed.
        let config = self.config;
        for transaction in restored.into_keys().filter(|transaction| config.cares_for(transaction)) {
            self.commit(transaction, out);
        }
    }

    fn begin(&mut self, out: &mut Vec<Output>) -> Result<(), Misuse> {
        if let Some(open) = self.open {
            return Err(Misuse::new(MACHINE, format!("{open} is open already")));
        }
        //= spec/commit.md#commit-9-names-are-unique
        //# The name of a transaction MUST differ from all others of its subtask over all attempts.
        let Config { subtask, attempt, .. } = self.config;
        let transaction = TransactionId { subtask, attempt, sequence: self.next_sequence };
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
        self.committing.insert(transaction, None);
        out.push(Output::Commit(transaction));
    }

    /// The commit that a report is about.
    fn under_way(&mut self, transaction: TransactionId) -> Result<&mut Option<Millis>, Misuse> {
        let found = self.committing.get_mut(&transaction).filter(|repeat_at| repeat_at.is_none());
        found.ok_or_else(|| Misuse::new(MACHINE, format!("no commit of {transaction} is under way")))
    }

    fn repeat(&mut self, now: Millis, out: &mut Vec<Output>) {
        for (transaction, repeat_at) in &mut self.committing {
            if repeat_at.is_some_and(|time| time <= now) {
                *repeat_at = None;
                out.push(Output::Commit(*transaction));
            }
        }
    }
}

#[cfg(test)]
mod tests;
