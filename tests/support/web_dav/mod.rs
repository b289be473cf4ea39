//! A server on this machine that speaks WebDAV, by the crate `dav-server`: the files in a directory, and faults between it and
//! its clients.
#![allow(dead_code, reason = "no test uses all of it")]

#[allow(clippy::duplicate_mod, reason = "each server has its own")]
#[path = "../faults.rs"]
mod faults;

pub use faults::Fault;

use dav_server::body::Body;
use dav_server::fakels::FakeLs;
use dav_server::localfs::LocalFs;
use dav_server::{DavConfig, DavHandler};
use faults::Faults;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use snapline::store::ObjectStoreOptions;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

const USERNAME: &str = "test";
const PASSWORD: &str = "geheim";
/// The same as `Authorization` has it (RFC 7617).
const AUTHORIZATION: &str = "Basic dGVzdDpnZWhlaW0=";

/// How a server differs from one that is as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quirk {
    /// It does not.
    None,
    /// `Overwrite: F` means nothing to it.
    Overwrites,
    /// What stands before it sends every move a second time, and gives that answer.
    MovesTwice,
    /// The same, and the server looks first whether the new name is taken, as some do.
    MovesTwiceAndRefuses,
    /// A directory that is there is forbidden to make, as with Apache while another client makes it.
    ForbidsToMakeAgain,
    /// It answers requests with this method, or all that write, with this status.
    Answers(&'static str, StatusCode),
}

/// Dropping it stops it.
pub struct WebDavServer {
    directory: TempDir,
    address: SocketAddr,
    faults: Arc<Mutex<Faults>>,
    _runtime: Runtime,
}

impl WebDavServer {
    pub fn start() -> Self {
        WebDavServer::with(Quirk::None)
    }

    pub fn with(quirk: Quirk) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let files = LocalFs::new(directory.path(), false, false, false);
        let handler = DavConfig::new().filesystem(files).locksystem(FakeLs::new()).build_handler();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let (address, faults) = (listener.local_addr().unwrap(), Arc::<Mutex<Faults>>::default());
        let moves = Arc::default();
        let carry_out = move |request| carry_out(request, handler.clone(), quirk, Arc::clone(&moves));
        runtime.spawn(faults::serve(listener, carry_out, Body::empty, Arc::clone(&faults)));
        WebDavServer { directory, address, faults, _runtime: runtime }
    }

    /// Where checkpoints are kept.
    pub fn url(&self) -> String {
        format!("http://{}/some/directory", self.address)
    }

    /// The same directory on the disk.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("some/directory")
    }

    /// How it is reached. Pauses are short.
    pub fn options(&self) -> ObjectStoreOptions {
        let store = [("username", USERNAME), ("password", PASSWORD)];
        ObjectStoreOptions {
            store: store.map(|(key, value)| (key.to_owned(), value.to_owned())).into(),
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

async fn carry_out(
    mut request: Request<Incoming>,
    handler: DavHandler,
    quirk: Quirk,
    moves: Arc<tokio::sync::Mutex<()>>,
) -> Result<Response<Body>, &'static str> {
    let has = |header: &str, value: &str| request.headers().get(header).is_some_and(|found| found == value);
    let method = request.method().as_str();
    let refused = match quirk {
        _ if !has("authorization", AUTHORIZATION) => Some(StatusCode::UNAUTHORIZED),
        Quirk::Answers("", status) if !matches!(method, "GET" | "HEAD") => Some(status),
        Quirk::Answers(refused, status) if refused == method => Some(status),
        // As Apache does, unless it is told otherwise.
        _ if has("depth", "infinity") => Some(StatusCode::FORBIDDEN),
        _ => None,
    };
    if let Some(status) = refused {
        faults::arrive(request).await;
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = status;
        return Ok(answer);
    }
    if quirk == Quirk::Overwrites {
        request.headers_mut().remove("overwrite");
    }
    if matches!(quirk, Quirk::MovesTwice | Quirk::MovesTwiceAndRefuses) && request.method().as_str() == "MOVE"
    {
        let mut first = Request::new(Body::empty());
        *first.method_mut() = request.method().clone();
        *first.uri_mut() = request.uri().clone();
        *first.headers_mut() = request.headers().clone();
        let moved = handler.handle(first).await.status().is_success();
        if moved && quirk == Quirk::MovesTwiceAndRefuses {
            let mut answer = Response::new(Body::empty());
            *answer.status_mut() = StatusCode::PRECONDITION_FAILED;
            return Ok(answer);
        }
    }
    let is_made = quirk == Quirk::ForbidsToMakeAgain && request.method().as_str() == "MKCOL";
    // The crate looks whether a name is taken and then renames, between which two there may be another one.
    let _alone = match request.method().as_str() {
        "MOVE" => Some(moves.lock().await),
        _ => None,
    };
    let mut answer = handler.handle(request).await;
    if is_made && answer.status() == StatusCode::METHOD_NOT_ALLOWED {
        *answer.status_mut() = StatusCode::FORBIDDEN;
    }
    Ok(answer)
}
