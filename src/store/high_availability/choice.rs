//! Which store a job keeps its log of pointers in, if not beside its checkpoints.

use super::{ClusterId, EtcdOptions, FileSystemHighAvailabilityStore, HighAvailabilityStore};
use crate::base::JobId;
use crate::store::StorageError;
#[cfg(not(feature = "etcd"))]
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// A store that a job keeps its log of pointers in (`high-availability.type`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HighAvailability {
    /// A directory.
    FileSystem {
        /// Where.
        directory: PathBuf,
        /// The cluster of the job.
        cluster: ClusterId,
    },
    /// An object storage.
    #[cfg(feature = "object-store")]
    ObjectStore {
        /// The URL of a directory in it.
        url: String,
        /// The cluster of the job.
        cluster: ClusterId,
        /// How it is used.
        options: crate::store::ObjectStoreOptions,
    },
    /// An etcd, in builds with the feature of that name.
    Etcd {
        /// How it is reached.
        options: EtcdOptions,
        /// The cluster of the job.
        cluster: ClusterId,
    },
}

impl HighAvailability {
    /// Opens the log of a job.
    ///
    /// # Errors
    /// The store cannot be reached, or its options are wrong.
    pub fn open(&self, job: JobId) -> Result<Arc<dyn HighAvailabilityStore>, StorageError> {
        match self {
            HighAvailability::FileSystem { directory, cluster } => {
                Ok(Arc::new(FileSystemHighAvailabilityStore::open(directory, cluster, job)?))
            }
            #[cfg(feature = "object-store")]
            HighAvailability::ObjectStore { url, cluster, options } => {
                use crate::store::ObjectStoreHighAvailabilityStore;
                Ok(Arc::new(ObjectStoreHighAvailabilityStore::open(url, cluster, job, options)?))
            }
            #[cfg(not(feature = "etcd"))]
            HighAvailability::Etcd { .. } => {
                let what = "snapline was built without its feature `etcd`";
                Err(StorageError::unavailable("etcd", io::Error::new(io::ErrorKind::Unsupported, what)))
            }
            #[cfg(feature = "etcd")]
            HighAvailability::Etcd { options, cluster } => {
                Ok(Arc::new(super::EtcdHighAvailabilityStore::open(options, cluster, job)?))
            }
        }
    }
}
