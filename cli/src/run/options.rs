use clap::{Args, ValueEnum};
use snapline::base::Millis;
use snapline::keygroup::MaxParallelism;
use std::net::SocketAddr;
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
    /// A file of settings under Flink's keys, in YAML. The flags and `-D` go before it.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A setting by Flink's key, such as state.backend.rocksdb.thread.num=4. The flags go before it.
    #[arg(short = 'D', value_name = "KEY=VALUE", value_parser = property)]
    pub properties: Vec<(String, String)>,
    /// Where checkpoints are kept, below ./snapline-data if nothing is said (execution.checkpointing.dir).
    #[arg(long, value_name = "DIR")]
    pub checkpoint_dir: Option<PathBuf>,
    /// What holds for every record after a failure, exactly-once if nothing is said (execution.checkpointing.mode).
    #[arg(long, value_enum)]
    pub mode: Option<Mode>,
    /// Let barriers overtake records; what they overtake becomes part of the checkpoint
    /// (execution.checkpointing.unaligned.enabled).
    #[arg(long)]
    pub unaligned: bool,
    /// For how long the barriers of an unaligned checkpoint wait in line first, 0ms if nothing is said
    /// (execution.checkpointing.aligned-checkpoint-timeout).
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub aligned_checkpoint_timeout: Option<Millis>,
    /// The time between two checkpoints, such as 200ms, or 1s if nothing is said; `off` takes only the final one
    /// (execution.checkpointing.interval).
    #[arg(long, value_name = "DURATION", value_parser = interval)]
    pub interval: Option<Interval>,
    /// After this time a checkpoint is given up, 10min if nothing is said (execution.checkpointing.timeout).
    #[arg(long, value_name = "DURATION", value_parser = timeout)]
    pub timeout: Option<Millis>,
    /// How many instances each operator has, 2 if nothing is said (parallelism.default).
    #[arg(long, value_name = "N", value_parser = parallelism)]
    pub parallelism: Option<u16>,
    /// The upper bound of the parallelism for the life of the job; Flink's default if it is not given
    /// (pipeline.max-parallelism).
    #[arg(long, value_name = "N", value_parser = max_parallelism)]
    pub max_parallelism: Option<MaxParallelism>,
    /// Where working state is kept, on the heap if nothing is said (state.backend.type).
    #[arg(long, value_enum)]
    pub backend: Option<Backend>,
    /// Upload only the files of the backend's state that earlier checkpoints do not have
    /// (execution.checkpointing.incremental).
    #[arg(long)]
    pub incremental: bool,
    /// Where checkpoints are kept: in files, or in memory until the process ends (execution.checkpointing.storage).
    #[arg(long, value_enum)]
    pub storage: Option<Storage>,
    /// Compress the keyed state in checkpoints; they are read with and without this option
    /// (execution.checkpointing.snapshot-compression).
    #[arg(long)]
    pub snapshot_compression: bool,
    /// How many checkpoints may fail in a row, 0 if nothing is said
    /// (execution.checkpointing.tolerable-failed-checkpoints).
    #[arg(long, value_name = "N")]
    pub tolerable_failures: Option<u32>,
    /// How often the job is restarted after a failure, 3 times if nothing is said
    /// (restart-strategy.fixed-delay.attempts; 0: restart-strategy.type=none).
    #[arg(long, value_name = "N")]
    pub restart_attempts: Option<u32>,
    /// How long to wait before a restart, 1s if nothing is said (restart-strategy.fixed-delay.delay).
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub restart_delay: Option<Millis>,
    /// Go on from the newest completed checkpoint of the job that owns the output.
    #[arg(long)]
    pub resume: bool,
    /// Start from this checkpoint or savepoint of another job, whose state goes to the operators with the same uids
    /// (execution.state-recovery.path).
    #[arg(long, value_name = "DIR")]
    pub from: Option<PathBuf>,
    /// Whose that checkpoint is then, its owner's if nothing is said (execution.state-recovery.claim-mode).
    #[arg(long, value_enum)]
    pub claim_mode: Option<Claim>,
    /// Leave out state of which the job has no operator (execution.state-recovery.ignore-unclaimed-state).
    #[arg(long)]
    pub allow_non_restored_state: bool,
    /// Print which state would go where, and start nothing.
    #[arg(long)]
    pub plan: bool,
    /// Serve the job over HTTP while it runs, for `snapline savepoint` and the like. Whoever can reach the address can stop
    /// the job. Port 0 takes one that is free.
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8081")]
    pub rest: Option<SocketAddr>,
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

/// Whose a checkpoint is that a job starts from, by Flink's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Claim {
    /// The job's, which deletes it when it has newer ones.
    Claim,
    /// Its owner's.
    NoClaim,
}

/// The checkpoint interval; `None` for `off`.
pub type Interval = OptionalMillis;

/// Milliseconds, or never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalMillis(pub Option<Millis>);

impl RunArgs {
    /// What is wrong with flags that are right one by one.
    pub fn contradiction(&self) -> Option<String> {
        if let (Some(parallelism), Some(max)) = (self.parallelism, self.max_parallelism)
            && parallelism > max.get()
        {
            return Some(format!("--parallelism {parallelism} is above --max-parallelism {max}"));
        }
        (self.unaligned && self.mode == Some(Mode::AtLeastOnce))
            .then(|| "--unaligned needs --mode exactly-once: at least once no barrier waits".into())
    }
}

/// A key with its value.
fn property(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("it must be KEY=VALUE")?;
    Ok((key.trim().to_owned(), value.to_owned()))
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
