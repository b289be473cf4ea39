use crate::base::WithCauses;
use crate::codec::CodecError;
use crate::state::StateError;
use crate::store::StorageError;
use serde::Serialize;
use std::fmt;

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The full name of the file that it is about.
    pub object: String,
    /// Where in the file, if it is in one place.
    pub offset_bytes: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl Problem {
    pub(super) fn new(object: impl Into<String>, what: impl Into<String>) -> Self {
        Problem { object: object.into(), offset_bytes: None, what: what.into() }
    }

    /// What reading the state file `object` has come to.
    pub(super) fn of_state(object: &str, error: StateError) -> Self {
        match error {
            StateError::Codec(CodecError::Corrupt(corrupt)) => {
                Problem { offset_bytes: Some(corrupt.offset), ..Problem::new(object, corrupt.what) }
            }
            StateError::Codec(CodecError::Io(error)) => StorageError::from_io(object, error).into(),
            other => Problem::new(object, other.to_string()),
        }
    }
}

impl From<StorageError> for Problem {
    fn from(error: StorageError) -> Self {
        match error {
            StorageError::Corrupt { object, offset, what } => {
                Problem { object, offset_bytes: Some(offset), what: what.into_owned() }
            }
            StorageError::Unavailable { object, cause } => {
                Problem::new(object, format!("it cannot be read: {}", WithCauses(&cause)))
            }
            other => Problem::new(other.object(), other.to_string()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.object)?;
        if let Some(offset) = self.offset_bytes {
            write!(f, " at byte {offset}")?;
        }
        write!(f, ": {}", self.what)
    }
}
