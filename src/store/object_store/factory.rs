//! Object storages by the URL of a configuration.

use super::{ObjectStoreCheckpointStorage, ObjectStoreLocation, ObjectStoreOptions};
use crate::base::JobId;
use crate::configuration::{ConfigOption, Configuration, Kind, Reader, WrongOption, options};
use crate::store::{CheckpointStorage, CheckpointStorageFactory, StorageError};
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// With this begin the keys of all object storages.
const PREFIX: &str = "snapline.storage.object-store.";
/// With this begin the settings of the store: [`ObjectStoreOptions::store`].
const STORE: &str = "snapline.storage.object-store.store.";

const fn size(key: &'static str, default: &'static str, what: &'static str) -> ConfigOption {
    ConfigOption::new(key, Kind::MemorySize { most_bytes: u64::MAX }, default, what)
}

const fn count(key: &'static str, default: &'static str, what: &'static str) -> ConfigOption {
    ConfigOption::new(key, Kind::Number { least: 0, most: u32::MAX as u64 }, default, what)
}

const fn duration(key: &'static str, default: &'static str, what: &'static str) -> ConfigOption {
    ConfigOption::new(key, Kind::Duration { least_millis: 1 }, default, what)
}

/// [`ObjectStoreOptions::write_buffer_bytes`].
const WRITE_BUFFER: ConfigOption = size(
    "snapline.storage.object-store.write-buffer-size",
    "8 mb",
    "What a writer keeps in memory before it sends a part, 5 MB at least.",
);
/// [`ObjectStoreOptions::uploads_at_once`].
const UPLOADS_AT_ONCE: ConfigOption = count(
    "snapline.storage.object-store.uploads-at-once",
    "2",
    "How many parts of one file are under way at a time.",
);
/// [`ObjectStoreOptions::read_bytes`].
const READ_SIZE: ConfigOption =
    size("snapline.storage.object-store.read-size", "8 mb", "What one request reads of a file.");
/// [`ObjectStoreOptions::request_timeout`].
const REQUEST_TIMEOUT: ConfigOption = duration(
    "snapline.storage.object-store.request-timeout",
    "30 s",
    "After which time without an answer a request has failed.",
);
/// [`ObjectStoreOptions::connect_timeout`].
const CONNECT_TIMEOUT: ConfigOption = duration(
    "snapline.storage.object-store.connect-timeout",
    "5 s",
    "After which time a connection that does not come about has failed.",
);
/// [`ObjectStoreOptions::max_retries`].
const MAX_RETRIES: ConfigOption = count(
    "snapline.storage.object-store.max-retries",
    "10",
    "How often a request that has failed is sent again.",
);
/// [`ObjectStoreOptions::retry_timeout`].
const RETRY_TIMEOUT: ConfigOption = duration(
    "snapline.storage.object-store.retry-timeout",
    "3 min",
    "No request is sent again that was first sent this long ago.",
);
/// [`ObjectStoreOptions::initial_backoff`].
const INITIAL_BACKOFF: ConfigOption = duration(
    "snapline.storage.object-store.initial-backoff",
    "100 ms",
    "The pause before a request is sent again, which doubles each time.",
);

/// Opens what `execution.checkpointing.dir` names by a URL of one scheme.
pub(in crate::store) struct ObjectStoreCheckpointStorageFactory {
    scheme: &'static str,
}

impl ObjectStoreCheckpointStorageFactory {
    /// With this begin the URLs of directories in object storages.
    pub(in crate::store) const SCHEMES: [&str; 10] =
        ["s3", "s3a", "gs", "az", "abfs", "abfss", "hdfs", "viewfs", "http", "https"];
    /// With this begin the keys that all of them read.
    pub(in crate::store) const PREFIX: &str = PREFIX;

    /// The factory for a scheme, if it is one of object storages.
    pub(in crate::store) fn of(scheme: &str) -> Option<Self> {
        let scheme = Self::SCHEMES.into_iter().find(|known| *known == scheme)?;
        Some(ObjectStoreCheckpointStorageFactory { scheme })
    }
}

