//! The coordinator's thread dies while tasks run: none of them outlives it, and the next one goes on exactly once.
#![cfg(feature = "runtime")]

#[path = "runtime/common/mod.rs"]
mod common;

use common::{World, job, memory, options, run};
use snapline::runtime::{CheckpointType, JobError, RequestError};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// How many more events the coordinator's thread survives.
static SURVIVES: AtomicI64 = AtomicI64::new(i64::MAX);

/// Panics in the midst of the coordinator's thread, where it has something to tell.
struct Killer;

impl Subscriber for Killer {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        let is_coordinator = std::thread::current().name() == Some("snapline-coordinator");
        if is_coordinator && SURVIVES.fetch_sub(1, Ordering::SeqCst) == 0 {
            panic!("killed");
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[test]
fn coordinator_that_is_killed_takes_its_tasks_along_and_the_next_one_goes_on_exactly_once() {
    tracing::subscriber::set_global_default(Killer).unwrap();
    let mut deaths = 0;
    for survives in 0..24 {
        let (world, storage) = (World::new(), memory());
        SURVIVES.store(survives, Ordering::SeqCst);
        let handle = job(&world, 2).start(options(0), Arc::clone(&storage)).unwrap();
        let request = handle.control().trigger_checkpoint(CheckpointType::Configured);
        let end = handle.wait();
        SURVIVES.store(i64::MAX, Ordering::SeqCst);
        if matches!(end, Err(JobError::CoordinatorPanicked)) {
            deaths += 1;
            assert_eq!(Arc::strong_count(&world), 1, "a task is still there");
        }
        // Whether it was answered before is a matter of chance.
        assert_ne!(
            request.wait(),
            Err(RequestError::Refused(snapline::coordinator::Refusal::TooManyRequests))
        );
        world.assert_not_wrong(2);
        run(&world, 2, options(0), &storage).unwrap();
        world.assert_exact(2);
    }
    assert!(deaths >= 6, "{deaths}");
}
