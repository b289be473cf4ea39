//! An observer beside each coordinator: it sees every input and every output, and notes what must never happen.
//!
//! It knows what was triggered, who owes what, and what became of each request, all of it from the outputs. It decides
//! nothing.

use super::scope::{Run, SINK, SOURCE, TASKS, TIMEOUT};
use super::store::Store;
use super::world::{Life, Tasks};
use serde::Serialize;
use snapline::base::{
    Attempt, CheckpointId, CheckpointKind, DeclineReason, Millis, StateFile, StateHandle, SubtaskId,
};
use snapline::coordinator::{
    AbortReason, ClaimMode, Input, Outcome, Output, RequestId, RequestKind, RequestOutcome,
};
use snapline::publish::PublicationFailure;
use std::collections::{BTreeMap, BTreeSet};

/// What must never happen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Wrong {
    /// A request was answered that nobody waits for.
    pub answered_twice: bool,
    /// An attempt triggered an id that is not above all before.
    pub id_repeated: bool,
    /// A checkpoint began that found no room.
    pub too_many: bool,
    /// A checkpoint began beside a terminal one, or after it.
    pub beside_terminal: bool,
    /// An ordinary checkpoint began although a stop was asked for.
    pub after_stop: bool,
    /// A checkpoint that is neither a savepoint nor terminal began although a savepoint was to cancel the job.
    pub beside_cancelling_savepoint: bool,
    /// A checkpoint began while not all tasks ran.
    pub tasks_not_running: bool,
    /// A checkpoint began at another task than the first that runs.
    pub triggered_elsewhere: bool,
    /// The clock triggered within the minimum pause.
    pub within_pause: bool,
    /// A checkpoint began while too many deletions were under way.
    pub cleaning_behind: bool,
    /// A checkpoint could refer to files of somebody else.
    pub not_full: bool,
    /// A checkpoint completed without the acknowledgement of a task.
    pub incomplete: bool,
    /// A checkpoint completed that nobody would find.
    pub not_durable: bool,
    /// A checkpoint outlived its timeout.
    pub expired_kept: bool,
    /// A savepoint was subsumed.
    pub savepoint_subsumed: bool,
    /// An older checkpoint outlived the completion of a newer one.
    pub older_kept: bool,
    /// Tasks were stopped although nothing had happened that asks for it.
    pub stopped_without_reason: bool,
    /// Tasks ran on although too many checkpoints had failed.
    pub failures_ignored: bool,
    /// A task was not told of an end, told twice, or told of something else.
    pub notices: bool,
    /// A file was discarded that was gone.
    pub discarded_twice: bool,
    /// A fenced coordinator deleted something.
    pub fenced_deletes: bool,
    /// Tasks were started although the job had been given up or had ended.
    pub started_after_the_end: bool,
    /// The job ended well before its tasks.
    pub ended_too_well: bool,
    /// A message that makes no sense changed something.
    pub stray_obeyed: bool,
    /// A deadline came and changed nothing.
    pub tick_in_vain: bool,
}

/// A checkpoint that was triggered and has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct UnderWay {
    pub kind: CheckpointKind,
    pub since: Millis,
    /// The tasks that have not acknowledged.
    pub owing: BTreeSet<SubtaskId>,
}

/// What the observer of one process knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Watch {
    pub under_way: BTreeMap<CheckpointId, UnderWay>,
    /// The attempts that it has begun.
    pub attempts: BTreeSet<Attempt>,
    pub failures: u32,
    /// The newest checkpoint or savepoint that was completed in the attempt.
    pub newest: Option<CheckpointId>,
    /// The newest that was triggered in the attempt.
    pub triggered: Option<CheckpointId>,
    pub end_of_pause: Millis,
    /// Whether a terminal checkpoint is complete.
    pub is_last: bool,
    pub unanswered: BTreeMap<RequestId, RequestKind>,
    /// Whether the savepoint is complete that was to cancel the job, once that is known.
    pub savepoint_to_cancel: Option<bool>,
    /// Whether the wish to stop was answered with a checkpoint.
    pub stop_is_answered: bool,
    /// Whether the job is to end without a checkpoint: somebody wants it, or no restart can help.
    pub gave_up: bool,
    /// Whether somebody wanted it when no tasks were there, so that perhaps nobody knew which checkpoints there are.
    pub gave_up_blindly: bool,
    /// Acknowledged files that are left behind because it was not known, or nobody was left to know, what they are for.
    pub left_behind: BTreeSet<StateFile>,
    /// Savepoints that were aborted and may be there all the same.
    pub maybe_savepoints: BTreeSet<CheckpointId>,
    pub outcome: Option<Outcome>,
    pub wrong: Wrong,
}

