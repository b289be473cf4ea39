use super::RawOperatorState;
use crate::codec::{BlockWriter, CodecError};
use crate::rescale::OperatorStateMode;
use crate::state::StateError;
use crate::state::serializer::{MAX_RECORD_BYTES, SerializerSnapshot, StateSerializer, serialize_within};
use serde::{Deserialize, Serialize};
use std::any::Any;
use std::fmt;
use std::io::Write;

/// What an operator state is, and what its bytes are. The order of the variants and fields is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OperatorStateType {
    /// A list that is divided among the subtasks, and the serializer of its items.
    SplitList(SerializerSnapshot),
    /// A list that goes to every subtask, and the serializer of its items.
    UnionList(SerializerSnapshot),
    /// A map that is the same in all subtasks.
    Broadcast {
        /// The serializer of its keys.
        key: SerializerSnapshot,
        /// The serializer of its values.
        value: SerializerSnapshot,
    },
}

impl OperatorStateType {
    /// How it is handed out to other subtasks.
    #[must_use]
    pub fn mode(&self) -> OperatorStateMode {
        match self {
            OperatorStateType::SplitList(_) => OperatorStateMode::Split,
            OperatorStateType::UnionList(_) => OperatorStateMode::Union,
            OperatorStateType::Broadcast { .. } => OperatorStateMode::Broadcast,
        }
    }
}

impl fmt::Display for OperatorStateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OperatorStateType::SplitList(item) => write!(f, "a list of {item}"),
            OperatorStateType::UnionList(item) => write!(f, "a union list of {item}"),
            OperatorStateType::Broadcast { key, value } => write!(f, "a broadcast map from {key} to {value}"),
        }
    }
}

/// The content of one state. What is large in it is shared between the backend and its snapshots.
pub(super) trait Held: Any + Send + Sync {
    fn state_type(&self) -> OperatorStateType;

    /// The number of items or entries.
    fn items(&self) -> u64;

    /// Writes the records of all items: one for an item of a list, two for an entry of a map.
    fn write(&self, target: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError>;

    /// The same content, which later changes leave as it is.
    fn share(&self) -> Box<dyn Held>;
}

/// Content of the types with which a state was opened.
pub(super) trait Openable: Held + Sized {
    /// The content of the state `name` as it was restored, read by the serializers of this one, which is empty.
    fn restored(self, name: &str, raw: &RawOperatorState) -> Result<Self, StateError>;
}

/// Writes a value as a record; `scratch` is where its bytes are put together.
pub(super) fn write_record<T>(
    serializer: &dyn StateSerializer<T>,
    value: &T,
    scratch: &mut Vec<u8>,
    target: &mut BlockWriter<&mut dyn Write>,
) -> Result<(), CodecError> {
    scratch.clear();
    serialize_within(MAX_RECORD_BYTES, serializer, value, scratch)?;
    target.write_record(scratch)
}
