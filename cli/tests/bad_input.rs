//! What is wrong outside of the job is said clearly, with the right exit code, and nothing is lost by it.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{BINARY, Running, Scene, names, text};
use std::fs;
use std::process::Command;

const FAILURE: i32 = 1;
const USAGE: i32 = 2;

fn small() -> Scene {
    Scene::new(&[b"one two two\n".to_vec()])
}

fn long() -> Scene {
    Scene::new(&[text(1, 8_000_000), text(2, 8_000_000)])
}

fn expected(scene: &Scene) -> Vec<u8> {
    let output = scene.path("expected");
    let mut command = Command::new(BINARY);
    command.args(["run", "wordcount", "--storage", "jobmanager", "--interval", "off", "--input"]).args([
        scene.input(),
        "--output".into(),
        output.clone(),
    ]);
    Running::of(command).end().succeeded();
    let parts = names(&output).into_iter().filter(|name| name.starts_with("part-"));
    let bytes: Vec<u8> = parts.flat_map(|name| fs::read(output.join(name)).unwrap()).collect();
    let mut lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    lines.sort_unstable();
    lines.concat()
}

/// Runs until there is some output, and stops with its first checkpoint.
fn stopped(scene: &Scene) {
    let running = scene.start(&["--interval", "off"]);
    assert!(running.wait_until(|| is_writing(scene)));
    running.interrupt();
    running.end().succeeded();
}

fn is_writing(scene: &Scene) -> bool {
    scene.output().is_dir() && names(&scene.output()).iter().any(|name| name.starts_with(".part-"))
}

#[test]
fn input_that_does_not_exist_is_named() {
    let scene = small();
    fs::remove_dir_all(scene.input()).unwrap();
    scene.run(&[]).failed(FAILURE, &["cannot read", scene.input().to_str().unwrap()]);
    assert!(!scene.output().exists());
}

#[test]
fn input_below_a_file_is_named() {
    let scene = small();
    let path = scene.input().join("0.txt").join("deeper");
    let outcome = scene.run(&["--input", path.to_str().unwrap()]);
    outcome.failed(FAILURE, &["cannot read", path.to_str().unwrap()]);
}

#[test]
fn input_that_is_not_text_is_named_with_its_byte() {
    let scene = Scene::new(&[b"fine\nnot \xff fine\n".to_vec()]);
    let path = scene.input().join("0.txt");
    scene.run(&[]).failed(FAILURE, &[path.to_str().unwrap(), "not UTF-8 at byte 9", "--lossy"]);
    scene.run(&["--resume", "--lossy"]).succeeded();
    assert_eq!(scene.lines(), b"fine\t1\nfine\t2\nnot\t1\n");
}

#[test]
fn input_that_became_shorter_is_not_taken() {
    let scene = long();
    let expected = expected(&scene);
    stopped(&scene);
    let lines = scene.lines();
    assert!(lines.len() < expected.len());
    let path = scene.input().join("0.txt");
    let original = fs::read(&path).unwrap();
    fs::write(&path, &original[..original.len() - 1]).unwrap();
    scene.run(&["--resume"]).failed(FAILURE, &[path.to_str().unwrap(), "put the original file back"]);
    assert!(scene.lines() == lines);
    fs::write(&path, original).unwrap();
    scene.run(&["--resume"]).succeeded();
    assert!(scene.lines() == expected);
}

#[test]
fn output_of_another_job_is_left_alone() {
    let scene = small();
    scene.run(&[]).succeeded();
    scene.run(&[]).failed(FAILURE, &["belongs to job", "--resume", "--output"]);
    assert_eq!(scene.lines(), b"one\t1\ntwo\t1\ntwo\t2\n");
}

#[test]
fn output_that_is_not_empty_is_left_alone() {
    let scene = small();
    fs::create_dir(scene.output()).unwrap();
    fs::write(scene.output().join("mine"), "mine").unwrap();
    scene.run(&[]).failed(FAILURE, &["is not empty", "--output"]);
    assert_eq!(names(&scene.output()), ["mine"]);
}

#[test]
fn output_that_is_a_file_is_named() {
    let scene = small();
    fs::write(scene.output(), "mine").unwrap();
    scene.run(&[]).failed(FAILURE, &[scene.output().to_str().unwrap()]);
    scene.run(&["--resume"]).failed(FAILURE, &[scene.output().to_str().unwrap()]);
}