/// What the observer sees beside the inputs and outputs.
pub(super) struct Scene<'a> {
    pub run: &'a Run,
    pub now: Millis,
    /// As they were before the outputs.
    pub tasks: &'a Tasks,
    pub store: &'a Store,
    pub cleaning: usize,
    pub is_fenced: bool,
}

impl Watch {
    /// Whether the tasks are there whose attempt was restored.
    fn is_ruling(&self, scene: &Scene<'_>) -> bool {
        scene.tasks.life != Life::Absent && self.outcome.is_none() && !scene.is_fenced
    }

    /// A coordinator has taken in an input.
    pub(super) fn saw_input(&mut self, scene: &Scene<'_>, input: &Input) {
        match input {
            Input::CheckpointRequested { request, kind } => drop(self.unanswered.insert(*request, *kind)),
            Input::CancelRequested | Input::SuspendRequested => {
                self.gave_up = true;
                self.gave_up_blindly |= scene.tasks.life == Life::Absent;
            }
            Input::TaskFailed { attempt, unrecoverable: true, .. } => {
                let run = matches!(scene.tasks.life, Life::Starting | Life::Running);
                self.gave_up |= run && *attempt == scene.tasks.attempt;
            }
            Input::AcknowledgeArrived { attempt, subtask, checkpoint, handle, .. } => {
                if *attempt == scene.tasks.attempt
                    && let Some(under_way) = self.under_way.get_mut(checkpoint)
                {
                    under_way.owing.remove(subtask);
                }
                if !self.is_ruling(scene) {
                    self.left_behind.extend(handle.as_ref().and_then(StateHandle::stored_file));
                }
            }
            _ => {}
        }
    }

    /// A coordinator has answered an input with these outputs, all of them.
    pub(super) fn saw_outputs(&mut self, scene: &Scene<'_>, input: &Input, outputs: &[Output]) {
        let had_failures = self.failures;
        for (index, output) in outputs.iter().enumerate() {
            match output {
                Output::StartTasks(recovered) => self.begins(recovered.attempt),
                Output::Trigger { subtask, checkpoint, options, .. } => {
                    self.triggers(scene, *checkpoint, options.kind(), *subtask);
                }
                Output::Completed(checkpoint) => {
                    let durable = match checkpoint.kind {
                        CheckpointKind::Savepoint => scene.store.savepoints.contains(checkpoint),
                        _ => scene.store.published.get(&checkpoint.id) == Some(&checkpoint.attempt),
                    };
                    self.wrong.not_durable |= !durable;
                    self.completes(scene, checkpoint.id, &outputs[index..]);
                }
                Output::Aborted { checkpoint, reason } => self.aborts(*checkpoint, *reason),
                Output::DiscardState(file) => self.discards(scene, *file, input),
                Output::DeleteCheckpoint(_) | Output::DeletePointer(_) => {
                    self.wrong.fenced_deletes |= scene.is_fenced;
                }
                Output::RequestAnswered { request, outcome } => {
                    let asked = self.unanswered.remove(request);
                    self.wrong.answered_twice |= asked.is_none();
                    let is_completed = matches!(outcome, RequestOutcome::Completed(_));
                    self.stop_is_answered |= is_completed && matches!(asked, Some(RequestKind::Stop(..)));
                    if matches!(asked, Some(RequestKind::CancelWithSavepoint(_))) {
                        self.gave_up |= is_completed;
                        // What another one that waits is told changes nothing.
                        let is_complete = is_completed || self.savepoint_to_cancel == Some(true);
                        self.savepoint_to_cancel = Some(is_complete);
                    }
                }
                Output::JobEnded(outcome) => self.ends(scene, *outcome),
                _ => {}
            }
        }
        self.compares_stop(scene, input, outputs, had_failures);
        self.compares_notices(scene, outputs);
        self.compares_deadline(scene, input);
        if scene.is_fenced || self.outcome.is_some() {
            self.leaves_behind(scene);
        }
    }

