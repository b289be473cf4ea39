//! `snapline run` with its log of pointers in etcd, which is a server of the test.
#![cfg(feature = "etcd")]
#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;
#[path = "../../tests/support/etcd/mod.rs"]
mod etcd;

use common::job::JobFolder;
use common::{BINARY, Outcome, Running, Scene, names, text};
use etcd::EtcdServer;
use snapline::base::JobId;
use snapline::publish::PointerSequence;
use snapline::store::{
    CheckpointStorage, ClusterId, EtcdHighAvailabilityStore, HighAvailabilityStore, StorageError,
};
use std::process::Command;

/// Starts the word count of `scene`, whose log is on the server.
fn start(scene: &Scene, server: &EtcdServer, options: &[&str]) -> Running {
    let mut command = scene.command(options);
    command.args(["-D", "high-availability.type=etcd", "-D"]);
    command.arg(format!("high-availability.etcd.endpoints={}", server.url()));
    Running::of(command)
}

fn run(scene: &Scene, server: &EtcdServer, options: &[&str]) -> Outcome {
    start(scene, server, options).end()
}

fn log(job: JobId, server: &EtcdServer) -> EtcdHighAvailabilityStore {
    EtcdHighAvailabilityStore::open(&server.options(), &ClusterId::default(), job).unwrap()
}

/// How many pointers the log holds.
fn pointers(job: Option<JobId>, server: &EtcdServer) -> usize {
    job.map_or(0, |job| log(job, server).list_pointers().unwrap().len())
}

#[test]
fn etcd_job_that_was_killed_goes_on_from_the_checkpoint_that_is_named_there() {
    let words = text(12, 3_000_000);
    let reference = Scene::new(std::slice::from_ref(&words));
    reference.run(&["--interval", "off"]).succeeded();
    let scene = Scene::new(&[words]);
    let server = EtcdServer::start();
    // Its only checkpoint is within the data, however slow the disk is.
    let running = start(&scene, &server, &["--interval", "off"]);
    let is_writing =
        || scene.output().is_dir() && names(&scene.output()).iter().any(|name| name.starts_with(".part-"));
    assert!(running.wait_until(is_writing));
    running.interrupt();
    running.end().succeeded();
    let stopped = pointers(scene.job(), &server);
    let running = start(&scene, &server, &["--resume"]);
    assert!(running.wait_until(|| pointers(scene.job(), &server) > stopped));
    running.kill();
    // Without the log there is no way to go on, nor with a store that does not hold it.
    for options in [&["--resume"][..], &["--resume", "-D", "high-availability.type=NONE"]] {
        let without = scene.run(options);
        without
            .failed(1, &["says that the log of pointers of this job lies in etcd:", "high-availability.*"]);
    }
    let other = EtcdServer::start();
    run(&scene, &other, &["--resume"]).failed(1, &["lies in etcd:"]);
    run(&scene, &server, &["--resume"]).succeeded();
    assert!(scene.lines() == reference.lines(), "the output differs");
    let beside = scene.storage().read_pointer(PointerSequence::FIRST);
    assert!(matches!(beside, Err(StorageError::Elsewhere { .. })), "{beside:?}");
}

/// Of two processes of one job the first one is fenced, whoever is slower.
#[test]
fn etcd_job_that_is_run_twice_is_run_once() {
    let folder = JobFolder::new("sessions");
    let server = EtcdServer::start();
    let endpoints = format!("high-availability.etcd.endpoints={}", server.url());
    let store = ["-D", "high-availability.type=etcd", "-D", &endpoints];
    let options = [&store[..], &["--clicks", "1000000000000000", "--interval", "5ms"]].concat();
    let first = folder.start(&options);
    assert!(first.wait_until(|| pointers(folder.job(), &server) > 4));
    let second = folder.start(&[&options[..], &["--resume"]].concat());
    first.end().failed(1, &["another process"]);
    second.interrupt();
    second.end().succeeded();
}

#[test]
fn etcd_tools_say_what_they_cannot_know() {
    let scene = Scene::new(&[b"one two\n".to_vec()]);
    let server = EtcdServer::start();
    run(&scene, &server, &[]).succeeded();
    let name = log(scene.job().unwrap(), &server).name();
    let directory = scene.checkpoints().display().to_string();
    for (command, options, told) in [
        ("inspect", &[][..], "which checkpoints are published is not known here"),
        ("verify", &[], "whole"),
        ("fsck", &[], "which checkpoints are published is not known here"),
        ("gc", &["--dry-run"], "nothing of it is called safe to delete"),
    ] {
        let output = Command::new(BINARY).arg(command).arg(&directory).args(options).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command}: {text}");
        assert!(text.contains(&name) && text.contains(told), "{command}: {text}");
    }
    let gone = Command::new(BINARY).args(["gc", "--dry-run", "--json", &directory]).output().unwrap();
    let garbage: serde_json::Value = serde_json::from_slice(&gone.stdout).unwrap();
    assert_eq!(garbage["files"], serde_json::json!([]));
}
