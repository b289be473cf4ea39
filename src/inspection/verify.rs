use super::agreement::within_metadata;
use super::checkpoint::{metadata_name, read_state};
use super::view::{View, look_again};
use super::{Location, Problem, Status};
use crate::base::{SharedObject, SubtaskId};
use crate::codec::CheckpointMetadata;
use crate::state::StateFileSummary;
use crate::state::backend::BackendFile;
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage, Place, StorageError};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::io::Read;

/// How many bytes of a shared file are read at a time.
const PIECE_BYTES: usize = 256 * 1024;

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

    fn files(&mut self, place: Place, metadata: &CheckpointMetadata, verdict: &mut CheckpointVerdict) {
        let (checkpoint, object) = (&metadata.checkpoint, metadata_name(self.storage, place));
        verdict.bytes = checkpoint.state_bytes();
        let problems = &mut verdict.problems;
        problems.extend(within_metadata(metadata).into_iter().map(|what| Problem::new(&object, what)));
        for (subtask, handle) in &checkpoint.states {
            let Some(handle) = handle else { continue };
            verdict.files += 1;
            let read = |reader| {
                let counted =
                    Counted { inner: reader, read_bytes: &mut self.read_bytes, progress: self.progress };
                StateFileSummary::read_to_end(counted).map(|(summary, _)| summary)
            };
            let of = (*subtask, handle);
            let summary = read_state(self.storage, metadata, of, read, |summary| summary, problems);
            let files = summary.as_ref().and_then(|summary| summary.files.as_ref());
            let files = files.map_or(&[][..], |files| &files.files);
            self.backend_files(metadata, *subtask, files, problems);
        }
        verdict.files += checkpoint.shared.values().flatten().count() as u64;
    }

    /// Compares the shared files of a subtask with what its state file says about them.
    fn backend_files(
        &mut self,
        metadata: &CheckpointMetadata,
        subtask: SubtaskId,
        files: &[BackendFile],
        problems: &mut Vec<Problem>,
    ) {
        let known: BTreeMap<_, u32> = files.iter().filter_map(BackendFile::shared).collect();
        for object in metadata.checkpoint.shared.get(&subtask).into_iter().flatten() {
            match (self.checksum(object), known.get(&object.file.content)) {
                (Err(problem), _) => problems.push(problem),
                (Ok(found), Some(expected)) if found != *expected => problems.push(Problem::new(
                    self.storage.shared_name(object),
                    "the checksum of the whole file is not that of the state file that refers to it",
                )),
                (Ok(_), _) => {}
            }
        }
    }

    fn checksum(&mut self, object: &SharedObject) -> Result<u32, Problem> {
        if let Some(known) = self.checksums.get(object) {
            return known.clone();
        }
        let found = self.read_shared(object).map_err(Problem::from);
        self.checksums.insert(*object, found.clone());
        found
    }

    fn read_shared(&mut self, object: &SharedObject) -> Result<u32, StorageError> {
        let reader = self.storage.read_shared(object)?;
        let mut counted =
            Counted { inner: reader, read_bytes: &mut self.read_bytes, progress: self.progress };
        let (mut piece, mut checksum) = (vec![0; PIECE_BYTES], 0);
        loop {
            match counted.read(&mut piece) {
                Ok(0) => return Ok(checksum),
                Ok(read) => checksum = crc32c::crc32c_append(checksum, &piece[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(StorageError::from_io(self.storage.shared_name(object), error)),
            }
        }
    }
}

/// Tells how much has been read.
struct Counted<'a, R> {
    inner: R,
    read_bytes: &'a mut u64,
    progress: &'a mut dyn FnMut(u64),
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, target: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(target)?;
        let before = *self.read_bytes;
        *self.read_bytes += read as u64;
        if before / PROGRESS_BYTES != *self.read_bytes / PROGRESS_BYTES {
            (self.progress)(*self.read_bytes);
        }
        Ok(read)
    }
}

/// After how many bytes progress is told.
const PROGRESS_BYTES: u64 = 16 * 1024 * 1024;
