//! The life of single checkpoints from their trigger on: acknowledge, abort, publish.

use super::pending::{Acknowledged, holds};
use super::{AbortReason, Coordinator, Outcome, Output, Phase, Refusal, RequestOutcome, requests};
use crate::base::{Attempt, CheckpointId, Millis, Misuse, Sharing, StateFile, StateHandle, SubtaskId};
use crate::publish;
use crate::shared::registry;

/// How long after a failed terminal checkpoint the next one is tried, when no interval says otherwise.
const TERMINAL_RETRY: Millis = Millis(1_000);

impl Coordinator {
    /// What the clock does: expires, restarts, triggers.
    pub(super) fn tick(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Misuse> {
        self.publish(now, publish::Input::Tick, out)?;
        self.tell_registry(now, registry::Input::Tick, out);
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
        self.retire(now, out)?;
        self.trigger_due(now, out);
        Ok(())
    }

    pub(super) fn acknowledge(
        &mut self,
        now: Millis,
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        mut state: Acknowledged,
        out: &mut Vec<Output>,
    ) {
        let known = attempt == self.attempt && self.config.subtasks.contains(&subtask);
        let pending = self.pending.get_mut(&checkpoint).filter(|_| known);
        if !pending.is_some_and(|pending| pending.take_in(subtask, &mut state.handle)) {
            //= spec/coordinator.md#coord-15-late-state-is-discarded
            //# State that no checkpoint takes in MUST be discarded unless a checkpoint that counts may
            //# refer to it.
            return self.discard_late(now, attempt, checkpoint, state, out);
        }
        //= spec/shared.md#shared-10-an-acknowledgement-is-registered
        //# The objects of an acknowledgement MUST be registered before its checkpoint can complete.
        if let Some(shared) = state.shared {
            self.register_shared(now, checkpoint, subtask, shared, out);
        }
        //= spec/coordinator.md#coord-4-complete-means-acknowledged-by-all
        //# A checkpoint MUST be complete only with the acknowledgement of every subtask in its attempt that
        //# had not finished before.
        let subtasks = self.config.subtasks.len();
        let complete = self.pending.get(&checkpoint).is_some_and(|pending| pending.is_complete(subtasks));
        if complete && let Some(complete) = self.pending.remove(&checkpoint) {
            self.publishing.insert(checkpoint, complete);
        }
    }

    /// Discards what nobody refers to of state that no checkpoint takes in.
    fn discard_late(
        &mut self,
        now: Millis,
        attempt: Attempt,
        checkpoint: CheckpointId,
        state: Acknowledged,
        out: &mut Vec<Output>,
    ) {
        let Acknowledged { handle, shared } = state;
        let is_savepoint = handle.as_ref().is_some_and(|handle| handle.file.savepoint)
            || shared.as_ref().is_some_and(|state| state.sharing == Sharing::NoSharing);
        //= spec/coordinator.md#coord-65-savepoints-of-other-processes-are-left-alone
        //# State of a savepoint that this process has not triggered MUST NOT be discarded.
        let is_unknown_savepoint = is_savepoint && attempt < self.first_attempt;
        if !self.knows_what_counts() || self.savepoints.contains(&checkpoint) || is_unknown_savepoint {
            return;
        }
        let unused = handle.as_ref().and_then(StateHandle::stored_file);
        out.extend(unused.filter(|file| !self.is_referred_to(*file)).map(Output::DiscardState));
        if let Some(state) = shared {
            self.tell_registry(now, registry::Input::AcknowledgedTooLate { state }, out);
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
    fn is_referred_to(&self, file: StateFile) -> bool {
        let under_way = self.pending.values().chain(self.publishing.values());
        under_way.map(|pending| &pending.acknowledged).any(|states| holds(states, file))
            || self.retained.iter().any(|checkpoint| holds(&checkpoint.states, file))
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
            AbortReason::Declined(..)
            | AbortReason::Expired
            | AbortReason::SharedFilesMissing(_)
            | AbortReason::TaskFinished(_) => None,
        };
        let Some(pending) = complete.or_else(|| self.pending.remove(&checkpoint)) else { return };
        out.push(Output::Aborted { checkpoint, reason });
        let newest_completed = self.retained.last().map(|newest| newest.id);
        for subtask in self.running_tasks() {
            //= spec/coordinator.md#coord-17-every-task-is-told-of-an-abort
            //# Every task that has not finished MUST be told of an aborted checkpoint.
            let attempt = self.attempt;
            out.push(Output::NotifyAborted { subtask, attempt, checkpoint, newest_completed });
        }
        let may_be_savepoint =
            pending.kind.is_savepoint() && matches!(reason, AbortReason::PublicationFailed(_));
        if may_be_savepoint {
            self.savepoint_completed(now, checkpoint, out);
        } else {
            //= spec/coordinator.md#coord-14-an-abort-discards-acknowledged-state
            //# The abort of a checkpoint MUST discard the state that was acknowledged for it, unless it may have
            //# become a savepoint.
            out.extend(pending.files().map(Output::DiscardState));
            //= spec/coordinator.md#coord-63-shared-files-go-with-their-last-checkpoint
            //# The end of a checkpoint MUST delete the shared files that no other checkpoint refers to.
            self.tell_registry(now, registry::Input::Dropped { checkpoint }, out);
        }
        if !pending.kind.is_savepoint() {
            self.found.insert(checkpoint);
        }
        requests::answer(pending.request, RequestOutcome::Aborted(checkpoint, reason), out);
        // Where it failed because a task was faster, the next one does without that task.
        if pending.kind.is_terminal() && !matches!(reason, AbortReason::TaskFinished(_)) {
            //= spec/coordinator.md#coord-32-a-failed-terminal-checkpoint-is-tried-again
            //# An aborted terminal checkpoint MUST be followed by another one.
            self.earliest_terminal = now + self.config.interval.unwrap_or(TERMINAL_RETRY);
        }
        if self.failed_too_often(checkpoint, &pending, reason) {
            self.fail(now, Outcome::TooManyCheckpointFailures, out);
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
        self.refuse_queued(Refusal::TasksNotRunning, out);
    }

    pub(super) fn published(&mut self, now: Millis, checkpoint: CheckpointId, out: &mut Vec<Output>) {
        let Some(complete) = self.publishing.remove(&checkpoint) else { return };
        let (request, cancels) = (complete.request, complete.cancels);
        let complete = complete.complete(checkpoint, self.attempt);
        out.push(Output::Completed(complete.clone()));
        self.failures.succeeded(checkpoint);
        self.end_of_pause = now + self.config.min_pause;
        requests::answer(request, RequestOutcome::Completed(checkpoint), out);
        if complete.kind.is_savepoint() {
            self.savepoint_completed(now, checkpoint, out);
            if cancels {
                //= spec/coordinator.md#coord-68-a-savepoint-that-cancels-ends-the-job
                //# A job MUST end without another checkpoint when the savepoint is complete that was to cancel it.
                self.give_up(now, Outcome::Cancelled, out);
            }
            return;
        }
        if complete.kind.is_terminal() {
            self.terminal = Some(checkpoint);
            self.answer_stop(RequestOutcome::Completed(checkpoint), out);
            if let Some(stop) = &mut self.stop {
                stop.is_fulfilled = true;
            }
            self.refuse_queued(Refusal::JobEnding, out);
        }
        for subtask in self.running_tasks() {
            //= spec/coordinator.md#coord-30-every-task-is-told-of-a-completion
            //# Every task that has not finished MUST be told of a completed checkpoint that is no savepoint.
            //= spec/publish.md#pub-1-tasks-are-notified-after-the-pointer
            //# Tasks MUST be notified of a checkpoint only after the pointer to it is durable.
            out.push(Output::NotifyComplete { subtask, attempt: self.attempt, checkpoint });
        }
        //= spec/coordinator.md#coord-8-a-published-checkpoint-subsumes-older-ones
        //# The publication of a checkpoint MUST abort every older one under way that is no savepoint.
        let older = self.pending.range(..checkpoint).chain(self.publishing.range(..checkpoint));
        let subsumed = older.filter(|(_, older)| !older.kind.is_savepoint()).map(|(id, _)| *id);
        for older in subsumed.collect::<Vec<_>>() {
            self.abort(now, older, AbortReason::Subsumed, out);
        }
        self.retain(now, complete, out);
    }
}
