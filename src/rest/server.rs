//! The life of the server.

use super::context::Context;
use super::routes::router;
use crate::runtime::JobHandle;
use crossbeam_channel::{Receiver, Sender, after, bounded, select};
use std::future::IntoFuture;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// How long requests that are being served may take once the server is to end.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// How a job is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestOptions {
    /// Where the server listens; port 0 takes one that is free. Whoever can reach it can stop the job. Default:
    /// 127.0.0.1, and Flink's port, 8081.
    pub address: SocketAddr,
    /// What the job is called. Default: `job`.
    pub job_name: String,
    /// How long after the end of the job the results of what was triggered are kept for those who have not asked for them yet.
    /// Default: 10 s.
    pub linger: Duration,
}

impl Default for RestOptions {
    fn default() -> Self {
        RestOptions {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
            job_name: "job".to_owned(),
            linger: Duration::from_secs(10),
        }
    }
}

/// Why a job is not served.
#[derive(Debug, thiserror::Error)]
pub enum RestError {
    /// Nobody can listen there. The caller must name another address.
    #[error("the REST server cannot listen on {address}: {cause}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
    /// There is no thread for it.
    #[error("the REST server cannot be started: {0}")]
    Start(io::Error),
}

/// Serves a job over HTTP, from threads of its own, until the job has ended and everyone has been told how what they had
/// triggered has ended, or until this is dropped.
pub struct RestServer {
    address: SocketAddr,
    /// Closes when the server is no longer wanted.
    wanted: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl RestServer {
    /// Serves a job.
    ///
    /// # Errors
    /// The address cannot be listened on, or a thread cannot be started.
    pub fn start(job: &JobHandle, options: RestOptions) -> Result<Self, RestError> {
        let listener = listen(options.address)?;
        RestServer::serve(job, listener, options)
    }

    /// Serves a job where somebody listens already, whatever address the options say.
    ///
    /// # Errors
    /// Nobody listens there, or a thread cannot be started.
    pub fn serve(job: &JobHandle, listener: TcpListener, options: RestOptions) -> Result<Self, RestError> {
        let bind = |cause| RestError::Bind { address: options.address, cause };
        let address = listener.local_addr().map_err(bind)?;
        listener.set_nonblocking(true).map_err(bind)?;
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("snapline-rest")
            .enable_all()
            .build()
            .map_err(RestError::Start)?;
        let (seen, has_been_seen) = bounded(1);
        let context = Arc::new(Context::new(job.control(), job.watch(), options.job_name, &seen));
        let (wanted, unwanted) = bounded(0);
        let serve = move || {
            serve(&threads, listener, &context, || {
                wait_for_the_end(&context, &unwanted, &has_been_seen, options.linger);
            });
            threads.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("snapline-rest-end".into()).spawn(serve);
        let thread = Some(thread.map_err(RestError::Start)?);
        Ok(RestServer { address, wanted: Some(wanted), thread })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it has ended by itself.
    pub fn join(mut self) {
        self.join_thread();
    }

    fn join_thread(&mut self) {
        if let Some(thread) = self.thread.take() {
            // If it panicked, nobody is served any more either.
            let _ = thread.join();
        }
    }
}

impl Drop for RestServer {
    fn drop(&mut self) {
        self.wanted = None;
        self.join_thread();
    }
}

/// Listens there, so that a job need not be started to find out that nobody can.
///
/// # Errors
/// The address is taken, or is not one of this machine.
pub fn listen(address: SocketAddr) -> Result<TcpListener, RestError> {
    TcpListener::bind(address).map_err(|cause| RestError::Bind { address, cause })
}

/// Serves until `end` returns, and a little longer those who have asked before.
fn serve(threads: &Runtime, listener: TcpListener, context: &Arc<Context>, end: impl FnOnce()) {
    let (ending, ended) = oneshot::channel::<()>();
    let router = router(Arc::clone(context));
    let serving = threads.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let until_the_end = async { drop(ended.await) };
        axum::serve(listener, router).with_graceful_shutdown(until_the_end).into_future().await
    });
    end();
    drop(ending);
    let last_answers = threads.block_on(async { tokio::time::timeout(LAST_ANSWERS, serving).await });
    if let Ok(Ok(Err(error))) = last_answers {
        tracing::warn!(%error, "the REST server has failed");
    }
}

/// Waits until the job has ended and all results have been seen, or nobody wants to wait any longer.
fn wait_for_the_end(context: &Context, unwanted: &Receiver<()>, seen: &Receiver<()>, linger: Duration) {
    select! {
        recv(context.watch.ended()) -> _ => {}
        recv(unwanted) -> _ => return,
    }
    let lingered = after(linger);
    while context.has_unseen_results() {
        select! {
            recv(seen) -> _ => {}
            recv(unwanted) -> _ => return,
            recv(lingered) -> _ => return,
        }
    }
}
