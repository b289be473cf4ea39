//! What keyed state does on every backend, on objects in memory.
#![cfg(feature = "testkit")]

use snapline::state::backend::StateBackend;

mod asynchronous {
    use super::*;

    snapline::keyed_state_conformance!(StateBackend::default());
}

mod synchronous {
    use super::*;

    snapline::keyed_state_conformance!(StateBackend::HashMap { asynchronous_snapshots: false });
}
