//! A job goes on with more or fewer subtasks than it had.

use crate::common::broadcast::{job_with_judges, sums_of_rules};
use crate::common::splits::{Shape, add_splits, job_of};
use crate::common::{Fault, Place, Plan, World, expected, in_files, memory, options, wait_until};
use crate::unaligned::{has_captured, take_checkpoints_until, unaligned};
use snapline::base::{Channel, SavepointFormat};
use snapline::coordinator::StopMode;
use snapline::runtime::{JobBuilder, JobEnd, JobError, JobOptions};
use snapline::state::{CapturedRecords, ChannelSide, ChannelState};
use snapline::store::CheckpointStorage;
use std::sync::Arc;

/// Runs the job until it has taken some checkpoints, with all but its first steps ahead of it, and stops it.
fn run_for(
    steps: u16,
    world: &Arc<World>,
    shape: Shape,
    options: JobOptions,
    storage: &Arc<dyn CheckpointStorage>,
) {
    world.hold_from(Some(steps));
    let handle = job_of(world, shape).unwrap().start(options, Arc::clone(storage)).unwrap();
    wait_until(&handle, || handle.progress().completed > 1);
    let stopped =
        handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
    world.hold_from(None);
    assert_eq!(handle.wait().unwrap().end, JobEnd::Stopped(stopped));
}

fn run_to_the_end(
    world: &Arc<World>,
    shape: Shape,
    options: JobOptions,
    storage: &Arc<dyn CheckpointStorage>,
) {
    // Those of subtasks that are no more would be counted too.
    world.state.lock().unwrap().counted.clear();
    let handle = job_of(world, shape).unwrap().start(options, Arc::clone(storage)).unwrap();
    let summary = handle.wait().unwrap();
    assert_eq!(summary.end, JobEnd::Finished);
    assert!(summary.progress.restored_from.is_some());
    world.assert_exact(2);
}

const SHAPES: [[Shape; 3]; 4] = [
    [Shape { sources: 2, counts: 2 }, Shape { sources: 3, counts: 5 }, Shape { sources: 1, counts: 1 }],
    [Shape { sources: 1, counts: 4 }, Shape { sources: 1, counts: 7 }, Shape { sources: 8, counts: 3 }],
    // More sources than splits, and only one of the two operators.
    [Shape { sources: 9, counts: 1 }, Shape { sources: 2, counts: 1 }, Shape { sources: 2, counts: 6 }],
    [Shape { sources: 3, counts: 7 }, Shape { sources: 2, counts: 4 }, Shape { sources: 3, counts: 7 }],
];

fn rescales_exactly(options: impl Fn() -> JobOptions) {
    for [first, second, third] in SHAPES {
        let (world, storage) = (World::new(), memory());
        run_for(1, &world, first, options(), &storage);
        run_for(3, &world, second, options(), &storage);
        run_to_the_end(&world, third, options(), &storage);
    }
}

/// S4
#[test]
fn rescale_up_and_down_keeps_every_key_and_every_split() {
    rescales_exactly(|| options(0));
}

#[test]
fn rescale_of_state_in_files_keeps_every_key() {
    rescales_exactly(|| in_files(0));
}

#[cfg(feature = "rocksdb")]
#[test]
fn rescale_of_incremental_checkpoints_in_rocksdb_keeps_every_key() {
    let factory = Arc::new(snapline::backend::rocksdb::RocksDbStateBackendFactory);
    rescales_exactly(|| JobOptions {
        state_backend: snapline::state::backend::StateBackend::Custom(factory.clone(), Default::default()),
        incremental: true,
        ..options(0)
    });
}

/// It goes back to the checkpoint of the other parallelism again and again, until it has taken one itself.
#[test]
fn rescaled_job_that_fails_before_its_first_checkpoint_is_rescaled_again() {
    let (world, storage) = (World::new(), memory());
    let [first, second] = [Shape { sources: 2, counts: 3 }, Shape { sources: 3, counts: 2 }];
    run_for(1, &world, first, options(0), &storage);
    let plan = Plan { place: Place::Process, fault: Fault::Error, after: 0, times: 2 };
    world.state.lock().unwrap().plan = Some(plan);
    run_to_the_end(&world, second, options(2), &storage);
    assert!(world.is_plan_over());
}

