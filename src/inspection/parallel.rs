//! Looking at several files at once.

use std::num::NonZero;
use std::panic;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Does `work` for each of the items on as many threads as there are processors, and gives what has come of them in the order of
/// the items. How many bytes `work` says that it has read is told to `progress` meanwhile, on the caller's thread.
pub(super) fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    progress: &mut dyn FnMut(u64),
    work: impl Fn(&T, &mut dyn FnMut(u64)) -> R + Sync,
) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZero::get).min(items.len());
    let (work, next) = (&work, &AtomicUsize::new(0));
    let left = move || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
        numbers.map_while(|number| Some((number, items.get(number)?)))
    };
    let mut done: Vec<(usize, R)> = thread::scope(|scope| {
        let (sender, reports) = mpsc::channel();
        let start = |_| {
            let sender = sender.clone();
            let run = move || {
                // The receiver stays until all are gone.
                let mut tell = |read_bytes| {
                    let _ = sender.send(read_bytes);
                };
                left().map(|(number, item)| (number, work(item, &mut tell))).collect::<Vec<_>>()
            };
            thread::Builder::new().spawn_scoped(scope, run).ok()
        };
        let workers: Vec<_> = (0..threads).map_while(start).collect();
        drop(sender);
        for read_bytes in reports {
            progress(read_bytes);
        }
        let join = |worker: thread::ScopedJoinHandle<'_, Vec<_>>| {
            worker.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
        };
        workers.into_iter().flat_map(join).collect()
    });
    // All of them, where no thread could be started.
    done.extend(left().map(|(number, item)| (number, work(item, progress))));
    done.sort_unstable_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, found)| found).collect()
}
