//! Logs of pointers that lie elsewhere than the checkpoints, beyond what `tests/store_contract/main.rs` asks of them.
#![cfg(feature = "runtime")]
#![allow(clippy::disallowed_methods)]

mod binding;
#[path = "../runtime/common/mod.rs"]
mod common;
mod configured;
#[cfg(feature = "etcd")]
#[path = "../support/etcd/mod.rs"]
mod etcd;
#[cfg(feature = "etcd")]
mod etcd_cluster;
#[cfg(feature = "etcd")]
mod etcd_failures;
mod jobs;
mod tools;

use common::JOB;
use snapline::base::{Attempt, Incarnation};
use snapline::publish::{Pointer, PointerKind};
use snapline::store::*;
use std::path::Path;
use std::sync::Arc;

/// Opens the log of the job once more, as another process does.
type Open<'a> = &'a dyn Fn() -> Arc<dyn HighAvailabilityStore>;

/// All stores for a log, each an empty one.
fn on_all(body: impl Fn(Open<'_>)) {
    let directory = tempfile::tempdir().unwrap();
    body(&|| Arc::new(in_directory(directory.path())));
    #[cfg(feature = "object-store")]
    {
        let store = Arc::new(object_store::memory::InMemory::new());
        body(&|| {
            let location = ObjectStoreLocation::new(store.clone(), "some/directory").unwrap();
            let options = ObjectStoreOptions::default();
            let opened =
                ObjectStoreHighAvailabilityStore::new(location, &ClusterId::default(), JOB, &options);
            Arc::new(opened.unwrap())
        });
    }
    #[cfg(feature = "etcd")]
    {
        let server = etcd::shared();
        let options = EtcdOptions { root: etcd::new_root(), ..server.options() };
        body(&|| Arc::new(in_etcd(&options)));
    }
}

fn in_directory(directory: &Path) -> FileSystemHighAvailabilityStore {
    FileSystemHighAvailabilityStore::open(directory, &ClusterId::default(), JOB).unwrap()
}

#[cfg(feature = "etcd")]
fn in_etcd(options: &EtcdOptions) -> EtcdHighAvailabilityStore {
    EtcdHighAvailabilityStore::open(options, &ClusterId::default(), JOB).unwrap()
}

/// The files in a directory.
fn files(directory: &Path) -> Arc<dyn CheckpointStorage> {
    Arc::new(FileSystemCheckpointStorage::open(directory, JOB).unwrap())
}

/// The files in a directory, with their log elsewhere.
fn storage(
    directory: &Path,
    pointers: Arc<dyn HighAvailabilityStore>,
) -> Result<Arc<dyn CheckpointStorage>, StorageError> {
    Ok(Arc::new(HighlyAvailableCheckpointStorage::open(files(directory), pointers)?))
}

/// The claim of a process.
fn claim(incarnation: u64) -> Pointer {
    Pointer {
        kind: PointerKind::Claim,
        attempt: Attempt(1),
        incarnation: Incarnation(incarnation),
        newest: None,
        older: [].into(),
    }
}
