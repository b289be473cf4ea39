use super::{SECOND, anonymous, backends, configuration, defaults, problems, read};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use snapline::base::{CheckpointingMode, Millis};
use snapline::configuration::{ConfigOption, Kind, WrongOption, options};
use snapline::coordinator::{RestartStrategy, Retention};
use snapline::keygroup::MaxParallelism;
use snapline::publish::OnCorruption;
use snapline::runtime::{JobOptions, JobSettings};
use snapline::state::backend::{
    BackendContext, BackendError, KeyedStateBackend, StateBackend, StateBackendFactory, StateBackends,
};
use snapline::store::{CheckpointStorageChoice, CheckpointStorages};
use std::collections::{BTreeMap, BTreeSet};

type Change = fn(&mut JobOptions);

#[test]
fn configuration_without_anything_is_the_default() {
    let settings = read(&[]).unwrap();
    assert_eq!(anonymous(settings.options), defaults());
    assert_eq!(settings.storage, CheckpointStorageChoice::default());
    assert_eq!((settings.parallelism, settings.max_parallelism), (None, None));
    assert!(settings.warnings.is_empty());
}

#[test]
fn configuration_with_every_default_written_down_is_the_default() {
    let written = options::ALL.iter().filter(|option| !option.default.is_empty());
    let entries: Vec<_> = written.map(|option| (option.key, option.default)).collect();
    assert!(entries.len() > 20);
    let settings = read(&entries).unwrap();
    assert_eq!(anonymous(settings.options), defaults());
    assert_eq!(settings.storage, CheckpointStorageChoice::default());
    assert_eq!(settings.warnings, []);
}

const CHANGES: &[(&str, &str, Change)] = &[
    ("execution.checkpointing.interval", "10 s", |o| o.checkpoint_interval = Some(Millis(10_000))),
    ("execution.checkpointing.mode", "at-least-once", |o| o.mode = CheckpointingMode::AtLeastOnce),
    ("execution.checkpointing.timeout", "1 h", |o| o.checkpoint_timeout = Millis(3_600_000)),
    ("execution.checkpointing.min-pause", "500ms", |o| o.min_pause = Millis(500)),
    ("execution.checkpointing.max-concurrent-checkpoints", "3", |o| o.max_concurrent_checkpoints = 3),
    ("execution.checkpointing.tolerable-failed-checkpoints", "2", |o| o.tolerable_failed_checkpoints = 2),
    ("execution.checkpointing.num-retained", "4", |o| o.retained_checkpoints = 4),
    ("execution.checkpointing.externalized-checkpoint-retention", "DELETE_ON_CANCELLATION", |o| {
        o.externalized_checkpoint_retention = Retention::DELETE_ON_CANCELLATION;
    }),
    ("execution.checkpointing.unaligned.enabled", "TRUE", |o| o.unaligned = true),
    ("execution.checkpointing.aligned-checkpoint-timeout", "1 min", |o| {
        o.aligned_checkpoint_timeout = Millis(60_000);
    }),
    ("execution.checkpointing.incremental", "true", |o| o.incremental = true),
    ("execution.checkpointing.snapshot-compression", "true", |o| o.snapshot_compression = true),
    ("execution.checkpointing.data-inline-threshold", "1 mb", |o| o.inline_threshold_bytes = 1_048_576),
    ("execution.checkpointing.write-buffer-size", "64kb", |o| o.write_buffer_bytes = 65_536),
    ("execution.state-recovery.ignore-unclaimed-state", "true", |o| o.allow_non_restored_state = true),
    ("execution.checkpointing.interval-during-backlog", "0", |o| {
        o.interval_during_backlog = Some(Millis(0));
    }),
    ("state.backend.async", "false", |o| {
        o.state_backend = StateBackend::HashMap { asynchronous_snapshots: false };
    }),
    ("state.backend.type", "sorted-map", |o| {
        o.state_backend = backends().get("sorted-map", BTreeMap::new()).unwrap();
    }),
    ("restart-strategy.type", "none", |o| o.restart = RestartStrategy::None),
    ("restart-strategy.fixed-delay.attempts", "9", |o| {
        o.restart = RestartStrategy::FixedDelay { attempts: 9, delay: SECOND };
    }),
    ("restart-strategy.fixed-delay.delay", "2 s", |o| {
        o.restart = RestartStrategy::FixedDelay { attempts: 3, delay: Millis(2_000) };
    }),
    ("snapline.savepoints.force", "false", |o| o.force_savepoints = false),
    ("snapline.recovery.on-corruption", "fall-back", |o| o.on_corruption = OnCorruption::FallBack),
    ("snapline.channel.capacity", "2", |o| o.channel_capacity = 2),
    ("snapline.channel.batch-records", "16", |o| o.batch_records = 16),
];

