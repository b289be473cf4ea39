//! Who waits for an answer of the coordinator.

use super::super::control::{Answer, RequestedCheckpoint};
use super::super::error::RequestError;
use super::target::{CopyAsSavepoint, Target};
use crate::base::{Attempt, CheckpointId};
use crate::coordinator::{Refusal, RequestId, RequestOutcome};
use crossbeam_channel::Sender;
use std::collections::BTreeMap;

/// The requests of users that are not answered yet.
#[derive(Default)]
pub(super) struct Answers {
    asked: BTreeMap<RequestId, Asked>,
    /// How many requests were made so far.
    requests: u64,
    /// The newest complete checkpoint: it is told of right before the request for it is answered.
    completed: Option<RequestedCheckpoint>,
}

struct Asked {
    answer: Sender<Answer>,
    /// Where the savepoint is to lie, if its user has chosen that.
    target: Option<Target>,
    /// Whether the savepoint lies there.
    is_placed: bool,
}

impl Answers {
    pub(super) fn ask(&mut self, answer: Sender<Answer>) -> RequestId {
        self.requests += 1;
        let request = RequestId(self.requests);
        self.asked.insert(request, Asked { answer, target: None, is_placed: false });
        request
    }

    /// A request has a target, in which something can be written.
    pub(super) fn aim(&mut self, request: RequestId, target: Target) {
        if let Some(asked) = self.asked.get_mut(&request) {
            asked.target = Some(target);
        }
    }

    /// Places the savepoint of a request.
    pub(super) fn place(&mut self, request: RequestId, savepoint: CheckpointId, attempt: Attempt) {
        if let Some(Asked { target: Some(target), is_placed, .. }) = self.asked.get_mut(&request) {
            target.place(savepoint, attempt);
            *is_placed = true;
        }
    }

    pub(super) fn completed(&mut self, checkpoint: RequestedCheckpoint) {
        self.completed = Some(checkpoint);
    }

    /// Answers a request, unless what the job was stopped with is to be copied first.
    pub(super) fn answer(&mut self, request: RequestId, outcome: RequestOutcome) -> Option<CopyAsSavepoint> {
        let Asked { answer, target, is_placed } = self.asked.remove(&request)?;
        match (self.of(outcome), target) {
            (Ok(checkpoint), Some(target)) if !is_placed => {
                return Some(CopyAsSavepoint { checkpoint, target, answer });
            }
            (outcome, _) => tell(&answer, outcome),
        }
        None
    }

    /// A request has not come to the coordinator.
    pub(super) fn refuse(&mut self, request: RequestId, error: RequestError) {
        if let Some(asked) = self.asked.remove(&request) {
            tell(&asked.answer, Err(error));
        }
    }

    /// Nobody else answers any more.
    pub(super) fn refuse_rest(&mut self) {
        for asked in std::mem::take(&mut self.asked).into_values() {
            tell(&asked.answer, Err(RequestError::Refused(Refusal::JobEnding)));
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

pub(super) fn tell(asked: &Sender<Answer>, answer: Answer) {
    // Who has asked may not want to know any more.
    let _ = asked.send(answer);
}
