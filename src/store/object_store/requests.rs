use std::future::Future;
use std::io;
use std::sync::{Arc, mpsc};
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// The threads on which requests make progress while their callers wait.
///
/// Callers wait for an answer in a channel and never enter the runtime, so that they may be asynchronous themselves.
#[derive(Clone, Debug)]
pub(super) struct Requests {
    runtime: Arc<Background>,
}

#[derive(Debug)]
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        // To wait for the threads would panic in a thread that is asynchronous.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Requests {
    /// Enough to serve several subtasks: the threads only move bytes between sockets and buffers.
    const THREADS: usize = 2;

    pub(super) fn start() -> io::Result<Self> {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(Self::THREADS).thread_name("object-store").enable_all();
        Ok(Requests { runtime: Arc::new(Background(Some(builder.build()?))) })
    }

    /// Sends a request without waiting for its answer.
    pub(super) fn begin<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> Pending<T> {
        let (sender, answer) = mpsc::channel();
        let work = async move {
            // Whoever has given the request up does not receive its answer.
            let _ = sender.send(request.await);
        };
        let runtime = self.runtime.0.as_ref();
        let task = runtime.map(|runtime| runtime.spawn(work).abort_handle());
        Pending { answer, task }
    }

    /// Sends a request and waits for its answer.
    pub(super) fn wait<T: Send + 'static>(
        &self,
        request: impl Future<Output = object_store::Result<T>> + Send + 'static,
    ) -> object_store::Result<T> {
        self.begin(request).wait()
    }
}

/// A request under way; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Pending<T> {
    answer: mpsc::Receiver<object_store::Result<T>>,
    task: Option<AbortHandle>,
}

impl<T> Pending<T> {
    pub(super) fn wait(self) -> object_store::Result<T> {
        let lost = |_| object_store::Error::Generic {
            store: "the storage's runtime",
            source: "the request has panicked".into(),
        };
        self.answer.recv().map_err(lost)?
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}
