//! The process is killed while it uploads files, while RocksDB compacts and while it restores, as its log tells.

#![cfg(feature = "rocksdb")]
#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{Chance, Scene, names, text};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

/// How often the process must be hit in a phase.
const HITS: u32 = 8;

/// So often it is started at most: a kill may come too late, since what has begun goes on meanwhile.
const MAX_RUNS: u32 = 500;

/// What a process does for a while.
#[derive(Clone, Copy)]
enum Phase {
    Upload,
    Compaction,
    Restore,
}

impl Phase {
    const ALL: [Phase; 3] = [Phase::Upload, Phase::Compaction, Phase::Restore];

    /// What the log says when it begins and when it has ended.
    fn told(self) -> [&'static str; 2] {
        match self {
            Phase::Upload => ["an upload begins", "an upload has ended"],
            Phase::Compaction => ["a compaction begins", "a compaction has ended"],
            Phase::Restore => ["a restore begins", "a restore has ended"],
        }
    }
}

/// How a process ended.
enum End {
    ByItself,
    /// With the phases that it was in.
    Killed {
        within: [u32; 3],
        has_run: bool,
    },
}

/// Runs the command until its log says that the phase begins for the `nth` time, and kills it there.
fn kill_in(phase: Phase, nth: u64, mut command: Command) -> End {
    command.env("SNAPLINE_LOG", "snapline::backend::rocksdb=debug,snapline::runtime::upload=debug");
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let log = BufReader::new(child.stderr.take().unwrap());
    let (mut begun, mut ended) = ([0; 3], [0; 3]);
    let mut told = String::new();
    // Whoever is killed has said some more until then.
    for line in log.lines().map(Result::unwrap) {
        for each in Phase::ALL {
            let [begins, has_ended] = each.told();
            begun[each as usize] += u32::from(line.contains(begins));
            ended[each as usize] += u32::from(line.contains(has_ended));
        }
        if line.contains(phase.told()[0]) && u64::from(begun[phase as usize]) == nth {
            child.kill().unwrap();
        }
        told = told + &line + "\n";
    }
    match child.wait().unwrap().code() {
        Some(code) => {
            assert_eq!(code, 0, "{told}");
            End::ByItself
        }
        None => {
            let within = Phase::ALL.map(|each| begun[each as usize] - ended[each as usize]);
            End::Killed { within, has_run: begun[Phase::Upload as usize] > 0 }
        }
    }
}

/// The directories in which processes have worked.
fn working_directories(local: &Path) -> BTreeSet<String> {
    names(local).into_iter().collect()
}

/// Kills a job in the phase, again and again, until it was hit often enough; whatever it was, every end is as it must be.
fn survives_kills_in(phase: Phase) {
    let seed = std::env::var("SNAPLINE_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SNAPLINE_SEED={seed}");
    let mut chance = Chance(seed);
    let files: Vec<_> = (0..4).map(|number| text(number, 2_000_000)).collect();
    let undisturbed = Scene::new(&files);
    undisturbed.run(&["--emit", "updates"]).succeeded();
    let expected = undisturbed.lines();
    let local = tempfile::tempdir().unwrap();
    let place = format!("state.backend.rocksdb.localdir={}", local.path().display());
    let options =
        ["--emit", "updates", "--interval", "20ms", "--backend", "rocksdb", "--incremental", "-D", &place];
    // Compactions are frequent and have something to do.
    let small = ["-D", "state.backend.rocksdb.writebuffer.size=64kb"];
    let options = [&options[..], &small].concat();
    let (mut runs, mut kills, mut hits) = (0, 0, 0);
    while hits < HITS {
        let scene = Scene::new(&files);
        let mut abandoned = BTreeSet::new();
        loop {
            runs += 1;
            assert!(runs <= MAX_RUNS, "only {hits} of {kills} kills have hit the phase");
            let is_resumed = scene.job().is_some();
            let resume: &[&str] = if is_resumed { &["--resume"] } else { &[] };
            let command = scene.command(&[&options[..], resume].concat());
            // There is nothing to be restored before something was uploaded.
            let has_checkpoint = is_resumed && scene.newest().is_some();
            let (at, nth) = match phase {
                _ if hits == HITS => (phase, u64::MAX),
                Phase::Restore if has_checkpoint && kills % 2 == 1 => (Phase::Restore, 1 + chance.below(2)),
                Phase::Restore => (Phase::Upload, 6 + chance.below(6)),
                Phase::Upload | Phase::Compaction => (phase, 1 + chance.below(8)),
            };
            let End::Killed { within, has_run } = kill_in(at, nth, command) else { break };
            kills += 1;
            hits += u32::from(within[phase as usize] > 0);
            if scene.job().is_some() {
                scene.assert_newest_is_whole();
            }
            let left = working_directories(local.path());
            if has_run {
                assert!(left.is_disjoint(&abandoned), "{abandoned:?} have not been removed: {left:?}");
            }
            abandoned = left;
        }
        assert!(scene.lines() == expected, "seed {seed}: the output differs after {kills} kills");
        scene.remove_temporary_files();
        scene.assert_nothing_is_left_over();
        assert_eq!(working_directories(local.path()), BTreeSet::new());
    }
    println!("{hits} of {kills} kills have hit the phase");
}

#[test]
fn kill_during_uploads_leaves_what_the_newest_checkpoint_names() {
    survives_kills_in(Phase::Upload);
}

#[test]
fn kill_during_compactions_leaves_what_the_newest_checkpoint_names() {
    survives_kills_in(Phase::Compaction);
}

#[test]
fn kill_during_restores_leaves_what_the_newest_checkpoint_names() {
    survives_kills_in(Phase::Restore);
}
