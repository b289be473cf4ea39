//! `snapline run --rest`, and the commands that control such a job from another process.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::job::JobFolder;
use common::{BINARY, Outcome, Running};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const FAILURE: i32 = 1;
const USAGE: i32 = 2;
/// The input of a job that does not come to its end while somebody looks.
const ENDLESS: [&str; 2] = ["--clicks", "1000000000000000"];

/// A job that is served, and where.
struct Served {
    running: Running,
    address: String,
}

impl Served {
    /// Starts the job, and waits until it has taken a checkpoint, so that all of its tasks run.
    fn start(folder: &JobFolder, options: &[&str]) -> Self {
        let all =
            [&ENDLESS[..], &["--rest", "127.0.0.1:0", "--interval", "20ms", "--json"], options].concat();
        let running = folder.start(&all);
        assert!(
            running.wait_until(|| running.err_so_far().contains("is served at")),
            "{}",
            running.err_so_far()
        );
        let err = running.err_so_far();
        let (_, address) = err.trim().split_once(" is served at http://").unwrap();
        let served = Served { address: address.to_owned(), running };
        assert!(served.running.wait_until(|| served.job()["state"] == "RUNNING"));
        served
    }

    fn job(&self) -> Value {
        snapline("list", &[&self.address, "--json"]).succeeded().json()["jobs"][0].clone()
    }

    fn id(&self) -> String {
        self.job()["jid"].as_str().unwrap().to_owned()
    }

    /// Runs a command about this job.
    fn command(&self, command: &str, options: &[&str]) -> Outcome {
        snapline(command, &[&[&*self.address], options].concat())
    }

    /// The summary of the job, when it has ended well.
    fn end(self) -> Value {
        self.running.end().succeeded().json()
    }
}

fn snapline(command: &str, arguments: &[&str]) -> Outcome {
    let mut process = Command::new(BINARY);
    process.arg(command).args(arguments);
    Running::of(process).end()
}

/// The number at the end of the name of a checkpoint's directory.
fn number(location: &str) -> u64 {
    Path::new(location).file_name().unwrap().to_str().unwrap().split('-').nth(1).unwrap().parse().unwrap()
}

#[test]
fn rest_savepoint_of_a_running_job_is_whole_and_is_disposed_of_without_a_server() {
    let folder = JobFolder::new("sessions");
    let served = Served::start(&folder, &[]);
    let taken = served.command("savepoint", &["--json"]).succeeded().json();
    assert_eq!(taken["job"], served.id());
    let location = taken["location"].as_str().unwrap();
    snapline("verify", &[location]).succeeded();
    let by_id = served.command("savepoint", &[&served.id()]).succeeded();
    let (_, path) = by_id.out.trim().split_once("the savepoint is complete: ").unwrap();
    assert!(Path::new(path).is_absolute() && Path::new(path).exists(), "{path}");
    assert!(served.command("list", &[]).succeeded().out.contains("sessions"));
    let cancelled = served.command("cancel", &[]).succeeded();
    assert!(cancelled.out.contains("is being cancelled"), "{}", cancelled.out);
    assert_eq!(served.end()["end"], "cancelled");
    let disposed = snapline("savepoint", &["--dispose", location, "--json"]).succeeded().json();
    assert_eq!(disposed["disposal"], "deleted");
    assert!(!Path::new(location).exists());
    let again = snapline("savepoint", &["--dispose", location]).succeeded();
    assert!(again.out.contains("is not there any more"), "{}", again.out);
}

#[test]
fn rest_job_that_is_stopped_goes_on_from_where_it_was_stopped() {
    let folder = JobFolder::new("sessions");
    let served = Served::start(&folder, &[]);
    let stopped = served.command("stop", &["--json"]).succeeded().json();
    let stopped = stopped["location"].as_str().unwrap().to_owned();
    let summary = served.end();
    assert_eq!(
        (&summary["end"], summary["stopped_at_checkpoint"].as_u64()),
        (&"stopped".into(), Some(number(&stopped)))
    );
    let refused = snapline("savepoint", &["--dispose", &stopped]);
    refused.failed(FAILURE, &["is no savepoint", "(stop), which belongs to its job"]);
    let served = Served::start(&folder, &["--resume"]);
    assert_eq!(served.command("stop", &["--drain"]).succeeded().code, Some(0));
    let summary = served.end();
    assert_eq!(summary["end"], "finished", "its sources have ended their data");
    assert_eq!(summary["restored_from_checkpoint"].as_u64(), Some(number(&stopped)));
}

