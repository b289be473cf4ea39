//! The options of a job. Keys are Flink's; those that Flink does not have begin with `snapline.`.

use super::{ConfigOption, Kind};

const ANY_NUMBER: Kind = Kind::Number { least: 0, most: u32::MAX as u64 };
const SOME: Kind = Kind::Number { least: 1, most: u32::MAX as u64 };
const PARALLELISM_RANGE: Kind = Kind::Number { least: 1, most: 32_768 };
const ANY_DURATION: Kind = Kind::Duration { least_millis: 0 };
const ANY_SIZE: Kind = Kind::MemorySize { most_bytes: u64::MAX };
const MEBIBYTE: u64 = 1024 * 1024;

/// [`JobOptions::checkpoint_interval`](crate::runtime::JobOptions::checkpoint_interval).
pub const INTERVAL: ConfigOption = ConfigOption::new(
    "execution.checkpointing.interval",
    Kind::DurationOrOff,
    "off",
    "The time between two checkpoints; without it only the final one is taken.",
);

/// [`JobOptions::interval_during_backlog`](crate::runtime::JobOptions::interval_during_backlog).
pub const INTERVAL_DURING_BACKLOG: ConfigOption = ConfigOption::new(
    "execution.checkpointing.interval-during-backlog",
    ANY_DURATION,
    "",
    "The interval while a source has a backlog, not shorter than the other one; 0 takes none then.",
);

/// [`JobOptions::mode`](crate::runtime::JobOptions::mode).
pub const MODE: ConfigOption = ConfigOption::new(
    "execution.checkpointing.mode",
    Kind::OneOf(&["EXACTLY_ONCE", "AT_LEAST_ONCE"]),
    "EXACTLY_ONCE",
    "What holds for every record after a failure.",
);

/// [`JobOptions::checkpoint_timeout`](crate::runtime::JobOptions::checkpoint_timeout).
pub const TIMEOUT: ConfigOption = ConfigOption::new(
    "execution.checkpointing.timeout",
    Kind::Duration { least_millis: 1 },
    "10 min",
    "After this time a checkpoint is given up.",
);

/// [`JobOptions::min_pause`](crate::runtime::JobOptions::min_pause).
pub const MIN_PAUSE: ConfigOption = ConfigOption::new(
    "execution.checkpointing.min-pause",
    ANY_DURATION,
    "0 ms",
    "The time from the completion of a checkpoint to the next one; it allows one checkpoint at a time only.",
);

/// [`JobOptions::max_concurrent_checkpoints`](crate::runtime::JobOptions::max_concurrent_checkpoints).
pub const MAX_CONCURRENT: ConfigOption = ConfigOption::new(
    "execution.checkpointing.max-concurrent-checkpoints",
    SOME,
    "1",
    "How many checkpoints may be under way.",
);

/// [`JobOptions::tolerable_failed_checkpoints`](crate::runtime::JobOptions::tolerable_failed_checkpoints).
pub const TOLERABLE_FAILED: ConfigOption = ConfigOption::new(
    "execution.checkpointing.tolerable-failed-checkpoints",
    ANY_NUMBER,
    "0",
    "How many checkpoints may fail in a row.",
);

/// [`JobOptions::retained_checkpoints`](crate::runtime::JobOptions::retained_checkpoints).
pub const NUM_RETAINED: ConfigOption = ConfigOption::new(
    "execution.checkpointing.num-retained",
    SOME,
    "1",
    "How many completed checkpoints are kept.",
)
.formerly(&["state.checkpoints.num-retained"]);

/// [`JobOptions::externalized_checkpoint_retention`](crate::runtime::JobOptions::externalized_checkpoint_retention).
pub const RETENTION: ConfigOption = ConfigOption::new(
    "execution.checkpointing.externalized-checkpoint-retention",
    Kind::OneOf(&[
        "RETAIN_ALWAYS",
        "RETAIN_ON_CANCELLATION",
        "DELETE_ON_CANCELLATION",
        "NO_EXTERNALIZED_CHECKPOINTS",
    ]),
    "RETAIN_ALWAYS",
    "Which ends of the job delete its checkpoints. Flink's default is the last of the four; the first is Snapline's own.",
);

