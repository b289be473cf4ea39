//! `snapline run --from`: a job starts from what another one has left.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::job::JobFolder;
use common::{BINARY, Outcome, Running, Scene, names, text};
use serde_json::Value;
use snapline::base::CheckpointKind;
use snapline::store::CheckpointStorage;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How often each word is there.
type Counts = BTreeMap<String, u64>;

/// A job that was killed when it had checkpoints, the newest of them, and what it was to count.
fn killed(options: &[&str]) -> (Scene, PathBuf, Counts) {
    // As long as the machine needs to be caught at it.
    for bytes in (20..30).map(|power| 1 << power) {
        let words = text(7, bytes);
        let scene = Scene::new(std::slice::from_ref(&words));
        let running = scene.start(&[options, &["--interval", "5ms"]].concat());
        let has_checkpoint = || scene.job().is_some() && scene.newest().is_some();
        let is_caught = running.wait_until(has_checkpoint) && running.kill();
        // Killed in the moment between its last checkpoint and its end, it would have nothing left to do.
        let is_within = || {
            let newest = scene.newest().unwrap();
            let metadata = scene.storage().read_metadata(newest).unwrap().unwrap();
            metadata.checkpoint.kind == CheckpointKind::Periodic
        };
        if is_caught && is_within() {
            let checkpoint = format!("chk-{}", scene.newest().unwrap());
            let path = scene.checkpoints().join(scene.job().unwrap().to_string()).join(checkpoint);
            return (scene, path, counted(&words));
        }
    }
    panic!("every job has ended before it was killed")
}

