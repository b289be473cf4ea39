//! Who waits for an answer of the coordinator.

use super::super::control::{Answer, RequestedCheckpoint};
use super::super::error::RequestError;
use crate::coordinator::{Input, RequestId, RequestKind, RequestOutcome};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;

/// The requests of users that are not answered yet.
#[derive(Default)]
pub(super) struct Answers {
    asked: BTreeMap<RequestId, Sender<Answer>>,
    /// How many requests were made so far.
    requests: u64,
    /// The newest complete checkpoint: it is told of right before the request for it is answered.
    completed: Option<RequestedCheckpoint>,
}

impl Answers {
    pub(super) fn ask(&mut self, kind: RequestKind, answer: Sender<Answer>) -> Input {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.asked.insert(request, answer);
        Input::CheckpointRequested { request, kind }
    }

    pub(super) fn completed(&mut self, checkpoint: RequestedCheckpoint) {
        self.completed = Some(checkpoint);
    }

    pub(super) fn answer(&mut self, request: RequestId, outcome: RequestOutcome) {
        if let Some(asked) = self.asked.remove(&request) {
            // Who has asked may not want to know any more.
            let _ = asked.send(self.of(outcome));
        }
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
