/// What a step of a script does. The first ones shrink best.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Operation {
    UpdateValue,
    ModifyValue,
    ChangeValue,
    ClearValue,
    AddToList,
    AddAllToList,
    UpdateList,
    ClearList,
    MergeLists,
    PutToMap,
    PutAllToMap,
    RemoveFromMap,
    RetainInMap,
    ClearMap,
    Reduce,
    ClearReduced,
    MergeReduced,
    Aggregate,
    ClearAggregated,
    MergeAggregated,
    Snapshot,
    Write,
    Restore,
}

impl Operation {
    const ALL: [Operation; 23] = [
        Operation::UpdateValue,
        Operation::ModifyValue,
        Operation::ChangeValue,
        Operation::ClearValue,
        Operation::AddToList,
        Operation::AddAllToList,
        Operation::UpdateList,
        Operation::ClearList,
        Operation::MergeLists,
        Operation::PutToMap,
        Operation::PutAllToMap,
        Operation::RemoveFromMap,
        Operation::RetainInMap,
        Operation::ClearMap,
        Operation::Reduce,
        Operation::ClearReduced,
        Operation::MergeReduced,
        Operation::Aggregate,
        Operation::ClearAggregated,
        Operation::MergeAggregated,
        Operation::Snapshot,
        Operation::Write,
        Operation::Restore,
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
}

impl Step {
    pub(super) const NAMESPACES: u8 = 3;

    /// The step that some random bytes stand for.
    #[must_use]
    pub fn of(bytes: [u8; 8]) -> Step {
        Step {
            operation: Operation::ALL[usize::from(bytes[0]) % Operation::ALL.len()],
            key: u32::from(bytes[1] % 10),
            namespace: bytes[2] % Step::NAMESPACES,
            argument: bytes[3],
        }
    }

    pub(super) fn map_key(self) -> u8 {
        self.argument % 6
    }

    pub(super) fn text(self) -> String {
        "x".repeat(usize::from(self.argument % 3)) + &self.argument.to_string()
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
}
