//! Jobs with a keyed stream and a broadcast stream: exact in every mode, under failures, and when one of them ends first.

use crate::common::broadcast::{job_with_rules, output_with_rules};
use crate::common::{Fault, Place, Plan, World, memory, options, wait_until};
use crate::unaligned::{go_on_freely, take_checkpoints_until};
use snapline::base::{Channel, CheckpointingMode, EventTime, Millis, SavepointFormat, SubtaskId};
use snapline::coordinator::StopMode;
use snapline::runtime::{JobEnd, JobOptions};
use snapline::state::{ChannelSide, SnapshotImage};
use snapline::store::CheckpointStorage;
use std::sync::Arc;

const RULES: SubtaskId = SubtaskId::new(1, 0);
const JUDGE: SubtaskId = SubtaskId::new(2, 0);

fn in_every_mode(attempts: u32) -> [JobOptions; 3] {
    let unaligned = |timeout| JobOptions {
        unaligned: true,
        aligned_checkpoint_timeout: Millis(timeout),
        ..options(attempts)
    };
    [options(attempts), unaligned(0), unaligned(1)]
}

/// Looks at the newest checkpoint.
fn newest<T>(
    storage: &Arc<dyn CheckpointStorage>,
    look: impl FnOnce(&snapline::base::CompletedCheckpoint) -> Option<T>,
) -> Option<T> {
    let last = *storage.list().ok()?.pointers.last()?;
    let newest = storage.read_pointer(last).ok()??.newest?;
    look(&storage.read_metadata(newest).ok()??.checkpoint)
}

fn had_finished(storage: &Arc<dyn CheckpointStorage>, subtask: SubtaskId) -> bool {
    newest(storage, |checkpoint| Some(checkpoint.had_finished(subtask))).unwrap_or(false)
}

/// The channels into the first counting subtask of which the newest checkpoint holds records.
fn captured(storage: &Arc<dyn CheckpointStorage>) -> Vec<Channel> {
    let channels = newest(storage, |checkpoint| {
        let handle = checkpoint.states.get(&JUDGE)?.clone()?;
        let image = SnapshotImage::read_from(storage.read_state(&handle).ok()?, None).ok()?;
        Some(image.channels.channels(ChannelSide::Input).keys().copied().collect())
    });
    channels.unwrap_or_default()
}

#[test]
fn broadcast_jobs_of_any_parallelism_are_exact() {
    for (parallelism, rule_sources) in [(1, 1), (2, 1), (3, 1), (1, 2), (2, 3)] {
        let at_least_once = JobOptions { mode: CheckpointingMode::AtLeastOnce, ..options(0) };
        for options in in_every_mode(0).into_iter().chain([at_least_once]) {
            let world = World::new();
            let handle = job_with_rules(&world, parallelism, rule_sources).start(options, memory()).unwrap();
            assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
            world.assert_output(parallelism, output_with_rules(parallelism, rule_sources));
        }
    }
}

#[test]
fn broadcast_failure_anywhere_restarts_from_the_last_checkpoint() {
    let places =
        [Place::Poll, Place::Process, Place::ProcessBroadcast, Place::Finish, Place::Write, Place::Commit];
    for place in places {
        for options in in_every_mode(1) {
            let fault = if options.unaligned { Fault::Panic } else { Fault::Error };
            let world = World::with(Plan { place, fault, after: 2, times: 1 });
            let handle = job_with_rules(&world, 2, 1).start(options, memory()).unwrap();
            let summary = handle.wait().unwrap();
            assert!(world.is_plan_over(), "{place:?} was not reached");
            assert_eq!(summary.progress.restarts, 1, "{place:?}");
            world.assert_output(2, output_with_rules(2, 1));
        }
    }
}

#[test]
fn broadcast_records_of_both_streams_that_are_on_their_way_come_back() {
    for timeout in [0, 5] {
        let (world, storage) = (World::new(), memory());
        world.give_room(Some(0));
        let options = JobOptions {
            unaligned: true,
            aligned_checkpoint_timeout: Millis(timeout),
            batch_records: 1,
            ..options(1)
        };
        let handle = job_with_rules(&world, 1, 1).start(options, Arc::clone(&storage)).unwrap();
        take_checkpoints_until(&world, &handle, || captured(&storage) == [Channel(0), Channel(1)]);
        world.fail_next(Place::Write);
        go_on_freely(&world, &handle);
        assert_eq!(handle.wait().unwrap().progress.restarts, 1);
        world.assert_output(1, output_with_rules(1, 1));
    }
}

#[test]
fn broadcast_stream_that_has_ended_is_not_started_again() {
    for options in in_every_mode(1) {
        let (world, storage) = (World::new(), memory());
        world.hold_from(Some(0));
        let handle = job_with_rules(&world, 2, 1).start(options, Arc::clone(&storage)).unwrap();
        wait_until(&handle, || had_finished(&storage, RULES));
        world.fail_next(Place::Poll);
        wait_until(&handle, || handle.progress().restarts >= 1);
        world.hold_from(None);
        assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
        world.assert_output(2, output_with_rules(2, 1));
    }
}

#[test]
fn broadcast_stream_goes_on_when_the_keyed_one_has_ended() {
    for options in in_every_mode(1) {
        let (world, storage) = (World::new(), memory());
        world.state.lock().unwrap().rules_are_held = true;
        let handle = job_with_rules(&world, 2, 1).start(options, Arc::clone(&storage)).unwrap();
        wait_until(&handle, || (0..2).all(|index| had_finished(&storage, SubtaskId::new(0, index))));
        world.fail_next(Place::Poll);
        wait_until(&handle, || handle.progress().restarts >= 1);
        world.state.lock().unwrap().rules_are_held = false;
        assert_eq!(handle.wait().unwrap().end, JobEnd::Finished);
        world.assert_output(2, output_with_rules(2, 1));
    }
}

#[test]
fn broadcast_job_that_is_stopped_goes_on_where_it_was() {
    let (world, storage) = (World::new(), memory());
    for stops in 0.. {
        let handle = job_with_rules(&world, 2, 1).start(options(0), Arc::clone(&storage)).unwrap();
        if stops < 4 {
            drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
        }
        if handle.wait().unwrap().end == JobEnd::Finished {
            break;
        }
    }
    world.assert_output(2, output_with_rules(2, 1));
}

#[test]
fn broadcast_stream_without_event_time_holds_none_back() {
    let world = World::new();
    job_with_rules(&world, 2, 1).start(options(0), memory()).unwrap().wait().unwrap();
    let state = world.state.lock().unwrap();
    for index in 0..2 {
        let seen = state.watermarks.iter().filter(|(_, subtask, _)| *subtask == index);
        let times: Vec<EventTime> = seen.map(|(.., watermark)| *watermark).collect();
        assert!(times.len() > 10 && times.is_sorted(), "{times:?}");
    }
}
