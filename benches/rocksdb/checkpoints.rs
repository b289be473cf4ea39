//! What an incremental checkpoint and its restore cost, a hundredth of the keys having changed since the one before.

use super::{OPERATIONS, max, scattered, store, with_backend};
use snapline::base::ContentId;
use snapline::state::backend::{BackendError, BackendFile, FetchFile, FilePlace, LocalFile};
use snapline::state::{
    KeyedSnapshot, KeyedStateSnapshot, KeyedStateStore, OperatorSnapshot, SnapshotImage, TaskSnapshot,
    ValueState, ValueStateDescriptor,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

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

/// Brings files by copying them.
struct Copied(BTreeMap<String, PathBuf>);

impl FetchFile for Copied {
    fn fetch(&self, file: &BackendFile, target: &Path) -> Result<(), BackendError> {
        fs::copy(&self.0[&file.name], target)?;
        Ok(())
    }
}

/// How long a restore with the same key groups takes beside copying its files.
fn restore(snapshot: KeyedStateSnapshot) {
    let local: Vec<LocalFile> = snapshot.files().expect("the backend has files").to_vec();
    // It keeps the files until they are restored.
    let described = |file: &LocalFile| BackendFile {
        name: file.name.clone(),
        place: file
            .content
            .map_or(FilePlace::Private(Vec::new()), |content| FilePlace::Shared { content, checksum: 0 }),
    };
    let target = tempfile::tempdir().expect("a directory");
    let began = Instant::now();
    for file in &local {
        fs::copy(&file.path, target.path().join(&file.name)).expect("copies");
    }
    let copied = began.elapsed();
    let sources = local.iter().map(|file| (file.name.clone(), target.path().join(&file.name))).collect();
    let files = local.iter().map(described).collect();
    let task = TaskSnapshot::new(Some(Box::new(snapshot)), OperatorSnapshot::default());
    let mut state_file = Vec::new();
    task.with_files("rocksdb", files).write_to(&mut state_file).expect("in memory");
    let image = SnapshotImage::read_from(&state_file[..], None).expect("intact").keyed.expect("keyed state");
    let began = Instant::now();
    let mut store = with_backend(max()).restore_with(vec![image], &Copied(sources)).expect("restores");
    let restored = began.elapsed();
    let state: ValueState<u64> = store.open(&ValueStateDescriptor::new("values")).expect("opens");
    store.set_current_key(1).expect("all groups");
    assert!(state.get(&store).expect("a key").is_some());
    println!(
        "restore {:.0} ms, copying its files {:.0} ms; {:.2} x",
        restored.as_secs_f64() * 1e3,
        copied.as_secs_f64() * 1e3,
        restored.as_secs_f64() / copied.as_secs_f64()
    );
}
