//! The life of attempts: recovery, failure, restart, fencing, and the end of the job.

use super::{AbortReason, Coordinator, Ending, Outcome, Output, Phase, Refusal, RequestOutcome, requests};
use crate::base::{Attempt, Millis, Misuse, SubtaskId};
use crate::publish::{self, RecoveryFailure};
use crate::shared::registry;

impl Coordinator {
    pub(super) fn recover(&mut self, now: Millis, out: &mut Vec<Output>) -> Result<(), Misuse> {
        self.phase = Phase::Recovering;
        self.publish(now, publish::Input::RecoveryRequested, out)
    }

    pub(super) fn recovered(
        &mut self,
        now: Millis,
        mut recovered: publish::Recovered,
        out: &mut Vec<Output>,
    ) {
        if self.phase != Phase::Recovering {
            return;
        }
        self.attempt = recovered.attempt;
        if self.first_attempt == Attempt(0) {
            self.first_attempt = self.attempt;
        }
        self.restore_shared(now, &recovered, out);
        self.restore_retained(&recovered);
        self.start_from_given(&mut recovered);
        //= spec/coordinator.md#coord-2-ids-strictly-increase
        //# Ids MUST strictly increase over the triggers of an attempt and over all publications of a job.
        self.next_checkpoint = self.next_checkpoint.max(recovered.next_checkpoint);
        self.terminal = None;
        //= spec/coordinator.md#coord-47-what-had-finished-stays-finished
        //# A task that had finished when the recovered checkpoint was triggered MUST count as finished from the start.
        let had_finished =
            |task: &&SubtaskId| recovered.newest.as_ref().is_some_and(|newest| newest.had_finished(**task));
        self.finished_tasks = self.config.subtasks.iter().filter(had_finished).copied().collect();
        self.exhausted_sources = self.config.sources.intersection(&self.finished_tasks).copied().collect();
        self.schedule.forget_backlog();
        self.failures.forget();
        self.phase = Phase::Deploying;
        //= spec/coordinator.md#coord-1-tasks-start-from-a-recovery
        //# An attempt MUST start its tasks only after its recovery has succeeded.
        out.push(Output::StartTasks(recovered));
    }

    pub(super) fn recovery_failed(&mut self, failure: RecoveryFailure, out: &mut Vec<Output>) {
        if self.phase == Phase::Recovering {
            self.end(Outcome::RecoveryFailed(failure), out);
        }
    }

    /// Another attempt has taken over. What this one wrote is left to it: deleting here could hurt it.
    //= spec/coordinator.md#coord-26-a-fenced-coordinator-deletes-nothing
    //# A fenced coordinator MUST NOT delete any state.
    pub(super) fn fenced(&mut self, now: Millis, out: &mut Vec<Output>) {
        self.tell_registry(now, registry::Input::Fenced, out);
        let pending = std::mem::take(&mut self.pending).into_iter();
        for (checkpoint, pending) in pending.chain(std::mem::take(&mut self.publishing)) {
            let outcome = RequestOutcome::Aborted(checkpoint, AbortReason::Suspended);
            requests::answer(pending.request, outcome, out);
        }
        self.refuse_queued(Refusal::JobEnding, out);
        match self.phase {
            Phase::Deploying | Phase::Running => {
                self.phase = Phase::Cancelling(Ending::Job(Outcome::Fenced));
                out.push(Output::CancelTasks { attempt: self.attempt });
            }
            Phase::Cancelling(_) => self.phase = Phase::Cancelling(Ending::Job(Outcome::Fenced)),
            Phase::Ended => {}
            Phase::Retiring(outcome) => self.end(outcome, out),
            Phase::Created | Phase::Recovering | Phase::Restarting { .. } => {
                self.end(Outcome::Fenced, out);
            }
        }
    }

