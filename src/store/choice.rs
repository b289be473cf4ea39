//! Which storage a job keeps its checkpoints in, by its name or by the scheme of its directory.

use super::{
    CheckpointStorage, ClusterId, FileSystemCheckpointStorage, HighAvailability,
    HighlyAvailableCheckpointStorage, JobManagerCheckpointStorage, JobManagerLimits, StorageError,
};
use crate::base::JobId;
use crate::configuration::{ConfigOption, Configuration, options};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// Opens the storages of one kind (Flink: `CheckpointStorageFactory`).
pub trait CheckpointStorageFactory: Send + Sync {
    /// What it is called in `execution.checkpointing.storage`, and the scheme of the directories that lie in it.
    fn name(&self) -> &str;

    /// With what the keys begin that it reads, beside those of all storages.
    fn key_prefixes(&self) -> &[&str] {
        &[]
    }

    /// Opens the storage of a job.
    ///
    /// # Errors
    /// An option is wrong, or the storage cannot be reached.
    fn open(
        &self,
        configuration: &Configuration,
        job: JobId,
    ) -> Result<Arc<dyn CheckpointStorage>, StorageError>;
}

/// The storages that a program knows, by their names. `jobmanager` and `filesystem` are always there.
#[derive(Clone, Default)]
pub struct CheckpointStorages {
    factories: BTreeMap<String, Arc<dyn CheckpointStorageFactory>>,
}

/// A storage that a job keeps its checkpoints in.
#[derive(Clone)]
pub enum CheckpointStorageChoice {
    /// The memory of the process.
    JobManager(JobManagerLimits),
    /// Files.
    FileSystem {
        /// Where they lie.
        directory: PathBuf,
        /// Where savepoints lie, if not beside the checkpoints.
        savepoint_directory: Option<PathBuf>,
    },
    /// What a factory opens with this configuration.
    Custom(Arc<dyn CheckpointStorageFactory>, Configuration),
    /// One of the others for the files, and a store of its own for the log of pointers.
    HighlyAvailable {
        /// Where the files are kept.
        files: Box<CheckpointStorageChoice>,
        /// Where the log is kept.
        pointers: HighAvailability,
    },
}

/// Why there is no storage to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrongStorage {
    /// The option that is wrong.
    pub option: ConfigOption,
    /// What is wrong.
    pub what: String,
}

const JOB_MANAGER: &str = "jobmanager";
const FILE_SYSTEM: &str = "filesystem";
const FILE: &str = "file";

impl CheckpointStorages {
    /// Only those that are built in.
    #[must_use]
    pub fn new() -> Self {
        CheckpointStorages::default()
    }

    /// Adds a factory; one with the same name gives way to it, but for those that are built in.
    #[must_use]
    pub fn with(mut self, factory: impl CheckpointStorageFactory + 'static) -> Self {
        self.factories.insert(factory.name().to_owned(), Arc::new(factory));
        self
    }

    /// With what the keys begin that only the factories read, those of object storages included where they are built in.
    pub fn key_prefixes(&self) -> impl Iterator<Item = &str> {
        let built_in = object_stores::key_prefix().into_iter();
        built_in.chain(self.factories.values().flat_map(|factory| factory.key_prefixes().iter().copied()))
    }

    /// The storage that is `named`, if a name is given, or else that of the scheme of the directory. Without either it is the
    /// memory of the process.
    ///
    /// # Errors
    /// There is no storage of that name or scheme, or it has no directory.
    pub fn choose(
        &self,
        named: Option<&str>,
        directory: Option<&str>,
        savepoint_directory: Option<&str>,
        configuration: &Configuration,
    ) -> Result<CheckpointStorageChoice, WrongStorage> {
        match (named.unwrap_or(FILE_SYSTEM), directory) {
            (JOB_MANAGER, _) => Ok(CheckpointStorageChoice::default()),
            (FILE_SYSTEM, None) if named.is_none() => Ok(CheckpointStorageChoice::default()),
            (FILE_SYSTEM, None) => {
                Err(wrong(options::STORAGE, format!("it needs `{}`", options::DIRECTORY.key)))
            }
            (FILE_SYSTEM, Some(directory)) => match scheme(directory) {
                None | Some(FILE) => Ok(CheckpointStorageChoice::FileSystem {
                    directory: local(options::DIRECTORY, directory)?,
                    savepoint_directory: savepoint_directory
                        .map(|directory| local(options::SAVEPOINT_DIRECTORY, directory))
                        .transpose()?,
                }),
                Some(scheme) => self.custom(scheme, configuration).ok_or_else(|| {
                    let known = self.names(&[&[FILE], object_stores::SCHEMES].concat());
                    wrong(
                        options::DIRECTORY,
                        format!("no storage has the scheme `{scheme}`; there are {known}"),
                    )
                }),
            },
            (name, _) => self.custom(name, configuration).ok_or_else(|| {
                let known = self.names(&[JOB_MANAGER, FILE_SYSTEM]);
                wrong(options::STORAGE, format!("there is no such storage; there are {known}"))
            }),
        }
    }

