//! What a storage is opened under, and what is refused.

use crate::s3::{Bucket, S3Server};
use crate::{JOB, checkpoint, file, job, open, read, write};
use object_store::memory::InMemory;
use snapline::base::*;
use snapline::store::*;
use std::sync::Arc;

fn refusal(url: &str, options: &ObjectStoreOptions) -> String {
    match ObjectStoreCheckpointStorage::open(url, JOB, options).expect_err(url) {
        StorageError::Unavailable { cause, .. } => cause.to_string(),
        other => panic!("{url}: {other}"),
    }
}

/// H15
#[test]
fn object_store_url_of_another_kind_is_refused_with_a_reason() {
    let default = ObjectStoreOptions::default();
    for (url, reason) in [
        ("", "relative URL without a base"),
        ("checkpoints", "relative URL without a base"),
        ("file:///checkpoints", "FileSystemCheckpointStorage"),
        ("memory:///checkpoints", "no checkpoint can be kept under memory://"),
        ("ftp://example.com/checkpoints", "Unable to recognise URL"),
        ("s3:///checkpoints", "Unable to recognise URL"),
        ("s3://user:secret@bucket/checkpoints", "credentials come from the environment"),
        ("s3://bucket/checkpoints?region=x", "no query"),
        ("s3://bucket/a//b", "Path"),
    ] {
        let found = refusal(url, &default);
        assert!(found.contains(reason), "{url:?}: {found}");
        assert!(!found.contains("secret"), "{found}");
    }
}

