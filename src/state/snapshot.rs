use super::backend::{BackendFile, BackendFiles, LocalFile};
use super::compression::{Compression, write_compressed};
use super::operator::{OperatorSnapshot, OperatorStateHeader};
use super::serializer::{SerdeSerializer, SerializerSnapshot, StateSerializer};
use super::{ChannelState, RawGroup, StateError};
use crate::codec::{BlockWriter, CodecError, FileKind};
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::Write;

/// What a keyed state holds per key. The order of the variants is part of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum StateKind {
    /// One value.
    Value,
    /// A list.
    List,
    /// A map.
    Map,
    /// One value into which others are reduced.
    Reducing,
    /// One accumulator.
    Aggregating,
}

/// What a snapshot says about one keyed state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedStateHeader {
    /// Its name.
    pub name: String,
    /// What it holds per key.
    pub kind: StateKind,
    /// The serializer of its namespaces.
    pub namespace: SerializerSnapshot,
    /// The serializer of the keys of its maps, if it has any.
    pub user_key: Option<SerializerSnapshot>,
    /// The serializer of its values: of elements for a list, of accumulators for an aggregating state.
    pub value: SerializerSnapshot,
}

impl fmt::Display for KeyedStateHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let KeyedStateHeader { kind, namespace, user_key, value, .. } = self;
        match (kind, user_key) {
            (StateKind::Value, _) => write!(f, "a value of {value}"),
            (StateKind::List, _) => write!(f, "a list of {value}"),
            (StateKind::Map, Some(key)) => write!(f, "a map from {key} to {value}"),
            (StateKind::Map, None) => write!(f, "a map to {value}"),
            (StateKind::Reducing, _) => write!(f, "a reduced {value}"),
            (StateKind::Aggregating, _) => write!(f, "an accumulator {value}"),
        }?;
        match *namespace == no_namespace() {
            true => Ok(()),
            false => write!(f, " in namespaces {namespace}"),
        }
    }
}

/// The serializer of the namespace that stands for none.
pub(super) fn no_namespace() -> SerializerSnapshot {
    SerdeSerializer::<()>::new().snapshot()
}

/// What a snapshot says about the keyed state of a subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyedHeader {
    /// The number of key groups of the operator.
    pub max_parallelism: MaxParallelism,
    /// The key groups of the subtask.
    pub range: KeyGroupRange,
    /// The serializer of the keys.
    pub key: SerializerSnapshot,
    /// The states, in the order in which their content follows.
    pub states: Vec<KeyedStateHeader>,
}

/// The first record of a state file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SnapshotHeader {
    pub(super) keyed: Option<KeyedHeader>,
    pub(super) operator: Vec<OperatorStateHeader>,
    /// Of the keyed state.
    pub(super) compression: Compression,
    /// Where the backend has left its states, which then have no entries here.
    pub(super) files: Option<BackendFiles>,
}

/// The keyed state of a subtask at one moment, taken by a backend and written later by another thread.
pub trait KeyedSnapshot: Send {
    /// What the snapshot holds.
    fn header(&self) -> KeyedHeader;

    /// Whether no state holds anything.
    fn is_empty(&self) -> bool;

    /// The files that hold all states which a backend keeps, if it has such: a snapshot may refer to them instead of writing the
    /// entries.
    fn files(&self) -> Option<&[LocalFile]> {
        None
    }

    /// Whether state number `state` of the header lies in the files.
    fn is_in_files(&self, state: usize) -> bool {
        let _ = state;
        false
    }

    /// Writes the groups of state number `state` of the header, in ascending order; empty ones may be left out.
    ///
    /// # Errors
    /// A key or value refuses to be serialized, or the target failed.
    fn write_state(&self, state: usize, target: &mut KeyedStateWriter<'_>) -> Result<(), StateError>;
}

/// Writes the content of one keyed state into a snapshot.
///
/// Entries are collected in batches that are preceded by their number, so that nobody need know beforehand how many
/// there are.
pub struct KeyedStateWriter<'a> {
    blocks: BlockWriter<&'a mut dyn Write>,
    compression: Compression,
    batch: Vec<u8>,
    entries_in_batch: u64,
}

/// A batch with this many bytes is written.
const BATCH_BYTES: usize = 32 * 1024;

impl<'a> KeyedStateWriter<'a> {
    fn new(blocks: BlockWriter<&'a mut dyn Write>, compression: Compression) -> Self {
        KeyedStateWriter { blocks, compression, batch: Vec::new(), entries_in_batch: 0 }
    }

    /// Starts a key group.
    ///
    /// # Errors
    /// The target failed.
    pub fn begin_group(&mut self, group: KeyGroup) -> Result<(), CodecError> {
        // Zero ends the list of groups.
        self.blocks.write_varint(u64::from(group.0) + 1)
    }

    /// Writes one entry of the group: the records that `append` appends, which are the key, the namespace, the key of a map's
    /// entry if it is one, and the value.
    ///
    /// # Errors
    /// A value refuses to be serialized, or the target failed.
    #[inline]
    pub fn entry(
        &mut self,
        append: impl FnOnce(&mut Vec<u8>) -> Result<(), StateError>,
    ) -> Result<(), StateError> {
        append(&mut self.batch)?;
        self.entries_in_batch += 1;
        if self.batch.len() >= BATCH_BYTES {
            self.write_batch()?;
        }
        Ok(())
    }