    fn custom(&self, name: &str, configuration: &Configuration) -> Option<CheckpointStorageChoice> {
        let factory = self.factories.get(name).cloned().or_else(|| object_stores::factory(name))?;
        Some(CheckpointStorageChoice::Custom(factory, configuration.clone()))
    }

    /// The names that are `built_in`, and those of the factories.
    fn names(&self, built_in: &[&str]) -> String {
        let others = self.factories.keys().map(String::as_str);
        built_in.iter().copied().chain(others).collect::<Vec<_>>().join(", ")
    }
}

/// The store for the log of pointers in a directory of `high-availability.storageDir`.
///
/// # Errors
/// No store has that scheme, or the options of the store are wrong.
pub(crate) fn high_availability_in(
    directory: &str,
    cluster: ClusterId,
    configuration: &Configuration,
) -> Result<HighAvailability, WrongStorage> {
    let option = options::HIGH_AVAILABILITY_DIRECTORY;
    match scheme(directory) {
        None | Some(FILE) => {
            Ok(HighAvailability::FileSystem { directory: local(option, directory)?, cluster })
        }
        Some(scheme) if !object_stores::SCHEMES.contains(&scheme) => {
            let known = [&[FILE], object_stores::SCHEMES].concat().join(", ");
            Err(wrong(option, format!("no store has the scheme `{scheme}`; there are {known}")))
        }
        Some(_) => object_stores::high_availability(directory, cluster, configuration)
            .map_err(|what| wrong(option, what)),
    }
}

fn wrong(option: ConfigOption, what: String) -> WrongStorage {
    WrongStorage { option, what }
}

/// The scheme of a URL. A path has none.
fn scheme(directory: &str) -> Option<&str> {
    let (scheme, rest) = directory.split_once(':')?;
    let is_letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c);
    // With one letter it is a drive.
    (scheme.len() > 1 && scheme.chars().all(is_letter) && rest.starts_with('/')).then_some(scheme)
}

/// The path that a directory of an option is.
pub(crate) fn local(option: ConfigOption, directory: &str) -> Result<PathBuf, WrongStorage> {
    local_path(directory).map_err(|what| wrong(option, what))
}

/// The path that a directory is, or what is wrong with it.
pub(super) fn local_path(directory: &str) -> Result<PathBuf, String> {
    let path = match scheme(directory) {
        None => directory,
        Some(FILE) => match directory[FILE.len() + 1..].strip_prefix("//") {
            None => &directory[FILE.len() + 1..],
            Some(path) if path.starts_with('/') => path,
            Some(_) => return Err("a URL of this machine begins with file:///".to_owned()),
        },
        Some(_) => return Err("it must lie in the file system".to_owned()),
    };
    Ok(PathBuf::from(path))
}

impl CheckpointStorageChoice {
    /// What it is called in a configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            CheckpointStorageChoice::JobManager { .. } => JOB_MANAGER,
            CheckpointStorageChoice::FileSystem { .. } => FILE_SYSTEM,
            CheckpointStorageChoice::Custom(factory, _) => factory.name(),
            CheckpointStorageChoice::HighlyAvailable { files, .. } => files.name(),
        }
    }

    /// Where the files are kept: this one, unless the log of pointers has a store of its own.
    #[must_use]
    pub fn files(&self) -> &CheckpointStorageChoice {
        match self {
            CheckpointStorageChoice::HighlyAvailable { files, .. } => files.files(),
            other => other,
        }
    }

    /// Opens it for a job.
    ///
    /// # Errors
    /// It cannot be reached, or what the configuration says of it is wrong.
    pub fn open(&self, job: JobId) -> Result<Arc<dyn CheckpointStorage>, StorageError> {
        match self {
            CheckpointStorageChoice::JobManager(limits) => {
                Ok(Arc::new(JobManagerCheckpointStorage::with_limits(job, *limits)))
            }
            CheckpointStorageChoice::FileSystem { directory, savepoint_directory } => {
                let storage = FileSystemCheckpointStorage::open(directory, job)?;
                Ok(match savepoint_directory {
                    Some(savepoints) => Arc::new(storage.with_savepoints_in(savepoints)),
                    None => Arc::new(storage),
                })
            }
            CheckpointStorageChoice::Custom(factory, configuration) => factory.open(configuration, job),
            CheckpointStorageChoice::HighlyAvailable { files, pointers } => {
                let pointers = pointers.open(job)?;
                Ok(Arc::new(HighlyAvailableCheckpointStorage::open(files.open(job)?, pointers)?))
            }
        }
    }
}

