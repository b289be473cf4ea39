//! The filter of compactions: leaves out what has expired.

use crate::state::backend::{Compaction, CompactionFilter};
use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter as Filter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

/// Whether and how the values of a column family expire, which is known once its state is open: before that, values may not
/// have their times in front of them.
pub(super) type Expiry = Arc<OnceLock<CompactionFilter>>;

/// How many snapshots of an instance there are. Compactions spare what snapshots see from being written over, but not from their
/// filter, so that it must leave everything while there is one: a snapshot has what lived when it was taken.
pub(super) type LiveSnapshots = Arc<AtomicUsize>;

/// Several threads call it at once, although its method takes it mutable: there is nothing in it that changes but a number.
pub(super) struct ExpiryFactory {
    pub(super) expiry: Expiry,
    pub(super) snapshots: LiveSnapshots,
}

impl CompactionFilterFactory for ExpiryFactory {
    type Filter = ExpiryFilter;

    fn create(&mut self, _: CompactionFilterContext) -> ExpiryFilter {
        // A panic must not reach RocksDB.
        let begin = || {
            tracing::debug!("a compaction begins");
            self.expiry.get().map(CompactionFilter::begin)
        };
        let compaction = catch_unwind(AssertUnwindSafe(begin)).unwrap_or_default();
        ExpiryFilter { compaction, snapshots: Arc::clone(&self.snapshots) }
    }

    fn name(&self) -> &CStr {
        c"snapline.expiry"
    }
}

/// One compaction.
pub(super) struct ExpiryFilter {
    compaction: Option<Compaction>,
    snapshots: LiveSnapshots,
}

impl Drop for ExpiryFilter {
    fn drop(&mut self) {
        // As above.
        drop(catch_unwind(|| tracing::debug!("a compaction has ended")));
    }
}

impl Filter for ExpiryFilter {
    fn filter(&mut self, _: u32, _: &[u8], value: &[u8]) -> CompactionDecision {
        // What is removed at this moment had expired before a snapshot that is being taken.
        if self.snapshots.load(Ordering::Acquire) > 0 {
            return CompactionDecision::Keep;
        }
        let removes = || self.compaction.as_mut().is_some_and(|compaction| compaction.removes(value));
        // What cannot be judged stays.
        match catch_unwind(AssertUnwindSafe(removes)) {
            Ok(true) => CompactionDecision::Remove,
            Ok(false) | Err(_) => CompactionDecision::Keep,
        }
    }

    fn name(&self) -> &CStr {
        c"snapline.expiry"
    }
}
