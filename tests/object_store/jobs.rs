//! Whole jobs whose checkpoints lie in S3.

use crate::assert_whole;
use crate::common::{Fault, Place, Plan, World, in_files, options, run};
use crate::s3::{self, S3Server};
use snapline::runtime::JobOptions;
use snapline::store::*;
use std::sync::Arc;

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
    for options in [options as fn(u32) -> JobOptions, in_files] {
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
