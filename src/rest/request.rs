//! What is read from a request before it is served.

use super::context::Context;
use super::refused::Refused;
use super::trigger_id::TriggerId;
use crate::base::JobId;
use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The job that a path names.
pub(super) struct OfJob(pub(super) Arc<Context>);

/// What a path asks for.
pub(super) struct Triggered(pub(super) TriggerId);

/// A JSON body. An empty one says nothing, which is an empty object.
pub(super) struct Body<T>(pub(super) T);

impl FromRequestParts<Arc<Context>> for OfJob {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Refused> {
        let text = parameter(parts, context, "jobid").await?;
        let job: JobId = text.parse().map_err(|error| Refused::bad_request(format!("{error}")))?;
        if job != context.watch.job() {
            return Err(Refused::not_found(format!(
                "there is no job {job}; job {} runs here",
                context.watch.job()
            )));
        }
        Ok(OfJob(Arc::clone(context)))
    }
}

impl FromRequestParts<Arc<Context>> for Triggered {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, context: &Arc<Context>) -> Result<Self, Refused> {
        let text = parameter(parts, context, "triggerid").await?;
        text.parse().map(Triggered).map_err(Refused::bad_request)
    }
}

impl<T: DeserializeOwned> FromRequest<Arc<Context>> for Body<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, context: &Arc<Context>) -> Result<Self, Refused> {
        let bytes = Bytes::from_request(request, context).await;
        let bytes = bytes.map_err(|rejection| Refused::new(rejection.status(), rejection.body_text()))?;
        let text: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        let parsed = serde_json::from_slice(text);
        parsed.map(Body).map_err(|error| Refused::bad_request(format!("the body is wrong: {error}")))
    }
}

async fn parameter(parts: &mut Parts, context: &Arc<Context>, name: &str) -> Result<String, Refused> {
    let path = Path::<BTreeMap<String, String>>::from_request_parts(parts, context).await;
    let Path(mut parameters) =
        path.map_err(|rejection| Refused::new(rejection.status(), rejection.body_text()))?;
    parameters.remove(name).ok_or_else(|| Refused::bad_request(format!("the path has no {name}")))
}
