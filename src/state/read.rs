//! Reading a subtask's state file.

use super::compression::{Compression, read_compressed, skip_compressed};
use super::older;
use super::operator::read_operator;
use super::snapshot::SnapshotHeader;
use super::{
    ChannelState, KeyedHeader, KeyedImage, OperatorImage, RawGroup, RawKeyedState, SnapshotImage, StateError,
    StateKind,
};
use crate::codec::{BlockReader, CodecError, FileKind, take_record};
use crate::keygroup::{KeyGroup, KeyGroupRange};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

/// From this version on a state file ends with the records that were on their way.
pub(super) const WITH_CHANNELS: u16 = 2;

/// From this version on it names serializers and not only types, keyed state has namespaces and stands in batches, and
/// operator state stands before it.
pub(super) const WITH_SERIALIZERS: u16 = 3;

/// From this version on it says whether its keyed state is compressed.
const WITH_COMPRESSION: u16 = 4;

/// From this version on it may refer to files of the backend.
const WITH_FILES: u16 = 5;

impl SnapshotImage {
    /// Reads a whole state file and keeps the key groups that lie in `keep`; without it, all of them.
    ///
    /// # Errors
    /// The file is damaged, or `reader` failed.
    pub fn read_from(reader: impl Read, keep: Option<KeyGroupRange>) -> Result<Self, StateError> {
        let (mut blocks, header) = read_header(reader)?;
        let compression = header.compression;
        let keyed = |blocks: &mut _| {
            let keyed =
                header.keyed.map(|header| read_keyed(blocks, header, compression, keep)).transpose()?;
            Ok::<_, CodecError>(keyed.map(|keyed| KeyedImage { files: header.files, ..keyed }))
        };
        let (keyed, operator) = match blocks.version() {
            WITH_SERIALIZERS.. => {
                let operator = read_operator(&mut blocks, header.operator)?;
                (keyed(&mut blocks)?, operator)
            }
            _ => (keyed(&mut blocks)?, read_operator(&mut blocks, header.operator)?),
        };
        let channels = match blocks.version() {
            WITH_CHANNELS.. => ChannelState::read_from(&mut blocks)?,
            _ => ChannelState::default(),
        };
        blocks.finish()?;
        Ok(SnapshotImage { keyed, operator, channels })
    }
}

impl OperatorImage {
    /// Reads the operator state alone, without reading a file to its end.
    ///
    /// # Errors
    /// What was read of the file is damaged, or `reader` failed.
    pub fn read_from(reader: impl Read) -> Result<Self, StateError> {
        let (mut blocks, header) = read_header(reader)?;
        if let (..WITH_SERIALIZERS, Some(keyed)) = (blocks.version(), header.keyed) {
            read_keyed(&mut blocks, keyed, header.compression, None)?;
        }
        Ok(read_operator(&mut blocks, header.operator)?)
    }
}

impl ChannelState {
    /// Reads the records that were on their way, and over everything else.
    ///
    /// # Errors
    /// The file is damaged, or `reader` failed.
    pub fn read_from_file(reader: impl Read) -> Result<Self, StateError> {
        let (mut blocks, header) = read_header(reader)?;
        let skip_keyed = |blocks: &mut BlockReader<_>| {
            let Some(keyed) = &header.keyed else { return Ok(()) };
            keyed.states.iter().try_for_each(|state| {
                let format = (state.kind, header.compression);
                each_group(blocks, keyed.range, |blocks, _| skip_group(blocks, format).map(drop))
            })
        };
        match blocks.version() {
            WITH_SERIALIZERS.. => {
                read_operator(&mut blocks, header.operator)?;
                skip_keyed(&mut blocks)?;
            }
            WITH_CHANNELS.. => {
                skip_keyed(&mut blocks)?;
                read_operator(&mut blocks, header.operator)?;
            }
            _ => return Ok(ChannelState::default()),
        }
        let channels = ChannelState::read_from(&mut blocks)?;
        blocks.finish()?;
        Ok(channels)
    }
}

/// Opens a state file and reads what it says about itself.
pub(super) fn read_header<R: Read>(reader: R) -> Result<(BlockReader<R>, SnapshotHeader), CodecError> {
    let mut blocks = BlockReader::new(reader, FileKind::State)?;
    let header: SnapshotHeader = match blocks.version() {
        WITH_FILES.. => blocks.read_value()?,
        WITH_COMPRESSION => older::HeaderWithoutFiles::into_present(blocks.read_value()?),
        WITH_SERIALIZERS => older::UncompressedHeader::into_present(blocks.read_value()?),
        _ => older::SnapshotHeader::into_present(blocks.read_value()?),
    };
    let keyed = || header.keyed.iter().flat_map(|keyed| &keyed.states);
    check_keyed(&blocks, header.keyed.as_ref())?;
    check_names(&blocks, "state", keyed().map(|state| &state.name))?;
    check_names(&blocks, "operator state", header.operator.iter().map(|state| &state.name))?;
    if let Some(files) = &header.files {
        if !files.have_plain_names() {
            return Err(blocks.corrupt("the names of the backend's files are no names of different files"));
        }
        let known: BTreeSet<&String> = keyed().map(|state| &state.name).collect();
        if let Some(unknown) = files.states.iter().find(|name| !known.contains(name)) {
            return Err(blocks.corrupt(format!("the state `{unknown}` of the backend's files is not known")));
        }
    }
    Ok((blocks, header))
}

