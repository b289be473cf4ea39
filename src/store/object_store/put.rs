use super::ObjectStoreOptions;
use crate::store::{Put, StorageError};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::time::Instant;

/// A put that has failed.
#[derive(Debug)]
pub(super) struct PutError {
    cause: Error,
    /// Whether it may have been applied all the same.
    is_uncertain: bool,
}

impl PutError {
    /// The error of the storage, for this object.
    pub(super) fn of(self, object: String) -> StorageError {
        match self.is_uncertain {
            true => StorageError::uncertain(object, self.cause.into()),
            false => StorageError::unavailable(object, self.cause.into()),
        }
    }
}

/// Writes an object unless its name is taken, again and again if need be.
///
/// `puts` must send each request once: a client that repeats a put whose answer was lost finds its own object, and
/// reports it as somebody else's. Here that is told apart by what is read back, which `store` does.
pub(super) async fn put_if_absent(
    puts: &dyn ObjectStore,
    store: &dyn ObjectStore,
    at: &Path,
    bytes: Vec<u8>,
    options: &ObjectStoreOptions,
) -> Result<Put, PutError> {
    let payload = PutPayload::from(bytes);
    let (begun, mut pause) = (Instant::now(), options.initial_backoff);
    let mut is_uncertain = false;
    for tries in 1.. {
        let create = PutOptions::from(PutMode::Create);
        let cause = match puts.put_opts(at, payload.clone(), create).await {
            Ok(_) => return Ok(Put::Stored),
            Err(cause @ Error::AlreadyExists { .. }) => match read(store, at).await {
                Ok(Some(found)) => {
                    let is_own = is_uncertain && payload.iter().flatten().eq(&found);
                    return Ok(if is_own { Put::Stored } else { Put::Exists });
                }
                // S3 says so as well while another put of that name is under way, which may yet fail.
                Ok(None) => cause,
                Err(cause) => return Err(PutError { cause, is_uncertain }),
            },
            Err(cause) => cause,
        };
        is_uncertain |= may_be_applied(&cause);
        let is_over = tries > options.max_retries || begun.elapsed() > options.retry_timeout;
        if is_over || !may_pass(&cause) {
            return Err(PutError { cause, is_uncertain });
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(ObjectStoreOptions::MAX_BACKOFF);
    }
    unreachable!("the loop has no other end")
}

/// The content of a small object; `None` when there is none.
pub(super) async fn read(store: &dyn ObjectStore, at: &Path) -> object_store::Result<Option<Vec<u8>>> {
    match store.get(at).await {
        Ok(found) => Ok(Some(found.bytes().await?.into())),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a put that ended like this, sent once, may have been applied.
fn may_be_applied(error: &Error) -> bool {
    match error {
        Error::Generic { .. } => !was_never_sent(error),
        // Whoever answers like this has looked and has refused.
        Error::AlreadyExists { .. }
        | Error::NotFound { .. }
        | Error::InvalidPath { .. }
        | Error::NotSupported { .. }
        | Error::Precondition { .. }
        | Error::NotModified { .. }
        | Error::NotImplemented { .. }
        | Error::PermissionDenied { .. }
        | Error::Unauthenticated { .. }
        | Error::UnknownConfigurationKey { .. } => false,
        _ => true,
    }
}

/// Whether the same request may succeed later.
fn may_pass(error: &Error) -> bool {
    matches!(error, Error::Generic { .. } | Error::AlreadyExists { .. })
}

/// What has failed before a put came as far as the name of its object.
#[cfg(feature = "http")]
#[derive(Debug, thiserror::Error)]
#[error("the content could not be sent under a temporary name: {}", crate::base::WithCauses(.0))]
pub(super) struct Untouched(pub(super) Error);

/// Whether there was no connection to send it on, or something else before it has failed.
#[cfg(feature = "https")]
fn was_never_sent(error: &Error) -> bool {
    use object_store::client::{HttpError, HttpErrorKind};
    let mut causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.any(|cause| {
        #[cfg(feature = "http")]
        if cause.is::<Untouched>() {
            return true;
        }
        cause.downcast_ref().is_some_and(|http: &HttpError| http.kind() == HttpErrorKind::Connect)
    })
}

/// Stores without HTTP do not say.
#[cfg(not(feature = "https"))]
fn was_never_sent(_: &Error) -> bool {
    false
}
