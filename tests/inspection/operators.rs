//! Checkpoints of operators with one subtask each, made up by hand.

use super::folder::{ATTEMPT, Folder, JOB};
use snapline::base::*;
use snapline::codec::{CheckpointMetadata, OperatorMetadata};
use snapline::keygroup::MaxParallelism;
use snapline::state::{
    ChannelState, KeyedStateStore, ListStateDescriptor, OperatorStateBackend, StateObject, TaskSnapshot,
    ValueStateDescriptor,
};
use snapline::store::*;
use std::collections::BTreeMap;
use std::io::Write;

/// One operator with one subtask.
pub struct Operator<'a> {
    pub uid: &'a str,
    pub max_parallelism: u16,
    pub store: KeyedStateStore<u64>,
    pub operator: OperatorStateBackend,
    pub channels: ChannelState,
    pub is_compressed: bool,
}

pub fn operator(uid: &str, max_parallelism: u16) -> Operator<'_> {
    let groups = MaxParallelism::new(max_parallelism).expect("valid");
    let store = KeyedStateStore::new(groups, groups.all_groups()).expect("valid");
    Operator {
        uid,
        max_parallelism,
        store,
        operator: OperatorStateBackend::new(),
        channels: ChannelState::default(),
        is_compressed: false,
    }
}

impl Operator<'_> {
    /// A value for each of these keys.
    pub fn with_values<T: StateObject + serde::Serialize + serde::de::DeserializeOwned>(
        mut self,
        name: &str,
        values: impl IntoIterator<Item = (u64, T)>,
    ) -> Self {
        let state = self.store.open(&ValueStateDescriptor::<T>::new(name)).expect("opens");
        for (key, value) in values {
            self.store.set_current_key(key).expect("owns");
            state.update(&mut self.store, value).expect("fits");
        }
        self
    }

    pub fn with_list(mut self, items: &[u64]) -> Self {
        let list = self.operator.list_state(&ListStateDescriptor::<u64>::new("list")).expect("opens");
        list.add_all(&mut self.operator, items.iter().copied()).expect("adds");
        self
    }
}

/// Writes checkpoint `id`.
pub fn put(folder: &Folder, id: u64, operators: Vec<Operator<'_>>) {
    let mut states = BTreeMap::new();
    let mut described = Vec::new();
    for (number, mut operator) in operators.into_iter().enumerate() {
        let subtask = SubtaskId::new(number as u16, 0);
        let file = StateFile { checkpoint: CheckpointId(id), subtask, attempt: ATTEMPT, savepoint: false };
        let keyed = Box::new(operator.store.snapshot().expect("memory"));
        let snapshot = TaskSnapshot::new(Some(keyed), operator.operator.snapshot())
            .with_channels(operator.channels)
            .with_compression(operator.is_compressed);
        let mut bytes = Vec::new();
        snapshot.write_to(&mut bytes).expect("memory");
        let mut writer = folder.storage.create_state(file).expect("creates");
        writer.write_all(&bytes).expect("writes");
        states.insert(subtask, Some(writer.finish().expect("finishes")));
        described.push(OperatorMetadata {
            uid: operator.uid.to_owned(),
            name: "name".to_owned(),
            parallelism: 1,
            max_parallelism: operator.max_parallelism,
        });
    }
    let (id, kind, shared) = (CheckpointId(id), CheckpointKind::Periodic, BTreeMap::new());
    let checkpoint = CompletedCheckpoint { id, attempt: ATTEMPT, kind, states, shared };
    folder
        .storage
        .put_metadata(&CheckpointMetadata { job: JOB, operators: described, checkpoint })
        .expect("writes");
}