fn check_keyed(blocks: &BlockReader<impl Read>, keyed: Option<&KeyedHeader>) -> Result<(), CodecError> {
    match keyed.is_none_or(|keyed| keyed.max_parallelism.all_groups().contains(keyed.range.end())) {
        true => Ok(()),
        false => Err(blocks.corrupt("the key groups exceed the maximum parallelism")),
    }
}

fn check_names<'a>(
    blocks: &BlockReader<impl Read>,
    of: &str,
    names: impl Iterator<Item = &'a String>,
) -> Result<(), CodecError> {
    let mut known = BTreeSet::new();
    match { names }.find(|name| !known.insert(*name)) {
        None => Ok(()),
        Some(name) => Err(blocks.corrupt(format!("{of} `{name}` stands there twice"))),
    }
}

fn read_keyed<R: Read>(
    blocks: &mut BlockReader<R>,
    header: KeyedHeader,
    compression: Compression,
    keep: Option<KeyGroupRange>,
) -> Result<KeyedImage, CodecError> {
    let mut states = BTreeMap::new();
    for state in &header.states {
        let format = (state.kind, compression);
        let mut groups = BTreeMap::new();
        each_group(blocks, header.range, |blocks, group| {
            match keep.is_none_or(|keep| keep.contains(group)) {
                true => drop(groups.insert(group, read_group(blocks, format)?)),
                false => drop(skip_group(blocks, format)?),
            }
            Ok(())
        })?;
        states.insert(state.name.clone(), RawKeyedState { header: state.clone(), groups });
    }
    Ok(KeyedImage { header, states, files: None })
}

/// What the bytes of a state depend on.
pub(super) type Format = (StateKind, Compression);

/// Goes through the key groups of a state, each of which `read` reads.
pub(super) fn each_group<R: Read>(
    blocks: &mut BlockReader<R>,
    range: KeyGroupRange,
    mut read: impl FnMut(&mut BlockReader<R>, KeyGroup) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    let mut previous = None;
    while let Some(number) = blocks.read_varint()?.checked_sub(1) {
        let group = u16::try_from(number).map(KeyGroup).ok().filter(|group| range.contains(*group));
        let group = group.ok_or_else(|| blocks.corrupt(format!("key group {number} is not in {range}")))?;
        if previous.is_some_and(|previous| previous >= group) {
            return Err(blocks.corrupt("the key groups are not in order"));
        }
        previous = Some(group);
        read(blocks, group)?;
    }
    Ok(())
}

/// Goes through the batches of a key group, each of which `read` reads when it knows the number of entries.
pub(super) fn each_batch<R: Read>(
    blocks: &mut BlockReader<R>,
    mut read: impl FnMut(&mut BlockReader<R>, u64) -> Result<(), CodecError>,
) -> Result<(), CodecError> {
    if blocks.version() < WITH_SERIALIZERS {
        let entries = blocks.read_varint()?;
        return read(blocks, entries);
    }
    loop {
        match blocks.read_varint()? {
            0 => return Ok(()),
            entries => read(blocks, entries)?,
        }
    }
}

fn read_group<R: Read>(
    blocks: &mut BlockReader<R>,
    (kind, compression): Format,
) -> Result<RawGroup, CodecError> {
    let (mut entries, mut bytes) = (0, Vec::new());
    each_batch(blocks, |blocks, batch| {
        entries += batch;
        match compression {
            Compression::None => read_batch(blocks, batch, kind, &mut bytes),
            Compression::Lz4 => read_compressed_batch(blocks, batch, kind, &mut bytes),
        }
    })?;
    bytes.shrink_to_fit();
    Ok(RawGroup { entries, bytes: Arc::new(bytes) })
}

/// Reads over a key group, and says how many entries it has and how many bytes these have in the file.
pub(super) fn skip_group<R: Read>(
    blocks: &mut BlockReader<R>,
    (kind, compression): Format,
) -> Result<(u64, u64), CodecError> {
    let (mut entries, mut bytes) = (0_u64, 0);
    each_batch(blocks, |blocks, batch| {
        entries = entries.saturating_add(batch);
        if compression == Compression::Lz4 {
            bytes += skip_compressed(blocks)?;
            return Ok(());
        }
        let records = if blocks.version() < WITH_SERIALIZERS { 2 } else { records_of_entry(kind) };
        for _ in 0..batch {
            for _ in 0..records {
                bytes += blocks.skip_record()?;
            }
        }
        Ok(())
    })?;
    Ok((entries, bytes))
}

pub(super) fn read_batch<R: Read>(
    blocks: &mut BlockReader<R>,
    entries: u64,
    kind: StateKind,
    target: &mut Vec<u8>,
) -> Result<(), CodecError> {
    for _ in 0..entries {
        match blocks.version() {
            WITH_SERIALIZERS.. => {
                (0..records_of_entry(kind)).try_for_each(|_| blocks.append_framed_record_to(target))?;
            }
            _ => older::read_entry(blocks, target)?,
        }
    }
    Ok(())
}

fn read_compressed_batch<R: Read>(
    blocks: &mut BlockReader<R>,
    entries: u64,
    kind: StateKind,
    target: &mut Vec<u8>,
) -> Result<(), CodecError> {
    let before = target.len();
    read_compressed(blocks, target)?;
    let mut rest = &target[before..];
    let mut has_entry = || (0..records_of_entry(kind)).all(|_| take_record(&mut rest).is_some());
    match (0..entries).all(|_| has_entry()) && rest.is_empty() {
        true => Ok(()),
        false => Err(blocks.corrupt("compressed state has another number of entries than it says")),
    }
}

pub(super) fn records_of_entry(kind: StateKind) -> u32 {
    match kind {
        StateKind::Map => 4,
        _ => 3,
    }
}