    /// Nobody is left who knows what becomes of what is under way.
    fn leaves_behind(&mut self, scene: &Scene<'_>) {
        let attempt = scene.tasks.attempt;
        for (checkpoint, left) in std::mem::take(&mut self.under_way) {
            let acknowledged = TASKS.into_iter().filter(|task| !left.owing.contains(task));
            let savepoint = left.kind.is_savepoint();
            let file = |subtask| StateFile { checkpoint, subtask, attempt, savepoint };
            self.left_behind.extend(acknowledged.map(file));
        }
    }

    fn begins(&mut self, attempt: Attempt) {
        self.wrong.started_after_the_end |= self.gave_up || self.outcome.is_some();
        self.attempts.insert(attempt);
        (self.failures, self.newest, self.triggered, self.is_last) = (0, None, None, false);
    }

    fn triggers(&mut self, scene: &Scene<'_>, id: CheckpointId, kind: CheckpointKind, subtask: SubtaskId) {
        let first = if scene.tasks.finished.contains(&SOURCE) { SINK } else { SOURCE };
        self.wrong.triggered_elsewhere |= subtask != first;
        self.wrong.tasks_not_running |= scene.tasks.life != Life::Running;
        self.wrong.id_repeated |= Some(id) <= self.triggered;
        let is_forced = kind.is_savepoint() && scene.run.force_savepoints;
        self.wrong.too_many |= !is_forced && self.under_way.len() >= scene.run.concurrent;
        self.wrong.beside_terminal |= self.is_last
            || self.under_way.values().any(|other| other.kind.is_terminal())
            || (kind.is_terminal() && !self.under_way.is_empty());
        let stop = |kind: &RequestKind| matches!(kind, RequestKind::Stop(..));
        self.wrong.after_stop |= !kind.is_terminal() && self.unanswered.values().any(stop);
        let commits_and_goes_on = !kind.is_terminal() && !kind.is_savepoint();
        self.wrong.beside_cancelling_savepoint |= commits_and_goes_on
            && self.unanswered.values().any(|kind| matches!(kind, RequestKind::CancelWithSavepoint(_)));
        self.wrong.cleaning_behind |= scene.cleaning > scene.run.concurrent;
        let is_unclaimed = scene.run.given == Some(ClaimMode::NoClaim) && scene.store.published.is_empty();
        self.wrong.not_full |= is_unclaimed && kind == CheckpointKind::Periodic;
        // Where users ask for checkpoints themselves nobody outside can tell theirs from those of the clock.
        let asks = |kind: &RequestKind| matches!(kind, RequestKind::Checkpoint { .. });
        let is_by_the_clock = kind == CheckpointKind::Periodic && !scene.run.requests.iter().any(asks);
        self.wrong.within_pause |= is_by_the_clock && scene.now < self.end_of_pause;
        self.triggered = Some(id);
        let owing = scene.tasks.alive().collect();
        self.under_way.insert(id, UnderWay { kind, since: scene.now, owing });
    }

    fn completes(&mut self, scene: &Scene<'_>, id: CheckpointId, outputs: &[Output]) {
        let Some(complete) = self.under_way.remove(&id) else {
            self.wrong.incomplete = true;
            return;
        };
        self.wrong.incomplete |= !complete.owing.is_empty();
        self.end_of_pause = scene.run.end_of_pause(scene.now);
        self.is_last |= complete.kind.is_terminal();
        if self.newest < Some(id) {
            (self.newest, self.failures) = (Some(id), 0);
        }
        if !complete.kind.is_savepoint() {
            let subsumed = |other: CheckpointId| {
                let aborted = Output::Aborted { checkpoint: other, reason: AbortReason::Subsumed };
                outputs.contains(&aborted)
            };
            let mut older = self.under_way.range(..id).filter(|(_, other)| !other.kind.is_savepoint());
            self.wrong.older_kept |= !older.all(|(other, _)| subsumed(*other));
        }
    }