/// What says something about other things than [`JobOptions`].
const ELSEWHERE: &[&str] = &[
    "execution.state-recovery.path",
    "execution.state-recovery.claim-mode",
    "execution.checkpointing.storage",
    "execution.checkpointing.dir",
    "execution.checkpointing.savepoint-dir",
    "high-availability.type",
    "high-availability.storageDir",
    "high-availability.cluster-id",
    "high-availability.etcd.endpoints",
    "high-availability.etcd.path.root",
    "high-availability.etcd.request-timeout",
    "high-availability.etcd.retry-timeout",
    "high-availability.etcd.username",
    "high-availability.etcd.password",
    "high-availability.etcd.ca-certificate",
    "high-availability.etcd.client-certificate",
    "high-availability.etcd.client-key",
    "parallelism.default",
    "pipeline.max-parallelism",
    "snapline.storage.jobmanager.max-state-size",
    "snapline.storage.jobmanager.max-total-size",
];

#[test]
fn configuration_that_says_something_changes_just_that() {
    for (key, value, change) in CHANGES {
        let mut expected = defaults();
        change(&mut expected);
        assert_ne!(expected, defaults(), "{key}");
        assert_eq!(anonymous(read(&[(key, value)]).unwrap().options), expected, "{key}");
    }
    let tried: BTreeSet<_> = CHANGES.iter().map(|(key, ..)| *key).chain(ELSEWHERE.iter().copied()).collect();
    assert_eq!(tried, options::ALL.iter().map(|option| option.key).collect());
}

#[test]
fn configuration_of_the_parallelism_is_for_the_program_that_asks_for_it() {
    let settings = read(&[("parallelism.default", "3"), ("pipeline.max-parallelism", "8")]).unwrap();
    let max = MaxParallelism::new(8).unwrap();
    assert_eq!((settings.parallelism, settings.max_parallelism), (Some(3), Some(max)));
    assert_eq!(
        problems(&[("parallelism.default", "9"), ("pipeline.max-parallelism", "8")]),
        [
            "the option `parallelism.default` cannot be `9`: it is above `pipeline.max-parallelism`, which is 8 \
          (in config.yaml, line 1)"
        ]
    );
}

/// A text that cannot be a value.
fn wrong(option: &ConfigOption) -> &'static str {
    match option.kind {
        Kind::Boolean => "perhaps",
        Kind::Number { .. } => "-1",
        Kind::Duration { .. } | Kind::DurationOrOff => "10 parsecs",
        Kind::MemorySize { .. } => "5 metres",
        Kind::OneOf(_) | Kind::Name(_) => "no-such-name",
        Kind::Directory | Kind::File | Kind::Text => " ",
    }
}

#[test]
fn configuration_with_wrong_values_is_refused_with_all_of_them_at_once() {
    let entries: Vec<_> = options::ALL.iter().map(|option| (option.key, wrong(option))).collect();
    let told = problems(&entries);
    for (line, (key, value)) in (1..).zip(&entries) {
        let begin = format!("the option `{key}` cannot be `{value}`: ");
        let end = format!(" (in config.yaml, line {line})");
        let of_this: Vec<_> = told.iter().filter(|told| told.starts_with(&begin)).collect();
        assert!(matches!(of_this[..], [one] if one.ends_with(&end)), "{key}: {of_this:?}");
    }
    assert_eq!(told.len(), entries.len());
}

