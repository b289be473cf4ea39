//! The end of savepoints.

use super::context::Context;
use super::operations::{Asked, Ended, UnderWay, cause};
use super::refused::Refused;
use super::request::{Body, Triggered};
use crate::runtime::dispose_savepoint;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use crossbeam_channel::bounded;
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Flink: `SavepointDisposalRequest`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DisposalBody {
    #[serde(rename = "savepoint-path")]
    savepoint_path: String,
}

pub(super) async fn trigger(
    State(context): State<Arc<Context>>,
    Body(body): Body<DisposalBody>,
) -> Result<(StatusCode, Json<Value>), Refused> {
    let path = body.savepoint_path.strip_prefix("file://").unwrap_or(&body.savepoint_path).to_owned();
    // A relative one would be looked for where this process happens to run.
    if !Path::new(&path).is_absolute() {
        let what = format!("`savepoint-path` must be an absolute path of the file system: {path}");
        return Err(Refused::bad_request(what));
    }
    context.disposals.trigger(None, Asked::Disposal(path.clone()), || {
        let (sender, disposed) = bounded(1);
        tokio::task::spawn_blocking(move || {
            // Nobody may want to know any more.
            let _ = sender.send(dispose_savepoint(path));
        });
        UnderWay::Disposal(disposed)
    })
}

pub(super) async fn status(
    State(context): State<Arc<Context>>,
    Triggered(trigger): Triggered,
) -> Result<Json<Value>, Refused> {
    context.disposals.status(trigger, |ended| match ended {
        Ended::Failed { class, what } => json!({ "failure-cause": cause(class, &what) }),
        Ended::Disposed | Ended::Checkpoint(_) => json!({}),
    })
}
