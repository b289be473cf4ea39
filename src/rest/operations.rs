//! What was triggered, and how it ended.

use super::refused::Refused;
use super::trigger_id::TriggerId;
use crate::base::SavepointFormat;
use crate::coordinator::StopMode;
use crate::runtime::{
    CheckpointType, Disposal, DisposalError, RequestError, RequestHandle, RequestedCheckpoint,
};
use axum::Json;
use axum::http::StatusCode;
use crossbeam_channel::{Receiver, Sender, TryRecvError};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many operations are remembered; of more, the oldest that have ended are forgotten.
const REMEMBERED: usize = 1_000;

/// The operations of one kind, by the ids they were triggered under.
pub(super) struct Operations {
    known: Mutex<VecDeque<Operation>>,
    /// Is told whenever a client has seen a result.
    seen: Sender<()>,
}

struct Operation {
    trigger: TriggerId,
    asked: Asked,
    state: State,
    is_seen: bool,
}

/// What a client has asked for, with the directory that it has chosen for a savepoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Savepoint(SavepointFormat, Option<String>),
    CancelWithSavepoint(SavepointFormat, Option<String>),
    Stop(StopMode, SavepointFormat, Option<String>),
    Checkpoint(CheckpointType),
    Disposal(String),
}

/// An operation that has not ended.
pub(super) enum UnderWay {
    Request(RequestHandle),
    Disposal(Receiver<Result<Disposal, DisposalError>>),
}

/// How an operation ended.
#[derive(Clone)]
pub(super) enum Ended {
    Checkpoint(RequestedCheckpoint),
    Disposed,
    Failed {
        /// Of which kind the cause is (in Flink the class of an exception).
        class: &'static str,
        what: String,
    },
}

enum State {
    UnderWay(UnderWay),
    Ended(Ended),
}

impl Operations {
    pub(super) fn new(seen: Sender<()>) -> Self {
        Operations { known: Mutex::default(), seen }
    }

    /// Starts an operation, unless it was triggered under the same id before.
    pub(super) fn trigger(
        &self,
        trigger: Option<TriggerId>,
        asked: Asked,
        start: impl FnOnce() -> UnderWay,
    ) -> Result<(StatusCode, Json<Value>), Refused> {
        let mut known = self.known();
        let trigger = trigger.unwrap_or_else(TriggerId::draw);
        match known.iter().find(|operation| operation.trigger == trigger) {
            Some(operation) if operation.asked != asked => {
                let what = format!("under the trigger id {trigger} something else was triggered");
                return Err(Refused::new(StatusCode::CONFLICT, what));
            }
            Some(_) => {}
            None => {
                if known.len() >= REMEMBERED {
                    let ended = known.iter_mut().position(Operation::has_ended);
                    ended.and_then(|oldest| known.remove(oldest));
                }
                let state = State::UnderWay(start());
                known.push_back(Operation { trigger, asked, state, is_seen: false });
            }
        }
        Ok((StatusCode::ACCEPTED, Json(json!({ "request-id": trigger.to_string() }))))
    }

    /// How an operation ended, as `result` writes it; without one it is in progress.
    pub(super) fn status(
        &self,
        trigger: TriggerId,
        result: impl FnOnce(Ended) -> Value,
    ) -> Result<Json<Value>, Refused> {
        let mut known = self.known();
        let operation = known.iter_mut().find(|operation| operation.trigger == trigger);
        let unknown = || Refused::not_found(format!("there is no operation under the trigger id {trigger}"));
        let operation = operation.ok_or_else(unknown)?;
        let ended = operation.look().cloned();
        if ended.is_some() {
            operation.is_seen = true;
            // Who has not heard of the last time looks at everything anyway.
            let _ = self.seen.try_send(());
        }
        let id = if ended.is_some() { "COMPLETED" } else { "IN_PROGRESS" };
        Ok(Json(json!({ "status": { "id": id }, "operation": ended.map(result) })))
    }

    pub(super) fn has_unseen(&self) -> bool {
        self.known().iter().any(|operation| !operation.is_seen)
    }

    fn known(&self) -> MutexGuard<'_, VecDeque<Operation>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Operation {
    fn has_ended(&mut self) -> bool {
        self.look().is_some()
    }

    fn look(&mut self) -> Option<&Ended> {
        if let State::UnderWay(under_way) = &self.state {
            self.state = State::Ended(under_way.look()?);
        }
        match &self.state {
            State::Ended(ended) => Some(ended),
            State::UnderWay(_) => None,
        }
    }
}

impl UnderWay {
    fn look(&self) -> Option<Ended> {
        match self {
            UnderWay::Request(handle) => handle.poll(Duration::ZERO).map(|answer| match answer {
                Ok(checkpoint) => Ended::Checkpoint(checkpoint),
                Err(error) => Ended::Failed { class: class_of(&error), what: error.to_string() },
            }),
            UnderWay::Disposal(disposed) => match disposed.try_recv() {
                Ok(Ok(_)) => Some(Ended::Disposed),
                Ok(Err(error)) => Some(Ended::Failed { class: "DisposalError", what: error.to_string() }),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => {
                    Some(Ended::Failed { class: "DisposalError", what: "its thread panicked".to_owned() })
                }
            },
        }
    }
}

fn class_of(error: &RequestError) -> &'static str {
    match error {
        RequestError::Refused(_) => "RequestError::Refused",
        RequestError::WrongTarget { .. } => "RequestError::WrongTarget",
        RequestError::NotCopied { .. } => "RequestError::NotCopied",
        RequestError::Aborted { .. } => "RequestError::Aborted",
        RequestError::Unknown(_) => "RequestError::Unknown",
        RequestError::Unanswered => "RequestError::Unanswered",
    }
}

/// A cause of a failure, with the names that Flink's have. The stack of Rust's errors is their text.
pub(super) fn cause(class: &str, what: &str) -> Value {
    json!({ "class": class, "stack-trace": what })
}