#[test]
fn configuration_with_a_wrong_value_says_what_is_allowed() {
    for (key, value, what) in [
        ("execution.checkpointing.interval", "0", "it must be a duration of 1 ms at least, or off"),
        ("execution.checkpointing.timeout", "0", "it must be a duration of 1 ms at least"),
        ("execution.checkpointing.min-pause", "1", ""),
        ("execution.checkpointing.num-retained", "0", "it must be a whole number from 1 to 4294967295"),
        ("execution.checkpointing.mode", "TWICE", "it must be one of EXACTLY_ONCE, AT_LEAST_ONCE"),
        ("parallelism.default", "40000", "it must be a whole number from 1 to 32768"),
        ("state.backend.type", "forst", "there is no such state backend; there are hashmap, sorted-map"),
        (
            "execution.checkpointing.storage",
            "tape",
            "there is no such storage; there are jobmanager, filesystem",
        ),
        ("execution.checkpointing.storage", "filesystem", "it needs `execution.checkpointing.dir`"),
        (
            "restart-strategy.type",
            "exponential-delay",
            "not supported by Snapline: there are none and fixed-delay",
        ),
    ] {
        let expected = (!what.is_empty())
            .then(|| format!("the option `{key}` cannot be `{value}`: {what} (in config.yaml, line 1)"));
        assert_eq!(problems(&[(key, value)]), Vec::from_iter(expected));
    }
}

#[test]
fn configuration_that_contradicts_itself_is_refused() {
    const UNALIGNED: (&str, &str) = ("execution.checkpointing.unaligned.enabled", "true");
    const CONCURRENT: (&str, &str) = ("execution.checkpointing.max-concurrent-checkpoints", "2");
    const INTERVAL: (&str, &str) = ("execution.checkpointing.interval", "1 s");
    for (entries, key, what) in [
        (
            [UNALIGNED, ("execution.checkpointing.mode", "AT_LEAST_ONCE")],
            "execution.checkpointing.unaligned.enabled",
            "unaligned checkpoints need exactly once",
        ),
        (
            [UNALIGNED, CONCURRENT],
            "execution.checkpointing.unaligned.enabled",
            "unaligned checkpoints are taken one at a time",
        ),
        (
            [("execution.checkpointing.min-pause", "1 ms"), CONCURRENT],
            "execution.checkpointing.min-pause",
            "with a pause checkpoints are taken one at a time",
        ),
        (
            [INTERVAL, ("execution.checkpointing.interval-during-backlog", "999 ms")],
            "execution.checkpointing.interval-during-backlog",
            "shorter than the interval",
        ),
    ] {
        let told = problems(&entries);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains(&format!("`{key}`")) && told[0].contains(what), "{told:?}");
        for entry in entries {
            assert_eq!(problems(&[entry]), Vec::<String>::new(), "alone it is fine");
        }
    }
    let fine = [INTERVAL, ("execution.checkpointing.interval-during-backlog", "0")];
    assert_eq!(problems(&fine), Vec::<String>::new(), "0 takes no checkpoints");
}

/// Texts that are values of some option, or almost.
fn text() -> impl Strategy<Value = String> {
    let names = options::ALL.iter().flat_map(|option| match option.kind {
        Kind::OneOf(names) | Kind::Name(names) => names.to_vec(),
        _ => vec![option.default],
    });
    let names: Vec<_> = names.collect();
    prop_oneof![select(names).prop_map(str::to_owned), "-?[0-9]{0,21} ?[a-z]{0,3}", "[a-z]{0,4}:/{0,3}.{0,5}"]
}

