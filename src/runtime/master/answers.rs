//! Who waits for an answer of the coordinator, and what follows from it.

use super::super::control::{Answer, RequestedCheckpoint};
use super::super::error::RequestError;
use crate::coordinator::{Input, RequestId, RequestKind, RequestOutcome};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;

struct Asked {
    answer: Sender<Answer>,
    /// Whether the job is cancelled when the checkpoint is complete.
    cancels: bool,
}

/// The requests of users that are not answered yet.
pub(super) struct Answers {
    asked: BTreeMap<RequestId, Asked>,
    /// How many requests were made so far.
    requests: u64,
    /// Whether users want periodic checkpoints.
    periodic: bool,
    /// The newest complete checkpoint: it is told of right before the request for it is answered.
    completed: Option<RequestedCheckpoint>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Answers { asked: BTreeMap::new(), requests: 0, periodic: true, completed: None }
    }

    pub(super) fn ask(&mut self, kind: RequestKind, answer: Sender<Answer>) -> Input {
        self.add(kind, Asked { answer, cancels: false })
    }

    /// A savepoint after which the job is cancelled: no other checkpoint may commit what the savepoint holds.
    pub(super) fn ask_and_cancel(&mut self, answer: Sender<Answer>) -> Vec<Input> {
        let savepoint = self.add(RequestKind::Savepoint, Asked { answer, cancels: true });
        vec![Input::PeriodicCheckpointsSwitched { on: false }, savepoint]
    }

    fn add(&mut self, kind: RequestKind, asked: Asked) -> Input {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.asked.insert(request, asked);
        Input::CheckpointRequested { request, kind }
    }

    pub(super) fn switch_periodic(&mut self, on: bool) -> Input {
        self.periodic = on;
        Input::PeriodicCheckpointsSwitched { on: on && !self.cancels() }
    }

    /// Whether the job will be cancelled after a savepoint.
    fn cancels(&self) -> bool {
        self.asked.values().any(|asked| asked.cancels)
    }

    pub(super) fn completed(&mut self, checkpoint: RequestedCheckpoint) {
        self.completed = Some(checkpoint);
    }

    /// Answers a request, and says what the coordinator is told next.
    pub(super) fn answer(&mut self, request: RequestId, outcome: RequestOutcome) -> Option<Input> {
        let Asked { answer, cancels } = self.asked.remove(&request)?;
        let answered = self.of(outcome);
        let next = match answered {
            _ if !cancels => None,
            Ok(_) => Some(Input::CancelRequested),
            Err(_) => (!self.cancels()).then_some(Input::PeriodicCheckpointsSwitched { on: self.periodic }),
        };
        // Who has asked may not want to know any more.
        let _ = answer.send(answered);
        next
    }

    fn of(&self, outcome: RequestOutcome) -> Answer {
        match outcome {
            RequestOutcome::Completed(id) => {
                let external_path = self.completed.as_ref().filter(|newest| newest.id == id);
                let external_path = external_path.map(|newest| newest.external_path.clone());
                Ok(RequestedCheckpoint { id, external_path: external_path.unwrap_or_default() })
            }
            RequestOutcome::Aborted(checkpoint, reason) => Err(RequestError::Aborted { checkpoint, reason }),
            RequestOutcome::Unknown(checkpoint) => Err(RequestError::Unknown(checkpoint)),
            RequestOutcome::Refused(refusal) => Err(RequestError::Refused(refusal)),
        }
    }
}
