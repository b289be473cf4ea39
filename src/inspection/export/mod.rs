//! The entries of states, for people and for other programs.

mod types;
mod value;

pub use value::{Exported, Hex};

use super::checkpoint::metadata_name;
use super::describe::{kind_name, mode_name};
use super::newest::newest_of;
use super::stored_files::StoredFiles;
use super::{Location, LocationError, Problem};
use crate::base::{StateHandle, SubtaskId, WithCauses};
use crate::codec::{CheckpointMetadata, OperatorMetadata, take_record};
use crate::state::backend::{BackendFiles, StateBackend, StateBackendFactory, StateBackends, state_name};
use crate::state::serializer::SerializerSnapshot;
use crate::state::{
    EachRecord, OperatorStateType, RawEntry, StateError, StateFileSummary, StateKind, StateRecord,
};
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage, Place, StorageError};
use crate::ttl::split_time;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use value::Decoder;

/// What is to be shown.
#[derive(Clone, Debug, Default)]
pub struct ExportOptions {
    /// The name of the only state; all without it.
    pub state: Option<String>,
    /// What types of the job are to be read as, by the names under which they were recorded: for instance a type of the job
    /// that has one field, which is a text, as `String`.
    pub types: BTreeMap<String, String>,
    /// The backends whose files can be read. They are fetched to the local disk meanwhile.
    pub backends: StateBackends,
}

/// An entry of a keyed state, or an item of an operator state. The names of the fields are those of the JSON that the command
/// line prints.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ExportedEntry<'a> {
    /// The uid of the operator.
    pub operator_uid: &'a str,
    /// The subtask in whose file it stands.
    pub subtask: u16,
    /// The state.
    pub state: &'a str,
    /// `value`, `list`, `map`, `reducing` or `aggregating` for keyed state; `split`, `union` or `broadcast` for operator state.
    pub kind: &'static str,
    /// The key group, of keyed state.
    pub key_group: Option<u16>,
    /// The key, of keyed state.
    pub key: Option<Exported>,
    /// The namespace, of keyed state.
    pub namespace: Option<Exported>,
    /// The key in the map, of maps and broadcast state.
    pub map_key: Option<Exported>,
    /// The value: the elements of a list, the accumulator of an aggregation.
    pub value: Exported,
    /// When it was updated last, if it has a time to live; of a list, of each of its elements.
    pub updated_milliseconds: Option<Updated>,
}

/// When a value was updated last, by the clock of its time to live.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Updated {
    /// The value.
    At(i64),
    /// Each element of a list.
    EachAt(Vec<i64>),
}

/// Why entries cannot be shown, or no more of them.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// There is no such checkpoint. The caller must name another one.
    #[error(transparent)]
    Location(#[from] LocationError),
    /// Something is damaged; what was shown of that file may be wrong.
    #[error("{0}")]
    Damaged(Problem),
    /// The caller must name another state.
    #[error("there is no state `{state}`; there are {}", list(known))]
    NoSuchState {
        /// The name.
        state: String,
        /// All names.
        known: BTreeSet<String>,
    },
    /// Only a backend that is not among the [options](ExportOptions::backends) can read it. The caller must add it, or take a
    /// savepoint in the canonical format, in which all state is readable.
    #[error(
        "the state `{state}` lies in files of the backend `{backend}`, which this program does not have: a savepoint in the \
         canonical format can be read without it"
    )]
    InBackendFiles {
        /// The name.
        state: String,
        /// The backend.
        backend: String,
    },
    /// A backend cannot take in its files here. The caller must see to what it says: the room for temporary files, for instance.
    #[error("{object}: {cause}")]
    Backend {
        /// The state that refers to the files.
        object: String,
        /// What the backend says.
        cause: StateError,
    },
    /// What was shown could not be taken in.
    #[error("the entries cannot be written: {}", WithCauses(.0))]
    Output(io::Error),
}