/// Whoever goes on after a drain goes on with the sources, but what was held at the end is not emitted again.
#[test]
fn rescale_of_a_job_that_was_drained_emits_nothing_twice() {
    for (first, second) in [(2, 3), (3, 1)] {
        let (world, storage) = (World::new(), memory());
        let shape = |subtasks| Shape { sources: subtasks, counts: subtasks };
        world.hold_from(Some(4));
        let job = job_of(&world, shape(first)).unwrap();
        let handle = job.start(options(0), Arc::clone(&storage)).unwrap();
        wait_until(&handle, || handle.progress().completed > 0);
        handle.control().stop_with_savepoint(StopMode::Drain, SavepointFormat::Native).wait().unwrap();
        handle.wait().unwrap();
        world.hold_from(None);
        let job = job_of(&world, shape(second)).unwrap();
        let summary = job.start(options(0), Arc::clone(&storage)).unwrap().wait().unwrap();
        assert!(summary.progress.restored_from.is_some());
        assert!(world.committed() == expected(2));
    }
}

/// All have written something that the checkpoint holds and nobody has committed.
#[test]
fn rescale_commits_what_was_prepared_whoever_does_it() {
    for (before, now) in [(3, 2), (2, 5), (4, 1)] {
        let (world, storage) = (World::new(), memory());
        let plan = Plan { place: Place::Commit, fault: Fault::Error, after: 0, times: u64::MAX };
        world.state.lock().unwrap().plan = Some(plan);
        let shape = Shape { sources: 2, counts: before };
        let job = job_of(&world, shape).unwrap();
        let error = job.start(options(0), Arc::clone(&storage)).unwrap().wait().unwrap_err();
        assert!(error.to_string().contains("planned at Commit"), "{error}");
        assert_eq!(world.committed(), []);
        world.state.lock().unwrap().plan = None;
        run_to_the_end(&world, Shape { counts: now, ..shape }, options(0), &storage);
    }
}

fn refused(result: Result<snapline::runtime::JobHandle, JobError>) -> String {
    let Err(error) = result.unwrap().wait() else { panic!("it was restored") };
    assert!(matches!(error, JobError::Incompatible { .. }), "{error}");
    error.to_string()
}

/// S2
#[test]
fn rescale_refuses_state_that_no_operator_claims_unless_it_may_be_left_out() {
    let (world, storage) = (World::new(), memory());
    let shape = Shape { sources: 2, counts: 2 };
    run_for(2, &world, shape, options(0), &storage);
    let renamed = || {
        let mut job = JobBuilder::new();
        add_splits(&mut job, &world, 2, ["recount", "memory"], 2);
        job.build(crate::common::JOB).unwrap()
    };
    let error = refused(renamed().start(options(0), Arc::clone(&storage)));
    assert!(error.contains("it has state of operator `count`, which the job does not have"), "{error}");
    assert!(!error.contains("memory"), "{error}");
    let allowing = JobOptions { allow_non_restored_state: true, ..options(0) };
    let summary = renamed().start(allowing, Arc::clone(&storage)).unwrap().wait().unwrap();
    assert!(summary.progress.restored_from.is_some());
    // Counting began anew in the middle.
    let committed = world.committed();
    assert!(committed.windows(2).any(|pair| pair[0] == pair[1]), "some counts come twice");
    run_for_nothing(&world, shape, &storage);
}

/// What was left out is gone with the next checkpoint.
fn run_for_nothing(world: &Arc<World>, shape: Shape, storage: &Arc<dyn CheckpointStorage>) {
    let job = job_of(world, shape).unwrap();
    let error = refused(job.start(options(0), Arc::clone(storage)));
    assert!(error.contains("`recount`"), "{error}");
}

