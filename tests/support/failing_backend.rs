//! A backend some of whose writes fail.

use snapline::state::backend::{
    BackendContext, BackendError, BackendSnapshot, Entries, FetchFile, KeyedStateBackend, RestoredPart,
    SnapshotInFiles, StateBackendFactory, StateDescription, StateNumber,
};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code)]
pub enum Write {
    Put,
    Delete,
    Clear,
}

/// Makes backends like `inner`, which count their writes together.
pub struct FailingStateBackendFactory<F> {
    pub inner: F,
    /// The writes that are counted.
    pub of: Write,
    /// How many of them there were.
    pub writes: Arc<AtomicU64>,
    /// Those that fail, by how many there were before.
    pub failing: Range<u64>,
}

struct FailingBackend {
    inner: Box<dyn KeyedStateBackend>,
    of: Write,
    writes: Arc<AtomicU64>,
    failing: Range<u64>,
}

impl<F> FailingStateBackendFactory<F> {
    fn wrap(&self, inner: Box<dyn KeyedStateBackend>) -> Box<dyn KeyedStateBackend> {
        let (writes, failing) = (Arc::clone(&self.writes), self.failing.clone());
        Box::new(FailingBackend { inner, of: self.of, writes, failing })
    }
}

impl FailingBackend {
    fn count(&self, write: Write) -> Result<(), BackendError> {
        match write == self.of && self.failing.contains(&self.writes.fetch_add(1, Ordering::SeqCst)) {
            true => Err("the disk is full".into()),
            false => Ok(()),
        }
    }
}

impl<F: StateBackendFactory> StateBackendFactory for FailingStateBackendFactory<F> {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn create(&self, context: &BackendContext) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        Ok(self.wrap(self.inner.create(context)?))
    }

    fn restore(
        &self,
        context: &BackendContext,
        parts: &[RestoredPart<'_>],
        fetch: &dyn FetchFile,
    ) -> Result<Box<dyn KeyedStateBackend>, BackendError> {
        Ok(self.wrap(self.inner.restore(context, parts, fetch)?))
    }
}

impl KeyedStateBackend for FailingBackend {
    fn create_state(&mut self, description: &StateDescription) -> Result<StateNumber, BackendError> {
        self.inner.create_state(description)
    }

    fn restored_state(&mut self, name: &str) -> Result<Option<StateNumber>, BackendError> {
        self.inner.restored_state(name)
    }

    fn get(&self, state: StateNumber, key: &[u8]) -> Result<Option<Vec<u8>>, BackendError> {
        self.inner.get(state, key)
    }

    fn put(&mut self, state: StateNumber, key: &[u8], value: &[u8]) -> Result<(), BackendError> {
        self.count(Write::Put)?;
        self.inner.put(state, key, value)
    }

    fn delete(&mut self, state: StateNumber, key: &[u8]) -> Result<(), BackendError> {
        self.count(Write::Delete)?;
        self.inner.delete(state, key)
    }

    fn clear_state(&mut self, state: StateNumber) -> Result<(), BackendError> {
        self.count(Write::Clear)?;
        self.inner.clear_state(state)
    }

    fn scan<'a>(&'a self, state: StateNumber, prefix: &'a [u8]) -> Entries<'a> {
        self.inner.scan(state, prefix)
    }

    fn snapshot(&mut self) -> Result<Box<dyn BackendSnapshot>, BackendError> {
        self.inner.snapshot()
    }

    fn snapshot_in_files(&mut self) -> Result<Option<SnapshotInFiles>, BackendError> {
        self.inner.snapshot_in_files()
    }
}