#[test]
fn output_whose_claim_was_cut_short_is_claimed_again() {
    let scene = small();
    fs::create_dir(scene.output()).unwrap();
    fs::write(scene.output().join("_snapline_job.0123.tmp"), "01").unwrap();
    scene.run(&[]).succeeded();
}

#[test]
fn checkpoint_dir_that_is_a_file_is_named() {
    let scene = small();
    fs::write(scene.checkpoints(), "mine").unwrap();
    scene.run(&[]).failed(FAILURE, &[scene.checkpoints().to_str().unwrap()]);
    scene.run(&["--resume"]).failed(FAILURE, &[scene.checkpoints().to_str().unwrap()]);
    fs::remove_file(scene.checkpoints()).unwrap();
    scene.run(&["--resume"]).succeeded();
}

#[test]
fn checkpoint_dir_that_is_another_one_restarts_nothing() {
    let scene = long();
    stopped(&scene);
    let lines = scene.lines();
    fs::rename(scene.checkpoints(), scene.path("elsewhere")).unwrap();
    let outcome = scene.run(&["--resume"]);
    outcome.failed(FAILURE, &[scene.checkpoints().to_str().unwrap(), "--checkpoint-dir"]);
    assert!(scene.lines() == lines && !scene.checkpoints().exists());
}

/// No file may become larger than `kilobytes`: what was written before stays.
fn on_a_full_disk(scene: &Scene, kilobytes: u32, options: &[&str]) -> Command {
    let mut command = Command::new("bash");
    let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
    command.args(["-c", &script, BINARY]).args(scene.arguments()).args(options);
    command
}

#[test]
fn disk_that_is_full_for_output_is_survived() {
    let scene = long();
    let expected = expected(&scene);
    for _ in 0..2 {
        let resume: &[&str] = if scene.job().is_some() { &["--resume"] } else { &[] };
        let options = [&["--interval", "off"], resume].concat();
        let outcome = Running::of(on_a_full_disk(&scene, 64, &options)).end();
        let part = scene.output().join(".part-");
        outcome.failed(FAILURE, &["cannot write", part.to_str().unwrap(), "too large"]);
    }
    scene.run(&["--resume"]).succeeded();
    assert!(scene.lines() == expected);
    scene.assert_nothing_is_left_over();
}

#[test]
fn disk_that_is_full_for_checkpoints_is_survived() {
    let scene = long();
    let full = ["--emit", "final", "--interval", "10ms", "--resume"];
    let running = scene.start(&["--emit", "final", "--interval", "off"]);
    assert!(running.wait_until(|| scene.job().is_some() && !scene.pointers().is_empty()));
    running.interrupt();
    running.end().succeeded();
    let outcome = Running::of(on_a_full_disk(&scene, 1, &full)).end();
    outcome.failed(FAILURE, &[scene.checkpoints().to_str().unwrap(), ".state", "too large"]);
    scene.run(&["--resume", "--emit", "final"]).succeeded();
    let undisturbed = Scene::new(&[text(1, 8_000_000), text(2, 8_000_000)]);
    undisturbed.run(&["--emit", "final"]).succeeded();
    assert!(scene.lines() == undisturbed.lines());
    scene.assert_nothing_is_left_over();
}

#[test]
fn options_that_make_no_sense_are_usage_errors() {
    let scene = small();
    for (options, text) in [
        (&["--no-such-option"][..], "--no-such-option"),
        (&["--interval", "0s"], "at least 1ms"),
        (&["--interval", "0"], "--interval"),
        (&["--interval", "5"], "unit"),
        (&["--interval", "1us"], "1ms"),
        (&["--timeout", "0s"], "at least 1ms"),
        (&["--parallelism", "0"], "1 to 32768"),
        (&["--parallelism", "32769"], "1 to 32768"),
        (&["--parallelism", "-1"], "-1"),
        (&["--parallelism", "9", "--max-parallelism", "8"], "--max-parallelism"),
        (&["--resume", "--storage", "jobmanager"], "--storage filesystem"),
        (&["--emit", "sometimes"], "sometimes"),
    ] {
        scene.run(options).failed(USAGE, &[text]);
    }
    assert!(!scene.output().exists());
}

