//! `snapline run` with its log of pointers in etcd, which is a server of the test.
#![cfg(feature = "etcd")]
#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;
#[path = "../../tests/support/etcd/mod.rs"]
mod etcd;

use common::{BINARY, Outcome, Running, Scene, text};
use etcd::EtcdServer;
use snapline::publish::PointerSequence;
use snapline::store::{
    CheckpointStorage, ClusterId, EtcdHighAvailabilityStore, HighAvailabilityStore, StorageError,
};
use std::process::Command;
use std::time::Duration;

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

/// The log of the job of `scene`.
fn log(scene: &Scene, server: &EtcdServer) -> Option<EtcdHighAvailabilityStore> {
    let job = scene.job()?;
    Some(EtcdHighAvailabilityStore::open(&server.options(), &ClusterId::default(), job).unwrap())
}

/// How many pointers the log holds.
fn pointers(scene: &Scene, server: &EtcdServer) -> usize {
    log(scene, server).map_or(0, |log| log.list_pointers().unwrap().len())
}

#[test]
fn etcd_job_that_was_killed_goes_on_from_the_checkpoint_that_is_named_there() {
    let words = text(12, 3_000_000);
    let reference = Scene::new(std::slice::from_ref(&words));
    reference.run(&["--interval", "off"]).succeeded();
    let scene = Scene::new(&[words]);
    let server = EtcdServer::start();
    let running = start(&scene, &server, &["--interval", "5ms"]);
    assert!(running.wait_until(|| pointers(&scene, &server) > 4));
    running.kill_after(Duration::ZERO);
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
    let scene = Scene::new(&[text(13, 6_000_000)]);
    let server = EtcdServer::start();
    let first = start(&scene, &server, &["--interval", "5ms"]);
    assert!(first.wait_until(|| pointers(&scene, &server) > 4));
    let second = start(&scene, &server, &["--resume", "--interval", "5ms"]);
    first.end().failed(1, &["another process"]);
    second.end().succeeded();
}

#[test]
fn etcd_tools_say_what_they_cannot_know() {
    let scene = Scene::new(&[b"one two\n".to_vec()]);
    let server = EtcdServer::start();
    run(&scene, &server, &[]).succeeded();
    let name = log(&scene, &server).unwrap().name();
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
