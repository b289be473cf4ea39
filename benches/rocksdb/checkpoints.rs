//! What an incremental checkpoint and its restore cost, a hundredth of the keys having changed since the one before.

use super::{OPERATIONS, max, scattered, store, with_backend_of};
use snapline::base::ContentId;
use snapline::keygroup::{KeyGroup, KeyGroupRange};
use snapline::state::backend::{BackendError, BackendFile, FetchFile, FilePlace, LocalFile};
use snapline::state::{
    KeyedImage, KeyedSnapshot, KeyedStateSnapshot, KeyedStateStore, OperatorSnapshot, SnapshotImage,
    TaskSnapshot, ValueState, ValueStateDescriptor,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub fn measure(keys: u64) {
    let mut store = store();
    let state: ValueState<u64> = store.open(&ValueStateDescriptor::new("values")).expect("opens");
    (0..keys).for_each(|key| update(&mut store, &state, key));
    let before = store.snapshot_in_files().expect("a checkpoint");
    let known: BTreeSet<ContentId> = shared(&before).map(|(content, _)| content).collect();
    let full: u64 = known.iter().map(|content| content.bytes).sum();
    let hundredth = usize::try_from(keys / 100).expect("so many fit into memory");
    let mut changed = (0..).flat_map(|round| scattered(keys, round));
    changed.by_ref().take(hundredth).for_each(|key| update(&mut store, &state, key));
    let began = Instant::now();
    let snapshot = store.snapshot_in_files().expect("a checkpoint");
    let synchronous = began.elapsed();
    let new: u64 = shared(&snapshot)
        .filter(|(content, _)| !known.contains(content))
        .map(|(content, _)| content.bytes)
        .sum();
    println!(
        "incremental checkpoint, 1 % changed: {:.2} % of {:.1} MB are new; synchronous part {:.1} ms",
        100.0 * new as f64 / full as f64,
        full as f64 / 1e6,
        synchronous.as_secs_f64() * 1e3
    );
    drop(before);
    writers(&mut store, &state, &mut changed);
    restore(snapshot);
    drop(store);
    rescale(keys);
}

/// How long it takes to make one subtask of two, and two of one, beside copying the files of all.
fn rescale(keys: u64) {
    let halves = halves();
    let parts = halves.map(|range| {
        let mut store = with_backend_of(max(), range).restore(Vec::new()).expect("empty");
        let state: ValueState<u64> = store.open(&ValueStateDescriptor::new("values")).expect("opens");
        for key in 0..keys {
            if store.set_current_key(key).is_ok() {
                state.update(&mut store, key).expect("a key");
            }
        }
        Checkpoint::of(store.snapshot_in_files().expect("a checkpoint"))
    });
    let copied: Duration = parts.iter().map(Checkpoint::time_to_copy).sum();
    let began = Instant::now();
    let mut whole = restored(max().all_groups(), &parts);
    let merged = began.elapsed();
    let whole = [Checkpoint::of(whole.snapshot_in_files().expect("a checkpoint"))];
    let began = Instant::now();
    halves.into_iter().for_each(|range| drop(restored(range, &whole)));
    let split = began.elapsed();
    for (what, took) in [("one subtask of two", merged), ("two of one", split)] {
        compare_to_copying(what, took, copied);
    }
}

fn halves() -> [KeyGroupRange; 2] {
    let half = max().get() / 2;
    let range = |start, end| KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).expect("not empty");
    [range(0, half - 1), range(half, max().get() - 1)]
}

fn update(store: &mut KeyedStateStore<u64>, state: &ValueState<u64>, key: u64) {
    store.set_current_key(key).expect("all groups");
    state.update(store, key).expect("a key");
}

/// The shared files of a snapshot, and where they lie.
fn shared(snapshot: &KeyedStateSnapshot) -> impl Iterator<Item = (ContentId, &Path)> {
    let files = snapshot.files().expect("the backend has files");
    files.iter().filter_map(|file| Some((file.content?, &*file.path)))
}