#[test]
fn rescale_beyond_the_max_parallelism_is_refused_with_both_numbers() {
    let (world, storage) = (World::new(), memory());
    run_for(2, &world, Shape { sources: 1, counts: 2 }, options(0), &storage);
    let job = job_of(&world, Shape { sources: 1, counts: 129 }).unwrap();
    let error = refused(job.start(options(0), Arc::clone(&storage)));
    assert!(error.contains("operator `count` had max parallelism 128 and now has 256"), "{error}");
}

/// J37, J38
//= spec/rescale.md#rescale-18-a-maximum-parallelism-that-nobody-has-set-is-that-of-the-checkpoint
//= type=test
//# An operator whose maximum parallelism the job does not set MUST take that of its state, if it is not below its parallelism.
#[test]
fn rescale_keeps_a_max_parallelism_that_nobody_has_set() {
    let (world, storage) = (World::new(), memory());
    run_for(1, &world, Shape { sources: 1, counts: 2 }, options(0), &storage);
    // By default this would make it 256 instead of 128.
    run_for(2, &world, Shape { sources: 1, counts: 86 }, options(0), &storage);
    let newest = storage.list().unwrap().checkpoints.pop_last().unwrap();
    let operators = storage.read_metadata(newest).unwrap().unwrap().operators;
    let count = operators.iter().find(|operator| operator.uid == "count").unwrap();
    assert_eq!((count.parallelism, count.max_parallelism), (86, 128));
    run_to_the_end(&world, Shape { sources: 1, counts: 3 }, options(0), &storage);
}

/// Runs the job until its newest checkpoint holds records of inputs and outputs, and leaves it there.
fn leave_records_on_their_way(world: &Arc<World>, shape: Shape, storage: &Arc<dyn CheckpointStorage>) {
    world.give_room(Some(0));
    let options = JobOptions { batch_records: 1, channel_capacity: 4, ..unaligned(0, 0) };
    let handle = job_of(world, shape).unwrap().start(options, Arc::clone(storage)).unwrap();
    take_checkpoints_until(world, &handle, || has_captured(storage));
    handle.control().suspend();
    world.give_room(None);
    assert_eq!(handle.wait().unwrap().end, JobEnd::Suspended);
    assert!(has_captured(storage), "{shape:?}: it has taken another checkpoint");
}

fn rescales_with_records_on_their_way(shapes: &[[(u16, u16); 2]]) {
    for shapes in shapes {
        let [first, second] = shapes.map(|(sources, counts)| Shape { sources, counts });
        let (world, storage) = (World::new(), memory());
        world.state.lock().unwrap().keys_are_in_order = true;
        leave_records_on_their_way(&world, first, &storage);
        run_to_the_end(&world, second, unaligned(0, 0), &storage);
    }
}

/// J51, the rows `pipeline`
//= spec/rescale.md#rescale-14-records-on-their-way-come-first
//= type=test
//# A subtask MUST process the records that were given to it before it processes any that comes after the restore, and
//# those of an old channel in their order.
#[test]
fn rescale_of_unaligned_checkpoints_keeps_records_on_their_way_in_their_order() {
    let pairs = [(1, 2), (2, 3), (3, 7), (4, 8), (3, 5), (2, 1), (3, 2), (7, 3), (8, 4), (5, 3)];
    rescales_with_records_on_their_way(&pairs.map(|(before, now)| [(before, before), (now, now)]));
    rescales_with_records_on_their_way(&[[(20, 20), (21, 21)], [(21, 21), (20, 20)]]);
    let unchanged = [1, 3, 7, 20];
    rescales_with_records_on_their_way(&unchanged.map(|parallelism| [(parallelism, parallelism); 2]));
}

