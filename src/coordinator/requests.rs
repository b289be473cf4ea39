//! What users ask for: which request is next, which is refused, and that each is answered once.

use super::{AbortReason, Coordinator, Output, Phase};
use crate::base::{CheckpointId, CheckpointKind, SavepointFormat};
use serde::{Deserialize, Serialize};

/// Names a request of a user. The driver draws it and never uses one twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RequestId(pub u64);

/// What a user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RequestKind {
    /// A checkpoint like those that the clock takes.
    Checkpoint {
        /// Whether it must not refer to files of older checkpoints.
        full: bool,
    },
    /// A savepoint, after which the job goes on.
    Savepoint(SavepointFormat),
    /// A savepoint, after which the job is cancelled (Flink: cancel with savepoint). Without one the job goes on.
    CancelWithSavepoint(SavepointFormat),
    /// A savepoint that ends the job.
    Stop(StopMode, SavepointFormat),
}

/// How a job is stopped with a savepoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StopMode {
    /// Sources hold where they are, so that a job can go on from there.
    Suspend,
    /// Sources end their data first, so that everything held back is emitted (Flink: `--drain`).
    Drain,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum RequestOutcome {
    /// The checkpoint is complete and durable.
    Completed(CheckpointId),
    /// The checkpoint was triggered and then aborted.
    Aborted(CheckpointId, AbortReason),
    /// The job has ended before it was known whether the checkpoint is durable.
    Unknown(CheckpointId),
    /// No checkpoint was triggered.
    Refused(Refusal),
}

/// Why a request was refused; none of these counts as a failed checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Refusal {
    /// Too many others wait (Flink: `TOO_MANY_CHECKPOINT_REQUESTS`).
    TooManyRequests,
    /// Not every task runs (Flink: `NOT_ALL_REQUIRED_TASKS_RUNNING`, `CHECKPOINT_COORDINATOR_SUSPEND`).
    TasksNotRunning,
    /// The job is stopping or has ended (Flink: `CHECKPOINT_COORDINATOR_SHUTDOWN`).
    JobEnding,
}

/// A request that waits for its checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Queued {
    pub(super) request: RequestId,
    pub(super) kind: CheckpointKind,
    /// Whether the job is cancelled once the checkpoint is complete.
    pub(super) cancels: bool,
    /// That of a savepoint.
    pub(super) format: SavepointFormat,
}

/// The requests that wait, the next one first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub(super) struct RequestQueue(Vec<Queued>);

impl RequestQueue {
    pub(super) fn first(&self) -> Option<Queued> {
        self.0.first().copied()
    }

    pub(super) fn cancels(&self) -> bool {
        self.0.iter().any(|queued| queued.cancels)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn take_first(&mut self) {
        self.0.remove(0);
    }

    /// Puts a request behind those of the same or a higher priority, and returns the one for which there is no
    /// room then.
    pub(super) fn add(&mut self, new: Queued, limit: usize) -> Option<RequestId> {
        //= spec/coordinator.md#coord-36-savepoints-come-first
        //# Of the requests that wait, savepoints MUST be triggered before checkpoints, and each in order of
        //# arrival.
        let goes_before = |waiting: &Queued| new.kind.is_savepoint() && !waiting.kind.is_savepoint();
        let at = self.0.iter().position(goes_before).unwrap_or(self.0.len());
        self.0.insert(at, new);
        //= spec/coordinator.md#coord-35-the-queue-is-bounded
        //# A request for which the queue has no room MUST make its last request refused.
        if self.0.len() > limit { self.0.pop().map(|last| last.request) } else { None }
    }
}

/// The wish to stop the job with a checkpoint. It outlives attempts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub(super) struct Stop {
    pub(super) mode: StopMode,
    pub(super) format: SavepointFormat,
    /// Who is told of its end.
    requests: Vec<RequestId>,
    /// Whether there is the checkpoint that was wished for.
    pub(super) is_fulfilled: bool,
}

