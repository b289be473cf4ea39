//! The life of single checkpoints: trigger, acknowledge, abort, publish.

use super::{AbortReason, Coordinator, Outcome, Output, Phase, pending::Pending};
use crate::base::{Attempt, CheckpointId, CheckpointKind, Millis, Misuse, StateHandle, SubtaskId};
use crate::publish;
use std::collections::BTreeMap;

/// How long after a failed terminal checkpoint the next one is tried, when no interval says otherwise.
const TERMINAL_RETRY: Millis = Millis(1_000);

impl Coordinator {
    /// What the clock does: expires, restarts, triggers.
    pub(super) fn tick(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Misuse> {
        self.publish(now, publish::Input::Tick, out)?;
        let expired: Vec<CheckpointId> =
            self.pending.iter().filter(|(_, pending)| pending.expires <= now).map(|(id, _)| *id).collect();
        //= spec/coordinator.md#coord-7-checkpoints-expire
        //# A checkpoint that is not fully acknowledged when its timeout ends MUST be aborted.
        for checkpoint in expired {
            self.abort(now, checkpoint, AbortReason::Expired, out);
        }
        Ok(())
    }

    /// Does whatever has become possible: publish the next checkpoint, restart, trigger a due checkpoint.
    pub(super) fn advance(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Misuse> {
        if let Some((id, pending)) = self.publishing.first_key_value()
            && !self.publisher().is_busy()
        {
            let checkpoint = pending.clone().complete(*id, self.attempt);
            //= spec/coordinator.md#coord-12-only-the-newest-are-retained
            //# The coordinator MUST retain only the configured number of newest published checkpoints.
            let stay = self.retained.iter().rev().take(self.config.retained - 1);
            let older = stay.map(|checkpoint| checkpoint.id).collect();
            self.publish(now, publish::Input::PublicationRequested { checkpoint, older }, out)?;
        }
        //= spec/coordinator.md#coord-24-a-restart-waits
        //# A restart MUST wait for the tasks to stop, for its delay and for a publication in progress.
        if matches!(self.phase, Phase::Restarting { until } if until <= now) && !self.publisher().is_busy() {
            self.recover(now, out)?;
        }
        if self.trigger_due().is_some_and(|due| due <= now) {
            self.trigger(now, out);
        }
        Ok(())
    }

    /// When the next checkpoint is to be triggered, if there is room for it.
    pub(super) fn trigger_due(&self) -> Option<Millis> {
        let under_way = self.pending.len() + self.publishing.len();
        //= spec/coordinator.md#coord-3-concurrency-is-bounded
        //# The number of checkpoints under way MUST NOT exceed the configured maximum.
        //= spec/coordinator.md#coord-5-checkpoints-need-running-tasks
        //# A checkpoint MUST be triggered only while every task of the attempt runs.
        //= spec/coordinator.md#coord-21-nothing-follows-a-terminal-checkpoint
        //# The coordinator MUST NOT trigger a checkpoint after a terminal one was published.
        if self.phase != Phase::Running || self.terminal.is_some() || under_way >= self.config.max_concurrent
        {
            return None;
        }
        match self.next_kind() {
            //= spec/coordinator.md#coord-6-the-minimum-pause-is-kept
            //# A periodic checkpoint MUST NOT be triggered within the minimum pause after a completion.
            CheckpointKind::Periodic => self.next_trigger.map(|due| due.max(self.earliest_trigger)),
            //= spec/coordinator.md#coord-18-a-terminal-checkpoint-is-taken-alone
            //# A terminal checkpoint MUST be triggered only when no other checkpoint is under way.
            CheckpointKind::Final | CheckpointKind::Stop if under_way == 0 => Some(self.earliest_terminal),
            CheckpointKind::Final | CheckpointKind::Stop => None,
        }
    }

    pub(super) fn next_kind(&self) -> CheckpointKind {
        //= spec/coordinator.md#coord-19-the-end-of-all-data-asks-for-a-final-checkpoint
        //# Once all sources have reported the end of their data the next checkpoint MUST be a final one.
        if self.exhausted_sources.len() == self.config.sources.len() {
            CheckpointKind::Final
        } else if self.stop_requested {
            //= spec/coordinator.md#coord-20-a-stop-asks-for-a-stop-checkpoint
            //# Once a stop was requested the next checkpoint MUST be a stop checkpoint unless all data has
            //# ended.
            CheckpointKind::Stop
        } else {
            CheckpointKind::Periodic
        }
    }

    fn trigger(&mut self, now: Millis, out: &mut Vec<Output>) {
        let (checkpoint, kind) = (self.next_checkpoint, self.next_kind());
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        self.next_checkpoint = checkpoint.next();
        //= spec/coordinator.md#coord-29-the-interval-is-kept
        //# A periodic checkpoint MUST be triggered when the interval since the last trigger is over and
        //# there is room.
        self.next_trigger = self.config.interval.map(|interval| now + interval);
        let expires = now + self.config.timeout;
        self.pending.insert(checkpoint, Pending { kind, expires, acknowledged: BTreeMap::new() });
        let options = self.config.options(now, kind);
        for source in &self.config.sources {
            out.push(Output::Trigger { subtask: *source, attempt: self.attempt, checkpoint, options });
        }
    }

    pub(super) fn acknowledge(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        handle: Option<StateHandle>,
        out: &mut Vec<Output>,
    ) {
        let known = attempt == self.attempt && self.config.subtasks.contains(&subtask);
        match self.pending.get_mut(&checkpoint) {
            Some(pending) if known => {
                pending.acknowledged.entry(subtask).or_insert(handle);
                //= spec/coordinator.md#coord-4-complete-means-acknowledged-by-all
                //# A checkpoint MUST be complete only with the acknowledgement of every subtask in its
                //# attempt.
                if pending.acknowledged.len() == self.config.subtasks.len() {
                    let complete = self.pending.remove(&checkpoint);
                    self.publishing.extend(complete.map(|complete| (checkpoint, complete)));
                }
            }
            //= spec/coordinator.md#coord-15-late-state-is-discarded
            //# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may
            //# refer to it.
            _ => out.extend(
                handle
                    .filter(|handle| self.knows_what_counts() && !self.is_referred_to(handle))
                    .map(|handle| Output::DiscardState(handle.file)),
            ),
        }
    }

    /// Before a recovery has succeeded, and after another attempt took over, any file may still be needed.
    fn knows_what_counts(&self) -> bool {
        //= spec/coordinator.md#coord-26-a-fenced-coordinator-deletes-nothing
        //# A fenced coordinator MUST NOT delete any state.
        let is_attempt = !matches!(self.phase, Phase::Created | Phase::Recovering | Phase::Ended);
        is_attempt && !self.publisher().is_fenced()
    }

    /// Whether a checkpoint that counts, or still may, holds this file.
    fn is_referred_to(&self, handle: &StateHandle) -> bool {
        let under_way = self.pending.values().chain(self.publishing.values());
        let retained = self.retained.iter().flat_map(|checkpoint| checkpoint.states.values().flatten());
        under_way
            .flat_map(Pending::files)
            .chain(retained.map(|kept| kept.file))
            .any(|file| file == handle.file)
    }

    /// Gives a checkpoint up, tells every task, and counts it.
    pub(super) fn abort(
        &mut self,
        now: Millis,
        checkpoint: CheckpointId,
        reason: AbortReason,
        out: &mut Vec<Output>,
    ) {
        let complete = match reason {
            AbortReason::PublicationFailed(_) | AbortReason::Suspended | AbortReason::Subsumed => {
                self.publishing.remove(&checkpoint)
            }
            AbortReason::Declined(..) | AbortReason::Expired => None,
        };
        let Some(pending) = complete.or_else(|| self.pending.remove(&checkpoint)) else { return };
        out.push(Output::Aborted { checkpoint, reason });
        for subtask in &self.config.subtasks {
            //= spec/coordinator.md#coord-17-every-task-is-told-of-an-abort
            //# Every task MUST be told of an aborted checkpoint.
            out.push(Output::NotifyAborted { subtask: *subtask, attempt: self.attempt, checkpoint });
        }
        //= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
        //# The abort of a checkpoint MUST discard the state that was acknowledged for it.
        out.extend(pending.files().map(Output::DiscardState));
        self.found.insert(checkpoint);
        if pending.kind.is_terminal() {
            //= spec/coordinator.md#coord-32-a-failed-terminal-checkpoint-is-tried-again
            //# An aborted terminal checkpoint MUST be followed by another one.
            self.earliest_terminal = now + self.config.interval.unwrap_or(TERMINAL_RETRY);
        }
        if reason.counts_as_failure() {
            self.consecutive_failures += 1;
            //= spec/coordinator.md#coord-10-too-many-failures-in-a-row-stop-the-tasks
            //# More consecutive failures than tolerated MUST stop all tasks.
            if self.consecutive_failures > self.config.tolerable_failures {
                self.fail(now, Outcome::TooManyCheckpointFailures, out);
            }
        }
    }

    /// Gives everything up because the tasks are going away, except what is being published: that may
    /// have become visible already.
    pub(super) fn suspend(&mut self, now: Millis, out: &mut Vec<Output>) {
        //= spec/coordinator.md#coord-25-stopping-the-tasks-aborts-what-is-under-way
        //# When tasks are stopped, every checkpoint under way MUST be aborted except one in publication.
        let in_publication = self.publisher().publishing();
        let waiting = self.publishing.keys().copied().filter(|id| Some(*id) != in_publication);
        for checkpoint in waiting.chain(self.pending.keys().copied()).collect::<Vec<_>>() {
            self.abort(now, checkpoint, AbortReason::Suspended, out);
        }
    }

    pub(super) fn published(&mut self, now: Millis, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        let Some(complete) = self.publishing.remove(&checkpoint) else { return };
        let complete = complete.complete(checkpoint, self.attempt);
        out.push(Output::Completed(complete.clone()));
        //= spec/coordinator.md#coord-11-a-success-resets-the-count
        //# A published checkpoint MUST reset the count of consecutive failures.
        self.consecutive_failures = 0;
        self.earliest_trigger = now + self.config.min_pause;
        if complete.kind.is_terminal() {
            self.terminal = Some(checkpoint);
        }
        for subtask in &self.config.subtasks {
            //= spec/coordinator.md#coord-30-every-task-is-told-of-a-completion
            //# Every task MUST be told of a completed checkpoint.
            //= spec/publish.md#pub-1-tasks-are-notified-after-the-pointer
            //# Tasks MUST be notified of a checkpoint only after the pointer to it is durable.
            out.push(Output::NotifyComplete { subtask: *subtask, attempt: self.attempt, checkpoint });
        }
        //= spec/coordinator.md#coord-8-a-published-checkpoint-subsumes-older-ones
        //# The publication of a checkpoint MUST abort every older one that is still under way.
        let older = self.pending.range(..checkpoint).chain(self.publishing.range(..checkpoint));
        for older in older.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.abort(now, older, AbortReason::Subsumed, out);
        }
        self.retain(complete, out);
    }

    /// Keeps the newest checkpoints and deletes everything older, leftovers of earlier attempts included.
    fn retain(&mut self, complete: crate::base::CompletedCheckpoint, out: &mut Vec<Output>) {
        self.retained.push(complete);
        //= spec/coordinator.md#coord-12-only-the-newest-are-retained
        //# The coordinator MUST retain only the configured number of newest published checkpoints.
        while self.retained.len() > self.config.retained {
            self.found.insert(self.retained.remove(0).id);
        }
        let Some(lowest) = self.retained.first().map(|checkpoint| checkpoint.id) else { return };
        //= spec/coordinator.md#coord-13-deletion-starts-below-the-retained
        //# A checkpoint MUST be deleted only when every retained checkpoint is newer.
        let kept = self.found.split_off(&lowest);
        out.extend(std::mem::replace(&mut self.found, kept).into_iter().map(Output::DeleteCheckpoint));
    }
}
