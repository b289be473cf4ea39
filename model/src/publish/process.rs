//! A coordinator: a publisher, and a driver that only asks.

use super::scope::config;
use serde::Serialize;
use snapline::base::{Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, Incarnation, Millis};
use snapline::publish::{
    Input, OnCorruption, Operation, Output, Publisher, Recovered, RecoveryFailure, Ticket,
};
use std::collections::{BTreeMap, BTreeSet};

/// Published checkpoints that are kept.
const RETAINED: usize = 2;

/// How far a coordinator has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum Life {
    /// Nobody has started it.
    Absent,
    /// It runs.
    Running,
    /// Another one has taken over.
    Fenced,
    /// It could not start.
    Failed(RecoveryFailure),
}

/// One coordinator, or the process that has replaced it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Process {
    /// The machine.
    pub publisher: Publisher,
    /// The operation that it waits for.
    pub asked: Option<(Ticket, Operation)>,
    /// Whether it goes on.
    pub life: Life,
    /// The attempt that it has begun.
    pub attempt: Option<Attempt>,
    /// Which of all processes it is.
    pub incarnation: Incarnation,
    next: CheckpointId,
    /// The newest published checkpoints that it knows of, oldest first.
    published: Vec<CheckpointId>,
}

impl Process {
    /// A process that has not started.
    pub fn absent(on_corruption: OnCorruption) -> Self {
        Process {
            publisher: Publisher::new(config(0, on_corruption)),
            asked: None,
            life: Life::Absent,
            attempt: None,
            incarnation: Incarnation(0),
            next: CheckpointId::FIRST,
            published: Vec::new(),
        }
    }

    /// A process that has just started and is about to recover.
    pub fn started(incarnation: u64, on_corruption: OnCorruption) -> (Self, Vec<Output>) {
        let publisher = Publisher::new(config(incarnation, on_corruption));
        let mut process = Process {
            publisher,
            incarnation: Incarnation(incarnation),
            life: Life::Running,
            ..Process::absent(on_corruption)
        };
        let outputs = process.recover();
        (process, outputs)
    }

    /// Begins an attempt.
    pub fn recover(&mut self) -> Vec<Output> {
        self.attempt = None;
        self.drive(Input::RecoveryRequested)
    }

    /// Publishes the next checkpoint, in the attempt that has begun.
    pub fn publish(&mut self, attempt: Attempt) -> Vec<Output> {
        let (kind, states) = (CheckpointKind::Periodic, BTreeMap::new());
        let checkpoint =
            CompletedCheckpoint { id: self.next, attempt, kind, states, shared: BTreeMap::new() };
        self.next = self.next.next();
        let older: BTreeSet<_> = self.published.iter().rev().take(RETAINED - 1).copied().collect();
        self.drive(Input::PublicationRequested { checkpoint, older })
    }

    /// Gives the machine an input. Time stands still: every pause is over at once.
    pub fn drive(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        self.publisher.on(Millis(0), input, &mut outputs).expect("the driver keeps to the protocol");
        outputs
    }

    /// Whether the next publication can be asked for.
    pub fn is_ready(&self) -> bool {
        self.life == Life::Running && self.attempt.is_some() && !self.publisher.is_busy()
    }

    pub(super) fn begin(&mut self, recovered: &Recovered) {
        self.attempt = Some(recovered.attempt);
        self.next = self.next.max(recovered.next_checkpoint);
        let known = recovered.older.iter().chain(&recovered.newest);
        self.published = known.map(|checkpoint| checkpoint.id).collect();
    }

    pub(super) fn published(&mut self, id: CheckpointId) {
        self.published.push(id);
        let surplus = self.published.len().saturating_sub(RETAINED);
        self.published.drain(..surplus);
    }

    /// Numbers checkpoints as if nothing had been before.
    pub(super) fn forget_ids(&mut self) {
        self.next = CheckpointId::FIRST;
    }
}
