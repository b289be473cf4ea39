//! Older versions of a subtask's state file. In version 4 no state was in files of a backend. In version 3 nothing was compressed. In versions 1 and 2 keyed state was one
//! value per key, without namespaces, and instead of a serializer stood the id of its type, whose bytes are those of the
//! serde serializer.

use super::compression::Compression;
use super::operator::{self, older::OperatorStateHeader};
use super::serializer::{SerdeSerializer, SerializerSnapshot, StateSerializer};
use super::snapshot::{self, no_namespace};
use super::{KeyedHeader, KeyedStateHeader, StateKind};
use crate::codec::{BlockReader, CodecError};
use crate::keygroup::{KeyGroupRange, MaxParallelism};
use serde::Deserialize;
use std::io::Read;

#[derive(Deserialize)]
struct KeyedState {
    name: String,
    kind: Kind,
    value_type: String,
}

#[derive(Deserialize)]
enum Kind {
    Value,
}

#[derive(Deserialize)]
struct Keyed {
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
    key_type: String,
    states: Vec<KeyedState>,
}

/// The first record of a state file of version 4.
#[derive(Deserialize)]
pub(super) struct HeaderWithoutFiles {
    keyed: Option<KeyedHeader>,
    operator: Vec<operator::OperatorStateHeader>,
    compression: Compression,
}

impl HeaderWithoutFiles {
    /// What it says in the words of the present version.
    pub(super) fn into_present(self) -> snapshot::SnapshotHeader {
        let HeaderWithoutFiles { keyed, operator, compression } = self;
        snapshot::SnapshotHeader { keyed, operator, compression, files: None }
    }
}

/// The first record of a state file of version 3.
#[derive(Deserialize)]
pub(super) struct UncompressedHeader {
    keyed: Option<KeyedHeader>,
    operator: Vec<operator::OperatorStateHeader>,
}

impl UncompressedHeader {
    /// What it says in the words of the present version.
    pub(super) fn into_present(self) -> snapshot::SnapshotHeader {
        let UncompressedHeader { keyed, operator } = self;
        snapshot::SnapshotHeader { keyed, operator, compression: Compression::None, files: None }
    }
}

/// The first record of a state file of version 1 or 2.
#[derive(Deserialize)]
pub(super) struct SnapshotHeader {
    keyed: Option<Keyed>,
    operator: Vec<OperatorStateHeader>,
}

impl SnapshotHeader {
    /// What it says in the words of the present version.
    pub(super) fn into_present(self) -> snapshot::SnapshotHeader {
        let state = |KeyedState { name, kind: Kind::Value, value_type }| KeyedStateHeader {
            name,
            kind: StateKind::Value,
            namespace: no_namespace(),
            user_key: None,
            value: serde_serializer(value_type),
        };
        let keyed = self.keyed.map(|Keyed { max_parallelism, range, key_type, states }| KeyedHeader {
            max_parallelism,
            range,
            key: serde_serializer(key_type),
            states: states.into_iter().map(state).collect(),
        });
        let operator = self.operator.into_iter().map(OperatorStateHeader::into_present).collect();
        snapshot::SnapshotHeader { keyed, operator, compression: Compression::None, files: None }
    }
}

fn serde_serializer(type_id: String) -> SerializerSnapshot {
    SerdeSerializer::<()>::with_id(type_id).snapshot()
}

/// Reads an entry, the records of key and value, as the present version has it.
pub(super) fn read_entry<R: Read>(
    blocks: &mut BlockReader<R>,
    target: &mut Vec<u8>,
) -> Result<(), CodecError> {
    blocks.append_framed_record_to(target)?;
    // The record of no namespace.
    target.push(0);
    blocks.append_framed_record_to(target)
}
