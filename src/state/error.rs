use crate::base::WithCauses;
use crate::codec::CodecError;
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};
use std::fmt;

/// Why state cannot be used, written or restored, and who must act.
///
/// As with all errors of this crate its text is whole: it tells the causes, too, and `source()` gives none that it has told.
/// Who prints a chain of errors gets nothing twice; who must tell causes apart finds them in the variants.
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
        /// What it holds.
        existing: String,
        /// As what it was opened.
        requested: String,
    },
    /// A serializer cannot take over what was written, or what another one of the job writes. The author of the job
    /// must give the state the right one, or a version that can ([`VersionedState`](super::serializer::VersionedState)).
    #[error("state `{state}` cannot be opened with this serializer of its {part}: {what}")]
    IncompatibleSerializer {
        /// The name of the state.
        state: String,
        /// What the serializer is for.
        part: StatePart,
        /// Why it cannot.
        what: String,
    },
    /// A name ends as the versions of states do in the files of a backend. The author of the job must choose another one.
    #[error(
        "no state can be called `{0}`: `@` and eight hexadecimal digits at the end mark a version of a state"
    )]
    ReservedName(String),
    /// Keyed state was used before a current key was set. The caller must set one.
    #[error("keyed state is used without a current key")]
    NoCurrentKey,
    /// A state was used with another store than the one that opened it. The caller must open it there.
    #[error("a state is used with a store that has not opened it")]
    ForeignHandle,
    /// The backend that keeps the state failed. The attempt fails, and its state is restored.
    #[error("the backend of state `{state}` failed: {}", WithCauses(&**.cause))]
    Backend {
        /// The name of the state, or of the backend if that could not be made.
        state: String,
        /// What it says.
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A key, a namespace or a value of a state may not be written. The author of its type or of its serializer must act.
    #[error("state `{state}` cannot be written: {cause}")]
    Refused {
        /// The name of the state.
        state: String,
        /// What is refused, and why.
        cause: CodecError,
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

/// What a serializer of a state is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum StatePart {
    /// The keys that the state belongs to.
    Keys,
    /// The namespaces within a key.
    Namespaces,
    /// The keys of a map.
    UserKeys,
    /// The values, or the items of a list.
    Values,
}

impl StatePart {
    /// Whether older bytes of it may be read and written anew. Not keys and namespaces: those that become others could
    /// belong to another key group, and so to another subtask, or fall together.
    #[must_use]
    pub const fn may_migrate(self) -> bool {
        matches!(self, StatePart::UserKeys | StatePart::Values)
    }
}

impl fmt::Display for StatePart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StatePart::Keys => "keys",
            StatePart::Namespaces => "namespaces",
            StatePart::UserKeys => "map's keys",
            StatePart::Values => "values",
        })
    }
}

fn in_group(group: Option<KeyGroup>) -> String {
    group.map_or_else(String::new, |group| format!(", key group {group}"))
}

impl StateError {
    /// The same with the name of the state, if something of it may not be written.
    #[cold]
    pub(super) fn of_state(self, name: &str) -> Self {
        match self {
            StateError::Codec(cause @ (CodecError::Encode { .. } | CodecError::Refused(_))) => {
                StateError::Refused { state: name.to_owned(), cause }
            }
            other => other,
        }
    }

    /// A state was opened differently than it is.
    pub(super) fn mismatch(state: &str, existing: &impl fmt::Display, requested: &impl fmt::Display) -> Self {
        let (existing, mut requested) = (existing.to_string(), requested.to_string());
        if existing == requested {
            requested.push_str(" in another type or configuration");
        }
        StateError::TypeMismatch { state: state.to_owned(), existing, requested }
    }
}

impl From<std::io::Error> for StateError {
    fn from(error: std::io::Error) -> Self {
        StateError::Codec(error.into())
    }
}
