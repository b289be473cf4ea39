use super::recovery::savepoint;
use super::{configuration, problems, read, warnings};
use snapline::configuration::unsupported::{self, Unsupported};
use snapline::configuration::{Configuration, Origin, Reason, options};
use std::collections::BTreeSet;

#[test]
fn keys_are_each_known_once() {
    let mut seen = BTreeSet::new();
    let keys = options::ALL.iter().flat_map(|option| option.keys());
    for key in keys.chain(unsupported::ALL.iter().map(|option| option.key)) {
        assert!(seen.insert(key), "{key} is there twice");
    }
    for option in options::ALL {
        assert_eq!(Unsupported::with_key(option.key), None, "{}", option.key);
    }
}

#[test]
fn keys_that_are_deprecated_work_and_are_warned_of() {
    let aliases: Vec<_> = options::ALL
        .iter()
        .flat_map(|option| option.deprecated_keys.iter().map(move |key| (option, *key)))
        .collect();
    assert!(aliases.len() > 8);
    let folder = tempfile::tempdir().unwrap();
    let savepoint = savepoint(folder.path());
    for (option, key) in aliases {
        let value = match (option.key, option.default) {
            ("execution.checkpointing.storage", _) => "jobmanager",
            ("execution.state-recovery.path", _) => &savepoint,
            (_, "") => "/data",
            (_, default) => default,
        };
        let settings = read(&[(key, value)]).unwrap();
        let deprecated = Reason::Deprecated { current: option.key };
        let told: Vec<_> = settings.warnings.iter().filter(|warning| warning.reason == deprecated).collect();
        assert!(matches!(told[..], [one] if one.key == key), "{key}: {:?}", settings.warnings);
        assert_eq!(read(&[(option.key, value)]).unwrap().storage, settings.storage, "{key}");
    }
    let retained = read(&[("state.checkpoints.num-retained", "7")]).unwrap();
    assert_eq!(retained.options.retained_checkpoints, 7);
    assert_eq!(
        warnings(&[("state.checkpoints.num-retained", "7")]),
        ["the option `state.checkpoints.num-retained` is deprecated; its name is \
          `execution.checkpointing.num-retained` (in config.yaml, line 1)"]
    );
}

#[test]
fn keys_that_nobody_knows_are_warned_of_with_the_nearest_one() {
    for (key, nearest) in [
        ("execution.checkpointing.intervall", Some("execution.checkpointing.interval")),
        ("execution.checkpoint.interval", Some("execution.checkpointing.interval")),
        ("execution.checkpointing.num-retaned", Some("execution.checkpointing.num-retained")),
        ("paralelism.default", Some("parallelism.default")),
        ("state.backend.typ", Some("state.backend.type")),
        ("something.else.entirely", None),
        ("x", None),
    ] {
        let settings = read(&[(key, "1")]).unwrap();
        let reason = Reason::Unknown { nearest: nearest.map(str::to_owned) };
        assert_eq!(settings.warnings.len(), 1, "{:?}", settings.warnings);
        assert_eq!((settings.warnings[0].key.as_str(), &settings.warnings[0].reason), (key, &reason));
    }
    assert_eq!(
        warnings(&[("state.backend.typ", "1"), ("x", "1")]),
        [
            "there is no option `state.backend.typ`; did you mean `state.backend.type`? (in config.yaml, line 1)",
            "there is no option `x` (in config.yaml, line 2)"
        ]
    );
}

#[test]
fn keys_that_snapline_does_not_support_are_refused_where_the_job_would_be_another_one() {
    let refused: Vec<_> = unsupported::ALL.iter().filter(|option| option.is_refused).collect();
    assert!(refused.len() > 8);
    for option in refused {
        assert_eq!(warnings(&[(option.key, option.fine.unwrap())]), Vec::<String>::new(), "{}", option.key);
        let told = problems(&[(option.key, "something")]);
        let what = format!("`something`: not supported by Snapline: {}", option.why);
        assert!(told.len() == 1 && told[0].contains(&what), "{told:?}");
    }
}

#[test]
fn keys_that_snapline_does_not_support_are_warned_of_where_only_speed_is_lost() {
    let warned: Vec<_> = unsupported::ALL.iter().filter(|option| !option.is_refused).collect();
    assert!(warned.len() > 20);
    for option in warned {
        if let Some(fine) = option.fine {
            assert_eq!(warnings(&[(option.key, fine)]), Vec::<String>::new(), "{}", option.key);
        }
        let key = if option.key.ends_with('.') { format!("{}x", option.key) } else { option.key.to_owned() };
        let told = warnings(&[(&key, "something")]);
        let what = format!("`{key}` is not supported by Snapline: {}", option.why);
        assert!(told.len() == 1 && told[0].contains(&what), "{told:?}");
    }
}

#[test]
fn keys_without_effect_are_warned_of() {
    const MEMORY: (&str, &str) = ("execution.checkpointing.storage", "jobmanager");
    const NEVER: (&str, &str) = ("restart-strategy.type", "none");
    for (entry, with, why) in [
        (
            ("execution.checkpointing.aligned-checkpoint-timeout", "1 s"),
            ("execution.checkpointing.unaligned.enabled", "false"),
            "checkpoints are not unaligned",
        ),
        (
            ("execution.checkpointing.interval-during-backlog", "1 s"),
            ("execution.checkpointing.interval", "off"),
            "there are no periodic checkpoints",
        ),
        (
            ("execution.checkpointing.incremental", "true"),
            ("state.backend.type", "hashmap"),
            "`hashmap` keeps no state in files",
        ),
        (
            ("state.backend.async", "false"),
            ("state.backend.type", "sorted-map"),
            "the state backend is `sorted-map`",
        ),
        (("restart-strategy.fixed-delay.attempts", "1"), NEVER, "the job is never restarted"),
        (("restart-strategy.fixed-delay.delay", "1 s"), NEVER, "the job is never restarted"),
        (("execution.checkpointing.dir", "/data"), MEMORY, "the checkpoint storage is `jobmanager`"),
        (
            ("execution.checkpointing.savepoint-dir", "/data"),
            MEMORY,
            "the checkpoint storage is `jobmanager`",
        ),
        (
            ("snapline.storage.jobmanager.max-state-size", "1 mb"),
            ("execution.checkpointing.dir", "/data"),
            "the checkpoint storage is `filesystem`",
        ),
        (
            ("snapline.storage.jobmanager.max-total-size", "1 mb"),
            ("execution.checkpointing.dir", "/data"),
            "the checkpoint storage is `filesystem`",
        ),
        (
            ("state.backend.rocksdb.thread.num", "1"),
            ("state.backend.type", "hashmap"),
            "the state backend is `hashmap`",
        ),
        (
            ("state.backend.sorted-map.size", "1"),
            ("state.backend.type", "hashmap"),
            "the state backend is `hashmap`",
        ),
    ] {
        let told = warnings(&[entry, with]);
        let begin = format!("the option `{}` has no effect: {why}", entry.0);
        assert!(told.len() == 1 && told[0].starts_with(&begin), "{entry:?}: {told:?}");
    }
    let mut of_the_program = Configuration::new();
    of_the_program.set("execution.checkpointing.dir", "/data", Origin::Default);
    of_the_program.extend(configuration(&[MEMORY]));
    let settings =
        snapline::runtime::JobSettings::read(&of_the_program, &super::backends(), &Default::default())
            .unwrap();
    assert_eq!(settings.warnings, [], "nobody has written it");
}
