//! What can be reached from the newest pointer of each job, and from savepoints.

use super::super::checkpoint::metadata_name;
use super::super::view::{View, look_again};
use super::super::{Problem, Status};
use super::report::Dangling;
use crate::base::SharedObject;
use crate::codec::CheckpointMetadata;
use crate::publish::Pointer;
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage, Place};
use std::collections::{BTreeMap, BTreeSet};

/// How often the jobs are looked at again that publish a checkpoint while they are looked at.
const LOOKS: usize = 100;

/// A job, and what of it can be reached.
pub(super) struct Reach<'a> {
    pub(super) storage: &'a FileSystemCheckpointStorage,
    pub(super) view: View,
    /// The checkpoints and savepoints that have metadata which can be read.
    pub(super) checkpoints: BTreeMap<Place, CheckpointMetadata>,
    pub(super) dangling: Vec<Dangling>,
    pub(super) problems: Vec<Problem>,
    /// Why nobody can say what the checkpoints of the job refer to.
    pub(super) unknown: Option<String>,
}

impl<'a> Reach<'a> {
    /// Looks until nothing is missing, or what is missing is not because the job has gone on.
    pub(super) fn of(storage: &'a FileSystemCheckpointStorage) -> Self {
        let mut reach = Reach::look(storage);
        for _ in 0..LOOKS {
            if reach.is_untroubled() || View::of(storage).newest == reach.view.newest {
                return reach;
            }
            reach = Reach::look(storage);
        }
        // What is missing has been replaced each time.
        reach.dangling.clear();
        reach.unknown = Some("the job has published faster than it could be looked at".to_owned());
        reach
    }

    fn is_untroubled(&self) -> bool {
        self.unknown.is_none() && self.dangling.is_empty() && self.problems.is_empty()
    }

    fn look(storage: &'a FileSystemCheckpointStorage) -> Self {
        let mut view = View::of(storage);
        let problems = std::mem::take(&mut view.problems);
        let elsewhere = view.pointers_in.iter();
        let elsewhere = elsewhere
            .map(|store| format!("what counts is not known here: its log of pointers lies in {store}"));
        let unread = problems.iter().map(|problem| format!("what counts cannot be read: {problem}"));
        let unknown = elsewhere.chain(unread).next();
        let (checkpoints, dangling) = (BTreeMap::new(), Vec::new());
        let mut reach = Reach { storage, view, checkpoints, dangling, problems, unknown };
        for place in reach.view.places.clone() {
            reach.look_at(place);
        }
        reach
    }

    fn look_at(&mut self, place: Place) {
        let status = self.view.status(place);
        let object = || metadata_name(self.storage, place);
        // No pointer names a savepoint, and without pointers nobody knows what counts.
        let counts = status.is_published() || matches!(status, Status::Savepoint | Status::Unknown);
        match self.storage.metadata_of(place) {
            Ok(Some(metadata)) => {
                if counts {
                    self.find_dangling(place, &metadata);
                }
                self.checkpoints.insert(place, metadata);
            }
            Ok(None) if status.is_published() => {
                let pointer = self.view.newest.as_ref().map_or(0, |(sequence, _)| sequence.0);
                self.dangling.push(Dangling {
                    problem: Problem::new(object(), "the file is missing"),
                    referred_to_by: format!("pointer {pointer}"),
                });
                self.unknown.get_or_insert(format!("{} is missing", object()));
            }
            Ok(None) => {}
            Err(error) if counts => {
                let problem = Problem::from(error);
                // A savepoint has all its files to itself.
                if status != Status::Savepoint {
                    self.unknown.get_or_insert(format!("what counts cannot be read: {problem}"));
                }
                self.problems.push(problem);
            }
            Err(_) => {}
        }
    }

    /// Looks whether the files of a checkpoint are there, at their full lengths.
    fn find_dangling(&mut self, place: Place, metadata: &CheckpointMetadata) {
        let checkpoint = &metadata.checkpoint;
        let states = checkpoint.states.values().flatten();
        let states = states.filter_map(|handle| self.storage.read_state(handle).err());
        let shared: BTreeSet<_> = checkpoint.shared.values().flatten().collect();
        let shared = shared.into_iter().filter_map(|object| self.storage.read_shared(object).err());
        let missing: Vec<Problem> = states.chain(shared).map(Problem::from).collect();
        if missing.is_empty() || look_again(self.storage, place).is_none() {
            return;
        }
        let referred_to_by = place.to_string();
        let dangling = |problem| Dangling { problem, referred_to_by: referred_to_by.clone() };
        self.dangling.extend(missing.into_iter().map(dangling));
    }

    /// The newest pointer.
    pub(super) fn pointer(&self) -> Option<&Pointer> {
        self.view.newest.as_ref().map(|(_, pointer)| pointer)
    }

    /// Everything that the checkpoints share which count, or still may.
    pub(super) fn shared(&self) -> impl Iterator<Item = (SharedObject, Place)> {
        let checkpoints =
            self.checkpoints.iter().filter(|(place, metadata)| !self.is_over(**place, metadata));
        checkpoints.flat_map(|(place, metadata)| {
            metadata.checkpoint.shared.values().flatten().map(|object| (*object, *place))
        })
    }

    /// Whether the checkpoint is not published and never will be.
    fn is_over(&self, place: Place, metadata: &CheckpointMetadata) -> bool {
        let is_overtaken = |pointer: &Pointer| {
            pointer.newest > Some(place.id()) || metadata.checkpoint.attempt < pointer.attempt
        };
        self.view.status(place) == Status::Unpublished && self.pointer().is_some_and(is_overtaken)
    }
}