/// How fast the state is written to while a checkpoint is taken and what is new of it is copied, beside its rate without.
fn writers(store: &mut KeyedStateStore<u64>, state: &ValueState<u64>, keys: &mut impl Iterator<Item = u64>) {
    let operations = 5 * usize::try_from(OPERATIONS).expect("so many fit into memory");
    let mut write = |store: &mut KeyedStateStore<u64>, operations| {
        keys.by_ref().take(operations).for_each(|key| update(store, state, key));
    };
    let began = Instant::now();
    write(store, operations);
    let without = began.elapsed();
    let target = tempfile::tempdir().expect("a directory");
    let known: BTreeSet<ContentId> = {
        let snapshot = store.snapshot_in_files().expect("a checkpoint");
        shared(&snapshot).map(|(content, _)| content).collect()
    };
    let began = Instant::now();
    write(store, operations / 2);
    let snapshot = store.snapshot_in_files().expect("a checkpoint");
    let new: Vec<_> = shared(&snapshot).filter(|(content, _)| !known.contains(content)).collect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for (content, path) in new {
                fs::copy(path, target.path().join(format!("{:x}", content.digest))).expect("copies");
            }
        });
        write(store, operations - operations / 2);
    });
    let with = began.elapsed();
    println!(
        "{operations} updates: {:.0} ms, with a checkpoint in between {:.0} ms; {:.2} of the rate",
        without.as_secs_f64() * 1e3,
        with.as_secs_f64() * 1e3,
        without.as_secs_f64() / with.as_secs_f64()
    );
}

/// A checkpoint whose files lie in a directory of their own.
struct Checkpoint {
    image: KeyedImage,
    shared: BTreeMap<ContentId, PathBuf>,
    _directory: TempDir,
}

impl Checkpoint {
    fn of(snapshot: KeyedStateSnapshot) -> Self {
        let (directory, mut shared) = (tempfile::tempdir().expect("a directory"), BTreeMap::new());
        let mut files = Vec::new();
        for LocalFile { name, path, content } in snapshot.files().expect("the backend has files") {
            let place = match *content {
                Some(content) => {
                    let copy = directory.path().join(name);
                    fs::copy(path, &copy).expect("copies");
                    shared.insert(content, copy);
                    FilePlace::Shared { content, checksum: 0 }
                }
                None => FilePlace::Private(fs::read(path).expect("reads")),
            };
            files.push(BackendFile { name: name.clone(), place });
        }
        let task = TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default());
        let mut file = Vec::new();
        task.with_files("rocksdb", files).write_to(&mut file).expect("in memory");
        let image = SnapshotImage::read_from(&file[..], None).expect("intact").keyed;
        Checkpoint { image: image.expect("keyed state"), shared, _directory: directory }
    }

    fn time_to_copy(&self) -> Duration {
        let target = tempfile::tempdir().expect("a directory");
        let began = Instant::now();
        for (number, file) in self.shared.values().enumerate() {
            fs::copy(file, target.path().join(number.to_string())).expect("copies");
        }
        began.elapsed()
    }
}

/// Brings the files of checkpoints by copying them.
struct Copied<'a>(&'a [Checkpoint]);

impl FetchFile for Copied<'_> {
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError> {
        match &file.place {
            FilePlace::Private(bytes) => Ok(fs::write(target, bytes)?),
            FilePlace::Shared { content, .. } => {
                let source = self.0.iter().find_map(|checkpoint| checkpoint.shared.get(content));
                fs::copy(source.ok_or("no such file")?, target)?;
                Ok(())
            }
        }
    }
}

fn restored(range: KeyGroupRange, checkpoints: &[Checkpoint]) -> KeyedStateStore<u64> {
    let images = checkpoints.iter().map(|checkpoint| checkpoint.image.clone()).collect();
    with_backend_of(max(), range).restore_with(images, &Copied(checkpoints)).expect("restores")
}

/// How long a restore with the same key groups takes beside copying its files.
fn restore(snapshot: KeyedStateSnapshot) {
    let checkpoint = [Checkpoint::of(snapshot)];
    let copied = checkpoint[0].time_to_copy();
    let began = Instant::now();
    let mut store = restored(max().all_groups(), &checkpoint);
    let took = began.elapsed();
    let state: ValueState<u64> = store.open(&ValueStateDescriptor::new("values")).expect("opens");
    store.set_current_key(1).expect("all groups");
    assert!(state.get(&store).expect("a key").is_some());
    compare_to_copying("restore", took, copied);
}

fn compare_to_copying(what: &str, took: Duration, copied: Duration) {
    println!(
        "{what} {:.0} ms, copying its files {:.0} ms; {:.2} x",
        took.as_secs_f64() * 1e3,
        copied.as_secs_f64() * 1e3,
        took.as_secs_f64() / copied.as_secs_f64()
    );
}
