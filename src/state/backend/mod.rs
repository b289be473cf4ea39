//! Where keyed state is kept, and what the author of another store for it writes.
//!
//! [`StateBackend::HashMap`] keeps objects in memory. Any other backend keeps bytes in their order: it implements
//! [`KeyedStateBackend`], is made by a [`StateBackendFactory`], and is found by name in the [`StateBackends`] of a
//! program. Keys, namespaces, lists and maps are turned into bytes here, the same way for all:
//!
//! ```text
//! key   := key group (2 bytes, big endian) record(key) record(namespace) [record(key of the map's entry)]
//! value := the value; for a list the elements as records
//! record:= length (varint) bytes
//! ```
//!
//! so that the entries of one key group stand together, and within it those of one key and namespace.
//!
//! Timers, windows and times to live are kept in keyed state, so whoever keeps that keeps them. Operator state is not the
//! backend's: it is small, in memory, and goes into the same file as the keyed state of its subtask
//! ([`TaskSnapshot`](super::TaskSnapshot)).
//!
//! `testkit::keyed_state` holds what every backend must do as tests: keyed state and serializers that change, timers, values
//! that expire, and operator state beside all this. [`SortedMapStateBackend`] is the one to read first.

mod description;
mod files;
mod registry;
mod sorted;
mod version;

pub(in crate::state) use description::ExpiringValues;
pub use description::{Compaction, CompactionFilter, StateDescription};
pub use files::{BackendFile, BackendFiles, FetchFile, FilePlace, LocalFile, RestoredPart, SnapshotInFiles};
use registry::HASH_MAP;
pub use registry::{StateBackendFactory, StateBackends, UnknownBackend};
pub use sorted::{SortedMapStateBackend, SortedMapStateBackendFactory};
pub(in crate::state) use version::version_name;
pub use version::{mark_of_serializers, state_name};

use crate::keygroup::KeyGroupRange;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

/// Why a backend could not do what it was told to.
pub type BackendError = Box<dyn std::error::Error + Send + Sync>;

/// An entry of a state: key and value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The entries of a scan, in the order of their keys.
pub type Entries<'a> = Box<dyn Iterator<Item = Result<Entry, BackendError>> + 'a>;

/// What is called for every entry with its key and value, and says whether to go on.
pub type EachEntry<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Names a state of a backend: its place among those that were created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateNumber(pub usize);

/// The working state of one subtask as ordered bytes (Flink: `AbstractKeyedStateBackend`).
///
/// One thread uses it; its snapshots go to others. All errors fail the attempt, which restores its state elsewhere.
pub trait KeyedStateBackend: Send {
    /// Creates an empty state. The first one has number 0, the next 1 and so on. A name comes again when a state could not
    /// be opened and that is tried again: it stands for a new, empty state then.
    ///
    /// # Errors
    /// It cannot be created.
    fn create_state(&mut self, description: &StateDescription) -> Result<StateNumber, BackendError>;

    /// The state of this name, with its content, if it is one of the [states](RestoredPart::states) that the backend was
    /// [restored](StateBackendFactory::restore) with, also when it has no entries. It gets the number that a created one would
    /// get; asked again, the same.
    ///
    /// # Errors
    /// It cannot be found out.
    fn restored_state(&mut self, name: &str) -> Result<Option<StateNumber>, BackendError> {
        let _ = name;
        Ok(None)
    }

    /// A [restored](Self::restored_state) state was opened: all its values are now as the description says. Nothing of it
    /// expires before.
    fn state_opened(&mut self, state: StateNumber, description: &StateDescription) {
        let _ = (state, description);
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// It cannot be read.
    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError>;

    /// Gives the value at `key` to `read` without a copy, if there is one, and says whether there was.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(
        &self,
        state: StateNumber,
        key: &[u8],
        read: &mut dyn FnMut(&[u8]),
    ) -> Result<bool, BackendError> {
        let value = self.get(state, key)?;
        value.as_deref().map(read);
        Ok(value.is_some())
    }

    /// Puts `value` at `key`, whatever was there.
    ///
    /// # Errors
    /// It cannot be written.
    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError>;

    /// The length of the value at `key`, 0 if there is none. It is asked before every append, so that no list grows beyond
    /// its limit; whoever can know it without reading the value should. More than the length may be answered as long as
    /// that is not more than `enough`.
    ///
    /// # Errors
    /// It cannot be read.
    fn value_bytes(&mut self, state: StateNumber, key: &[u8], enough: usize) -> Result<usize, BackendError> {
        let _ = enough;
        let mut bytes = 0;
        self.read(state, key, &mut |value| bytes = value.len())?;
        Ok(bytes)
    }