fn list(names: &BTreeSet<String>) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// Shows the entries of the checkpoint at `location`, in the directory of a job of its newest one, one after the other as they
/// are read; no more than one of them is held. Types that are not known are shown as bytes.
///
/// # Errors
/// There is no such checkpoint or state, it lies in files of a backend that the options do not have, something is damaged, or
/// `each` failed.
pub fn export(
    location: &Location,
    options: &ExportOptions,
    each: &mut dyn FnMut(&ExportedEntry<'_>) -> io::Result<()>,
) -> Result<(), ExportError> {
    let (storage, place) = newest_of(location)?;
    let missing = || Problem::new(metadata_name(storage, place), "the file is missing");
    let metadata = read_metadata(storage, place).and_then(|found| found.ok_or_else(missing));
    let exporter = Exporter { storage, metadata: metadata.map_err(ExportError::Damaged)?, options };
    exporter.check_state()?;
    exporter.files().try_for_each(|file| exporter.file(file, each))
}

fn read_metadata(
    storage: &FileSystemCheckpointStorage,
    place: Place,
) -> Result<Option<CheckpointMetadata>, Problem> {
    Ok(storage.metadata_of(place)?)
}

struct Exporter<'a> {
    storage: &'a FileSystemCheckpointStorage,
    metadata: CheckpointMetadata,
    options: &'a ExportOptions,
}

/// A subtask, its operator and its state file.
type SubtaskFile<'a> = (SubtaskId, &'a OperatorMetadata, &'a StateHandle);

impl Exporter<'_> {
    fn files(&self) -> impl Iterator<Item = SubtaskFile<'_>> {
        let states = self.metadata.checkpoint.states.iter();
        states.filter_map(|(subtask, handle)| {
            let operator = self.metadata.operators.get(usize::from(subtask.operator))?;
            Some((*subtask, operator, handle.as_ref()?))
        })
    }

    fn is_wanted(&self, state: &str) -> bool {
        self.options.state.as_ref().is_none_or(|wanted| wanted == state)
    }

    /// Whether the state is there, and can be read.
    fn check_state(&self) -> Result<(), ExportError> {
        let mut known = BTreeSet::new();
        for (_, _, handle) in self.files() {
            let summary = self.read(handle, StateFileSummary::read_from)?;
            for name in summary.keyed.iter().flat_map(|keyed| &keyed.states).map(|state| &state.name) {
                let files = summary.files.as_ref().filter(|files| files.states.contains(name));
                let state = files.map_or(&**name, |_| state_name(name)).to_owned();
                if let Some(BackendFiles { backend, .. }) = files
                    && self.is_wanted(&state)
                    && self.factory(backend).is_none()
                {
                    return Err(ExportError::InBackendFiles { state, backend: backend.clone() });
                }
                known.insert(state);
            }
            known.extend(summary.operator.into_iter().map(|state| state.name));
        }
        match &self.options.state {
            Some(state) if !known.contains(state) => {
                Err(ExportError::NoSuchState { state: state.clone(), known })
            }
            _ => Ok(()),
        }
    }

    fn factory(&self, backend: &str) -> Option<Arc<dyn StateBackendFactory>> {
        match self.options.backends.get(backend, BTreeMap::new()) {
            Ok(StateBackend::Custom(factory, _)) => Some(factory),
            Ok(StateBackend::HashMap { .. }) | Err(_) => None,
        }
    }

    fn file(
        &self,
        (subtask, operator, handle): SubtaskFile<'_>,
        each: &mut dyn FnMut(&ExportedEntry<'_>) -> io::Result<()>,
    ) -> Result<(), ExportError> {
        let mut decoders = Decoders { options: self.options, known: BTreeMap::new() };
        let mut failed = None;
        let mut show = |record: StateRecord<'_>| {
            let entry = decoders.entry((&operator.uid, subtask.index), record);
            each(&entry).map_err(|error| {
                failed = Some(error);
                io::Error::other("nobody takes in what is read")
            })
        };
        let wanted = |state: &str| self.is_wanted(state);
        let read = self.read(handle, |reader| StateFileSummary::read_records(reader, &wanted, &mut show));
        let read = read.and_then(|summary| self.backend_files(subtask, handle, &summary, &mut show));
        match failed {
            Some(error) => Err(ExportError::Output(error)),
            None => read,
        }
    }

    /// Shows what lies in files of a backend.
    fn backend_files(
        &self,
        subtask: SubtaskId,
        handle: &StateHandle,
        summary: &StateFileSummary,
        show: &mut EachRecord<'_>,
    ) -> Result<(), ExportError> {
        let files = summary.files.as_ref();
        let Some(factory) = files.and_then(|files| self.factory(&files.backend)) else { return Ok(()) };
        let shared = self.metadata.checkpoint.shared.get(&subtask).into_iter().flatten();
        let objects = shared.map(|object| (object.file.content, *object)).collect();
        let stored = StoredFiles { storage: Arc::new(self.storage.clone()), objects };
        let wanted = |state: &str| self.is_wanted(state);
        let options = BTreeMap::new();
        let read = summary.read_backend_files(&*factory, options, &stored, &wanted, show);
        let object = self.storage.handle_name(handle);
        read.map_err(|error| match error {
            StateError::Backend { state, cause } => match cause.downcast::<StorageError>() {
                Ok(error) => ExportError::Damaged(Problem::from(*error)),
                Err(cause) => ExportError::Backend { object, cause: StateError::Backend { state, cause } },
            },
            error => ExportError::Damaged(Problem::of_state(&object, error)),
        })
    }

    fn read<T>(
        &self,
        handle: &StateHandle,
        read: impl FnOnce(Box<dyn io::Read + Send>) -> Result<T, StateError>,
    ) -> Result<T, ExportError> {
        let object = self.storage.handle_name(handle);
        let opened = self.storage.read_state(handle).map_err(Problem::from);
        let found = opened.and_then(|reader| read(reader).map_err(|error| Problem::of_state(&object, error)));
        found.map_err(ExportError::Damaged)
    }
}

