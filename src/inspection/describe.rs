//! State files in the words of a report.

use super::report::{
    BackendFileReport, CapturedReport, KeyedStateReport, OperatorStateReport, SerializerReport,
    StateFileReport,
};
use crate::base::{Channel, ContentId, SharedObject};
use crate::rescale::OperatorStateMode;
use crate::state::backend::{BackendFile, FilePlace};
use crate::state::serializer::SerializerSnapshot;
use crate::state::{
    CapturedSize, KeyedStateHeader, KeyedStateSize, OperatorStateSummary, OperatorStateType, StateFileSizes,
    StateFileSummary, StateKind,
};
use crate::store::{CheckpointStorage, FileSystemCheckpointStorage};
use std::collections::{BTreeMap, BTreeSet};

/// Names the file of which something is told.
pub(super) struct DescribedFile<'a> {
    pub(super) name: String,
    pub(super) is_inline: bool,
    pub(super) bytes: u64,
    pub(super) storage: &'a FileSystemCheckpointStorage,
    /// The shared files of its subtask.
    pub(super) shared: Option<&'a BTreeSet<SharedObject>>,
}

impl DescribedFile<'_> {
    pub(super) fn report(
        self,
        summary: &StateFileSummary,
        sizes: Option<&StateFileSizes>,
    ) -> StateFileReport {
        let keyed = summary.keyed.as_ref();
        let is_in_files =
            |name: &String| summary.files.as_ref().is_some_and(|files| files.states.contains(name));
        let states = keyed.into_iter().flat_map(|keyed| &keyed.states).enumerate();
        let keyed_states = states.map(|(index, header)| {
            let is_in_backend_files = is_in_files(&header.name);
            let size = sizes.and_then(|sizes| sizes.keyed.get(index)).filter(|_| !is_in_backend_files);
            keyed_state(header, is_in_backend_files, size)
        });
        let operator_states = summary.operator.iter().enumerate();
        let operator_states = operator_states.map(|(index, state)| {
            operator_state(state, sizes.and_then(|sizes| sizes.operator_bytes.get(index)))
        });
        let files = summary.files.iter().flat_map(|files| &files.files);
        StateFileReport {
            is_inline: self.is_inline,
            bytes: self.bytes,
            format_version: summary.version,
            is_compressed: summary.is_compressed,
            first_key_group: keyed.map(|keyed| keyed.range.start().0),
            last_key_group: keyed.map(|keyed| keyed.range.end().0),
            key_serializer: keyed.map(|keyed| serializer(&keyed.key)),
            keyed_states: keyed_states.collect(),
            operator_states: operator_states.collect(),
            captured_records: sizes.map(captured),
            backend: summary.files.as_ref().map(|files| files.backend.clone()),
            backend_files: files.map(|file| self.backend_file(file)).collect(),
            file: self.name,
        }
    }

    fn backend_file(&self, file: &BackendFile) -> BackendFileReport {
        let (bytes, shared_file) = match &file.place {
            FilePlace::Private(bytes) => (bytes.len() as u64, None),
            FilePlace::Shared { content, .. } => (content.bytes, self.shared_file(content)),
        };
        BackendFileReport { name: file.name.clone(), bytes, shared_file }
    }

    fn shared_file(&self, content: &ContentId) -> Option<String> {
        let object = self.shared?.iter().find(|object| object.file.content == *content)?;
        Some(self.storage.shared_name(object))
    }
}

fn serializer(snapshot: &SerializerSnapshot) -> SerializerReport {
    SerializerReport { id: snapshot.id.clone(), version: snapshot.version }
}

pub(crate) fn keyed_state(
    header: &KeyedStateHeader,
    is_in_backend_files: bool,
    size: Option<&KeyedStateSize>,
) -> KeyedStateReport {
    KeyedStateReport {
        name: header.name.clone(),
        kind: kind_name(header.kind),
        namespace_serializer: serializer(&header.namespace),
        map_key_serializer: header.user_key.as_ref().map(serializer),
        value_serializer: serializer(&header.value),
        is_in_backend_files,
        key_groups: size.map(|size| size.key_groups),
        entries: size.map(|size| size.entries),
        entry_bytes: size.map(|size| size.bytes),
    }
}

pub(super) fn kind_name(kind: StateKind) -> &'static str {
    match kind {
        StateKind::Value => "value",
        StateKind::List => "list",
        StateKind::Map => "map",
        StateKind::Reducing => "reducing",
        StateKind::Aggregating => "aggregating",
    }
}

pub(super) fn mode_name(mode: OperatorStateMode) -> &'static str {
    match mode {
        OperatorStateMode::Split => "split",
        OperatorStateMode::Union => "union",
        OperatorStateMode::Broadcast => "broadcast",
    }
}

pub(crate) fn operator_state(state: &OperatorStateSummary, bytes: Option<&u64>) -> OperatorStateReport {
    let (map_key, item) = match &state.state_type {
        OperatorStateType::SplitList(item) | OperatorStateType::UnionList(item) => (None, item),
        OperatorStateType::Broadcast { key, value } => (Some(key), value),
    };
    OperatorStateReport {
        name: state.name.clone(),
        mode: mode_name(state.state_type.mode()),
        map_key_serializer: map_key.map(serializer),
        item_serializer: serializer(item),
        items: state.items,
        item_bytes: bytes.copied(),
    }
}

fn captured(sizes: &StateFileSizes) -> Vec<CapturedReport> {
    let of = |side, channels: &BTreeMap<Channel, CapturedSize>| {
        let reports = channels.iter().map(|(channel, size)| CapturedReport {
            side,
            channel: channel.0,
            record_type: size.record_type.clone(),
            records: size.records,
            bytes: size.bytes,
        });
        reports.collect::<Vec<_>>()
    };
    [of("input", &sizes.inputs), of("output", &sizes.outputs)].concat()
}
