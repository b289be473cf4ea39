use super::{backends, configuration, problems, read};
use snapline::base::JobId;
use snapline::configuration::{Configuration, ConfigurationError, options};
use snapline::runtime::JobSettings;
use snapline::store::{
    CheckpointStorage, CheckpointStorageChoice, CheckpointStorageFactory, CheckpointStorages,
    JobManagerCheckpointStorage, JobManagerLimits, StorageError,
};
use std::path::PathBuf;
use std::sync::Arc;

/// A storage of a program's own.
struct Shelf;

impl CheckpointStorageFactory for Shelf {
    fn name(&self) -> &str {
        "shelf"
    }

    fn key_prefixes(&self) -> &[&str] {
        &["shelf."]
    }

    fn open(
        &self,
        configuration: &Configuration,
        job: JobId,
    ) -> Result<Arc<dyn CheckpointStorage>, StorageError> {
        let boards = configuration.get("shelf.boards").map_or(1, |entry| entry.value.parse().unwrap());
        Ok(Arc::new(JobManagerCheckpointStorage::with_limits(
            job,
            JobManagerLimits { max_state_bytes: boards, ..JobManagerLimits::default() },
        )))
    }
}

fn with_shelf(entries: &[(&str, &str)]) -> Result<JobSettings, ConfigurationError> {
    JobSettings::read(&configuration(entries), &backends(), &CheckpointStorages::new().with(Shelf))
}

const STORAGE: &str = options::STORAGE.key;
const DIRECTORY: &str = options::DIRECTORY.key;
const SAVEPOINTS: &str = options::SAVEPOINT_DIRECTORY.key;

fn files(directory: &str, savepoints: Option<&str>) -> CheckpointStorageChoice {
    CheckpointStorageChoice::FileSystem {
        directory: PathBuf::from(directory),
        savepoint_directory: savepoints.map(PathBuf::from),
    }
}

fn in_memory(limits: JobManagerLimits) -> CheckpointStorageChoice {
    CheckpointStorageChoice::JobManager(limits)
}

#[test]
fn storage_is_files_where_a_directory_is_set_and_memory_otherwise() {
    for (entries, expected) in [
        (&[][..], CheckpointStorageChoice::default()),
        (&[(DIRECTORY, "/data")], files("/data", None)),
        (&[(DIRECTORY, "data/a b")], files("data/a b", None)),
        (&[(DIRECTORY, "file:///data")], files("/data", None)),
        (&[(DIRECTORY, "file:/data")], files("/data", None)),
        (&[(DIRECTORY, "C:/data")], files("C:/data", None)),
        (&[(DIRECTORY, "a"), (SAVEPOINTS, "file:///b")], files("a", Some("/b"))),
        (&[(STORAGE, "FileSystem"), (DIRECTORY, "/data")], files("/data", None)),
        (&[(STORAGE, "jobmanager"), (DIRECTORY, "/data")], CheckpointStorageChoice::default()),
        (
            &[("snapline.storage.jobmanager.max-state-size", "1 kb")],
            in_memory(JobManagerLimits { max_state_bytes: 1_024, ..JobManagerLimits::default() }),
        ),
        (
            &[("snapline.storage.jobmanager.max-total-size", "1 mb")],
            in_memory(JobManagerLimits { max_total_bytes: 1_048_576, ..JobManagerLimits::default() }),
        ),
    ] {
        assert_eq!(read(entries).unwrap().storage, expected, "{entries:?}");
    }
}

#[test]
fn storage_that_there_is_not_is_told_with_those_that_there_are() {
    for (entries, told) in [
        (
            &[(DIRECTORY, "tape://7/data")][..],
            "`execution.checkpointing.dir` cannot be `tape://7/data`: no storage has the scheme `tape`; there are file",
        ),
        (
            &[(DIRECTORY, "file://host/data")],
            "cannot be `file://host/data`: a URL of this machine begins with file:///",
        ),
        (
            &[(DIRECTORY, "/data"), (SAVEPOINTS, "tape://7/data")],
            "`execution.checkpointing.savepoint-dir` cannot be `tape://7/data`: it must lie in the file system",
        ),
        (&[(STORAGE, "tape")], "`tape`: there is no such storage; there are jobmanager, filesystem"),
    ] {
        let problems = problems(entries);
        assert!(problems.len() == 1 && problems[0].contains(told), "{problems:?}");
    }
}

#[test]
fn storage_of_a_program_is_chosen_by_its_name_or_by_the_scheme_of_the_directory() {
    for entries in [
        &[(STORAGE, "shelf"), ("shelf.boards", "3")][..],
        &[(DIRECTORY, "shelf://upper/left"), ("shelf.boards", "3")],
        &[(STORAGE, "filesystem"), (DIRECTORY, "shelf://upper/left"), ("shelf.boards", "3")],
    ] {
        let settings = with_shelf(entries).unwrap();
        assert_eq!((settings.storage.name(), &settings.warnings[..]), ("shelf", &[][..]), "{entries:?}");
        let storage = format!("{:?}", settings.storage.open(JobId(1)).unwrap());
        assert!(storage.contains("max_state_bytes: 3"), "{storage}");
    }
    let told = with_shelf(&[(STORAGE, "tape")]).unwrap_err().to_string();
    assert!(told.contains("there are jobmanager, filesystem, shelf"), "{told}");
}

#[test]
fn storage_in_files_keeps_savepoints_where_the_configuration_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (checkpoints, savepoints) = (path("checkpoints"), path("savepoints"));
    let storage = read(&[(DIRECTORY, &checkpoints), (SAVEPOINTS, &savepoints)]).unwrap().storage;
    let storage = storage.open(JobId(1)).unwrap();
    let name = storage.savepoint_name(snapline::base::CheckpointId(1), snapline::base::Attempt(1));
    assert!(name.starts_with(&savepoints), "{name}");
    let beside = read(&[(DIRECTORY, &checkpoints)]).unwrap().storage.open(JobId(1)).unwrap();
    let name = beside.savepoint_name(snapline::base::CheckpointId(1), snapline::base::Attempt(1));
    assert!(name.starts_with(&checkpoints), "{name}");
}
