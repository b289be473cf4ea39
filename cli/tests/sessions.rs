//! `snapline run sessions`, as a person would run it.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{BINARY, Chance, Running, names};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

fn start(folder: &Path, options: &[&str]) -> Running {
    let mut command = Command::new(BINARY);
    command.args(["run", "sessions", "--output", "output", "--checkpoint-dir", "checkpoints"]);
    command.args(["--restart-attempts", "0"]).args(options).current_dir(folder);
    Running::of(command)
}

/// The lines of the output, in order.
fn lines(folder: &Path) -> Vec<String> {
    let output = folder.join("output");
    let parts = names(&output).into_iter().filter(|name| name.starts_with("part-"));
    let text: String = parts.map(|name| fs::read_to_string(output.join(name)).unwrap()).collect();
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn sessions_of_log_files_have_their_users_times_and_clicks() {
    let folder = TempDir::new().unwrap();
    let log = "0 ann view\n\
               1000 bob login\n\
               21000 ann view\n\
               11000 ann cart\n\
               1970-01-01T00:00:11.001Z bob view\n\
               60000 ann view\n";
    fs::write(folder.path().join("clicks.log"), log).unwrap();
    let options = ["--input", "clicks.log", "--gap", "10s", "--disorder", "10s"];
    start(folder.path(), &options).end().succeeded();
    let expected = ["ann\t0\t0\t1", "ann\t11000\t21000\t2", "ann\t60000\t60000\t1"];
    let of_bob = ["bob\t1000\t1000\t1", "bob\t11001\t11001\t1"];
    assert_eq!(lines(folder.path()), [&expected[..], &of_bob].concat());
}

#[test]
fn sessions_of_a_log_with_a_wrong_line_say_where_it_is() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("clicks.log"), "0 ann view\nyesterday ann view\n").unwrap();
    let outcome = start(folder.path(), &["--input", "clicks.log"]).end();
    outcome.failed(1, &["clicks.log at byte 11", "`yesterday` is no time"]);
    let folder = TempDir::new().unwrap();
    start(folder.path(), &["--gap", "0ms"]).end().failed(1, &["at least 1ms"]);
}

#[test]
fn sessions_of_a_process_that_is_killed_are_those_of_one_that_is_not() {
    let clicks = ["--clicks", "200000", "--seed", "7", "--users", "300", "--interval", "20ms"];
    let (whole, killed) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let began = Instant::now();
    start(whole.path(), &clicks).end().succeeded();
    let duration = began.elapsed();
    let expected = lines(whole.path());
    let number = |line: &String| line.rsplit('\t').next().unwrap().parse::<u64>().unwrap();
    assert_eq!(expected.iter().map(number).sum::<u64>(), 200_000, "no click is late");

    let (mut chance, mut kills) = (Chance(3), 0);
    loop {
        let mut options = clicks.to_vec();
        if killed.path().join("output/_snapline_job").exists() {
            options.push("--resume");
        }
        // A checkpoint is read by a run that writes the next one differently.
        if kills % 2 == 0 {
            options.push("--snapshot-compression");
        }
        let running = start(killed.path(), &options);
        if kills == 8 {
            running.end().succeeded();
            break;
        }
        let delay = Duration::from_micros(chance.below((duration / 2).as_micros() as u64));
        if !running.kill_after(delay) {
            break;
        }
        kills += 1;
    }
    assert!(kills > 0);
    assert!(lines(killed.path()) == expected, "the output differs after {kills} kills");
}
