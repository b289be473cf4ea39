//! What fails is told, and leaves nothing behind.

#![allow(clippy::disallowed_methods)]

use super::{Observed, store};
use crate::state::*;
use std::fs;

#[test]
fn directory_of_an_instance_goes_with_the_last_that_uses_it() {
    let observed = Observed::default();
    let parent = tempfile::tempdir().unwrap();
    let mut store = store(&observed, &[("localdir", parent.path().to_str().unwrap())]);
    let value = store.open(&ValueStateDescriptor::<u32>::new("value")).unwrap();
    store.set_current_key(1).unwrap();
    value.update(&mut store, 1).unwrap();
    let (full, files) = (store.snapshot().unwrap(), store.snapshot_in_files().unwrap());
    let directory = observed.forget();
    let places: Vec<_> = files.files().unwrap().iter().map(|file| file.path.clone()).collect();
    drop(store);
    assert!(places.iter().all(|place| place.exists()), "they are still to be uploaded");
    drop(files);
    assert!(places.iter().all(|place| !place.exists()));
    assert!(directory.exists(), "a snapshot reads from it");
    let mut written = Vec::new();
    full.write_to(&mut written).unwrap();
    assert!(
        SnapshotImage::read_from(&written[..], None).unwrap().keyed.unwrap().states.contains_key("value")
    );
    assert!(!directory.exists());
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn directory_that_was_removed_is_told_by_snapshots_in_files_and_by_states_that_are_opened() {
    let observed = Observed::default();
    let mut store = store(&observed, &[]);
    let value = store.open(&ValueStateDescriptor::<u32>::new("value")).unwrap();
    store.set_current_key(1).unwrap();
    value.update(&mut store, 1).unwrap();
    let directory = observed.database().directory.path().to_owned();
    fs::remove_dir_all(&directory).unwrap();
    let told = store.snapshot_in_files().map(drop).unwrap_err().to_string();
    let place = directory.display().to_string();
    assert!(
        told.contains("all keyed state") && told.contains(&place) && told.contains("checkpoint"),
        "{told}"
    );
    let told = store.open(&ValueStateDescriptor::<u32>::new("another")).map(drop).unwrap_err().to_string();
    assert!(told.contains("`another`") && told.contains(&place), "{told}");
}
