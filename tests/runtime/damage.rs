//! What a job would be restored from is damaged, bit by bit: the damage is found and named, and nothing is restored.
//!
//! `_metadata` is damaged in all of its bits and truncated to each length, every other file in as many bits as
//! `SNAPLINE_FLIPS` says, 10 without it, and truncated to some lengths.

#![allow(clippy::disallowed_methods, reason = "the files are what is tested")]

use crate::common::{self, JOB, World, in_files, in_memory, options, wait_until};
use snapline::base::{Millis, SavepointFormat};
use snapline::coordinator::{ClaimMode, StopMode};
use snapline::runtime::{GivenCheckpoint, JobOptions};
use snapline::store::{CheckpointStorage, FileSystemCheckpointStorage, Place};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tempfile::TempDir;

/// How many starts go on at once: part of their time they wait.
const WORKERS: u64 = 4;
/// Of so many damages of `_metadata` one is shown to a job; all are shown to whatever reads it for a job.
const STARTED: u64 = 64;

fn storage_of(directory: &Path) -> FileSystemCheckpointStorage {
    FileSystemCheckpointStorage::open(directory, JOB).unwrap()
}

/// A number that the same `seed` gives again.
fn drawn(seed: u64, bound: u64) -> u64 {
    let mut mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)) % bound
}

/// A job that was stopped: with a checkpoint, or so that it goes on from the savepoint that it has taken before.
struct Stopped {
    directory: TempDir,
    place: Place,
    options: JobOptions,
}

impl Stopped {
    fn new(options: JobOptions, with_savepoint: bool) -> Self {
        let (world, directory) = (World::new(), in_memory());
        let storage = storage_of(directory.path());
        world.hold_from(Some(1));
        let options = JobOptions { checkpoint_interval: Some(Millis(5)), ..options };
        let handle = common::job(&world, 2).start(options.clone(), Arc::new(storage.clone())).unwrap();
        wait_until(&handle, || handle.progress().completed > 1);
        let control = handle.control();
        let place = if with_savepoint {
            let savepoint = control.trigger_savepoint(SavepointFormat::Canonical).wait().unwrap();
            Place::Savepoint(savepoint, handle.progress().attempt)
        } else {
            Place::Checkpoint(
                control.stop_with_savepoint(StopMode::Suspend, SavepointFormat::Native).wait().unwrap(),
            )
        };
        control.suspend();
        handle.wait().unwrap();
        if with_savepoint {
            fs::remove_dir_all(storage.directory().join("pointers")).unwrap();
        }
        Stopped { directory, place, options }
    }

    /// The same in another directory.
    fn copy(&self) -> Self {
        let directory = in_memory();
        copy_folder(self.directory.path(), directory.path());
        Stopped { directory, place: self.place, options: self.options.clone() }
    }

    fn metadata(&self) -> PathBuf {
        self.storage().path_of(self.place).join("_metadata")
    }

    fn storage(&self) -> FileSystemCheckpointStorage {
        let directory = self.directory.path().join(JOB.to_string());
        FileSystemCheckpointStorage::for_reading(directory, JOB)
    }

    /// The files from which the job is restored, beside `_metadata`, within the directory.
    fn data_files(&self) -> Vec<PathBuf> {
        let storage = self.storage();
        let metadata = storage.metadata_of(self.place).unwrap().unwrap();
        let states = metadata.checkpoint.states.values().flatten();
        let mut files: BTreeSet<PathBuf> = states.map(|handle| storage.state_path(handle.file)).collect();
        let shared = metadata.checkpoint.shared.values().flatten();
        files.extend(shared.map(|object| storage.shared_path(object)));
        let within = |path: &PathBuf| path.strip_prefix(self.directory.path()).unwrap().to_owned();
        files.iter().map(within).collect()
    }

    /// Reads `_metadata` as a job does that is to be restored.
    fn read_metadata(&self) -> Result<(), String> {
        match self.place {
            Place::Checkpoint(id) => {
                let read = self.storage().read_metadata(id).map_err(|error| error.to_string())?;
                read.map(drop).ok_or_else(|| "it is missing".to_owned())
            }
            Place::Savepoint(..) => {
                let given = GivenCheckpoint::open(self.storage().path_of(self.place), ClaimMode::NoClaim);
                given.map(drop).map_err(|error| error.to_string())
            }
        }
    }