/// [`JobOptions::unaligned`](crate::runtime::JobOptions::unaligned).
pub const UNALIGNED: ConfigOption = ConfigOption::new(
    "execution.checkpointing.unaligned.enabled",
    Kind::Boolean,
    "false",
    "Whether barriers overtake records; it needs exactly once, and one checkpoint at a time.",
)
.formerly(&["execution.checkpointing.unaligned"]);

/// [`JobOptions::aligned_checkpoint_timeout`](crate::runtime::JobOptions::aligned_checkpoint_timeout).
pub const ALIGNED_TIMEOUT: ConfigOption = ConfigOption::new(
    "execution.checkpointing.aligned-checkpoint-timeout",
    ANY_DURATION,
    "0 ms",
    "For how long the barriers of an unaligned checkpoint wait in line first.",
)
.formerly(&["execution.checkpointing.alignment-timeout"]);

/// [`JobOptions::incremental`](crate::runtime::JobOptions::incremental).
pub const INCREMENTAL: ConfigOption = ConfigOption::new(
    "execution.checkpointing.incremental",
    Kind::Boolean,
    "false",
    "Whether a checkpoint refers to the files of earlier ones, where a backend keeps its state in files.",
)
.formerly(&["state.backend.incremental"]);

/// [`JobOptions::snapshot_compression`](crate::runtime::JobOptions::snapshot_compression).
pub const SNAPSHOT_COMPRESSION: ConfigOption = ConfigOption::new(
    "execution.checkpointing.snapshot-compression",
    Kind::Boolean,
    "false",
    "Whether keyed state is compressed in checkpoints and savepoints.",
);

/// [`JobOptions::inline_threshold_bytes`](crate::runtime::JobOptions::inline_threshold_bytes).
pub const INLINE_THRESHOLD: ConfigOption = ConfigOption::new(
    "execution.checkpointing.data-inline-threshold",
    Kind::MemorySize { most_bytes: MEBIBYTE },
    "20 kb",
    "The largest state of a subtask that is written into the metadata instead of into a file.",
)
.formerly(&["state.storage.fs.memory-threshold", "state.backend.fs.memory-threshold"]);

/// [`JobOptions::write_buffer_bytes`](crate::runtime::JobOptions::write_buffer_bytes).
pub const WRITE_BUFFER: ConfigOption = ConfigOption::new(
    "execution.checkpointing.write-buffer-size",
    Kind::MemorySize { most_bytes: 1024 * MEBIBYTE },
    "4096",
    "Up to this size, or that of the threshold if it is larger, small writes to a state file are collected.",
)
.formerly(&["state.storage.fs.write-buffer-size", "state.backend.fs.write-buffer-size"]);

/// [`JobOptions::allow_non_restored_state`](crate::runtime::JobOptions::allow_non_restored_state).
pub const IGNORE_UNCLAIMED_STATE: ConfigOption = ConfigOption::new(
    "execution.state-recovery.ignore-unclaimed-state",
    Kind::Boolean,
    "false",
    "Whether state of which the job has no operator may be left out of a restore.",
)
.formerly(&["execution.savepoint.ignore-unclaimed-state"]);

/// Where the checkpoint of [`JobOptions::restore`](crate::runtime::JobOptions::restore) lies.
pub const RECOVERY_PATH: ConfigOption = ConfigOption::new(
    "execution.state-recovery.path",
    Kind::Directory,
    "",
    "The checkpoint or savepoint from which a job starts as long as it has none of its own.",
)
.formerly(&["execution.savepoint.path"]);

