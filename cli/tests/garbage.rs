//! `snapline fsck` and `snapline gc`, as a person would use them, on jobs that are killed and on jobs that run.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{Chance, Running, Scene, snapline, text};
use snapline::base::Attempt;
use snapline::publish::PointerKind;
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

/// How often the process is killed.
const KILLS: u32 = 8;

/// So many jobs are started at most.
const MAX_JOBS: u32 = 100;

/// A shared file that the first attempt of a job has begun.
const ORPHAN: &str = "1-0-1-0-00000000000000000000000000000055-4";

/// What `gc` says that could be deleted.
fn garbage(scene: &Scene) -> BTreeSet<PathBuf> {
    let told = snapline("gc", &scene.checkpoints(), &["--dry-run", "--json"]).succeeded().json();
    let files = told["files"].as_array().unwrap().iter();
    files.map(|file| PathBuf::from(file["file"].as_str().unwrap())).collect()
}

/// What the newest pointer leads to.
fn referred_to(scene: &Scene) -> BTreeSet<PathBuf> {
    // Opened as a job would, it would get a file of its own for a moment.
    let job = scene.job().unwrap();
    let storage = FileSystemCheckpointStorage::for_reading(scene.checkpoints().join(job.to_string()), job);
    let mut referred = BTreeSet::new();
    let Some(newest) = storage.list().unwrap().pointers.last().copied() else { return referred };
    referred.insert(storage.pointer_path(newest));
    let pointer = storage.read_pointer(newest).unwrap().unwrap();
    for checkpoint in pointer.checkpoints() {
        let Some(metadata) = storage.read_metadata(checkpoint).unwrap() else { continue };
        referred.insert(storage.metadata_path(checkpoint));
        let states = metadata.checkpoint.states.values().flatten();
        referred.extend(states.map(|handle| storage.state_path(handle.file)));
        let shared = metadata.checkpoint.shared.values().flatten();
        referred.extend(shared.map(|object| storage.shared_path(object)));
    }
    referred
}

/// Deletes what could be deleted, none of which is referred to; says how many files that was.
fn collect(scene: &Scene) -> u32 {
    let garbage = garbage(scene);
    let referred = referred_to(scene);
    assert!(garbage.is_disjoint(&referred), "{garbage:?} and {referred:?}");
    let mut deleted = 0;
    for path in garbage {
        let result = if path.is_dir() { fs::remove_dir(&path) } else { fs::remove_file(&path) };
        // A job that runs has deleted it, too.
        deleted += u32::from(result.is_ok());
    }
    deleted
}

/// Leaves a file of the first attempt to which nothing refers, if the job has had another one since.
fn plant_garbage(scene: &Scene) -> Option<PathBuf> {
    let newest = scene.pointers().pop();
    newest.filter(|(_, pointer)| pointer.attempt > Attempt(1))?;
    let orphan = scene.storage().directory().join("shared").join(ORPHAN);
    fs::write(&orphan, b"half").unwrap();
    Some(orphan)
}

/// Kills a job again and again, and deletes all garbage while it runs and when it was killed: it ends as it would have.
fn survives_without_garbage(options: &[&str]) {
    let seed = std::env::var("SNAPLINE_SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SNAPLINE_SEED={seed}");
    let mut chance = Chance(seed);
    let files: Vec<_> = (0..2).map(|number| text(number, 3_000_000)).collect();
    let options = [&["--emit", "updates", "--interval", "10ms"], options].concat();
    let undisturbed = Scene::new(&files);
    undisturbed.run(&options).succeeded();
    let expected = undisturbed.lines();
    let mut kills = 0;
    // A job may end before it is killed.
    for _ in 0..MAX_JOBS {
        let scene = Scene::new(&files);
        kills += kill_without_garbage(&scene, &options, &mut chance, KILLS - kills);
        scene.run(&[&options[..], &["--resume"]].concat()).succeeded();
        assert!(scene.lines() == expected, "seed {seed}: the output differs");
        let orphan = plant_garbage(&scene).expect("this was not the first attempt");
        collect(&scene);
        assert!(!orphan.exists(), "garbage is still there");
        if kills == KILLS {
            return;
        }
    }
    panic!("only {kills} kills came before the end");
}

