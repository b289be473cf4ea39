//! An S3 server on this machine: the protocol and its signatures by the crate `s3s`, the objects in memory, and faults
//! between it and its clients.
#![allow(dead_code, reason = "no test uses all of it")]

mod bucket;

pub use bucket::Bucket;

use futures_util::StreamExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use snapline::store::ObjectStoreOptions;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const ACCESS_KEY: &str = "test";
const SECRET_KEY: &str = "secret";

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is refused, and nothing has been done.
    Refused,
    /// It is carried out, and then answered as if something had gone wrong.
    Failed,
    /// It is carried out, and the connection is closed without an answer.
    Lost,
    /// The connection is closed, and nothing has been done.
    Closed,
    /// Its signature is not accepted.
    Forbidden,
    /// It is never answered.
    Hanging,
}

/// What becomes of a request with a method, and with a number among those.
type Plan = Box<dyn Fn(&str, u64) -> Option<Fault> + Send>;

#[derive(Default)]
struct Faults {
    plan: Option<Plan>,
    /// How many requests there were with each method since the plan was made.
    requests: BTreeMap<String, u64>,
}

impl Faults {
    fn next(&mut self, method: &str) -> Option<Fault> {
        let requests = self.requests.entry(method.to_owned()).or_default();
        *requests += 1;
        self.plan.as_ref()?(method, *requests - 1)
    }
}

/// Dropping it stops it.
pub struct S3Server {
    pub bucket: Bucket,
    address: SocketAddr,
    faults: Arc<Mutex<Faults>>,
    _runtime: Runtime,
}

impl S3Server {
    pub fn start() -> Self {
        S3Server::with(Bucket::default())
    }

    pub fn with(bucket: Bucket) -> Self {
        let mut service = S3ServiceBuilder::new(bucket.clone());
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, faults) = (listener.local_addr().unwrap(), Arc::<Mutex<Faults>>::default());
        runtime.spawn(serve(listener, service, Arc::clone(&faults)));
        S3Server { bucket, address, faults, _runtime: runtime }
    }

    /// Where checkpoints are kept in its bucket.
    pub fn url(&self) -> String {
        format!("s3://{}/some/directory", Bucket::NAME)
    }

    /// How it is reached. Pauses are short, and whatever the environment says does not count.
    pub fn options(&self) -> ObjectStoreOptions {
        let store = [
            ("endpoint", format!("http://{}", self.address)),
            ("allow_http", "true".to_owned()),
            ("region", "eu-central-1".to_owned()),
            ("access_key_id", ACCESS_KEY.to_owned()),
            ("secret_access_key", SECRET_KEY.to_owned()),
        ];
        ObjectStoreOptions {
            store: store.map(|(key, value)| (key.to_owned(), value)).into(),
            initial_backoff: Duration::from_millis(1),
            write_buffer_bytes: ObjectStoreOptions::MIN_WRITE_BUFFER_BYTES,
            ..ObjectStoreOptions::default()
        }
    }

    /// From now on this is what happens to requests, instead of what was planned before.
    pub fn plan(&self, plan: impl Fn(&str, u64) -> Option<Fault> + Send + 'static) {
        *self.faults.lock().unwrap() = Faults { plan: Some(Box::new(plan)), ..Faults::default() };
    }

    /// How many requests there were with this method since the last plan.
    pub fn requests(&self, method: &str) -> u64 {
        self.faults.lock().unwrap().requests.get(method).copied().unwrap_or(0)
    }
}

async fn serve(listener: TcpListener, service: S3Service, faults: Arc<Mutex<Faults>>) {
    loop {
        // A client that is gone before it is accepted is no reason to stop.
        let Ok((connection, _)) = listener.accept().await else { continue };
        let (service, faults) = (service.clone(), Arc::clone(&faults));
        let answer = service_fn(move |request: Request<Incoming>| {
            let fault = faults.lock().unwrap().next(request.method().as_str());
            let (service, request) = (service.clone(), request.map(s3s::Body::from));
            async move {
                match fault {
                    None => service.call(request).await.map_err(|_| "the service has failed"),
                    Some(Fault::Refused) => Ok(refuse(request, StatusCode::SERVICE_UNAVAILABLE).await),
                    Some(Fault::Forbidden) => Ok(refuse(request, StatusCode::FORBIDDEN).await),
                    Some(Fault::Closed) => Err("planned"),
                    Some(Fault::Hanging) => std::future::pending().await,
                    Some(Fault::Failed) => {
                        let _ = service.call(request).await;
                        Ok(answer_of(StatusCode::INTERNAL_SERVER_ERROR))
                    }
                    Some(Fault::Lost) => {
                        let _ = service.call(request).await;
                        Err("planned")
                    }
                }
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), answer));
    }
}

/// Answers when the whole request has arrived, as servers do.
async fn refuse(request: Request<s3s::Body>, status: StatusCode) -> Response<s3s::Body> {
    let mut body = request.into_body();
    while body.next().await.is_some() {}
    answer_of(status)
}

fn answer_of(status: StatusCode) -> Response<s3s::Body> {
    let mut answer = Response::new(s3s::Body::empty());
    *answer.status_mut() = status;
    answer
}
