//! Checkpoints on a server that speaks WebDAV, beyond what `tests/store_contract/main.rs` asks of every storage: a server on
//! this machine, with requests that fail, and servers that are not as they should be.
#![cfg(feature = "http")]
#![allow(clippy::disallowed_methods)]

#[path = "../runtime/common/mod.rs"]
mod common;
mod faults;
mod files;
mod jobs;
#[path = "../support/objects.rs"]
mod objects;
mod servers;
#[path = "../support/web_dav/mod.rs"]
mod web_dav;

use objects::*;
use snapline::store::*;
use std::path::PathBuf;
use web_dav::WebDavServer;

fn open(server: &WebDavServer, options: &ObjectStoreOptions) -> ObjectStoreCheckpointStorage {
    ObjectStoreCheckpointStorage::open(&server.url(), JOB, options).expect("opens")
}

/// A server and a storage on it.
fn served() -> (WebDavServer, ObjectStoreCheckpointStorage) {
    let server = WebDavServer::start();
    let storage = open(&server, &server.options());
    (server, storage)
}

/// The directory of the job on the disk of the server.
fn directory_of_the_job(server: &WebDavServer) -> PathBuf {
    server.path().join(JOB.to_string())
}

/// The names of the files of the job, without that by which the server is tried.
fn files_of_the_job(server: &WebDavServer) -> Vec<String> {
    let directory = directory_of_the_job(server);
    let names = files_under(&directory, &directory).into_iter().map(|(name, _)| name);
    names.filter(|name| name != "conditional-put").collect()
}
