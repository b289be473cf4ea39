//! Checkpoints: asking for one, and what became of the newest.

use super::context::{Context, timestamp};
use super::operations::{Asked, Ended, UnderWay, cause};
use super::refused::Refused;
use super::request::{Body, OfJob, Triggered};
use super::trigger_id::TriggerId;
use crate::base::{CheckpointKind, Millis};
use crate::runtime::{CheckpointEnd, CheckpointStatistics, CheckpointType, RestoredCheckpoint};
use axum::Json;
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

/// Flink: `CheckpointTriggerRequestBody`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckpointBody {
    #[serde(rename = "checkpointType")]
    checkpoint_type: Option<Type>,
    #[serde(rename = "triggerId")]
    trigger: Option<TriggerId>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Type {
    Configured,
    Full,
    Incremental,
}

pub(super) async fn trigger(
    OfJob(context): OfJob,
    Body(body): Body<CheckpointBody>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let checkpoint_type = match body.checkpoint_type {
        None | Some(Type::Configured) => CheckpointType::Configured,
        Some(Type::Full) => CheckpointType::Full,
        Some(Type::Incremental) => CheckpointType::Incremental,
    };
    let start = || UnderWay::Request(context.control.trigger_checkpoint(checkpoint_type));
    context.checkpoints.trigger(body.trigger, Asked::Checkpoint(checkpoint_type), start)
}

pub(super) async fn status(
    OfJob(context): OfJob,
    Triggered(trigger): Triggered,
) -> Result<Json<Value>, Refused> {
    context.checkpoints.status(trigger, |ended| match ended {
        Ended::Checkpoint(checkpoint) => json!({ "checkpointId": checkpoint.id.0 }),
        Ended::Failed { class, what } => json!({ "failureCause": cause(class, &what) }),
        Ended::Disposed => json!({}),
    })
}

/// Flink: `CheckpointingStatistics`, as far as it is known.
pub(super) async fn statistics(OfJob(context): OfJob) -> Json<Value> {
    let history = context.watch.checkpoints();
    let in_progress = history.in_progress.len() as u64;
    let one = |checkpoint: &CheckpointStatistics| statistics_of(checkpoint, &context);
    let newest_first = history.in_progress.values().rev().chain(history.ended.iter().rev());
    Json(json!({
        "counts": {
            "restored": history.restored,
            "total": in_progress + history.completed + history.failed,
            "in_progress": in_progress,
            "completed": history.completed,
            "failed": history.failed,
        },
        "latest": {
            "completed": history.latest_completed.as_ref().map(one),
            "savepoint": history.latest_savepoint.as_ref().map(one),
            "failed": history.latest_failed.as_ref().map(one),
            "restored": history.latest_restored.map(|restored| restored_of(restored, &context)),
        },
        "history": newest_first.map(one).collect::<Vec<_>>(),
    }))
}

fn statistics_of(checkpoint: &CheckpointStatistics, context: &Context) -> Value {
    let at = |since_start| timestamp(context.watch.at(since_start));
    let mut value = json!({
        "id": checkpoint.id.0,
        "is_savepoint": is_savepoint(checkpoint.kind),
        "checkpoint_type": type_of(checkpoint.kind),
        "trigger_timestamp": at(checkpoint.triggered),
        "latest_ack_timestamp": checkpoint.latest_acknowledgement.map(at),
        "num_subtasks": checkpoint.subtasks,
        "num_acknowledged_subtasks": checkpoint.acknowledged,
    });
    let duration = |end: Millis| end.since(checkpoint.triggered).0;
    let end = match &checkpoint.end {
        None => json!({ "status": "IN_PROGRESS" }),
        Some(CheckpointEnd::Completed { at, bytes, external_path }) => json!({
            "status": "COMPLETED",
            "end_to_end_duration": duration(*at),
            "state_size": bytes,
            "external_path": external_path,
        }),
        Some(CheckpointEnd::Failed { at: end, reason }) => json!({
            "status": "FAILED",
            "end_to_end_duration": duration(*end),
            "failure_timestamp": at(*end),
            "failure_message": format!("{reason:?}"),
        }),
    };
    if let (Value::Object(all), Value::Object(end)) = (&mut value, end) {
        all.extend(end);
    }
    value
}

fn restored_of(restored: RestoredCheckpoint, context: &Context) -> Value {
    json!({
        "id": restored.id.0,
        "restore_timestamp": timestamp(context.watch.at(restored.at)),
        "is_savepoint": is_savepoint(restored.kind),
    })
}

/// In Flink what a job is stopped with is a savepoint.
fn is_savepoint(kind: CheckpointKind) -> bool {
    kind.is_savepoint() || kind == CheckpointKind::Stop
}

fn type_of(kind: CheckpointKind) -> &'static str {
    match kind {
        CheckpointKind::Savepoint => "SAVEPOINT",
        CheckpointKind::Stop => "SYNC_SAVEPOINT",
        CheckpointKind::Periodic | CheckpointKind::Full | CheckpointKind::Final => "CHECKPOINT",
    }
}
