//! When the next checkpoint is triggered, and of which kind it is.

use super::requests::Queued;
use super::{Config, Coordinator, Output, Phase, pending::Pending, requests::StopMode};
use crate::base::{CheckpointKind, Millis, SavepointFormat, SubtaskId};
use serde::Serialize;
use std::collections::BTreeSet;

/// When periodic checkpoints are due.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Schedule {
    /// The next time; `None` while there is none.
    due: Option<Millis>,
    switched_off: bool,
    /// The sources that process a backlog.
    backlog: BTreeSet<SubtaskId>,
}

impl Schedule {
    /// The next time, whether or not there is room then.
    fn due(&self) -> Option<Millis> {
        self.due.filter(|_| !self.switched_off)
    }

    /// The interval that counts now; `None` while there are no periodic checkpoints.
    fn interval(&self, config: &Config) -> Option<Millis> {
        //= spec/coordinator.md#coord-48-a-backlog-has-an-interval-of-its-own
        //# While a source processes a backlog, periodic checkpoints MUST keep the interval during backlog instead.
        match config.interval_during_backlog {
            Some(interval) if !self.backlog.is_empty() => {
                config.interval.and(Some(interval)).filter(|interval| *interval > Millis(0))
            }
            _ => config.interval,
        }
    }

    /// Counts the interval from now.
    pub(super) fn start(&mut self, now: Millis, config: &Config) {
        self.due = self.interval(config).map(|interval| now + interval);
    }

    /// A shorter interval counts from now; a longer one only from the next checkpoint on, as in Flink.
    pub(super) fn backlog_reported(
        &mut self,
        now: Millis,
        source: SubtaskId,
        has_backlog: bool,
        config: &Config,
    ) {
        if has_backlog {
            self.backlog.insert(source);
        } else {
            self.backlog.remove(&source);
        }
        let due = self.interval(config).map(|interval| now + interval);
        self.due = match (self.due, due) {
            (Some(next), Some(due)) => Some(next.min(due)),
            (_, due) => due,
        };
    }

    pub(super) fn forget_backlog(&mut self) {
        self.backlog.clear();
    }

    pub(super) fn switch(&mut self, on: bool, now: Millis, config: &Config) {
        //= spec/coordinator.md#coord-37-periodic-checkpoints-can-be-switched-off
        //# A periodic checkpoint MUST NOT be triggered while they are switched off.
        if std::mem::replace(&mut self.switched_off, !on) && on {
            self.start(now, config);
        }
    }

    /// Goes on to the next due time after `now`. A late trigger does not move those that follow, unless the minimum
    /// pause was the reason: then the interval counts from its end.
    fn triggered(&mut self, now: Millis, end_of_pause: Millis, config: &Config) {
        let (Some(due), Some(interval)) = (self.due, self.interval(config)) else { return };
        let due = if config.min_pause > Millis(0) { due.max(end_of_pause) } else { due };
        let passed = now.since(due).0 / interval.0;
        //= spec/coordinator.md#coord-29-the-interval-is-kept
        //# A periodic checkpoint MUST be triggered when the interval since the last one was due is over and there
        //# is room.
        self.due = Some(due + Millis(interval.0.saturating_mul(passed + 1)));
    }
}

/// What asks for the next checkpoint.
#[derive(Clone, Copy)]
enum Cause {
    /// The end of all data, or of the job.
    End,
    Request(Queued),
    Clock,
}

/// The next checkpoint, were nothing else to happen.
#[derive(Clone, Copy)]
struct Next {
    due: Millis,
    cause: Cause,
    kind: CheckpointKind,
}

impl Coordinator {
    /// When the next checkpoint is due, and of which kind; `None` while there is no room for one.
    #[must_use]
    pub fn next_trigger(&self) -> Option<(Millis, CheckpointKind)> {
        self.next().map(|next| (next.due, next.kind))
    }

    /// Triggers everything that is due.
    pub(super) fn trigger_due(&mut self, now: Millis, out: &mut Vec<Output>) {
        while let Some(next) = self.next().filter(|next| next.due <= now) {
            self.trigger(now, next, out);
        }
    }

