//! What job there is, and its end without a savepoint.

use super::context::{Context, timestamp};
use super::refused::Refused;
use super::request::OfJob;
use crate::runtime::StorageTrouble;
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::SystemTime;

/// Flink: `JobIdsWithStatusOverview`.
pub(super) async fn ids(State(context): State<Arc<Context>>) -> Json<Value> {
    let (job, status) = (context.watch.job().to_string(), context.watch.progress().status);
    Json(json!({ "jobs": [{ "id": job, "status": status }] }))
}

/// Flink: `MultipleJobsDetails`.
pub(super) async fn overview(State(context): State<Arc<Context>>) -> Json<Value> {
    let mut job = common(&context);
    let tasks: u32 = context.watch.operators().iter().map(|operator| u32::from(operator.parallelism)).sum();
    job["tasks"] = json!({ "total": tasks });
    Json(json!({ "jobs": [job] }))
}

/// Flink: `JobDetailsInfo`. Operators are known by their uids.
pub(super) async fn details(OfJob(context): OfJob) -> Json<Value> {
    let mut job = common(&context);
    job["now"] = json!(timestamp(SystemTime::now()));
    let operators = context.watch.operators();
    let operators = operators.iter().map(|operator| {
        json!({
            "id": operator.uid,
            "name": operator.name,
            "parallelism": operator.parallelism,
            "maxParallelism": operator.max_parallelism,
        })
    });
    job["vertices"] = operators.collect();
    if let Some(StorageTrouble { since, error }) = context.watch.storage_trouble() {
        job["storage-trouble"] = json!({ "since": timestamp(context.watch.at(since)), "error": error });
    }
    Json(job)
}

fn common(context: &Context) -> Value {
    let (watch, progress) = (&context.watch, context.watch.progress());
    let start = watch.started();
    let end = progress.ended.map(|ended| timestamp(watch.at(ended)) as i64);
    let duration = match progress.ended {
        Some(ended) => ended.0,
        None => timestamp(SystemTime::now()).saturating_sub(timestamp(start)),
    };
    json!({
        "jid": watch.job().to_string(),
        "name": context.job_name,
        "state": progress.status,
        "start-time": timestamp(start),
        "end-time": end.unwrap_or(-1),
        "duration": duration,
    })
}

/// Flink: `JobCancellationHandler`.
pub(super) async fn terminate(
    OfJob(context): OfJob,
    RawQuery(query): RawQuery,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let pairs = query.as_deref().unwrap_or_default().split('&');
    let mode = pairs.filter_map(|pair| pair.strip_prefix("mode=")).next_back().unwrap_or("cancel");
    match mode.to_ascii_lowercase().as_str() {
        "cancel" => {
            context.control.cancel();
            Ok((StatusCode::ACCEPTED, Json(json!({}))))
        }
        "stop" => Err(Refused::bad_request(
            "the mode `stop` is no more: POST to /jobs/:jobid/stop stops with a savepoint",
        )),
        _ => Err(Refused::bad_request(format!("there is no mode `{mode}`: `cancel` is expected"))),
    }
}