/// The mode of [`JobOptions::restore`](crate::runtime::JobOptions::restore).
pub const CLAIM_MODE: ConfigOption = ConfigOption::new(
    "execution.state-recovery.claim-mode",
    Kind::OneOf(&["NO_CLAIM", "CLAIM"]),
    "NO_CLAIM",
    "Whose the checkpoint is from which a job starts: its owner's, or the job's, which deletes it when it has newer ones.",
)
.formerly(&["execution.savepoint-restore-mode"]);

/// Which [storage](crate::store::CheckpointStorage) checkpoints are kept in.
pub const STORAGE: ConfigOption = ConfigOption::new(
    "execution.checkpointing.storage",
    Kind::Name(&["jobmanager", "filesystem"]),
    "",
    "Where checkpoints are kept: `filesystem` where a directory is set, otherwise in memory, `jobmanager`.",
)
.formerly(&["state.checkpoint-storage"]);

/// Where checkpoints lie.
pub const DIRECTORY: ConfigOption = ConfigOption::new(
    "execution.checkpointing.dir",
    Kind::Directory,
    "",
    "Where checkpoints lie: a path, or a URL whose scheme tells the storage, such as `file:///data`.",
)
.formerly(&["state.checkpoints.dir", "state.backend.fs.checkpointdir"]);

/// Where savepoints lie.
pub const SAVEPOINT_DIRECTORY: ConfigOption = ConfigOption::new(
    "execution.checkpointing.savepoint-dir",
    Kind::Directory,
    "",
    "Where savepoints lie, unless their request says where; beside the checkpoints if nothing is set.",
)
.formerly(&["state.savepoints.dir", "savepoints.state.backend.fs.dir"]);

/// [`JobOptions::state_backend`](crate::runtime::JobOptions::state_backend).
pub const STATE_BACKEND: ConfigOption = ConfigOption::new(
    "state.backend.type",
    Kind::Name(&["hashmap", "rocksdb"]),
    "hashmap",
    "Where keyed state is kept; `rocksdb` is in builds with the feature of that name.",
)
.formerly(&["state.backend"]);

/// The snapshots of [`StateBackend::HashMap`](crate::state::backend::StateBackend::HashMap).
pub const ASYNCHRONOUS_SNAPSHOTS: ConfigOption = ConfigOption::new(
    "state.backend.async",
    Kind::Boolean,
    "true",
    "Whether `hashmap` writes snapshots while the state goes on changing; without it errors of serializers show at once.",
);

/// [`JobOptions::restart`](crate::runtime::JobOptions::restart).
pub const RESTART_STRATEGY: ConfigOption = ConfigOption::new(
    "restart-strategy.type",
    Kind::OneOf(&["none", "off", "disable", "fixed-delay", "exponential-delay", "failure-rate"]),
    "fixed-delay",
    "Whether a failed job starts again. The last two of Flink's strategies are not supported yet.",
)
.formerly(&["restart-strategy"]);

/// Part of [`RestartStrategy::FixedDelay`](crate::coordinator::RestartStrategy::FixedDelay).
pub const FIXED_DELAY_ATTEMPTS: ConfigOption = ConfigOption::new(
    "restart-strategy.fixed-delay.attempts",
    ANY_NUMBER,
    "3",
    "How often it does (Flink: once).",
);

/// Part of [`RestartStrategy::FixedDelay`](crate::coordinator::RestartStrategy::FixedDelay).
pub const FIXED_DELAY: ConfigOption = ConfigOption::new(
    "restart-strategy.fixed-delay.delay",
    ANY_DURATION,
    "1 s",
    "How long it waits before that.",
);

/// How many subtasks an operator has, for programs that ask for it.
pub const PARALLELISM: ConfigOption = ConfigOption::new(
    "parallelism.default",
    PARALLELISM_RANGE,
    "1",
    "How many subtasks each operator has, for programs that ask for it (`snapline run`: 2).",
);

/// How many subtasks an operator can ever have, for programs that ask for it.
pub const MAX_PARALLELISM: ConfigOption = ConfigOption::new(
    "pipeline.max-parallelism",
    PARALLELISM_RANGE,
    "",
    "How many subtasks it can ever have, for programs that ask for it; otherwise Flink's formula decides.",
);