/// What shows the values of each serializer.
struct Decoders<'a> {
    options: &'a ExportOptions,
    known: BTreeMap<SerializerSnapshot, Decoder>,
}

impl Decoders<'_> {
    fn decode(&mut self, written: &SerializerSnapshot, bytes: &[u8]) -> Exported {
        // Most have been seen before.
        if !self.known.contains_key(written) {
            self.known.insert(written.clone(), Decoder::new(written, &self.options.types));
        }
        self.known[written].decode(bytes)
    }

    fn entry<'b>(
        &mut self,
        (operator_uid, subtask): (&'b str, u16),
        record: StateRecord<'b>,
    ) -> ExportedEntry<'b> {
        match record {
            StateRecord::Keyed { keyed, state, key_group, entry } => {
                let RawEntry { key, namespace, user_key, value } = entry;
                let is_list = state.kind == StateKind::List;
                let (value, updated_milliseconds) = self.value(&state.value, value, is_list);
                let map_key = user_key.zip(state.user_key.as_ref());
                ExportedEntry {
                    operator_uid,
                    subtask,
                    state: &state.name,
                    kind: kind_name(state.kind),
                    key_group: Some(key_group.0),
                    key: Some(self.decode(&keyed.key, key)),
                    namespace: Some(self.decode(&state.namespace, namespace)),
                    map_key: map_key.map(|(bytes, written)| self.decode(written, bytes)),
                    value,
                    updated_milliseconds,
                }
            }
            StateRecord::Item { state, state_type, key, item } => {
                let (key_type, item_type) = match state_type {
                    OperatorStateType::SplitList(item) | OperatorStateType::UnionList(item) => (None, item),
                    OperatorStateType::Broadcast { key, value } => (Some(key), value),
                };
                ExportedEntry {
                    operator_uid,
                    subtask,
                    state,
                    kind: mode_name(state_type.mode()),
                    key_group: None,
                    key: None,
                    namespace: None,
                    map_key: key.zip(key_type).map(|(bytes, written)| self.decode(written, bytes)),
                    value: self.decode(item_type, item),
                    updated_milliseconds: None,
                }
            }
        }
    }

    /// A value, or the elements of a list, with the times that stand in front of them.
    fn value(
        &mut self,
        written: &SerializerSnapshot,
        bytes: &[u8],
        is_list: bool,
    ) -> (Exported, Option<Updated>) {
        if !is_list {
            let (value, updated) = self.timed(written, bytes);
            return (value, updated.map(Updated::At));
        }
        let (mut elements, mut times, mut rest) = (Vec::new(), Vec::new(), bytes);
        while let Some(element) = take_record(&mut rest) {
            let (element, updated) = self.timed(written, element);
            elements.push(element);
            times.extend(updated);
        }
        let has_times = written.without_times().is_some();
        (Exported::List(elements), has_times.then_some(Updated::EachAt(times)))
    }

    fn timed(&mut self, written: &SerializerSnapshot, bytes: &[u8]) -> (Exported, Option<i64>) {
        match (written.without_times(), split_time(bytes)) {
            (Some(value), Some((updated, bytes))) => (self.decode(&value, bytes), Some(updated)),
            _ => (self.decode(written, bytes), None),
        }
    }
}
