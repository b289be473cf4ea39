//! The type of the keys, and of the records that they are a part of, over a restart of the job.

use crate::common::keys::{Click, job_by_user};
use crate::common::{Place, World, expected, memory, options, wait_until};
use crate::unaligned::{take_checkpoints_until, unaligned};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use snapline::base::SavepointFormat;
use snapline::coordinator::StopMode;
use snapline::keygroup::KeyHash;
use snapline::runtime::{Job, JobError, JobOptions, KeyedStream, Stream};
use snapline::state::serializer::SerdeSerializer;
use snapline::state::{ChannelSide, SnapshotImage};
use snapline::store::CheckpointStorage;
use std::sync::Arc;
use std::sync::atomic::Ordering;

macro_rules! user {
    ($name:ident) => {
        #[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        struct $name(u64);

        impl KeyHash for $name {
            fn key_hash(&self) -> i32 {
                self.0.key_hash()
            }
        }
    };
}
user!(User);
user!(Customer);

/// What has an id of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Nothing,
    Keys,
    KeysAndRecords,
}

fn by_user<K>(stream: Stream<Click<K>>, named: Named) -> KeyedStream<Click<K>, K>
where
    K: Serialize + DeserializeOwned + 'static,
{
    let stream = if named == Named::KeysAndRecords { stream.with_type_id("click") } else { stream };
    let keyed = stream.key_by(|click: &Click<K>| &click.user);
    match named {
        Named::Nothing => keyed,
        Named::Keys | Named::KeysAndRecords => keyed.with_key_serializer(SerdeSerializer::with_id("user")),
    }
}

/// The job as it was, and after its keys were renamed.
fn jobs(world: &Arc<World>, named: Named) -> [Job; 2] {
    let users = |stream: Stream<Click<User>>| by_user(stream, named);
    let customers = |stream: Stream<Click<Customer>>| by_user(stream, named);
    [
        job_by_user(world, User, |user| user.0, users),
        job_by_user(world, Customer, |customer| customer.0, customers),
    ]
}

fn assert_counted(world: &World) {
    let mut counts = expected(2);
    counts.retain(|(_, count)| *count < u64::MAX);
    assert_eq!(world.committed(), counts);
}

/// The job is renamed between a savepoint and its restore.
fn renamed(named: Named) -> Result<(), JobError> {
    let (world, storage) = (World::new(), memory());
    let [before, after] = jobs(&world, named);
    world.hold_from(Some(1));
    let handle = before.start(options(0), Arc::clone(&storage))?;
    // So that there are counts of keys in the savepoint.
    wait_until(&handle, || world.completed.load(Ordering::SeqCst) > 0);
    drop(handle.control().stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native));
    handle.wait()?;
    world.hold_from(None);
    let summary = after.start(options(0), storage)?.wait()?;
    assert!(summary.progress.restored_from.is_some());
    assert_counted(&world);
    Ok(())
}

/// Whether the newest checkpoint holds records that were on their way from a source.
fn has_captured_clicks(storage: &Arc<dyn CheckpointStorage>) -> Option<bool> {
    let last = *storage.list().ok()?.pointers.last()?;
    let newest = storage.read_pointer(last).ok()??.newest?;
    let states = storage.read_metadata(newest).ok()??.checkpoint.states;
    let of_sources = states.iter().filter(|(subtask, _)| subtask.operator == 0);
    let captured = |handle| {
        let image = SnapshotImage::read_from(storage.read_state(handle).ok()?, None).ok()?;
        Some(!image.channels.channels(ChannelSide::Output).is_empty())
    };
    Some(of_sources.filter_map(|(_, handle)| handle.as_ref()).any(|handle| captured(handle) == Some(true)))
}

/// The job is renamed while records are on their way in an unaligned checkpoint.
fn renamed_under_way(named: Named) -> Result<(), JobError> {
    let (world, storage) = (World::new(), memory());
    let [before, after] = jobs(&world, named);
    world.give_room(Some(0));
    let slow = JobOptions { batch_records: 1, channel_capacity: 8, ..unaligned(0, 0) };
    let handle = before.start(slow, Arc::clone(&storage))?;
    take_checkpoints_until(&world, &handle, || has_captured_clicks(&storage) == Some(true));
    world.fail_next(Place::Write);
    world.give_room(Some(1_000));
    handle.wait().unwrap_err();
    world.give_room(None);
    after.start(unaligned(0, 0), storage)?.wait()?;
    assert_counted(&world);
    Ok(())
}

#[test]
fn keys_whose_type_has_an_id_are_restored_under_another_name() {
    renamed(Named::Keys).unwrap();
}

#[test]
fn keys_whose_type_has_no_id_are_refused_under_another_name() {
    let refused = renamed(Named::Nothing).unwrap_err().to_string();
    assert!(refused.contains("User") && refused.contains("Customer"), "{refused}");
}

#[test]
fn keys_in_records_under_way_are_restored_if_their_type_has_an_id() {
    renamed_under_way(Named::KeysAndRecords).unwrap();
    let refused = renamed_under_way(Named::Keys).unwrap_err().to_string();
    assert!(refused.contains("the records on their way are"), "{refused}");
}
