//! Whatever is damaged in the newest checkpoint: the job says so, names the file, and touches no output.

#![allow(clippy::disallowed_methods, reason = "the test is the outside world")]

mod common;

use common::{Chance, Scene, names, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

/// How many runs go on at once: most of their time they wait.
const WORKERS: usize = 8;
/// Files up to this size are damaged at each of their bytes.
const SMALL: usize = 64;
#[derive(Clone, Debug)]
enum Damage {
    Flip { offset: usize, bit: u8 },
    Truncate { length: usize },
    Append,
    Delete,
}

/// A job that was stopped after some checkpoints, and the files of the newest one.
struct Stopped {
    scene: Scene,
    files: Vec<PathBuf>,
    expected: Vec<u8>,
}

fn stopped(emit: &str) -> Stopped {
    let input: Vec<_> = (0..2).map(|seed| text(seed, 4_000_000)).collect();
    let undisturbed = Scene::new(&input);
    undisturbed.run(&["--emit", emit]).succeeded();
    let scene = Scene::new(&input);
    let running = scene.start(&["--emit", emit, "--interval", "10ms"]);
    let has_output =
        || scene.job().is_some() && names(&scene.output()).iter().any(|n| n.starts_with("part-"));
    let has_checkpoint = || scene.job().is_some() && scene.newest().is_some_and(|newest| newest.0 >= 2);
    assert!(running.wait_until(|| if emit == "final" { has_checkpoint() } else { has_output() }));
    running.interrupt();
    running.end().succeeded();
    let job = scene.job().unwrap().to_string();
    let checkpoint = Path::new(&job).join(format!("chk-{}", scene.newest().unwrap()));
    let (pointer, _) = scene.pointers().pop().unwrap();
    let mut files: Vec<_> =
        names(&scene.checkpoints().join(&checkpoint)).iter().map(|name| checkpoint.join(name)).collect();
    files.push(Path::new(&job).join("pointers").join(format!("{:020}", pointer.0)));
    Stopped { scene, files, expected: undisturbed.lines() }
}

fn damages(bytes: usize, places: usize, chance: &mut Chance) -> Vec<Damage> {
    let offsets: Vec<usize> = if bytes <= SMALL {
        (0..bytes).collect()
    } else {
        let drawn = (0..places).map(|_| chance.below(bytes as u64) as usize);
        drawn.chain([0, 4, 8, bytes - 1]).collect()
    };
    let flips = offsets.into_iter().map(|offset| Damage::Flip { offset, bit: chance.below(8) as u8 });
    let mut damages: Vec<_> = flips.collect();
    damages.extend([0, 1, 7, bytes / 2, bytes - 1].map(|length| Damage::Truncate { length }));
    damages.extend([Damage::Append, Damage::Delete]);
    damages
}

fn apply(damage: &Damage, path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    match damage {
        Damage::Flip { offset, bit } => bytes[*offset] ^= 1 << bit,
        Damage::Truncate { length } => bytes.truncate(*length),
        Damage::Append => bytes.extend_from_slice(b"garbage"),
        Damage::Delete => return fs::remove_file(path).unwrap(),
    }
    fs::write(path, bytes).unwrap();
}

/// Damages a file, tries to go on, and puts the file back.
fn assert_found(scene: &Scene, file: &Path, damage: &Damage, options: &[&str]) {
    let path = scene.checkpoints().join(file);
    let (original, parts) = (fs::read(&path).unwrap(), scene.parts());
    apply(damage, &path);
    let outcome = scene.run(options);
    let context = format!("{} after {damage:?}: {}", path.display(), outcome.err);
    assert_eq!(outcome.code, Some(1), "{context}");
    // Without the newest pointer the one before it counts, which names a checkpoint that is gone.
    let is_pointer = file.parent().is_some_and(|folder| folder.ends_with("pointers"));
    let named = match damage {
        Damage::Delete if is_pointer => path.parent().and_then(Path::parent).unwrap(),
        _ => &path,
    };
    assert!(outcome.err.contains(named.to_str().unwrap()), "{context}");
    assert!(matches!(damage, Damage::Delete) || outcome.err.contains("corrupt at byte "), "{context}");
    assert!(scene.parts() == parts, "the output has changed: {context}");
    fs::write(&path, original).unwrap();
    // Nothing of the failed attempt stays: a claim above the pointer would hide it from the next damage.
    for name in names(path.parent().unwrap()).into_iter().filter(|_| is_pointer) {
        if name.as_str() > file.file_name().unwrap().to_str().unwrap() {
            fs::remove_file(path.with_file_name(name)).unwrap();
        }
    }
}

/// Damages every file of the newest checkpoint, larger ones in `places` places.
fn finds_damage(emit: &str, places: usize) {
    let stopped = stopped(emit);
    let options = ["--resume", "--emit", emit];
    let mut chance = Chance(7);
    let mut work = Vec::new();
    for file in &stopped.files {
        let bytes = fs::read(stopped.scene.checkpoints().join(file)).unwrap().len();
        work.extend(damages(bytes, places, &mut chance).into_iter().map(|damage| (file, damage)));
    }
    assert!(work.len() > 50, "{work:?}");
    let work = Mutex::new(work);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let scene = stopped.scene.copy();
                let next = || work.lock().unwrap().pop();
                while let Some((file, damage)) = next() {
                    assert_found(&scene, file, &damage, &options);
                }
                scene.run(&options).succeeded();
                assert!(scene.lines() == stopped.expected);
                scene.assert_nothing_is_left_over();
            });
        }
    });
}

#[test]
fn corruption_of_any_file_with_updates_is_found() {
    finds_damage("updates", 10);
}

#[test]
fn corruption_of_any_file_with_final_counts_is_found() {
    finds_damage("final", 1);
}

#[test]
fn corruption_after_the_end_of_the_job_is_found() {
    let scene = Scene::new(&[text(1, 100_000)]);
    scene.run(&["--emit", "final"]).succeeded();
    let expected = scene.lines();
    let checkpoint = scene.checkpoints().join(scene.job().unwrap().to_string()).join("chk-1");
    for name in names(&checkpoint) {
        let path = checkpoint.join(name);
        let original = fs::read(&path).unwrap();
        fs::write(&path, &original[1..]).unwrap();
        let outcome = scene.run(&["--emit", "final", "--resume"]);
        outcome.failed(1, &[path.to_str().unwrap(), "corrupt at byte "]);
        fs::write(&path, original).unwrap();
    }
    scene.run(&["--emit", "final", "--resume"]).succeeded();
    assert!(scene.lines() == expected);
}
