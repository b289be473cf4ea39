use super::OperatorStateType;
use super::held::Held;
use crate::codec::BlockWriter;
use crate::state::StateError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

/// What a state file says about one operator state. The order of the fields is part of the format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::state) struct OperatorStateHeader {
    pub(in crate::state) name: String,
    pub(in crate::state) state_type: OperatorStateType,
    /// The number of items, or of entries of a map.
    pub(in crate::state) items: u64,
}

/// The operator state of a subtask at one moment. Dropping it frees what only it holds.
#[derive(Default)]
pub struct OperatorSnapshot {
    states: BTreeMap<String, Box<dyn Held>>,
}

impl OperatorSnapshot {
    pub(super) fn new(states: BTreeMap<String, Box<dyn Held>>) -> Self {
        OperatorSnapshot { states }
    }

    /// Whether there is nothing in any state.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.states.values().all(|held| held.items() == 0)
    }

    pub(in crate::state) fn headers(&self) -> Vec<OperatorStateHeader> {
        let headers = self.states.iter().map(|(name, held)| OperatorStateHeader {
            name: name.clone(),
            state_type: held.state_type(),
            items: held.items(),
        });
        headers.collect()
    }

    pub(in crate::state) fn write_items(
        &self,
        blocks: &mut BlockWriter<&mut dyn Write>,
    ) -> Result<(), StateError> {
        self.states.iter().try_for_each(|(name, held)| {
            held.write(blocks).map_err(|error| StateError::from(error).of_state(name))
        })
    }
}

impl fmt::Debug for OperatorSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.headers()).finish()
    }
}
