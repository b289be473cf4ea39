//! Checkpoints in object storages, beyond what `tests/store_contract/main.rs` asks of every storage: over the protocol of S3
//! with a server on this machine, and with requests that fail.
#![cfg(feature = "s3")]
#![allow(clippy::disallowed_methods)]

#[path = "../runtime/common/mod.rs"]
mod common;
mod configured;
mod contract;
mod failing_store;
mod failures;
mod faults;
mod jobs;
mod locations;
#[path = "../support/objects.rs"]
mod objects;
#[path = "../support/s3/mod.rs"]
mod s3;
mod uploads;

use objects::*;
use s3::{Bucket, S3Server};
use snapline::inspection::{Location, verify};
use snapline::store::*;

fn open(server: &S3Server, options: &ObjectStoreOptions) -> ObjectStoreCheckpointStorage {
    ObjectStoreCheckpointStorage::open(&server.url(), JOB, options).expect("opens")
}

/// A server and a storage in it.
fn served() -> (S3Server, ObjectStoreCheckpointStorage) {
    let server = S3Server::start();
    let storage = open(&server, &server.options());
    (server, storage)
}

/// The names of the objects of the job, without that by which the store is tried.
fn objects_of_the_job(bucket: &Bucket) -> Vec<String> {
    let directory = format!("some/directory/{JOB}/");
    let keys = bucket.keys();
    let names = keys.iter().map(|key| key.strip_prefix(&directory).expect("all is of the job"));
    names.filter(|name| *name != "conditional-put").map(str::to_owned).collect()
}

/// That all checkpoints under `directory` are whole, of a store with these objects: it may be copied into files.
fn assert_whole(objects: impl IntoIterator<Item = (String, Vec<u8>)>, directory: &str) {
    let files = tempfile::tempdir().unwrap();
    for (name, content) in objects {
        let path = files.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let verification = verify(&Location::of(files.path().join(directory)).unwrap(), &mut |_| {});
    assert!(verification.is_whole && verification.read_bytes > 0, "{verification:?}");
}
