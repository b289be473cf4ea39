//! Stores that a configuration names.

use crate::common::{JOB, World, options, run};
use snapline::configuration::Configuration;
use snapline::runtime::JobSettings;
use snapline::store::*;
use std::time::Duration;

const TYPE: &str = "high-availability.type";
const STORAGE_DIR: &str = "high-availability.storageDir";
const CLUSTER: &str = "high-availability.cluster-id";
const ENDPOINTS: &str = "high-availability.etcd.endpoints";
const DIRECTORY: &str = "execution.checkpointing.dir";

fn configuration(entries: &[(&str, &str)]) -> Configuration {
    entries.iter().fold(Configuration::new(), |all, (key, value)| all.with(*key, *value))
}

fn chosen(entries: &[(&str, &str)]) -> CheckpointStorageChoice {
    JobSettings::from_configuration(&configuration(entries)).unwrap().storage
}

/// The store of the log; the files are those of `/data`.
fn pointers(entries: &[(&str, &str)]) -> HighAvailability {
    let files = chosen(&[(DIRECTORY, "/data")]);
    let chosen = chosen(&[&[(DIRECTORY, "/data")], entries].concat());
    assert_eq!((chosen.files(), chosen.name()), (&files, "filesystem"));
    match chosen {
        CheckpointStorageChoice::HighlyAvailable { pointers, .. } => pointers,
        other => panic!("{other:?}"),
    }
}

#[test]
fn high_availability_is_in_no_store_unless_one_is_named() {
    for entries in [&[][..], &[(TYPE, "NONE")], &[("high-availability", "none")]] {
        let with_files = [entries, &[(DIRECTORY, "/data")]].concat();
        assert!(matches!(chosen(&with_files), CheckpointStorageChoice::FileSystem { .. }));
    }
}

#[test]
fn high_availability_in_a_directory_is_configured() {
    let cluster = |id: &str| id.parse().unwrap();
    let in_directory = |cluster| HighAvailability::FileSystem { directory: "/ha".into(), cluster };
    for (entries, expected) in [
        (&[(TYPE, "filesystem"), (STORAGE_DIR, "/ha")][..], ClusterId::default()),
        (&[("high-availability", "FileSystem"), (STORAGE_DIR, "file:///ha")], cluster("default")),
        (&[(TYPE, "filesystem"), (STORAGE_DIR, "/ha"), (CLUSTER, "/a/b-1")], cluster("a/b-1")),
    ] {
        assert_eq!(pointers(entries), in_directory(expected));
    }
}

#[cfg(feature = "etcd")]
#[test]
fn high_availability_in_etcd_is_configured() {
    let etcd = |options| HighAvailability::Etcd { options, cluster: ClusterId::default() };
    let entries = &[(TYPE, "etcd"), (ENDPOINTS, "http://a:1, http://b:2;http://c:3")];
    let default = EtcdOptions::new(["http://a:1", "http://b:2", "http://c:3"]);
    assert_eq!(pointers(entries), etcd(default.clone()));
    // What is the default in code is the default that is documented.
    let documented: Vec<_> = snapline::configuration::options::ALL
        .iter()
        .filter(|option| option.key.starts_with("high-availability.etcd.") && !option.default.is_empty())
        .map(|option| (option.key, option.default))
        .collect();
    assert_eq!(pointers(&[&entries[..], &documented].concat()), etcd(default.clone()));
    let changed = EtcdOptions {
        root: "/other".to_owned(),
        request_timeout: Duration::from_secs(1),
        retry_timeout: Duration::ZERO,
        credentials: Some(EtcdCredentials { username: "me".to_owned(), password: "p".to_owned() }),
        ca_certificate: Some("/ca".into()),
        client_certificate: Some(("/certificate".into(), "/key".into())),
        ..default
    };
    let changes = [
        ("high-availability.etcd.path.root", "/other"),
        ("high-availability.etcd.request-timeout", "1 s"),
        ("high-availability.etcd.retry-timeout", "0"),
        ("high-availability.etcd.username", "me"),
        ("high-availability.etcd.password", "p"),
        ("high-availability.etcd.ca-certificate", "/ca"),
        ("high-availability.etcd.client-certificate", "/certificate"),
        ("high-availability.etcd.client-key", "/key"),
    ];
    assert_eq!(pointers(&[&entries[..], &changes].concat()), etcd(changed));
}

