//! What a run is told: by its flags, by `-D`, by a configuration file, and by nobody, in this order.

use super::options::{Backend, Claim, Mode, RunArgs, Storage};
use snapline::base::Millis;
use snapline::configuration::{ConfigOption, Configuration, Origin, Reason, Warning, options};
use snapline::keygroup::MaxParallelism;
use snapline::runtime::{JobOptions, JobSettings};
use snapline::state::backend::StateBackend;
use snapline::store::CheckpointStorageChoice;
use std::path::{Path, PathBuf};

/// With this begin the options of RocksDB.
const ROCKSDB: &str = "state.backend.rocksdb.";
/// The folder for what nobody has named a directory for.
pub const DEFAULT_ROOT: &str = "snapline-data";
const DEFAULT_INTERVAL: Millis = Millis(1_000);
const DEFAULT_PARALLELISM: u16 = 2;

/// The settings of a run.
#[derive(Debug)]
pub struct Settings {
    /// What the job is called.
    pub name: String,
    /// How the job runs.
    pub job: JobOptions,
    /// Where its checkpoints are kept.
    pub storage: CheckpointStorageChoice,
    /// The directory of its checkpoints, whether anything is kept there or not.
    pub checkpoints: PathBuf,
    /// How many instances operators have.
    pub parallelism: Parallelism,
}

/// How many instances each operator has, and how many it can ever have if not as many as Flink's formula says.
pub type Parallelism = (u16, Option<MaxParallelism>);

impl Settings {
    /// Whether checkpoints are gone with the process.
    pub fn is_in_memory(&self) -> bool {
        matches!(self.storage.files(), CheckpointStorageChoice::JobManager { .. })
    }

    /// The settings of a run of the job `name`. What changes nothing is said on stderr.
    ///
    /// # Errors
    /// What is wrong, a line each.
    pub fn of(args: &RunArgs, name: &str) -> Result<Self, String> {
        if let Some(contradiction) = args.contradiction() {
            return Err(contradiction);
        }
        let default_checkpoints = Path::new(DEFAULT_ROOT).join(name).join("checkpoints");
        let configuration = configuration(args, &default_checkpoints)?;
        let settings = JobSettings::from_configuration(&configuration)
            .map_err(|error| with_hint(&configuration, error.to_string()))?;
        let refused: Vec<_> = settings.warnings.iter().filter_map(refusal).collect();
        if !refused.is_empty() {
            return Err(refused.join("\n"));
        }
        if args.incremental && matches!(settings.options.state_backend, StateBackend::HashMap { .. }) {
            return Err("--incremental needs --backend rocksdb: the heap has no files to refer to".into());
        }
        let checkpoints = match settings.storage.files() {
            CheckpointStorageChoice::FileSystem { directory, .. } => directory.clone(),
            // A URL is shown, and nothing else is done with it.
            CheckpointStorageChoice::Custom(_, told) => {
                let directory = told.find(&options::DIRECTORY);
                directory.map_or(default_checkpoints, |(_, entry)| PathBuf::from(&entry.value))
            }
            _ => args.checkpoint_dir.clone().unwrap_or(default_checkpoints),
        };
        for warning in &settings.warnings {
            eprintln!("warning: {warning}");
        }
        let settings = Settings {
            name: name.to_owned(),
            job: settings.options,
            storage: settings.storage,
            checkpoints,
            parallelism: (settings.parallelism.unwrap_or(DEFAULT_PARALLELISM), settings.max_parallelism),
        };
        if args.plan && settings.job.restore.is_none() {
            return Err("--plan needs --from: without it a job starts without state, or where it was".into());
        }
        if args.claim_mode.is_some() && settings.job.restore.is_none() {
            return Err("--claim-mode needs --from: there is no checkpoint to claim".into());
        }
        if args.resume && settings.is_in_memory() {
            return Err("--resume needs the checkpoints that --storage filesystem keeps".into());
        }
        Ok(settings)
    }
}

/// All that was said, and what this program says where nobody did.
fn configuration(args: &RunArgs, default_checkpoints: &Path) -> Result<Configuration, String> {
    let mut all = match &args.config {
        Some(path) => Configuration::load(path).map_err(|error| error.to_string())?,
        None => Configuration::new(),
    };
    let by_default = [
        (options::INTERVAL, DEFAULT_INTERVAL.to_string()),
        (options::PARALLELISM, DEFAULT_PARALLELISM.to_string()),
        (options::DIRECTORY, default_checkpoints.display().to_string()),
    ];
    for (option, value) in by_default {
        if all.find(&option).is_none() {
            all.set(option.key, value, Origin::Default);
        }
    }
    for (key, value) in &args.properties {
        all.set(key, value, Origin::Property);
    }
    for (flag, option, value) in flags(args)? {
        all.set(option.key, value, Origin::Flag(flag));
    }
    Ok(all)
}

