//! The filter of compactions: leaves out what has expired.

use crate::state::backend::{Compaction, CompactionFilter};
use rocksdb::CompactionDecision;
use rocksdb::compaction_filter::CompactionFilter as Filter;
use rocksdb::compaction_filter_factory::{CompactionFilterContext, CompactionFilterFactory};
use std::ffi::CStr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

/// Whether and how the values of a column family expire, which is known once its state is open: before that, values may not
/// have their times in front of them.
pub(super) type Expiry = Arc<OnceLock<CompactionFilter>>;

/// Several threads call it at once, although its method takes it mutable: there is nothing in it that changes.
pub(super) struct ExpiryFactory(pub(super) Expiry);

impl CompactionFilterFactory for ExpiryFactory {
    type Filter = ExpiryFilter;

    fn create(&mut self, _: CompactionFilterContext) -> ExpiryFilter {
        // A panic must not reach RocksDB.
        let begin = || self.0.get().map(CompactionFilter::begin);
        ExpiryFilter(catch_unwind(AssertUnwindSafe(begin)).unwrap_or_default())
    }

    fn name(&self) -> &CStr {
        c"snapline.expiry"
    }
}

/// One compaction.
pub(super) struct ExpiryFilter(Option<Compaction>);

impl Filter for ExpiryFilter {
    fn filter(&mut self, _: u32, _: &[u8], value: &[u8]) -> CompactionDecision {
        let removes = || self.0.as_mut().is_some_and(|compaction| compaction.removes(value));
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
