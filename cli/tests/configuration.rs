//! `snapline run` with a configuration file and with `-D`.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{Outcome, Scene, names};
use std::fs;
use std::path::Path;

const USAGE: i32 = 2;

fn small() -> Scene {
    Scene::new(&[b"one two two\n".to_vec()])
}

/// Runs with a configuration file and nothing else but the input and the output.
fn run_with(scene: &Scene, config: &str, options: &[&str]) -> Outcome {
    let path = scene.path("config.yaml");
    fs::write(&path, config).unwrap();
    let (input, output) = (scene.input(), scene.output());
    let all =
        ["--input", input.to_str().unwrap(), "--output", output.to_str().unwrap(), "--json", "--config"];
    scene.bare(&[&all[..], &[path.to_str().unwrap()], options].concat())
}

fn json(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str(&outcome.out).unwrap()
}

/// How many checkpoints are left.
fn retained(scene: &Scene, directory: &str) -> usize {
    let job = scene.path(directory).join(scene.job().unwrap().to_string());
    names(&job).iter().filter(|name| name.starts_with("chk-")).count()
}

#[test]
fn configuration_file_says_where_checkpoints_are_kept() {
    for config in [
        "execution:\n  checkpointing:\n    dir: nested\n    interval: off\n",
        "execution.checkpointing.dir: flat\nexecution.checkpointing.interval: off\n",
        "state.checkpoints.dir: old\n",
    ] {
        let scene = small();
        let directory = ["nested", "flat", "old"].into_iter().find(|name| config.contains(name)).unwrap();
        let outcome = run_with(&scene, config, &[]).succeeded();
        assert_eq!(retained(&scene, directory), 1, "{config}");
        assert_eq!(json(&outcome)["checkpoint_dir"], directory);
        assert_eq!(outcome.err.contains("is deprecated; its name is"), directory == "old", "{}", outcome.err);
        assert!(!scene.path("snapline-data").exists());
    }
}

#[test]
fn configuration_of_flags_goes_before_that_of_properties_and_both_before_the_file() {
    const FILE: &str = "execution.checkpointing.dir: file\nexecution.checkpointing.storage: filesystem\n";
    const PROPERTY: &[&str] = &["-D", "execution.checkpointing.dir=property"];
    const FLAG: &[&str] = &["--checkpoint-dir", "flag"];
    for (options, expected) in [
        (Vec::new(), "file"),
        (PROPERTY.to_vec(), "property"),
        (FLAG.to_vec(), "flag"),
        ([PROPERTY, FLAG].concat(), "flag"),
        ([FLAG, PROPERTY].concat(), "flag"),
        ([&["-D", "state.checkpoints.dir=first"], PROPERTY].concat(), "property"),
        (vec!["-D", "state.checkpoints.dir=old-name"], "old-name"),
    ] {
        let scene = small();
        run_with(&scene, FILE, &options).succeeded();
        for directory in ["file", "property", "flag", "first", "old-name"] {
            assert_eq!(scene.path(directory).exists(), directory == expected, "{options:?}");
        }
        assert_eq!(scene.lines(), b"one\t1\ntwo\t1\ntwo\t2\n");
    }
}

#[test]
fn configuration_takes_every_known_key_on_the_command_line() {
    let scene = small();
    let options = [
        "-D",
        "execution.checkpointing.storage=jobmanager",
        "-D",
        "parallelism.default=1",
        "-D",
        "execution.checkpointing.unaligned.enabled=true",
        "-D",
        "execution.checkpointing.snapshot-compression=true",
        "-D",
        "restart-strategy.type=none",
        "-D",
        "state.backend.type=hashmap",
        "-D",
        "taskmanager.numberOfTaskSlots=1",
    ];
    let outcome = run_with(&scene, "", &options).succeeded();
    assert!(!scene.path("snapline-data").exists(), "checkpoints were in memory");
    assert_eq!(
        outcome.err.lines().filter(|line| line.starts_with("warning: ")).count(),
        1,
        "{}",
        outcome.err
    );
    assert!(outcome.err.contains(
        "warning: the option `taskmanager.numberOfTaskSlots` is not supported by Snapline: \
         a job runs in one process (in -D)"
    ));
}

