//! What keyed state does on every backend, on one that leaves its state in files.
#![cfg(feature = "testkit")]

#[path = "support/runs_backend.rs"]
mod runs_backend;

use runs_backend::RunsStateBackendFactory;
use snapline::state::backend::StateBackend;
use std::collections::BTreeMap;
use std::sync::Arc;

snapline::keyed_state_conformance! {
    StateBackend::Custom(Arc::new(RunsStateBackendFactory), BTreeMap::new())
}
