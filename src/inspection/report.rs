//! What [`inspect`](super::inspect) finds. The names of the fields are those of the JSON that the command line prints.

use super::Problem;
use serde::Serialize;
use std::fmt;

/// What lies in a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Inspection {
    /// The jobs, by their ids.
    pub jobs: Vec<JobReport>,
}

/// What lies in the directory of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobReport {
    /// The id.
    pub job: String,
    /// Its directory.
    pub directory: String,
    /// Where the log of pointers lies, if not here: then nobody can tell here which checkpoints are published.
    pub pointers_in: Option<String>,
    /// The number of the newest pointer, if there is one that can be read.
    pub newest_pointer: Option<u64>,
    /// The attempt that has written it.
    pub attempt: Option<u32>,
    /// The checkpoint from which a recovery starts.
    pub newest_checkpoint: Option<u64>,
    /// The older ones that are retained beside it.
    pub retained_checkpoints: Vec<u64>,
    /// Checkpoints, the newest first, and savepoints.
    pub checkpoints: Vec<CheckpointReport>,
    /// The shared files that are there or are referred to.
    pub shared_files: Vec<SharedFileReport>,
    /// What could not be read.
    pub problems: Vec<Problem>,
}

/// What the newest pointer says about a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// A recovery starts from it.
    Newest,
    /// It is published and older than the newest.
    Retained,
    /// It is a savepoint, which no pointer names.
    Savepoint,
    /// It is being written, was given up, or waits to be deleted.
    Unpublished,
    /// There is no pointer that can be read.
    Unknown,
}

impl Status {
    /// Whether a pointer names it.
    #[must_use]
    pub fn is_published(self) -> bool {
        matches!(self, Status::Newest | Status::Retained)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Newest => "newest",
            Status::Retained => "retained",
            Status::Savepoint => "savepoint",
            Status::Unpublished => "unpublished",
            Status::Unknown => "unknown",
        })
    }
}

/// A checkpoint or savepoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckpointReport {
    /// The name of its directory.
    pub name: String,
    /// Its number.
    pub id: u64,
    /// What the newest pointer says about it.
    pub status: Status,
    /// Whether it has metadata that can be read.
    pub has_metadata: bool,
    /// Why it was taken: `periodic`, `final`, `stop`, `full` or `savepoint`.
    pub kind: Option<String>,
    /// The attempt that has taken it.
    pub attempt: Option<u32>,
    /// The bytes of its state files.
    pub private_bytes: u64,
    /// The bytes of the shared files that it refers to.
    pub shared_bytes: u64,
    /// The operators of the job.
    pub operators: Vec<OperatorReport>,
    /// What could not be read, or does not agree.
    pub problems: Vec<Problem>,
}

/// An operator in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorReport {
    /// Its number, with which the names of its files begin.
    pub number: u16,
    /// The identity that the author of the job gave it; empty when there is none.
    pub uid: String,
    /// Its name; may be empty.
    pub name: String,
    /// The number of its subtasks.
    pub parallelism: u16,
    /// The number of its key groups.
    pub max_parallelism: u16,
    /// Its subtasks.
    pub subtasks: Vec<SubtaskReport>,
}

/// A subtask in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SubtaskReport {
    /// Its number, from 0.
    pub index: u16,
    /// Whether it had finished when the checkpoint was taken.
    pub had_finished: bool,
    /// Its state file; `null` when it had no state, or the file cannot be read.
    pub state_file: Option<StateFileReport>,
}

/// The state file of a subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StateFileReport {
    /// The full name; that of the metadata if the state is inline.
    pub file: String,
    /// Whether it is in the metadata instead of in a file of its own.
    pub is_inline: bool,
    /// Its length.
    pub bytes: u64,
    /// The version of its format.
    pub format_version: u16,
    /// Whether the entries of keyed state are compressed.
    pub is_compressed: bool,
    /// The first key group of the subtask, if it has keyed state.
    pub first_key_group: Option<u16>,
    /// The last one.
    pub last_key_group: Option<u16>,
    /// The serializer of the keys.
    pub key_serializer: Option<SerializerReport>,
    /// The keyed states.
    pub keyed_states: Vec<KeyedStateReport>,
    /// The operator states.
    pub operator_states: Vec<OperatorStateReport>,
    /// The records that were on their way, of each channel; `null` unless the file was read to its end.
    pub captured_records: Option<Vec<CapturedReport>>,
    /// The backend that has left states in files.
    pub backend: Option<String>,
    /// Those files.
    pub backend_files: Vec<BackendFileReport>,
}

/// What is recorded about a serializer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SerializerReport {
    /// What it writes, for instance the name of a type.
    pub id: String,
    /// The version of its encoding.
    pub version: u32,
}

/// A keyed state of a subtask. Numbers of groups, entries and bytes are `null` unless the file was read to its end, and for
/// a state that lies in files of a backend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyedStateReport {
    /// Its name; in files of a backend with the mark of the version, as `name@mark`.
    pub name: String,
    /// `value`, `list`, `map`, `reducing` or `aggregating`.
    pub kind: &'static str,
    /// The serializer of the namespaces.
    pub namespace_serializer: SerializerReport,
    /// The serializer of the keys of its maps, if it has any.
    pub map_key_serializer: Option<SerializerReport>,
    /// The serializer of its values.
    pub value_serializer: SerializerReport,
    /// Whether it lies in files of the backend.
    pub is_in_backend_files: bool,
    /// The key groups that are not empty.
    pub key_groups: Option<u64>,
    /// Its entries.
    pub entries: Option<u64>,
    /// The bytes of its entries.
    pub entry_bytes: Option<u64>,
}

/// An operator state of a subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OperatorStateReport {
    /// Its name.
    pub name: String,
    /// `split`, `union` or `broadcast`.
    pub mode: &'static str,
    /// The serializer of the keys, if it is broadcast.
    pub map_key_serializer: Option<SerializerReport>,
    /// The serializer of its items.
    pub item_serializer: SerializerReport,
    /// The number of its items.
    pub items: u64,
    /// The bytes of its items; `null` unless the file was read to its end.
    pub item_bytes: Option<u64>,
}

/// Records of a channel that were on their way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapturedReport {
    /// `input` or `output`.
    pub side: &'static str,
    /// The number of the channel.
    pub channel: u16,
    /// The name of their type.
    pub record_type: String,
    /// Their number.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A file in which a backend has left states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BackendFileReport {
    /// What the backend calls it.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// The shared file that holds it; `null` when its bytes are in the state file, or the metadata has no such file.
    pub shared_file: Option<String>,
}

/// A file that checkpoints share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SharedFileReport {
    /// The full name.
    pub file: String,
    /// The length that its name says.
    pub bytes: u64,
    /// Whether it is there.
    pub exists: bool,
    /// The checkpoints that refer to it, of those that were looked at.
    pub referred_to_by: Vec<String>,
}
