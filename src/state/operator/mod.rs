//! Operator state: named lists and maps of one subtask, independent of any key.

mod broadcast;
mod held;
mod image;
mod list;
pub(super) mod older;
mod snapshot;

pub use broadcast::{BroadcastKey, BroadcastState, ReadOnlyBroadcastState};
pub use held::OperatorStateType;
pub use image::OperatorImage;
pub use list::OperatorListState;
pub use snapshot::OperatorSnapshot;

pub(super) use image::{read_operator, records_of_item, skip_items};
pub(super) use snapshot::OperatorStateHeader;

use super::{ListStateDescriptor, MapStateDescriptor, StateError, StateObject};
use crate::rescale::OperatorStateMode;
use broadcast::Entries;
use held::{Held, Openable};
use image::RawOperatorState;
use list::{Items, ListKind};
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The operator state of one subtask.
///
/// ```
/// use snapline::state::{ListStateDescriptor, MapStateDescriptor, OperatorStateBackend};
///
/// let mut backend = OperatorStateBackend::new();
/// // After a rescale the offsets are divided among the subtasks,
/// let offsets = backend.list_state(&ListStateDescriptor::<(u32, u64)>::new("offsets"))?;
/// offsets.add(&mut backend, (0, 4711))?;
/// // everyone knows all files,
/// let files = backend.union_list_state(&ListStateDescriptor::<String>::new("files"))?;
/// files.update(&mut backend, vec!["access.log".to_owned()])?;
/// // and everyone has the same rules.
/// let rules = backend.broadcast_state(&MapStateDescriptor::<String, u64>::new("rules"))?;
/// rules.put(&mut backend, "limit".to_owned(), 100)?;
/// assert_eq!(rules.get(&backend, "limit")?, Some(&100));
/// # Ok::<(), snapline::state::StateError>(())
/// ```
pub struct OperatorStateBackend {
    /// Recognises the handles of this backend.
    id: u64,
    states: Vec<OpenState>,
    /// What was restored and not opened yet.
    unclaimed: BTreeMap<String, RawOperatorState>,
    is_restored: bool,
}

struct OpenState {
    name: String,
    /// As what it was opened; a serializer may have been reconfigured since.
    requested: OperatorStateType,
    held: Box<dyn Held>,
}

/// Where a backend holds a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct StateId {
    backend: u64,
    index: usize,
}

impl OperatorStateBackend {
    /// A backend without any state.
    #[must_use]
    pub fn new() -> Self {
        OperatorStateBackend::restore(OperatorImage::default())
    }