impl Default for CheckpointStorageChoice {
    fn default() -> Self {
        CheckpointStorageChoice::JobManager(JobManagerLimits::default())
    }
}

/// Choices are equal whose storages have the same name, and the same configuration.
impl PartialEq for CheckpointStorageChoice {
    fn eq(&self, other: &Self) -> bool {
        use CheckpointStorageChoice::{Custom, FileSystem, HighlyAvailable, JobManager};
        match (self, other) {
            (JobManager(limits), JobManager(others)) => limits == others,
            (
                FileSystem { directory, savepoint_directory },
                FileSystem { directory: other, savepoint_directory: others },
            ) => directory == other && savepoint_directory == others,
            (Custom(factory, configuration), Custom(other, others)) => {
                factory.name() == other.name() && configuration == others
            }
            (HighlyAvailable { files, pointers }, HighlyAvailable { files: other, pointers: others }) => {
                files == other && pointers == others
            }
            _ => false,
        }
    }
}

impl Eq for CheckpointStorageChoice {}

impl fmt::Debug for CheckpointStorageChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CheckpointStorageChoice::JobManager(limits) => f.debug_tuple("JobManager").field(limits).finish(),
            CheckpointStorageChoice::FileSystem { directory, savepoint_directory } => f
                .debug_struct("FileSystem")
                .field("directory", directory)
                .field("savepoint_directory", savepoint_directory)
                .finish(),
            CheckpointStorageChoice::Custom(factory, configuration) => {
                f.debug_tuple("Custom").field(&factory.name()).field(configuration).finish()
            }
            CheckpointStorageChoice::HighlyAvailable { files, pointers } => {
                f.debug_struct("HighlyAvailable").field("files", files).field("pointers", pointers).finish()
            }
        }
    }
}

impl fmt::Debug for CheckpointStorages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entry(&JOB_MANAGER).entry(&FILE_SYSTEM).entries(self.factories.keys()).finish()
    }
}

/// What object storages add, where they are built in.
mod object_stores {
    use super::{CheckpointStorageFactory, ClusterId, Configuration, HighAvailability};
    #[cfg(feature = "object-store")]
    use crate::store::object_store::ObjectStoreCheckpointStorageFactory;
    use std::sync::Arc;

    #[cfg(feature = "object-store")]
    pub(super) const SCHEMES: &[&str] = &ObjectStoreCheckpointStorageFactory::SCHEMES;
    #[cfg(not(feature = "object-store"))]
    pub(super) const SCHEMES: &[&str] = &[];

    pub(super) fn key_prefix() -> Option<&'static str> {
        #[cfg(feature = "object-store")]
        return Some(ObjectStoreCheckpointStorageFactory::PREFIX);
        #[cfg(not(feature = "object-store"))]
        None
    }

    /// The store for the log of pointers under a URL, or what is wrong with the options.
    pub(super) fn high_availability(
        url: &str,
        cluster: ClusterId,
        configuration: &Configuration,
    ) -> Result<HighAvailability, String> {
        #[cfg(feature = "object-store")]
        {
            let options = crate::store::ObjectStoreOptions::from_configuration(configuration);
            let options = options.map_err(|error| error.to_string())?;
            Ok(HighAvailability::ObjectStore { url: url.to_owned(), cluster, options })
        }
        #[cfg(not(feature = "object-store"))]
        {
            let _ = (cluster, configuration);
            Err(format!("snapline was built without object storages, of which {url} is one"))
        }
    }

    pub(super) fn factory(scheme: &str) -> Option<Arc<dyn CheckpointStorageFactory>> {
        #[cfg(feature = "object-store")]
        return ObjectStoreCheckpointStorageFactory::of(scheme).map(|factory| Arc::new(factory) as _);
        #[cfg(not(feature = "object-store"))]
        {
            let _ = scheme;
            None
        }
    }
}
