use crate::store::StorageError;
use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

/// How an object storage is used. Every default suits S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectStoreOptions {
    /// How many bytes of a file are kept in memory before they are sent, at least 5 MiB (the least that S3 takes as a
    /// part). A file of no more bytes than this is one object written at once; S3 takes 10,000 parts at most.
    pub write_buffer_bytes: usize,
    /// How many parts of one file are under way at a time. A writer holds one buffer more than this.
    pub uploads_at_once: usize,
    /// How many bytes one request reads of a file. A reader holds two of these.
    pub read_bytes: usize,
    /// After which time without an answer a request has failed. A part of a file has to be through in that time; over
    /// WebDAV, which has no parts, the whole file.
    pub request_timeout: Duration,
    /// After which time a connection that does not come about has failed.
    pub connect_timeout: Duration,
    /// How often a request that has failed is sent again.
    pub max_retries: usize,
    /// No request is sent again that was first sent this long ago.
    pub retry_timeout: Duration,
    /// The pause before a request is sent again, which doubles each time, up to [`MAX_BACKOFF`](Self::MAX_BACKOFF).
    pub initial_backoff: Duration,
    /// Settings of the store, such as `region` and `endpoint` for S3 (keys of `AmazonS3ConfigKey`, `GoogleConfigKey` and
    /// `AzureConfigKey` of the crate `object_store`, Hadoop's for HDFS, or `username`, `password`, `bearer_token` and
    /// `ClientConfigKey` for WebDAV). They win over the environment.
    pub store: BTreeMap<String, String>,
}

impl ObjectStoreOptions {
    /// The longest pause before a request is sent again.
    pub const MAX_BACKOFF: Duration = Duration::from_secs(15);
    /// The least [`write_buffer_bytes`](Self::write_buffer_bytes).
    pub const MIN_WRITE_BUFFER_BYTES: usize = 5 * 1024 * 1024;

    /// # Errors
    /// What is wrong with them, for a storage `name` that takes no smaller parts than `least_bytes`.
    pub(super) fn check(&self, name: &str, least_bytes: usize) -> Result<(), StorageError> {
        let ObjectStoreOptions { write_buffer_bytes, uploads_at_once, read_bytes, .. } = self;
        let problem = if *write_buffer_bytes < least_bytes {
            format!("write_buffer_bytes is {write_buffer_bytes}, and must be {least_bytes} at least")
        } else if *write_buffer_bytes == 0 || *uploads_at_once == 0 || *read_bytes == 0 {
            "write_buffer_bytes, uploads_at_once and read_bytes must not be 0".to_owned()
        } else {
            return Ok(());
        };
        Err(StorageError::unavailable(name, io::Error::new(io::ErrorKind::InvalidInput, problem)))
    }
}

impl Default for ObjectStoreOptions {
    fn default() -> Self {
        ObjectStoreOptions {
            write_buffer_bytes: 8 * 1024 * 1024,
            uploads_at_once: 2,
            read_bytes: 8 * 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            connect_timeout: Duration::from_secs(5),
            max_retries: 10,
            retry_timeout: Duration::from_secs(180),
            initial_backoff: Duration::from_millis(100),
            store: BTreeMap::new(),
        }
    }
}