/// [`JobOptions::force_savepoints`](crate::runtime::JobOptions::force_savepoints).
pub const FORCE_SAVEPOINTS: ConfigOption = ConfigOption::new(
    "snapline.savepoints.force",
    Kind::Boolean,
    "true",
    "Whether savepoints start although the maximum of concurrent checkpoints is under way.",
);

/// [`JobOptions::on_corruption`](crate::runtime::JobOptions::on_corruption).
pub const ON_CORRUPTION: ConfigOption = ConfigOption::new(
    "snapline.recovery.on-corruption",
    Kind::OneOf(&["FAIL", "FALL_BACK"]),
    "FAIL",
    "What to do when the newest checkpoint cannot be read: fail, or go back to an older one.",
);

/// Which [store](crate::store::HighAvailabilityStore) the log of pointers is kept in.
pub const HIGH_AVAILABILITY: ConfigOption = ConfigOption::new(
    "high-availability.type",
    Kind::OneOf(&["NONE", "filesystem", "etcd", "ZOOKEEPER", "KUBERNETES"]),
    "NONE",
    "Where the log of pointers is kept, by which one process of a job fences the others: beside the checkpoints, in another \
     directory or object storage, or in etcd, in builds with the feature of that name. The last two are not supported.",
)
.formerly(&["high-availability"]);

/// Where [`HighAvailability::FileSystem`](crate::store::HighAvailability::FileSystem) lies.
pub const HIGH_AVAILABILITY_DIRECTORY: ConfigOption = ConfigOption::new(
    "high-availability.storageDir",
    Kind::Directory,
    "",
    "Where `filesystem` keeps it: a path, or a URL whose scheme tells the storage.",
);

/// [`ClusterId`](crate::store::ClusterId).
pub const CLUSTER_ID: ConfigOption = ConfigOption::new(
    "high-availability.cluster-id",
    Kind::Text,
    "default",
    "What keeps the jobs of one cluster apart from those of others in the same store.",
);

/// The endpoints of [`HighAvailability::Etcd`](crate::store::HighAvailability).
pub const ETCD_ENDPOINTS: ConfigOption = ConfigOption::new(
    "high-availability.etcd.endpoints",
    Kind::Text,
    "",
    "The addresses of the members of one cluster, with `,` between them, such as `http://10.0.0.1:2379`.",
);

/// With what the keys begin in etcd.
pub const ETCD_ROOT: ConfigOption = ConfigOption::new(
    "high-availability.etcd.path.root",
    Kind::Text,
    "/snapline",
    "With what all keys in etcd begin.",
);

/// For how long a request to etcd may take.
pub const ETCD_REQUEST_TIMEOUT: ConfigOption = ConfigOption::new(
    "high-availability.etcd.request-timeout",
    Kind::Duration { least_millis: 1 },
    "5 s",
    "After which time without an answer a request to etcd has failed.",
);

/// For how long a request to etcd is repeated.
pub const ETCD_RETRY_TIMEOUT: ConfigOption = ConfigOption::new(
    "high-availability.etcd.retry-timeout",
    ANY_DURATION,
    "30 s",
    "No request to etcd is sent again that was first sent this long ago.",
);

/// The name of a user of etcd.
pub const ETCD_USERNAME: ConfigOption =
    ConfigOption::new("high-availability.etcd.username", Kind::Text, "", "Who asks, if etcd wants to know.");

/// The password of a user of etcd.
pub const ETCD_PASSWORD: ConfigOption = ConfigOption::new(
    "high-availability.etcd.password",
    Kind::Text,
    "",
    "The password of the user; in a file that only the process can read rather than in `-D`, which all processes see.",
);

/// Who may vouch for etcd.
pub const ETCD_CA: ConfigOption = ConfigOption::new(
    "high-availability.etcd.ca-certificate",
    Kind::File,
    "",
    "A file with the certificates, in PEM, of those who may vouch for the members; `https://` needs it.",
);

