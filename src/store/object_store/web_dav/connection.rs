//! What the client of the crate `object_store` does not know of WebDAV, between it and the connection.

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
    ReqwestConnector,
};
use object_store::{ClientOptions, Result};
use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};

/// Connects like the crate, with [`Connection`] between.
#[derive(Debug)]
pub(super) struct Connector;

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> Result<HttpClient> {
        Ok(HttpClient::new(Connection { client: ReqwestConnector::default().connect(options)? }))
    }
}

#[derive(Debug)]
struct Connection {
    client: HttpClient,
}

/// An answer of a server that does not know, or does not allow, what it was asked for.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "{method} was answered with {status}; checkpoints need a server that speaks WebDAV (PUT, GET, DELETE, MKCOL, \
     PROPFIND, and MOVE with `Overwrite: F`) and allows it here"
)]
pub(super) struct NoWebDav {
    method: Method,
    status: StatusCode,
}

/// An answer that tells of one object as if it were several, which it does when something has failed.
#[derive(Debug, thiserror::Error)]
#[error("{method} was answered with {}: not all of it was done", StatusCode::MULTI_STATUS)]
struct InPart {
    method: Method,
}

/// An answer that no server gives which has moved something: of another page, for instance, to which the request was redirected.
#[derive(Debug, thiserror::Error)]
#[error("MOVE was answered with {status} instead of {} or {}", StatusCode::CREATED, StatusCode::NO_CONTENT)]
struct NotMoved {
    status: StatusCode,
}

impl Connection {
    /// Whether there is what `request` is about.
    async fn is_there(&self, mut request: HttpRequest) -> Result<bool, HttpError> {
        *request.method_mut() = named("PROPFIND");
        request.headers_mut().insert("depth", HeaderValue::from_static("0"));
        Ok(self.client.execute(request).await?.status().is_success())
    }
}

fn named(method: &str) -> Method {
    Method::from_bytes(method.as_bytes()).expect("it is a name")
}

#[async_trait::async_trait]
impl HttpService for Connection {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        // A server may show a copy before it is whole, and keep a half after a crash. A move is a change of names.
        if request.method().as_str() == "COPY" {
            *request.method_mut() = named("MOVE");
        }
        let method = request.method().clone();
        let made = (method.as_str() == "MKCOL").then(|| request.clone());
        let mut answer = self.client.execute(request).await?;
        if let Some(made) = made
            && matches!(answer.status(), StatusCode::METHOD_NOT_ALLOWED | StatusCode::FORBIDDEN)
            && self.is_there(made).await?
        {
            // Somebody else has made the directory, and the crate takes that for a failure. Apache calls it forbidden while
            // they do.
            *answer.status_mut() = StatusCode::CREATED;
            return Ok(answer);
        }
        let failed = match (method.as_str(), answer.status()) {
            ("GET" | "HEAD", _) => return Ok(answer),
            (_, status @ (StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED)) => {
                HttpError::new(HttpErrorKind::Unknown, NoWebDav { method, status })
            }
            ("MOVE" | "DELETE", StatusCode::MULTI_STATUS) => {
                HttpError::new(HttpErrorKind::Unknown, InPart { method })
            }
            // RFC 4918, 9.9.4
            ("MOVE", status)
                if status.is_success() && !matches!(status, StatusCode::CREATED | StatusCode::NO_CONTENT) =>
            {
                HttpError::new(HttpErrorKind::Unknown, NotMoved { status })
            }
            _ => return Ok(answer),
        };
        Err(failed)
    }
}