/// The options of all object storages, beside `snapline.storage.object-store.store.*`.
pub const OBJECT_STORE_OPTIONS: &[ConfigOption] = &[
    WRITE_BUFFER,
    UPLOADS_AT_ONCE,
    READ_SIZE,
    REQUEST_TIMEOUT,
    CONNECT_TIMEOUT,
    MAX_RETRIES,
    RETRY_TIMEOUT,
    INITIAL_BACKOFF,
];

impl CheckpointStorageFactory for ObjectStoreCheckpointStorageFactory {
    fn name(&self) -> &str {
        self.scheme
    }

    fn key_prefixes(&self) -> &[&str] {
        &[PREFIX]
    }

    fn open(
        &self,
        configuration: &Configuration,
        job: JobId,
    ) -> Result<Arc<dyn CheckpointStorage>, StorageError> {
        let wrong = |what| {
            let what = io::Error::new(io::ErrorKind::InvalidInput, what);
            StorageError::unavailable(format!("{}://", self.scheme), what)
        };
        let told = ObjectStoreOptions::from_configuration(configuration)
            .map_err(|error| wrong(error.to_string()))?;
        let text = |option| configuration.find(option).map(|(_, entry)| entry.value.trim());
        let directory = text(&options::DIRECTORY)
            .ok_or_else(|| wrong(format!("`{}` is not set", options::DIRECTORY.key)))?;
        let storage = ObjectStoreCheckpointStorage::open(directory, job, &told)?;
        Ok(match text(&options::SAVEPOINT_DIRECTORY) {
            Some(savepoints) => {
                Arc::new(storage.with_savepoints_in(ObjectStoreLocation::open(savepoints, &told)?))
            }
            None => Arc::new(storage),
        })
    }
}

impl ObjectStoreOptions {
    /// What a configuration says under `snapline.storage.object-store.*`.
    ///
    /// # Errors
    /// All that is wrong, keys included that begin so and mean nothing.
    pub fn from_configuration(
        configuration: &Configuration,
    ) -> Result<Self, crate::configuration::ConfigurationError> {
        let default = ObjectStoreOptions::default();
        let mut read = Reader::new(configuration);
        let bytes = |read: &mut Reader<'_>, option, default| {
            read.bytes(option).map_or(default, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
        };
        let time = |read: &mut Reader<'_>, option, default| {
            read.millis(option).map_or(default, |millis| Duration::from_millis(millis.0))
        };
        let mut options = ObjectStoreOptions {
            write_buffer_bytes: bytes(&mut read, &WRITE_BUFFER, default.write_buffer_bytes),
            uploads_at_once: read.number(&UPLOADS_AT_ONCE).unwrap_or(default.uploads_at_once),
            read_bytes: bytes(&mut read, &READ_SIZE, default.read_bytes),
            request_timeout: time(&mut read, &REQUEST_TIMEOUT, default.request_timeout),
            connect_timeout: time(&mut read, &CONNECT_TIMEOUT, default.connect_timeout),
            max_retries: read.number(&MAX_RETRIES).unwrap_or(default.max_retries),
            retry_timeout: time(&mut read, &RETRY_TIMEOUT, default.retry_timeout),
            initial_backoff: time(&mut read, &INITIAL_BACKOFF, default.initial_backoff),
            store: default.store,
        };
        for (key, entry) in configuration.iter().filter(|(key, _)| key.starts_with(PREFIX)) {
            if let Some(setting) = key.strip_prefix(STORE) {
                options.store.insert(setting.to_owned(), entry.value.clone());
            } else if !OBJECT_STORE_OPTIONS.iter().any(|option| option.key == key) {
                let what = "there is no such option of object storages".to_owned();
                // It may be a secret whose key lacks `store.`.
                read.refuse_wrong(WrongOption { key: key.to_owned(), value: "..".to_owned(), what });
            }
        }
        read.finish(options)
    }
}
