use crate::base::EventTime;
use crate::rescale::SubtaskProgress;
use crate::state::{ListStateDescriptor, OperatorListState, OperatorStateBackend, StateError};

/// Whether a state has one of the names that are not for the user's code.
pub(super) fn is_of_runtime(state: &str) -> bool {
    state.starts_with("_runtime/")
}

/// Whether the user's code has a union list.
pub(super) fn has_union_list(state: &OperatorStateBackend) -> bool {
    state.union_lists().any(|name| !is_of_runtime(name))
}

/// How far a subtask has come, in its operator state.
#[derive(Clone, Copy)]
pub(super) struct SubtaskState {
    watermarks: OperatorListState<i64>,
    ends: OperatorListState<bool>,
    pub(super) progress: SubtaskProgress,
}

impl SubtaskState {
    /// Opens it, and says what was restored.
    pub(super) fn open(state: &mut OperatorStateBackend) -> Result<Self, StateError> {
        let watermarks = state.list_state(&ListStateDescriptor::new("_runtime/watermark"))?;
        let ends = state.list_state(&ListStateDescriptor::new("_runtime/finished"))?;
        let watermark = watermarks.get(state)?.iter().min().copied().map_or(EventTime::MIN, EventTime);
        let input_finished = ends.get(state)?.contains(&true);
        Ok(SubtaskState { watermarks, ends, progress: SubtaskProgress { watermark, input_finished } })
    }

    /// Puts it into the state. A subtask without event time that has not finished keeps nothing.
    pub(super) fn store(
        &self,
        state: &mut OperatorStateBackend,
        watermark: EventTime,
        input_finished: bool,
    ) -> Result<(), StateError> {
        let items = if watermark == EventTime::MIN { Vec::new() } else { vec![watermark.0] };
        self.watermarks.update(state, items)?;
        let items = if input_finished { vec![true] } else { Vec::new() };
        self.ends.update(state, items)
    }
}
