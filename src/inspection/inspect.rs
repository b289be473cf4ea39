use super::agreement::within_metadata;
use super::checkpoint::{metadata_name, read_state};
use super::describe::DescribedFile;
use super::report::{
    CheckpointReport, Inspection, JobReport, OperatorReport, SharedFileReport, SubtaskReport,
};
use super::view::{View, look_again};
use super::{Location, Problem};
use crate::base::{SharedObject, SubtaskId};
use crate::codec::CheckpointMetadata;
use crate::state::StateFileSummary;
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage, Place};
use std::collections::{BTreeMap, BTreeSet};

/// How far state files are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Their beginnings, which say what states there are.
    Headers,
    /// To their ends: only so is it known how many entries each state has, and what was captured.
    Entries,
}

/// Tells what lies at `location`. What cannot be read is said, and the rest is told all the same.
#[must_use]
pub fn inspect(location: &Location, depth: Depth) -> Inspection {
    let jobs = location.jobs.iter().map(|storage| Inspector { storage, depth }.job(location.only));
    Inspection { jobs: jobs.collect() }
}

struct Inspector<'a> {
    storage: &'a FileSystemCheckpointStorage,
    depth: Depth,
}

/// The checkpoints that refer to each shared file.
type References = BTreeMap<SharedObject, Vec<String>>;

impl Inspector<'_> {
    fn job(&self, only: Option<Place>) -> JobReport {
        let view = View::of(self.storage);
        let mut references = References::new();
        let places = match only {
            Some(only) => vec![only],
            None => view.places.clone(),
        };
        let checkpoints =
            places.into_iter().filter_map(|place| self.checkpoint(&view, place, &mut references)).collect();
        let mut problems = view.problems;
        let mut shared_files: BTreeSet<SharedObject> = references.keys().copied().collect();
        match self.storage.list_shared() {
            Ok(found) if only.is_none() => shared_files.extend(found),
            Ok(_) => {}
            Err(error) => problems.push(error.into()),
        }
        let (newest, pointer) = view.newest.unzip();
        let newest_checkpoint = pointer.as_ref().and_then(|pointer| pointer.newest);
        let named = pointer.iter().flat_map(|pointer| pointer.checkpoints());
        JobReport {
            job: self.storage.job().to_string(),
            directory: self.storage.directory().display().to_string(),
            pointers_in: view.pointers_in,
            newest_pointer: newest.map(|sequence| sequence.0),
            attempt: pointer.as_ref().map(|pointer| pointer.attempt.0),
            newest_checkpoint: newest_checkpoint.map(|id| id.0),
            retained_checkpoints: named.filter(|id| Some(*id) != newest_checkpoint).map(|id| id.0).collect(),
            checkpoints,
            shared_files: shared_files.iter().map(|object| self.shared_file(object, &references)).collect(),
            problems,
        }
    }

    /// Nothing when the checkpoint was deleted while it was looked at.
    fn checkpoint(&self, view: &View, place: Place, references: &mut References) -> Option<CheckpointReport> {
        let mut report = CheckpointReport {
            name: place.to_string(),
            id: place.id().0,
            status: view.status(place),
            has_metadata: false,
            kind: None,
            attempt: None,
            private_bytes: 0,
            shared_bytes: 0,
            operators: Vec::new(),
            problems: Vec::new(),
        };
        match self.storage.metadata_of(place) {
            Ok(Some(metadata)) => {
                for object in metadata.checkpoint.shared.values().flatten() {
                    let names = references.entry(*object).or_default();
                    // Subtasks may refer to the same file.
                    if names.last() != Some(&report.name) {
                        names.push(report.name.clone());
                    }
                }
                self.describe(place, &metadata, &mut report);
            }
            Ok(None) if report.status.is_published() => {
                let missing = Problem::new(metadata_name(self.storage, place), "the file is missing");
                report.problems.push(missing);
            }
            Ok(None) => {}
            Err(error) => report.problems.push(error.into()),
        }
        if !report.problems.is_empty() {
            report.status = look_again(self.storage, place)?;
        }
        Some(report)
    }

    fn describe(&self, place: Place, metadata: &CheckpointMetadata, report: &mut CheckpointReport) {
        let checkpoint = &metadata.checkpoint;
        report.has_metadata = true;
        report.kind = Some(checkpoint.kind.to_string());
        report.attempt = Some(checkpoint.attempt.0);
        report.private_bytes =
            checkpoint.states.values().flatten().map(|handle| handle.bytes).fold(0, u64::saturating_add);
        report.shared_bytes = checkpoint.state_bytes() - report.private_bytes;
        let object = metadata_name(self.storage, place);
        report.problems.extend(within_metadata(metadata).into_iter().map(|what| Problem::new(&object, what)));
        for (number, operator) in (0..).zip(&metadata.operators) {
            let subtasks = (0..operator.parallelism)
                .map(|index| self.subtask(metadata, SubtaskId::new(number, index), &mut report.problems));
            report.operators.push(OperatorReport {
                number,
                uid: operator.uid.clone(),
                name: operator.name.clone(),
                parallelism: operator.parallelism,
                max_parallelism: operator.max_parallelism,
                subtasks: subtasks.collect(),
            });
        }
    }

    fn subtask(
        &self,
        metadata: &CheckpointMetadata,
        subtask: SubtaskId,
        problems: &mut Vec<Problem>,
    ) -> SubtaskReport {
        let checkpoint = &metadata.checkpoint;
        let handle = checkpoint.states.get(&subtask).and_then(Option::as_ref);
        let state_file = handle.and_then(|handle| {
            let read = |reader| match self.depth {
                Depth::Headers => Ok((StateFileSummary::read_from(reader)?, None)),
                Depth::Entries => {
                    StateFileSummary::read_to_end(reader).map(|(summary, sizes)| (summary, Some(sizes)))
                }
            };
            let (summary, sizes) = read_state(
                self.storage,
                metadata,
                (subtask, handle),
                read,
                |(summary, _)| summary,
                problems,
            )?;
            let is_inline = handle.inline.is_some();
            let metadata_name = || metadata_name(self.storage, Place::of_checkpoint(checkpoint));
            let name = if is_inline { metadata_name() } else { self.storage.state_name(handle.file) };
            let file = DescribedFile {
                name,
                is_inline,
                bytes: handle.bytes,
                storage: self.storage,
                shared: checkpoint.shared.get(&subtask),
            };
            Some(file.report(&summary, sizes.as_ref()))
        });
        SubtaskReport { index: subtask.index, had_finished: checkpoint.had_finished(subtask), state_file }
    }

    fn shared_file(&self, object: &SharedObject, references: &References) -> SharedFileReport {
        SharedFileReport {
            file: self.storage.shared_name(object),
            bytes: object.file.content.bytes,
            exists: self.storage.shared_path(object).exists(),
            referred_to_by: references.get(object).cloned().unwrap_or_default(),
        }
    }
}
