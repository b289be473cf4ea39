//! `snapline run` with its checkpoints in S3, which is a server of the test.
#![cfg(feature = "s3")]
#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;
#[path = "../../tests/support/s3/mod.rs"]
mod s3;

use common::{BINARY, Outcome, Running, Scene, text};
use s3::S3Server;
use std::process::Command;

/// Starts the word count of `scene`, whose checkpoints lie on the server.
fn start(scene: &Scene, server: &S3Server, options: &[&str]) -> Running {
    let mut command = Command::new(BINARY);
    command.args([
        "run",
        "wordcount",
        "--restart-attempts",
        "0",
        "--checkpoint-dir",
        &server.url(),
        "--input",
    ]);
    command.arg(scene.input()).arg("--output").arg(scene.output()).args(options);
    for (key, value) in server.options().store {
        command.arg("-D").arg(format!("snapline.storage.object-store.store.{key}={value}"));
    }
    Running::of(command)
}

fn run(scene: &Scene, server: &S3Server, options: &[&str]) -> Outcome {
    start(scene, server, options).end()
}

#[test]
fn s3_job_that_was_killed_goes_on_from_its_checkpoint_there() {
    let words = text(11, 3_000_000);
    let reference = Scene::new(std::slice::from_ref(&words));
    reference.run(&["--interval", "off"]).succeeded();
    let scene = Scene::new(&[words]);
    let server = S3Server::start();
    let running = start(&scene, &server, &["--interval", "5ms"]);
    let is_published = || server.bucket.keys().iter().any(|key| key.ends_with("/_metadata"));
    assert!(running.wait_until(is_published));
    running.kill();
    run(&scene, &server, &["--resume"]).succeeded();
    assert!(scene.lines() == reference.lines(), "the output differs");
    assert!(!scene.checkpoints().exists(), "nothing lies in files");
}

#[test]
fn s3_job_whose_checkpoints_are_gone_is_not_begun_anew() {
    let scene = Scene::new(&[b"one two\n".to_vec()]);
    run(&scene, &S3Server::start(), &[]).succeeded();
    let empty = S3Server::start();
    run(&scene, &empty, &["--resume"])
        .failed(1, &["holds output of job", &empty.url(), "points to a checkpoint of it"]);
}
