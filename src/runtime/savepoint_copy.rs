//! A savepoint that is made of a checkpoint with which a job was stopped.

use super::error::TaskError;
use super::task::{discard, report_leftover};
use crate::base::{
    Attempt, CheckpointId, CheckpointKind, CompletedCheckpoint, SharedObject, StateFile, StateHandle,
};
use crate::store::{CheckpointStorage, Put, SavepointTarget, StorageError};
use std::io::{self, BufWriter};

/// What is written at a time.
const BUFFER_BYTES: usize = 1024 * 1024;

/// Copies a checkpoint that refers to no file of another one, and gives the name of the savepoint that this is. Its metadata comes
/// last, so that a copy that is not whole is never taken for one.
///
/// # Errors
/// Something cannot be read or written; then what was copied is deleted.
pub(super) fn copy_as_savepoint(
    storage: &dyn CheckpointStorage,
    checkpoint: CheckpointId,
    target: &dyn SavepointTarget,
) -> Result<String, TaskError> {
    let missing = || TaskError::User(format!("the metadata of checkpoint {checkpoint} is gone").into());
    let mut metadata = storage.read_metadata(checkpoint)?.ok_or_else(missing)?;
    let attempt = metadata.checkpoint.attempt;
    target.place(checkpoint, attempt);
    let mut is_certain = true;
    let copied = copy_files(storage, &mut metadata.checkpoint);
    let put = copied.and_then(|()| {
        let put = storage.put_metadata(&metadata);
        // It may be there, and refers to all of it.
        is_certain = !matches!(put, Err(StorageError::Uncertain { .. }));
        match put? {
            Put::Stored => Ok(storage.savepoint_name(checkpoint, attempt)),
            Put::Exists => Err(TaskError::User("a savepoint of this name is there already".into())),
        }
    });
    if put.is_err() && is_certain {
        discard_copies(storage, &metadata.checkpoint);
    }
    put
}

/// Copies all files of a checkpoint, which is a savepoint then.
fn copy_files(
    storage: &dyn CheckpointStorage,
    checkpoint: &mut CompletedCheckpoint,
) -> Result<(), TaskError> {
    let CompletedCheckpoint { id, attempt, kind, states, shared } = checkpoint;
    for handle in states.values_mut().flatten() {
        *handle = copy_state(storage, handle)?;
    }
    for objects in shared.values_mut() {
        for object in std::mem::take(objects) {
            objects.insert(copy_shared(storage, object, *id, *attempt)?);
        }
    }
    *kind = CheckpointKind::Savepoint;
    Ok(())
}

fn copy_state(storage: &dyn CheckpointStorage, handle: &StateHandle) -> Result<StateHandle, TaskError> {
    let file = StateFile { savepoint: true, ..handle.file };
    if handle.inline.is_some() {
        return Ok(StateHandle { file, ..handle.clone() });
    }
    let mut content = storage.read_state(handle)?;
    let mut writer = storage.create_state(file)?;
    let name = storage.state_name(handle.file);
    let unavailable = |error| StorageError::from_io(name, error);
    let mut buffer = BufWriter::with_capacity(BUFFER_BYTES, &mut *writer);
    let copied = io::copy(&mut content, &mut buffer).and_then(|_| buffer.into_inner().map_err(Into::into));
    copied.map(drop).map_err(unavailable)?;
    Ok(writer.finish()?)
}

fn copy_shared(
    storage: &dyn CheckpointStorage,
    object: SharedObject,
    savepoint: CheckpointId,
    attempt: Attempt,
) -> Result<SharedObject, TaskError> {
    if object.file.attempt != attempt {
        let what = format!("{} was not written for this checkpoint", storage.shared_name(&object));
        return Err(TaskError::User(what.into()));
    }
    let copy = SharedObject { savepoint: Some(savepoint), ..object };
    storage.put_shared(&copy, &mut storage.read_shared(&object)?)?;
    Ok(copy)
}

/// Deletes the copies that were made. Nothing else that lies in the directory was written here.
fn discard_copies(storage: &dyn CheckpointStorage, checkpoint: &CompletedCheckpoint) {
    let states = checkpoint.states.values().flatten().filter_map(StateHandle::stored_file);
    for file in states.filter(|file| file.savepoint) {
        discard(storage, file);
    }
    let objects = checkpoint.shared.values().flatten();
    for object in objects.filter(|object| object.savepoint.is_some()) {
        report_leftover(storage.delete_shared(object));
    }
}
