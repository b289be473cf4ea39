//! Reading the entries of a state file one after the other, of which no more than one is held.

use super::compression::{Compression, next_decompressed};
use super::contents::{StateFileSummary, skip_channels};
use super::operator::{OperatorStateHeader, OperatorStateType, records_of_item, skip_items};
use super::read::{
    Format, WITH_CHANNELS, WITH_SERIALIZERS, each_batch, each_group, read_batch, read_header,
    records_of_entry, skip_group,
};
use super::{KeyedHeader, KeyedStateHeader, RawEntry, StateError, StateKind};
use crate::codec::{BlockReader, CodecError, take_record};
use crate::keygroup::KeyGroup;
use std::io::{self, Read};

/// Something that stands in a state file.
#[derive(Clone, Copy, Debug)]
pub enum StateRecord<'a> {
    /// An entry of a keyed state.
    Keyed {
        /// The serializer of the keys, and what else is said of the keyed state.
        keyed: &'a KeyedHeader,
        /// The state.
        state: &'a KeyedStateHeader,
        /// The key group.
        key_group: KeyGroup,
        /// The entry.
        entry: RawEntry<'a>,
    },
    /// An item of an operator state.
    Item {
        /// The name of the state.
        state: &'a str,
        /// What the state is.
        state_type: &'a OperatorStateType,
        /// The key, if it is a broadcast state.
        key: Option<&'a [u8]>,
        /// The item, or the value of the key.
        item: &'a [u8],
    },
}

/// Takes in the records of a state file; what it fails with ends the reading.
pub type EachRecord<'a> = dyn FnMut(StateRecord<'_>) -> io::Result<()> + 'a;

impl StateFileSummary {
    /// Reads a state file to its end and shows each entry of the states that are `wanted` by their names. A state in files of a
    /// backend has none here. What was shown is right only if there is no error.
    ///
    /// # Errors
    /// The file is damaged, or `reader` or `each` failed.
    pub fn read_records(
        reader: impl Read,
        wanted: &dyn Fn(&str) -> bool,
        each: &mut EachRecord<'_>,
    ) -> Result<Self, StateError> {
        let (mut blocks, header) = read_header(reader)?;
        let is_operator_first = blocks.version() >= WITH_SERIALIZERS;
        if is_operator_first {
            show_operator(&mut blocks, &header.operator, wanted, each)?;
        }
        for state in header.keyed.iter().flat_map(|keyed| &keyed.states) {
            let Some(keyed) = &header.keyed else { continue };
            let format = (state.kind, header.compression);
            match wanted(&state.name) {
                true => show_state(&mut blocks, keyed, state, format, each)?,
                false => {
                    each_group(&mut blocks, keyed.range, |blocks, _| skip_group(blocks, format).map(drop))?
                }
            }
        }
        if !is_operator_first {
            show_operator(&mut blocks, &header.operator, wanted, each)?;
        }
        if blocks.version() >= WITH_CHANNELS {
            skip_channels(&mut blocks)?;
            skip_channels(&mut blocks)?;
        }
        let version = blocks.version();
        blocks.finish()?;
        Ok(StateFileSummary::new(version, header))
    }
}

fn show_operator<R: Read>(
    blocks: &mut BlockReader<R>,
    states: &[OperatorStateHeader],
    wanted: &dyn Fn(&str) -> bool,
    each: &mut EachRecord<'_>,
) -> Result<(), CodecError> {
    let mut item = Vec::new();
    for header in states {
        if !wanted(&header.name) {
            skip_items(blocks, header)?;
            continue;
        }
        let OperatorStateHeader { name, state_type, items } = header;
        for _ in 0..*items {
            item.clear();
            for _ in 0..records_of_item(state_type) {
                blocks.append_framed_record_to(&mut item)?;
            }
            let mut rest = &item[..];
            let mut record = || take_record(&mut rest).ok_or_else(|| blocks.corrupt("an item is damaged"));
            let key = if records_of_item(state_type) == 2 { Some(record()?) } else { None };
            each(StateRecord::Item { state: name, state_type, key, item: record()? })?;
        }
    }
    Ok(())
}

fn show_state<R: Read>(
    blocks: &mut BlockReader<R>,
    keyed: &KeyedHeader,
    state: &KeyedStateHeader,
    format: Format,
    each: &mut EachRecord<'_>,
) -> Result<(), CodecError> {
    let (kind, compression) = format;
    each_group(blocks, keyed.range, |blocks, key_group| {
        let mut show = |entry: RawEntry<'_>| each(StateRecord::Keyed { keyed, state, key_group, entry });
        each_batch(blocks, |blocks, entries| match compression {
            Compression::None => show_plain(blocks, entries, kind, &mut show),
            Compression::Lz4 => show_compressed(blocks, entries, kind, &mut show),
        })
    })
}

/// Takes in the entries of a batch.
type EachEntry<'a> = dyn FnMut(RawEntry<'_>) -> io::Result<()> + 'a;

fn show_plain<R: Read>(
    blocks: &mut BlockReader<R>,
    entries: u64,
    kind: StateKind,
    show: &mut EachEntry<'_>,
) -> Result<(), CodecError> {
    let mut bytes = Vec::new();
    for _ in 0..entries {
        bytes.clear();
        read_batch(blocks, 1, kind, &mut bytes)?;
        let entry = take_entry(&mut &bytes[..], kind);
        show(entry.ok_or_else(|| blocks.corrupt("an entry is damaged"))?)?;
    }
    Ok(())
}

fn show_compressed<R: Read>(
    blocks: &mut BlockReader<R>,
    entries: u64,
    kind: StateKind,
    show: &mut EachEntry<'_>,
) -> Result<(), CodecError> {
    let (mut compressed, mut bytes, mut shown) = (Vec::new(), Vec::new(), 0);
    while next_decompressed(blocks, &mut compressed, &mut bytes)? {
        let mut rest = &bytes[..];
        while let Some(entry) = take_entry(&mut rest, kind) {
            show(entry)?;
            shown += 1;
        }
        // An entry may go on in the next piece.
        let used = bytes.len() - rest.len();
        bytes.drain(..used);
    }
    match shown == entries && bytes.is_empty() {
        true => Ok(()),
        false => Err(blocks.corrupt("compressed state has another number of entries than it says")),
    }
}

/// The entry at the front of `bytes`, if all of it is there.
fn take_entry<'a>(bytes: &mut &'a [u8], kind: StateKind) -> Option<RawEntry<'a>> {
    let mut rest = *bytes;
    let mut record = || take_record(&mut rest);
    let (key, namespace) = (record()?, record()?);
    let user_key = if records_of_entry(kind) == 4 { Some(record()?) } else { None };
    let entry = RawEntry { key, namespace, user_key, value: record()? };
    *bytes = rest;
    Some(entry)
}
