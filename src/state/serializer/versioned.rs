use super::{Compatibility, SerializerSnapshot, StateSerializer};
use crate::codec::{CodecError, append_value, value_from_bytes};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::any::type_name;
use std::marker::PhantomData;
use std::sync::Arc;

/// A type of state that has changed, or will: it has a version, and says how it is made of the version before.
///
/// Older versions stay in the job as types of their own for as long as state of theirs may be restored. A number is
/// used once. Version 0 is what [`SerdeSerializer`](super::SerdeSerializer) writes, so state that was begun without
/// versions can get them later.
///
/// ```
/// use serde::{Deserialize, Serialize};
/// use snapline::state::serializer::{FirstVersion, VersionedState};
///
/// #[derive(Serialize, Deserialize)]
/// struct VisitsV1 {
///     count: u32,
/// }
///
/// impl VersionedState for VisitsV1 {
///     const VERSION: u32 = 1;
///     type Previous = FirstVersion;
///
///     fn upgrade(previous: FirstVersion) -> Self {
///         match previous {}
///     }
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Visits {
///     count: u64,
///     last_page: Option<String>,
/// }
///
/// impl VersionedState for Visits {
///     const VERSION: u32 = 2;
///     type Previous = VisitsV1;
///
///     fn upgrade(previous: VisitsV1) -> Self {
///         Visits { count: previous.count.into(), last_page: None }
///     }
/// }
/// ```
pub trait VersionedState: Serialize + DeserializeOwned {
    /// The number of this version, above that of the previous one.
    const VERSION: u32;

    /// The version before this one, or [`FirstVersion`] if state of none is to be restored.
    type Previous: EarlierVersion;

    /// Makes a value of this version of one of the version before.
    fn upgrade(previous: Self::Previous) -> Self;
}

/// Stands where there is no version before. There is no value of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FirstVersion {}

/// What a version can be made of: a [`VersionedState`], or [`FirstVersion`]. There is nothing to implement.
pub trait EarlierVersion: Sized {
    /// The number of the version, if it is one.
    const NUMBER: Option<u32>;

    /// Appends the numbers of this version and of all before it, newest first.
    fn list_versions(versions: &mut Vec<u32>);

    /// Reads a value of the version `written` and upgrades it, step by step, to this one.
    ///
    /// # Errors
    /// The bytes are not a value of that version, or it is not among those listed.
    fn read(written: u32, bytes: &[u8]) -> Result<Self, String>;
}

impl EarlierVersion for FirstVersion {
    const NUMBER: Option<u32> = None;

    fn list_versions(_: &mut Vec<u32>) {}

    fn read(written: u32, _: &[u8]) -> Result<Self, String> {
        Err(format!("version {written} is unknown"))
    }
}

impl<T: VersionedState> EarlierVersion for T {
    const NUMBER: Option<u32> = Some(T::VERSION);

    fn list_versions(versions: &mut Vec<u32>) {
        const {
            let ascends = match T::Previous::NUMBER {
                Some(previous) => previous < T::VERSION,
                None => true,
            };
            assert!(ascends, "a version of state has a number above that of its previous version");
        }
        versions.push(T::VERSION);
        T::Previous::list_versions(versions);
    }

    fn read(written: u32, bytes: &[u8]) -> Result<Self, String> {
        if written == T::VERSION {
            let what = || format!("{} bytes are not a {}", bytes.len(), type_name::<T>());
            return value_from_bytes(bytes).ok_or_else(what);
        }
        T::Previous::read(written, bytes).map(T::upgrade)
    }
}

/// Writes the newest version of a type in postcard's encoding, and reads all versions that the type knows.
///
/// The id, which all versions share, is the name that Rust gives to the newest one unless another is given; so an old
/// version may be renamed, and the newest keeps its name.
pub struct VersionedSerializer<T> {
    id: String,
    marker: PhantomData<fn() -> T>,
}

impl<T: VersionedState> VersionedSerializer<T> {
    /// The type's id is the name that Rust gives to its newest version.
    #[must_use]
    pub fn new() -> Self {
        VersionedSerializer::with_id(type_name::<T>())
    }

    /// All versions of the type have an id of their own.
    #[must_use]
    pub fn with_id(id: impl Into<String>) -> Self {
        VersionedSerializer { id: id.into(), marker: PhantomData }
    }
}

impl<T: VersionedState> Default for VersionedSerializer<T> {
    fn default() -> Self {
        VersionedSerializer::new()
    }
}

impl<T: VersionedState + 'static> StateSerializer<T> for VersionedSerializer<T> {
    fn serialize(&self, value: &T, target: &mut Vec<u8>) -> Result<(), CodecError> {
        append_value(target, value)
    }

    fn deserialize(&self, bytes: &[u8]) -> Result<T, String> {
        T::read(T::VERSION, bytes)
    }

    fn snapshot(&self) -> SerializerSnapshot {
        SerializerSnapshot::new(self.id.clone(), T::VERSION)
    }

    fn compatibility(&self, written: &SerializerSnapshot) -> Compatibility<T> {
        let own = self.snapshot();
        if own.id != written.id || own.configuration != written.configuration {
            return Compatibility::if_equal(&own, written);
        }
        let mut known = Vec::new();
        T::list_versions(&mut known);
        let version = written.version;
        if version == T::VERSION {
            Compatibility::AsIs
        } else if known.contains(&version) {
            Compatibility::AfterMigration(Arc::new(move |bytes| T::read(version, bytes)))
        } else if version > T::VERSION {
            let what = format!("{written} was written by a newer job, this one knows {known:?}");
            Compatibility::Incompatible(what)
        } else {
            Compatibility::Incompatible(format!("{written} was written, the job knows versions {known:?}"))
        }
    }
}
