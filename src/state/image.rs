use super::snapshot::{OperatorStateHeader, SnapshotHeader};
use super::{ChannelState, KeyedHeader, StateError, StateKind};
use crate::codec::{BlockReader, CodecError, FileKind, take_record};
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};
use std::collections::BTreeMap;
use std::io::Read;
use std::sync::Arc;

/// The entries of one key group of one state, as they stand in a snapshot. Clones share the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawGroup {
    entries: u64,
    bytes: Arc<Vec<u8>>,
}

impl RawGroup {
    /// The number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The entries: for each a record with the key and one with the value.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The key and the value of each entry, as bytes. It ends early only if the group was not read by
    /// [`SnapshotImage::read_from`].
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || Some((take_record(&mut rest)?, take_record(&mut rest)?)))
    }
}

/// One keyed state of a snapshot that has not been opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawKeyedState {
    /// What it holds per key.
    pub kind: StateKind,
    /// The id of its value type.
    pub value_type: String,
    /// The groups that are not empty.
    pub groups: BTreeMap<KeyGroup, RawGroup>,
}

/// The keyed state of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyedImage {
    /// What the snapshot says about it.
    pub header: KeyedHeader,
    /// The states by name.
    pub states: BTreeMap<String, RawKeyedState>,
}

/// One list of operator state that has not been opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawList {
    pub(super) item_type: String,
    pub(super) items: Arc<Vec<Vec<u8>>>,
}

/// The operator state of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorImage {
    pub(super) lists: BTreeMap<String, RawList>,
}

/// What was read of a subtask's state file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SnapshotImage {
    /// The keyed state; `None` when the subtask had none.
    pub keyed: Option<KeyedImage>,
    /// The operator state.
    pub operator: OperatorImage,
    /// The records that were on their way.
    pub channels: ChannelState,
}

/// From this version on a state file ends with the records that were on their way.
const WITH_CHANNELS: u16 = 2;

impl SnapshotImage {
    /// Reads a whole state file and keeps the key groups that lie in `keep`; without it, all of them.
    ///
    /// # Errors
    /// The file is damaged, or `reader` failed.
    pub fn read_from(reader: impl Read, keep: Option<KeyGroupRange>) -> Result<Self, StateError> {
        let mut blocks = BlockReader::new(reader, FileKind::State)?;
        let header: SnapshotHeader = blocks.read_value()?;
        let keyed = header.keyed.map(|header| read_keyed(&mut blocks, header, keep)).transpose()?;
        let operator = read_operator(&mut blocks, header.operator)?;
        let channels = match blocks.version() {
            WITH_CHANNELS.. => ChannelState::read_from(&mut blocks)?,
            _ => ChannelState::default(),
        };
        blocks.finish()?;
        Ok(SnapshotImage { keyed, operator, channels })
    }
}

fn read_keyed<R: Read>(
    blocks: &mut BlockReader<R>,
    header: KeyedHeader,
    keep: Option<KeyGroupRange>,
) -> Result<KeyedImage, CodecError> {
    if !header.max_parallelism.all_groups().contains(header.range.end()) {
        return Err(blocks.corrupt("the key groups exceed the maximum parallelism"));
    }
    let mut states = BTreeMap::new();
    for state in &header.states {
        let groups = read_groups(blocks, header.range, keep)?;
        let raw = RawKeyedState { kind: state.kind, value_type: state.value_type.clone(), groups };
        if states.insert(state.name.clone(), raw).is_some() {
            return Err(blocks.corrupt(format!("state `{}` stands there twice", state.name)));
        }
    }
    Ok(KeyedImage { header, states })
}

fn read_groups<R: Read>(
    blocks: &mut BlockReader<R>,
    range: KeyGroupRange,
    keep: Option<KeyGroupRange>,
) -> Result<BTreeMap<KeyGroup, RawGroup>, CodecError> {
    let mut groups: BTreeMap<KeyGroup, RawGroup> = BTreeMap::new();
    let mut previous = None;
    let mut skipped = Vec::new();
    loop {
        let Some(number) = blocks.read_varint()?.checked_sub(1) else {
            return Ok(groups);
        };
        let group = u16::try_from(number).map(KeyGroup).ok().filter(|group| range.contains(*group));
        let group = group.ok_or_else(|| blocks.corrupt(format!("key group {number} is not in {range}")))?;
        if previous.is_some_and(|previous| previous >= group) {
            return Err(blocks.corrupt("the key groups are not in order"));
        }
        previous = Some(group);
        let entries = blocks.read_varint()?;
        if keep.is_none_or(|keep| keep.contains(group)) {
            let mut bytes = Vec::new();
            for _ in 0..entries {
                blocks.append_framed_record_to(&mut bytes)?;
                blocks.append_framed_record_to(&mut bytes)?;
            }
            bytes.shrink_to_fit();
            groups.insert(group, RawGroup { entries, bytes: Arc::new(bytes) });
        } else {
            for _ in 0..entries {
                for _key_and_value in 0..2 {
                    skipped.clear();
                    blocks.append_record_to(&mut skipped)?;
                }
            }
        }
    }
}

fn read_operator<R: Read>(
    blocks: &mut BlockReader<R>,
    headers: Vec<OperatorStateHeader>,
) -> Result<OperatorImage, CodecError> {
    let mut lists = BTreeMap::new();
    for OperatorStateHeader { name, item_type, items: count } in headers {
        let mut items = Vec::new();
        for _ in 0..count {
            let mut item = Vec::new();
            blocks.append_record_to(&mut item)?;
            items.push(item);
        }
        if lists.insert(name.clone(), RawList { item_type, items: Arc::new(items) }).is_some() {
            return Err(blocks.corrupt(format!("operator state `{name}` stands there twice")));
        }
    }
    Ok(OperatorImage { lists })
}

/// Puts the keyed state of several snapshots together and keeps the key groups of `range`.
///
/// # Errors
/// [`StateError::Incompatible`] when the snapshots disagree with the job or with each other about maximum
/// parallelism, key type or value type, or when two hold the same key group of one state.
pub fn merge_keyed(
    images: Vec<KeyedImage>,
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
    key_type: &str,
) -> Result<BTreeMap<String, RawKeyedState>, StateError> {
    let mut merged: BTreeMap<String, RawKeyedState> = BTreeMap::new();
    for KeyedImage { header, states } in images {
        if header.max_parallelism != max_parallelism {
            let old = header.max_parallelism;
            let what = format!("its maximum parallelism is {old}, the job's is {max_parallelism}");
            return Err(StateError::Incompatible(what));
        }
        if header.key_type != key_type {
            let what = format!("its keys are {}, the job's are {key_type}", header.key_type);
            return Err(StateError::Incompatible(what));
        }
        for (name, mut state) in states {
            state.groups.retain(|group, _| range.contains(*group));
            match merged.get_mut(&name) {
                Some(known) => merge_state(&name, known, state)?,
                None => {
                    merged.insert(name, state);
                }
            }
        }
    }
    Ok(merged)
}

fn merge_state(name: &str, known: &mut RawKeyedState, other: RawKeyedState) -> Result<(), StateError> {
    if (known.kind, &known.value_type) != (other.kind, &other.value_type) {
        let (one, two) = (&known.value_type, &other.value_type);
        return Err(StateError::Incompatible(format!(
            "state `{name}` holds {one} in one part and {two} in another"
        )));
    }
    for (group, raw) in other.groups {
        if known.groups.insert(group, raw).is_some() {
            return Err(StateError::Incompatible(format!(
                "state `{name}` has key group {group} in two parts"
            )));
        }
    }
    Ok(())
}