/// Kills a job up to so many times; says how many of these it took.
fn kill_without_garbage(scene: &Scene, options: &[&str], chance: &mut Chance, kills: u32) -> u32 {
    let mut deleted = [0; 2];
    let mut killed = 0;
    while killed < kills {
        let resume: &[&str] = if scene.job().is_some() { &["--resume"] } else { &[] };
        let running = Running::that_tells(scene.command(&[options, resume].concat()));
        running.wait_until(|| {
            scene.job().is_some() && scene.checkpoints().join(scene.job().unwrap().to_string()).is_dir()
        });
        deleted[0] += collect(scene);
        snapline("fsck", &scene.checkpoints(), &[]).succeeded();
        if !running.kill_at(chance.moment()) {
            break;
        }
        killed += 1;
        let orphan = plant_garbage(scene);
        snapline("fsck", &scene.checkpoints(), &["--json"]).succeeded();
        deleted[1] += collect(scene);
        assert!(!orphan.is_some_and(|orphan| orphan.exists()), "garbage is still there");
        snapline("verify", &scene.checkpoints(), &[]).succeeded();
        if scene.newest().is_some() {
            scene.assert_newest_is_whole();
        }
    }
    println!("{deleted:?} files were deleted while the job ran, and while it did not");
    killed
}

#[test]
fn garbage_can_be_deleted_whenever_a_job_runs_or_was_killed() {
    survives_without_garbage(&[]);
}

#[cfg(feature = "rocksdb")]
#[test]
fn garbage_can_be_deleted_whenever_a_job_that_shares_files_runs_or_was_killed() {
    let local = tempfile::tempdir().unwrap();
    let place = format!("state.backend.rocksdb.localdir={}", local.path().display());
    survives_without_garbage(&["--backend", "rocksdb", "--incremental", "-D", &place]);
}

#[test]
fn fsck_says_by_its_exit_code_whether_something_is_missing() {
    let scene = Scene::new(&[b"one two one three\n".to_vec()]);
    scene.run(&[]).succeeded();
    let whole = snapline("fsck", &scene.checkpoints(), &[]).succeeded().out;
    let newest = scene.newest().unwrap();
    for part in [&*format!("chk-{newest} (newest): "), "pointer ", "needed: ", "nothing is missing"] {
        assert!(whole.contains(part), "`{part}` is not in {whole}");
    }
    let metadata = scene.storage().read_metadata(newest).unwrap().unwrap();
    let handle = metadata.checkpoint.states.values().flatten().next().cloned().unwrap();
    let path = scene.storage().state_path(handle.file);
    fs::remove_file(&path).unwrap();
    let told = snapline("fsck", &scene.checkpoints(), &[]).failed(1, &[]).out;
    let expected = format!("! {} at byte 0: the file is missing; chk-{newest} refers to it", path.display());
    assert!(told.contains(&expected), "{told}");
    let told = snapline("fsck", &scene.checkpoints(), &["--json"]).failed(1, &[]).json();
    assert_eq!(told["is_complete"], false);
    let dangling = &told["jobs"][0]["dangling"][0];
    assert_eq!((&dangling["object"], &dangling["offset_bytes"]), (&path.to_str().unwrap().into(), &0.into()));
    let told = snapline("gc", &scene.checkpoints(), &["--dry-run"]).succeeded().out;
    assert!(told.contains("something is missing"), "{told}");
}

#[test]
fn gc_deletes_nothing_and_says_so() {
    let scene = Scene::new(&[b"one two one three\n".to_vec()]);
    scene.run(&[]).succeeded();
    let shared = scene.storage().directory().join("shared");
    let orphan = shared.join(ORPHAN);
    fs::write(&orphan, b"half").unwrap();
    let (sequence, pointer) = scene.pointers().pop().unwrap();
    let claim = snapline::publish::Pointer { kind: PointerKind::Claim, attempt: Attempt(2), ..pointer };
    scene.storage().put_pointer(sequence.next(), &claim).unwrap();
    snapline("gc", &scene.checkpoints(), &[]).failed(1, &["gc deletes nothing yet", "--dry-run"]);
    let told = snapline("gc", &scene.checkpoints(), &["--dry-run"]).succeeded().out;
    let expected = "no checkpoint refers to it, and attempt 1 is over (SHARED-19)";
    assert!(told.contains(&format!("{}, 4 B: {expected}", orphan.display())), "{told}");
    assert!(told.contains("1 files, 4 B could be deleted"), "{told}");
    assert!(orphan.exists());
    for (command, options) in [("gc", &["--dry-run"][..]), ("fsck", &[])] {
        let checkpoint = scene.storage().directory().join(format!("chk-{}", scene.newest().unwrap()));
        snapline(command, &checkpoint, options).failed(1, &["is a single checkpoint"]);
        snapline(command, &scene.output(), options).failed(1, &["holds no checkpoints"]);
    }
}