    /// Appends `bytes` to the value at `key`, which is empty if there was none.
    ///
    /// # Errors
    /// It cannot be written.
    fn append(&mut self, state: StateNumber, key: &[u8], bytes: &[u8]) -> Result<(), BackendError> {
        let mut value = self.get(state, key)?.unwrap_or_default();
        value.extend_from_slice(bytes);
        self.put(state, key, &value)
    }

    /// Removes the entry at `key`, if there is one.
    ///
    /// # Errors
    /// It cannot be removed.
    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError>;

    /// Removes all entries of a state that is not used any more.
    ///
    /// # Errors
    /// They cannot be removed.
    fn clear_state(&mut self, state: StateNumber) -> Result<(), BackendError> {
        let keys: Result<Vec<_>, _> = self.scan(state, &[]).map(|entry| entry.map(|(key, _)| key)).collect();
        keys?.iter().try_for_each(|key| self.delete(state, key))
    }

    /// All entries whose keys begin with `prefix`, in the order of their keys.
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a>;

    /// Gives all entries whose keys begin with `prefix` to `each` without a copy, in the order of their keys, until it
    /// breaks off.
    ///
    /// # Errors
    /// They cannot be read.
    fn visit(&self, state: StateNumber, prefix: &[u8], each: &mut EachEntry<'_>) -> Result<(), BackendError> {
        visit(self.scan(state, prefix), each)
    }

    /// Captures all states as they are now, in a time that does not depend on how much they hold.
    ///
    /// # Errors
    /// They cannot be captured; the checkpoint is declined.
    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError>;

    /// Captures all states as they are now in files, of which an incremental checkpoint consists; nothing if the backend does
    /// not keep its states in such.
    ///
    /// # Errors
    /// As [`snapshot`](Self::snapshot).
    fn snapshot_in_files(&mut self) -> Result<Option<SnapshotInFiles>, BackendError> {
        Ok(None)
    }
}

/// The states of a backend at one moment. It never changes; dropping it frees what only it holds.
pub trait BackendSnapshot: Send {
    /// As [`KeyedStateBackend::scan`].
    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a>;

    /// As [`KeyedStateBackend::visit`].
    ///
    /// # Errors
    /// The entries cannot be read.
    fn visit(&self, state: StateNumber, prefix: &[u8], each: &mut EachEntry<'_>) -> Result<(), BackendError> {
        visit(self.scan(state, prefix), each)
    }
}

fn visit(entries: Entries<'_>, each: &mut EachEntry<'_>) -> Result<(), BackendError> {
    for entry in entries {
        let (key, value) = entry?;
        if each(&key, &value).is_break() {
            break;
        }
    }
    Ok(())
}

/// For what a backend is made.
#[derive(Clone, Debug)]
pub struct BackendContext {
    /// The key groups whose state it keeps.
    pub range: KeyGroupRange,
    /// Options of the job that begin with `state.backend.`, as they stand in its configuration.
    pub options: BTreeMap<String, String>,
}

/// The kind of store that keyed state is kept in.
#[derive(Clone)]
pub enum StateBackend {
    /// Objects in memory (`hashmap`, Flink: `HashMapStateBackend`).
    HashMap {
        /// Whether snapshots are written while the state goes on changing. Without it they are taken at once and
        /// complete, which is for finding errors in serializers.
        asynchronous_snapshots: bool,
    },
    /// Bytes, in a store made by a factory with these options.
    Custom(Arc<dyn StateBackendFactory>, BTreeMap<String, String>),
}

impl StateBackend {
    /// What it is called in a configuration.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            StateBackend::HashMap { .. } => HASH_MAP,
            StateBackend::Custom(factory, _) => factory.name(),
        }
    }
}

impl Default for StateBackend {
    fn default() -> Self {
        StateBackend::HashMap { asynchronous_snapshots: true }
    }
}

/// Backends are equal that are made by a factory of the same name with the same options.
impl PartialEq for StateBackend {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                StateBackend::HashMap { asynchronous_snapshots },
                StateBackend::HashMap { asynchronous_snapshots: others },
            ) => asynchronous_snapshots == others,
            (StateBackend::Custom(factory, options), StateBackend::Custom(other, others)) => {
                factory.name() == other.name() && options == others
            }
            _ => false,
        }
    }
}

impl Eq for StateBackend {}

impl fmt::Debug for StateBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateBackend::HashMap { asynchronous_snapshots } => {
                f.debug_struct("HashMap").field("asynchronous_snapshots", asynchronous_snapshots).finish()
            }
            StateBackend::Custom(factory, options) => {
                f.debug_tuple("Custom").field(&factory.name()).field(options).finish()
            }
        }
    }
}
