//! What tests write into storages, and read from them.
#![allow(dead_code, reason = "no test uses all of it")]

use snapline::base::*;
use snapline::publish::{Pointer, PointerKind, PointerSequence};
use snapline::store::*;
use std::io::{Read, Write};
use std::path::Path;

pub const JOB: JobId = JobId(0xabc);
/// More than two buffers.
pub const LARGE_BYTES: usize = 11 * 1024 * 1024;

pub fn file(checkpoint: u64, index: u16) -> StateFile {
    let (checkpoint, subtask) = (CheckpointId(checkpoint), SubtaskId::new(1, index));
    StateFile { checkpoint, subtask, attempt: Attempt(2), savepoint: false }
}

/// The upload of `content` as a file that several checkpoints may refer to.
pub fn shared(content: &[u8]) -> SharedObject {
    let content = ContentId { digest: 7, bytes: content.len() as u64 };
    let file = SharedFile { job: JOB, subtask: SubtaskId::new(1, 30), attempt: Attempt(2), content };
    SharedObject { file, upload: 0, savepoint: None }
}

pub fn job() -> JobDescription {
    JobDescription { job: JOB, operators: vec![] }
}

pub fn checkpoint(id: u64) -> CompletedCheckpoint {
    CompletedCheckpoint {
        id: CheckpointId(id),
        attempt: Attempt(2),
        kind: CheckpointKind::Periodic,
        states: [(SubtaskId::new(1, 0), None)].into(),
        shared: [].into(),
    }
}

/// Bytes that no compression and no shift makes equal.
pub fn bytes(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

pub fn write(
    storage: &dyn CheckpointStorage,
    file: StateFile,
    content: &[u8],
) -> Result<StateHandle, StorageError> {
    let mut writer = storage.create_state(file)?;
    writer.write_all(content).map_err(|error| StorageError::from_io("?", error))?;
    writer.finish()
}

pub fn read(storage: &dyn CheckpointStorage, handle: &StateHandle) -> Result<Vec<u8>, StorageError> {
    let mut content = Vec::new();
    let read = storage.read_state(handle)?.read_to_end(&mut content);
    read.map(|_| content).map_err(|error| StorageError::from_io("?", error))
}

pub fn pointer() -> Pointer {
    Pointer {
        kind: PointerKind::Claim,
        attempt: Attempt(1),
        incarnation: Incarnation(5),
        newest: None,
        older: [CheckpointId(7)].into(),
    }
}

/// One object of each kind, in a checkpoint and in a savepoint.
pub fn write_one_of_each(storage: &dyn CheckpointStorage) -> StateHandle {
    let handle = write(storage, file(7, 3), b"some state").unwrap();
    write(storage, StateFile { savepoint: true, ..file(8, 3) }, b"x").unwrap();
    for savepoint in [None, Some(CheckpointId(8))] {
        storage.put_shared(&SharedObject { savepoint, ..shared(b"sst") }, &mut &b"sst"[..]).unwrap();
    }
    storage.put_metadata(&job().metadata(checkpoint(7))).unwrap();
    let savepoint = CompletedCheckpoint { kind: CheckpointKind::Savepoint, ..checkpoint(8) };
    storage.put_metadata(&job().metadata(savepoint)).unwrap();
    storage.put_pointer(PointerSequence(5), &pointer()).unwrap();
    handle
}

/// The files under `directory`, with their content.
pub fn files_under(directory: &Path, within: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(within).unwrap().map(|entry| entry.unwrap().path()) {
        match entry.is_dir() {
            true => found.extend(files_under(directory, &entry)),
            false => {
                let name = entry.strip_prefix(directory).unwrap().to_str().unwrap().to_owned();
                found.push((name, std::fs::read(&entry).unwrap()));
            }
        }
    }
    found.sort();
    found
}
