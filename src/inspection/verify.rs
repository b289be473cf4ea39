use super::agreement::within_metadata;
use super::checkpoint::{metadata_name, read_state};
use super::parallel::in_parallel;
use super::stored_files::copy;
use super::view::{View, look_again};
use super::{Location, Problem, Status};
use crate::base::{ContentId, SharedObject, StateHandle, SubtaskId};
use crate::codec::CheckpointMetadata;
use crate::state::StateFileSummary;
use crate::state::backend::BackendFile;
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage, Place, StorageError};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Read;

/// How many checkpoints that are published meanwhile are read instead of those that they have replaced.
const NEWER: usize = 10;

/// What a verification has come to. The names of the fields are those of the JSON that the command line prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// Whether all that must be whole is: every checkpoint that the newest pointer names, every savepoint, what was asked for
    /// by its own directory, and all that is complete where there is no pointer.
    pub is_whole: bool,
    /// The bytes that were read of state files and shared files.
    pub read_bytes: u64,
    /// The jobs.
    pub jobs: Vec<JobVerdict>,
}

/// What is known of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobVerdict {
    /// The id.
    pub job: String,
    /// Its directory.
    pub directory: String,
    /// Where the log of pointers lies, if not here: then nobody can tell here which checkpoints are published.
    pub pointers_in: Option<String>,
    /// Its checkpoints and savepoints, in the order in which they were read.
    pub checkpoints: Vec<CheckpointVerdict>,
    /// What is wrong with its pointers, or could not be listed.
    pub problems: Vec<Problem>,
}

/// What is known of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointVerdict {
    /// The name of its directory.
    pub name: String,
    /// Its number.
    pub id: u64,
    /// What the newest pointer says about it.
    pub status: Status,
    /// Whether a damage to it makes the verification fail.
    pub is_required: bool,
    /// What was found.
    pub verdict: Verdict,
    /// The files that it refers to, beside its metadata.
    pub files: u64,
    /// The bytes of these files.
    pub bytes: u64,
    /// What is wrong with it.
    pub problems: Vec<Problem>,
}

/// What was found of a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything is there and is what was written.
    Whole,
    /// Something is missing, damaged, or does not agree.
    Damaged,
    /// It has no metadata: it is being written, or was given up.
    Unfinished,
    /// It was deleted while it was read.
    Deleted,
}

/// Reads everything that the checkpoints at `location` refer to. `progress` is told how many bytes have been read so far,
/// now and then and before each checkpoint.
#[must_use]
pub fn verify(location: &Location, progress: &mut dyn FnMut(u64)) -> Verification {
    let mut read_bytes = 0;
    let mut jobs = Vec::new();
    for storage in &location.jobs {
        let mut verifier = Verifier { storage, read_bytes, progress, checksums: BTreeMap::new() };
        jobs.push(verifier.job(location.only));
        read_bytes = verifier.read_bytes;
    }
    let is_damaged =
        |checkpoint: &CheckpointVerdict| checkpoint.is_required && checkpoint.verdict == Verdict::Damaged;
    let is_whole = |job: &JobVerdict| job.problems.is_empty() && !job.checkpoints.iter().any(is_damaged);
    Verification { is_whole: jobs.iter().all(is_whole), read_bytes, jobs }
}

struct Verifier<'a> {
    storage: &'a FileSystemCheckpointStorage,
    read_bytes: u64,
    progress: &'a mut dyn FnMut(u64),
    /// What the shared files that have been read hold. Several checkpoints refer to each.
    checksums: BTreeMap<SharedObject, Result<u32, Problem>>,
}

