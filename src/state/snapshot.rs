use super::operator::OperatorSnapshot;
use super::{ChannelState, RawGroup, StateError};
use crate::codec::{BlockWriter, CodecError, FileKind};
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};
use serde::{Deserialize, Serialize};
use std::io::Write;

/// What a keyed state holds per key. The order of the variants is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StateKind {
    /// One value.
    Value,
}

/// What a snapshot says about one keyed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedStateHeader {
    /// Its name.
    pub name: String,
    /// What it holds per key.
    pub kind: StateKind,
    /// The id of its value type.
    pub value_type: String,
}

/// What a snapshot says about the keyed state of a subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedHeader {
    /// The number of key groups of the operator.
    pub max_parallelism: MaxParallelism,
    /// The key groups of the subtask.
    pub range: KeyGroupRange,
    /// The id of the key type.
    pub key_type: String,
    /// The states, in the order in which their content follows.
    pub states: Vec<KeyedStateHeader>,
}

/// What a snapshot says about one list of operator state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OperatorStateHeader {
    pub(super) name: String,
    pub(super) item_type: String,
    pub(super) items: u64,
}

/// The first record of a state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotHeader {
    pub(super) keyed: Option<KeyedHeader>,
    pub(super) operator: Vec<OperatorStateHeader>,
}

/// The keyed state of a subtask at one moment, taken by a backend and written later by another thread.
pub trait KeyedSnapshot: Send {
    /// What the snapshot holds.
    fn header(&self) -> KeyedHeader;

    /// The number of entries of all states together.
    fn entries(&self) -> u64;

    /// Writes the groups of state number `state` of the header, in ascending order; empty ones may be left out.
    ///
    /// # Errors
    /// A key or value refuses to be serialized, or the target failed.
    fn write_state(&self, state: usize, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError>;
}

/// Writes the content of one keyed state into a snapshot.
pub struct KeyedStateWriter<'a> {
    blocks: BlockWriter<&'a mut dyn Write>,
}

impl KeyedStateWriter<'_> {
    /// Starts a key group; exactly `entries` entries must follow.
    ///
    /// # Errors
    /// The target failed.
    pub fn begin_group(&mut self, group: KeyGroup, entries: u64) -> Result<(), CodecError> {
        // Zero ends the list of groups.
        self.blocks.write_varint(u64::from(group.0) + 1)?;
        self.blocks.write_varint(entries)
    }

    /// Writes one entry of the group.
    ///
    /// # Errors
    /// The key or the value refuses to be serialized, or the target failed.
    pub fn entry<K: Serialize, V: Serialize>(&mut self, key: &K, value: &V) -> Result<(), CodecError> {
        self.blocks.write_value(key)?;
        self.blocks.write_value(value)
    }

    /// Writes a whole group as it was read.
    ///
    /// # Errors
    /// The target failed.
    pub fn raw_group(&mut self, group: KeyGroup, raw: &RawGroup) -> Result<(), CodecError> {
        self.begin_group(group, raw.entries())?;
        Ok(self.blocks.write_all(raw.bytes())?)
    }
}

/// All state of one subtask at one moment: what goes into its state file.
#[derive(Default)]
pub struct TaskSnapshot {
    keyed: Option<Box<dyn KeyedSnapshot>>,
    operator: OperatorSnapshot,
    channels: ChannelState,
}

impl TaskSnapshot {
    /// Puts the snapshots of a subtask's backends together.
    #[must_use]
    pub fn new(keyed: Option<Box<dyn KeyedSnapshot>>, operator: OperatorSnapshot) -> Self {
        TaskSnapshot { keyed, operator, channels: ChannelState::default() }
    }

    /// The same with the records that were on their way.
    #[must_use]
    pub fn with_channels(self, channels: ChannelState) -> Self {
        TaskSnapshot { channels, ..self }
    }

    /// Whether there is nothing to write: the subtask then reports no state (H02).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_keyed = self.keyed.as_ref().is_some_and(|keyed| keyed.entries() > 0);
        !has_keyed && self.operator.is_empty() && self.channels.is_empty()
    }

    /// Writes the snapshot as one file.
    ///
    /// # Errors
    /// A value refuses to be serialized, or `target` failed; what was written is useless then.
    pub fn write_to(self, target: &mut dyn Write) -> Result<(), StateError> {
        let keyed = self.keyed.as_ref().map(|keyed| keyed.header());
        let states = keyed.as_ref().map_or(0, |header| header.states.len());
        let header = SnapshotHeader { keyed, operator: self.operator.headers() };
        let mut writer = KeyedStateWriter { blocks: BlockWriter::new(target, FileKind::State)? };
        writer.blocks.write_value(&header)?;
        if let Some(keyed) = &self.keyed {
            for state in 0..states {
                keyed.write_state(state, &mut writer)?;
                writer.blocks.write_varint(0)?;
            }
        }
        self.operator.write_items(&mut writer.blocks)?;
        self.channels.write_to(&mut writer.blocks)?;
        writer.blocks.finish()?;
        Ok(())
    }
}