    /// Ends a key group.
    ///
    /// # Errors
    /// The target failed.
    pub fn end_group(&mut self) -> Result<(), CodecError> {
        if self.entries_in_batch > 0 {
            self.write_batch()?;
        }
        self.blocks.write_varint(0)
    }

    /// Writes a whole group as it was read.
    ///
    /// # Errors
    /// The target failed.
    pub fn raw_group(&mut self, group: KeyGroup, raw: &RawGroup) -> Result<(), CodecError> {
        if raw.entries() == 0 {
            // A batch of no entries would end the group, and what follows it the state.
            return Ok(());
        }
        self.begin_group(group)?;
        write_entries(&mut self.blocks, self.compression, raw.entries(), raw.bytes())?;
        self.blocks.write_varint(0)
    }

    fn write_batch(&mut self) -> Result<(), CodecError> {
        write_entries(&mut self.blocks, self.compression, self.entries_in_batch, &self.batch)?;
        self.batch.clear();
        self.entries_in_batch = 0;
        Ok(())
    }
}

/// Writes a batch of entries.
fn write_entries<W: Write>(
    blocks: &mut BlockWriter<W>,
    compression: Compression,
    entries: u64,
    bytes: &[u8],
) -> Result<(), CodecError> {
    blocks.write_varint(entries)?;
    match compression {
        Compression::None => Ok(blocks.write_all(bytes)?),
        Compression::Lz4 => write_compressed(blocks, bytes),
    }
}

/// All state of one subtask at one moment: what goes into its state file.
#[derive(Default)]
pub struct TaskSnapshot {
    keyed: Option<Box<dyn KeyedSnapshot>>,
    operator: OperatorSnapshot,
    channels: ChannelState,
    compression: Compression,
    files: Option<BackendFiles>,
}

impl TaskSnapshot {
    /// Puts the snapshots of a subtask's backends together.
    #[must_use]
    pub fn new(keyed: Option<Box<dyn KeyedSnapshot>>, operator: OperatorSnapshot) -> Self {
        TaskSnapshot { keyed, operator, ..TaskSnapshot::default() }
    }

    /// The same with the records that were on their way.
    #[must_use]
    pub fn with_channels(self, channels: ChannelState) -> Self {
        TaskSnapshot { channels, ..self }
    }

    /// The same, whose keyed state is compressed when it is written, each key group by itself, or not. Whoever reads it need
    /// not know.
    #[must_use]
    pub fn with_compression(self, is_compressed: bool) -> Self {
        let compression = if is_compressed { Compression::Lz4 } else { Compression::None };
        TaskSnapshot { compression, ..self }
    }

    /// The files that hold the keyed state, if its backend keeps it in such.
    #[must_use]
    pub fn files(&self) -> Option<&[LocalFile]> {
        self.keyed.as_ref()?.files()
    }

    /// The same, whose keyed state lies in `files` of this backend, those of [`files`](Self::files): only what does not lie
    /// there is written.
    #[must_use]
    pub fn with_files(self, backend: impl Into<String>, files: Vec<BackendFile>) -> Self {
        let states = self.keyed.iter().flat_map(|keyed| {
            let states = keyed.header().states.into_iter().enumerate();
            states.filter(|(state, _)| keyed.is_in_files(*state)).map(|(_, header)| header.name)
        });
        let files = BackendFiles { backend: backend.into(), states: states.collect(), files };
        TaskSnapshot { files: Some(files), ..self }
    }

    /// Whether there is nothing to write: the subtask then reports no state (H02).
    #[must_use]
    pub fn is_empty(&self) -> bool {
        // Files were uploaded for it, whatever they hold.
        let has_files = self.files.is_some();
        let has_keyed = has_files || self.keyed.as_ref().is_some_and(|keyed| !keyed.is_empty());
        !has_keyed && self.operator.is_empty() && self.channels.is_empty()
    }

    /// Writes the snapshot as one file.
    ///
    /// # Errors
    /// A value refuses to be serialized, or `target` failed; what was written is useless then.
    pub fn write_to(self, target: &mut dyn Write) -> Result<(), StateError> {
        let keyed = self.keyed.as_ref().map(|keyed| keyed.header());
        let states = keyed.as_ref().map_or(0, |header| header.states.len());
        let (operator, compression) = (self.operator.headers(), self.compression);
        let is_in_files = self.files.is_some();
        let header = SnapshotHeader { keyed, operator, compression, files: self.files };
        let blocks = BlockWriter::new(target, FileKind::State)?;
        let mut writer = KeyedStateWriter::new(blocks, compression);
        writer.blocks.write_value(&header)?;
        self.operator.write_items(&mut writer.blocks)?;
        if let Some(keyed) = &self.keyed {
            for state in 0..states {
                if !(is_in_files && keyed.is_in_files(state)) {
                    keyed.write_state(state, &mut writer)?;
                }
                writer.blocks.write_varint(0)?;
            }
        }
        self.channels.write_to(&mut writer.blocks)?;
        writer.blocks.finish()?;
        Ok(())
    }
}
