use crate::runtime::JobOptions;
use crate::state::backend::StateBackend;
use crate::store::{CheckpointStorageChoice, JobManagerLimits};
use std::path::PathBuf;

/// One of the three state backends that Flink had before 1.13, each of which is a state backend and a checkpoint storage in
/// one. Programs that are carried over can go on saying what they said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyStateBackend {
    /// Where keyed state is kept.
    pub state_backend: StateBackend,
    /// Where checkpoints are kept.
    pub storage: CheckpointStorageChoice,
    /// Whether checkpoints are incremental.
    pub incremental: bool,
}

impl LegacyStateBackend {
    /// `MemoryStateBackend`: objects in memory, and checkpoints in the memory of the coordinator, where a state may have so many
    /// bytes.
    #[must_use]
    pub fn memory(max_state_bytes: u64, asynchronous_snapshots: bool) -> Self {
        LegacyStateBackend {
            state_backend: StateBackend::HashMap { asynchronous_snapshots },
            storage: CheckpointStorageChoice::JobManager(JobManagerLimits {
                max_state_bytes,
                ..JobManagerLimits::default()
            }),
            incremental: false,
        }
    }

    /// `FsStateBackend`: objects in memory, and checkpoints in files below a directory.
    #[must_use]
    pub fn file_system(directory: impl Into<PathBuf>, asynchronous_snapshots: bool) -> Self {
        LegacyStateBackend {
            state_backend: StateBackend::HashMap { asynchronous_snapshots },
            storage: in_files(directory),
            incremental: false,
        }
    }

    /// `RocksDBStateBackend`: state in RocksDB, with its default options, and checkpoints in files below a directory.
    #[cfg(feature = "rocksdb")]
    #[must_use]
    pub fn rocksdb(directory: impl Into<PathBuf>, incremental: bool) -> Self {
        use crate::backend::rocksdb::RocksDbStateBackendFactory;
        let factory = std::sync::Arc::new(RocksDbStateBackendFactory);
        LegacyStateBackend {
            state_backend: StateBackend::Custom(factory, std::collections::BTreeMap::new()),
            storage: in_files(directory),
            incremental,
        }
    }

    /// The options of a job with this backend, and where its checkpoints are kept.
    #[must_use]
    pub fn into_parts(self, options: JobOptions) -> (JobOptions, CheckpointStorageChoice) {
        let LegacyStateBackend { state_backend, storage, incremental } = self;
        (JobOptions { state_backend, incremental, ..options }, storage)
    }
}

fn in_files(directory: impl Into<PathBuf>) -> CheckpointStorageChoice {
    CheckpointStorageChoice::FileSystem { directory: directory.into(), savepoint_directory: None }
}
