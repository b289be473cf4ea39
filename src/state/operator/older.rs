//! Versions 1 and 2 of what a state file says about operator state: all of it was lists that are split, and instead of a
//! serializer stood the id of the items' type, whose bytes are those of the serde serializer.

use super::OperatorStateType;
use crate::state::serializer::SerializerSnapshot;
use serde::Deserialize;

/// The header of one state.
#[derive(Deserialize)]
pub(in crate::state) struct OperatorStateHeader {
    name: String,
    item_type: String,
    items: u64,
}

impl OperatorStateHeader {
    /// What it says in the words of the present version.
    pub(in crate::state) fn into_present(self) -> super::OperatorStateHeader {
        let OperatorStateHeader { name, item_type, items } = self;
        let state_type = OperatorStateType::SplitList(SerializerSnapshot::new(item_type, 0));
        super::OperatorStateHeader { name, state_type, items }
    }
}
