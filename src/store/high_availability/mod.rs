//! High-availability stores: where the log of pointers lies, if not beside the checkpoints.
//!
//! The log is small and says everything that two coordinators of a job could disagree on: which checkpoint is the newest,
//! which ids are given away, and who may write next. Flink keeps this in ZooKeeper or Kubernetes. What the log
//! means is the publish machine's; a store only writes each number once.

mod choice;
mod cluster;
#[cfg(feature = "etcd")]
mod etcd;
mod etcd_options;
mod file_system;
mod log_id;
mod storage;

pub use choice::HighAvailability;
pub use cluster::ClusterId;
#[cfg(feature = "etcd")]
pub use etcd::EtcdHighAvailabilityStore;
pub use etcd_options::{EtcdCredentials, EtcdOptions};
pub use file_system::FileSystemHighAvailabilityStore;
pub use log_id::LogId;
pub use storage::HighlyAvailableCheckpointStorage;

use super::{Put, StorageError};
use crate::publish::{Pointer, PointerSequence};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// The durable home of one job's log of pointers (Flink: the stores of `HighAvailabilityServices`).
///
/// A put is atomic and exclusive, also against other processes: of any number of writers of one number exactly one gets
/// [`Put::Stored`]. Every answer other than an error is durable. Deleting what does not exist succeeds.
pub trait HighAvailabilityStore: Send + Sync + Debug {
    /// Where the log lies, for people: nothing depends on it.
    fn name(&self) -> String;

    /// What tells this log from all others, also from those of the same name. Who asks first puts one that was
    /// [drawn](LogId::draw) beside the pointers, where it stays; everyone else gets that one.
    ///
    /// # Errors
    /// It is damaged, or the store cannot be read or written.
    fn id(&self) -> Result<LogId, StorageError>;

    /// Writes a pointer, unless its number is taken.
    ///
    /// # Errors
    /// [`StorageError::Unavailable`]: not written. [`StorageError::Uncertain`]: perhaps written.
    fn put_pointer(&self, sequence: PointerSequence, pointer: &Pointer) -> Result<Put, StorageError>;

    /// Reads a pointer; `None` when there is none of that number.
    ///
    /// # Errors
    /// It is damaged, or the store cannot be read.
    fn read_pointer(&self, sequence: PointerSequence) -> Result<Option<Pointer>, StorageError>;

    /// The numbers of all pointers.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list_pointers(&self) -> Result<BTreeSet<PointerSequence>, StorageError>;

    /// Deletes a pointer.
    ///
    /// # Errors
    /// It could not be deleted.
    fn delete_pointer(&self, sequence: PointerSequence) -> Result<(), StorageError>;
}
