//! What differs between two checkpoints.

mod contents;
mod report;

pub use report::{
    Change, ComparedCheckpoint, Difference, OperatorDifference, SharedFilesDifference, Sides, StateDifference,
};

use super::checkpoint::metadata_name;
use super::newest::newest_of;
use super::{Location, LocationError, Problem};
use crate::base::SharedObject;
use crate::codec::CheckpointMetadata;
use crate::store::{FileSystemCheckpointStorage, Place};
use contents::{Operator, Operators, State, StateKey};
use std::collections::{BTreeMap, BTreeSet};

/// How often a directory is read again whose newest checkpoint is replaced while it is read.
const LOOKS: u32 = 10;

/// Why two checkpoints cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum DiffError {
    /// One of them cannot be looked at. The caller must name another one.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// One of them is damaged.
    #[error("{0}")]
    Damaged(Problem),
}

/// Compares the checkpoint at `left` with that at `right`; of a directory of one job, its newest one. State files are read to
/// their ends.
///
/// # Errors
/// There is no such checkpoint, there are several jobs, or something of it is missing or damaged.
pub fn diff(left: &Location, right: &Location) -> Result<Difference, DiffError> {
    let (left, right) = (Compared::read(left)?, Compared::read(right)?);
    let uids: BTreeSet<&String> = left.operators.keys().chain(right.operators.keys()).collect();
    let operators = uids.into_iter().filter_map(|uid| {
        compare_operators(uid, Sides { left: left.operators.get(uid), right: right.operators.get(uid) })
    });
    let operators: Vec<_> = operators.collect();
    Ok(Difference {
        is_same: operators.is_empty(),
        operators,
        shared_files: compare_shared(&left.metadata, &right.metadata),
        left: left.describe(),
        right: right.describe(),
    })
}

/// A checkpoint that has been read.
struct Compared {
    directory: String,
    metadata: CheckpointMetadata,
    operators: Operators,
}

impl Compared {
    fn read(location: &Location) -> Result<Self, DiffError> {
        let mut looks = 0;
        loop {
            let (storage, place) = newest_of(location)?;
            looks += 1;
            match Compared::read_place(storage, place) {
                Err(_) if looks < LOOKS && newest_of(location)?.1 != place => {}
                read => return read.map_err(DiffError::Damaged),
            }
        }
    }

    fn read_place(storage: &FileSystemCheckpointStorage, place: Place) -> Result<Self, Problem> {
        let missing = || Problem::new(metadata_name(storage, place), "the file is missing");
        let metadata = storage.metadata_of(place)?.ok_or_else(missing)?;
        let mut problems = Vec::new();
        let operators = contents::read(storage, &metadata, &mut problems);
        match problems.into_iter().next() {
            Some(problem) => Err(problem),
            None => {
                Ok(Compared { directory: storage.path_of(place).display().to_string(), metadata, operators })
            }
        }
    }

    fn describe(self) -> ComparedCheckpoint {
        let CheckpointMetadata { job, checkpoint, .. } = self.metadata;
        let private_bytes =
            checkpoint.states.values().flatten().map(|handle| handle.bytes).fold(0, u64::saturating_add);
        ComparedCheckpoint {
            directory: self.directory,
            job: job.to_string(),
            id: checkpoint.id.0,
            attempt: checkpoint.attempt.0,
            kind: checkpoint.kind.to_string(),
            private_bytes,
            shared_bytes: checkpoint.state_bytes() - private_bytes,
        }
    }
}

impl<T> Sides<T> {
    fn map<U>(&self, of: impl Fn(&T) -> U) -> Sides<U> {
        Sides { left: self.left.as_ref().map(&of), right: self.right.as_ref().map(&of) }
    }

    fn change(&self) -> Change {
        match (&self.left, &self.right) {
            (None, _) => Change::Added,
            (_, None) => Change::Removed,
            _ => Change::Changed,
        }
    }
}

impl<T: PartialEq> Sides<T> {
    fn are_equal(&self) -> bool {
        self.left == self.right
    }
}

/// Nothing when it is the same.
fn compare_operators(uid: &str, operators: Sides<&Operator>) -> Option<OperatorDifference> {
    let states = operators.map(|operator| &operator.states);
    let difference = OperatorDifference {
        uid: uid.to_owned(),
        change: operators.change(),
        name: operators.map(|operator| operator.metadata.name.clone()),
        parallelism: operators.map(|operator| operator.metadata.parallelism),
        max_parallelism: operators.map(|operator| operator.metadata.max_parallelism),
        finished_subtasks: operators.map(|operator| operator.finished_subtasks),
        captured_records: operators.map(|operator| operator.captured_records),
        subtasks_that_differ: subtasks_that_differ(&operators),
        states: compare_states(&states),
    };
    let is_same = difference.change == Change::Changed
        && difference.name.are_equal()
        && difference.parallelism.are_equal()
        && difference.max_parallelism.are_equal()
        && difference.finished_subtasks.are_equal()
        && difference.captured_records.are_equal()
        && difference.subtasks_that_differ == 0
        && difference.states.is_empty();
    (!is_same).then_some(difference)
}

fn subtasks_that_differ(operators: &Sides<&Operator>) -> u64 {
    let Sides { left: Some(left), right: Some(right) } = operators else { return 0 };
    let subtasks = 0..left.metadata.parallelism.max(right.metadata.parallelism);
    if left.metadata.parallelism != right.metadata.parallelism {
        return subtasks.count() as u64;
    }
    subtasks.filter(|index| left.subtasks.get(index) != right.subtasks.get(index)).count() as u64
}

fn compare_states(states: &Sides<&BTreeMap<StateKey, State>>) -> Vec<StateDifference> {
    let both = states.left.into_iter().chain(states.right);
    let keys: BTreeSet<&StateKey> = both.flat_map(BTreeMap::keys).collect();
    let differ = keys.into_iter().filter_map(|key| {
        let left = states.left.and_then(|states| states.get(key));
        let states = Sides { left, right: states.right.and_then(|states| states.get(key)) };
        let (is_keyed, name) = key;
        (!states.are_equal()).then(|| StateDifference {
            name: name.clone(),
            is_keyed: *is_keyed,
            change: states.change(),
            types: states.map(|state| state.types.iter().cloned().collect()),
            entries: sizes(&states, |(entries, _)| entries),
            entry_bytes: sizes(&states, |(_, bytes)| bytes),
        })
    });
    differ.collect()
}

fn sizes(states: &Sides<&State>, of: impl Fn((u64, u64)) -> u64) -> Sides<u64> {
    let size = |state: Option<&State>| state?.size.0.map(&of);
    Sides { left: size(states.left), right: size(states.right) }
}

fn compare_shared(left: &CheckpointMetadata, right: &CheckpointMetadata) -> SharedFilesDifference {
    let of = |metadata: &CheckpointMetadata| -> BTreeSet<SharedObject> {
        metadata.checkpoint.shared.values().flatten().copied().collect()
    };
    let (left, right) = (of(left), of(right));
    let count = |objects: Vec<&SharedObject>| {
        (
            objects.len() as u64,
            objects.iter().map(|object| object.file.content.bytes).fold(0, u64::saturating_add),
        )
    };
    let (common_files, common_bytes) = count(left.intersection(&right).collect());
    let (left_only_files, left_only_bytes) = count(left.difference(&right).collect());
    let (right_only_files, right_only_bytes) = count(right.difference(&left).collect());
    SharedFilesDifference {
        common_files,
        common_bytes,
        left_only_files,
        left_only_bytes,
        right_only_files,
        right_only_bytes,
    }
}
