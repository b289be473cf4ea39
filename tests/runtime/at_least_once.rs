//! Jobs that promise at least once: nothing waits for a barrier, some records come again, none is lost.

use crate::common::{Fault, Place, Plan, World, memory, options, run};
use snapline::base::CheckpointingMode;
use snapline::runtime::JobOptions;

fn at_least_once(attempts: u32) -> JobOptions {
    JobOptions { mode: CheckpointingMode::AtLeastOnce, ..options(attempts) }
}

#[test]
fn at_least_once_without_failures_is_exact() {
    for parallelism in 1..=3 {
        let world = World::new();
        run(&world, parallelism, at_least_once(0), &memory()).unwrap();
        world.assert_exact(parallelism);
    }
}

#[test]
fn at_least_once_after_failures_loses_nothing() {
    let places = [
        Place::Poll,
        Place::SnapshotSource,
        Place::Process,
        Place::Finish,
        Place::Write,
        Place::PreCommit,
        Place::Durability,
        Place::Commit,
    ];
    for place in places {
        let world = World::with(Plan { place, fault: Fault::Error, after: 2, times: 1 });
        let summary = run(&world, 2, at_least_once(1), &memory()).unwrap();
        assert_eq!(summary.progress.restarts, 1, "{place:?}");
        world.assert_nothing_lost(2);
    }
}
