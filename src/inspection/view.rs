//! What the log of pointers and the listing of a job say at one moment.

use super::{Problem, Status};
use crate::base::CheckpointId;
use crate::publish::{Pointer, PointerSequence};
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage, Place, StorageError};
use std::collections::BTreeSet;

/// How often a log is listed again whose newest pointer is gone when it is read.
const LOOKS: u32 = 5;

/// A job at one moment.
pub(super) struct View {
    /// The newest pointer; `None` when there is none, or it cannot be read.
    pub(super) newest: Option<(PointerSequence, Pointer)>,
    /// All pointers.
    pub(super) pointers: BTreeSet<PointerSequence>,
    /// All checkpoints that are listed or named, the newest first, and all savepoints.
    pub(super) places: Vec<Place>,
    /// Where the log of pointers lies, if not here.
    pub(super) pointers_in: Option<String>,
    /// What could not be read.
    pub(super) problems: Vec<Problem>,
}

impl View {
    pub(super) fn of(storage: &FileSystemCheckpointStorage) -> View {
        let mut view = View {
            newest: None,
            pointers: BTreeSet::new(),
            places: Vec::new(),
            pointers_in: None,
            problems: Vec::new(),
        };
        let mut checkpoints = view.read_log(storage).unwrap_or_else(|error| {
            view.problems.push(error.into());
            BTreeSet::new()
        });
        checkpoints.extend(view.newest.iter().flat_map(|(_, pointer)| pointer.checkpoints()));
        view.places = checkpoints.into_iter().rev().map(Place::Checkpoint).collect();
        match storage.savepoints() {
            Ok(savepoints) => view.places.extend(savepoints),
            Err(error) => view.problems.push(error.into()),
        }
        view
    }

    /// Reads the newest pointer, and gives the checkpoints of which anything exists.
    fn read_log(
        &mut self,
        storage: &FileSystemCheckpointStorage,
    ) -> Result<BTreeSet<CheckpointId>, StorageError> {
        let mut last = None;
        for _ in 0..LOOKS {
            let listing = storage.list()?;
            self.pointers = listing.pointers;
            // Whatever lies beside it, the first one tells where the log is.
            if let Err(StorageError::Elsewhere { store, .. }) = storage.read_pointer(PointerSequence::FIRST) {
                self.pointers_in = Some(store);
                return Ok(listing.checkpoints);
            }
            last = self.pointers.last().copied();
            let Some(newest) = last else { return Ok(listing.checkpoints) };
            match storage.read_pointer(newest) {
                Ok(Some(pointer)) => {
                    self.newest = Some((newest, pointer));
                    return Ok(listing.checkpoints);
                }
                // Others were written and this one was deleted.
                Ok(None) => {}
                Err(error) => {
                    self.problems.push(error.into());
                    return Ok(listing.checkpoints);
                }
            }
        }
        let object = last.map(|last| storage.pointer_path(last).display().to_string()).unwrap_or_default();
        self.problems.push(Problem::new(object, "the pointer is listed and cannot be read"));
        Ok(BTreeSet::new())
    }

    /// What the newest pointer says about a checkpoint.
    pub(super) fn status(&self, place: Place) -> Status {
        let Place::Checkpoint(id) = place else { return Status::Savepoint };
        match &self.newest {
            Some((_, pointer)) if pointer.newest == Some(id) => Status::Newest,
            Some((_, pointer)) if pointer.checkpoints().any(|named| named == id) => Status::Retained,
            Some(_) => Status::Unpublished,
            None => Status::Unknown,
        }
    }
}

/// Looks again at a checkpoint with which something is wrong: its present status, or nothing when it was deleted meanwhile.
pub(super) fn look_again(storage: &FileSystemCheckpointStorage, place: Place) -> Option<Status> {
    let status = View::of(storage).status(place);
    let is_gone = !status.is_published() && matches!(storage.metadata_of(place), Ok(None));
    (!is_gone).then_some(status)
}
