use super::LogId;
use crate::base::WithCauses;
use crate::codec::Corrupt;
use std::borrow::Cow;
use std::io;

/// Why a storage could not do what was asked, and who must act.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// Nothing has changed. Trying again may help.
    #[error("{object} is unavailable, nothing was changed; the operation can be repeated: {}", WithCauses(.cause))]
    Unavailable {
        /// The full name of the object.
        object: String,
        /// What the system said.
        cause: io::Error,
    },
    /// A write may or may not have been applied. The object must be read before anything else is decided.
    #[error("writing {object} may or may not have succeeded; it must be read before going on: {}", WithCauses(.cause))]
    Uncertain {
        /// The full name of the object.
        object: String,
        /// What the system said.
        cause: io::Error,
    },
    /// The object is not what was written. Trying again does not help: someone must look.
    #[error(
        "{object} is corrupt at byte {offset}: {what}; stop the job, then put the object back from a copy \
         or start from another checkpoint"
    )]
    Corrupt {
        /// The full name of the object.
        object: String,
        /// Where, in bytes from its start.
        offset: u64,
        /// What was found.
        what: Cow<'static, str>,
    },
    /// The log of pointers of the job is not here. Whoever opens the storage must name the store in which it is.
    #[error(
        "{object} says that the log of pointers of this job lies in {store} and has the id {log}; start the job with the \
         options high-availability.* that it was started with first"
    )]
    Elsewhere {
        /// The full name of the object that says so.
        object: String,
        /// The [id](crate::store::HighAvailabilityStore::id) of the log.
        log: LogId,
        /// The [name](crate::store::HighAvailabilityStore::name) of the store when the job was begun.
        store: String,
    },
    /// The state does not fit. The job's configuration must change.
    #[error(
        "{object} has at least {bytes} bytes, more than the {limit} that are kept in memory; give \
         JobManagerCheckpointStorage a larger limit, or set execution.checkpointing.storage to filesystem"
    )]
    TooLarge {
        /// The full name of the object.
        object: String,
        /// The bytes that were to be written until now.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// There is no room for more in memory; nothing has changed. The user must act.
    #[error(
        "{object} has {bytes} bytes, and {taken} of the {limit} are taken that are kept in memory; give \
         JobManagerCheckpointStorage a larger limit, or set execution.checkpointing.storage to filesystem"
    )]
    Full {
        /// The full name of the object.
        object: String,
        /// Its bytes.
        bytes: u64,
        /// The bytes of what is there.
        taken: u64,
        /// The limit.
        limit: u64,
    },
}

impl StorageError {
    pub(crate) fn unavailable(object: impl ToString, cause: io::Error) -> Self {
        StorageError::Unavailable { object: object.to_string(), cause }
    }

    /// A user has chosen a directory for savepoints in which there can be none.
    pub(super) fn wrong_target(
        directory: &str,
        kind: io::ErrorKind,
        what: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        let object = if directory.is_empty() { "the target directory" } else { directory };
        StorageError::unavailable(object, io::Error::new(kind, what))
    }

    pub(super) fn uncertain(object: impl ToString, cause: io::Error) -> Self {
        StorageError::Uncertain { object: object.to_string(), cause }
    }

    pub(crate) fn corrupt(object: impl ToString, corrupt: Corrupt) -> Self {
        StorageError::Corrupt { object: object.to_string(), offset: corrupt.offset, what: corrupt.what }
    }

    /// The full name of the object that the operation was about.
    #[must_use]
    pub fn object(&self) -> &str {
        match self {
            StorageError::Unavailable { object, .. }
            | StorageError::Uncertain { object, .. }
            | StorageError::Corrupt { object, .. }
            | StorageError::Elsewhere { object, .. }
            | StorageError::TooLarge { object, .. }
            | StorageError::Full { object, .. } => object,
        }
    }

    /// As an error of a `Read` or a `Write`; [`from_io`](Self::from_io) gets it back.
    #[must_use]
    pub fn into_io(self) -> io::Error {
        let kind = match &self {
            StorageError::Unavailable { cause, .. } | StorageError::Uncertain { cause, .. } => cause.kind(),
            StorageError::Corrupt { .. } => io::ErrorKind::InvalidData,
            StorageError::Elsewhere { .. } => io::ErrorKind::NotFound,
            StorageError::TooLarge { .. } => io::ErrorKind::FileTooLarge,
            StorageError::Full { .. } => io::ErrorKind::StorageFull,
        };
        io::Error::new(kind, self)
    }

    /// The storage error that `error` wraps, or else that `object` is unavailable because of `error`.
    #[must_use]
    pub fn from_io(object: impl ToString, error: io::Error) -> Self {
        error.downcast::<StorageError>().unwrap_or_else(|cause| StorageError::unavailable(object, cause))
    }
}
