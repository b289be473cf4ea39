//! Directories in memory: what is synced there is synced at once, and nobody waits for a disk.
#![allow(dead_code, reason = "no test uses all of it")]

use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// What all tests that run at the same time have room in. Containers have much less by default.
const ENOUGH_BYTES: u64 = 2 << 30;

/// A new directory.
pub fn in_memory() -> TempDir {
    TempDir::new_in(place_in_memory()).or_else(|_| TempDir::new()).unwrap()
}

/// Where such directories are made: on a disk, if there is no such place or it has too little room.
pub fn place_in_memory() -> PathBuf {
    let place = Path::new("/dev/shm");
    match free_bytes(place) {
        Some(free) if free >= ENOUGH_BYTES => place.to_owned(),
        _ => std::env::temp_dir(),
    }
}

#[cfg(unix)]
fn free_bytes(place: &Path) -> Option<u64> {
    let free = rustix::fs::statvfs(place).ok()?;
    Some(free.f_bavail * free.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}