    /// Starts the job, and says what became of it. Nothing is in the output, and what it has written is removed again.
    fn start(&self) -> Result<(), String> {
        let storage = storage_of(self.directory.path());
        let mut options = self.options.clone();
        if let Place::Savepoint(..) = self.place {
            let given = GivenCheckpoint::open(storage.path_of(self.place), ClaimMode::NoClaim);
            options.restore = Some(given.map_err(|error| error.to_string())?);
        }
        let pointers = storage.directory().join("pointers");
        let before: BTreeSet<_> = names(&pointers);
        let world = World::new();
        // Who is restored goes on with the second source alone; nobody gets there.
        let result = common::job(&world, 2).start(options, Arc::new(storage));
        let result = result.and_then(|handle| handle.wait()).map(drop).map_err(|error| error.to_string());
        if result.is_err() {
            assert_eq!(world.committed(), []);
            assert_eq!(world.state.lock().unwrap().counted.len(), 0, "a task has come to its end");
            for name in names(&pointers).difference(&before) {
                fs::remove_file(pointers.join(name)).unwrap();
            }
        }
        result
    }
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in names(from) {
        let (from, to) = (from.join(&name), to.join(&name));
        match from.is_dir() {
            true => copy_folder(&from, &to),
            false => assert!(fs::copy(from, to).unwrap() > 0),
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    Flip(u64),
    Truncate(u64),
}

/// Damages a file, and expects that `read` finds it and names the file.
#[track_caller]
fn assert_found(path: &Path, intact: &[u8], damage: Damage, read: &dyn Fn() -> Result<(), String>) {
    let mut bytes = intact.to_vec();
    match damage {
        Damage::Flip(bit) => bytes[(bit / 8) as usize] ^= 1 << (bit % 8),
        Damage::Truncate(length) => bytes.truncate(length as usize),
    }
    fs::write(path, bytes).unwrap();
    let Err(error) = read() else { panic!("{damage:?} of {} is not found", path.display()) };
    let is_named = error.contains(path.to_str().unwrap()) && error.contains("corrupt at byte ");
    assert!(is_named, "{damage:?} of {}: {error}", path.display());
    fs::write(path, intact).unwrap();
}

/// All bits and lengths of a file, or as many bits of it as are wanted.
fn damages(intact: &[u8], flips: Option<u64>, seed: u64) -> Vec<Damage> {
    let bytes = intact.len() as u64;
    let Some(flips) = flips else {
        return (0..8 * bytes).map(Damage::Flip).chain((0..bytes).map(Damage::Truncate)).collect();
    };
    let drawn = (0..flips).map(|number| Damage::Flip(drawn(seed + number, 8 * bytes)));
    drawn.chain([0, 1, bytes / 2, bytes - 1].map(Damage::Truncate)).collect()
}

/// Damages everything from which a job is restored.
fn finds_all_damage(options: JobOptions, with_savepoint: bool, shares_files: bool) {
    let flips = std::env::var("SNAPLINE_FLIPS").map_or(10, |flips| flips.parse().unwrap());
    let stopped = Stopped::new(options, with_savepoint);
    let metadata = fs::read(stopped.metadata()).unwrap();
    let all = damages(&metadata, None, 0);
    for damage in &all {
        assert_found(&stopped.metadata(), &metadata, *damage, &|| stopped.read_metadata());
    }
    let sample: Vec<_> = all.iter().step_by(STARTED as usize).copied().collect();
    let starts = sample.len() as u64;
    let mut work: Vec<(PathBuf, Damage)> = Vec::new();
    let metadata_path = stopped.metadata().strip_prefix(stopped.directory.path()).unwrap().to_owned();
    work.extend(sample.into_iter().map(|damage| (metadata_path.clone(), damage)));
    let files = stopped.data_files();
    assert_eq!(
        files.iter().any(|file| file.parent().unwrap().ends_with("shared")),
        shares_files,
        "{files:?}"
    );
    for (number, file) in (0..).zip(&files) {
        let intact = fs::read(stopped.directory.path().join(file)).unwrap();
        let damages = damages(&intact, Some(flips), 1_000_000 * number);
        work.extend(damages.into_iter().map(|damage| (file.clone(), damage)));
    }
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let stopped = stopped.copy();
                while let Some((file, damage)) = work.get(next.fetch_add(1, Ordering::SeqCst) as usize) {
                    let path = stopped.directory.path().join(file);
                    let intact = fs::read(&path).unwrap();
                    assert_found(&path, &intact, *damage, &|| stopped.start());
                }
            });
        }
    });
    println!(
        "{} damages of {} bytes of metadata, {starts} of them by starts; {} of {} files, all by starts",
        all.len(),
        metadata.len(),
        work.len() as u64 - starts,
        files.len()
    );
    assert_eq!(stopped.start(), Ok(()), "what is not damaged is restored");
}

#[test]
fn damage_of_checkpoints_in_state_files_is_found_and_nothing_is_restored() {
    finds_all_damage(options(0), false, false);
}

#[test]
fn damage_of_checkpoints_that_share_files_is_found_and_nothing_is_restored() {
    finds_all_damage(in_files(0), false, true);
}

#[test]
fn damage_of_savepoints_is_found_and_nothing_is_restored() {
    finds_all_damage(in_files(0), true, false);
}

#[cfg(feature = "rocksdb")]
#[test]
fn damage_of_checkpoints_in_rocksdb_is_found_and_nothing_is_restored() {
    let directory = tempfile::tempdir().unwrap();
    finds_all_damage(crate::rocksdb::on_rocksdb(0, directory.path(), true), false, true);
}