impl Coordinator {
    pub(super) fn requested(&mut self, request: RequestId, kind: RequestKind, out: &mut Vec<Output>) {
        let ending = matches!(self.phase, Phase::Retiring(_) | Phase::Ended) || self.terminal.is_some();
        let cancels = matches!(kind, RequestKind::CancelWithSavepoint(_));
        let (kind, format) = match kind {
            _ if ending => return refuse(request, Refusal::JobEnding, out),
            RequestKind::Stop(mode, format) => return self.stop_requested(request, mode, format, out),
            //= spec/coordinator.md#coord-5-checkpoints-need-running-tasks
            //# A checkpoint MUST be triggered only while every task of the attempt runs.
            _ if self.phase != Phase::Running => return refuse(request, Refusal::TasksNotRunning, out),
            _ if self.stop.is_some() || self.terminal_kind().is_some() => {
                return refuse(request, Refusal::JobEnding, out);
            }
            RequestKind::Savepoint(format) | RequestKind::CancelWithSavepoint(format) => {
                (CheckpointKind::Savepoint, format)
            }
            RequestKind::Checkpoint { full: true } => (CheckpointKind::Full, SavepointFormat::default()),
            RequestKind::Checkpoint { full: false } => (CheckpointKind::Periodic, SavepointFormat::default()),
        };
        let surplus =
            self.queue.add(Queued { request, kind, cancels, format }, self.config.max_queued_requests);
        if let Some(surplus) = surplus {
            refuse(surplus, Refusal::TooManyRequests, out);
        }
    }

    /// Whether the job is cancelled once a savepoint is complete that was asked for.
    pub(super) fn awaits_savepoint_to_cancel(&self) -> bool {
        let mut under_way = self.pending.values().chain(self.publishing.values());
        self.queue.cancels() || under_way.any(|pending| pending.cancels)
    }

    /// A second wish joins the first, unless it asks for another way.
    fn stop_requested(
        &mut self,
        request: RequestId,
        mode: StopMode,
        format: SavepointFormat,
        out: &mut Vec<Output>,
    ) {
        match &mut self.stop {
            Some(stop) if (stop.mode, stop.format) == (mode, format) => stop.requests.push(request),
            Some(_) => refuse(request, Refusal::JobEnding, out),
            None => {
                self.stop = Some(Stop { mode, format, requests: vec![request], is_fulfilled: false });
                self.drain_sources(out);
            }
        }
    }

    /// Makes all sources end their data, if that is how the job is stopped.
    pub(super) fn drain_sources(&self, out: &mut Vec<Output>) {
        let is_draining = self.stop.as_ref().is_some_and(|stop| stop.mode == StopMode::Drain);
        if self.phase == Phase::Running && is_draining {
            //= spec/coordinator.md#coord-39-a-drain-ends-all-sources
            //# A stop that drains MUST make every source end its data.
            for source in self.config.sources.difference(&self.exhausted_sources) {
                out.push(Output::DrainSource { subtask: *source, attempt: self.attempt });
            }
        }
    }

    /// The requests for a checkpoint of the whole job, which the end of the job answers at the latest.
    pub(super) fn answer_stop(&mut self, outcome: RequestOutcome, out: &mut Vec<Output>) {
        for request in self.stop.iter_mut().flat_map(|stop| stop.requests.drain(..)) {
            answer(Some(request), outcome, out);
        }
    }

    /// Refuses every request that waits: no checkpoint can be triggered for them any more.
    pub(super) fn refuse_queued(&mut self, refusal: Refusal, out: &mut Vec<Output>) {
        for queued in std::mem::take(&mut self.queue).0 {
            refuse(queued.request, refusal, out);
        }
    }
}

fn refuse(request: RequestId, refusal: Refusal, out: &mut Vec<Output>) {
    answer(Some(request), RequestOutcome::Refused(refusal), out);
}

pub(super) fn answer(request: Option<RequestId>, outcome: RequestOutcome, out: &mut Vec<Output>) {
    //= spec/coordinator.md#coord-34-every-request-is-answered-once
    //# Every request MUST be answered exactly once, by the end of the job at the latest.
    out.extend(request.map(|request| Output::RequestAnswered { request, outcome }));
}