impl Verifier<'_> {
    fn job(&mut self, only: Option<Place>) -> JobVerdict {
        let mut view = View::of(self.storage);
        let mut problems = view.problems.clone();
        problems.extend(self.older_pointers(&view));
        let mut places: VecDeque<Place> = match only {
            Some(only) => [only].into(),
            None => view.places.iter().copied().collect(),
        };
        let (mut checkpoints, mut newer) = (Vec::new(), NEWER);
        while let Some(place) = places.pop_front() {
            (self.progress)(self.read_bytes);
            let status = view.status(place);
            let verdict = self.checkpoint(status, place, only.is_some());
            // Of a job that goes on the newest one is to be read, and not only some that are none any more.
            let is_replaced = status == Status::Newest && verdict.status != Status::Newest;
            checkpoints.push(verdict);
            if is_replaced && only.is_none() && newer > 0 {
                newer -= 1;
                let now = View::of(self.storage);
                let newest = now.places.iter().find(|place| now.status(**place) == Status::Newest);
                places.extend(newest.filter(|newest| !view.places.contains(newest)));
                view = now;
            }
        }
        JobVerdict {
            job: self.storage.job().to_string(),
            directory: self.storage.directory().display().to_string(),
            pointers_in: view.pointers_in,
            checkpoints,
            problems,
        }
    }

    /// What is wrong with the pointers below the newest. One that is gone was deleted.
    fn older_pointers(&self, view: &View) -> Vec<Problem> {
        let older = view.pointers.iter().rev().skip(1).rev();
        older.filter_map(|sequence| self.storage.read_pointer(*sequence).err().map(Problem::from)).collect()
    }

    fn checkpoint(&mut self, status: Status, place: Place, is_asked_for: bool) -> CheckpointVerdict {
        let mut verdict = CheckpointVerdict {
            name: place.to_string(),
            id: place.id().0,
            status,
            is_required: false,
            verdict: Verdict::Whole,
            files: 0,
            bytes: 0,
            problems: Vec::new(),
        };
        match self.storage.metadata_of(place) {
            Ok(Some(metadata)) => self.files(place, &metadata, &mut verdict),
            Ok(None) if status.is_published() || is_asked_for => {
                verdict
                    .problems
                    .push(Problem::new(metadata_name(self.storage, place), "the file is missing"));
            }
            Ok(None) => verdict.verdict = Verdict::Unfinished,
            Err(error) => verdict.problems.push(error.into()),
        }
        if !verdict.problems.is_empty() {
            verdict.verdict = Verdict::Damaged;
            match look_again(self.storage, place) {
                Some(status) => verdict.status = status,
                None if is_asked_for => {}
                None => {
                    verdict.verdict = Verdict::Deleted;
                    verdict.problems.clear();
                    if verdict.status.is_published() {
                        verdict.status = Status::Unpublished;
                    }
                }
            }
        }
        // Without a pointer nobody can say that a complete checkpoint is not needed, and no pointer names a savepoint.
        let counts_if_complete = matches!(verdict.status, Status::Savepoint | Status::Unknown);
        let is_complete = verdict.verdict != Verdict::Unfinished;
        verdict.is_required =
            is_asked_for || verdict.status.is_published() || (counts_if_complete && is_complete);
        verdict
    }

    /// Reads all files that the metadata names, and compares them with it and with each other.
    fn files(&mut self, place: Place, metadata: &CheckpointMetadata, verdict: &mut CheckpointVerdict) {
        let (checkpoint, object) = (&metadata.checkpoint, metadata_name(self.storage, place));
        verdict.bytes = checkpoint.state_bytes();
        let problems = &mut verdict.problems;
        problems.extend(within_metadata(metadata).into_iter().map(|what| Problem::new(&object, what)));
        let of_states = checkpoint.states.iter();
        let states: Vec<_> =
            of_states.filter_map(|(subtask, handle)| Some((*subtask, handle.as_ref()?))).collect();
        let shared: BTreeSet<_> = checkpoint.shared.values().flatten().copied().collect();
        let stored = states.iter().filter(|(_, handle)| handle.stored_file().is_some()).count();
        verdict.files += (stored + checkpoint.shared.values().flatten().count()) as u64;
        let states = states.into_iter().map(|(subtask, handle)| File::State(subtask, handle));
        let unread = shared.into_iter().filter(|object| !self.checksums.contains_key(object));
        let mut files = BTreeMap::new();
        for found in self.read(metadata, &states.chain(unread.map(File::Shared)).collect::<Vec<_>>()) {
            match found {
                Found::State(subtask, named, found) => {
                    problems.extend(found);
                    files.insert(subtask, named);
                }
                Found::Shared(object, checksum) => drop(self.checksums.insert(object, checksum)),
            }
        }
        for (subtask, objects) in &checkpoint.shared {
            self.backend_files(objects, files.get(subtask).unwrap_or(&BTreeMap::new()), problems);
        }
    }

    /// Reads files to their ends, several at once.
    fn read(&mut self, metadata: &CheckpointMetadata, files: &[File<'_>]) -> Vec<Found> {
        let Verifier { storage, read_bytes, progress, .. } = self;
        let mut tell = |read| {
            *read_bytes += read;
            progress(*read_bytes);
        };
        in_parallel(files, &mut tell, |file, tell| match *file {
            File::State(subtask, handle) => {
                let mut problems = Vec::new();
                let of = (subtask, handle);
                let read = |inner| {
                    let counted = Counted { inner, untold: 0, tell };
                    StateFileSummary::read_to_end(counted).map(|(summary, _)| summary)
                };
                let summary = read_state(storage, metadata, of, read, |summary| summary, &mut problems);
                let files = summary.and_then(|summary| summary.files).map(|files| files.files);
                let shared = files.iter().flatten().filter_map(BackendFile::shared).collect();
                Found::State(subtask, shared, problems)
            }
            File::Shared(object) => {
                Found::Shared(object, read_shared(storage, &object, tell).map_err(Problem::from))
            }
        })
    }

    /// Compares the shared files of a subtask with the checksums that its state file knows.
    fn backend_files(
        &self,
        objects: &BTreeSet<SharedObject>,
        known: &BTreeMap<ContentId, u32>,
        problems: &mut Vec<Problem>,
    ) {
        for object in objects {
            match (self.checksums.get(object), known.get(&object.file.content)) {
                (Some(Err(problem)), _) => problems.push(problem.clone()),
                (Some(Ok(found)), Some(expected)) if found != expected => problems.push(Problem::new(
                    self.storage.shared_name(object),
                    "the checksum of the whole file is not that of the state file that refers to it",
                )),
                _ => {}
            }
        }
    }
}

