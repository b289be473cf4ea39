//! Who takes part in a checkpoint when some tasks have finished.

use super::{AbortReason, Coordinator, Outcome, Output, Phase};
use crate::base::{Attempt, Millis, SubtaskId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// A connection of the job graph, between all subtasks of two operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Edge {
    /// The operator that sends.
    pub from: u16,
    /// The operator that receives, further down.
    pub to: u16,
    /// Which subtasks are connected.
    pub pattern: EdgePattern,
}

/// Which subtasks of two operators are connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum EdgePattern {
    /// Each with each.
    AllToAll,
    /// Those with the same index.
    OneToOne,
}

impl Coordinator {
    /// The tasks that have not finished: they are told how checkpoints end.
    pub(super) fn running_tasks(&self) -> impl Iterator<Item = SubtaskId> + '_ {
        self.config.subtasks.difference(&self.finished_tasks).copied()
    }

    /// The running tasks that no barrier can reach.
    pub(super) fn tasks_to_trigger(&self) -> Vec<SubtaskId> {
        if self.config.edges.is_empty() || self.finished_tasks.is_empty() {
            return self.config.sources.difference(&self.finished_tasks).copied().collect();
        }
        let running_operators: BTreeSet<u16> = self.running_tasks().map(|task| task.operator).collect();
        let is_running = |edge: &Edge, task: SubtaskId| match edge.pattern {
            EdgePattern::AllToAll => running_operators.contains(&edge.from),
            EdgePattern::OneToOne => {
                let upstream = SubtaskId::new(edge.from, task.index);
                self.config.subtasks.contains(&upstream) && !self.finished_tasks.contains(&upstream)
            }
        };
        let is_first = |task: &SubtaskId| {
            let mut inputs = self.config.edges.iter().filter(|edge| edge.to == task.operator);
            !inputs.any(|edge| is_running(edge, *task))
        };
        //= spec/coordinator.md#coord-45-the-first-running-tasks-are-triggered
        //# A checkpoint MUST be triggered at exactly the running sources and the running tasks whose inputs have all
        //# finished.
        self.running_tasks().filter(is_first).collect()
    }

    pub(super) fn task_finished(
        &mut self,
        now: Millis,
        attempt: Attempt,
        subtask: SubtaskId,
        out: &mut Vec<Output>,
    ) {
        let alive = attempt == self.attempt && matches!(self.phase, Phase::Deploying | Phase::Running);
        if !alive || !self.config.subtasks.contains(&subtask) || !self.finished_tasks.insert(subtask) {
            return;
        }
        if self.terminal.is_none() {
            self.source_exhausted(now, subtask);
        }
        //= spec/coordinator.md#coord-46-a-checkpoint-does-not-wait-for-a-task-that-is-gone
        //# A checkpoint that a task has not acknowledged when it finishes MUST be aborted.
        let waits = self.pending.iter().filter(|(_, pending)| pending.waits_for(subtask)).map(|(id, _)| *id);
        for checkpoint in waits.collect::<Vec<_>>() {
            self.abort(now, checkpoint, AbortReason::TaskFinished(subtask), out);
        }
        //= spec/coordinator.md#coord-22-the-job-ends-with-its-tasks
        //# The job MUST end well only when every task has finished.
        if self.finished_tasks.len() < self.config.subtasks.len() {
            return;
        }
        let outcome = match self.terminal {
            Some(checkpoint) if self.exhausted_sources.len() < self.config.sources.len() => {
                Outcome::Stopped(checkpoint)
            }
            _ => Outcome::Finished,
        };
        self.conclude(outcome, out);
    }

    /// A source has no more data, so that it has no backlog either.
    pub(super) fn source_exhausted(&mut self, now: Millis, subtask: SubtaskId) {
        if self.config.sources.contains(&subtask) {
            self.exhausted_sources.insert(subtask);
            self.schedule.backlog_reported(now, subtask, false, &self.config);
        }
    }
}
