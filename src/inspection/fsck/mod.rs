//! What refers to what, from the newest pointer and from savepoints on, and what becomes of the rest.

mod fate;
mod reach;
mod report;

pub use report::{Dangling, Fate, FileReport, Fsck, Garbage, JobFiles, References};

use super::{Location, LocationError, Problem};
use crate::base::StateHandle;
use crate::store::FileSystemCheckpointStorage;
use fate::{Judge, Sharers};
use reach::Reach;

/// Looks for what nothing refers to, and for what is referred to and is not there. No file is read but pointers and
/// metadata.
///
/// # Errors
/// [`LocationError::Single`]: what is shared with other checkpoints cannot be told of one alone.
pub fn fsck(location: &Location) -> Result<Fsck, LocationError> {
    if let (Some(place), [storage]) = (location.only, &location.jobs[..]) {
        return Err(LocationError::Single { path: storage.path_of(place) });
    }
    // Before the references, of which there may be more afterwards: none of them is to what is safe.
    let found: Vec<_> = location.jobs.iter().map(FileSystemCheckpointStorage::files).collect();
    let others = others(location)?;
    let reached: Vec<Reach<'_>> = location.jobs.iter().chain(&others).map(Reach::of).collect();
    let sharers = Sharers::of(&reached);
    let jobs: Vec<JobFiles> = found
        .into_iter()
        .zip(&reached)
        .map(|(found, reach)| {
            let judge = Judge::new(reach, &sharers);
            let mut problems = reach.problems.clone();
            let files = found.unwrap_or_else(|error| {
                problems.push(error.into());
                Vec::new()
            });
            let files = files.iter().map(|file| judge.report(file)).collect();
            describe(reach, files, problems)
        })
        .collect();
    let is_complete = jobs.iter().all(|job| job.dangling.is_empty() && job.problems.is_empty());
    Ok(Fsck { is_complete, jobs })
}

/// The other jobs under the same directory, which may refer to the same files.
fn others(location: &Location) -> Result<Vec<FileSystemCheckpointStorage>, LocationError> {
    let Some(directory) = location.jobs.first().and_then(|job| job.directory().parent()) else {
        return Ok(Vec::new());
    };
    let is_known = |job| location.jobs.iter().any(|known| known.job() == job);
    let others = FileSystemCheckpointStorage::jobs(directory)?.into_iter().filter(|job| !is_known(*job));
    let storage = |job| FileSystemCheckpointStorage::for_reading(directory.join(format!("{job}")), job);
    Ok(others.map(storage).collect())
}

fn describe(reach: &Reach<'_>, files: Vec<FileReport>, problems: Vec<Problem>) -> JobFiles {
    let checkpoints = reach.checkpoints.iter().map(|(place, metadata)| References {
        name: place.to_string(),
        status: reach.view.status(*place),
        state_files: metadata
            .checkpoint
            .states
            .values()
            .flatten()
            .filter_map(StateHandle::stored_file)
            .count() as u64,
        shared_files: metadata.checkpoint.shared.values().flatten().count() as u64,
        bytes: metadata.checkpoint.state_bytes(),
    });
    JobFiles {
        job: reach.storage.job().to_string(),
        directory: reach.storage.directory().display().to_string(),
        pointers_in: reach.view.pointers_in.clone(),
        newest_pointer: reach.view.newest.as_ref().map(|(sequence, _)| sequence.0),
        attempt: reach.pointer().map(|pointer| pointer.attempt.0),
        checkpoints: checkpoints.collect(),
        files,
        dangling: reach.dangling.clone(),
        problems,
    }
}
