//! Storages that a configuration names by their URLs.

use crate::JOB;
use crate::common::{self, World, options, run};
use crate::s3::S3Server;
use snapline::configuration::{Configuration, Origin};
use snapline::runtime::JobSettings;
use snapline::store::*;
use std::collections::BTreeSet;
use std::time::Duration;

const DIRECTORY: &str = "execution.checkpointing.dir";
const SAVEPOINTS: &str = "execution.checkpointing.savepoint-dir";
const PREFIX: &str = "snapline.storage.object-store.";

/// A configuration with these texts and with the settings of the server.
fn configured(server: &S3Server, entries: &[(&str, &str)]) -> Configuration {
    let mut configuration = Configuration::new();
    for (key, value) in server.options().store {
        configuration.set(format!("{PREFIX}store.{key}"), value, Origin::Code);
    }
    for (key, value) in entries {
        configuration.set(*key, *value, Origin::Code);
    }
    configuration
}

#[test]
fn object_store_that_a_configuration_names_keeps_the_checkpoints_of_a_job() {
    let server = S3Server::start();
    let url = server.url();
    let settings = JobSettings::from_configuration(&configured(&server, &[(DIRECTORY, &url)])).unwrap();
    assert_eq!((settings.storage.name(), &settings.warnings[..]), ("s3", &[][..]));
    let world = World::new();
    run(&world, 2, options(0), &settings.storage.open(common::JOB).unwrap()).unwrap();
    world.assert_exact(2);
    let newest = format!("some/directory/{}/chk-", common::JOB);
    assert!(server.bucket.keys().iter().any(|key| key.starts_with(&newest)), "{:?}", server.bucket.keys());
}

#[test]
fn object_store_that_a_configuration_names_has_savepoints_elsewhere() {
    let server = S3Server::start();
    let (url, savepoints) = (server.url(), format!("{}/kept", server.url()));
    let configuration = configured(&server, &[(DIRECTORY, &url), (SAVEPOINTS, &savepoints)]);
    let settings = JobSettings::from_configuration(&configuration).unwrap();
    let storage = settings.storage.open(JOB).unwrap();
    let name = storage.savepoint_name(snapline::base::CheckpointId(3), snapline::base::Attempt(1));
    assert_eq!(name, format!("{savepoints}/{JOB}/savepoint-3-1"));
}

#[test]
fn object_store_options_are_those_of_the_configuration() {
    let server = S3Server::start();
    let told = |entries: &[(&str, &str)]| {
        let entries: Vec<_> = entries.iter().map(|(key, value)| (format!("{PREFIX}{key}"), *value)).collect();
        let entries: Vec<_> = entries.iter().map(|(key, value)| (key.as_str(), *value)).collect();
        ObjectStoreOptions::from_configuration(&configured(&server, &entries))
    };
    let expected = ObjectStoreOptions { store: server.options().store, ..ObjectStoreOptions::default() };
    assert_eq!(told(&[]).unwrap(), expected);
    let changes = [
        ("write-buffer-size", "6 mb"),
        ("uploads-at-once", "3"),
        ("read-size", "64 kb"),
        ("request-timeout", "7 s"),
        ("connect-timeout", "8 s"),
        ("max-retries", "9"),
        ("retry-timeout", "10 s"),
        ("initial-backoff", "11 ms"),
    ];
    let changed = ObjectStoreOptions {
        write_buffer_bytes: 6 << 20,
        uploads_at_once: 3,
        read_bytes: 64 << 10,
        request_timeout: Duration::from_secs(7),
        connect_timeout: Duration::from_secs(8),
        max_retries: 9,
        retry_timeout: Duration::from_secs(10),
        initial_backoff: Duration::from_millis(11),
        ..expected.clone()
    };
    assert_eq!(told(&changes).unwrap(), changed);
    let keys = changes.iter().map(|(key, _)| format!("{PREFIX}{key}")).collect::<BTreeSet<_>>();
    assert_eq!(keys, OBJECT_STORE_OPTIONS.iter().map(|option| option.key.to_owned()).collect());
    let defaults: Vec<_> = OBJECT_STORE_OPTIONS
        .iter()
        .map(|option| (option.key.strip_prefix(PREFIX).unwrap(), option.default))
        .collect();
    assert_eq!(told(&defaults).unwrap(), expected);
    for (key, value, what) in [
        ("retries", "9", "there is no such option of object storages"),
        ("max-retries", "many", "it must be a whole number"),
        ("read-size", "5 metres", "5 metres"),
    ] {
        let refused = told(&[(key, value)]).unwrap_err().to_string();
        assert!(refused.contains(&format!("{PREFIX}{key}")) && refused.contains(what), "{refused}");
    }
}

#[test]
fn object_store_that_cannot_be_opened_says_why() {
    let server = S3Server::start();
    let url = server.url();
    for (entries, what) in [
        (&[(DIRECTORY, "s3:///nowhere")][..], "Unable to recognise URL"),
        (&[("execution.checkpointing.storage", "s3")], "`execution.checkpointing.dir` is not set"),
        (&[(DIRECTORY, &url), (SAVEPOINTS, "kept")], "relative URL without a base"),
        (
            &[(DIRECTORY, &url), ("snapline.storage.object-store.write-buffer-size", "1 mb")],
            "must be 5242880 at least",
        ),
        (&[(DIRECTORY, &url), ("snapline.storage.object-store.store.regoin", "x")], "regoin"),
        (&[(DIRECTORY, &url), ("snapline.storage.object-store.buffer", "1 mb")], "there is no such option"),
    ] {
        let settings = JobSettings::from_configuration(&configured(&server, entries)).unwrap();
        let error = settings.storage.open(JOB).map(drop).unwrap_err();
        let told = match &error {
            StorageError::Unavailable { cause, .. } => format!("{error}: {cause}"),
            other => panic!("{other}"),
        };
        assert!(told.contains(what), "{entries:?}: {told}");
    }
}

/// `docs/STORAGES.md` says what the table of options says.
#[test]
fn object_store_options_are_documented() {
    let document = include_str!("../../docs/STORAGES.md");
    for option in OBJECT_STORE_OPTIONS {
        let line =
            format!("| `{}` | {} | `{}` | {} |", option.key, option.kind, option.default, option.description);
        assert!(document.contains(&line), "this line is missing:\n{line}");
    }
}
