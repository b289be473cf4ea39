//! Which store a configuration names for the log of pointers.

use crate::configuration::{ConfigOption, Configuration, Reader, options};
use crate::store::{
    CheckpointStorageChoice, ClusterId, EtcdCredentials, EtcdOptions, HighAvailability, WrongStorage,
    high_availability_in,
};
use std::path::PathBuf;
use std::time::Duration;

#[derive(Clone, Copy)]
enum Type {
    None,
    FileSystem,
    Etcd,
    NotSupported,
}

const TYPES: &[(&str, Type)] = &[
    ("NONE", Type::None),
    ("filesystem", Type::FileSystem),
    ("etcd", Type::Etcd),
    ("ZOOKEEPER", Type::NotSupported),
    ("KUBERNETES", Type::NotSupported),
];

/// `files`, with a store of its own for the log of pointers if one is named.
pub(super) fn storage(
    read: &mut Reader<'_>,
    configuration: &Configuration,
    files: CheckpointStorageChoice,
) -> CheckpointStorageChoice {
    // What is wrong is said of all of them, also of those that are not needed.
    let chosen = read.one_of(&options::HIGH_AVAILABILITY, TYPES).unwrap_or(Type::None);
    let cluster: ClusterId = read.parsed(&options::CLUSTER_ID, str::parse).unwrap_or_default();
    let directory = read.text(&options::HIGH_AVAILABILITY_DIRECTORY);
    let etcd = etcd_options(read);
    let is_in_memory = matches!(files, CheckpointStorageChoice::JobManager { .. });
    let pointers = match (chosen, directory) {
        (Type::None, _) => return files,
        (Type::NotSupported, _) => refused("not supported by Snapline: there are NONE, filesystem and etcd"),
        _ if is_in_memory => {
            refused("it needs checkpoints that outlive the process, and these are kept in memory")
        }
        (Type::Etcd, _) if cfg!(not(feature = "etcd")) => {
            refused("snapline was built without its feature `etcd`")
        }
        (Type::Etcd, _) if etcd.endpoints.is_empty() => refused(needs(&options::ETCD_ENDPOINTS)),
        (Type::Etcd, _) => Ok(HighAvailability::Etcd { options: etcd, cluster }),
        (Type::FileSystem, None) => refused(needs(&options::HIGH_AVAILABILITY_DIRECTORY)),
        (Type::FileSystem, Some(directory)) => high_availability_in(directory, cluster, configuration),
    };
    match pointers {
        Ok(pointers) => CheckpointStorageChoice::HighlyAvailable { files: Box::new(files), pointers },
        Err(wrong) => {
            read.refuse(&wrong.option, wrong.what);
            files
        }
    }
}

fn refused(what: impl Into<String>) -> Result<HighAvailability, WrongStorage> {
    Err(WrongStorage { option: options::HIGH_AVAILABILITY, what: what.into() })
}

fn needs(option: &ConfigOption) -> String {
    format!("it needs `{}`", option.key)
}

fn etcd_options(read: &mut Reader<'_>) -> EtcdOptions {
    let endpoints = read.text(&options::ETCD_ENDPOINTS).unwrap_or_default();
    let endpoints = endpoints.split([',', ';']).map(str::trim).filter(|endpoint| !endpoint.is_empty());
    let default = EtcdOptions::new(endpoints);
    let mut time =
        |option, default| read.millis(option).map_or(default, |millis| Duration::from_millis(millis.0));
    let request_timeout = time(&options::ETCD_REQUEST_TIMEOUT, default.request_timeout);
    let retry_timeout = time(&options::ETCD_RETRY_TIMEOUT, default.retry_timeout);
    let root = read.text(&options::ETCD_ROOT).map_or(default.root, str::to_owned);
    let ca_certificate = read.text(&options::ETCD_CA).map(PathBuf::from);
    let user = both(read, [&options::ETCD_USERNAME, &options::ETCD_PASSWORD]);
    let client = both(read, [&options::ETCD_CERTIFICATE, &options::ETCD_KEY]);
    EtcdOptions {
        endpoints: default.endpoints,
        root,
        request_timeout,
        retry_timeout,
        credentials: user.map(|[username, password]| EtcdCredentials { username, password }),
        ca_certificate,
        client_certificate: client.map(|[certificate, key]| (certificate.into(), key.into())),
    }
}

/// The texts of two options of which none makes sense without the other.
fn both(read: &mut Reader<'_>, pair: [&ConfigOption; 2]) -> Option<[String; 2]> {
    let is_set = pair.map(|option| read.is_set(option));
    let texts = pair.map(|option| read.text(option).map(str::to_owned));
    for (option, other) in [(0, 1), (1, 0)] {
        // A password is not shown, and has no effect alone.
        if texts[option].is_some() && !is_set[other] && *pair[option] != options::ETCD_PASSWORD {
            read.refuse(pair[option], needs(pair[other]));
        }
    }
    let [one, other] = texts;
    Some([one?, other?])
}
