//! What a checkpoint holds, without regard to how it is distributed among subtasks.

use super::super::Problem;
use super::super::checkpoint::read_state;
use crate::base::{SharedObject, SubtaskId};
use crate::codec::{CheckpointMetadata, OperatorMetadata};
use crate::state::backend::state_name;
use crate::state::{StateFileSizes, StateFileSummary};
use crate::store::FileSystemCheckpointStorage;
use std::collections::{BTreeMap, BTreeSet};

/// An operator, by its uid.
pub(super) type Operators = BTreeMap<String, Operator>;

pub(super) struct Operator {
    pub(super) metadata: OperatorMetadata,
    pub(super) finished_subtasks: u64,
    pub(super) captured_records: u64,
    /// What each subtask has that has any state.
    pub(super) subtasks: BTreeMap<u16, Bytes>,
    pub(super) states: BTreeMap<StateKey, State>,
}

/// Tells the bytes of a subtask's state from others.
#[derive(PartialEq, Eq)]
pub(super) struct Bytes {
    length: u64,
    checksum: u32,
    shared: BTreeSet<SharedObject>,
}

/// The name of a state, and whether it is keyed.
pub(super) type StateKey = (bool, String);

#[derive(Default, PartialEq, Eq)]
pub(super) struct State {
    pub(super) types: BTreeSet<String>,
    pub(super) size: Size,
}

/// Entries and bytes, unless some of them lie in files of a backend.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Size(pub(super) Option<(u64, u64)>);

impl Default for Size {
    fn default() -> Self {
        Size(Some((0, 0)))
    }
}

impl Size {
    fn add(&mut self, more: Option<(u64, u64)>) {
        let sum = |(entries, bytes): (u64, u64), more: (u64, u64)| {
            (entries.saturating_add(more.0), bytes.saturating_add(more.1))
        };
        self.0 = self.0.zip(more).map(|(so_far, more)| sum(so_far, more));
    }
}

/// Reads all state files of a checkpoint to their ends.
pub(super) fn read(
    storage: &FileSystemCheckpointStorage,
    metadata: &CheckpointMetadata,
    problems: &mut Vec<Problem>,
) -> Operators {
    let operators = (0..).zip(&metadata.operators).map(|(number, operator)| {
        let uid = if operator.uid.is_empty() { format!("#{number}") } else { operator.uid.clone() };
        let mut found = Operator {
            metadata: operator.clone(),
            finished_subtasks: 0,
            captured_records: 0,
            subtasks: BTreeMap::new(),
            states: BTreeMap::new(),
        };
        for index in 0..operator.parallelism {
            found.read_subtask(storage, metadata, SubtaskId::new(number, index), problems);
        }
        (uid, found)
    });
    operators.collect()
}

impl Operator {
    fn read_subtask(
        &mut self,
        storage: &FileSystemCheckpointStorage,
        metadata: &CheckpointMetadata,
        subtask: SubtaskId,
        problems: &mut Vec<Problem>,
    ) {
        let checkpoint = &metadata.checkpoint;
        self.finished_subtasks += u64::from(checkpoint.had_finished(subtask));
        let Some(handle) = checkpoint.states.get(&subtask).and_then(Option::as_ref) else { return };
        let shared = checkpoint.shared.get(&subtask).cloned().unwrap_or_default();
        let bytes = Bytes { length: handle.bytes, checksum: handle.checksum, shared };
        self.subtasks.insert(subtask.index, bytes);
        let of = (subtask, handle);
        let read = read_state(
            storage,
            metadata,
            of,
            StateFileSummary::read_to_end,
            |(summary, _)| summary,
            problems,
        );
        if let Some((summary, sizes)) = read {
            self.add_states(&summary, &sizes);
        }
    }

    fn add_states(&mut self, summary: &StateFileSummary, sizes: &StateFileSizes) {
        let keyed = summary.keyed.iter().flat_map(|keyed| &keyed.states);
        for (header, size) in keyed.zip(&sizes.keyed) {
            let is_in_files = summary.files.as_ref().is_some_and(|files| files.states.contains(&header.name));
            let name = if is_in_files { state_name(&header.name) } else { &header.name };
            let state = self.states.entry((true, name.to_owned())).or_default();
            state.types.insert(header.to_string());
            state.size.add((!is_in_files).then_some((size.entries, size.bytes)));
        }
        for (operator, bytes) in summary.operator.iter().zip(&sizes.operator_bytes) {
            let state = self.states.entry((false, operator.name.clone())).or_default();
            state.types.insert(operator.state_type.to_string());
            state.size.add(Some((operator.items, *bytes)));
        }
        let captured = sizes.inputs.values().chain(sizes.outputs.values());
        self.captured_records += captured.map(|captured| captured.records).sum::<u64>();
    }
}
