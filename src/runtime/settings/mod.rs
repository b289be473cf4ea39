//! The settings of a job, from a configuration and back.

mod backend;
mod effects;
mod high_availability;
mod keys;
mod legacy;
mod names;
mod write;

pub use legacy::LegacyStateBackend;
pub(super) use names::{CLAIM_MODES, name_of};

use super::{GivenCheckpoint, JobOptions};
use crate::configuration::{ConfigOption, Configuration, ConfigurationError, Reader, Warning, options};
use crate::coordinator::{ClaimMode, RestartStrategy};
use crate::keygroup::MaxParallelism;
use crate::state::backend::StateBackends;
use crate::store::{CheckpointStorageChoice, CheckpointStorages, JobManagerLimits, local};
use backend::ChosenBackend;
use names::{CORRUPTIONS, MODES, RESTART_STRATEGIES, RETENTIONS, Restarts};

/// What a configuration says about a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSettings {
    /// How it runs.
    pub options: JobOptions,
    /// Where its checkpoints are kept.
    pub storage: CheckpointStorageChoice,
    /// `parallelism.default`, for the program that builds the job.
    pub parallelism: Option<u16>,
    /// `pipeline.max-parallelism`, for the program that builds the job.
    pub max_parallelism: Option<MaxParallelism>,
    /// What is set and changes nothing, in the order of the keys.
    pub warnings: Vec<Warning>,
}

impl JobSettings {
    /// Reads a configuration, where the backends and storages that are built in can be named.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn from_configuration(configuration: &Configuration) -> Result<Self, ConfigurationError> {
        JobSettings::read(configuration, &backends(), &CheckpointStorages::new())
    }

    /// Reads a configuration, where these backends and storages can be named.
    ///
    /// # Errors
    /// All that is wrong: values that mean nothing, contradictions, and what Snapline cannot do and the job depends on.
    pub fn read(
        configuration: &Configuration,
        backends: &StateBackends,
        storages: &CheckpointStorages,
    ) -> Result<Self, ConfigurationError> {
        let mut read = Reader::new(configuration);
        let backend = ChosenBackend::read(&mut read, configuration, backends);
        let storage = storage(&mut read, configuration, storages, backend.implied_storage);
        let storage = high_availability::storage(&mut read, configuration, storage);
        let options = job_options(&mut read, &backend);
        for (option, what) in options.contradictions() {
            read.refuse(&option, what);
        }
        let (parallelism, max_parallelism) = parallelism(&mut read);
        let mut warnings = keys::look_at(&mut read, configuration, backends, storages, backend.name());
        warnings.extend(backend.warning(configuration));
        let mut settings = JobSettings { options, storage, parallelism, max_parallelism, warnings };
        settings.warnings.extend(effects::without(configuration, &settings));
        settings.warnings.sort_by(|a, b| a.key.cmp(&b.key));
        read.finish(settings)
    }
}

impl JobOptions {
    /// What a configuration says about how a job runs, with the backends that are built in.
    ///
    /// # Errors
    /// As [`JobSettings::read`].
    pub fn from_configuration(configuration: &Configuration) -> Result<Self, ConfigurationError> {
        JobSettings::from_configuration(configuration).map(|settings| settings.options)
    }
}

/// The backends that are built in.
fn backends() -> StateBackends {
    let backends = StateBackends::new();
    #[cfg(feature = "rocksdb")]
    let backends = backends.with(crate::backend::rocksdb::RocksDbStateBackendFactory);
    backends
}

fn job_options(read: &mut Reader<'_>, backend: &ChosenBackend) -> JobOptions {
    let JobOptions {
        mode,
        unaligned,
        aligned_checkpoint_timeout,
        checkpoint_interval,
        interval_during_backlog,
        checkpoint_timeout,
        min_pause,
        max_concurrent_checkpoints,
        tolerable_failed_checkpoints,
        retained_checkpoints,
        externalized_checkpoint_retention,
        force_savepoints,
        on_corruption,
        restore,
        allow_non_restored_state,
        restart,
        state_backend: _,
        incremental,
        snapshot_compression,
        inline_threshold_bytes,
        write_buffer_bytes,
        channel_capacity,
        batch_records,
        processing_time,
        incarnation,
    } = JobOptions::default();
    JobOptions {
        mode: read.one_of(&options::MODE, MODES).unwrap_or(mode),
        unaligned: read.truth(&options::UNALIGNED).unwrap_or(unaligned),
        aligned_checkpoint_timeout: read
            .millis(&options::ALIGNED_TIMEOUT)
            .unwrap_or(aligned_checkpoint_timeout),
        checkpoint_interval: read.millis_or_off(&options::INTERVAL).unwrap_or(checkpoint_interval),
        interval_during_backlog: read.millis(&options::INTERVAL_DURING_BACKLOG).or(interval_during_backlog),
        checkpoint_timeout: read.millis(&options::TIMEOUT).unwrap_or(checkpoint_timeout),
        min_pause: read.millis(&options::MIN_PAUSE).unwrap_or(min_pause),
        max_concurrent_checkpoints: read
            .number(&options::MAX_CONCURRENT)
            .unwrap_or(max_concurrent_checkpoints),
        tolerable_failed_checkpoints: read
            .number(&options::TOLERABLE_FAILED)
            .unwrap_or(tolerable_failed_checkpoints),
        retained_checkpoints: read.number(&options::NUM_RETAINED).unwrap_or(retained_checkpoints),
        externalized_checkpoint_retention: read
            .one_of(&options::RETENTION, RETENTIONS)
            .unwrap_or(externalized_checkpoint_retention),
        force_savepoints: read.truth(&options::FORCE_SAVEPOINTS).unwrap_or(force_savepoints),
        on_corruption: read.one_of(&options::ON_CORRUPTION, CORRUPTIONS).unwrap_or(on_corruption),
        restore: given(read).or(restore),
        allow_non_restored_state: read
            .truth(&options::IGNORE_UNCLAIMED_STATE)
            .unwrap_or(allow_non_restored_state),
        restart: restart_strategy(read, restart),
        state_backend: backend.state_backend.clone(),
        incremental: read.truth(&options::INCREMENTAL).unwrap_or(incremental),
        snapshot_compression: read.truth(&options::SNAPSHOT_COMPRESSION).unwrap_or(snapshot_compression),
        inline_threshold_bytes: memory(read, &options::INLINE_THRESHOLD).unwrap_or(inline_threshold_bytes),
        write_buffer_bytes: memory(read, &options::WRITE_BUFFER).unwrap_or(write_buffer_bytes),
        channel_capacity: read.number(&options::CHANNEL_CAPACITY).unwrap_or(channel_capacity),
        batch_records: read.number(&options::BATCH_RECORDS).unwrap_or(batch_records),
        processing_time,
        incarnation,
    }
}

