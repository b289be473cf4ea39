//! What the authors of backends test theirs with.

pub mod keyed_state;
