//! How the clients of the clouds are made.

use super::ObjectStoreOptions;
use object_store::{ObjectStore, ObjectStoreScheme};
use std::sync::Arc;
use url::Url;

pub(super) type Client = Result<Arc<dyn ObjectStore>, Box<dyn std::error::Error + Send + Sync>>;

/// A client for the store that `url` names, which is HDFS without a `scheme`.
pub(super) fn client(
    scheme: Option<&ObjectStoreScheme>,
    url: &Url,
    options: &ObjectStoreOptions,
    max_retries: usize,
) -> Client {
    // Without any cloud nothing of this is used.
    let _ = (options, max_retries);
    match scheme {
        #[cfg(feature = "s3")]
        Some(ObjectStoreScheme::AmazonS3) => {
            https::s3(url, options, max_retries).map_err(|error| error.into())
        }
        #[cfg(feature = "gcs")]
        Some(ObjectStoreScheme::GoogleCloudStorage) => {
            https::gcs(url, options, max_retries).map_err(|error| error.into())
        }
        #[cfg(feature = "azure")]
        Some(ObjectStoreScheme::MicrosoftAzure) => {
            https::azure(url, options, max_retries).map_err(|error| error.into())
        }
        #[cfg(feature = "http")]
        Some(ObjectStoreScheme::Http) => super::web_dav::client(url, options, max_retries),
        #[cfg(feature = "hdfs")]
        None => hdfs(url, options).map_err(|error| error.into()),
        #[cfg(not(feature = "s3"))]
        Some(ObjectStoreScheme::AmazonS3) => Err(without("s3")),
        #[cfg(not(feature = "gcs"))]
        Some(ObjectStoreScheme::GoogleCloudStorage) => Err(without("gcs")),
        #[cfg(not(feature = "azure"))]
        Some(ObjectStoreScheme::MicrosoftAzure) => Err(without("azure")),
        #[cfg(not(feature = "http"))]
        Some(ObjectStoreScheme::Http) => Err(without("http")),
        #[cfg(not(feature = "hdfs"))]
        None => Err(without("hdfs")),
        Some(ObjectStoreScheme::Local) => {
            Err("checkpoints in files are kept by FileSystemCheckpointStorage".into())
        }
        Some(_) => Err(format!("no checkpoint can be kept under {}://", url.scheme()).into()),
    }
}

#[allow(dead_code, reason = "with all clouds nothing is missing")]
fn without(feature: &str) -> Box<dyn std::error::Error + Send + Sync> {
    format!("snapline was built without its feature `{feature}`").into()
}

#[cfg(feature = "https")]
pub(super) mod https {
    use super::*;
    use object_store::{BackoffConfig, RetryConfig};

    /// The settings of the client that are not those of one cloud, and then those that users give.
    pub(in super::super) fn settings(options: &ObjectStoreOptions) -> impl Iterator<Item = (String, String)> {
        let milliseconds = |duration: std::time::Duration| format!("{}ms", duration.as_millis());
        let timeouts = [
            ("timeout".to_owned(), milliseconds(options.request_timeout)),
            ("connect_timeout".to_owned(), milliseconds(options.connect_timeout)),
        ];
        timeouts.into_iter().chain(options.store.clone())
    }

    pub(in super::super) fn retries(options: &ObjectStoreOptions, max_retries: usize) -> RetryConfig {
        let backoff = BackoffConfig {
            init_backoff: options.initial_backoff,
            max_backoff: ObjectStoreOptions::MAX_BACKOFF,
            ..BackoffConfig::default()
        };
        RetryConfig { backoff, max_retries, retry_timeout: options.retry_timeout }
    }

    /// Chooses the cryptography of TLS, unless the application has done so.
    pub(in super::super) fn choose_cryptography() {
        use rustls::crypto::{CryptoProvider, ring};
        if CryptoProvider::get_default().is_none() {
            // Whoever came first meanwhile has chosen as well.
            let _ = ring::default_provider().install_default();
        }
    }

    macro_rules! cloud {
        ($name:ident, $builder:ty, $feature:literal) => {
            #[cfg(feature = $feature)]
            pub(super) fn $name(
                url: &Url,
                options: &ObjectStoreOptions,
                max_retries: usize,
            ) -> object_store::Result<Arc<dyn ObjectStore>> {
                choose_cryptography();
                let mut builder =
                    <$builder>::from_env().with_url(url.as_str()).with_retry(retries(options, max_retries));
                for (key, value) in settings(options) {
                    builder = builder.with_config(key.parse()?, value);
                }
                Ok(Arc::new(builder.build()?))
            }
        };
    }

    cloud!(s3, object_store::aws::AmazonS3Builder, "s3");
    cloud!(gcs, object_store::gcp::GoogleCloudStorageBuilder, "gcs");
    cloud!(azure, object_store::azure::MicrosoftAzureBuilder, "azure");
}

#[cfg(feature = "hdfs")]
fn hdfs(url: &Url, options: &ObjectStoreOptions) -> object_store::Result<Arc<dyn ObjectStore>> {
    let builder = hdfs_native_object_store::HdfsObjectStoreBuilder::new();
    let settings = options.store.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    let address = &url[..url::Position::BeforePath];
    Ok(Arc::new(builder.with_url(address).with_config(settings).build()?))
}