#[test]
fn configuration_that_is_wrong_is_told_whole_and_nothing_begins() {
    let scene = small();
    let config = "execution.checkpointing.interval: 10 parsecs\nexecution.checkpointing.mode: TWICE\n\
        state.changelog.enabled: true\n";
    let outcome = run_with(&scene, config, &["-D", "parallelism.default=0"]);
    let outcome = outcome.failed(
        USAGE,
        &[
            "error: the option `execution.checkpointing.interval` cannot be `10 parsecs`",
            "config.yaml, line 1)",
            "error: the option `execution.checkpointing.mode` cannot be `TWICE`: it must be one of EXACTLY_ONCE",
            "error: the option `parallelism.default` cannot be `0`",
            "(in -D)",
            "error: the option `state.changelog.enabled` cannot be `true`: not supported by Snapline",
            "config.yaml, line 3)",
        ],
    );
    assert_eq!(outcome.err.lines().count(), 4);
    assert!(!scene.output().exists());
}

#[test]
fn configuration_file_that_cannot_be_used_is_named() {
    let scene = small();
    for (config, told) in [
        ("a: 1\na: 2\n", "line 2"),
        ("execution:\n  checkpointing:\n    dir:\n", "line 3: `execution.checkpointing.dir` has no value"),
        ("only words\n", "there are no keys in it"),
    ] {
        run_with(&scene, config, &[]).failed(USAGE, &["config.yaml", told]);
    }
    scene
        .bare(&["--config", "no-such-file.yaml"])
        .failed(USAGE, &["cannot read the configuration no-such-file.yaml"]);
    assert!(!scene.output().exists());
}

#[test]
fn configuration_key_that_nobody_knows_is_a_warning_in_a_file_and_an_error_when_it_was_typed() {
    const TOLD: &str = "there is no option `execution.checkpointing.intervall`; did you mean `execution.checkpointing.interval`?";
    let scene = small();
    scene.run(&["-D", "execution.checkpointing.intervall=1 s"]).failed(USAGE, &["error: ", TOLD, "(in -D)"]);
    assert!(!scene.output().exists());
    let outcome = run_with(&scene, "execution.checkpointing.intervall: 1 s\n", &[]).succeeded();
    assert!(outcome.err.contains(&format!("warning: {TOLD}")), "{}", outcome.err);
}

#[test]
fn configuration_with_memory_for_a_storage_cannot_be_resumed() {
    let scene = small();
    let config = "execution.checkpointing.storage: jobmanager\n";
    run_with(&scene, config, &["--resume"]).failed(USAGE, &["--resume needs the checkpoints"]);
}

#[cfg(feature = "rocksdb")]
#[test]
fn configuration_file_says_what_rocksdb_does() {
    let scene = small();
    let config = "state.backend:\n  type: rocksdb\n  rocksdb:\n    metrics.estimate-num-keys: true\n";
    let outcome = run_with(&scene, config, &[]).succeeded();
    assert!(!json(&outcome)["rocksdb_metrics"].as_array().unwrap().is_empty());
    let wrong = format!("{config}    thread.num: 0\n    threads: 1\n");
    let told = ["rocksdb.thread.num` cannot be `0`", "line 5)", "rocksdb.threads", "line 6)"];
    run_with(&small(), &wrong, &[]).failed(USAGE, &told);
}

/// The files of configuration in the documents.
fn examples() -> Vec<String> {
    let of = |name: &str| {
        let document =
            fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)).unwrap();
        let parts = document.split("```yaml\n").skip(1);
        parts.map(|part| part.split("```").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    [of("README.md"), of("docs/CONFIGURATION.md")].concat()
}

#[test]
fn configuration_examples_of_the_documents_run() {
    let examples = examples();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let scene = small();
        let outcome = run_with(&scene, &example, &[]).succeeded();
        assert_eq!(retained(&scene, "checkpoints"), 1);
        assert_eq!(scene.lines(), b"one\t1\ntwo\t1\ntwo\t2\n");
        let warned = outcome.err.lines().filter(|line| line.starts_with("warning: ")).count();
        let old_names = example.lines().filter(|line| line.contains("# formerly")).count();
        assert_eq!(warned, old_names, "{}", outcome.err);
    }
}
