use anyhow::{Error, Result};
use clap::{Args, ValueEnum};
use snapline::base::{CheckpointingMode, Millis};
use snapline::coordinator::RestartStrategy;
use snapline::keygroup::MaxParallelism;
use snapline::runtime::JobOptions;
use snapline::state::backend::StateBackend;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Options of every job.
#[derive(Args, Clone, Debug)]
pub struct RunArgs {
    /// Text files, or folders of them.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub input: Vec<PathBuf>,
    /// Where the output appears. It must be empty, or belong to the job that is resumed.
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Where checkpoints are kept.
    #[arg(long, value_name = "DIR")]
    pub checkpoint_dir: Option<PathBuf>,
    /// What holds for every record after a failure.
    #[arg(long, value_enum, default_value_t = Mode::ExactlyOnce)]
    pub mode: Mode,
    /// Let barriers overtake records; what they overtake becomes part of the checkpoint.
    #[arg(long)]
    pub unaligned: bool,
    /// For how long the barriers of an unaligned checkpoint wait in line first.
    #[arg(long, value_name = "DURATION", default_value = "0ms", value_parser = duration, requires = "unaligned")]
    pub aligned_checkpoint_timeout: Millis,
    /// The time between two checkpoints, such as 200ms or 1s; `off` takes only the final one.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = interval)]
    pub interval: Interval,
    /// After this time a checkpoint is given up.
    #[arg(long, value_name = "DURATION", default_value = "10min", value_parser = timeout)]
    pub timeout: Millis,
    /// How many instances each operator has.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = parallelism)]
    pub parallelism: u16,
    /// The upper bound of the parallelism for the life of the job; Flink's default if it is not given.
    #[arg(long, value_name = "N", value_parser = max_parallelism)]
    pub max_parallelism: Option<MaxParallelism>,
    /// Where working state is kept.
    #[arg(long, value_enum, default_value_t = Backend::Heap)]
    pub backend: Backend,
    /// Upload only the files of the backend's state that earlier checkpoints do not have.
    #[arg(long)]
    pub incremental: bool,
    /// An option of the backend, by Flink's name, such as state.backend.rocksdb.thread.num=4.
    #[arg(short = 'D', value_name = "KEY=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
    /// Where checkpoints are kept: in files, or in memory until the process ends.
    #[arg(long, value_enum, default_value_t = Storage::Filesystem)]
    pub storage: Storage,
    /// Compress the keyed state in checkpoints; they are read with and without this option.
    #[arg(long)]
    pub snapshot_compression: bool,
    /// How many checkpoints may fail in a row.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub tolerable_failures: u32,
    /// How often the job is restarted after a failure.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub restart_attempts: u32,
    /// How long to wait before a restart.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub restart_delay: Millis,
    /// Go on from the newest completed checkpoint of the job that owns the output.
    #[arg(long)]
    pub resume: bool,
    /// Print the summary as JSON.
    #[arg(long)]
    pub json: bool,
}

/// A checkpointing mode, by Flink's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// It has affected the state once.
    ExactlyOnce,
    /// It has affected the state, perhaps twice; no channel waits for another.
    AtLeastOnce,
}

/// A state backend, by Flink's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Backend {
    /// Objects in memory (Flink: `hashmap`).
    #[value(alias = "hashmap")]
    Heap,
    /// Bytes in RocksDB on a local disk, in a build with the feature of that name.
    Rocksdb,
}

/// A checkpoint storage, by Flink's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Storage {
    /// In files below the checkpoint directory.
    Filesystem,
    /// In the memory of this process, at most 5 MiB for each subtask: nothing can be resumed.
    Jobmanager,
}

/// The checkpoint interval; `None` for `off`.
pub type Interval = OptionalMillis;

/// Milliseconds, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalMillis(pub Option<Millis>);

impl RunArgs {
    /// What is wrong with options that are right one by one.
    pub fn contradiction(&self) -> Option<String> {
        if let Some(max) = self.max_parallelism
            && self.parallelism > max.get()
        {
            let parallelism = self.parallelism;
            return Some(format!("--parallelism {parallelism} is above --max-parallelism {max}"));
        }
        if self.unaligned && self.mode == Mode::AtLeastOnce {
            return Some("--unaligned needs --mode exactly-once: at least once no barrier waits".into());
        }
        if self.incremental && self.backend == Backend::Heap {
            return Some("--incremental needs --backend rocksdb: the heap has no files to refer to".into());
        }
        if let (Some((key, _)), Backend::Heap) = (self.properties.first(), self.backend) {
            return Some(format!("-D {key} needs --backend rocksdb: it is an option of that"));
        }
        if let Err(what) = self.state_backend() {
            return Some(what);
        }
        let in_memory = self.storage == Storage::Jobmanager;
        (self.resume && in_memory)
            .then(|| "--resume needs the checkpoints that --storage filesystem keeps".into())
    }

