//! What [`diff`](super::diff) finds. The names of the fields are those of the JSON that the command line prints.

use serde::Serialize;

/// What differs between two checkpoints or savepoints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whether both hold the same: no operator differs, and no state file has other bytes.
    pub is_same: bool,
    /// The one.
    pub left: ComparedCheckpoint,
    /// The other.
    pub right: ComparedCheckpoint,
    /// The operators that differ, by their uids.
    pub operators: Vec<OperatorDifference>,
    /// The shared files to which both refer, or one of them.
    pub shared_files: SharedFilesDifference,
}

/// A checkpoint or savepoint that is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ComparedCheckpoint {
    /// Its directory.
    pub directory: String,
    /// The job that has taken it.
    pub job: String,
    /// Its number.
    pub id: u64,
    /// The attempt that has taken it.
    pub attempt: u32,
    /// Why it was taken.
    pub kind: String,
    /// The bytes of its state files.
    pub private_bytes: u64,
    /// The bytes of the shared files that it refers to.
    pub shared_bytes: u64,
}

/// How something differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Only the right one has it.
    Added,
    /// Only the left one has it.
    Removed,
    /// Both have it, with something else about it.
    Changed,
}

/// What the two have; `null` where one has nothing, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sides<T> {
    /// The left one.
    pub left: Option<T>,
    /// The right one.
    pub right: Option<T>,
}

/// An operator that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorDifference {
    /// Its uid; the number, behind `#`, of one that has none.
    pub uid: String,
    /// How it differs.
    pub change: Change,
    /// Its names.
    pub name: Sides<String>,
    /// The number of its subtasks.
    pub parallelism: Sides<u16>,
    /// The number of its key groups.
    pub max_parallelism: Sides<u16>,
    /// How many of its subtasks had finished.
    pub finished_subtasks: Sides<u64>,
    /// How many records were on their way to it and from it.
    pub captured_records: Sides<u64>,
    /// How many subtasks have a state file of other bytes, or other shared files; all of them if there are as many
    /// subtasks no more.
    pub subtasks_that_differ: u64,
    /// The states that differ, by their names.
    pub states: Vec<StateDifference>,
}

/// A state that differs in something else than the values of its entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateDifference {
    /// Its name.
    pub name: String,
    /// Whether it is keyed state, or operator state otherwise.
    pub is_keyed: bool,
    /// How it differs.
    pub change: Change,
    /// What it is, with its serializers; several if subtasks differ.
    pub types: Sides<Vec<String>>,
    /// The number of its entries or items; `null` in files of a backend.
    pub entries: Sides<u64>,
    /// Their bytes; `null` in files of a backend.
    pub entry_bytes: Sides<u64>,
}

/// How many shared files two checkpoints have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SharedFilesDifference {
    /// Files to which both refer.
    pub common_files: u64,
    /// Their bytes.
    pub common_bytes: u64,
    /// Files to which only the left one refers.
    pub left_only_files: u64,
    /// Their bytes.
    pub left_only_bytes: u64,
    /// Files to which only the right one refers.
    pub right_only_files: u64,
    /// Their bytes.
    pub right_only_bytes: u64,
}
