//! What keyed state does on every backend, on RocksDB.
#![cfg(all(feature = "testkit", feature = "rocksdb"))]

use snapline::backend::rocksdb::RocksDbStateBackendFactory;
use snapline::state::backend::StateBackend;
use std::collections::BTreeMap;
use std::sync::Arc;

snapline::keyed_state_conformance! {
    StateBackend::Custom(Arc::new(RocksDbStateBackendFactory), BTreeMap::new())
}
