//! Event time in running jobs. That no record is late, and that watermarks never go back, is looked at in every test of
//! the runtime.

use crate::common::windows::job_with_counts_behind_windows;
use crate::common::{Fault, Place, Plan, World, memory, options, run};
use snapline::base::{EventTime, Millis};
use snapline::runtime::JobOptions;

/// Event time has advanced in each subtask, and not only at the end.
fn assert_advanced(world: &World, parallelism: u16) {
    let state = world.state.lock().unwrap();
    for index in 0..parallelism {
        let seen = state.watermarks.iter().filter(|(_, subtask, _)| *subtask == index);
        assert!(seen.count() > 10, "{:?}", state.watermarks);
    }
}

#[test]
fn watermarks_advance_event_time_in_every_subtask() {
    for parallelism in 1..=3 {
        let world = World::new();
        run(&world, parallelism, options(0), &memory()).unwrap();
        world.assert_exact(parallelism);
        assert_advanced(&world, parallelism);
    }
}

/// Nothing that a window emits is late where it arrives, and event time advances there long before the end.
#[test]
fn watermarks_are_forwarded_behind_what_windows_emit() {
    for (parallelism, unaligned) in [(1, false), (2, false), (2, true), (3, true)] {
        let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 2, times: 1 });
        let options = JobOptions { unaligned, aligned_checkpoint_timeout: Millis(0), ..options(1) };
        job_with_counts_behind_windows(&world, parallelism).start(options, memory()).unwrap().wait().unwrap();
        world.assert_exact(parallelism);
        assert_advanced(&world, parallelism);
    }
}

//= spec/watermark.md#watermark-4-event-time-goes-on-where-the-snapshot-was-taken
//= type=test
//# The event time of a gate MUST begin at that of the snapshot from which its subtask was restored.
#[test]
fn watermark_of_a_restored_job_begins_where_it_was() {
    for unaligned in [false, true] {
        let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 3, times: 1 });
        let options = JobOptions { unaligned, aligned_checkpoint_timeout: Millis(0), ..options(1) };
        run(&world, 1, options, &memory()).unwrap();
        world.assert_exact(1);
        let state = world.state.lock().unwrap();
        let (first, _, _) = state.watermarks[0];
        let restored = state.watermarks.iter().find(|(attempt, ..)| *attempt > first);
        assert!(
            restored.is_some_and(|(.., watermark)| *watermark > EventTime::MIN),
            "{:?}",
            state.watermarks
        );
    }
}
