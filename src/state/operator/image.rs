use super::held::Held;
use super::{OperatorStateHeader, OperatorStateType};
use crate::codec::{BlockReader, BlockWriter, CodecError, take_record};
use crate::rescale::{ItemRange, OperatorStateInfo, OperatorStateMode, redistribute_operator_state};
use crate::state::StateError;
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::sync::Arc;

/// The operator state of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OperatorImage {
    pub(super) states: BTreeMap<String, RawOperatorState>,
}

/// An operator state that has not been opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawOperatorState {
    pub(super) state_type: OperatorStateType,
    /// The records of each item, as they stand in the file.
    items: Arc<Vec<Vec<u8>>>,
}

impl RawOperatorState {
    /// Decodes the items, each of which must consist of `RECORDS` records.
    pub(super) fn decode<const RECORDS: usize, T>(
        &self,
        name: &str,
        read: impl Fn([&[u8]; RECORDS]) -> Result<T, String>,
    ) -> Result<Vec<T>, StateError> {
        let decoded = self.items.iter().enumerate().map(|(index, item)| {
            let undecodable = |what: String| StateError::Undecodable {
                state: name.to_owned(),
                key_group: None,
                what: format!("item {index}: {what}"),
            };
            let records = records(item).ok_or_else(|| undecodable("its records are damaged".to_owned()))?;
            read(records).map_err(undecodable)
        });
        decoded.collect()
    }
}

/// The records that `item` consists of; `None` if there are not that many.
fn records<const RECORDS: usize>(mut item: &[u8]) -> Option<[&[u8]; RECORDS]> {
    let mut records = [&[][..]; RECORDS];
    for record in &mut records {
        *record = take_record(&mut item)?;
    }
    item.is_empty().then_some(records)
}

impl Held for RawOperatorState {
    fn state_type(&self) -> OperatorStateType {
        self.state_type.clone()
    }

    fn items(&self) -> u64 {
        self.items.len() as u64
    }

    fn write(&self, target: &mut BlockWriter<&mut dyn Write>) -> Result<(), CodecError> {
        Ok(self.items.iter().try_for_each(|item| target.write_all(item))?)
    }

    fn share(&self) -> Box<dyn Held> {
        Box::new(self.clone())
    }
}

/// Reads the items of the states that `headers` announce.
pub(in crate::state) fn read_operator<R: Read>(
    blocks: &mut BlockReader<R>,
    headers: Vec<OperatorStateHeader>,
) -> Result<OperatorImage, CodecError> {
    let mut states = BTreeMap::new();
    for OperatorStateHeader { name, state_type, items: count } in headers {
        let records = records_of_item(&state_type);
        let mut items = Vec::new();
        for _ in 0..count {
            let mut item = Vec::new();
            for _ in 0..records {
                blocks.append_framed_record_to(&mut item)?;
            }
            items.push(item);
        }
        states.insert(name, RawOperatorState { state_type, items: Arc::new(items) });
    }
    Ok(OperatorImage { states })
}

/// Reads over the items of a state, and says how many bytes they have.
pub(in crate::state) fn skip_items<R: Read>(
    blocks: &mut BlockReader<R>,
    header: &OperatorStateHeader,
) -> Result<u64, CodecError> {
    let mut bytes = 0;
    for _ in 0..header.items {
        for _ in 0..records_of_item(&header.state_type) {
            bytes += blocks.skip_record()?;
        }
    }
    Ok(bytes)
}

pub(in crate::state) fn records_of_item(state_type: &OperatorStateType) -> u32 {
    match state_type {
        OperatorStateType::SplitList(_) | OperatorStateType::UnionList(_) => 1,
        OperatorStateType::Broadcast { .. } => 2,
    }
}

impl OperatorImage {
    /// Whether a subtask needs nothing of what others have, as long as the parallelism is the same.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.states.values().all(|raw| raw.state_type.mode() == OperatorStateMode::Split)
    }

    /// The operator state that new subtask number `subtask` of `parallelism` gets from all `old` subtasks, as
    /// `spec/rescale.md` says. To be used for every restore: union state is handed out without a rescale too.
    ///
    /// # Errors
    /// [`StateError::Incompatible`] when the old subtasks do not agree on what a state is, or when there is no such new
    /// subtask.
    pub fn redistributed(old: &[OperatorImage], parallelism: u16, subtask: u16) -> Result<Self, StateError> {
        let new = NonZeroU16::new(parallelism).filter(|_| subtask < parallelism).ok_or_else(|| {
            let what = format!("subtask {subtask} does not exist: the parallelism is {parallelism}");
            StateError::Incompatible(what)
        })?;
        let types = types(old)?;
        let info = |(name, raw): (&String, &RawOperatorState)| {
            (name.clone(), OperatorStateInfo { mode: raw.state_type.mode(), items: raw.items() })
        };
        let reported: Vec<_> = old.iter().map(|image| image.states.iter().map(info).collect()).collect();
        let mut shares = redistribute_operator_state(&reported, new)
            .map_err(|conflict| StateError::Incompatible(conflict.to_string()))?;
        let share = shares.swap_remove(subtask.into()).into_iter().zip(types);
        let states = share.map(|((name, ranges), (_, state_type))| {
            let items = Arc::new(collect(old, &name, &ranges));
            (name, RawOperatorState { state_type: state_type.clone(), items })
        });
        Ok(OperatorImage { states: states.collect() })
    }
}

/// What each state is, on which all old subtasks must agree.
fn types(old: &[OperatorImage]) -> Result<BTreeMap<&String, &OperatorStateType>, StateError> {
    let mut types = BTreeMap::new();
    for (name, raw) in old.iter().flat_map(|image| &image.states) {
        let one = *types.entry(name).or_insert(&raw.state_type);
        let other = &raw.state_type;
        if one != other {
            let what = format!("operator state `{name}` is {one} in one part and {other} in another");
            return Err(StateError::Incompatible(what));
        }
    }
    Ok(types)
}

/// The items of the state `name` in `ranges`, which lie within what the old subtasks have.
fn collect(old: &[OperatorImage], name: &str, ranges: &[ItemRange]) -> Vec<Vec<u8>> {
    let items = |range: &ItemRange| {
        let items = &old[usize::from(range.subtask)].states[name].items;
        items[range.items.start as usize..range.items.end as usize].to_vec()
    };
    ranges.iter().flat_map(items).collect()
}
