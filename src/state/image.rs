use super::backend::BackendFiles;
use super::{ChannelState, KeyedHeader, KeyedStateHeader, OperatorImage, StateError, StateKind};
use crate::codec::take_record;
use crate::keygroup::{KeyGroup, KeyGroupRange, MaxParallelism};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The entries of one key group of one state, as they stand in a snapshot. Clones share the bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RawGroup {
    pub(super) entries: u64,
    pub(super) bytes: Arc<Vec<u8>>,
}

impl RawGroup {
    /// The number of entries.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The entries: for each a record with the key, one with the namespace, for maps one with the key in the map, and one
    /// with the value.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The entries of a state of this kind. It ends early only if the group was not read by
    /// [`SnapshotImage::read_from`].
    pub fn iter(&self, kind: StateKind) -> impl Iterator<Item = RawEntry<'_>> {
        let mut rest = self.bytes();
        std::iter::from_fn(move || {
            Some(RawEntry {
                key: take_record(&mut rest)?,
                namespace: take_record(&mut rest)?,
                user_key: match kind {
                    StateKind::Map => Some(take_record(&mut rest)?),
                    _ => None,
                },
                value: take_record(&mut rest)?,
            })
        })
    }
}

/// One entry of a keyed state, as it stands in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEntry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The namespace.
    pub namespace: &'a [u8],
    /// The key in the map, if the state holds maps.
    pub user_key: Option<&'a [u8]>,
    /// The value; for a list all its elements as records.
    pub value: &'a [u8],
}

impl<'a> RawEntry<'a> {
    /// The entry of a state of this kind that a backend has under `key`, and its key group, if that is such a key.
    pub(super) fn of_backend(
        kind: StateKind,
        key: &'a [u8],
        value: &'a [u8],
    ) -> Option<(KeyGroup, RawEntry<'a>)> {
        let (group, mut rest) = key.split_first_chunk()?;
        let entry = RawEntry {
            key: take_record(&mut rest)?,
            namespace: take_record(&mut rest)?,
            user_key: match kind {
                StateKind::Map => Some(take_record(&mut rest)?),
                _ => None,
            },
            value,
        };
        rest.is_empty().then_some((KeyGroup(u16::from_be_bytes(*group)), entry))
    }
}

/// One keyed state of a snapshot that has not been opened yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawKeyedState {
    /// What the snapshot says about it.
    pub header: KeyedStateHeader,
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
    /// The files in which a backend has left states; those have no groups here.
    pub files: Option<BackendFiles>,
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

/// Puts the keyed state of several snapshots together and keeps the key groups of `range`.
///
/// # Errors
/// [`StateError::Incompatible`] when the snapshots disagree with the job about the maximum parallelism or with each other
/// about a state, or when two hold the same key group of one state.
pub fn merge_keyed(
    images: Vec<KeyedImage>,
    max_parallelism: MaxParallelism,
    range: KeyGroupRange,
) -> Result<BTreeMap<String, RawKeyedState>, StateError> {
    let mut merged: BTreeMap<String, RawKeyedState> = BTreeMap::new();
    for KeyedImage { header, states, .. } in images {
        if header.max_parallelism != max_parallelism {
            let old = header.max_parallelism;
            let what = format!("its maximum parallelism is {old}, the job's is {max_parallelism}");
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
    if known.header != other.header {
        let (one, two) = (&known.header, &other.header);
        let what = format!("state `{name}` holds {one} in one part and {two} in another");
        return Err(StateError::Incompatible(what));
    }
    for (group, raw) in other.groups {
        if known.groups.insert(group, raw).is_some() {
            let what = format!("state `{name}` has key group {group} in two parts");
            return Err(StateError::Incompatible(what));
        }
    }
    Ok(())
}
