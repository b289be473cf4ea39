use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

/// Why a request is not served. Its body is that of Flink's errors.
#[derive(Debug)]
pub(super) struct Refused {
    status: StatusCode,
    what: String,
}

impl Refused {
    pub(super) fn new(status: StatusCode, what: impl Into<String>) -> Self {
        Refused { status, what: what.into() }
    }

    pub(super) fn bad_request(what: impl Into<String>) -> Self {
        Refused::new(StatusCode::BAD_REQUEST, what)
    }

    pub(super) fn not_found(what: impl Into<String>) -> Self {
        Refused::new(StatusCode::NOT_FOUND, what)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "errors": [self.what] }))).into_response()
    }
}