/// Who asks, by a certificate.
pub const ETCD_CERTIFICATE: ConfigOption = ConfigOption::new(
    "high-availability.etcd.client-certificate",
    Kind::File,
    "",
    "A file with the certificate, in PEM, by which the members know who asks.",
);

/// The key of that certificate.
pub const ETCD_KEY: ConfigOption = ConfigOption::new(
    "high-availability.etcd.client-key",
    Kind::File,
    "",
    "A file with its private key, in PEM.",
);

/// The limit of [`JobManagerCheckpointStorage`](crate::store::JobManagerCheckpointStorage).
pub const JOB_MANAGER_MAX_STATE: ConfigOption = ConfigOption::new(
    "snapline.storage.jobmanager.max-state-size",
    ANY_SIZE,
    "5 mb",
    "How large the state of a subtask may be in the storage `jobmanager`.",
);

/// The limit of all that [`JobManagerCheckpointStorage`](crate::store::JobManagerCheckpointStorage) holds.
pub const JOB_MANAGER_MAX_TOTAL: ConfigOption = ConfigOption::new(
    "snapline.storage.jobmanager.max-total-size",
    ANY_SIZE,
    "",
    "How large all checkpoints together may be in the storage `jobmanager`.",
);

/// [`JobOptions::channel_capacity`](crate::runtime::JobOptions::channel_capacity).
pub const CHANNEL_CAPACITY: ConfigOption = ConfigOption::new(
    "snapline.channel.capacity",
    Kind::Number { least: 1, most: 65_536 },
    "8",
    "How many batches of records a channel holds before its sender waits.",
);

/// [`JobOptions::batch_records`](crate::runtime::JobOptions::batch_records).
pub const BATCH_RECORDS: ConfigOption = ConfigOption::new(
    "snapline.channel.batch-records",
    Kind::Number { least: 1, most: 1_048_576 },
    "1024",
    "How many records a batch holds before it is sent.",
);

/// All of them.
pub const ALL: &[ConfigOption] = &[
    INTERVAL,
    INTERVAL_DURING_BACKLOG,
    MODE,
    TIMEOUT,
    MIN_PAUSE,
    MAX_CONCURRENT,
    TOLERABLE_FAILED,
    NUM_RETAINED,
    RETENTION,
    UNALIGNED,
    ALIGNED_TIMEOUT,
    INCREMENTAL,
    SNAPSHOT_COMPRESSION,
    INLINE_THRESHOLD,
    WRITE_BUFFER,
    RECOVERY_PATH,
    CLAIM_MODE,
    IGNORE_UNCLAIMED_STATE,
    STORAGE,
    DIRECTORY,
    SAVEPOINT_DIRECTORY,
    STATE_BACKEND,
    ASYNCHRONOUS_SNAPSHOTS,
    RESTART_STRATEGY,
    FIXED_DELAY_ATTEMPTS,
    FIXED_DELAY,
    PARALLELISM,
    MAX_PARALLELISM,
    FORCE_SAVEPOINTS,
    ON_CORRUPTION,
    HIGH_AVAILABILITY,
    HIGH_AVAILABILITY_DIRECTORY,
    CLUSTER_ID,
    ETCD_ENDPOINTS,
    ETCD_ROOT,
    ETCD_REQUEST_TIMEOUT,
    ETCD_RETRY_TIMEOUT,
    ETCD_USERNAME,
    ETCD_PASSWORD,
    ETCD_CA,
    ETCD_CERTIFICATE,
    ETCD_KEY,
    JOB_MANAGER_MAX_STATE,
    JOB_MANAGER_MAX_TOTAL,
    CHANNEL_CAPACITY,
    BATCH_RECORDS,
];

/// The option that has this key, now or formerly.
#[must_use]
pub fn with_key(key: &str) -> Option<&'static ConfigOption> {
    ALL.iter().find(|option| option.keys().any(|known| known == key))
}
