//! Savepoints, after which the job goes on, is cancelled or stops.

use super::context::Context;
use super::operations::{Asked, Ended, UnderWay, cause};
use super::refused::Refused;
use super::request::{Body, OfJob, Triggered};
use super::trigger_id::TriggerId;
use crate::base::SavepointFormat;
use crate::coordinator::StopMode;
use crate::runtime::JobControl;
use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// Flink: `SavepointTriggerRequestBody`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SavepointBody {
    #[serde(rename = "cancel-job")]
    cancel_job: Option<bool>,
    #[serde(rename = "target-directory")]
    target_directory: Option<String>,
    #[serde(rename = "formatType")]
    format: Option<SavepointFormat>,
    #[serde(rename = "triggerId")]
    trigger: Option<TriggerId>,
}

/// Flink: `StopWithSavepointRequestBody`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StopBody {
    drain: Option<bool>,
    #[serde(rename = "targetDirectory")]
    target_directory: Option<String>,
    #[serde(rename = "formatType")]
    format: Option<SavepointFormat>,
    #[serde(rename = "triggerId")]
    trigger: Option<TriggerId>,
}

pub(super) async fn trigger(
    OfJob(context): OfJob,
    Body(body): Body<SavepointBody>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let (format, target) = (body.format.unwrap_or_default(), body.target_directory);
    let (savepoints, control) = (&context.savepoints, control(&context, target.as_deref()));
    match body.cancel_job {
        Some(true) => savepoints.trigger(body.trigger, Asked::CancelWithSavepoint(format, target), || {
            UnderWay::Request(control.cancel_with_savepoint(format))
        }),
        _ => savepoints.trigger(body.trigger, Asked::Savepoint(format, target), || {
            UnderWay::Request(control.trigger_savepoint(format))
        }),
    }
}

pub(super) async fn stop(
    OfJob(context): OfJob,
    Body(body): Body<StopBody>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let (format, target) = (body.format.unwrap_or_default(), body.target_directory);
    let control = control(&context, target.as_deref());
    let mode = if body.drain == Some(true) { StopMode::Drain } else { StopMode::Suspend };
    let start = || UnderWay::Request(control.stop_with_savepoint(mode, format));
    context.savepoints.trigger(body.trigger, Asked::Stop(mode, format, target), start)
}

pub(super) async fn status(
    OfJob(context): OfJob,
    Triggered(trigger): Triggered,
) -> Result<Json<Value>, Refused> {
    context.savepoints.status(trigger, |ended| match ended {
        Ended::Checkpoint(savepoint) => json!({ "location": savepoint.external_path }),
        Ended::Failed { class, what } => json!({ "failure-cause": cause(class, &what) }),
        Ended::Disposed => json!({}),
    })
}

/// What the job is told through, with the directory that the client has chosen.
fn control(context: &Context, target: Option<&str>) -> JobControl {
    match target {
        Some(directory) => context.control.with_savepoints_in(directory),
        None => context.control.clone(),
    }
}
