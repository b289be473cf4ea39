//! Windows and timers in running jobs: exact in every mode and under failures.

use crate::common::windows::{
    Kind, job_by_the_clock, job_with_counts, job_with_elements, job_with_elements_by_the_clock,
    job_with_late_elements, job_with_timers, output_by_the_clock, output_with_late_elements,
};
use crate::common::{Fault, Place, Plan, World, memory, options, wait_until};
use snapline::base::Millis;
use snapline::runtime::{Job, JobOptions, ManualClock};
use std::sync::Arc;
use std::sync::atomic::Ordering;

#[track_caller]
fn assert_windows(world: &World, kind: Kind, sources: u16) {
    assert_eq!(world.committed(), kind.output(sources));
    assert_eq!(world.state.lock().unwrap().violations, Vec::<String>::new());
}

fn in_every_mode(attempts: u32) -> [JobOptions; 2] {
    let unaligned =
        JobOptions { unaligned: true, aligned_checkpoint_timeout: Millis(0), ..options(attempts) };
    [options(attempts), unaligned]
}

/// A window fires once, whatever fails.
#[track_caller]
fn assert_exact(kind: Kind, job: impl Fn(&Arc<World>, u16) -> Job) {
    for parallelism in 1..=3 {
        for options in in_every_mode(0) {
            let world = World::new();
            job(&world, parallelism).start(options, memory()).unwrap().wait().unwrap();
            assert_windows(&world, kind, parallelism);
        }
    }
    for place in [Place::Poll, Place::Write, Place::PreCommit] {
        for options in in_every_mode(2) {
            let world = World::with(Plan { place, fault: Fault::Error, after: 2, times: 2 });
            job(&world, 2).start(options, memory()).unwrap().wait().unwrap();
            assert_windows(&world, kind, 2);
            assert!(world.is_plan_over());
        }
    }
}

#[test]
fn windows_in_a_job_emit_each_record_once_under_failures() {
    assert_exact(Kind::Tumbling, |world, parallelism| job_with_elements(world, parallelism, Kind::Tumbling));
}

#[test]
fn windows_that_slide_emit_each_record_twice_under_failures() {
    assert_exact(Kind::Sliding, |world, parallelism| job_with_elements(world, parallelism, Kind::Sliding));
}

#[test]
fn windows_of_sessions_emit_each_record_once_under_failures() {
    assert_exact(Kind::Sessions, |world, parallelism| job_with_elements(world, parallelism, Kind::Sessions));
}

#[test]
fn windows_that_aggregate_count_each_record_under_failures() {
    for kind in [Kind::Tumbling, Kind::Sliding, Kind::Sessions] {
        assert_exact(kind, |world, parallelism| job_with_counts(world, parallelism, kind));
    }
}

/// What a function does with late records is a part of the output like all else.
#[test]
fn windows_in_a_job_give_late_records_to_the_function_under_failures() {
    for options in in_every_mode(1) {
        let world = World::with(Plan { place: Place::Write, fault: Fault::Error, after: 2, times: 1 });
        job_with_late_elements(&world).start(options, memory()).unwrap().wait().unwrap();
        assert_eq!(world.committed(), output_with_late_elements());
        assert!(world.is_plan_over());
    }
}

/// Z29: a restored task wakes for the ends of its windows although nothing arrives; those that the clock has not come to
/// do not fire.
#[test]
fn windows_in_a_job_fire_by_the_clock_after_a_failure() {
    let (world, clock) = (World::new(), ManualClock::new(Millis(500)));
    // The second source keeps the job from ending.
    world.hold_from(Some(1));
    let options = JobOptions { processing_time: (&clock).into(), ..options(1) };
    let job = job_with_elements_by_the_clock(&world, 2).start(options, memory()).unwrap();
    wait_until(&job, || world.emitted.load(Ordering::SeqCst) >= 2_000);
    // One checkpoint may be under way and another one may have completed unseen; the third one from here on begins
    // behind all that was emitted.
    let completed = job.progress().completed;
    wait_until(&job, || job.progress().completed >= completed + 3);
    world.fail_next(Place::Poll);
    // The first source has finished, and may have no part in the second attempt.
    let is_second = |started: &&(u32, u16)| started.1 == 1;
    wait_until(&job, || world.state.lock().unwrap().started.iter().filter(is_second).count() >= 2);
    let expected = output_by_the_clock(500);
    assert_eq!(world.written.load(Ordering::SeqCst), 0);
    clock.advance_to(Millis(700));
    wait_until(&job, || world.written.load(Ordering::SeqCst) >= expected.len() as u64);
    world.hold_from(None);
    job.wait().unwrap();
    assert_eq!(world.committed(), expected);
}

#[test]
fn timers_in_a_job_fire_once_under_failures() {
    assert_exact(Kind::Tumbling, job_with_timers);
}

/// Y07: the task wakes for its timers although nothing arrives, and what is not due at the end does not fire.
#[test]
fn timers_in_a_job_fire_by_the_clock_while_no_record_comes() {
    let (world, clock) = (World::new(), ManualClock::new(Millis(500)));
    // The second source keeps the job from ending.
    world.hold_from(Some(1));
    let options = JobOptions { processing_time: (&clock).into(), ..options(0) };
    let job = job_by_the_clock(&world, 2).start(options, memory()).unwrap();
    let written = |records| wait_until(&job, || world.written.load(Ordering::SeqCst) >= records);
    // Every second key is that of the first source.
    written(8);
    clock.advance_to(Millis(1499));
    clock.advance_to(Millis(1500));
    written(16);
    world.hold_from(None);
    job.wait().unwrap();
    let mut expected: Vec<_> = (0..16).step_by(2).flat_map(|key| [(key, 500), (key, 1500)]).collect();
    expected.extend((1..16).step_by(2).map(|key| (key, 1500)));
    expected.sort_unstable();
    assert_eq!(world.committed(), expected);
}
