//! An instance from the files of earlier ones.
//!
//! Files of the same key groups are opened as they are. Otherwise the ones with the largest part of the key groups are
//! opened, what is not wanted of them is deleted by its range, and what is missing is copied from the others into tables that
//! are taken in: keys begin with the key group, so that this is one scan for each.

#![allow(clippy::disallowed_methods)]

use super::database::{Database, families_in, open_to_read};
use super::directory::WorkingDirectory;
use super::error::RocksDbError;
use super::expiry::Expiry;
use super::family::{family_of, is_of_state};
use super::files::Contents;
use super::ingestion::Ingestion;
use super::instances::Instance;
use super::options::RocksDbOptions;
use super::store::RocksDbStateBackend;
use crate::keygroup::{KeyGroup, KeyGroupRange};
use crate::state::backend::{BackendError, BackendFile, FetchFile, RestoredPart};
use rocksdb::ReadOptions;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

/// Behind the keys of all key groups.
const END: [u8; 2] = [u8::MAX; 2];

/// Makes a backend of the key groups of `range`.
pub(super) fn restore(
    directory: WorkingDirectory,
    options: &RocksDbOptions,
    range: KeyGroupRange,
    parts: &[RestoredPart<'_>],
    fetch: &dyn FetchFile,
) -> Result<RocksDbStateBackend, BackendError> {
    let places: Vec<PathBuf> =
        (0..parts.len()).map(|number| directory.path().join(format!("part-{number}"))).collect();
    for (part, place) in parts.iter().zip(&places) {
        fetch_all(part.files, place, fetch, options.transfer_threads)?;
    }
    let base = base_of(parts, range, options.overlap_fraction);
    let (mut restored, mut wanted) = (BTreeMap::new(), BTreeSet::new());
    let mut known = BTreeMap::new();
    if let Some(base) = base {
        let failed = |error| RocksDbError::new("move fetched files", directory.path(), error);
        fs::rename(&places[base], directory.database()).map_err(failed)?;
        let families = families_in(&directory.database())?.into_iter().filter(|name| is_of_state(name));
        restored.extend(families.map(|family| (family, Expiry::default())));
        wanted = families_of(&parts[base]);
        let shared = |file: &BackendFile| Some((file.name.clone(), file.shared()?.0));
        known.extend(parts[base].files.iter().filter_map(shared));
    }
    let database = Instance::new(Database::open(directory, options, range, &restored)?);
    if let Some(base) = base {
        // All families must be opened, also those that an opening which failed has left behind.
        for family in restored.keys().filter(|family| !wanted.contains(*family)) {
            database.drop_family(family)?;
        }
        restored.retain(|family, _| wanted.contains(family));
        clip(&database, restored.keys(), parts[base].range, range)?;
    }
    for (number, (part, place)) in parts.iter().zip(&places).enumerate() {
        if Some(number) != base && overlap(part.range, range) > 0 {
            copy(place, part, range, &database, options, &mut restored)?;
        }
    }
    for place in places.iter().filter(|place| place.exists()) {
        let failed = |error| RocksDbError::new("remove fetched files", place, error);
        fs::remove_dir_all(place).map_err(failed)?;
    }
    Ok(RocksDbStateBackend::new(database, restored, Contents::restored(known))?)
}

/// How many key groups two ranges have in common.
fn overlap(a: KeyGroupRange, b: KeyGroupRange) -> usize {
    a.groups().filter(|group| b.contains(*group)).count()
}

/// The part to begin with: it has most of the key groups, and not too many others.
fn base_of(parts: &[RestoredPart<'_>], range: KeyGroupRange, least_fraction: f64) -> Option<usize> {
    let common = |number: &usize| overlap(parts[*number].range, range);
    let all = |number: &usize| parts[*number].range.groups().count();
    let is_good =
        |number: &usize| common(number) > 0 && common(number) as f64 / all(number) as f64 >= least_fraction;
    // Of several that have as many the one with the fewest others.
    let rank = |number: &usize| (common(number), std::cmp::Reverse(all(number)));
    (0..parts.len()).filter(is_good).max_by_key(rank)
}

/// Fetches files, several at a time.
fn fetch_all(
    files: &[BackendFile],
    place: &Path,
    fetch: &dyn FetchFile,
    threads: usize,
) -> Result<(), BackendError> {
    fs::create_dir(place).map_err(|error| RocksDbError::new("make room for fetched files", place, error))?;
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let failed = || failure.lock().unwrap_or_else(PoisonError::into_inner);
    let work = || {
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            if failed().is_some() {
                return;
            }
            if let Err(error) = fetch.fetch(file, &place.join(&file.name)) {
                failed().get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..threads.min(files.len()) {
            // With fewer threads than wanted it takes longer.
            drop(thread::Builder::new().spawn_scoped(scope, work));
        }
        work();
    });
    let failure = failed().take();
    failure.map_or(Ok(()), Err)
}

fn start_of(group: KeyGroup) -> [u8; 2] {
    group.0.to_be_bytes()
}

/// Behind the keys of the key groups of a range.
fn end_of(range: KeyGroupRange) -> [u8; 2] {
    range.end().0.checked_add(1).map_or(END, u16::to_be_bytes)
}

/// Deletes what is not in `range`.
fn clip<'a>(
    database: &Database,
    families: impl Iterator<Item = &'a String>,
    old: KeyGroupRange,
    range: KeyGroupRange,
) -> Result<(), RocksDbError> {
    let before = (old.start() < range.start()).then(|| ([0, 0], start_of(range.start())));
    let behind = (old.end() > range.end()).then(|| (end_of(range), END));
    let ranges: Vec<_> = before.into_iter().chain(behind).collect();
    for family in families {
        let handle = database.family(family)?;
        for (from, to) in &ranges {
            // Whole files go at once, since there is no snapshot yet; what is in others is covered.
            let failed = database.failed("delete files of other key groups");
            database.db.delete_file_in_range_cf(&handle, from, to).map_err(failed)?;
            database.delete_range(&handle, *from, *to)?;
        }
    }
    Ok(())
}

/// The families of the states that lie in the files of a part.
fn families_of(part: &RestoredPart<'_>) -> BTreeSet<String> {
    part.states.iter().map(|state| family_of(state)).collect()
}

/// Copies the key groups of `range` from the files of another instance.
fn copy(
    place: &Path,
    part: &RestoredPart<'_>,
    range: KeyGroupRange,
    database: &Database,
    options: &RocksDbOptions,
    restored: &mut BTreeMap<String, Expiry>,
) -> Result<(), RocksDbError> {
    let wanted = families_of(part);
    let families: Vec<String> =
        families_in(place)?.into_iter().filter(|name| wanted.contains(name)).collect();
    let part = part.range;
    let source = open_to_read(place, options, &database.families, &families)?;
    let from = start_of(part.start().max(range.start()));
    let to = end_of(if part.end() < range.end() { part } else { range });
    for family in families {
        if !restored.contains_key(&family) {
            let expiry = Expiry::default();
            database.create_family(&family, &expiry)?;
            restored.insert(family.clone(), expiry);
        }
        let target = database.family(&family)?;
        let Some(handle) = source.cf_handle(&family) else { continue };
        let mut options_of_scan = ReadOptions::default();
        options_of_scan.set_iterate_lower_bound(from);
        options_of_scan.set_iterate_upper_bound(to);
        options_of_scan.fill_cache(false);
        let options_of_family = database.families.options(&Expiry::default());
        let mut tables = Ingestion::new(database, &options_of_family, options.target_file_bytes);
        let mut written = Ok(());
        let visited = super::database::visit(
            source.raw_iterator_cf_opt(&handle, options_of_scan),
            &mut |key, value| {
                written = tables.put(key, value);
                if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            },
        );
        written?;
        visited.map_err(|error| RocksDbError::new("read the files of another instance", place, error))?;
        tables.finish(&target)?;
    }
    Ok(())
}

/// The restored families of an instance that begins with nothing.
pub(super) fn begin(
    directory: WorkingDirectory,
    options: &RocksDbOptions,
    range: KeyGroupRange,
) -> Result<RocksDbStateBackend, RocksDbError> {
    let database = Instance::new(Database::open(directory, options, range, &BTreeMap::new())?);
    RocksDbStateBackend::new(database, BTreeMap::new(), Contents::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base(ranges: &[(u16, u16)], wanted: (u16, u16), least_fraction: f64) -> Option<usize> {
        let range = |(start, end)| KeyGroupRange::new(KeyGroup(start), KeyGroup(end)).unwrap();
        let parts: Vec<_> =
            ranges.iter().map(|one| RestoredPart { range: range(*one), states: &[], files: &[] }).collect();
        base_of(&parts, range(wanted), least_fraction)
    }

    /// U26; Flink: `RocksDBIncrementalCheckpointUtilsTest`
    #[test]
    fn base_is_the_part_with_most_of_the_key_groups() {
        assert_eq!(base(&[(0, 3), (4, 9)], (2, 6), 0.0), Some(1));
        assert_eq!(base(&[(0, 3), (4, 5)], (0, 5), 0.0), Some(0));
        assert_eq!(base(&[(0, 3), (4, 15)], (2, 5), 0.0), Some(0), "as many, and fewer others");
        assert_eq!(base(&[(4, 15), (2, 3)], (2, 5), 0.2), Some(1), "of the other one too little is wanted");
        assert_eq!(base(&[(4, 15), (0, 3)], (2, 5), 0.9), None);
        assert_eq!(base(&[(6, 9)], (2, 5), 0.0), None);
        assert_eq!(base(&[], (0, 1), 0.0), None);
    }
}