#[test]
fn rest_cancel_with_a_savepoint_takes_it_last() {
    let folder = JobFolder::new("sessions");
    let served = Served::start(&folder, &[]);
    let taken = served.command("cancel", &["--with-savepoint", "--json"]).succeeded().json();
    let summary = served.end();
    assert_eq!(summary["end"], "cancelled");
    let location = taken["location"].as_str().unwrap();
    assert!(location.contains("/savepoint-"), "{location}");
    assert_eq!(summary["last_checkpoint"]["id"].as_u64(), Some(number(location)));
}

#[test]
fn rest_savepoints_lie_in_the_directory_that_a_command_names() {
    let folder = JobFolder::new("sessions");
    let target = folder.path("kept").display().to_string();
    let chosen = ["--target-directory", &target];
    let served = Served::start(&folder, &[]);
    let wrong = served.command("savepoint", &["--target-directory", "kept"]);
    wrong.failed(FAILURE, &["no savepoint can lie in `kept`", "an absolute path"]);
    served.command("cancel", &chosen).failed(USAGE, &["--with-savepoint"]);
    snapline("savepoint", &[&["--dispose", "somewhere"], &chosen[..]].concat())
        .failed(USAGE, &["--target-directory"]);
    let taken = |outcome: Outcome| outcome.succeeded().json()["location"].as_str().unwrap().to_owned();
    let mut locations = vec![taken(served.command("savepoint", &[&chosen[..], &["--json"]].concat()))];
    locations.push(taken(served.command("stop", &[&chosen[..], &["--json"]].concat())));
    assert_eq!(served.end()["end"], "stopped");
    let served = Served::start(&folder, &["--resume"]);
    locations.push(taken(served.command("cancel", &[&chosen[..], &["--with-savepoint", "--json"]].concat())));
    assert_eq!(served.end()["end"], "cancelled");
    for location in locations {
        assert!(
            location.starts_with(&format!("{target}/")) && location.contains("/savepoint-"),
            "{location}"
        );
        snapline("verify", &[&location]).succeeded();
        snapline("savepoint", &["--dispose", &location]).succeeded();
    }
}

#[cfg(feature = "rocksdb")]
#[test]
fn rest_savepoint_in_the_native_format_holds_files_of_the_backend() {
    let folder = JobFolder::new("sessions");
    let served = Served::start(&folder, &["--backend", "rocksdb"]);
    for (format, is_in_files) in [("canonical", false), ("native", true)] {
        let taken = served.command("savepoint", &["--type", format, "--json"]).succeeded().json();
        let location = taken["location"].as_str().unwrap();
        let tree = snapline("inspect", &[location]).succeeded().out;
        assert_eq!(tree.contains("files of backend `rocksdb`"), is_in_files, "{format}: {tree}");
        snapline("verify", &[location]).succeeded();
    }
    // Without the savepoint there is no format to choose.
    served.command("cancel", &["--type", "native"]).failed(USAGE, &["--with-savepoint"]);
    let dispose = snapline("savepoint", &["--dispose", "somewhere", "--type", "native"]);
    dispose.failed(USAGE, &["--type"]);
    served.command("stop", &["--type", "native"]).succeeded();
    assert_eq!(served.end()["end"], "stopped");
}

#[test]
fn rest_commands_that_cannot_be_served_say_why() {
    let folder = JobFolder::new("sessions");
    let served = Served::start(&folder, &[]);
    let other = "00000000000000000000000000000001";
    served.command("stop", &[other]).failed(FAILURE, &["there is no job 00000000000000000000000000000001"]);
    served.command("cancel", &[other]).failed(FAILURE, &["there is no job"]);
    served.command("savepoint", &["no-job"]).failed(USAGE, &["`no-job` is not a job id"]);
    snapline("savepoint", &[]).failed(USAGE, &["required arguments were not provided", "URL"]);
    snapline("list", &["https://127.0.0.1:1"]).failed(FAILURE, &["the scheme is https"]);
    // Nobody starts a job that is not served as it was asked for.
    let taken = folder.start(&["--rest", &served.address, "--resume"]).end();
    taken.failed(FAILURE, &["the REST server cannot listen on", &served.address]);
    served.command("cancel", &[]).succeeded();
    let address = served.address.clone();
    served.end();
    snapline("list", &[&address]).failed(FAILURE, &[&address, "cannot be asked"]);
    snapline("stop", &["127.0.0.1:1"]).failed(FAILURE, &["cannot be asked"]);
}

#[test]
fn rest_server_is_there_only_if_it_is_asked_for() {
    let folder = JobFolder::new("sessions");
    let outcome = folder.start(&["--clicks", "100"]).end().succeeded();
    assert!(!outcome.err.contains("is served"), "{}", outcome.err);
}
