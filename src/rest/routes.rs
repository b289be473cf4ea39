//! Which paths there are.

use super::context::Context;
use super::refused::Refused;
use super::{checkpoints, disposal, jobs, savepoints};
use axum::Router;
use axum::http::{Method, StatusCode, Uri};
use axum::routing::{MethodRouter, get, patch, post};
use std::sync::Arc;

struct Route {
    method: &'static str,
    path: &'static str,
    serves: fn() -> MethodRouter<Arc<Context>>,
}

/// All of them, as Flink writes them.
const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/jobs", serves: || get(jobs::ids) },
    Route { method: "GET", path: "/jobs/overview", serves: || get(jobs::overview) },
    Route { method: "GET", path: "/jobs/:jobid", serves: || get(jobs::details) },
    Route { method: "PATCH", path: "/jobs/:jobid", serves: || patch(jobs::terminate) },
    Route { method: "GET", path: "/jobs/:jobid/checkpoints", serves: || get(checkpoints::statistics) },
    Route { method: "POST", path: "/jobs/:jobid/checkpoints", serves: || post(checkpoints::trigger) },
    Route { method: "GET", path: "/jobs/:jobid/checkpoints/:triggerid", serves: || get(checkpoints::status) },
    Route { method: "POST", path: "/jobs/:jobid/savepoints", serves: || post(savepoints::trigger) },
    Route { method: "GET", path: "/jobs/:jobid/savepoints/:triggerid", serves: || get(savepoints::status) },
    Route { method: "POST", path: "/jobs/:jobid/stop", serves: || post(savepoints::stop) },
    Route { method: "POST", path: "/savepoint-disposal", serves: || post(disposal::trigger) },
    Route { method: "GET", path: "/savepoint-disposal/:triggerid", serves: || get(disposal::status) },
];

/// The method and the path of every request that is served.
pub fn routes() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|route| (route.method, route.path))
}

/// As Flink's server, this one has everything below `/v1` too.
pub(super) fn router(context: Arc<Context>) -> Router {
    let all = ROUTES.iter().fold(Router::new(), |all, route| {
        let path: Vec<_> = route.path.split('/').map(placeholder).collect();
        all.route(&path.join("/"), (route.serves)())
    });
    let all = Router::new().nest("/v1", all.clone()).merge(all);
    all.fallback(unknown).method_not_allowed_fallback(wrong_method).with_state(context)
}

fn placeholder(part: &str) -> String {
    part.strip_prefix(':').map_or_else(|| part.to_owned(), |name| format!("{{{name}}}"))
}

async fn unknown(uri: Uri) -> Refused {
    Refused::not_found(format!("Not found: {}", uri.path()))
}

async fn wrong_method(method: Method, uri: Uri) -> Refused {
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not served at {}", uri.path()))
}