#[cfg(feature = "s3")]
#[test]
fn high_availability_in_an_object_storage_is_configured() {
    let setting = "snapline.storage.object-store.max-retries";
    let found = pointers(&[(TYPE, "filesystem"), (STORAGE_DIR, "s3://bucket/ha"), (setting, "3")]);
    let options = ObjectStoreOptions { max_retries: 3, ..ObjectStoreOptions::default() };
    let (url, cluster) = ("s3://bucket/ha".to_owned(), ClusterId::default());
    assert_eq!(found, HighAvailability::ObjectStore { url, cluster, options });
}

#[test]
fn high_availability_that_is_wrong_is_refused() {
    let (files, etcd) = ((DIRECTORY, "/data"), (TYPE, "etcd"));
    for (entries, what) in [
        (&[files, (TYPE, "ZooKeeper")][..], "there are NONE, filesystem and etcd"),
        (&[files, (TYPE, "consul")], "it must be one of NONE, filesystem, etcd"),
        (&[files, (TYPE, "filesystem")], "it needs `high-availability.storageDir`"),
        (&[(TYPE, "filesystem"), (STORAGE_DIR, "/ha")], "checkpoints that outlive the process"),
        (&[files, (TYPE, "filesystem"), (STORAGE_DIR, "tape:/ha")], "no store has the scheme `tape`"),
        (&[files, (CLUSTER, "../x")], "it must be names of letters, digits"),
        #[cfg(feature = "etcd")]
        (&[files, etcd], "it needs `high-availability.etcd.endpoints`"),
        #[cfg(not(feature = "etcd"))]
        (&[files, etcd, (ENDPOINTS, "http://a:1")], "without its feature `etcd`"),
        (
            &[files, etcd, (ENDPOINTS, "http://a:1"), ("high-availability.etcd.username", "me")],
            "it needs `high-availability.etcd.password`",
        ),
    ] {
        let refused = JobSettings::from_configuration(&configuration(entries)).unwrap_err().to_string();
        assert!(refused.contains(what), "{entries:?}: {refused}");
    }
}

#[test]
fn high_availability_options_without_effect_are_warned_of() {
    let files = (DIRECTORY, "/data");
    let warnings = |entries: &[(&str, &str)]| {
        let settings = JobSettings::from_configuration(&configuration(entries)).unwrap();
        settings.warnings.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let in_directory = [files, (TYPE, "filesystem"), (STORAGE_DIR, "/ha")];
    assert_eq!(warnings(&in_directory), Vec::<String>::new());
    let told = warnings(&[files, (STORAGE_DIR, "/ha"), (CLUSTER, "mine"), (ENDPOINTS, "http://a:1")]);
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(told.iter().all(|told| told.contains("`high-availability.type` is NONE")), "{told:?}");
    let told = warnings(&[&in_directory[..], &[(ENDPOINTS, "http://a:1")]].concat());
    assert!(told.len() == 1 && told[0].contains("`high-availability.type` is filesystem"), "{told:?}");
    #[cfg(feature = "etcd")]
    {
        let etcd = [files, (TYPE, "etcd"), (ENDPOINTS, "http://a:1")];
        assert_eq!(warnings(&etcd), Vec::<String>::new());
        let told = warnings(&[&etcd[..], &[("high-availability.etcd.password", "secret")]].concat());
        assert!(told.len() == 1 && told[0].contains("`high-availability.etcd.username` is not set"));
        assert!(!told[0].contains("secret"), "{told:?}");
    }
    let told = warnings(&[files, ("high-availability.zookeeper.quorum", "x")]);
    assert!(told.len() == 1 && told[0].contains("the log of pointers is all that is kept"), "{told:?}");
}

#[test]
fn high_availability_that_a_configuration_names_keeps_the_log_of_a_job() {
    let (directory, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [files, log] = [&directory, &elsewhere].map(|directory| directory.path().to_str().unwrap());
    let storage = chosen(&[(DIRECTORY, files), (TYPE, "filesystem"), (STORAGE_DIR, log), (CLUSTER, "c")]);
    let world = World::new();
    run(&world, 2, options(0), &storage.open(JOB).unwrap()).unwrap();
    world.assert_exact(2);
    let pointers = elsewhere.path().join("c").join(JOB.to_string()).join("pointers");
    assert!(std::fs::read_dir(pointers).unwrap().count() > 1);
    assert!(
        chosen(&[(DIRECTORY, files)])
            .open(JOB)
            .unwrap()
            .read_pointer(snapline::publish::PointerSequence::FIRST)
            .is_err()
    );
}
