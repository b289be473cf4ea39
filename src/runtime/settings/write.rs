use super::JobOptions;
use super::names::{CLAIM_MODES, CORRUPTIONS, MODES, RETENTIONS, name_of};
use crate::base::Millis;
use crate::configuration::{ConfigOption, Configuration, ConfigurationError, Origin, Reader, options};
use crate::coordinator::RestartStrategy;
use crate::state::backend::StateBackend;

impl JobOptions {
    /// The configuration from which these options can be [read](JobOptions::from_configuration). Of clocks and of the identity
    /// of the process it says nothing: they are not configured.
    ///
    /// # Errors
    /// A retention has no name, a number is out of the range of its option, or the checkpoint from which the job starts was not
    /// opened by a path that is UTF-8.
    pub fn to_configuration(&self) -> Result<Configuration, ConfigurationError> {
        let mut written = Configuration::new();
        let mut set = |option: ConfigOption, value: String| written.set(option.key, value, Origin::Code);
        let millis = |millis: Millis| millis.to_string();
        let named = |name: Option<&str>| name.unwrap_or_default().to_owned();

        set(options::INTERVAL, self.checkpoint_interval.map_or("off".to_owned(), millis));
        if let Some(interval) = self.interval_during_backlog {
            set(options::INTERVAL_DURING_BACKLOG, millis(interval));
        }
        set(options::MODE, named(name_of(MODES, &self.mode)));
        set(options::TIMEOUT, millis(self.checkpoint_timeout));
        set(options::MIN_PAUSE, millis(self.min_pause));
        set(options::MAX_CONCURRENT, self.max_concurrent_checkpoints.to_string());
        set(options::TOLERABLE_FAILED, self.tolerable_failed_checkpoints.to_string());
        set(options::NUM_RETAINED, self.retained_checkpoints.to_string());
        let retention = &self.externalized_checkpoint_retention;
        let without_name = || format!("{retention:?}");
        set(options::RETENTION, name_of(RETENTIONS, retention).map_or_else(without_name, str::to_owned));
        set(options::UNALIGNED, self.unaligned.to_string());
        set(options::ALIGNED_TIMEOUT, millis(self.aligned_checkpoint_timeout));
        set(options::INCREMENTAL, self.incremental.to_string());
        let given = self.restore.as_ref();
        if let Some((path, mode)) = given.and_then(|given| Some((given.path()?.to_str()?, given.mode()))) {
            set(options::RECOVERY_PATH, path.to_owned());
            set(options::CLAIM_MODE, named(name_of(CLAIM_MODES, &mode)));
        }
        set(options::IGNORE_UNCLAIMED_STATE, self.allow_non_restored_state.to_string());
        set(options::SNAPSHOT_COMPRESSION, self.snapshot_compression.to_string());
        set(options::INLINE_THRESHOLD, self.inline_threshold_bytes.to_string());
        set(options::WRITE_BUFFER, self.write_buffer_bytes.to_string());
        set(options::FORCE_SAVEPOINTS, self.force_savepoints.to_string());
        set(options::ON_CORRUPTION, named(name_of(CORRUPTIONS, &self.on_corruption)));
        set(options::CHANNEL_CAPACITY, self.channel_capacity.to_string());
        set(options::BATCH_RECORDS, self.batch_records.to_string());
        set(options::STATE_BACKEND, self.state_backend.name().to_owned());
        match self.restart {
            RestartStrategy::None => set(options::RESTART_STRATEGY, "none".to_owned()),
            RestartStrategy::FixedDelay { attempts, delay } => {
                set(options::RESTART_STRATEGY, "fixed-delay".to_owned());
                set(options::FIXED_DELAY_ATTEMPTS, attempts.to_string());
                set(options::FIXED_DELAY, millis(delay));
            }
        }
        match &self.state_backend {
            StateBackend::HashMap { asynchronous_snapshots } => {
                set(options::ASYNCHRONOUS_SNAPSHOTS, asynchronous_snapshots.to_string());
            }
            StateBackend::Custom(_, told) => {
                for (key, value) in told {
                    written.set(key, value, Origin::Code);
                }
            }
        }
        let mut read = Reader::new(&written);
        for option in options::ALL {
            read.text(option);
        }
        if self.restore.is_some() && written.find(&options::RECOVERY_PATH).is_none() {
            read.refuse(
                &options::RECOVERY_PATH,
                "the checkpoint was not opened by a path that a text can name",
            );
        }
        read.finish(())?;
        Ok(written)
    }
}