    /// A backend with the state of a snapshot.
    #[must_use]
    pub fn restore(image: OperatorImage) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let is_restored = !image.states.is_empty();
        OperatorStateBackend { id, states: Vec::new(), unclaimed: image.states, is_restored }
    }

    /// The same of an operator that is restored, or is not, whatever this subtask has of its state.
    #[must_use]
    pub fn with_restored(self, is_restored: bool) -> Self {
        OperatorStateBackend { is_restored, ..self }
    }

    /// Whether the operator goes on from a checkpoint. With more subtasks than before, one may have nothing of a divided list
    /// and must yet not begin anew (Flink: `FunctionInitializationContext.isRestored`).
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.is_restored
    }

    /// Opens a list whose items are divided among the subtasks when the parallelism changes. The same descriptor gives
    /// the same list. A restored list is decoded now, and migrated when its serializer asks for it.
    ///
    /// # Errors
    /// The name is in use or was restored with another kind of state, another type or an incompatible serializer; or a
    /// restored item cannot be decoded. The backend has not changed then.
    pub fn list_state<T: StateObject>(
        &mut self,
        descriptor: &ListStateDescriptor<T>,
    ) -> Result<OperatorListState<T>, StateError> {
        self.open_list(descriptor, ListKind::Split)
    }

    /// Opens a list that, after a restore, has the items of all subtasks in each of them. So that none are missing, a subtask
    /// that has one when its data ends finishes only with the last checkpoint of its job (SUBTASK-27).
    ///
    /// # Errors
    /// As [`list_state`](Self::list_state).
    pub fn union_list_state<T: StateObject>(
        &mut self,
        descriptor: &ListStateDescriptor<T>,
    ) -> Result<OperatorListState<T>, StateError> {
        self.open_list(descriptor, ListKind::Union)
    }

    /// Opens a map that is to be the same in every subtask, because each changes it by the same stream of records.
    ///
    /// # Errors
    /// As [`list_state`](Self::list_state).
    pub fn broadcast_state<UK: BroadcastKey, UV: StateObject>(
        &mut self,
        descriptor: &MapStateDescriptor<UK, UV>,
    ) -> Result<BroadcastState<UK, UV>, StateError> {
        let (key, value) = (descriptor.key_serializer(), descriptor.value_serializer());
        let empty = Entries::new(Arc::clone(key), Arc::clone(value));
        self.open(descriptor.name(), empty).map(BroadcastState::new)
    }

    /// The names of all states, opened or only restored.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let open = self.states.iter().map(|open| &open.name);
        open.chain(self.unclaimed.keys()).map(String::as_str)
    }

    /// The names of all union lists, opened or only restored.
    pub(crate) fn union_lists(&self) -> impl Iterator<Item = &str> {
        let is_union = |held: &dyn Held| held.state_type().mode() == OperatorStateMode::Union;
        let open = self.states.iter().filter(move |open| is_union(&*open.held)).map(|open| &open.name);
        let unclaimed = self.unclaimed.iter().filter(move |(_, raw)| is_union(*raw)).map(|(name, _)| name);
        open.chain(unclaimed).map(String::as_str)
    }

    /// Captures all states, opened or not. The cost does not depend on how large they are; one is copied when it is
    /// changed for the first time while the snapshot lives.
    #[must_use]
    pub fn snapshot(&self) -> OperatorSnapshot {
        let mut states = BTreeMap::new();
        for open in &self.states {
            states.insert(open.name.clone(), open.held.share());
        }
        for (name, raw) in &self.unclaimed {
            states.insert(name.clone(), raw.share());
        }
        OperatorSnapshot::new(states)
    }

    fn open_list<T: StateObject>(
        &mut self,
        descriptor: &ListStateDescriptor<T>,
        kind: ListKind,
    ) -> Result<OperatorListState<T>, StateError> {
        let empty = Items::new(kind, Arc::clone(descriptor.serializer()));
        self.open(descriptor.name(), empty).map(OperatorListState::new)
    }

    /// Opens a state that is like `empty` unless something was restored.
    fn open<S: Openable>(&mut self, name: &str, empty: S) -> Result<StateId, StateError> {
        let requested = empty.state_type();
        let id = |index| StateId { backend: self.id, index };
        if let Some(index) = self.states.iter().position(|open| open.name == name) {
            let open = &self.states[index];
            let held: &dyn Any = &*open.held;
            return match open.requested == requested && held.is::<S>() {
                true => Ok(id(index)),
                false => Err(StateError::mismatch(name, &open.requested, &requested)),
            };
        }
        let held = match self.unclaimed.get(name) {
            None => empty,
            Some(raw) => empty.restored(name, raw)?,
        };
        let id = id(self.states.len());
        self.unclaimed.remove(name);
        self.states.push(OpenState { name: name.to_owned(), requested, held: Box::new(held) });
        Ok(id)
    }

    /// What is held of a state, of the type that its handle knows.
    fn held<S: Openable>(&self, id: StateId) -> Result<&S, StateError> {
        let open = self.states.get(id.index).filter(|_| id.backend == self.id);
        let held: &dyn Any = &*open.ok_or(StateError::ForeignHandle)?.held;
        held.downcast_ref().ok_or(StateError::ForeignHandle)
    }

    fn held_mut<S: Openable>(&mut self, id: StateId) -> Result<&mut S, StateError> {
        let open = self.states.get_mut(id.index).filter(|_| id.backend == self.id);
        let held: &mut dyn Any = &mut *open.ok_or(StateError::ForeignHandle)?.held;
        held.downcast_mut().ok_or(StateError::ForeignHandle)
    }
}

impl Default for OperatorStateBackend {
    fn default() -> Self {
        OperatorStateBackend::new()
    }
}

impl fmt::Debug for OperatorStateBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let states: BTreeMap<_, _> = self.states.iter().map(|open| (&open.name, &open.requested)).collect();
        let unclaimed: Vec<_> = self.unclaimed.keys().collect();
        f.debug_struct("OperatorStateBackend")
            .field("states", &states)
            .field("unclaimed", &unclaimed)
            .finish()
    }
}