proptest! {
    #[test]
    fn configuration_of_any_texts_is_read_or_refused_without_a_panic(
        texts in vec(text(), options::ALL.len()),
    ) {
        let keys = options::ALL.iter().map(|option| option.key);
        let entries: Vec<_> = keys.zip(texts.iter().map(String::as_str)).collect();
        for (option, entry) in options::ALL.iter().zip(&entries) {
            let told = problems(&[*entry]);
            prop_assert!(told.iter().all(|told| told.contains(entry.0) && told.contains(entry.1)));
            prop_assert!(option.kind.check(entry.1).is_ok() || told.len() == 1, "{:?}: {:?}", entry, told);
        }
        let wrong = options::ALL.iter().zip(&entries).filter(|(option, entry)| option.kind.check(entry.1).is_err());
        prop_assert!(problems(&entries).len() >= wrong.count());
    }
}

#[test]
fn configuration_is_what_options_of_a_job_are_made_of() {
    let configuration = configuration(&[("execution.checkpointing.num-retained", "2")]);
    assert_eq!(JobOptions::from_configuration(&configuration).unwrap().retained_checkpoints, 2);
    let wrong = configuration.with("execution.checkpointing.num-retained", "0");
    let told = JobOptions::from_configuration(&wrong).unwrap_err().to_string();
    assert!(told.ends_with("(in code)"), "{told}");
}

/// A backend that has to be told its color.
struct Picky;

impl StateBackendFactory for Picky {
    fn name(&self) -> &str {
        "Picky"
    }

    fn check(&self, options: &BTreeMap<String, String>) -> Vec<WrongOption> {
        let key = "state.backend.Picky.color".to_owned();
        let color = options.get(&key).cloned();
        let is_wrong = color.as_deref() != Some("red");
        let wrong = |value| WrongOption { key, value, what: "it must be red".to_owned() };
        is_wrong.then(|| wrong(color.unwrap_or_default())).into_iter().collect()
    }

    fn create(&self, _: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        Err("it is never made".into())
    }
}

#[test]
fn configuration_of_a_backend_of_the_program_is_checked_by_its_factory() {
    const TYPE: (&str, &str) = ("state.backend.type", "Picky");
    const COLOR: &str = "state.backend.Picky.color";
    let of = |entries: &[(&str, &str)]| {
        let backends = StateBackends::new().with(Picky);
        JobSettings::read(&configuration(entries), &backends, &CheckpointStorages::new())
    };
    let settings = of(&[TYPE, (COLOR, "red")]).unwrap();
    assert_eq!((settings.options.state_backend.name(), &settings.warnings[..]), ("Picky", &[][..]));
    for (entries, told) in [
        (&[TYPE][..], "cannot be ``: it must be red (by default)"),
        (&[TYPE, (COLOR, "blue")], "cannot be `blue`: it must be red (in config.yaml, line 2)"),
    ] {
        assert_eq!(of(entries).unwrap_err().to_string(), format!("the option `{COLOR}` {told}"));
    }
    let elsewhere = of(&[(COLOR, "blue")]).unwrap();
    assert_eq!(elsewhere.warnings.len(), 1, "another backend does not ask for it: {:?}", elsewhere.warnings);
}

#[cfg(feature = "rocksdb")]
#[test]
fn configuration_of_rocksdb_is_checked_before_a_job_starts() {
    let entries = [
        ("state.backend.type", "ROCKSDB"),
        ("state.backend.rocksdb.thread.num", "0"),
        ("state.backend.rocksdb.thread.number", "1"),
        ("state.backend.rocksdb.writebuffer.size", "1mb"),
    ];
    let told = JobOptions::from_configuration(&configuration(&entries)).unwrap_err();
    let told: Vec<_> = told.problems.iter().map(ToString::to_string).collect();
    assert!(
        matches!(&told[..], [one, other]
        if one.contains("thread.num` cannot be `0`") && one.ends_with("line 2)") && other.ends_with("line 3)")),
        "{told:?}"
    );
    let right = [entries[0], entries[3]];
    let options = JobOptions::from_configuration(&configuration(&right)).unwrap();
    let told = BTreeMap::from([("state.backend.rocksdb.writebuffer.size".to_owned(), "1mb".to_owned())]);
    let StateBackend::Custom(factory, options) = options.state_backend else { panic!("it is the heap") };
    assert_eq!((factory.name(), options), ("rocksdb", told));
}
