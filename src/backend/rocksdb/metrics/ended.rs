//! The metrics of instances that have ended, for those who want them once a job is over.

use super::super::database::Database;
use super::{Metric, metrics_of};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

type Metrics = Mutex<Vec<Metric>>;

/// Keeps what instances of the process say at their end, as long as it is there itself.
#[derive(Debug)]
pub struct EndedInstances(Arc<Metrics>);

impl EndedInstances {
    /// Begins to keep them.
    pub fn watch() -> Self {
        let watch = Arc::default();
        watches().push(Arc::downgrade(&watch));
        EndedInstances(watch)
    }

    /// What instances said that have ended since, in the order of their ends.
    pub fn metrics(&self) -> Vec<Metric> {
        lock(&self.0).clone()
    }
}

/// Keeps the metrics of an instance that ends now.
pub(in super::super) fn has_ended(database: &Database) {
    let mut watches = watches();
    watches.retain(|watch| watch.strong_count() > 0);
    if watches.is_empty() {
        return;
    }
    let metrics = metrics_of(database);
    for watch in watches.iter().filter_map(Weak::upgrade) {
        lock(&watch).extend_from_slice(&metrics);
    }
}

fn watches() -> MutexGuard<'static, Vec<Weak<Metrics>>> {
    static WATCHES: Mutex<Vec<Weak<Metrics>>> = Mutex::new(Vec::new());
    lock(&WATCHES)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
