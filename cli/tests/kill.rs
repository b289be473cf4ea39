//! The process is killed again and again, at any moment; what it resumes to write is what it would have written.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{Chance, Running, Scene, text};
use snapline::publish::PointerKind;

const KILLS: u32 = 30;

/// So many of them are after a checkpoint.
const USEFUL_KILLS: u32 = 3;

/// So many runs are made at most: each comes some checkpoints further.
const MAX_RUNS: u32 = 500;

const INTERVAL: &str = "20ms";

#[derive(Default, Debug)]
struct Seen {
    runs: u32,
    kills: u32,
    /// Kills after a checkpoint and before the end.
    useful_kills: u32,
    resumes_from_a_checkpoint: usize,
    ends: u32,
}

impl Seen {
    fn is_enough(&self) -> bool {
        self.kills >= KILLS && self.useful_kills >= USEFUL_KILLS
    }
}

/// Kills a job at random moments until it was killed often enough, and compares every end with `expected`.
/// Each time the job has another of these parallelisms.
fn kill_again_and_again(
    seed: u64,
    files: &[Vec<u8>],
    expected: &[u8],
    options: &[&str],
    parallelisms: &[&str],
) -> Seen {
    let mut chance = Chance(seed);
    let mut seen = Seen::default();
    while !seen.is_enough() {
        let scene = Scene::new(files);
        loop {
            seen.runs += 1;
            assert!(seen.runs <= MAX_RUNS, "{seen:?}");
            let parallelism = parallelisms[chance.below(parallelisms.len() as u64) as usize];
            let mut options = [options, &["--parallelism", parallelism]].concat();
            if scene.job().is_some() {
                options.push("--resume");
            }
            if seen.is_enough() {
                scene.run(&options).succeeded();
            } else if Running::that_tells(scene.command(&options)).kill_at(chance.moment()) {
                seen.kills += 1;
                seen.useful_kills += u32::from(scene.job().is_some() && scene.newest().is_some());
                continue;
            }
            assert!(scene.lines() == expected, "seed {seed}: the output differs after {seen:?}");
            scene.remove_temporary_files();
            scene.assert_nothing_is_left_over();
            let is_restored = |kind, newest: Option<_>| kind == PointerKind::Claim && newest.is_some();
            let claims = scene.pointers().into_iter().filter(|(_, p)| is_restored(p.kind, p.newest));
            seen.resumes_from_a_checkpoint += claims.count();
            seen.ends += 1;
            break;
        }
    }
    seen
}

/// Directories of instances that were killed go when the next one begins.
#[cfg(feature = "rocksdb")]
#[test]
fn kill_at_any_moment_keeps_updates_exact_with_incremental_checkpoints_of_rocksdb() {
    let local = tempfile::tempdir().unwrap();
    let option = format!("state.backend.rocksdb.localdir={}", local.path().display());
    survives_kills("updates", &["--backend", "rocksdb", "--incremental", "-D", &option], &["1", "2", "3"]);
    assert_eq!(common::names(local.path()), [""; 0]);
}

fn survives_kills(emit: &str, more: &[&str], parallelisms: &[&str]) {
    let seed = std::env::var("SNAPLINE_SEED").map_or_else(
        |_| std::time::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64,
        |seed| seed.parse().unwrap(),
    );
    println!("SNAPLINE_SEED={seed}");
    let files: Vec<_> = (0..4).map(|number| text(number, 5_000_000)).collect();
    let undisturbed = Scene::new(&files);
    let options = [&["--emit", emit, "--interval", INTERVAL], more].concat();
    undisturbed.run(&options).succeeded();
    let expected = undisturbed.lines();
    let seen = kill_again_and_again(seed, &files, &expected, &options, parallelisms);
    println!("{seen:?}");
    // The last run of a job resumes from the newest checkpoint, if there is one.
    assert!(seen.resumes_from_a_checkpoint > 0, "{seen:?}");
}

#[test]
fn kill_at_any_moment_keeps_all_updates_exact() {
    survives_kills("updates", &[], &["2"]);
}

#[test]
fn kill_at_any_moment_keeps_updates_exact_with_unaligned_checkpoints_and_any_parallelism() {
    survives_kills("updates", &["--unaligned"], &["1", "2", "3", "5"]);
}

#[test]
fn kill_at_any_moment_keeps_final_counts_exact() {
    // With state in the metadata, as it is by default.
    survives_kills("final", &["-D", "execution.checkpointing.data-inline-threshold=20kb"], &["1", "2", "4"]);
}
