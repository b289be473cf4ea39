use super::{BackendContext, BackendError, FetchFile, KeyedStateBackend, RestoredPart, StateBackend};
use crate::configuration::WrongOption;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Makes the backends of one kind, one for each keyed subtask (Flink: `StateBackendFactory`).
pub trait StateBackendFactory: Send + Sync {
    /// What it is called in a configuration.
    fn name(&self) -> &str;

    /// What is wrong with the options of a job that begin with `state.backend.` and this backend's name: before the job
    /// starts, and finds out itself.
    fn check(&self, options: &BTreeMap<String, String>) -> Vec<WrongOption> {
        let _ = options;
        Vec::new()
    }

    /// Makes a backend without any state.
    ///
    /// # Errors
    /// An option is wrong, or the backend cannot be set up.
    fn create(&self, context: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError>;

    /// Makes a backend with the state of the key groups of its range from the files of snapshots, which backends of this
    /// factory have left: those of one subtask or of several, whose key groups need not be the same. Nothing is kept of what
    /// was fetched when it fails.
    ///
    /// # Errors
    /// As [`create`](Self::create), or a file cannot be fetched, or the files are none of its own. A backend without
    /// [files](KeyedStateBackend::snapshot_in_files) is never asked.
    fn restore(
        &self,
        context: &BackendContext,
        parts: &[RestoredPart<'_>],
        fetch: &dyn FetchFile,
    ) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        let _ = (context, parts, fetch);
        Err(format!("the backend `{}` keeps nothing in files", self.name()).into())
    }
}

/// The backends that a program knows, by the names they have in configurations (`state.backend.type`).
#[derive(Clone, Default)]
pub struct StateBackends {
    factories: BTreeMap<String, Arc<dyn StateBackendFactory>>,
}

/// No backend has this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no state backend `{name}`; there are {}", known.join(", "))]
pub struct UnknownBackend {
    /// The name that was asked for.
    pub name: String,
    /// The names there are.
    pub known: Vec<String>,
}

/// The name of the backend that is always there.
pub(super) const HASH_MAP: &str = "hashmap";

impl StateBackends {
    /// Only the one that is built in, `hashmap`.
    #[must_use]
    pub fn new() -> Self {
        StateBackends::default()
    }

    /// Adds a factory; one with the same name gives way to it, but for `hashmap`, which stays what it is.
    #[must_use]
    pub fn with(mut self, factory: impl StateBackendFactory + 'static) -> Self {
        self.factories.insert(factory.name().to_owned(), Arc::new(factory));
        self
    }

    /// The names there are.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let others = self.factories.keys().map(String::as_str).filter(|name| *name != HASH_MAP);
        std::iter::once(HASH_MAP).chain(others)
    }

    /// The backend with this name, with options whose names begin with `state.backend.`.
    ///
    /// # Errors
    /// There is none.
    pub fn get(&self, name: &str, options: BTreeMap<String, String>) -> Result<StateBackend, UnknownBackend> {
        if name == HASH_MAP {
            return Ok(StateBackend::default());
        }
        match self.factories.get(name) {
            Some(factory) => Ok(StateBackend::Custom(Arc::clone(factory), options)),
            None => {
                let known = self.names().map(str::to_owned).collect();
                Err(UnknownBackend { name: name.to_owned(), known })
            }
        }
    }
}

impl fmt::Debug for StateBackends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}
