//! The instances of the process, for what goes over all of them.

use super::database::Database;
use super::metrics;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// An instance in use: until it is dropped, those who go over all instances find it.
#[derive(Debug)]
pub(super) struct Instance(Arc<Database>);

impl Instance {
    pub(super) fn new(database: Database) -> Self {
        let database = Arc::new(database);
        let mut instances = lock();
        instances.retain(|one| one.strong_count() > 0);
        instances.push(Arc::downgrade(&database));
        Instance(database)
    }
}

impl Deref for Instance {
    type Target = Arc<Database>;

    fn deref(&self) -> &Arc<Database> {
        &self.0
    }
}

impl Drop for Instance {
    /// Waits for who goes over all instances, who would otherwise be the last to have it, and remove its directory when
    /// nobody expects it any more.
    fn drop(&mut self) {
        metrics::has_ended(&self.0);
        lock().retain(|one| one.as_ptr() != Arc::as_ptr(&self.0));
    }
}

/// Those that there are now. As long as it is kept, none begins or ends.
pub(super) struct Instances(MutexGuard<'static, Vec<Weak<Database>>>);

impl Instances {
    pub(super) fn of_the_process() -> Self {
        Instances(lock())
    }

    /// All of them. Whoever keeps one longer than this may be the one that closes it.
    pub(super) fn iter(&self) -> impl Iterator<Item = Arc<Database>> {
        self.0.iter().filter_map(Weak::upgrade)
    }
}

fn lock() -> MutexGuard<'static, Vec<Weak<Database>>> {
    static INSTANCES: Mutex<Vec<Weak<Database>>> = Mutex::new(Vec::new());
    INSTANCES.lock().unwrap_or_else(PoisonError::into_inner)
}