/// J51, the rows `keyed, operators of different parallelism`; J14, J16, J17: one side of an exchange changes.
#[test]
fn rescale_of_unaligned_checkpoints_with_operators_of_different_parallelism() {
    rescales_with_records_on_their_way(&[
        [(2, 7), (3, 12)],
        [(3, 12), (2, 7)],
        [(2, 3), (4, 5)],
        [(4, 5), (2, 3)],
        [(2, 3), (5, 3)],
        [(5, 3), (2, 3)],
        [(3, 2), (3, 5)],
        [(3, 5), (3, 2)],
    ]);
}

/// J51, the rows `keyed plus broadcast` and `broadcast`, without records on their way in the second stream.
#[test]
fn rescale_of_a_keyed_stream_with_a_broadcast_stream() {
    for (before, now) in [(2, 7), (3, 5), (7, 2), (5, 3), (2, 5), (5, 2)] {
        for stop_options in [options(0), unaligned(0, 0)] {
            let (world, storage) = (World::new(), memory());
            world.hold_from(Some(1));
            let handle =
                job_with_judges(&world, 2, 1, before).start(stop_options, Arc::clone(&storage)).unwrap();
            wait_until(&handle, || handle.progress().completed > 1);
            handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap();
            handle.wait().unwrap();
            world.hold_from(None);
            let handle =
                job_with_judges(&world, 2, 1, now).start(unaligned(0, 0), Arc::clone(&storage)).unwrap();
            assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
            let committed = world.committed();
            let of_numbers: Vec<_> = committed.iter().filter(|(key, _)| *key < 1_000).copied().collect();
            assert!(of_numbers == expected(2), "{before} to {now}");
            for sum in sums_of_rules(1, now) {
                assert_eq!(committed.iter().filter(|found| **found == sum).count(), 1, "{sum:?}");
            }
            assert_eq!(world.state.lock().unwrap().violations, Vec::<String>::new());
        }
    }
}

/// How many records of the second stream each judge had ahead of it in the newest checkpoint, in its channel.
fn rules_ahead(storage: &Arc<dyn CheckpointStorage>) -> Option<Vec<u64>> {
    let last = *storage.list().ok()?.pointers.last()?;
    let newest = storage.read_pointer(last).ok()??.newest?;
    let states = storage.read_metadata(newest).ok()??.checkpoint.states;
    let of_judges = states.iter().filter(|(subtask, _)| subtask.operator == 2);
    let ahead = of_judges.map(|(_, handle)| {
        let file = storage.read_state(handle.as_ref()?).ok()?;
        let captured = ChannelState::read_from_file(file).ok()?;
        // Behind those of the two sources of numbers.
        Some(captured.channels(ChannelSide::Input).get(&Channel(2)).map_or(0, CapturedRecords::count))
    });
    ahead.collect()
}

//= spec/rescale.md#rescale-15-all-had-taken-in-the-same
//= type=test
//# Old subtasks whose key groups go to one new subtask, and of which one had more records of a stream that goes to everyone
//# ahead of it than another, MUST be refused.
#[test]
fn rescale_of_a_broadcast_stream_of_which_some_had_taken_in_more_is_refused() {
    let (world, storage) = (World::new(), memory());
    world.state.lock().unwrap().needs_room = Some(0);
    let differ = || rules_ahead(&storage).is_some_and(|ahead| ahead.iter().any(|one| *one != ahead[0]));
    world.give_room(Some(0));
    let options = JobOptions { batch_records: 1, channel_capacity: 4, ..unaligned(0, 0) };
    let handle = job_with_judges(&world, 2, 1, 2).start(options, Arc::clone(&storage)).unwrap();
    take_checkpoints_until(&world, &handle, differ);
    handle.control().suspend();
    world.give_room(None);
    handle.wait().unwrap();
    let start = |judges| job_with_judges(&world, 2, 1, judges).start(unaligned(0, 0), Arc::clone(&storage));
    let error = start(1).unwrap().wait().unwrap_err().to_string();
    assert!(
        error.contains("had not taken in equally much of the stream that goes to all of them"),
        "{error}"
    );
    assert_eq!(start(2).unwrap().wait().unwrap().end, JobEnd::Finished);
}
