use super::stamped::written_with_times;
use super::{Compatibility, ReadWritten, SerializerSnapshot, StateSerializer};
use crate::state::{StateError, StatePart};
use crate::ttl::split_time;
use std::fmt;
use std::sync::Arc;

/// How one part of a state is read and written once it is known what wrote it before.
pub struct ResolvedSerializer<T> {
    serializer: Arc<dyn StateSerializer<T>>,
    /// Reads what was restored, if that was written differently.
    previous: Option<ReadWritten<T>>,
}

impl<T> ResolvedSerializer<T> {
    /// Nothing was written before.
    #[must_use]
    pub fn new(serializer: Arc<dyn StateSerializer<T>>) -> Self {
        ResolvedSerializer { serializer, previous: None }
    }

    /// What everything is written with from now on.
    #[must_use]
    pub fn serializer(&self) -> &Arc<dyn StateSerializer<T>> {
        &self.serializer
    }

    /// Whether what was restored has to be read by [`read_restored`](Self::read_restored) and written anew.
    #[must_use]
    pub fn migrates(&self) -> bool {
        self.previous.is_some()
    }

    /// Reads bytes as they were restored.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read_restored(&self, bytes: &[u8]) -> Result<T, String> {
        match &self.previous {
            Some(read) => read(bytes),
            None => self.serializer.deserialize(bytes),
        }
    }
}

impl<T: 'static> ResolvedSerializer<T> {
    /// The same for values that were written with their times.
    fn behind_times(self) -> Self {
        let ResolvedSerializer { serializer, previous } = self.clone();
        //= spec/ttl.md#ttl-14-time-to-live-that-is-switched-off
        //# Values that were restored with times by a state without a time to live MUST stay, expired or not.
        let read = move |bytes: &[u8]| {
            let (_, value) = split_time(bytes).ok_or("it is shorter than a time")?;
            previous.as_ref().map_or_else(|| serializer.deserialize(value), |read| read(value))
        };
        ResolvedSerializer { previous: Some(Arc::new(read)), ..self }
    }
}

impl<T> Clone for ResolvedSerializer<T> {
    fn clone(&self) -> Self {
        ResolvedSerializer { serializer: Arc::clone(&self.serializer), previous: self.previous.clone() }
    }
}

impl<T> fmt::Debug for ResolvedSerializer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ResolvedSerializer");
        debug.field("serializer", &self.serializer.snapshot()).field("migrates", &self.migrates()).finish()
    }
}

/// Decides how `part` of `state` is read and written, which was restored and had been `written` so.
///
/// # Errors
/// [`StateError::IncompatibleSerializer`] when `serializer` cannot read what was written, or would have to migrate
/// what must stay as it is: the keys and namespaces of keyed state.
pub fn resolve<T: 'static>(
    state: &str,
    part: StatePart,
    serializer: &Arc<dyn StateSerializer<T>>,
    written: &SerializerSnapshot,
) -> Result<ResolvedSerializer<T>, StateError> {
    let refused = |what| StateError::IncompatibleSerializer { state: state.to_owned(), part, what };
    if let Some(value) = written_with_times(&serializer.snapshot(), written) {
        return Ok(resolve(state, part, serializer, &value)?.behind_times());
    }
    let (serializer, previous) = match serializer.compatibility(written) {
        Compatibility::AsIs => (Arc::clone(serializer), None),
        Compatibility::AfterReconfiguration(reconfigured) => (reconfigured, None),
        Compatibility::AfterMigration(_) if !part.may_migrate() => {
            let now = serializer.snapshot();
            return Err(refused(format!("they would have to be migrated from {written} to {now}")));
        }
        Compatibility::AfterMigration(read) => (Arc::clone(serializer), Some(read)),
        Compatibility::Incompatible(what) => return Err(refused(what)),
    };
    Ok(ResolvedSerializer { serializer, previous })
}
