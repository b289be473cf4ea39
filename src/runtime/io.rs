use crossbeam_channel::{Receiver, Sender, unbounded};
use std::thread::JoinHandle;

type Work = Box<dyn FnOnce() + Send>;

/// A few threads for everything that waits for a storage.
pub(super) struct IoPool {
    queue: Option<Sender<Work>>,
    threads: Vec<JoinHandle<()>>,
}

/// Hands work to an [`IoPool`].
#[derive(Clone)]
pub(super) struct IoQueue(Sender<Work>);

impl IoQueue {
    /// Runs `work` on some thread, soon. Work that panics ends alone.
    pub(super) fn run(&self, work: impl FnOnce() + Send + 'static) {
        // The pool outlives every task; work that comes later is work for nobody.
        let _ = self.0.send(Box::new(work));
    }
}

impl IoQueue {
    /// A thread of its own, which nobody waits for: for work that may never end, in which nobody is interested when the job has
    /// ended.
    pub(super) fn detached(name: &str) -> std::io::Result<Self> {
        let (queue, work) = unbounded::<Work>();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || carry_out(work))?;
        Ok(IoQueue(queue))
    }
}

fn carry_out(work: Receiver<Work>) {
    for work in work {
        if std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).is_err() {
            tracing::error!("work for a storage panicked");
        }
    }
}

impl IoPool {
    pub(super) fn start(threads: usize) -> std::io::Result<Self> {
        let (queue, work) = unbounded::<Work>();
        let threads = (0..threads)
            .map(|index| {
                let work = work.clone();
                std::thread::Builder::new()
                    .name(format!("snapline-io-{index}"))
                    .spawn(move || carry_out(work))
            })
            .collect::<Result<_, _>>()?;
        Ok(IoPool { queue: Some(queue), threads })
    }

    pub(super) fn queue(&self) -> Option<IoQueue> {
        self.queue.clone().map(IoQueue)
    }
}

impl Drop for IoPool {
    /// Finishes all work that was handed over.
    fn drop(&mut self) {
        self.queue = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