    fn next(&self) -> Option<Next> {
        //= spec/coordinator.md#coord-5-checkpoints-need-running-tasks
        //# A checkpoint MUST be triggered only while every task of the attempt runs.
        //= spec/coordinator.md#coord-21-nothing-follows-a-terminal-checkpoint
        //# The coordinator MUST NOT trigger a checkpoint after a terminal one was published.
        if self.phase != Phase::Running || self.terminal.is_some() {
            return None;
        }
        //= spec/coordinator.md#coord-44-cleaning-up-keeps-pace
        //# A checkpoint MUST NOT be triggered while more deletions than the maximum concurrency are under way.
        if self.cleaning.len() > self.config.max_concurrent {
            return None;
        }
        let under_way = self.pending.len() + self.publishing.len();
        if let Some(kind) = self.terminal_kind() {
            //= spec/coordinator.md#coord-18-a-terminal-checkpoint-is-taken-alone
            //# A terminal checkpoint MUST be triggered only when no other checkpoint is under way.
            let alone = under_way == 0;
            return alone.then_some(Next { due: self.earliest_terminal, cause: Cause::End, kind });
        }
        //= spec/coordinator.md#coord-38-a-stop-holds-everything-else-back
        //# Once a stop was requested, a checkpoint that is not terminal MUST NOT be triggered.
        if self.stop.is_some() {
            return None;
        }
        //= spec/coordinator.md#coord-3-concurrency-is-bounded
        //# A checkpoint that is not forced MUST NOT be triggered while the configured maximum is under way.
        let room = under_way < self.config.max_concurrent;
        //= spec/coordinator.md#coord-67-a-savepoint-that-cancels-holds-checkpoints-back
        //# Until a savepoint has ended after which the job is to be cancelled, a checkpoint that is neither a savepoint nor
        //# terminal MUST NOT be triggered.
        let only_savepoints = self.awaits_savepoint_to_cancel();
        match self.queue.first() {
            Some(queued) if only_savepoints && !queued.kind.is_savepoint() => None,
            Some(queued) if room || self.is_forced(queued.kind) => {
                let cause = Cause::Request(queued);
                Some(Next { due: Millis(0), cause, kind: self.ordinary_kind(queued.kind) })
            }
            //= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
            //# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
            None if room && !only_savepoints => self.schedule.due().map(|due| Next {
                due: due.max(self.end_of_pause),
                cause: Cause::Clock,
                kind: self.ordinary_kind(CheckpointKind::Periodic),
            }),
            _ => None,
        }
    }

    /// Whether this is a source that has not reached its end.
    pub(super) fn may_have_backlog(&self, subtask: SubtaskId) -> bool {
        self.config.sources.contains(&subtask) && !self.exhausted_sources.contains(&subtask)
    }

    /// Whether a checkpoint of this kind needs no room.
    pub(super) fn is_forced(&self, kind: CheckpointKind) -> bool {
        //= spec/coordinator.md#coord-66-savepoints-wait-where-barriers-overtake
        //# A savepoint MUST NOT be forced in a job whose checkpoints may be unaligned.
        kind.is_savepoint() && self.config.force_savepoints && self.config.unaligned.is_none()
    }

    /// The kind of the checkpoint that ends the job, once one is wanted.
    pub(super) fn terminal_kind(&self) -> Option<CheckpointKind> {
        //= spec/coordinator.md#coord-19-the-end-of-all-data-asks-for-a-final-checkpoint
        //# Once all sources have reported the end of their data the next checkpoint MUST be a final one unless a
        //# drain made them.
        //= spec/coordinator.md#coord-20-a-stop-asks-for-a-stop-checkpoint
        //# Once a stop that suspends was requested the next checkpoint MUST be a stop checkpoint unless all data
        //# has ended.
        let all_data_ended = self.exhausted_sources.len() == self.config.sources.len();
        match (self.stop.as_ref().map(|stop| stop.mode), all_data_ended) {
            (Some(StopMode::Drain), true) | (Some(StopMode::Suspend), false) => Some(CheckpointKind::Stop),
            (Some(StopMode::Suspend) | None, true) => Some(CheckpointKind::Final),
            (Some(StopMode::Drain) | None, false) => None,
        }
    }

    fn trigger(&mut self, now: Millis, next: Next, out: &mut Vec<Output>) {
        let (checkpoint, kind) = (self.next_checkpoint, next.kind);
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        self.next_checkpoint = checkpoint.next();
        let (request, cancels, format) = match next.cause {
            Cause::Request(queued) => {
                self.queue.take_first();
                (Some(queued.request), queued.cancels, queued.format)
            }
            Cause::Clock => {
                self.schedule.triggered(now, self.end_of_pause, &self.config);
                (None, false, SavepointFormat::default())
            }
            Cause::End => {
                // Nothing else is due before the pause of a repetition would be over.
                self.schedule.start(now, &self.config);
                (None, false, self.stop.as_ref().map(|stop| stop.format).unwrap_or_default())
            }
        };
        let (expires, finished) = (now + self.config.timeout, self.finished_tasks.clone());
        let mut pending = Pending::new(kind, request, expires, finished);
        pending.cancels = cancels;
        self.pending.insert(checkpoint, pending);
        if let Some(request) = request.filter(|_| kind.is_savepoint()) {
            //= spec/coordinator.md#coord-70-the-place-of-a-savepoint-is-said-first
            //# For which request a savepoint is taken MUST be said before any task is told to begin it.
            out.push(Output::PlaceSavepoint { savepoint: checkpoint, attempt: self.attempt, request });
        }
        let options = self.config.options(now, kind).in_format(format);
        for subtask in self.tasks_to_trigger() {
            out.push(Output::Trigger { subtask, attempt: self.attempt, checkpoint, options });
        }
    }
}
