//! State with a time to live in running jobs.

use crate::common::ttl::{
    LAST_LOOK, TTL, job_by_event_time, job_that_forgets, job_that_forgets_by, left, output_by_event_time,
};
use crate::common::{Fault, Place, Plan, World, memory, options, wait_until};
use snapline::base::Millis;
use snapline::runtime::{JobOptions, ManualClock};
use snapline::state::{ExpiredButPresent, TtlMetrics};
use snapline::ttl::StateTtlConfig;
use std::sync::Arc;
use std::sync::atomic::Ordering;

const KEYS: u64 = 16;
const NUMBERS_PER_SOURCE: u64 = 2_000;

/// How many numbers of a key some of three sources have.
fn numbers(key: u64, sources: std::ops::Range<u64>) -> u64 {
    let all = 0..3 * NUMBERS_PER_SOURCE;
    all.filter(|number| number % KEYS == key && sources.contains(&(number % 3))).count() as u64
}

/// Two of three sources send everything, then time passes, then the third does: each key is counted anew.
#[track_caller]
fn assert_forgotten(world: &Arc<World>, attempts: u32) {
    let clock = ManualClock::new(Millis(500));
    world.hold_from(Some(2));
    let options = JobOptions { processing_time: (&clock).into(), ..options(attempts) };
    let job = job_that_forgets(world, 3).start(options, memory()).unwrap();
    // What is committed is in a checkpoint, so no failure takes it back.
    wait_until(&job, || world.committed().len() as u64 >= 2 * NUMBERS_PER_SOURCE);
    clock.advance_to(Millis(500 + TTL.0));
    world.hold_from(None);
    job.wait().unwrap();
    let mut expected: Vec<_> = (0..KEYS)
        .flat_map(|key| {
            let since_the_start = 1..=numbers(key, 0..2);
            since_the_start.chain(1..=numbers(key, 2..3)).map(move |count| (key, count))
        })
        .collect();
    expected.sort_unstable();
    assert_eq!(world.committed(), expected);
    assert_eq!(world.state.lock().unwrap().violations, Vec::<String>::new());
}

#[test]
fn ttl_in_a_job_goes_by_its_clock() {
    assert_forgotten(&World::new(), 0);
}

#[test]
fn ttl_in_a_job_goes_on_after_failures() {
    for place in [Place::Poll, Place::Write, Place::PreCommit] {
        let world = World::with(Plan { place, fault: Fault::Error, after: 2, times: 2 });
        assert_forgotten(&world, 2);
        assert!(world.is_plan_over());
    }
}

/// Nothing arrives any more, and the counts are removed all the same.
#[test]
fn ttl_in_an_idle_job_cleans_up_by_the_clock() {
    let (world, clock) = (World::new(), ManualClock::new(Millis(500)));
    world.hold_from(Some(1));
    let options = JobOptions { processing_time: (&clock).into(), ..options(0) };
    let job = job_that_forgets(&world, 2).start(options, memory()).unwrap();
    let written = |records| wait_until(&job, || world.written.load(Ordering::SeqCst) >= records);
    // Every second key is that of the first source.
    written(NUMBERS_PER_SOURCE);
    clock.advance_to(Millis(500 + TTL.0));
    clock.advance_to(LAST_LOOK);
    written(NUMBERS_PER_SOURCE + KEYS / 2);
    // Nobody has looked at the counts but the clock: a task cleans up, and reports that, before it fires timers.
    let removed = TtlMetrics { by_cleanup_while_idle: KEYS / 2, ..TtlMetrics::default() };
    assert_eq!(job.progress().ttl, removed);
    world.hold_from(None);
    let summary = job.wait().unwrap();
    assert_eq!(summary.progress.ttl, removed);
    let committed = world.committed();
    let left: Vec<_> = (0..KEYS).step_by(2).map(|key| left(key, 0)).collect();
    assert!(left.iter().all(|told| committed.contains(told)), "{committed:?}");
}

/// A subtask that is restored tells its part anew, so nothing is told twice.
#[test]
fn ttl_in_a_job_without_clean_up_tells_what_has_expired_and_is_there() {
    let (world, clock) = (World::new(), ManualClock::new(Millis(500)));
    world.hold_from(Some(1));
    let options = JobOptions { processing_time: (&clock).into(), ..options(1) };
    let ttl = StateTtlConfig::new(TTL).unwrap().disable_cleanup_in_background();
    let job = job_that_forgets_by(ttl, &world, 2).start(options, memory()).unwrap();
    wait_until(&job, || world.written.load(Ordering::SeqCst) >= NUMBERS_PER_SOURCE);
    assert_eq!(job.progress().expired_but_present, ExpiredButPresent::default());
    clock.advance_to(Millis(500 + TTL.0));
    // A time of eight bytes, and a count of two.
    let present = ExpiredButPresent { values: KEYS / 2, bytes: KEYS / 2 * (8 + 2) };
    // The first of these may have begun before, the second tells, and with the third that is reported.
    let checkpoints = |more| {
        let completed = job.progress().completed;
        wait_until(&job, || job.progress().completed >= completed + more);
    };
    checkpoints(3);
    assert_eq!(job.progress().expired_but_present, present);
    world.fail_next(Place::Poll);
    wait_until(&job, || job.progress().restarts >= 1);
    checkpoints(2);
    assert_eq!(job.progress().expired_but_present, present);
    world.hold_from(None);
    let summary = job.wait().unwrap();
    assert_eq!(summary.progress.expired_but_present, present);
    assert_eq!(summary.progress.ttl, TtlMetrics::default());
}

//= spec/ttl.md#ttl-16-the-present-of-a-timer
//= type=test
//# While a timer of event time fires, event time MUST be that of the timer for state that expires by it.
/// At the end of the data the watermark goes past all windows at once; what each keeps for the next is still there.
#[test]
fn ttl_by_event_time_is_that_of_the_timer_that_fires() {
    for parallelism in 1..=2 {
        let world = World::new();
        job_by_event_time(&world, parallelism).start(options(0), memory()).unwrap().wait().unwrap();
        assert_eq!(world.committed(), output_by_event_time(parallelism));
    }
}
