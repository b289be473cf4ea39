//! What turns state into bytes and back, and how bytes of an older job are taken over.
//!
//! A snapshot records a [`SerializerSnapshot`] for every part of every state: its keys, its namespaces, its values.
//! When the state is opened again, the job's serializer looks at what was recorded and says one of four things
//! ([`Compatibility`]); [`resolve`] follows it.
//!
//! Most types need nothing: serde's derives are enough ([`SerdeSerializer`]). A type that has changed says how its
//! older versions become the newest one ([`VersionedState`]), and a type that serde cannot describe gets a
//! [`StateSerializer`] of its own.

mod limit;
mod resolve;
mod serde_serializer;
mod stamped;
#[cfg(test)]
mod tests;
mod versioned;

pub use limit::{MAX_RECORD_BYTES, serialize_within};
pub use resolve::{ResolvedSerializer, resolve};
pub use serde_serializer::SerdeSerializer;
pub(crate) use stamped::StampedSerializer;
pub(in crate::state) use stamped::has_times;
pub use versioned::{EarlierVersion, FirstVersion, VersionedSerializer, VersionedState};

use crate::codec::{CodecError, value_from_bytes};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::Arc;

/// Turns values into bytes and back, and knows which bytes of others it can take over.
///
/// Flink: `TypeSerializer` and `TypeSerializerSnapshot` in one.
///
/// ```
/// use snapline::codec::CodecError;
/// use snapline::state::serializer::{Compatibility, SerializerSnapshot, StateSerializer};
///
/// /// Colours as three bytes, where serde would write three varints.
/// struct ColourSerializer;
///
/// impl StateSerializer<[u8; 3]> for ColourSerializer {
///     fn serialize(&self, colour: &[u8; 3], target: &mut Vec<u8>) -> Result<(), CodecError> {
///         target.extend_from_slice(colour);
///         Ok(())
///     }
///
///     fn deserialize(&self, bytes: &[u8]) -> Result<[u8; 3], String> {
///         bytes.try_into().map_err(|_| format!("a colour has 3 bytes, not {}", bytes.len()))
///     }
///
///     fn snapshot(&self) -> SerializerSnapshot {
///         SerializerSnapshot::new("colour", 0)
///     }
///
///     fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<[u8; 3]> {
///         Compatibility::if_equal(&self.snapshot(), written)
///     }
/// }
/// ```
pub trait StateSerializer<T>: Send + Sync {
    /// Appends the bytes of `value` to `target`; none at all are fine, too.
    ///
    /// # Errors
    /// The value cannot be written ([`CodecError::Refused`] says why). What `target` holds is of no use then.
    fn serialize(&self, value: &T, target: &mut Vec<u8>) -> Result<(), CodecError>;

    /// The value whose bytes are exactly `bytes`.
    ///
    /// # Errors
    /// What is wrong with the bytes. Whatever they are, it does not panic.
    fn deserialize(&self, bytes: &[u8]) -> Result<T, String>;

    /// What must be known to read the bytes that this serializer writes.
    fn snapshot(&self) -> SerializerSnapshot;

    /// Whether this serializer can take over what another one wrote, which left `written` behind.
    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<T>;
}

/// What a snapshot records about the serializer of one part of a state. The order of the fields is part of the format.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SerializerSnapshot {
    /// What is written, for instance the name of a type.
    pub id: String,
    /// The version of its encoding.
    pub version: u32,
    /// Whatever else the serializer must know to read it, in an encoding of its own.
    pub configuration: Vec<u8>,
}

impl SerializerSnapshot {
    /// A serializer without configuration.
    pub fn new(id: impl Into<String>, version: u32) -> Self {
        SerializerSnapshot { id: id.into(), version, configuration: Vec::new() }
    }

    /// What wrote the values themselves, if each has the time of its last update in front.
    #[must_use]
    pub fn without_times(&self) -> Option<SerializerSnapshot> {
        if has_times(self) { value_from_bytes(&self.configuration) } else { None }
    }
}

impl fmt::Display for SerializerSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.without_times(), self.version) {
            (Some(value), _) => write!(f, "{value} {}", self.id),
            (None, 0) => f.write_str(&self.id),
            (None, version) => write!(f, "{}, version {version}", self.id),
        }
    }
}

/// Reads the bytes that an older serializer wrote as values of today.
pub type ReadWritten<T> = Arc<dyn Fn(&[u8]) -> Result<T, String> + Send + Sync>;

/// What a serializer says about bytes that another one wrote.
///
/// Flink: `TypeSerializerSchemaCompatibility`.
pub enum Compatibility<T> {
    /// It reads and writes the same bytes.
    AsIs,
    /// It must give way to another serializer, which reads what was written and writes what it reads.
    AfterReconfiguration(Arc<dyn StateSerializer<T>>),
    /// It writes other bytes, but knows how to read these. All state is read once and from then on written anew.
    AfterMigration(ReadWritten<T>),
    /// It cannot read them, for the reason given.
    Incompatible(String),
}

impl<T> Compatibility<T> {
    /// As it is if the snapshots are equal, and otherwise incompatible.
    #[must_use]
    pub fn if_equal(own: &SerializerSnapshot, written: &SerializerSnapshot) -> Self {
        if own == written {
            return Compatibility::AsIs;
        }
        let differently =
            if own.to_string() == written.to_string() { ", configured differently" } else { "" };
        Compatibility::Incompatible(format!("{written} was written, the job has {own}{differently}"))
    }
}

impl<T> fmt::Debug for Compatibility<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Compatibility::AsIs => f.write_str("AsIs"),
            Compatibility::AfterReconfiguration(serializer) => {
                f.debug_tuple("AfterReconfiguration").field(&serializer.snapshot()).finish()
            }
            Compatibility::AfterMigration(_) => f.write_str("AfterMigration"),
            Compatibility::Incompatible(reason) => f.debug_tuple("Incompatible").field(reason).finish(),
        }
    }
}