/// Clients are made for them; nobody is asked before the storage is opened.
#[cfg(all(feature = "gcs", feature = "azure", feature = "hdfs", feature = "http"))]
#[test]
fn object_store_urls_of_all_clouds_are_understood() {
    for (url, settings) in [
        ("s3://bucket/directory", &[][..]),
        ("s3a://bucket", &[]),
        ("https://bucket.s3.eu-central-1.amazonaws.com/directory", &[]),
        ("gs://bucket/directory", &[("skip_signature", "true")]),
        ("az://container/directory", &[("account_name", "account"), ("skip_signature", "true")]),
        ("abfss://container@account.dfs.core.windows.net/directory", &[("skip_signature", "true")]),
        ("http://localhost:8080/directory", &[]),
        ("https://example.com", &[("username", "user"), ("password", "secret")]),
        ("hdfs://localhost:9000/directory", &[("dfs.client.use.datanode.hostname", "true")]),
    ] {
        let store = settings.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect();
        let options = ObjectStoreOptions { store, ..ObjectStoreOptions::default() };
        ObjectStoreLocation::open(url, &options).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[cfg(not(feature = "http"))]
#[test]
fn object_store_of_a_feature_that_is_missing_is_refused_with_its_name() {
    let found = refusal("https://example.com/checkpoints", &ObjectStoreOptions::default());
    assert_eq!(found, "snapline was built without its feature `http`");
}

#[test]
fn object_store_options_that_cannot_be_are_refused() {
    let default = ObjectStoreOptions::default;
    let url = "s3://bucket/checkpoints";
    let found = refusal(url, &ObjectStoreOptions { write_buffer_bytes: 1024, ..default() });
    assert_eq!(found, "write_buffer_bytes is 1024, and must be 5242880 at least");
    for options in [
        ObjectStoreOptions { uploads_at_once: 0, ..default() },
        ObjectStoreOptions { read_bytes: 0, ..default() },
    ] {
        assert!(refusal(url, &options).ends_with("must not be 0"));
    }
    let store = [("no_such_key".to_owned(), "x".to_owned())].into();
    let found = refusal(url, &ObjectStoreOptions { store, ..default() });
    assert!(found.contains("no_such_key"), "{found}");
}

/// A store that overwrites would let two coordinators publish under one number.
#[test]
fn object_store_without_conditional_puts_is_refused_when_it_is_opened() {
    let server = S3Server::with(Bucket::without_conditions());
    let found = refusal(&server.url(), &server.options());
    assert!(found.contains("has written an object that exists"), "{found}");
    let store = [("conditional_put".to_owned(), "disabled".to_owned())];
    let mut options = server.options();
    options.store.extend(store);
    let found = refusal(&server.url(), &options);
    assert!(found.contains("conditional put is disabled"), "{found}");
}

#[test]
fn object_store_that_cannot_be_written_is_refused_when_it_is_opened() {
    let server = S3Server::start();
    let mut options = server.options();
    options.store.insert("secret_access_key".to_owned(), "wrong".to_owned());
    let found = refusal(&server.url(), &options);
    assert!(found.contains("SignatureDoesNotMatch"), "{found}");
    let found = refusal("s3://another/directory", &server.options());
    assert!(found.contains("NoSuchBucket"), "{found}");
}

/// H17, and a storage that is opened again.
#[test]
fn object_store_jobs_and_directories_do_not_see_each_other() {
    let server = S3Server::start();
    let (one, again) = (open(&server, &server.options()), open(&server, &server.options()));
    let url = "s3://checkpoints/some/other";
    let other = ObjectStoreCheckpointStorage::open(url, JOB, &server.options()).unwrap();
    let another_job = ObjectStoreCheckpointStorage::open(&server.url(), JobId(1), &server.options()).unwrap();
    one.put_metadata(&job().metadata(checkpoint(1))).unwrap();
    assert_eq!(again.list().unwrap().checkpoints, [CheckpointId(1)].into());
    for storage in [other, another_job] {
        assert_eq!(storage.list().unwrap(), Default::default());
        assert_eq!(storage.read_metadata(CheckpointId(1)).unwrap(), None);
    }
}

/// H20, H23
#[test]
fn object_store_savepoints_go_where_their_location_is() {
    let server = S3Server::start();
    let savepoints = ObjectStoreLocation::open("s3://checkpoints/kept", &server.options()).unwrap();
    let storage = open(&server, &server.options()).with_savepoints_in(savepoints);
    let handle = write(&storage, StateFile { savepoint: true, ..file(3, 0) }, b"x").unwrap();
    let savepoint = CompletedCheckpoint { kind: CheckpointKind::Savepoint, ..checkpoint(3) };
    storage.put_metadata(&job().metadata(savepoint)).unwrap();
    let directory = format!("kept/{JOB}/savepoint-3-2");
    assert_eq!(storage.savepoint_name(CheckpointId(3), Attempt(2)), format!("s3://checkpoints/{directory}"));
    for name in ["1-0-2.state", "_metadata"] {
        assert!(server.bucket.get(&format!("{directory}/{name}")).is_some(), "{name}");
    }
    assert_eq!(read(&storage, &handle).unwrap(), b"x");
    storage.delete_state(handle.file).unwrap();
    assert_eq!(server.bucket.get(&format!("{directory}/1-0-2.state")), None);
}

/// H19, H21, H24
#[test]
fn object_store_savepoints_go_where_their_request_says_in_the_same_store() {
    let server = S3Server::start();
    let open_storage = || open(&server, &server.options());
    let kept = ObjectStoreLocation::open("s3://checkpoints/kept", &server.options()).unwrap();
    for storage in [open_storage(), open_storage().with_savepoints_in(kept)] {
        let usual = storage.savepoint_name(CheckpointId(4), Attempt(2));
        storage.savepoint_target("s3://checkpoints/chosen").unwrap().place(CheckpointId(3), Attempt(2));
        let handle = write(&storage, StateFile { savepoint: true, ..file(3, 0) }, b"x").unwrap();
        let savepoint = CompletedCheckpoint { kind: CheckpointKind::Savepoint, ..checkpoint(3) };
        storage.put_metadata(&job().metadata(savepoint)).unwrap();
        let directory = format!("chosen/{JOB}/savepoint-3-2");
        let name = storage.savepoint_name(CheckpointId(3), Attempt(2));
        assert_eq!(name, format!("s3://checkpoints/{directory}"));
        for name in ["1-0-2.state", "_metadata"] {
            assert!(server.bucket.get(&format!("{directory}/{name}")).is_some(), "{name}");
        }
        assert_eq!(read(&storage, &handle).unwrap(), b"x");
        storage.delete_savepoint(CheckpointId(3), Attempt(2)).unwrap();
        assert!(!server.bucket.keys().iter().any(|key| key.starts_with(&directory)));
        assert_eq!(storage.savepoint_name(CheckpointId(4), Attempt(2)), usual);
    }
}

#[test]
fn object_store_target_of_savepoints_in_another_store_is_refused() {
    let server = S3Server::start();
    let storage = open(&server, &server.options());
    let among = format!("{}/{JOB}/chk-3", server.url());
    let wrong = [
        ("", "it must lie in the same store, s3://checkpoints"),
        ("/savepoints", "it must lie in the same store, s3://checkpoints"),
        ("s3://other/savepoints", "it must lie in the same store, s3://checkpoints"),
        ("gs://checkpoints/savepoints", "it must lie in the same store, s3://checkpoints"),
        ("s3://checkpoints/savepoints?x=1", "no password, no query"),
        (&among, "it lies among the checkpoints of the job"),
    ];
    for (target, text) in wrong {
        let error = storage.savepoint_target(target).unwrap_err().to_string();
        assert!(error.contains(text), "{target}: {error}");
    }
    let location = ObjectStoreLocation::new(Arc::new(InMemory::new()), "a").unwrap();
    let storage = ObjectStoreCheckpointStorage::new(location, JOB, &server.options()).unwrap();
    let error = storage.savepoint_target("s3://checkpoints/a").unwrap_err().to_string();
    assert!(error.contains("was not opened by a URL"), "{error}");
}

/// A store that somebody else has made, with a name that is none.
#[test]
fn object_store_location_of_a_given_store_needs_a_name() {
    let store = Arc::new(InMemory::new());
    let error = ObjectStoreLocation::new(Arc::clone(&store) as _, "a//b").unwrap_err();
    assert!(error.to_string().starts_with("InMemory/a//b is unavailable"), "{error}");
    let location = ObjectStoreLocation::new(store, "").unwrap();
    let storage = ObjectStoreCheckpointStorage::new(location, JOB, &ObjectStoreOptions::default()).unwrap();
    assert_eq!(storage.state_name(file(1, 0)), format!("InMemory/{JOB}/chk-1/1-0-2.state"));
}