/// Each flag that was given, with the option whose short form it is.
fn flags(args: &RunArgs) -> Result<Vec<(&'static str, ConfigOption, String)>, String> {
    let mut given = Vec::new();
    let mut add =
        |flag, option, value: Option<String>| given.extend(value.map(|value| (flag, option, value)));
    let truth = |is_given: bool| is_given.then(|| true.to_string());
    let path = |flag: &str, path: &Option<PathBuf>| match path.as_ref().map(|path| path.to_str()) {
        Some(None) => Err(format!("{flag} is not UTF-8: no configuration can name it")),
        Some(Some(text)) => Ok(Some(text.to_owned())),
        None => Ok(None),
    };
    let claim_mode = args.claim_mode.map(|mode| match mode {
        Claim::Claim => "CLAIM".to_owned(),
        Claim::NoClaim => "NO_CLAIM".to_owned(),
    });
    let mode = args.mode.map(|mode| match mode {
        Mode::ExactlyOnce => "EXACTLY_ONCE".to_owned(),
        Mode::AtLeastOnce => "AT_LEAST_ONCE".to_owned(),
    });
    let backend = args.backend.map(|backend| match backend {
        Backend::Heap => "hashmap".to_owned(),
        Backend::Rocksdb => "rocksdb".to_owned(),
    });
    let storage = args.storage.map(|storage| match storage {
        Storage::Filesystem => "filesystem".to_owned(),
        Storage::Jobmanager => "jobmanager".to_owned(),
    });
    let interval =
        args.interval.map(|interval| interval.0.map_or("off".to_owned(), |every| every.to_string()));
    let strategy = args.restart_attempts.map(|attempts| match attempts {
        0 => "none".to_owned(),
        _ => "fixed-delay".to_owned(),
    });
    let attempts = args.restart_attempts.filter(|attempts| *attempts > 0);
    add("--checkpoint-dir", options::DIRECTORY, path("--checkpoint-dir", &args.checkpoint_dir)?);
    add("--from", options::RECOVERY_PATH, path("--from", &args.from)?);
    add("--claim-mode", options::CLAIM_MODE, claim_mode);
    let allow = args.allow_non_restored_state;
    add("--allow-non-restored-state", options::IGNORE_UNCLAIMED_STATE, truth(allow));
    add("--mode", options::MODE, mode);
    add("--unaligned", options::UNALIGNED, truth(args.unaligned));
    let timeout = args.aligned_checkpoint_timeout;
    add("--aligned-checkpoint-timeout", options::ALIGNED_TIMEOUT, timeout.map(|timeout| timeout.to_string()));
    add("--interval", options::INTERVAL, interval);
    add("--timeout", options::TIMEOUT, args.timeout.map(|timeout| timeout.to_string()));
    add("--parallelism", options::PARALLELISM, args.parallelism.map(|number| number.to_string()));
    add("--max-parallelism", options::MAX_PARALLELISM, args.max_parallelism.map(|max| max.to_string()));
    add("--backend", options::STATE_BACKEND, backend);
    add("--incremental", options::INCREMENTAL, truth(args.incremental));
    add("--storage", options::STORAGE, storage);
    add("--snapshot-compression", options::SNAPSHOT_COMPRESSION, truth(args.snapshot_compression));
    let tolerable = args.tolerable_failures;
    add("--tolerable-failures", options::TOLERABLE_FAILED, tolerable.map(|number| number.to_string()));
    add("--restart-attempts", options::RESTART_STRATEGY, strategy);
    add("--restart-attempts", options::FIXED_DELAY_ATTEMPTS, attempts.map(|number| number.to_string()));
    add("--restart-delay", options::FIXED_DELAY, args.restart_delay.map(|delay| delay.to_string()));
    Ok(given)
}

/// What is typed for one run and means nothing in it is a mistake. A file may be that of other runs and programs too.
fn refusal(warning: &Warning) -> Option<String> {
    match (&warning.origin, &warning.reason) {
        (Origin::Property, Reason::Unknown { .. }) => Some(warning.to_string()),
        (Origin::Property, Reason::WithoutEffect { .. }) if warning.key.starts_with(ROCKSDB) => {
            Some(format!("-D {} needs --backend rocksdb: it is an option of that", warning.key))
        }
        _ => None,
    }
}

/// Says how to get the backend that was asked for.
fn with_hint(configuration: &Configuration, error: String) -> String {
    let backend = configuration.find(&options::STATE_BACKEND);
    let is_rocksdb = backend.is_some_and(|(_, entry)| entry.value.eq_ignore_ascii_case("rocksdb"));
    if is_rocksdb && cfg!(not(feature = "rocksdb")) {
        format!("{error}\nrocksdb is in a build with: cargo build --release --features rocksdb")
    } else {
        error
    }
}
