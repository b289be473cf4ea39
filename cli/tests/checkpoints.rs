//! `snapline inspect` and `snapline verify`, as a person would use them.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{Scene, snapline, text};
use serde_json::Value;
use snapline::store::Place;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

/// A job that has counted three words.
fn finished(options: &[&str]) -> Scene {
    let scene = Scene::new(&[b"one two one three\n".to_vec()]);
    scene.run(options).succeeded();
    scene
}

#[test]
fn inspect_shows_the_states_of_a_job() {
    let scene = finished(&[]);
    let tree = snapline("inspect", &scene.checkpoints(), &["--entries"]).succeeded().out;
    let job = scene.job().unwrap().to_string();
    let newest = format!("chk-{} (newest): final, attempt 1", scene.newest().unwrap());
    for part in [&*job, &newest, "operator 1 `count`, uid `count`: parallelism 2", "value `count` of u64: "] {
        assert!(tree.contains(part), "`{part}` is not in {tree}");
    }
    let inspection = snapline("inspect", &scene.checkpoints(), &["--entries", "--json"]).succeeded().json();
    let subtasks = &inspection["jobs"][0]["checkpoints"][0]["operators"][1]["subtasks"];
    let count = |subtask: &Value| {
        let states = subtask["state_file"]["keyed_states"].as_array().cloned().unwrap_or_default();
        let count = states.into_iter().find(|state| state["name"] == "count");
        count.map_or(0, |state| state["entries"].as_u64().unwrap())
    };
    assert_eq!(subtasks.as_array().unwrap().iter().map(count).sum::<u64>(), 3, "{inspection}");
}

/// The directory of the newest checkpoint.
fn newest(scene: &Scene) -> PathBuf {
    scene.storage().path_of(Place::Checkpoint(scene.newest().unwrap()))
}

/// The names of all fields.
fn fields(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => object.iter().for_each(|(name, value)| {
            found.insert(name.clone());
            fields(value, found);
        }),
        Value::Array(values) => values.iter().for_each(|value| fields(value, found)),
        _ => {}
    }
}

