use crate::codec::CodecError;
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};

/// Why state cannot be used, written or restored, and who must act.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A record went to the wrong subtask. The engine's keyed exchange must be corrected.
    #[error(
        "key group {group} is not in the range {range} of this subtask: its record was sent to a wrong one"
    )]
    WrongSubtask {
        /// The group of the key.
        group: KeyGroup,
        /// The groups of the subtask.
        range: KeyGroupRange,
    },
    /// The backend's range does not exist with its maximum parallelism. The caller must act.
    #[error("the key groups {range} do not exist: the maximum parallelism is {max_parallelism}")]
    NoSuchRange {
        /// The range that was asked for.
        range: KeyGroupRange,
        /// The maximum parallelism.
        max_parallelism: MaxParallelism,
    },
    /// One name was opened with two types. The author of the job must rename one or change its type.
    #[error("state `{state}` holds {existing}, it cannot be opened as {requested}")]
    TypeMismatch {
        /// The name of the state.
        state: String,
        /// The id of the type it has.
        existing: String,
        /// The id of the type it was opened with.
        requested: String,
    },
    /// The snapshot belongs to a job that differs too much. The author of the job must act.
    #[error("the snapshot does not fit the job: {0}")]
    Incompatible(String),
    /// A restored entry is not of the type its descriptor says, or stands in a wrong key group.
    #[error("state `{state}` cannot be restored{}: {what}", in_group(*.key_group))]
    Undecodable {
        /// The name of the state.
        state: String,
        /// The key group the entry was found in, for keyed state.
        key_group: Option<KeyGroup>,
        /// What is wrong.
        what: String,
    },
    /// The snapshot could not be read or written, or is damaged.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

fn in_group(group: Option<KeyGroup>) -> String {
    group.map_or_else(String::new, |group| format!(", key group {group}"))
}

impl From<std::io::Error> for StateError {
    fn from(error: std::io::Error) -> Self {
        StateError::Codec(error.into())
    }
}