#[test]
fn resume_without_a_job_is_refused() {
    let scene = small();
    scene.run(&["--resume"]).failed(FAILURE, &["nothing to resume", "without --resume"]);
}

#[test]
fn resume_with_another_parallelism_goes_on_and_with_another_max_parallelism_is_refused() {
    let scene = long();
    stopped(&scene);
    let outcome = scene.run(&["--resume", "--max-parallelism", "64"]);
    outcome.failed(FAILURE, &["max parallelism 128 and now has 64"]);
    scene.run(&["--resume", "--parallelism", "3"]).succeeded();
    assert!(scene.lines() == expected(&scene));
}

#[test]
fn resume_of_a_finished_job_changes_nothing() {
    for emit in ["updates", "final"] {
        let scene = small();
        scene.run(&["--emit", emit]).succeeded();
        let lines = scene.lines();
        for _ in 0..2 {
            scene.run(&["--emit", emit, "--resume"]).succeeded();
            assert_eq!(scene.lines(), lines);
            scene.assert_nothing_is_left_over();
        }
    }
}

#[test]
fn interrupt_takes_a_checkpoint_to_go_on_from() {
    let scene = long();
    let running = scene.start(&["--interval", "off", "--json"]);
    assert!(running.wait_until(|| is_writing(&scene)));
    running.interrupt();
    let outcome = running.end().succeeded();
    assert!(outcome.err.contains("stopping with a checkpoint"), "{}", outcome.err);
    let (_, pointer) = scene.pointers().pop().unwrap();
    assert_eq!(pointer.newest.map(|id| id.0), Some(1));
    scene.run(&["--resume"]).succeeded();
    assert!(scene.lines() == expected(&scene));
    scene.assert_nothing_is_left_over();
}

#[test]
fn interrupt_says_how_to_go_on() {
    let scene = long();
    let running = scene.start(&["--interval", "off"]);
    assert!(running.wait_until(|| is_writing(&scene)));
    running.interrupt();
    let outcome = running.end().succeeded();
    assert!(outcome.out.contains("go on with --resume"), "{}", outcome.out);
}

#[test]
fn summary_as_json_can_be_parsed() {
    let scene = small();
    let outcome = scene.run(&["--json"]).succeeded();
    let summary: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(summary["end"], "finished");
    assert_eq!(summary["records_read"], 3);
    let outcome = scene.run(&["--json", "--resume"]).succeeded();
    let summary: serde_json::Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(summary["restored_from_checkpoint"], 1);
}

#[test]
fn two_processes_on_one_job_leave_exact_output() {
    let scene = long();
    let first = scene.start(&["--interval", "10ms"]);
    assert!(first.wait_until(|| is_writing(&scene)));
    let second = scene.start(&["--interval", "10ms", "--resume"]);
    first.end().failed(FAILURE, &["another process has taken over this job"]);
    second.end().succeeded();
    assert!(scene.lines() == expected(&scene));
}

#[test]
fn backend_options_that_contradict_each_other_are_told() {
    for (options, told) in [
        (&["--incremental"][..], "--incremental needs --backend rocksdb"),
        (&["-D", "state.backend.rocksdb.thread.num=1"], "needs --backend rocksdb"),
        (&["-D", "state.backend.rocksdb.thread.num"], "it must be KEY=VALUE"),
        (&["-D", "state.backend.rocks.thread.num=1"], "there is no option `state.backend.rocks.thread.num`"),
    ] {
        let scene = small();
        scene.run(options).failed(USAGE, &[told]);
        assert!(!scene.output().exists());
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn option_of_rocksdb_that_is_wrong_is_told_before_anything_begins() {
    for (option, told) in [
        ("state.backend.rocksdb.thread.num=0", "it must be a whole number from 1"),
        ("state.backend.rocksdb.threads=1", "there is no such option"),
    ] {
        let scene = small();
        scene.run(&["--backend", "rocksdb", "-D", option]).failed(USAGE, &[told]);
        assert!(!scene.output().exists());
    }
}

#[cfg(not(feature = "rocksdb"))]
#[test]
fn backend_that_is_not_in_the_build_is_told_with_how_to_build_it() {
    small().run(&["--backend", "rocksdb"]).failed(USAGE, &["--features rocksdb"]);
}