    /// Where working state is kept.
    fn state_backend(&self) -> Result<StateBackend, String> {
        let options = self.properties.iter().cloned().collect();
        match self.backend {
            Backend::Heap => Ok(StateBackend::default()),
            Backend::Rocksdb => rocksdb(options),
        }
    }

    /// The options of the runtime.
    ///
    /// # Errors
    /// There is no such backend, or an option of it is wrong.
    pub fn job_options(&self) -> Result<JobOptions> {
        Ok(JobOptions {
            state_backend: self.state_backend().map_err(Error::msg)?,
            incremental: self.incremental,
            mode: match self.mode {
                Mode::ExactlyOnce => CheckpointingMode::ExactlyOnce,
                Mode::AtLeastOnce => CheckpointingMode::AtLeastOnce,
            },
            unaligned: self.unaligned,
            aligned_checkpoint_timeout: self.aligned_checkpoint_timeout,
            checkpoint_interval: self.interval.0,
            checkpoint_timeout: self.timeout,
            snapshot_compression: self.snapshot_compression,
            tolerable_failed_checkpoints: self.tolerable_failures,
            restart: match self.restart_attempts {
                0 => RestartStrategy::None,
                attempts => RestartStrategy::FixedDelay { attempts, delay: self.restart_delay },
            },
            ..JobOptions::default()
        })
    }
}

#[cfg(feature = "rocksdb")]
fn rocksdb(options: BTreeMap<String, String>) -> Result<StateBackend, String> {
    use snapline::backend::rocksdb::RocksDbStateBackendFactory as Factory;
    // A job that begins would find it out again and again.
    Factory::check(&options).map_err(|error| error.to_string())?;
    Ok(StateBackend::Custom(std::sync::Arc::new(Factory), options))
}

#[cfg(not(feature = "rocksdb"))]
fn rocksdb(_: BTreeMap<String, String>) -> Result<StateBackend, String> {
    Err("--backend rocksdb is not in this build; build it with: cargo build --release --features rocksdb"
        .into())
}

/// An option of the backend with its value.
fn property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    if !key.starts_with("state.backend.rocksdb.") {
        return Err(format!(
            "there is no option `{key}`; those of the backend begin with state.backend.rocksdb."
        ));
    }
    Ok((key.to_owned(), value.to_owned()))
}

fn interval(text: &str) -> Result<Interval, String> {
    if text == "off" {
        return Ok(OptionalMillis(None));
    }
    match duration(text)? {
        Millis(0) => Err("an interval must be at least 1ms; `off` turns periodic checkpoints off".into()),
        millis => Ok(OptionalMillis(Some(millis))),
    }
}

fn timeout(text: &str) -> Result<Millis, String> {
    match duration(text)? {
        Millis(0) => Err("a timeout must be at least 1ms: after 0 no checkpoint can complete".into()),
        millis => Ok(millis),
    }
}

/// A duration in whole milliseconds.
pub fn duration(text: &str) -> Result<Millis, String> {
    let parsed: Duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error}; write a number and a unit, such as 200ms, 1s or 10min"))?;
    let millis =
        u64::try_from(parsed.as_millis()).map_err(|_| "that is longer than can be counted".to_owned())?;
    if millis == 0 && !parsed.is_zero() {
        return Err("times are counted in whole milliseconds; 1ms is the shortest".into());
    }
    Ok(Millis(millis))
}

fn parallelism(text: &str) -> Result<u16, String> {
    let number: u16 = text.parse().map_err(|_| "a whole number from 1 to 32768 is needed".to_owned())?;
    MaxParallelism::new(number).map_err(|_| "a parallelism from 1 to 32768 is needed".to_owned())?;
    Ok(number)
}

fn max_parallelism(text: &str) -> Result<MaxParallelism, String> {
    let number = parallelism(text)?;
    MaxParallelism::new(number).map_err(|error| error.to_string())
}
