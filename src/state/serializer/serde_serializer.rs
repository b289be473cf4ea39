use super::{Compatibility, SerializerSnapshot, StateSerializer};
use crate::codec::{CodecError, append_value, value_from_bytes};
use serde::{Serialize, de::DeserializeOwned};
use std::any::type_name;
use std::marker::PhantomData;

/// Writes any serde type in [postcard](https://postcard.jamesmunns.com/wire-format)'s encoding.
///
/// The encoding is positional: a field that is added, removed or moved changes the meaning of all bytes behind it. A
/// type whose fields change while its state lives needs a [`VersionedSerializer`](super::VersionedSerializer).
pub struct SerdeSerializer<T> {
    id: String,
    marker: PhantomData<fn() -> T>,
}

impl<T> SerdeSerializer<T> {
    /// The type's id is the name that Rust gives to it.
    #[must_use]
    pub fn new() -> Self {
        SerdeSerializer::with_id(type_name::<T>())
    }

    /// The type has an id of its own, under which it is found again when it has been renamed or moved.
    #[must_use]
    pub fn with_id(id: impl Into<String>) -> Self {
        SerdeSerializer { id: id.into(), marker: PhantomData }
    }
}

impl<T> Default for SerdeSerializer<T> {
    fn default() -> Self {
        SerdeSerializer::new()
    }
}

impl<T: Serialize + DeserializeOwned> StateSerializer<T> for SerdeSerializer<T> {
    fn serialize(&self, value: &T, target: &mut Vec<u8>) -> Result<(), CodecError> {
        append_value(target, value)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, String> {
        value_from_bytes(bytes).ok_or_else(|| format!("{} bytes are not a {}", bytes.len(), self.id))
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new(self.id.clone(), 0)
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<T> {
        Compatibility::if_equal(&self.snapshot(), written)
    }
}
