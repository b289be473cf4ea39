use super::{configuration, problems, read, warnings};
use snapline::base::JobId;
use snapline::runtime::{JobOptions, LegacyStateBackend};
use snapline::state::backend::StateBackend;
use snapline::store::{CheckpointStorageChoice, JobManagerLimits};
use std::path::PathBuf;

fn in_files(directory: &str) -> CheckpointStorageChoice {
    CheckpointStorageChoice::FileSystem { directory: PathBuf::from(directory), savepoint_directory: None }
}

#[test]
fn legacy_backend_by_its_constructor_is_a_backend_and_a_storage() {
    for asynchronous_snapshots in [true, false] {
        let state_backend = StateBackend::HashMap { asynchronous_snapshots };
        let (options, storage) =
            LegacyStateBackend::memory(1_000, asynchronous_snapshots).into_parts(JobOptions::default());
        assert_eq!((&options.state_backend, options.incremental), (&state_backend, false));
        assert_eq!(
            storage,
            CheckpointStorageChoice::JobManager(JobManagerLimits {
                max_state_bytes: 1_000,
                ..JobManagerLimits::default()
            })
        );

        let (options, storage) = LegacyStateBackend::file_system("/data", asynchronous_snapshots)
            .into_parts(JobOptions::default());
        assert_eq!((&options.state_backend, options.incremental), (&state_backend, false));
        assert_eq!(storage, in_files("/data"));
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn legacy_backend_rocksdb_is_a_backend_and_files() {
    for incremental in [true, false] {
        let legacy = LegacyStateBackend::rocksdb("/data", incremental);
        let (options, storage) = legacy.into_parts(JobOptions::default());
        assert_eq!((options.state_backend.name(), options.incremental), ("rocksdb", incremental));
        assert_eq!(storage, in_files("/data"));
    }
}

#[test]
fn legacy_backend_by_its_name_is_what_it_was_with_a_warning() {
    let memory = read(&[("state.backend", "jobmanager")]).unwrap();
    assert_eq!(memory.options.state_backend, StateBackend::default());
    assert_eq!(memory.storage, CheckpointStorageChoice::default());
    let files = read(&[("state.backend", "filesystem"), ("state.checkpoints.dir", "file:///data")]).unwrap();
    assert_eq!(files.options.state_backend, StateBackend::default());
    assert_eq!(files.storage, in_files("/data"));
    assert_eq!(
        warnings(&[("state.backend", "jobmanager")]),
        [
            "the option `state.backend` is deprecated; its name is `state.backend.type` (in config.yaml, line 1)",
            "`jobmanager` of the option `state.backend` is deprecated; write `hashmap`, with \
             `execution.checkpointing.storage` as `jobmanager` (in config.yaml, line 1)"
        ]
    );
    let told = problems(&[("state.backend", "filesystem")]);
    let needs = "the option `state.backend` cannot be `filesystem`: it needs `execution.checkpointing.dir`";
    assert!(told.len() == 1 && told[0].starts_with(needs), "{told:?}");
}

#[test]
fn legacy_backend_gives_way_to_a_storage_that_is_set() {
    let entries = [
        ("state.backend", "jobmanager"),
        ("execution.checkpointing.storage", "filesystem"),
        ("execution.checkpointing.dir", "/data"),
    ];
    assert_eq!(read(&entries).unwrap().storage, in_files("/data"));
}

#[test]
fn legacy_file_of_flink_is_read_as_it_is() {
    let text = "state.backend: filesystem\nstate.backend.async: false\nstate.backend.incremental: false\n\
        state.checkpoints.num-retained: 3\nrestart-strategy: fixed-delay\n\
        restart-strategy.fixed-delay.attempts: 10\nrestart-strategy.fixed-delay.delay: 10 s\n\
        jobmanager.rpc.address: localhost\ntaskmanager.numberOfTaskSlots: 1\n";
    let directory = tempfile::tempdir().unwrap();
    let mut configuration =
        snapline::configuration::Configuration::from_yaml(text, "flink-conf.yaml").unwrap();
    configuration
        .extend(self::configuration(&[("state.checkpoints.dir", directory.path().to_str().unwrap())]));
    let settings = snapline::runtime::JobSettings::read(
        &configuration,
        &super::backends(),
        &snapline::store::CheckpointStorages::new(),
    )
    .unwrap();
    assert_eq!(settings.options.retained_checkpoints, 3);
    let storage = settings.storage.open(JobId(7)).unwrap();
    assert!(storage.list().unwrap().pointers.is_empty());
    assert!(directory.path().join(JobId(7).to_string()).is_dir());
}
