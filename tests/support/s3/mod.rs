//! An S3 server on this machine: the protocol and its signatures by the crate `s3s`, the objects in memory, and faults
//! between it and its clients.
#![allow(dead_code, reason = "no test uses all of it")]

mod bucket;
#[allow(clippy::duplicate_mod, reason = "each server has its own")]
#[path = "../faults.rs"]
mod faults;

pub use bucket::Bucket;
pub use faults::Fault;

use faults::Faults;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use snapline::store::ObjectStoreOptions;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const ACCESS_KEY: &str = "test";
const SECRET_KEY: &str = "secret";

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
        let carry_out = move |request: hyper::Request<hyper::body::Incoming>| {
            let service = service.clone();
            async move {
                let answer = service.call(request.map(s3s::Body::from)).await;
                answer.map_err(|_| "the service has failed")
            }
        };
        runtime.spawn(faults::serve(listener, carry_out, s3s::Body::empty, Arc::clone(&faults)));
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
        *self.faults.lock().unwrap() = Faults::planned(plan);
    }

    /// How many requests there were with this method since the last plan.
    pub fn requests(&self, method: &str) -> u64 {
        self.faults.lock().unwrap().requests(method)
    }
}
