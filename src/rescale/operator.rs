use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::ops::Range;

/// How a state of an operator is handed out to other subtasks than those that had it (Flink:
/// `OperatorStateHandle.Mode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperatorStateMode {
    /// Each item goes to one subtask, evenly.
    Split,
    /// All items go to every subtask.
    Union,
    /// All subtasks have the same, and each gets it from one that had it.
    Broadcast,
}

/// What an old subtask has of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperatorStateInfo {
    /// How the state is handed out.
    pub mode: OperatorStateMode,
    /// The number of items, or of entries of a map.
    pub items: u64,
}

/// Items in a row that a new subtask gets from an old one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ItemRange {
    /// The old subtask.
    pub subtask: u16,
    /// The numbers of its items.
    pub items: Range<u64>,
}

/// The old subtasks do not agree on how a state is handed out: they are not subtasks of one operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state `{state}` is {one:?} in one part and {other:?} in another")]
pub struct ConflictingModes {
    /// The name of the state.
    pub state: String,
    /// A mode it has.
    pub one: OperatorStateMode,
    /// Another mode it has.
    pub other: OperatorStateMode,
}

/// Says what each of `parallelism` new subtasks gets of the state of an operator.
///
/// `old` has, for each old subtask, the states that it reported, by their names. The result has, for each new subtask,
/// all names, each with the ranges that make up its state, in their order; there may be none.
///
/// # Errors
/// [`ConflictingModes`].
pub fn redistribute_operator_state(
    old: &[BTreeMap<String, OperatorStateInfo>],
    parallelism: NonZeroU16,
) -> Result<Vec<BTreeMap<String, Vec<ItemRange>>>, ConflictingModes> {
    let parallelism = parallelism.get();
    let mut new = vec![BTreeMap::new(); parallelism.into()];
    let mut start = 0;
    for (name, mode) in modes(old)? {
        let parts = parts_of(old, name);
        let shares = match mode {
            OperatorStateMode::Split if old.len() == new.len() => stay(&parts, parallelism),
            OperatorStateMode::Split => split(&parts, parallelism, &mut start),
            OperatorStateMode::Union => union(&parts, parallelism),
            OperatorStateMode::Broadcast => broadcast(&parts, parallelism, old.len() == new.len()),
        };
        for (subtask, share) in new.iter_mut().zip(shares) {
            subtask.insert(name.to_owned(), share);
        }
    }
    Ok(new)
}

/// All names with their modes.
fn modes(
    old: &[BTreeMap<String, OperatorStateInfo>],
) -> Result<BTreeMap<&str, OperatorStateMode>, ConflictingModes> {
    let mut modes = BTreeMap::new();
    for (name, OperatorStateInfo { mode, .. }) in old.iter().flatten() {
        let one = *modes.entry(name.as_str()).or_insert(*mode);
        //= spec/rescale.md#rescale-6-a-state-has-one-mode
        //# A state that old subtasks report in different modes MUST be refused.
        if one != *mode {
            return Err(ConflictingModes { state: name.clone(), one, other: *mode });
        }
    }
    Ok(modes)
}

/// All items of one state, by the old subtasks that reported it.
fn parts_of(old: &[BTreeMap<String, OperatorStateInfo>], name: &str) -> Vec<ItemRange> {
    let reported = (0..).zip(old).filter_map(|(subtask, states)| Some((subtask, states.get(name)?)));
    reported.map(|(subtask, info)| ItemRange { subtask, items: 0..info.items }).collect()
}

//= spec/rescale.md#rescale-1-split-state-stays-where-it-was
//# With the same parallelism as before, a subtask MUST get exactly its own items of split state.
fn stay(parts: &[ItemRange], parallelism: u16) -> Vec<Vec<ItemRange>> {
    (0..parallelism).map(|new| parts.iter().filter(|part| part.subtask == new).cloned().collect()).collect()
}

/// Split state for another parallelism; `start` goes from state to state.
fn split(parts: &[ItemRange], parallelism: u16, start: &mut u16) -> Vec<Vec<ItemRange>> {
    let total: u64 = parts.iter().map(|part| part.items.end).sum();
    let (length, longer) = (total / u64::from(parallelism), (total % u64::from(parallelism)) as u16);
    let mut shares = vec![Vec::new(); parallelism.into()];
    let mut rest = parts.iter().cloned();
    let mut current = rest.next();
    for run in 0..parallelism {
        //= spec/rescale.md#rescale-2-split-state-is-cut-into-even-runs
        //# With another parallelism, the items of split state MUST be cut, in the order of the old subtasks, into as many
        //# runs as there are new subtasks, the first of which are longer by one if the number of items does not divide.
        let mut missing = length + u64::from(run < longer);
        //= spec/rescale.md#rescale-3-the-runs-of-the-next-state-begin-behind-the-last-longer-one
        //# The runs of each state, in the order of the states' names, MUST be handed out in a circle that begins with the
        //# subtask behind the last longer run of the state before.
        let target = (usize::from(*start) + usize::from(run)) % shares.len();
        while let Some(part) = current.as_mut().filter(|_| missing > 0) {
            let taken = missing.min(part.items.end - part.items.start);
            let items = part.items.start..part.items.start + taken;
            part.items.start = items.end;
            missing -= taken;
            if taken > 0 {
                shares[target].push(ItemRange { subtask: part.subtask, items });
            }
            if part.items.is_empty() {
                current = rest.next();
            }
        }
    }
    *start = ((u32::from(*start) + u32::from(longer)) % u32::from(parallelism)) as u16;
    shares
}

//= spec/rescale.md#rescale-4-union-state-goes-to-everyone
//# Every new subtask MUST get all items of union state, in the order of the old subtasks.
fn union(parts: &[ItemRange], parallelism: u16) -> Vec<Vec<ItemRange>> {
    vec![parts.iter().filter(|part| !part.items.is_empty()).cloned().collect(); parallelism.into()]
}

//= spec/rescale.md#rescale-5-broadcast-state-is-copied-from-one-subtask
//# New subtask i MUST get all entries of broadcast state from old subtask i if the parallelism is as before and it reported them,
//# and else from number i modulo n of the n old subtasks that reported them.
fn broadcast(parts: &[ItemRange], parallelism: u16, is_as_before: bool) -> Vec<Vec<ItemRange>> {
    let copy = |new: u16| {
        let own = parts.iter().find(|part| is_as_before && part.subtask == new);
        vec![own.unwrap_or(&parts[usize::from(new) % parts.len()]).clone()]
    };
    (0..parallelism).map(copy).collect()
}
