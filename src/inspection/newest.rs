use super::view::View;
use super::{Location, LocationError};
use crate::store::{FileSystemCheckpointStorage, Place};

/// The checkpoint at `location`; in the directory of a job, the newest one.
pub(super) fn newest_of(location: &Location) -> Result<(&FileSystemCheckpointStorage, Place), LocationError> {
    let path = |storage: &FileSystemCheckpointStorage| storage.directory().to_owned();
    match (&location.jobs[..], location.only) {
        ([storage], Some(place)) => Ok((storage, place)),
        ([storage], None) => {
            let view = View::of(storage);
            if let Some(store) = view.pointers_in {
                return Err(LocationError::Elsewhere { path: path(storage), store });
            }
            let newest = view.newest.and_then(|(_, pointer)| pointer.newest);
            let place = newest.map(Place::Checkpoint);
            place.map(|place| (storage, place)).ok_or_else(|| LocationError::NoNewest { path: path(storage) })
        }
        (jobs, _) => {
            let directory = jobs.first().map(path).unwrap_or_default();
            Err(LocationError::Several { path: directory.parent().unwrap_or(&directory).to_owned() })
        }
    }
}