/// A size that options keep within what fits into memory.
fn memory(read: &mut Reader<'_>, option: &ConfigOption) -> Option<usize> {
    read.bytes(option).and_then(|bytes| bytes.try_into().ok())
}

/// The checkpoint from which the job starts, which is opened here: one that cannot be is found out before anything begins.
fn given(read: &mut Reader<'_>) -> Option<GivenCheckpoint> {
    let mode = read.one_of(&options::CLAIM_MODE, CLAIM_MODES).unwrap_or(ClaimMode::NoClaim);
    let path = read.text(&options::RECOVERY_PATH)?;
    let opened = local(options::RECOVERY_PATH, path).map_err(|wrong| wrong.what).and_then(|path| {
        GivenCheckpoint::open(path, mode).map_err(|error| {
            format!("{error}; a job that has a checkpoint of its own needs none that is given")
        })
    });
    opened.map_err(|what| read.refuse(&options::RECOVERY_PATH, what)).ok()
}

fn restart_strategy(read: &mut Reader<'_>, default: RestartStrategy) -> RestartStrategy {
    let RestartStrategy::FixedDelay { mut attempts, mut delay } = default else { return default };
    attempts = read.number(&options::FIXED_DELAY_ATTEMPTS).unwrap_or(attempts);
    delay = read.millis(&options::FIXED_DELAY).unwrap_or(delay);
    let fixed_delay = RestartStrategy::FixedDelay { attempts, delay };
    match read.one_of(&options::RESTART_STRATEGY, RESTART_STRATEGIES) {
        None | Some(Restarts::FixedDelay) => fixed_delay,
        Some(Restarts::None) => RestartStrategy::None,
        Some(Restarts::NotSupported) => {
            read.refuse(
                &options::RESTART_STRATEGY,
                "not supported by Snapline: there are none and fixed-delay",
            );
            fixed_delay
        }
    }
}

fn storage(
    read: &mut Reader<'_>,
    configuration: &Configuration,
    storages: &CheckpointStorages,
    implied: Option<&'static str>,
) -> CheckpointStorageChoice {
    let named = read.text(&options::STORAGE).map(str::to_ascii_lowercase);
    let (directory, savepoints) = (read.text(&options::DIRECTORY), read.text(&options::SAVEPOINT_DIRECTORY));
    let defaults = JobManagerLimits::default();
    let limits = JobManagerLimits {
        max_state_bytes: read.bytes(&options::JOB_MANAGER_MAX_STATE).unwrap_or(defaults.max_state_bytes),
        max_total_bytes: read.bytes(&options::JOB_MANAGER_MAX_TOTAL).unwrap_or(defaults.max_total_bytes),
    };
    let chosen = storages.choose(named.as_deref().or(implied), directory, savepoints, configuration);
    match chosen {
        Ok(CheckpointStorageChoice::JobManager(_)) => CheckpointStorageChoice::JobManager(limits),
        Ok(chosen) => chosen,
        Err(wrong) => {
            let is_implied = named.is_none() && implied.is_some() && wrong.option == options::STORAGE;
            let option = if is_implied { options::STATE_BACKEND } else { wrong.option };
            read.refuse(&option, wrong.what);
            CheckpointStorageChoice::default()
        }
    }
}

fn parallelism(read: &mut Reader<'_>) -> (Option<u16>, Option<MaxParallelism>) {
    let parallelism: Option<u16> = read.number(&options::PARALLELISM);
    let number: Option<u16> = read.number(&options::MAX_PARALLELISM);
    let max_parallelism = number.and_then(|number| MaxParallelism::new(number).ok());
    if let (Some(parallelism), Some(max)) = (parallelism, max_parallelism)
        && parallelism > max.get()
    {
        let what = format!("it is above `{}`, which is {max}", options::MAX_PARALLELISM.key);
        read.refuse(&options::PARALLELISM, what);
    }
    (parallelism, max_parallelism)
}
