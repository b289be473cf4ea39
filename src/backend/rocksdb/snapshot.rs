//! All states at one moment, read while they go on changing.

use super::database::{Database, Db, Scan, range_of, visit};
use super::error::RocksDbError;
use super::expiry::LiveSnapshots;
use crate::state::backend::{BackendError, BackendSnapshot, EachEntry, Entries, StateNumber};
use rocksdb::{BoundColumnFamily, SnapshotWithThreadMode};
use self_cell::self_cell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// A snapshot of RocksDB, and the families of the states that there were. What had expired before may be missing from it.
struct Moment<'a> {
    snapshot: SnapshotWithThreadMode<'a, Db>,
    families: Vec<Arc<BoundColumnFamily<'a>>>,
    _counted: Counted,
}

/// Counts a snapshot as long as it lives.
struct Counted(LiveSnapshots);

impl Counted {
    fn new(snapshots: &LiveSnapshots) -> Self {
        snapshots.fetch_add(1, Ordering::AcqRel);
        Counted(Arc::clone(snapshots))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

self_cell!(
    struct Held {
        owner: Arc<Database>,
        #[covariant]
        dependent: Moment,
    }
);

/// Keeps its instance as long as it lives.
pub(super) struct RocksDbSnapshot(Held);

impl RocksDbSnapshot {
    pub(super) fn take(database: &Arc<Database>, families: &[String]) -> Result<Self, RocksDbError> {
        let held = Held::try_new(Arc::clone(database), |database| {
            // It counts before it is taken, or something that lives might be removed in between.
            let counted = Counted::new(&database.families.snapshots);
            let families = database.families(families)?;
            Ok::<_, RocksDbError>(Moment { families, snapshot: database.db.snapshot(), _counted: counted })
        });
        held.map(RocksDbSnapshot)
    }
}

impl BackendSnapshot for RocksDbSnapshot {
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        let Moment { snapshot, families, .. } = self.0.borrow_dependent();
        match families.get(state.0) {
            Some(family) => {
                let iterator = snapshot.raw_iterator_cf_opt(family, range_of(prefix));
                Box::new(Scan::new(iterator, self.0.borrow_owner()))
            }
            None => Box::new(std::iter::empty()),
        }
    }

    fn visit(&self, state: StateNumber, prefix: &[u8], each: &mut EachEntry<'_>) -> Result<(), BackendError> {
        let Moment { snapshot, families, .. } = self.0.borrow_dependent();
        let Some(family) = families.get(state.0) else { return Ok(()) };
        let mut options = range_of(prefix);
        // To read everything once is no reason to forget what is read often.
        options.fill_cache(false);
        let visited = visit(snapshot.raw_iterator_cf_opt(family, options), each);
        Ok(visited.map_err(self.0.borrow_owner().failed("read a snapshot"))?)
    }
}