    fn aborts(&mut self, id: CheckpointId, reason: AbortReason) {
        let Some(aborted) = self.under_way.remove(&id) else {
            self.wrong.notices = true;
            return;
        };
        let is_savepoint = aborted.kind.is_savepoint();
        self.wrong.savepoint_subsumed |= is_savepoint && reason == AbortReason::Subsumed;
        if is_savepoint && matches!(reason, AbortReason::PublicationFailed(_)) {
            self.maybe_savepoints.insert(id);
        }
        if is_failure(reason) && !is_savepoint && self.newest < Some(id) {
            self.failures += 1;
        }
    }

    fn discards(&mut self, scene: &Scene<'_>, file: StateFile, input: &Input) {
        self.wrong.fenced_deletes |= scene.is_fenced;
        let is_news =
            matches!(input, Input::AcknowledgeArrived { handle: Some(handle), .. } if handle.file == file);
        let exists = scene.store.files.contains(&file) || scene.store.savepoint_files.contains(&file);
        // Whoever has taken the job over may have deleted it.
        let rules = scene.store.newest_pointer().is_some_and(|newest| newest.attempt == scene.tasks.attempt);
        self.wrong.discarded_twice |= rules && !exists && !is_news;
    }

    fn ends(&mut self, scene: &Scene<'_>, outcome: Outcome) {
        let is_good = matches!(outcome, Outcome::Finished | Outcome::Stopped(_));
        self.wrong.ended_too_well |= is_good && scene.tasks.alive().next().is_some();
        self.outcome = Some(outcome);
    }

    /// Tasks are stopped for a reason, and whenever there is one.
    fn compares_stop(&mut self, scene: &Scene<'_>, input: &Input, outputs: &[Output], had_failures: u32) {
        let stops = outputs.iter().any(|output| matches!(output, Output::CancelTasks { .. }));
        let too_many = self.failures > scene.run.tolerable;
        let is_asked_for = match input {
            Input::TaskFailed { attempt, .. } => *attempt == scene.tasks.attempt,
            Input::CancelRequested | Input::SuspendRequested => true,
            _ => scene.is_fenced || self.savepoint_to_cancel == Some(true),
        };
        let news = self.failures > had_failures;
        self.wrong.stopped_without_reason |= stops && !is_asked_for && !(too_many && news);
        let run = matches!(scene.tasks.life, Life::Starting | Life::Running);
        self.wrong.failures_ignored |= news && too_many && run && !stops;
    }

    /// Every task that has not finished is told of each end, once, and of nothing else.
    fn compares_notices(&mut self, scene: &Scene<'_>, outputs: &[Output]) {
        let mut due: BTreeMap<(CheckpointId, bool, SubtaskId), u8> = BTreeMap::new();
        for output in outputs {
            let (id, is_complete) = match output {
                Output::Completed(checkpoint) if !checkpoint.kind.is_savepoint() => (checkpoint.id, true),
                Output::Aborted { checkpoint, .. } => (*checkpoint, false),
                _ => continue,
            };
            due.extend(scene.tasks.alive().map(|task| ((id, is_complete, task), 1)));
        }
        for output in outputs {
            let (id, is_complete, subtask, attempt) = match output {
                Output::NotifyComplete { subtask, checkpoint, attempt } => {
                    (*checkpoint, true, *subtask, *attempt)
                }
                Output::NotifyAborted { subtask, checkpoint, attempt, .. } => {
                    (*checkpoint, false, *subtask, *attempt)
                }
                _ => continue,
            };
            let expected = due.remove(&(id, is_complete, subtask)).is_some();
            self.wrong.notices |= !expected || attempt != scene.tasks.attempt;
        }
        self.wrong.notices |= !due.is_empty();
    }

    /// After a tick nothing waits beyond its timeout for its tasks.
    fn compares_deadline(&mut self, scene: &Scene<'_>, input: &Input) {
        let is_late = |it: &UnderWay| !it.owing.is_empty() && it.since + TIMEOUT <= scene.now;
        self.wrong.expired_kept |= *input == Input::Tick && self.under_way.values().any(is_late);
    }
}

/// The table of COORD-9.
fn is_failure(reason: AbortReason) -> bool {
    matches!(
        reason,
        AbortReason::Expired
            | AbortReason::Declined(_, DeclineReason::SyncPartFailed | DeclineReason::AsyncPartFailed)
            | AbortReason::PublicationFailed(PublicationFailure::StorageFailed)
    )
}