    pub(super) fn tasks_running(&mut self, now: Millis, attempt: Attempt, out: &mut Vec<Output>) {
        if self.phase == Phase::Deploying && attempt == self.attempt {
            self.phase = Phase::Running;
            self.schedule.start(now, &self.config);
            // A restart does not end the pause.
            self.end_of_pause = self.end_of_pause.max(now);
            self.earliest_terminal = now;
            self.drain_sources(out);
        }
    }

    /// Stops the tasks, for a restart if one is left and for good with `outcome` otherwise.
    pub(super) fn fail(&mut self, now: Millis, outcome: Outcome, out: &mut Vec<Output>) {
        if !matches!(self.phase, Phase::Deploying | Phase::Running) {
            return;
        }
        //= spec/coordinator.md#coord-23-one-failed-task-stops-all
        //# The failure of a task MUST stop all tasks of its attempt.
        self.suspend(now, out);
        //= spec/coordinator.md#coord-28-restarts-are-limited-by-the-strategy
        //# The tasks MUST start again only as often as the restart strategy allows.
        let ending = match self.config.restart.delay_after(self.restarts) {
            //= spec/coordinator.md#coord-33-a-failure-that-would-repeat-itself-ends-the-job
            //# A task failure that a restart cannot cure MUST end the job without a restart.
            Some(delay) if outcome != Outcome::Unrecoverable => Ending::Restart(delay),
            _ => Ending::Job(outcome),
        };
        self.phase = Phase::Cancelling(ending);
        out.push(Output::CancelTasks { attempt: self.attempt });
    }

    pub(super) fn tasks_stopped(&mut self, now: Millis, attempt: Attempt, out: &mut Vec<Output>) {
        if attempt != self.attempt {
            return;
        }
        if let Phase::Cancelling(ending) = self.phase {
            match ending {
                Ending::Restart(delay) => {
                    self.restarts += 1;
                    //= spec/coordinator.md#coord-24-a-restart-waits
                    //# A restart MUST wait for the tasks to stop, for its delay and for a publication in
                    //# progress.
                    self.phase = Phase::Restarting { until: now + delay };
                }
                Ending::Job(outcome) => self.conclude(outcome, out),
            }
        }
    }

    /// Ends the job without another checkpoint, whatever it is doing.
    pub(super) fn give_up(&mut self, now: Millis, outcome: Outcome, out: &mut Vec<Output>) {
        //= spec/coordinator.md#coord-41-a-cancelled-job-ends-without-a-restart
        //# A job that is cancelled or suspended MUST stop its tasks and end without a restart.
        match self.phase {
            Phase::Deploying | Phase::Running => {
                self.suspend(now, out);
                self.phase = Phase::Cancelling(Ending::Job(outcome));
                out.push(Output::CancelTasks { attempt: self.attempt });
            }
            Phase::Cancelling(Ending::Restart(_)) => self.phase = Phase::Cancelling(Ending::Job(outcome)),
            Phase::Restarting { .. } => self.conclude(outcome, out),
            // Nobody knows yet which checkpoints there are, so that they stay.
            Phase::Created | Phase::Recovering => self.end(outcome, out),
            Phase::Cancelling(Ending::Job(_)) | Phase::Retiring(_) | Phase::Ended => {}
        }
    }

    pub(super) fn end(&mut self, outcome: Outcome, out: &mut Vec<Output>) {
        self.phase = Phase::Ended;
        for (checkpoint, pending) in &mut self.publishing {
            requests::answer(pending.request.take(), RequestOutcome::Unknown(*checkpoint), out);
        }
        self.refuse_queued(Refusal::JobEnding, out);
        let in_publication = self.publishing.iter().find(|(_, pending)| pending.kind.is_terminal());
        let of_stop = in_publication.map(|(checkpoint, _)| RequestOutcome::Unknown(*checkpoint));
        self.answer_stop(of_stop.unwrap_or(RequestOutcome::Refused(Refusal::JobEnding)), out);
        out.push(Output::JobEnded(outcome));
    }
}