fn counted(words: &[u8]) -> Counts {
    let mut counts = Counts::new();
    for word in std::str::from_utf8(words).unwrap().split_whitespace() {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

/// Starts the same job anew, with another output.
fn start(scene: &Scene, options: &[&str]) -> Running {
    let mut command = Command::new(BINARY);
    command.args(["run", "wordcount", "--output", "elsewhere", "--checkpoint-dir", "checkpoints"]);
    command.args(["--restart-attempts", "0", "--input"]).arg(scene.input()).args(options);
    command.current_dir(scene.output().parent().unwrap());
    Running::of(command)
}

fn run(scene: &Scene, options: &[&str]) -> Outcome {
    start(scene, options).end()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Both outputs together hold each word with each number up to how often it is there, once.
fn assert_counted(scene: &Scene, expected: &Counts) {
    let mut found = BTreeMap::<String, Vec<u64>>::new();
    for folder in [scene.output(), scene.path("elsewhere")] {
        for name in names(&folder).iter().filter(|name| name.starts_with("part-")) {
            for line in fs::read_to_string(folder.join(name)).unwrap().lines() {
                let (word, count) = line.split_once('\t').unwrap();
                found.entry(word.to_owned()).or_default().push(count.parse().unwrap());
            }
        }
    }
    assert!(found.keys().eq(expected.keys()), "the words differ");
    for (word, mut counts) in found {
        counts.sort_unstable();
        assert!(counts.iter().copied().eq(1..=expected[&word]), "{word} is counted as {counts:?}");
    }
}

#[test]
fn given_checkpoint_of_a_killed_job_goes_on_with_another_output_and_nothing_twice_or_never() {
    for (before, now, mode) in [("2", "3", "no-claim"), ("2", "2", "claim")] {
        let (scene, checkpoint, expected) = killed(&["--parallelism", before]);
        let options = ["--from", path(&checkpoint), "--parallelism", now, "--claim-mode", mode];
        let ended = run(&scene, &options).succeeded();
        let told =
            if before == now { "count: 2 subtasks as before" } else { "count: 3 subtasks instead of 2" };
        assert!(ended.err.contains("starting from periodic ") && ended.err.contains(told), "{}", ended.err);
        assert_counted(&scene, &expected);
        assert_eq!(checkpoint.exists(), mode == "no-claim");
    }
}

#[test]
fn given_checkpoint_is_needed_again_until_there_is_one_of_the_new_job() {
    let until_killed = |_| {
        let killed = killed(&[]);
        let running = start(&killed.0, &["--from", path(&killed.1), "--interval", "off"]);
        assert!(running.wait_until(|| killed.0.path("elsewhere/_snapline_job").exists()));
        let is_killed = running.kill();
        let job = fs::read_to_string(killed.0.path("elsewhere/_snapline_job")).unwrap();
        let of_job = killed.0.checkpoints().join(job.trim());
        let is_early = !of_job.exists() || !names(&of_job).iter().any(|name| name.starts_with("chk-"));
        (is_killed && is_early).then_some(killed)
    };
    let (scene, checkpoint, expected) = (0..9).find_map(until_killed).expect("it is killed before it ends");
    run(&scene, &["--resume"])
        .failed(1, &["was started from", path(&checkpoint), "has no checkpoint of its own yet; add --from"]);
    run(&scene, &["--resume", "--from", path(&checkpoint)]).succeeded();
    assert_counted(&scene, &expected);
    let again = run(&scene, &["--resume"]).succeeded();
    assert!(!again.err.contains("starting from"), "{}", again.err);
    assert_counted(&scene, &expected);
}

#[test]
fn given_checkpoint_is_looked_at_before_anything_starts() {
    let (scene, checkpoint, _) = killed(&[]);
    let plan = ["--from", path(&checkpoint), "--plan", "--parallelism", "3"];
    let text = run(&scene, &plan).succeeded().out;
    for part in
        ["lines: 3 subtasks instead of 2", "subtask 1 gets key groups of 0, 1", "value state `count` of u64"]
    {
        assert!(text.contains(part), "`{part}` is not in {text}");
    }
    let json: Value =
        serde_json::from_str(&run(&scene, &[&plan[..], &["--json"]].concat()).succeeded().out).unwrap();
    assert_eq!(json["claim_mode"], "NO_CLAIM");
    let operators = json["operators"].as_array().unwrap();
    let told: Vec<_> = operators.iter().map(|operator| (&operator["uid"], &operator["start"])).collect();
    assert_eq!(
        format!("{told:?}"),
        r#"[(String("lines"), String("rescaled")), (String("count"), String("rescaled")), (String("files"), String("rescaled"))]"#
    );
    assert!(!scene.path("elsewhere").exists(), "nothing was to start");

    // Another job has other operators.
    let other = JobFolder::new("alerts");
    let refused = other.start(&["--from", path(&checkpoint)]).end();
    refused.failed(
        1,
        &["does not fit the job", "it has state of operator `count`, which the job does not have"],
    );
}

#[test]
fn given_checkpoint_that_is_none_is_refused_with_what_to_do() {
    let scene = Scene::new(&[b"one two\n".to_vec()]);
    for (options, what) in [
        (&["--plan"][..], "--plan needs --from"),
        (&["--claim-mode", "claim"], "--claim-mode needs --from"),
        (&["--from", "nowhere"], "nowhere cannot be read: No such file or directory"),
        (&["--from", "."], "holds no checkpoints"),
        (&["-D", "execution.state-recovery.path=nowhere"], "nowhere cannot be read"),
    ] {
        run(&scene, options).failed(2, &[what]);
        assert!(!scene.path("elsewhere").exists(), "{options:?}");
    }
}

/// It would be deleted, claimed by a job that has never begun there.
#[test]
fn given_checkpoint_of_another_job_than_the_one_that_is_resumed_is_refused() {
    let (scene, checkpoint, _) = killed(&[]);
    let resume = ["--resume", "--from", path(&checkpoint), "--claim-mode", "claim"];
    run(&scene, &["--interval", "off"]).succeeded();
    run(&scene, &resume).failed(1, &["was not started from a checkpoint of another one"]);
    let (other, _, _) = killed(&[]);
    let begun = |scene: &Scene| fs::read_to_string(scene.path("elsewhere/_snapline_job")).unwrap();
    assert_eq!(begun(&scene).lines().count(), 1);
    run(&other, &["--from", path(&checkpoint)]).succeeded();
    assert_eq!(begun(&other).lines().nth(1), Some(path(&checkpoint)));
    let newest = other.newest().unwrap();
    let own = other.checkpoints().join(other.job().unwrap().to_string()).join(format!("chk-{newest}"));
    run(&other, &["--resume", "--from", path(&own), "--claim-mode", "claim"])
        .failed(1, &["was started from", path(&checkpoint), "and cannot go on from"]);
    assert!(own.exists() && checkpoint.exists());
}