/// A file to read.
enum File<'a> {
    State(SubtaskId, &'a StateHandle),
    Shared(SharedObject),
}

/// What a file has come to.
enum Found {
    /// The checksums of the shared files that it names, and what is wrong with it.
    State(SubtaskId, BTreeMap<ContentId, u32>, Vec<Problem>),
    Shared(SharedObject, Result<u32, Problem>),
}

/// The checksum of a shared file.
fn read_shared(
    storage: &FileSystemCheckpointStorage,
    object: &SharedObject,
    tell: &mut dyn FnMut(u64),
) -> Result<u32, StorageError> {
    let counted = Counted { inner: storage.read_shared(object)?, untold: 0, tell };
    let copied = copy(counted, &mut std::io::sink());
    let of_object = |error| StorageError::from_io(storage.shared_name(object), error);
    copied.map(|(_, checksum)| checksum).map_err(of_object)
}

/// Tells how much has been read.
struct Counted<'a, R> {
    inner: R,
    untold: u64,
    tell: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(target)?;
        self.untold += read as u64;
        if self.untold >= PROGRESS_BYTES {
            (self.tell)(std::mem::take(&mut self.untold));
        }
        Ok(read)
    }
}

impl<R> Drop for Counted<'_, R> {
    fn drop(&mut self) {
        (self.tell)(self.untold);
    }
}

/// After how many bytes of a file progress is told.
const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;
