//! What a state file holds, for people: read without holding any of it.

use super::backend::BackendFiles;
use super::channels::each_channel;
use super::compression::Compression;
use super::operator::{OperatorStateHeader, skip_items};
use super::read::{Format, WITH_CHANNELS, WITH_SERIALIZERS, each_group, read_header, skip_group};
use super::snapshot::SnapshotHeader;
use super::{KeyedHeader, OperatorStateType, StateError};
use crate::base::Channel;
use crate::codec::{BlockReader, CodecError};
use crate::keygroup::KeyGroupRange;
use std::collections::BTreeMap;
use std::io::Read;

/// What a state file says about itself at its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateFileSummary {
    /// The version of its format.
    pub version: u16,
    /// The keyed state; `None` when the subtask had none.
    pub keyed: Option<KeyedHeader>,
    /// Whether the entries of keyed state are compressed.
    pub is_compressed: bool,
    /// The files in which a backend has left states.
    pub files: Option<BackendFiles>,
    /// The operator states.
    pub operator: Vec<OperatorStateSummary>,
}

/// What a state file says about an operator state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorStateSummary {
    /// Its name.
    pub name: String,
    /// What it is.
    pub state_type: OperatorStateType,
    /// The number of its items, or of entries of a map.
    pub items: u64,
}

/// How much a state file holds, which only reading it to its end tells. Bytes are those of records in the file, without
/// their lengths, after compression.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateFileSizes {
    /// Of each keyed state, in the order of the header; of one in files of a backend nothing stands here.
    pub keyed: Vec<KeyedStateSize>,
    /// The bytes of each operator state, in the order of the header.
    pub operator_bytes: Vec<u64>,
    /// The captured records of each input channel that has any.
    pub inputs: BTreeMap<Channel, CapturedSize>,
    /// The captured records of each output channel that has any.
    pub outputs: BTreeMap<Channel, CapturedSize>,
}

/// How much of a keyed state stands in a state file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KeyedStateSize {
    /// The key groups that are not empty.
    pub key_groups: u64,
    /// The entries of all of them.
    pub entries: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// How many records of a channel were captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedSize {
    /// The name of their type.
    pub record_type: String,
    /// Their number.
    pub records: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl StateFileSummary {
    /// Reads the beginning of a state file.
    ///
    /// # Errors
    /// What was read of the file is damaged, or `reader` failed.
    pub fn read_from(reader: impl Read) -> Result<Self, StateError> {
        let (blocks, header) = read_header(reader)?;
        Ok(StateFileSummary::new(blocks.version(), header))
    }

    /// Reads a state file to its end, without holding more than a block and the header, and checks all of it but what is
    /// compressed, whose checksums alone are checked.
    ///
    /// # Errors
    /// The file is damaged, or `reader` failed.
    pub fn read_to_end(reader: impl Read) -> Result<(Self, StateFileSizes), StateError> {
        let (mut blocks, header) = read_header(reader)?;
        let mut sizes = StateFileSizes::default();
        match blocks.version() {
            WITH_SERIALIZERS.. => {
                sizes.operator_bytes = skip_operator(&mut blocks, &header.operator)?;
                sizes.keyed = skip_keyed(&mut blocks, &header)?;
            }
            _ => {
                sizes.keyed = skip_keyed(&mut blocks, &header)?;
                sizes.operator_bytes = skip_operator(&mut blocks, &header.operator)?;
            }
        }
        if blocks.version() >= WITH_CHANNELS {
            sizes.inputs = skip_channels(&mut blocks)?;
            sizes.outputs = skip_channels(&mut blocks)?;
        }
        let version = blocks.version();
        blocks.finish()?;
        Ok((StateFileSummary::new(version, header), sizes))
    }

    pub(super) fn new(version: u16, header: SnapshotHeader) -> Self {
        let SnapshotHeader { keyed, operator, compression, files } = header;
        let operator = operator.into_iter().map(|OperatorStateHeader { name, state_type, items }| {
            OperatorStateSummary { name, state_type, items }
        });
        StateFileSummary {
            version,
            keyed,
            is_compressed: compression != Compression::None,
            files,
            operator: operator.collect(),
        }
    }
}

fn skip_operator<R: Read>(
    blocks: &mut BlockReader<R>,
    headers: &[OperatorStateHeader],
) -> Result<Vec<u64>, CodecError> {
    headers.iter().map(|header| skip_items(blocks, header)).collect()
}

fn skip_keyed<R: Read>(
    blocks: &mut BlockReader<R>,
    header: &SnapshotHeader,
) -> Result<Vec<KeyedStateSize>, CodecError> {
    let Some(keyed) = &header.keyed else { return Ok(Vec::new()) };
    let sizes =
        keyed.states.iter().map(|state| skip_state(blocks, (state.kind, header.compression), keyed.range));
    sizes.collect()
}

fn skip_state<R: Read>(
    blocks: &mut BlockReader<R>,
    format: Format,
    range: KeyGroupRange,
) -> Result<KeyedStateSize, CodecError> {
    let mut size = KeyedStateSize::default();
    each_group(blocks, range, |blocks, _| {
        let (entries, bytes) = skip_group(blocks, format)?;
        size.key_groups += 1;
        size.entries = size.entries.saturating_add(entries);
        size.bytes += bytes;
        Ok(())
    })?;
    Ok(size)
}

pub(super) fn skip_channels<R: Read>(
    blocks: &mut BlockReader<R>,
) -> Result<BTreeMap<Channel, CapturedSize>, CodecError> {
    each_channel(blocks, |blocks, record_type, records| {
        let mut bytes = 0;
        for _ in 0..records {
            bytes += blocks.skip_record()?;
        }
        Ok(CapturedSize { record_type, records, bytes })
    })
}
