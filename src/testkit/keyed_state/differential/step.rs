use std::collections::BTreeMap;

/// What a step of a script does. The first ones shrink best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    UpdateValue,
    ModifyValue,
    ChangeValue,
    ClearValue,
    ReadValue,
    AddToList,
    AddAllToList,
    UpdateList,
    ClearList,
    MergeLists,
    ReadList,
    PutToMap,
    PutAllToMap,
    ChangeInMap,
    RemoveFromMap,
    RetainInMap,
    ClearMap,
    ReadEntry,
    ReadMap,
    Reduce,
    ClearReduced,
    MergeReduced,
    ReadReduced,
    Aggregate,
    ClearAggregated,
    MergeAggregated,
    ReadAggregated,
    Pass,
    Snapshot,
    SnapshotInFiles,
    Write,
    Restore,
}

impl Operation {
    const ALL: [Operation; 34] = [
        Operation::UpdateValue,
        Operation::ModifyValue,
        Operation::ChangeValue,
        Operation::ClearValue,
        Operation::ReadValue,
        Operation::AddToList,
        Operation::AddAllToList,
        Operation::UpdateList,
        Operation::ClearList,
        Operation::MergeLists,
        Operation::ReadList,
        Operation::PutToMap,
        Operation::PutAllToMap,
        Operation::ChangeInMap,
        Operation::RemoveFromMap,
        Operation::RetainInMap,
        Operation::ClearMap,
        Operation::ReadEntry,
        Operation::ReadMap,
        Operation::Reduce,
        Operation::ClearReduced,
        Operation::MergeReduced,
        Operation::ReadReduced,
        Operation::Aggregate,
        Operation::ClearAggregated,
        Operation::MergeAggregated,
        Operation::ReadAggregated,
        Operation::Pass,
        Operation::Snapshot,
        Operation::SnapshotInFiles,
        Operation::SnapshotInFiles,
        Operation::Write,
        Operation::Write,
        Operation::Restore,
    ];

    /// Only one of so many is left in long scripts. It takes several snapshots in files between two restores until there is
    /// something to be compacted.
    pub(super) fn rarity(self) -> u16 {
        match self {
            Operation::Snapshot | Operation::SnapshotInFiles | Operation::Write => 24,
            Operation::Restore => 96,
            _ => 1,
        }
    }

    /// The operation that reads all of what this one changes.
    pub(super) fn reading(self) -> Operation {
        match self {
            Operation::UpdateValue
            | Operation::ModifyValue
            | Operation::ChangeValue
            | Operation::ClearValue => Operation::ReadValue,
            Operation::AddToList
            | Operation::AddAllToList
            | Operation::UpdateList
            | Operation::ClearList
            | Operation::MergeLists => Operation::ReadList,
            Operation::PutToMap
            | Operation::PutAllToMap
            | Operation::ChangeInMap
            | Operation::RemoveFromMap
            | Operation::RetainInMap
            | Operation::ClearMap
            | Operation::ReadEntry => Operation::ReadMap,
            Operation::Reduce | Operation::ClearReduced | Operation::MergeReduced => Operation::ReadReduced,
            Operation::Aggregate | Operation::ClearAggregated | Operation::MergeAggregated => {
                Operation::ReadAggregated
            }
            other => other,
        }
    }

    /// Those that read all of a state.
    pub(super) const READING: [Operation; 5] = [
        Operation::ReadValue,
        Operation::ReadList,
        Operation::ReadMap,
        Operation::ReadReduced,
        Operation::ReadAggregated,
    ];
}

/// One step of a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it does.
    pub operation: Operation,
    /// The key it is about.
    pub key: u32,
    /// The namespace it is about.
    pub namespace: u8,
    /// What is put, added, kept or chosen.
    pub argument: u8,
    /// Whether it is about the states with a time to live.
    pub expires: bool,
    /// Whether what it has changed is read at once.
    pub is_read: bool,
}

/// What a step is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Nothing,
    Number(Option<u64>),
    Text(Option<String>),
    Texts(Vec<String>),
    Entries(BTreeMap<u8, String>),
}

impl Step {
    pub(super) const KEYS: u32 = 10;
    pub(super) const NAMESPACES: u8 = 3;

    /// The step that some random bytes stand for.
    #[must_use]
    pub fn of(bytes: [u8; 8]) -> Step {
        Step {
            operation: Operation::ALL[usize::from(bytes[0]) % Operation::ALL.len()],
            key: u32::from(bytes[1]) % Step::KEYS,
            namespace: bytes[2] % Step::NAMESPACES,
            argument: bytes[3],
            expires: bytes[4] & 1 != 0,
            is_read: bytes[4] & 2 != 0,
        }
    }

    pub(super) fn map_key(self) -> u8 {
        self.argument % 6
    }

    pub(super) fn text(self) -> String {
        "x".repeat(usize::from(self.argument % 50)) + &self.argument.to_string()
    }

    /// From none to three texts.
    pub(super) fn texts(self) -> Vec<String> {
        (0..self.argument % 4).map(|number| format!("{number}{}", self.text())).collect()
    }

    /// The namespaces that are merged into that of the step, of which one never has anything.
    pub(super) fn sources(self) -> Vec<u8> {
        [2, 0, 77, 1].into_iter().filter(|source| self.argument & (1 << (source % 8)) != 0).collect()
    }

    /// Makes what is missing, removes what is odd, halves what is even.
    pub(super) fn modified(self, old: Option<u64>) -> Option<u64> {
        match old {
            None => Some(self.argument.into()),
            Some(old) if old % 2 == 1 => None,
            Some(old) => Some(old / 2),
        }
    }

    /// Whether an entry of a map is kept, and what becomes of it.
    pub(super) fn retains(self, key: u8, text: &mut String) -> bool {
        text.push('.');
        self.argument & (1 << key) != 0
    }

    /// How many milliseconds go by. Values live for a few of these, so that many are looked at just before and in the moment of
    /// their expiry.
    pub(super) fn millis(self) -> i64 {
        i64::from(self.argument % 2)
    }
}
