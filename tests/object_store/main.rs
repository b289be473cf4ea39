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
#[path = "../support/s3/mod.rs"]
mod s3;
mod uploads;

use s3::{Bucket, S3Server};
use snapline::base::*;
use snapline::inspection::{Location, verify};
use snapline::store::*;
use std::io::{Read, Write};

const JOB: JobId = JobId(0xabc);
/// More than two buffers.
const LARGE_BYTES: usize = 11 * 1024 * 1024;

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

fn file(checkpoint: u64, index: u16) -> StateFile {
    let (checkpoint, subtask) = (CheckpointId(checkpoint), SubtaskId::new(1, index));
    StateFile { checkpoint, subtask, attempt: Attempt(2), savepoint: false }
}

/// The upload of `content` as a file that several checkpoints may refer to.
fn shared(content: &[u8]) -> SharedObject {
    let content = ContentId { digest: 7, bytes: content.len() as u64 };
    let file = SharedFile { job: JOB, subtask: SubtaskId::new(1, 30), attempt: Attempt(2), content };
    SharedObject { file, upload: 0, savepoint: None }
}

fn job() -> JobDescription {
    JobDescription { job: JOB, operators: vec![] }
}

fn checkpoint(id: u64) -> CompletedCheckpoint {
    CompletedCheckpoint {
        id: CheckpointId(id),
        attempt: Attempt(2),
        kind: CheckpointKind::Periodic,
        states: [(SubtaskId::new(1, 0), None)].into(),
        shared: [].into(),
    }
}

/// Bytes that no compression and no shift makes equal.
fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn write(
    storage: &dyn CheckpointStorage,
    file: StateFile,
    content: &[u8],
) -> Result<StateHandle, StorageError> {
    let mut writer = storage.create_state(file)?;
    writer.write_all(content).map_err(|error| StorageError::from_io("?", error))?;
    writer.finish()
}

fn read(storage: &dyn CheckpointStorage, handle: &StateHandle) -> Result<Vec<u8>, StorageError> {
    let mut content = Vec::new();
    let read = storage.read_state(handle)?.read_to_end(&mut content);
    read.map(|_| content).map_err(|error| StorageError::from_io("?", error))
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
