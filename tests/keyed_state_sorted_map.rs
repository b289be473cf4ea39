//! What keyed state does on every backend, on the simplest one that keeps bytes.
#![cfg(feature = "testkit")]

use snapline::state::backend::{SortedMapStateBackendFactory, StateBackend};
use std::collections::BTreeMap;
use std::sync::Arc;

snapline::keyed_state_conformance! {
    StateBackend::Custom(Arc::new(SortedMapStateBackendFactory), BTreeMap::new())
}