#[test]
fn fields_of_the_json_are_documented() {
    let scene = finished(&[]);
    let mut found = BTreeSet::new();
    let commands = [
        ("inspect", &["--json", "--entries"][..]),
        ("verify", &["--json"]),
        ("fsck", &["--json"]),
        ("gc", &["--dry-run", "--json"]),
    ];
    for (command, options) in commands {
        fields(&snapline(command, &scene.checkpoints(), options).succeeded().json(), &mut found);
    }
    // With nothing to the left, so that every field is there.
    let [left, right] =
        [finished(&[]), finished(&["--parallelism", "3"])].map(|scene| (newest(&scene), scene));
    fields(
        &snapline("diff", &left.0, &[right.0.to_str().unwrap(), "--json"]).failed(1, &[]).json(),
        &mut found,
    );
    assert!(found.len() > 60, "{found:?}");
    let document = include_str!("../../docs/TOOLS.md");
    let missing: Vec<_> = found.iter().filter(|name| !document.contains(&format!("`{name}`"))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn verify_says_by_its_exit_code_whether_all_is_whole() {
    let scene = finished(&[]);
    let whole = snapline("verify", &scene.checkpoints(), &[]).succeeded();
    assert!(whole.out.contains("whole"), "{}", whole.out);
    let metadata = scene.storage().metadata_path(scene.newest().unwrap());
    let mut bytes = fs::read(&metadata).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&metadata, bytes).unwrap();
    let damaged = snapline("verify", &scene.checkpoints(), &[]).failed(1, &[]);
    assert!(damaged.out.contains(&format!("{} at byte ", metadata.display())), "{}", damaged.out);
    let verification = snapline("verify", &scene.checkpoints(), &["--json"]).failed(1, &[]).json();
    assert_eq!(verification["is_whole"], false);
    let checkpoint = &verification["jobs"][0]["checkpoints"][0];
    assert_eq!((&checkpoint["status"], &checkpoint["verdict"]), (&"newest".into(), &"damaged".into()));
    assert_eq!(checkpoint["problems"][0]["object"], metadata.to_str().unwrap());
    assert!(checkpoint["problems"][0]["offset_bytes"].is_u64(), "{checkpoint}");
    // Looking is not judging.
    snapline("inspect", &scene.checkpoints(), &[]).succeeded();
}

#[test]
fn diff_says_by_its_exit_code_whether_two_checkpoints_hold_the_same() {
    let [two, three] = [finished(&[]), finished(&["--parallelism", "3"])];
    let (left, right) = (newest(&two), newest(&three));
    // The newest one of the job is the same.
    let same = snapline("diff", &left, &[two.storage().directory().to_str().unwrap()]).succeeded().out;
    assert!(same.contains("both hold the same"), "{same}");
    let differs = snapline("diff", &left, &[right.to_str().unwrap()]).failed(1, &[]).out;
    let headings =
        [("--- ", &left), ("+++ ", &right)].map(|(sign, path)| format!("{sign}{}", path.display()));
    for part in [&*headings[0], &headings[1], "~ operator `count`\n    parallelism: 2 -> 3\n", "they differ"]
    {
        assert!(differs.contains(part), "`{part}` is not in {differs}");
    }
    snapline("diff", &left, &[two.output().to_str().unwrap()]).failed(2, &["holds no checkpoints"]);
    fs::write(right.join("_metadata"), b"damaged").unwrap();
    snapline("diff", &left, &[right.to_str().unwrap(), "--json"]).failed(2, &["_metadata at byte 7"]);
}

/// The words that were counted, and how often.
fn counts(exported: &str) -> BTreeMap<String, u64> {
    let entries = exported.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let count = |entry: Value| {
        assert_eq!((&entry["operator_uid"], &entry["kind"]), (&"count".into(), &"value".into()), "{entry}");
        (entry["key"].as_str().unwrap().to_owned(), entry["value"].as_u64().unwrap())
    };
    entries.map(count).collect()
}

#[test]
fn export_prints_an_entry_in_each_line() {
    const WORD: &str = "snapline::wordcount::word::Word=String";
    let scene = finished(&["--snapshot-compression"]);
    let exported = snapline("export", &newest(&scene), &["--state", "count", "--type", WORD]).succeeded().out;
    let expected = [("one", 2), ("three", 1), ("two", 1)].map(|(word, count)| (word.to_owned(), count));
    assert_eq!(counts(&exported), expected.into());
    let all = snapline("export", scene.storage().directory(), &[]).succeeded().out;
    assert!(all.lines().count() > 3 && all.contains("\"state\":\"_runtime/watermark\""), "{all}");
    let hex = r#""key":{"serializer":"snapline::wordcount::word::Word","hex":"03747"#;
    assert!(all.contains(hex), "`{hex}` is not in {all}");
    let none = snapline("export", &scene.checkpoints(), &["--state", "counts"]);
    none.failed(1, &["there is no state `counts`; there are ", "`count`"]);
    snapline("export", &scene.output(), &[]).failed(1, &["holds no checkpoints"]);
    snapline("export", &scene.checkpoints(), &["--type", "Word"]).failed(2, &["NAME=TYPE"]);
}

#[cfg(feature = "rocksdb")]
#[test]
fn export_prints_the_entries_of_states_in_files_of_rocksdb() {
    let in_files = finished(&["--backend", "rocksdb", "--incremental"]);
    let on_heap = finished(&[]);
    let exported = |scene: &Scene, state| {
        let out = snapline("export", &scene.checkpoints(), &["--state", state]).succeeded().out;
        let mut lines: Vec<_> = out.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(exported(&in_files, "count"), exported(&on_heap, "count"));
    let temporary = |scene: &Scene| snapline("export", &scene.checkpoints(), &[]).succeeded().out;
    assert_eq!(temporary(&in_files).lines().count(), temporary(&on_heap).lines().count());
    let folder = in_files.storage().directory().join("shared");
    let path = folder.join(&common::names(&folder)[0]);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, bytes).unwrap();
    snapline("export", &in_files.checkpoints(), &[]).failed(1, &[path.to_str().unwrap(), "checksum"]);
}

/// As little state is unless it is told otherwise, as the other tests do.
#[test]
fn inspect_verify_and_export_read_state_that_is_in_the_metadata() {
    let scene = finished(&["-D", "execution.checkpointing.data-inline-threshold=20kb"]);
    let tree = snapline("inspect", &scene.checkpoints(), &[]).succeeded().out;
    for part in ["subtask 0: in the metadata, ", "value `count` of u64"] {
        assert!(tree.contains(part), "`{part}` is not in {tree}");
    }
    let inspection = snapline("inspect", &scene.checkpoints(), &["--json"]).succeeded().json();
    let state = &inspection["jobs"][0]["checkpoints"][0]["operators"][1]["subtasks"][0]["state_file"];
    assert_eq!(state["is_inline"], true);
    let name = state["file"].as_str().unwrap();
    assert!(name.ends_with("/_metadata") && PathBuf::from(name).exists(), "{name}");
    let files = common::names(&newest(&scene));
    assert_eq!(files, ["_metadata"], "there is no other file");
    snapline("verify", &scene.checkpoints(), &[]).succeeded();
    let exported = snapline("export", &scene.checkpoints(), &["--state", "count"]).succeeded().out;
    assert_eq!(exported.lines().count(), 3, "{exported}");
}

#[test]
fn inspect_and_verify_of_another_directory_say_what_is_expected() {
    let scene = finished(&[]);
    for command in ["inspect", "verify"] {
        snapline(command, &scene.output(), &[]).failed(1, &["holds no checkpoints", "chk-<n>"]);
        snapline(command, &scene.path("missing"), &["--json"]).failed(1, &["missing cannot be read"]);
    }
}

/// Whatever is written, published and deleted at the same time, nothing is found wrong.
#[track_caller]
fn finds_nothing_wrong_while_the_job_runs(options: &[&str], bytes: usize) {
    let scene = Scene::new(&[text(1, bytes), text(2, bytes)]);
    let running = scene.start(&[options, &["--interval", "1ms", "--emit", "final"]].concat());
    assert!(running.wait_until(|| scene.job().is_some() && scene.newest().is_some()));
    let mut verified = 0;
    for _ in 0..10 {
        let inspection =
            snapline("inspect", &scene.checkpoints(), &["--entries", "--json"]).succeeded().json();
        let verification = snapline("verify", &scene.checkpoints(), &["--json"]).succeeded().json();
        for checkpoint in inspection["jobs"][0]["checkpoints"].as_array().unwrap() {
            let is_needed = checkpoint["status"] == "newest" || checkpoint["status"] == "retained";
            assert!(!is_needed || checkpoint["problems"].as_array().unwrap().is_empty(), "{checkpoint}");
        }
        let checkpoints = verification["jobs"][0]["checkpoints"].as_array().unwrap();
        verified += checkpoints.iter().filter(|one| one["verdict"] == "whole").count();
    }
    running.end().succeeded();
    assert!(verified > 0);
    snapline("verify", &scene.checkpoints(), &[]).succeeded();
}

#[test]
fn inspect_and_verify_find_nothing_wrong_while_the_job_runs() {
    finds_nothing_wrong_while_the_job_runs(&[], 3_000_000);
}

#[cfg(feature = "rocksdb")]
#[test]
fn inspect_and_verify_find_nothing_wrong_while_a_job_shares_files() {
    finds_nothing_wrong_while_the_job_runs(&["--backend", "rocksdb", "--incremental"], 1_500_000);
}

#[cfg(feature = "rocksdb")]
#[test]
fn inspect_and_verify_know_the_files_of_rocksdb() {
    let scene = finished(&["--backend", "rocksdb", "--incremental"]);
    let tree = snapline("inspect", &scene.checkpoints(), &[]).succeeded().out;
    for part in ["value `count@", "in files of the backend", "files of backend `rocksdb`", ".sst, "] {
        assert!(tree.contains(part), "`{part}` is not in {tree}");
    }
    snapline("verify", &scene.checkpoints(), &[]).succeeded();
    let folder = scene.storage().directory().join("shared");
    let path = folder.join(&common::names(&folder)[0]);
    let mut bytes = fs::read(&path).unwrap();
    bytes[100] ^= 1;
    fs::write(&path, bytes).unwrap();
    let damaged = snapline("verify", &scene.checkpoints(), &[]).failed(1, &[]);
    assert!(damaged.out.contains(path.to_str().unwrap()), "{}", damaged.out);
}
