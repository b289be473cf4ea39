//! Whole jobs whose checkpoints lie in S3.

use crate::assert_whole;
use crate::common::{
    FIRST_STEP, Fault, Place, Plan, World, in_files, inline, job, memory, options, run, wait_until,
};
use crate::s3::{self, S3Server};
use snapline::base::SavepointFormat;
use snapline::coordinator::{ClaimMode, JobStatus, StopMode};
use snapline::runtime::{GivenCheckpoint, JobOptions};
use snapline::store::*;
use std::sync::Arc;
use std::sync::atomic::Ordering;

fn storage(server: &S3Server) -> Arc<dyn CheckpointStorage> {
    let options = server.options();
    Arc::new(ObjectStoreCheckpointStorage::open(&server.url(), crate::common::JOB, &options).unwrap())
}

fn assert_bucket_is_whole(server: &S3Server) {
    let content = |key: String| (key.clone(), server.bucket.get(&key).unwrap());
    assert_whole(server.bucket.keys().into_iter().map(content), "some/directory");
}

/// The job dies with its process, after some checkpoints, and another process goes on from what lies in the bucket.
#[test]
fn object_store_job_that_has_died_is_resumed_from_s3_with_exact_output() {
    for options in [options as fn(u32) -> JobOptions, in_files, inline] {
        for place in [Place::Process, Place::PreCommit, Place::Commit] {
            let server = S3Server::start();
            let world = World::with(Plan { place, fault: Fault::Error, after: 2, times: 1 });
            run(&world, 2, options(0), &storage(&server)).unwrap_err();
            assert_bucket_is_whole(&server);
            run(&world, 2, options(0), &storage(&server)).unwrap();
            world.assert_exact(2);
            assert_bucket_is_whole(&server);
        }
    }
}

/// What a user gets of a job lies where its requests say, in both formats, and a job goes on from it.
#[test]
fn object_store_job_leaves_savepoints_where_its_requests_say() {
    for format in [SavepointFormat::Canonical, SavepointFormat::Native] {
        for stops in [false, true] {
            let (server, world) = (S3Server::start(), World::new());
            world.hold_from(Some(1));
            let own = storage(&server);
            let quiet = JobOptions { checkpoint_interval: None, ..in_files(0) };
            let handle = job(&world, 2).start(quiet, Arc::clone(&own)).unwrap();
            let has_state = || world.emitted.load(Ordering::SeqCst) == FIRST_STEP;
            wait_until(&handle, || has_state() && handle.progress().status == JobStatus::Running);
            let attempt = handle.progress().attempt;
            let control = handle.control().with_savepoints_in("s3://checkpoints/chosen");
            let asked = match stops {
                true => control.stop_with_savepoint(StopMode::Suspend, format),
                false => control.cancel_with_savepoint(format),
            };
            let savepoint = asked.wait_for_checkpoint().unwrap();
            handle.wait().unwrap();
            let name = format!("chosen/{}/savepoint-{}-{attempt}", crate::common::JOB, savepoint.id);
            assert_eq!(savepoint.external_path, format!("s3://checkpoints/{name}"));
            // Another process finds it by where it lies.
            let chosen = ObjectStoreLocation::open("s3://checkpoints/chosen", &server.options()).unwrap();
            let there =
                ObjectStoreCheckpointStorage::open(&server.url(), crate::common::JOB, &server.options());
            let there = Arc::new(there.unwrap().with_savepoints_in(chosen));
            let metadata = there.read_savepoint(savepoint.id, attempt).unwrap().unwrap();
            assert_eq!(metadata.checkpoint.shared.is_empty(), format == SavepointFormat::Canonical);
            own.list().unwrap().checkpoints.iter().for_each(|id| own.delete_checkpoint(*id).unwrap());
            own.list_shared().unwrap().iter().for_each(|object| own.delete_shared(object).unwrap());
            world.hold_from(None);
            let given = GivenCheckpoint::new(there, metadata, ClaimMode::NoClaim);
            run(&world, 2, JobOptions { restore: Some(given), ..in_files(0) }, &memory()).unwrap();
            world.assert_exact(2);
        }
    }
}

/// Every third answer is lost, and every fifth request is refused: clients repeat them, and the output is exact.
#[test]
fn object_store_job_over_a_bad_connection_has_exact_output() {
    let server = S3Server::start();
    server.plan(|_, number| match (number % 3, number % 5) {
        (0, _) => Some(s3::Fault::Lost),
        (_, 0) => Some(s3::Fault::Refused),
        _ => None,
    });
    let world = World::with(Plan { place: Place::Process, fault: Fault::Error, after: 2, times: 1 });
    run(&world, 2, in_files(2), &storage(&server)).unwrap();
    world.assert_exact(2);
    server.plan(|_, _| None);
    assert_bucket_is_whole(&server);
    assert_eq!(server.bucket.open_uploads(), 0);
}
